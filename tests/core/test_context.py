"""Who is calling: bound to the running task, inherited by tasks and threads, and counted where it is missing."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import anyio
import anyio.from_thread
import anyio.lowlevel
import pytest

from auditmw.errors import ConfigurationError

from .conftest import entries_of


def call(trail, **fields):
    with trail.call(**fields) as made:
        return made.request_id


def test_what_is_bound_is_on_the_entry(trail):
    bound = {
        "user_id": "alice",
        "subject": "bob",
        "session_id": "s1",
        "tenant": "acme",
        "action": "support",
        "purpose": "help",
        "legal_basis": "contract",
        "metadata": {"team": "x"},
    }
    with trail.context(**bound):
        call(trail)
    [entry] = entries_of(trail)
    assert {name: getattr(entry, name) for name in bound} == bound


def test_inner_scopes_inherit_and_override_and_leave_the_outer_as_it_was(trail):
    with trail.context(user_id="alice", session_id="s1", metadata={"team": "x", "step": 1}) as outer:
        with trail.context(user_id="bob", metadata={"step": 2}) as inner:
            call(trail)
        call(trail)
    first, second = entries_of(trail)
    assert (first.user_id, first.session_id, first.metadata) == ("bob", "s1", {"team": "x", "step": 2})
    assert (second.user_id, second.session_id, second.metadata) == ("alice", "s1", {"team": "x", "step": 1})
    assert inner.request_ids == [first.request_id]
    assert outer.request_ids == [first.request_id, second.request_id]


def test_what_the_call_itself_says_comes_first(trail):
    with trail.context(user_id="alice", action="outer", metadata={"team": "x"}):
        call(trail, user_id="bob", action="mine", metadata={"team": "y"})
    [entry] = entries_of(trail)
    assert (entry.user_id, entry.action, entry.metadata) == ("bob", "mine", {"team": "y"})


def test_an_empty_user_is_no_user(trail):
    with trail.context(user_id=""):
        call(trail)
    assert entries_of(trail)[0].user_id is None


async def test_task_groups_and_threads_inherit(trail):
    async def child():
        async with trail.call(action="task"):
            await anyio.lowlevel.checkpoint()

    with trail.context(user_id="alice") as context:
        async with anyio.create_task_group() as group:
            group.start_soon(child)
        await anyio.to_thread.run_sync(lambda: call(trail, action="thread"))
    entries = await anyio.to_thread.run_sync(entries_of, trail)
    assert [(e.action, e.user_id) for e in entries] == [("task", "alice"), ("thread", "alice")]
    assert context.request_ids == [e.request_id for e in entries]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_asyncio_tasks_and_threads_inherit(trail):
    with trail.context(user_id="alice"):
        await asyncio.to_thread(call, trail)
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(call, trail))
    assert [e.user_id for e in await anyio.to_thread.run_sync(entries_of, trail)] == ["alice", "alice"]


async def test_concurrent_tasks_do_not_see_each_others_scopes(trail):
    async def user(name):
        with trail.context(user_id=name):
            for _ in range(5):
                async with trail.call(action=name):
                    await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        for name in ("alice", "bob", "carol"):
            group.start_soon(user, name)
    entries = await anyio.to_thread.run_sync(entries_of, trail)
    assert len(entries) == 15
    assert all(e.user_id == e.action for e in entries)


def test_a_raw_thread_joins_a_scope_by_run(trail):
    with trail.context(user_id="alice") as context:
        threads = [threading.Thread(target=context.run, args=(call, trail), kwargs={"action": "run"}) for _ in range(3)]
        threads.append(threading.Thread(target=call, args=(trail,), kwargs={"action": "bare"}))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    entries = entries_of(trail)
    assert {(e.action, e.user_id) for e in entries} == {("run", "alice"), ("bare", None)}
    assert len(context.request_ids) == 3
    assert context.run(len, "abc") == 3


def test_run_works_after_the_scope_has_ended_and_cleans_up(trail):
    with trail.context(user_id="alice") as context:
        pass
    context.run(call, trail)
    call(trail)
    assert [e.user_id for e in entries_of(trail)] == ["alice", None]


def test_calls_that_nobody_put_a_name_to_are_counted(trail):
    call(trail)
    with trail.context(user_id="alice"):
        call(trail)
    assert trail.health().missing_context == 1


def test_a_scope_ends_with_an_exception_too(trail):
    with pytest.raises(ValueError, match="x"), trail.context(user_id="alice"):
        raise ValueError("x")
    call(trail)
    assert entries_of(trail)[0].user_id is None


@pytest.mark.parametrize(
    ("values", "says"),
    [({"user": "alice"}, "knows no"), ({"metadata": ["x"]}, "give a dict"), ({"metadata": "x"}, "give a dict")],
)
def test_what_no_scope_has_is_refused_where_it_is_written(values, says, trail):
    with pytest.raises(ConfigurationError, match=says):
        trail.context(**values)


def test_a_scope_that_was_not_entered_says_so(trail):
    with pytest.raises(ConfigurationError, match="has not been entered"):
        _ = trail.context(user_id="alice").request_ids


def test_a_scope_may_be_left_in_another_context_than_it_was_entered_in(trail):
    scope = trail.context(user_id="alice")
    contextvars.copy_context().run(scope.__enter__)
    contextvars.copy_context().run(scope.__exit__, None, None, None)
    call(trail)
    (entry,) = entries_of(trail)
    assert entry.user_id is None
