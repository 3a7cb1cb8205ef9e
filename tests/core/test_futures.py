"""Plain code beside a loop."""

import asyncio
import threading
from concurrent.futures import Future

import anyio
import pytest

from auditmw.futures import PAGE, in_a_thread, wait_for


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def items():
    """A maker of items, which notes that it was closed."""

    async def make(count):
        try:
            for number in range(count):
                await asyncio.sleep(0)
                yield number
        finally:
            make.closed.set()

    make.closed = asyncio.Event()
    return make


@pytest.mark.parametrize("count", [0, 1, PAGE, 2 * PAGE + 1])
async def test_every_item_comes_once_and_in_order(items, count):
    assert await in_a_thread(items(count), list) == list(range(count))


async def test_the_loop_goes_on_while_the_thread_works(items):
    go_on = threading.Event()

    def work(found):
        assert go_on.wait(5)
        return sum(found)

    task = asyncio.create_task(in_a_thread(items(3), work))
    await asyncio.sleep(0)
    go_on.set()
    assert await task == 3


async def test_an_error_of_the_work_is_raised_and_the_items_are_closed(items):
    def work(found):
        raise ZeroDivisionError(next(iter(found)))

    with pytest.raises(ZeroDivisionError):
        await in_a_thread(items(3), work)
    assert items.closed.is_set()


async def test_who_gives_up_waits_for_nobody_and_the_thread_gets_no_more(items):
    begun, go_on, got = threading.Event(), threading.Event(), []

    def work(found):
        for item in found:
            got.append(item)
            begun.set()
            assert go_on.wait(5)

    task = asyncio.create_task(in_a_thread(items(3 * PAGE), work))
    await asyncio.to_thread(begun.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await asyncio.wait_for(items.closed.wait(), 5)
    assert len(got) <= PAGE


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.parametrize("error", [None, ZeroDivisionError()])
async def test_the_end_of_work_in_another_thread_is_awaited_however_it_ended(error):
    future = Future()
    ending = threading.Timer(0.05, lambda: future.set_exception(error) if error else future.set_result(1))
    ending.start()
    with anyio.fail_after(5):
        await wait_for(future)
    assert future.exception() is error
    ending.join()


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_who_gives_up_a_wait_leaves_no_thread_behind():
    before, threads = anyio.to_thread.current_default_thread_limiter().borrowed_tokens, threading.active_count()
    for _ in range(5):
        with anyio.move_on_after(0.01):
            await wait_for(Future())
    assert anyio.to_thread.current_default_thread_limiter().borrowed_tokens == before
    assert threading.active_count() == threads


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_what_ends_after_the_loop_of_who_waited_is_no_error(backend, caplog):
    future = Future()

    async def impatient():
        with anyio.move_on_after(0.01):
            await wait_for(future)

    anyio.run(impatient, backend=backend)
    future.set_result(None)
    assert caplog.records == []
