"""What an audited OpenAI client changes (nothing) and records (every attempt that sends data out)."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
import threading
from typing import Any

import anyio
import httpx2
import openai
import pydantic
import pytest

from auditmw import AuditTrail, Blocked, CallBlocked, PipelineError
from auditmw.errors import ConfigurationError, MissingExtra
from auditmw.middleware import Writer, default_pipeline
from auditmw.testing import Answer, Drop, Gzip, MidStreamError, ReceivedRequest, Reply, Signal, StandInProvider, Status

MODEL = "gpt-6.1-sol"
ASK: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
USAGE = {"include_usage": True}


class City(pydantic.BaseModel):
    name: str
    people: int


def created(client: openai.OpenAI) -> Any:
    return client.chat.completions.create(**ASK)


def streamed(client: openai.OpenAI) -> Any:
    return list(client.chat.completions.create(**ASK, stream=True, stream_options=USAGE))


def stream_helper(client: openai.OpenAI) -> Any:
    with client.chat.completions.stream(**ASK, stream_options=USAGE) as stream:
        return [event.type for event in stream], stream.get_final_completion()


def parsed(client: openai.OpenAI) -> Any:
    return client.chat.completions.parse(**ASK, response_format=City)


def raw_response(client: openai.OpenAI) -> Any:
    raw = client.chat.completions.with_raw_response.create(**ASK)
    return type(raw), raw.status_code, raw.text, raw.parse()


def streaming_response(client: openai.OpenAI) -> Any:
    with client.chat.completions.with_streaming_response.create(**ASK) as response:
        return type(response), b"".join(response.iter_bytes())


def response_created(client: openai.OpenAI) -> Any:
    return client.responses.create(model=MODEL, input="hello")


def response_streamed(client: openai.OpenAI) -> Any:
    return list(client.responses.create(model=MODEL, input="hello", stream=True))


def response_parsed(client: openai.OpenAI) -> Any:
    return client.responses.parse(model=MODEL, input="hello", text_format=City)


WAYS = [
    created,
    streamed,
    stream_helper,
    parsed,
    raw_response,
    streaming_response,
    response_created,
    response_streamed,
    response_parsed,
]


@pytest.mark.parametrize("gzipped", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("way", WAYS)
def test_an_audited_client_sends_and_returns_the_same_and_makes_one_entry(way, gzipped, trail, stored):
    def run(wrapped: bool) -> tuple[Any, Any]:
        with StandInProvider() as provider:
            if gzipped:
                provider.script(Gzip())
            with openai.OpenAI(api_key="test", base_url=provider.openai_url) as client:
                answer = way(trail.wrap(client) if wrapped else client)
            [request] = provider.requests
            headers = {k: v for k, v in request.headers.items() if k != "host"}
            return answer, (request.method, request.path, headers, request.body)

    assert run(wrapped=True) == run(wrapped=False)
    [entry] = stored()
    assert (entry.kind, entry.status, entry.usage_complete) == ("llm", "success", True)
    assert entry.provider_request_id
    assert entry.response_id


async def test_the_attempts_of_a_call_share_its_id_in_order_and_only_the_last_is_priced(provider, async_gpt, stored):
    provider.script(Status(429, retry_after=0), Drop(), ())
    await async_gpt.with_options(max_retries=2).chat.completions.create(**ASK)
    first, second, third = await anyio.to_thread.run_sync(stored)
    assert first.call_id == second.call_id == third.call_id == first.request_id
    assert [e.attempt for e in (first, second, third)] == [0, 1, 2]
    assert [e.status for e in (first, second, third)] == ["error", "error", "success"]
    assert [e.cost_status for e in (first, second, third)] == ["not_billed", "no_usage", "priced"]
    assert (first.error_type, first.http_status) == ("rate_limit_error", 429)
    assert second.error_type == "RemoteProtocolError"


def test_the_attempts_of_a_sync_call_share_its_id_too(provider, gpt, stored):
    provider.script(Status(500), ())
    gpt.with_options(max_retries=1).chat.completions.create(**ASK)
    first, second = stored()
    assert (second.call_id, second.attempt) == (first.call_id, 1)


def cut_in_half(reply: Reply) -> Reply:
    [body] = reply.steps
    return dataclasses.replace(reply, steps=[body[: len(body) // 2], Signal.CUT])


async def test_an_answer_that_is_cut_off_is_an_error_and_tried_again(provider, async_gpt, stored):
    provider.script(cut_in_half, ())
    await async_gpt.with_options(max_retries=1).chat.completions.create(**ASK)
    first, second = await anyio.to_thread.run_sync(stored)
    assert (first.status, first.error_type, first.http_status) == ("error", "RemoteProtocolError", 200)
    assert (second.status, second.call_id, second.attempt) == ("success", first.call_id, 1)


def test_a_sync_answer_that_is_cut_off_is_an_error_and_tried_again(provider, gpt, stored):
    provider.script(cut_in_half, ())
    gpt.with_options(max_retries=1).chat.completions.create(**ASK)
    first, second = stored()
    assert (first.status, first.error_type, first.http_status) == ("error", "RemoteProtocolError", 200)
    assert (second.status, second.call_id, second.attempt) == ("success", first.call_id, 1)


def test_a_call_repeated_by_hand_is_another_call(provider, gpt, stored):
    provider.script(Status(500), ())
    with pytest.raises(openai.InternalServerError):
        gpt.chat.completions.create(**ASK)
    gpt.chat.completions.create(**ASK)
    first, second = stored()
    assert first.call_id != second.call_id
    assert second.attempt == 0


def is_first_attempt(request: ReceivedRequest) -> bool:
    return request.headers["x-stainless-retry-count"] == "0"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_retries_of_equal_calls_at_the_same_time_are_not_mixed_up(provider, async_gpt, trail, stored):
    tasks = 30
    provider.rule(is_first_attempt, Status(503, retry_after=0))

    async def ask(user: str) -> None:
        with trail.context(user_id=user):
            await async_gpt.with_options(max_retries=3).chat.completions.create(**ASK)

    await asyncio.gather(*(ask(f"user-{n}") for n in range(tasks)))
    calls: dict[str, list[Any]] = {}
    for entry in await anyio.to_thread.run_sync(stored):
        calls.setdefault(entry.call_id, []).append(entry)
    assert len(calls) == tasks
    assert all(len({e.user_id for e in attempts}) == 1 for attempts in calls.values())
    for attempts in calls.values():
        assert [(e.attempt, e.status) for e in attempts] == [(0, "error"), (1, "success")]


def test_retries_in_threads_are_not_mixed_up(provider, gpt, trail, stored):
    provider.rule(is_first_attempt, Status(503, retry_after=0))

    def ask(user: str) -> None:
        with trail.context(user_id=user):
            gpt.with_options(max_retries=3).chat.completions.create(**ASK)

    threads = [threading.Thread(target=ask, args=(f"user-{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    users: dict[str, set[Any]] = {}
    for entry in stored():
        users.setdefault(entry.call_id, set()).add(entry.user_id)
    assert len(users) == 8
    assert all(len(names) == 1 for names in users.values())


def test_a_retry_whose_first_attempt_was_seen_by_nobody_keeps_its_number(provider, gpt, stored):
    headers = {"x-stainless-retry-count": "2"}
    gpt.chat.completions.create(**ASK, extra_headers=headers)
    gpt.chat.completions.create(**ASK, extra_headers={"x-stainless-retry-count": "many"})
    first, second = stored()
    assert (first.call_id, first.attempt) == (first.request_id, 2)
    assert second.attempt == 0


def test_wrapping_keeps_type_and_original_and_twice_is_once(provider, trail, stored):
    with openai.OpenAI(api_key="test", base_url=provider.openai_url, max_retries=7, timeout=11) as plain:
        wrapped = trail.wrap(plain)
        assert type(wrapped) is openai.OpenAI
        assert (wrapped.api_key, wrapped.base_url, wrapped.max_retries, wrapped.timeout) == (
            plain.api_key,
            plain.base_url,
            7,
            11,
        )
        assert trail.wrap(wrapped) is wrapped
        assert trail.wrap(wrapped.with_options(timeout=5)).timeout == 5
        plain.chat.completions.create(**ASK)
        assert stored() == []
        trail.wrap(wrapped.with_options(timeout=5)).chat.completions.create(**ASK)
        assert len(stored()) == 1


def test_two_trails_each_get_their_entry(provider, trail, gpt, stored):
    with AuditTrail("memory://") as other:
        both = other.wrap(gpt)
        assert trail.wrap(both) is both
        both.chat.completions.create(**ASK)
        other.sync.flush(10)
        assert len(list(other.sync.query())) == 1
    assert len(stored()) == 1


def test_closing_the_wrapped_client_closes_the_original(provider, trail):
    plain = openai.OpenAI(api_key="test", base_url=provider.openai_url)
    wrapped = trail.wrap(plain)
    assert not wrapped.is_closed()
    wrapped.close()
    assert wrapped.is_closed()
    assert plain.is_closed()


async def test_closing_the_wrapped_async_client_closes_the_original(provider, trail):
    plain = openai.AsyncOpenAI(api_key="test", base_url=provider.openai_url)
    async with trail.wrap(plain) as wrapped:
        assert not wrapped.is_closed()
    assert wrapped.is_closed()
    assert plain.is_closed()


async def test_a_new_client_is_audited_by_its_http_client(provider, trail, stored):
    http_client = trail.http_client(headers={"x-team": "blue"})
    async with openai.AsyncOpenAI(api_key="test", base_url=provider.openai_url, http_client=http_client) as client:
        assert trail.wrap(client) is client
        assert client.timeout == openai.DEFAULT_TIMEOUT
        await client.chat.completions.create(**ASK)
    [entry] = await anyio.to_thread.run_sync(stored)
    assert entry.status == "success"
    assert provider.requests[0].headers["x-team"] == "blue"


def test_a_new_sync_client_is_audited_by_its_http_client(provider, trail, stored):
    http_client = trail.sync.http_client(timeout=3.0)
    with openai.OpenAI(api_key="test", base_url=provider.openai_url, http_client=http_client) as client:
        assert client.timeout == httpx2.Timeout(3.0)
        client.chat.completions.create(**ASK)
    [entry] = stored()
    assert entry.status == "success"


def answering(body: Any, **headers: str) -> httpx2.MockTransport:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": "application/json", **headers}
    return httpx2.MockTransport(lambda _: httpx2.Response(200, headers=headers, content=content))


COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-6.1-sol-2026-09-01",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 60}},
}


def test_mounts_and_event_hooks_of_the_users_http_client_stay_in_use(trail, stored):
    sent: list[httpx2.Request] = []
    http_client = httpx2.Client(
        mounts={"https://": answering(COMPLETION)},
        event_hooks={"request": [sent.append], "response": [lambda response: response.read()]},
    )
    with openai.OpenAI(api_key="test", http_client=http_client) as plain:
        answer = trail.wrap(plain).chat.completions.create(**ASK)
    assert answer.choices[0].message.content == "Hi"
    assert len(sent) == 1
    [entry] = stored()
    assert (entry.host, entry.status, entry.output_tokens) == ("api.openai.com", "success", 7)


async def test_an_async_event_hook_that_reads_the_answer_does_not_hide_it(trail, stored):
    async def read(response: httpx2.Response) -> None:
        await response.aread()

    http_client = httpx2.AsyncClient(transport=answering(COMPLETION), event_hooks={"response": [read]})
    async with openai.AsyncOpenAI(api_key="test", http_client=http_client) as plain:
        await trail.wrap(plain).chat.completions.create(**ASK)
    [entry] = await anyio.to_thread.run_sync(stored)
    assert (entry.status, entry.output_tokens) == ("success", 7)


def test_cached_tokens_are_not_counted_twice(trail, stored):
    with openai.OpenAI(api_key="test", http_client=httpx2.Client(transport=answering(COMPLETION))) as plain:
        trail.wrap(plain).chat.completions.create(**ASK)
    [entry] = stored()
    assert (entry.input_tokens, entry.cache_read_tokens, entry.output_tokens) == (40, 60, 7)
    assert (entry.model, entry.response_model) == (MODEL, "gpt-6.1-sol-2026-09-01")


def test_a_chat_stream_without_usage_is_no_usage_and_never_zero(gpt, stored):
    list(gpt.chat.completions.create(**ASK, stream=True))
    [entry] = stored()
    assert (entry.status, entry.stop_reason, entry.stream) == ("success", "stop", True)
    assert (entry.input_tokens, entry.output_tokens, entry.cost_usd) == (None, None, None)
    assert entry.cost_status == "no_usage"


@pytest.mark.parametrize(
    ("outcome", "status", "stop_reason"),
    [
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            "success",
            "max_output_tokens",
        ),
        ({"status": "failed", "error": {"code": "server_error", "message": "Sorry."}}, "error", "failed"),
    ],
)
def test_an_incomplete_response_is_success_with_its_reason_and_a_failed_one_an_error(
    outcome, status, stop_reason, trail, stored
):
    body = {"id": "resp_1", "object": "response", "model": MODEL, "output": [], **outcome}
    with openai.OpenAI(api_key="test", http_client=httpx2.Client(transport=answering(body))) as plain:
        trail.wrap(plain).responses.create(model=MODEL, input="hello")
    [entry] = stored()
    assert (entry.status, entry.stop_reason) == (status, stop_reason)


def test_the_tier_that_served_and_the_safety_identifier_are_kept(gpt, stored):
    gpt.chat.completions.create(**ASK, service_tier="fast", safety_identifier="user-hash")
    [entry] = stored()
    assert entry.service_tier == "priority"
    assert entry.metadata == {"safety_identifier": "user-hash"}


async def test_azure_is_recorded_as_azure_with_its_own_request_id(trail, stored):
    transport = answering(COMPLETION, **{"apim-request-id": "apim-1"})
    async with openai.AsyncAzureOpenAI(
        api_key="test",
        azure_endpoint="https://corp.openai.azure.com",
        api_version="2026-06-01",
        http_client=httpx2.AsyncClient(transport=transport),
    ) as plain:
        wrapped = trail.wrap(plain)
        assert type(wrapped) is openai.AsyncAzureOpenAI
        await wrapped.chat.completions.create(**{**ASK, "model": "my-deployment"})
    [entry] = await anyio.to_thread.run_sync(stored)
    assert (entry.provider, entry.host) == ("azure.ai.openai", "corp.openai.azure.com")
    assert (entry.model, entry.response_model) == ("my-deployment", "gpt-6.1-sol-2026-09-01")
    assert (entry.kind, entry.provider_request_id) == ("llm", "apim-1")


@pytest.mark.parametrize(("model", "vendor"), [("gpt-6.1-sol", "openai"), ("qwen4:8b", None)])
def test_on_another_server_only_the_model_tells_the_provider(model, vendor, gpt, stored):
    gpt.chat.completions.create(**{**ASK, "model": model})
    [entry] = stored()
    assert entry.provider == vendor


def test_what_generates_nothing_is_a_request(trail, stored):
    body = {
        "object": "list",
        "model": "text-embedding-3-small",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
    }
    with openai.OpenAI(api_key="test", http_client=httpx2.Client(transport=answering(body))) as plain:
        trail.wrap(plain).embeddings.create(model="text-embedding-3-small", input="hello", encoding_format="float")
    [entry] = stored()
    assert (entry.kind, entry.action, entry.status) == ("request", "embeddings", "success")
    assert (entry.model, entry.input_tokens, entry.cost_usd) == ("text-embedding-3-small", 5, None)


def test_an_answer_that_is_no_json_is_recorded_when_it_has_passed(trail, stored):
    transport = answering(b"\x00sound", **{"content-type": "audio/mpeg"})
    with openai.OpenAI(api_key="test", http_client=httpx2.Client(transport=transport)) as plain:
        spoken = trail.wrap(plain).audio.speech.create(model="tts-2", voice="alloy", input="hello")
        assert spoken.content == b"\x00sound"
    [entry] = stored()
    assert (entry.kind, entry.action, entry.status) == ("request", "audio.speech", "success")


@pytest.mark.parametrize("content", [b'{"model": "m", "input": "\\ud800"}', b"{"])
def test_a_body_that_is_odd_json_is_sent_as_it_is(content, trail, stored):
    sent: list[bytes] = []
    hooks = {"request": [lambda request: sent.append(request.content)]}
    http_client = httpx2.Client(transport=answering({"object": "response", "output": []}), event_hooks=hooks)
    with openai.OpenAI(api_key="test", http_client=http_client) as plain:
        headers = {"content-type": "application/json"}
        trail.wrap(plain).post("/responses", content=content, options={"headers": headers}, cast_to=object)
    assert sent == [content]
    [entry] = stored()
    assert (entry.kind, entry.status, entry.audit_errors) == ("llm", "success", 0)
    assert entry.model == (None if content == b"{" else "m")


def test_an_uploaded_file_is_a_request_and_its_content_is_not_read(trail, stored):
    body = {
        "id": "file-1",
        "object": "file",
        "bytes": 2,
        "created_at": 1,
        "filename": "a",
        "purpose": "x",
        "status": "x",
    }
    with openai.OpenAI(api_key="test", http_client=httpx2.Client(transport=answering(body))) as plain:
        trail.wrap(plain).files.create(file=("a.jsonl", b"{}"), purpose="batch")
    [entry] = stored()
    assert (entry.kind, entry.action, entry.status, entry.input_hash) == ("request", "files", "success", None)


def test_fetching_is_not_recorded(trail, stored):
    body = {"object": "list", "data": []}
    with openai.OpenAI(api_key="test", http_client=httpx2.Client(transport=answering(body))) as plain:
        assert list(trail.wrap(plain).models.list()) == []
    assert stored() == []


async def test_fetching_with_an_async_client_is_not_recorded(trail, stored):
    http_client = httpx2.AsyncClient(transport=answering({"object": "list", "data": []}))
    async with openai.AsyncOpenAI(api_key="test", http_client=http_client) as plain:
        assert [model async for model in trail.wrap(plain).models.list()] == []
    assert await anyio.to_thread.run_sync(stored) == []


def shout(call):
    call.request = {**call.request, "messages": [{"role": "user", "content": "HELLO"}]}
    call.on_chunk(lambda answer: {**answer, "model": "renamed"} if isinstance(answer, dict) else None)
    yield


def refuse(call):
    raise Blocked("not today")
    yield


def look_on(call):
    call.on_chunk(lambda answer: None)
    yield


async def test_a_middleware_replaces_what_is_sent_and_what_comes_back(provider):
    async with AuditTrail("memory://", pipeline=[*default_pipeline(), shout]) as trail:
        async with openai.AsyncOpenAI(api_key="test", base_url=provider.openai_url) as plain:
            client = trail.wrap(plain)
            messages = [{"role": "user", "content": "hello"}]
            answer = await client.chat.completions.create(model=MODEL, messages=messages)
            raw = await client.chat.completions.with_raw_response.create(model=MODEL, messages=messages)
            assert raw.elapsed.total_seconds() > 0
            assert trail.request_id(raw) is not None
            events = [e async for e in await client.responses.create(model=MODEL, input="hi", stream=True)]
        assert answer.model == "renamed"
        assert json.loads(raw.text)["model"] == "renamed"
        assert events[0].response.model == MODEL
        assert messages == [{"role": "user", "content": "hello"}]
        assert [r.json()["messages"][0]["content"] for r in provider.requests] == ["HELLO"] * 3
        assert provider.requests[0].headers["content-length"] == str(len(provider.requests[0].body))


def test_sound_is_nothing_that_a_middleware_replaces():
    transport = answering(b"\x00sound", **{"content-type": "audio/mpeg"})
    with (
        AuditTrail("memory://", pipeline=[Writer(), look_on]) as trail,
        openai.OpenAI(api_key="test", http_client=httpx2.Client(transport=transport)) as plain,
    ):
        spoken = trail.wrap(plain).audio.speech.create(model="tts-2", voice="alloy", input="hello")
        assert spoken.content == b"\x00sound"


def test_a_middleware_that_only_looks_on_changes_nothing(provider):
    with AuditTrail("memory://", pipeline=[*default_pipeline(), look_on]) as trail:
        with openai.OpenAI(api_key="test", base_url=provider.openai_url) as plain:
            provider.script(Gzip())
            with trail.wrap(plain).chat.completions.with_streaming_response.create(**ASK) as response:
                lines = list(response.iter_lines())
        assert json.loads("".join(lines))["object"] == "chat.completion"
        trail.sync.flush(10)
        [entry] = trail.sync.query()
        assert entry.usage_complete


async def test_a_blocked_call_is_not_sent_and_not_tried_again(provider):
    async with AuditTrail("memory://", pipeline=[Writer(), refuse]) as trail:
        async with openai.AsyncOpenAI(api_key="test", base_url=provider.openai_url, max_retries=5) as plain:
            with pytest.raises(CallBlocked, match="not today") as blocked:
                await trail.wrap(plain).chat.completions.create(**ASK)
        assert provider.requests == []
        await trail.flush(10)
        [entry] = [e async for e in trail.query()]
        assert (entry.status, entry.request_id) == ("blocked", blocked.value.request_id)


async def async_only(call):
    yield


def test_an_async_middleware_is_refused_where_a_sync_client_is_wrapped():
    with (
        AuditTrail("memory://", pipeline=[Writer(), async_only]) as trail,
        openai.OpenAI(api_key="test") as client,
        pytest.raises(PipelineError, match="async_only is async and a call of a sync OpenAI client is not"),
    ):
        trail.wrap(client)


class Corporate(openai.OpenAI):
    def __init__(self, team: str) -> None:
        super().__init__(api_key=team)


def test_a_subclass_that_the_sdk_cannot_copy_is_refused_with_a_way_out(trail):
    with Corporate("blue") as client, pytest.raises(ConfigurationError, match=r"http_client=trail\.http_client\(\)"):
        trail.wrap(client)


def test_a_client_on_another_http_library_is_refused(trail):
    with openai.OpenAI(api_key="test") as client:
        client._client, kept = object(), client._client
        with pytest.raises(ConfigurationError, match="sends with builtins, which auditmw cannot record"):
            trail.wrap(client)
        client._client = kept


def test_the_entry_of_every_answer_and_error_is_found(provider, gpt, trail, stored):
    answer = gpt.chat.completions.create(**ASK)
    raw = gpt.chat.completions.with_raw_response.create(**ASK)
    stream = gpt.chat.completions.create(**ASK, stream=True)
    list(stream)
    response = gpt.responses.create(model=MODEL, input="hello")
    provider.script(Status(400), Drop(), MidStreamError())
    errors = []
    for options in ({}, {}, {"stream": True}):
        with pytest.raises(openai.APIError) as raised:
            list(gpt.chat.completions.create(**ASK, **options))
        errors.append(raised.value)
    assert [trail.request_id(found) for found in (answer, raw, stream, response, *errors)] == [
        entry.request_id for entry in stored()
    ]
    assert trail.request_id(object()) is None


def test_the_time_to_the_first_chunk_is_told_of_streams_only(gpt, stored):
    gpt.chat.completions.create(**ASK)
    list(gpt.chat.completions.create(**ASK, stream=True))
    whole, streamed = stored()
    assert whole.ttft_ms is None
    assert 0 < streamed.ttft_ms <= streamed.latency_ms


def test_tools_that_were_called_are_named(provider, gpt, stored):
    provider.answer = Answer(tool_input={"city": "Oslo"})
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    gpt.chat.completions.create(**ASK, tools=[tool])
    [entry] = stored()
    assert (entry.tool_names, entry.stop_reason) == (["weather"], "tool_calls")


def test_without_the_sdk_the_missing_extra_is_named(trail, monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    monkeypatch.delitem(sys.modules, "auditmw.clients.openai")
    with pytest.raises(MissingExtra, match=r"auditmw\[openai\]"):
        trail.http_client()
