"""`@audited(sanitize=...)`: the function gets clean arguments, its caller the restored answer."""

from __future__ import annotations

import functools

import pytest
from pydantic import BaseModel

from auditmw import AuditTrail, audited, configure
from auditmw.errors import CallBlocked, ConfigurationError, PipelineError
from auditmw.middleware import Hasher, Sanitizer, Timer, Writer

CARD = "4111 1111 1111 1111"


class Reply(BaseModel):
    text: str
    inner: dict = {}


@pytest.fixture
def trail():
    with AuditTrail("memory://") as running:
        yield running


@pytest.fixture
def stored(trail):
    def entries():
        trail.sync.flush(10)
        return list(trail.sync.query())

    return entries


def test_a_function_sees_clean_arguments_and_its_caller_the_values(trail, stored):
    seen = []

    @trail.audited(sanitize=("prompt", "history"))
    def ask(prompt, other=None, *history, **more):
        seen.append((prompt, other, history, more))
        return {"answer": f"you said {prompt}"}

    assert ask(f"pay {CARD}", CARD, [CARD], key=CARD) == {"answer": f"you said pay {CARD}"}
    prompt, other, history, more = seen[0]
    assert CARD not in f"{prompt}{history}"
    assert (other, more) == (CARD, {"key": CARD})
    (entry,) = stored()
    assert (entry.kind, entry.sanitization, entry.input_hash) == ("function", {"CARD": 2}, None)


def test_arguments_that_are_not_named_are_not_read(trail, stored):
    class Unreadable:
        def __getattribute__(self, name):
            raise AssertionError(name)

    @trail.audited
    def ask(prompt):
        return 1

    @trail.audited(sanitize="prompt")
    def ask_cleanly(prompt, other):
        return other is not None

    ask(Unreadable())
    assert ask_cleanly("x", Unreadable())
    by_action = {entry.action: entry for entry in stored()}
    assert [by_action[name].sanitization for name in ("ask", "ask_cleanly")] == [None, {}]


async def test_coroutines_and_async_generators_are_cleaned_and_restored(trail, stored):
    @trail.audited(sanitize=("prompt",))
    async def ask(prompt):
        assert CARD not in prompt
        return Reply(text=prompt, inner={"a": [prompt]})

    @trail.audited(sanitize=("prompt",))
    async def stream(*, prompt):
        assert CARD not in prompt
        for character in f"{prompt} CARD_":
            yield character

    assert await ask(CARD) == Reply(text=CARD, inner={"a": [CARD]})
    assert "".join([part async for part in stream(prompt=CARD)]) == f"{CARD} CARD_"
    unfinished = stream(prompt=CARD)
    async for part in unfinished:
        if part == CARD:
            break
    await unfinished.aclose()
    assert sorted(entry.status for entry in stored()) == ["abandoned", "success", "success"]


async def test_a_stream_closed_at_what_was_held_back_has_ended(trail, stored):
    @trail.audited(sanitize=("prompt",))
    async def stream(prompt):
        yield f"{prompt} CARD_"

    steps = stream(CARD)
    assert [await anext(steps), await anext(steps)] == [f"{CARD} ", "CARD_"]
    await steps.aclose()
    assert [entry.status for entry in stored()] == ["success"]


def test_a_generator_is_cleaned_and_what_it_holds_back_comes_last(trail):
    @trail.audited(sanitize=("prompt",))
    def stream(prompt):
        got = yield prompt[:5]
        yield f"{prompt[5:]}{got}"
        yield "CARD_"
        return f"{prompt} CARD_"

    steps = stream(CARD)
    parts = [next(steps), steps.send("!"), next(steps), next(steps)]
    with pytest.raises(StopIteration) as stop:
        next(steps)
    assert "".join(parts) == f"{CARD}!CARD_"
    assert stop.value.value == f"{CARD} CARD_"


def test_methods_and_partials_have_named_arguments_too(trail):
    class Bot:
        @trail.audited(sanitize=("prompt",))
        def ask(self, prompt="x"):
            return CARD not in prompt

    assert Bot().ask(CARD)
    assert Bot().ask()
    assert trail.audited(sanitize=("b",))(functools.partial(lambda a, b: (a, CARD in b), 1))(CARD) == (1, False)


def test_a_blocked_argument_never_reaches_the_function():
    pipeline = [Writer(), Sanitizer({"CARD": "block"}), Timer()]
    with AuditTrail("memory://", pipeline=pipeline) as trail:

        @trail.audited(sanitize=("prompt",))
        def ask(prompt):
            raise AssertionError("it was called")

        with pytest.raises(CallBlocked, match="CARD"):
            ask(CARD)
        trail.sync.flush(10)
        (entry,) = trail.sync.query()
        assert (entry.status, entry.sanitization) == ("blocked", {"CARD": 1})


def test_wrong_arguments_fail_as_they_would_without(trail):
    @trail.audited(sanitize=("prompt",))
    def ask(prompt):
        return prompt

    with pytest.raises(TypeError):
        ask("x", "y")


def test_a_name_that_the_function_does_not_take_is_refused(trail):
    with pytest.raises(ConfigurationError, match="prompts"):
        trail.audited(sanitize=("prompts",))(lambda prompt: prompt)


def test_without_a_sanitizer_in_the_pipeline_nothing_is_let_through():
    trail = AuditTrail("memory://", pipeline=[Writer(), Hasher()])
    with pytest.raises(PipelineError, match=r"put a Sanitizer\(\)"):
        trail.audited(sanitize=("prompt",))(lambda prompt: prompt)


def test_the_bare_decorator_asks_its_trail_at_each_call():
    @audited(sanitize=("prompt",))
    def ask(prompt):
        return CARD in prompt

    try:
        with configure("memory://"):
            assert ask(CARD) is False
        configure("memory://", pipeline=[Writer()])
        with pytest.raises(PipelineError, match="Sanitizer"):
            ask(CARD)
        configure(None)
        assert ask(CARD) is True
    finally:
        configure(None)


async def test_a_stream_that_fails_is_recorded_as_without(trail, stored):
    @trail.audited(sanitize=("prompt",))
    async def stream(prompt):
        yield prompt
        raise ValueError(prompt)

    with pytest.raises(ValueError, match="CARD_"):
        [part async for part in stream(CARD)]
    (entry,) = stored()
    assert (entry.status, entry.error_type) == ("error", "ValueError")
    assert CARD not in entry.error_message
