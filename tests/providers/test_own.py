"""Formats that auditmw does not know: an application's own readers, and answers of libraries that imitate OpenAI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydantic
import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from auditmw import AuditTrail, providers
from auditmw.call import Call
from auditmw.errors import ConfigurationError
from auditmw.providers import READERS, Provider, for_answer, for_path

PAGE = Path(__file__).parents[2] / "docs" / "providers.md"


@pytest.fixture(autouse=True)
def _registered_readers_go_again():
    known = dict(READERS)
    yield
    READERS.clear()
    READERS.update(known)


@pytest.fixture
def trail():
    with AuditTrail("memory://") as running:
        yield running


def recorded(trail: AuditTrail) -> Any:
    trail.sync.flush(10)
    [entry] = trail.sync.query()
    return entry


class Letters(Provider):
    """The least that a reader needs."""

    name = "letters"
    paths = ("/v1/letters",)

    def matches(self, answer: Any) -> bool:
        return isinstance(answer, dict) and "letter" in answer

    def read_response(self, call: Call, body: Any) -> None:
        call.response = body
        call.response_model = body["model"]


def test_the_page_about_providers_runs():
    document = Sybil(parsers=[PythonCodeBlockParser()]).parse(PAGE)
    examples = list(document.examples())
    for example in examples:
        example.evaluate()
    assert len(examples) == 3


def test_a_registered_reader_is_used_by_path_and_by_answer(trail):
    reader = Letters()
    providers.register(reader)
    providers.register(reader)
    assert for_path("/proxy/v1/letters?x=1") is reader
    assert for_answer({"letter": "a"}) is reader

    @trail.audited
    def ask():
        return {"letter": "a", "model": "m-1"}

    ask()
    entry = recorded(trail)
    assert (entry.kind, entry.provider, entry.model, entry.cost_status) == ("llm", "letters", "m-1", "no_usage")


def test_a_reader_may_be_given_to_one_function_only(trail):
    @trail.audited(reader=Letters())
    def ask():
        return {"letter": "a", "model": "m-1"}

    ask()
    assert recorded(trail).provider == "letters"
    assert for_answer({"letter": "a"}) is None


def test_what_a_reader_leaves_out_is_not_read():
    reader = Letters()
    call = Call(request_id="r", timestamp_us=0, request={"model": "m", "stream": True})
    reader.read_request(call)
    reader.read_stream(call, b"data: {}")
    reader.read_error(call, {"error": {"type": "busy", "message": "Later."}})
    assert (call.provider, call.model, call.stream, call.status) == ("letters", "m", True, None)
    assert (call.error_type, call.error_message) == ("busy", "Later.")
    request = call.request
    assert [f(request) for f in (reader.system_prompt, reader.input, reader.params, reader.output)] == [None] * 4


@pytest.mark.parametrize("wrong", [object(), Letters, "letters"])
def test_what_is_no_reader_is_refused(wrong):
    with pytest.raises(ConfigurationError, match=r"register an instance of a class that derives from .*Provider"):
        providers.register(wrong)


class Message(pydantic.BaseModel):
    content: str
    role: str = "assistant"


class Choice(pydantic.BaseModel):
    index: int = 0
    finish_reason: str
    message: Message


class CompletionUsage(pydantic.BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: dict[str, int] | None = None


class ModelResponse(pydantic.BaseModel):
    """As LiteLLM returns: OpenAI's shape from its own classes, whoever has answered."""

    id: str
    created: int
    model: str
    object: str
    system_fingerprint: str | None = None
    choices: list[Choice]
    usage: CompletionUsage
    _hidden_params: dict[str, Any] = pydantic.PrivateAttr(default_factory=dict)


async def acompletion(model: str, **_: Any) -> ModelResponse:
    return ModelResponse(
        id="chatcmpl-1",
        created=1,
        model=model,
        object="chat.completion",
        choices=[Choice(finish_reason="stop", message=Message(content="Hi!"))],
        usage=CompletionUsage(
            prompt_tokens=20, completion_tokens=3, total_tokens=23, prompt_tokens_details={"cached_tokens": 5}
        ),
    )


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("gpt-6.1-sol", "openai"),
        ("openai/o4-mini", "openai"),
        ("claude-sonnet-5-5", None),
        ("gpt-oss-120b", None),
        ("ollama/qwen4", None),
    ],
)
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_answer_of_litellm_is_read_and_its_provider_is_only_told_where_its_model_tells(model, provider, trail):
    answer = await trail.audited(acompletion)(model, messages=[])
    assert type(answer) is ModelResponse
    await trail.flush(10)
    [entry] = [e async for e in trail.query()]
    assert (entry.kind, entry.provider, entry.model, entry.stop_reason) == ("llm", provider, model, "stop")
    assert (entry.input_tokens, entry.cache_read_tokens, entry.output_tokens) == (15, 5, 3)


def test_anthropics_format_is_always_anthropics(trail):
    @trail.audited
    def ask():
        return {
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [],
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }

    ask()
    assert recorded(trail).provider == "anthropic"
