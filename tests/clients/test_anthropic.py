"""The Anthropic SDK's calls, retries and other requests, recorded through its own middleware."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anthropic
import anyio
import httpx2
import pydantic
import pytest

import auditmw.clients
from auditmw import AuditTrail, Blocked, CallBlocked
from auditmw.clients import batches
from auditmw.errors import ConfigurationError, MissingExtra
from auditmw.middleware import default_pipeline
from auditmw.testing import Answer, Drop, Gzip, Hang, StandInProvider, Status

ASK: dict[str, Any] = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "hello"}],
}
TOOL: dict[str, Any] = {
    "name": "weather",
    "description": "The weather.",
    "input_schema": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
}


# --- attempts of one call ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "error_type"), [(529, "overloaded_error"), (500, "api_error"), (429, "rate_limit_error")]
)
async def test_every_attempt_of_a_call_has_an_entry_and_only_the_last_is_priced(
    code, error_type, provider, trail, make_async_client, stored
):
    provider.script(Status(code, retry_after=0), Status(code, retry_after=0))
    async with make_async_client(max_retries=2) as plain:
        await trail.wrap(plain).messages.create(**ASK)
    entries = await anyio.to_thread.run_sync(stored)
    assert [(e.attempt, e.status, e.error_type, e.http_status) for e in entries] == [
        (0, "error", error_type, code),
        (1, "error", error_type, code),
        (2, "success", None, 200),
    ]
    assert {e.call_id for e in entries} == {entries[0].request_id}
    assert [e.cost_status for e in entries] == ["not_billed", "not_billed", "priced"]
    assert [e.cost_usd is None for e in entries] == [True, True, False]


def test_a_retried_stream_keeps_the_type_of_the_error_that_its_sdk_never_reads(provider, trail, make_client, stored):
    provider.script(Status(529, retry_after=0))
    with make_client(max_retries=1) as plain, trail.wrap(plain).messages.stream(**ASK) as stream:
        stream.until_done()
    first, last = stored()
    assert (first.error_type, first.status, last.status) == ("overloaded_error", "error", "success")
    assert first.call_id == last.call_id


async def test_attempts_that_no_connection_carried_are_entries_of_one_call(provider, trail, make_async_client, stored):
    provider.script(Drop())
    async with make_async_client(max_retries=1) as plain:
        await trail.wrap(plain).messages.create(**ASK)
    entries = await anyio.to_thread.run_sync(stored)
    assert [(e.attempt, e.status, e.error_type) for e in entries] == [
        (0, "error", "APIConnectionError"),
        (1, "success", None),
    ]
    assert entries[0].usage_complete is False
    assert entries[0].call_id == entries[1].call_id


def test_a_call_that_failed_for_good_leaves_all_its_attempts(provider, trail, make_client, stored):
    provider.script(Status(500, retry_after=0), Status(503, retry_after=0))
    with make_client(max_retries=1) as plain, pytest.raises(anthropic.InternalServerError):
        trail.wrap(plain).messages.create(**ASK)
    assert [(e.attempt, e.http_status) for e in stored()] == [(0, 500), (1, 503)]


def test_two_calls_after_each_other_have_ids_of_their_own(client, stored):
    client.messages.create(**ASK)
    client.messages.create(**ASK)
    first, second = stored()
    assert first.call_id != second.call_id
    assert [e.attempt for e in (first, second)] == [0, 0]


def test_a_timeout_is_an_error_entry(provider, trail, make_client, stored):
    provider.script(Hang())
    with make_client(max_retries=0, timeout=0.05) as plain, pytest.raises(anthropic.APITimeoutError):
        trail.wrap(plain).messages.create(**ASK)
    [entry] = stored()
    assert (entry.status, entry.error_type, entry.output_tokens) == ("error", "APITimeoutError", None)


def test_an_error_body_that_breaks_off_changes_nothing_for_the_caller(provider, trail, make_client, stored):
    provider.script((Status(529, retry_after=0), Drop(1)))
    with make_client(max_retries=1) as plain:
        assert trail.wrap(plain).messages.create(**ASK).content
    assert [e.status for e in stored()] == ["error", "success"]


# --- what is recorded -------------------------------------------------------------------------------------------------


def test_an_entry_tells_model_usage_ids_and_time(client, stored):
    message = client.messages.create(**ASK)
    [entry] = stored()
    assert (entry.provider, entry.kind, entry.model) == ("anthropic", "llm", "claude-sonnet-5-5")
    assert entry.input_tokens == message.usage.input_tokens
    assert entry.output_tokens == message.usage.output_tokens
    assert entry.response_id == message.id
    assert entry.provider_request_id == message._request_id
    assert entry.stop_reason == "end_turn"
    assert entry.stream is None or entry.stream is False
    assert entry.latency_us > 0
    assert entry.ttft_us is None


def test_a_stream_has_a_time_to_the_first_chunk(client, stored):
    with client.messages.stream(**ASK) as stream:
        stream.until_done()
    [entry] = stored()
    assert entry.stream is True
    assert 0 < entry.ttft_us <= entry.latency_us


@pytest.mark.parametrize("stream", [False, True])
def test_a_compressed_answer_is_read_like_a_plain_one(stream, provider, client, stored):
    provider.script(Gzip())
    answer = client.messages.create(**ASK, stream=stream)
    if stream:
        list(answer)
    [entry] = stored()
    assert (entry.status, entry.usage_complete, entry.audit_errors) == ("success", True, 0)
    assert entry.output_tokens


def test_a_compressed_stream_that_breaks_off_keeps_what_was_seen(provider, client, stored):
    provider.script((Answer(deltas=50), Drop(5), Gzip()))
    with pytest.raises(httpx2.RemoteProtocolError):
        list(client.messages.create(**ASK, stream=True))
    [entry] = stored()
    assert (entry.status, entry.audit_errors, entry.usage_complete) == ("error", 0, False)
    assert entry.input_tokens


def test_streamed_or_not_the_same_answer_has_the_same_digests(tmp_path, provider, make_client):
    with AuditTrail(f"sqlite:///{tmp_path}/audit.db") as trail, make_client() as plain:
        client = trail.wrap(plain)
        client.messages.create(**ASK)
        list(client.messages.create(**ASK, stream=True))
        trail.sync.flush(10)
        whole, streamed = trail.sync.query()
    assert whole.output_hash == streamed.output_hash is not None
    assert whole.input_hash == streamed.input_hash is not None
    assert whole.system_prompt_hash is None


def test_messages_that_mean_the_same_have_the_same_digest(tmp_path, provider, make_client):
    turns = [
        [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        ({"role": "user", "content": [block]} for block in [{"text": "hi", "type": "text"}]),
        [{"role": "user", "content": [anthropic.types.TextBlock(type="text", text="hi")]}],
    ]
    with AuditTrail(f"sqlite:///{tmp_path}/audit.db") as trail, make_client() as plain:
        client = trail.wrap(plain)
        for messages in turns:
            client.messages.create(**{**ASK, "messages": messages})
        trail.sync.flush(10)
        hashes = {entry.input_hash for entry in trail.sync.query()}
    assert len(hashes) == 1


async def test_digests_of_a_large_prompt_equal_those_of_the_sync_way(tmp_path, make_client, make_async_client):
    large = {**ASK, "messages": [{"role": "user", "content": "word " * 20_000}]}
    async with AuditTrail(f"sqlite:///{tmp_path}/audit.db") as trail:
        async with make_async_client() as plain:
            await trail.wrap(plain).messages.create(**large)
        with make_client() as plain:
            await anyio.to_thread.run_sync(lambda: trail.wrap(plain).messages.create(**large))
        await trail.flush(10)
        first, second = [entry async for entry in trail.query()]
    assert first.input_hash == second.input_hash is not None
    assert (first.audit_errors, second.audit_errors) == (0, 0)


def test_the_body_is_sent_byte_for_byte_as_without_an_audit(provider, trail, make_client):
    calls = [
        {**ASK, "system": "be brief", "tools": [TOOL], "stop_sequences": ["END"], "extra_body": {"zeta": 1}},
        {**ASK, "messages": ({"role": "user", "content": text} for text in ["ünï\u2028code"])},
        {**ASK, "stream": True},
    ]
    with make_client() as plain:
        for client in (plain, trail.wrap(plain)):
            for call in calls:
                messages = call["messages"]
                if not isinstance(messages, list):
                    call = {**call, "messages": [{"role": "user", "content": "ünï\u2028code"}]}
                answer = client.messages.create(**call)
                if call.get("stream"):
                    list(answer)
    without, audited = provider.requests[:3], provider.requests[3:]
    assert [r.body for r in without] == [r.body for r in audited]
    assert [r.path for r in without] == [r.path for r in audited]


def test_what_a_middleware_replaces_is_what_is_sent_and_the_callers_own_stays(provider, make_client):
    def shout(call):
        call.request = {**call.request, "messages": [{"role": "user", "content": "HELLO"}]}
        yield

    mine = {**ASK}
    with AuditTrail("memory://", pipeline=[*default_pipeline(), shout]) as trail, make_client() as plain:
        trail.wrap(plain).messages.create(**mine, extra_body={"zeta": 1})
    sent = provider.requests[0].json()
    assert sent["messages"] == [{"role": "user", "content": "HELLO"}]
    assert sent["zeta"] == 1
    assert mine == ASK


def test_extra_body_is_part_of_what_is_recorded(provider, make_client):
    seen = []

    def look(call):
        seen.append(call.request)
        yield

    with AuditTrail("memory://", pipeline=[*default_pipeline(), look]) as trail, make_client() as plain:
        trail.wrap(plain).messages.create(**ASK, extra_body={"zeta": 1})
    assert seen == [provider.requests[0].json()]


# --- the other requests -----------------------------------------------------------------------------------------------


async def test_counting_tokens_is_a_request_and_no_llm_call(async_client, stored):
    await async_client.messages.count_tokens(model=ASK["model"], messages=ASK["messages"])
    [entry] = await anyio.to_thread.run_sync(stored)
    assert (entry.kind, entry.action, entry.status, entry.model) == (
        "request",
        "messages.count_tokens",
        "success",
        "claude-sonnet-5-5",
    )
    assert (entry.cost_status, entry.output_tokens) == (None, None)


def submit(client: Any) -> Any:
    return client.messages.batches.create(
        requests=[{"custom_id": name, "params": ASK} for name in ("good", "bad", "late", "gone")]
    )


BATCH = [
    ("good", "success", "priced", None),
    ("bad", "error", None, "api_error"),
    ("late", "error", None, "expired"),
    ("gone", "cancelled", None, "canceled"),
]


def check_batch(entries: list[Any], batch_id: str, provider: StandInProvider) -> None:
    submission, *results, listing = entries
    assert (submission.kind, submission.action, submission.status) == ("request", "messages.batches", "success")
    assert submission.response_id == batch_id
    assert (listing.kind, listing.action, listing.status) == ("request", "batches.results", "success")
    assert [(e.call_id, e.status, e.error_type) for e in results] == [
        (f"{batch_id}/{name}", status, error_type) for name, status, _, error_type in BATCH
    ]
    assert {(e.kind, e.parent_id, e.service_tier) for e in results} == {("llm", listing.request_id, "batch")}
    assert [e.cost_status == "priced" for e in results] == [priced == "priced" for _, _, priced, _ in BATCH]
    assert results[0].model == "claude-sonnet-5-5"
    assert results[0].metadata == {"batch_id": batch_id, "custom_id": "good"}


def test_a_batch_is_a_request_and_each_of_its_results_an_llm_entry(provider, client, stored):
    provider.batch_outcomes = {"bad": "errored", "late": "expired", "gone": "canceled"}
    batch = submit(client)
    assert len(list(client.messages.batches.results(batch.id))) == 4
    check_batch(stored(), batch.id, provider)


def test_batch_results_that_are_read_again_are_counted_once(client, stored):
    batch = submit(client)
    for _ in range(2):
        assert len(list(client.messages.batches.results(batch.id))) == 4
    entries = stored()
    assert len([entry for entry in entries if entry.kind == "llm"]) == 4
    assert len([entry for entry in entries if (entry.kind, entry.action) == ("request", "batches.results")]) == 2


def test_more_results_than_are_remembered_are_all_recorded(client, stored, monkeypatch):
    monkeypatch.setattr(batches, "RESULTS_REMEMBERED", 2)
    list(client.messages.batches.results(submit(client).id))
    assert len([entry for entry in stored() if entry.kind == "llm"]) == 4


def test_an_uploaded_file_is_a_request_and_nobody_is_told_that_it_was_read(trail, stored):
    body = {"id": "f", "type": "file", "filename": "a", "mime_type": "text/plain", "size_bytes": 2, "created_at": "x"}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json=body))
    with anthropic.Anthropic(api_key="test", http_client=httpx2.Client(transport=transport)) as plain:
        trail.wrap(plain).beta.files.upload(file=("a.txt", b"card 4111 1111 1111 1111"))
    [entry] = stored()
    assert (entry.kind, entry.action, entry.status) == ("request", "files", "success")
    assert (entry.sanitization, entry.input_hash) == (None, None)


def test_batch_results_read_inside_an_audited_function_belong_to_their_listing(trail, client, stored):
    @trail.audited(action="fetch")
    def fetch():
        return list(client.messages.batches.results(submit(client).id))

    fetch()
    entries = {e.action: e for e in stored()}
    results = [e for e in stored() if e.kind == "llm"]
    assert entries["fetch"].kind == "function"
    [listing] = [e for e in stored() if e.action == "batches.results" and e.kind == "request"]
    assert listing.parent_id == entries["fetch"].request_id
    assert {e.parent_id for e in results} == {listing.request_id}


async def test_batch_results_are_recorded_by_an_async_client_too(provider, async_client, stored):
    provider.batch_outcomes = {"bad": "errored", "late": "expired", "gone": "canceled"}
    batch = await submit(async_client)
    assert len([line async for line in await async_client.messages.batches.results(batch.id)]) == 4
    check_batch(await anyio.to_thread.run_sync(stored), batch.id, provider)


def test_batch_results_read_half_leave_an_entry_for_each_whole_line(provider, client, stored):
    batch = submit(client)
    results = client.messages.batches.results(batch.id)
    next(iter(results))
    results.close()
    _, *read, listing = stored()
    assert listing.status == "abandoned"
    assert read
    assert {(e.kind, e.status, e.parent_id) for e in read} == {("llm", "success", listing.request_id)}


def test_a_result_that_cannot_be_read_costs_none_of_the_others(trail, stored):
    lines = [b'{"custom_id": "a", "result": {"type": "canceled"}}', b"[]", b"{", b'{"custom_id": "b"}', b""]
    listed = {
        "id": "msgbatch_1",
        "type": "message_batch",
        "processing_status": "ended",
        "results_url": "http://test/v1/messages/batches/msgbatch_1/results",
    }

    def handler(request):
        if request.url.path.endswith("/results"):
            return httpx2.Response(200, content=iter([b"\n".join(lines)]))
        return httpx2.Response(200, json=listed)

    transport = httpx2.MockTransport(handler)
    with (
        anthropic.Anthropic(api_key="test", http_client=httpx2.Client(transport=transport)) as plain,
        trail.wrap(plain).messages.batches.with_streaming_response.results("msgbatch_1") as results,
    ):
        results.read()
    *read, listing = stored()
    assert [(e.call_id, e.status) for e in read] == [("msgbatch_1/a", "cancelled"), ("msgbatch_1/b", "error")]
    assert (listing.status, listing.audit_errors) == ("success", 2)


def test_a_batch_is_priced_at_the_batch_tier(provider, client, stored):
    batch = submit(client)
    list(client.messages.batches.results(batch.id))
    client.messages.create(**ASK)
    whole = next(e for e in stored() if e.kind == "llm" and e.service_tier != "batch")
    batched = next(e for e in stored() if e.kind == "llm" and e.service_tier == "batch")
    assert batched.cost_nano * 2 == whole.cost_nano


def test_retrieving_a_batch_is_no_entry(provider, client, stored):
    batch = submit(client)
    client.messages.batches.retrieve(batch.id)
    assert [e.action for e in stored()] == ["messages.batches"]


class Town(pydantic.BaseModel):
    town: str


def test_parse_is_one_entry(client, stored):
    parsed = client.messages.parse(**ASK, output_format=Town)
    assert parsed.parsed_output is not None
    assert [(e.status, e.usage_complete) for e in stored()] == [("success", True)]


def test_beta_messages_are_llm_entries(client, stored):
    client.beta.messages.create(**ASK, betas=["context-1m-2025-08-07"])
    with client.beta.messages.stream(**ASK) as stream:
        stream.until_done()
    assert [(e.kind, e.status) for e in stored()] == [("llm", "success")] * 2


def test_each_turn_of_a_tool_runner_is_a_call(client, stored):
    @anthropic.beta_tool
    def weather(town: str) -> str:
        """The weather.

        Args:
            town: where
        """
        return f"sunny in {town}"

    client.beta.messages.tool_runner(**ASK, tools=[weather]).until_done()
    entries = stored()
    assert [e.kind for e in entries] == ["llm", "llm"]
    assert entries[0].tool_names == ["weather"]
    assert len({e.call_id for e in entries}) == 2


def test_a_raw_response_is_untouched_and_recorded(client, stored):
    raw = client.messages.with_raw_response.create(**ASK)
    assert raw.parse().id == stored()[0].response_id
    assert raw.headers["request-id"] == stored()[0].provider_request_id


# --- wrapping ---------------------------------------------------------------------------------------------------------


def test_wrapping_keeps_the_type_and_wrapping_twice_changes_nothing(trail, make_client, make_async_client, stored):
    for make in (make_client, make_async_client):
        plain = make()
        wrapped = trail.wrap(plain)
        assert type(wrapped) is type(plain)
        assert trail.wrap(wrapped) is wrapped
    with make_client() as plain:
        trail.wrap(trail.wrap(plain)).messages.create(**ASK)
    assert len(stored()) == 1


def test_a_derived_client_records_too(client, stored):
    client.with_options(timeout=5).messages.create(**ASK)
    assert len(stored()) == 1


def test_two_trails_record_one_client_each(provider, trail, make_client):
    with AuditTrail("memory://") as other, make_client() as plain:
        trail.wrap(other.wrap(plain)).messages.create(**ASK)
        for each in (trail, other):
            each.sync.flush(10)
            assert len(list(each.sync.query())) == 1


DUMMY = {
    "AnthropicBedrock": {"aws_access_key": "a", "aws_secret_key": "b", "aws_region": "us-east-1"},
    "AnthropicBedrockMantle": {"aws_access_key": "a", "aws_secret_key": "b", "aws_region": "us-east-1"},
    "AnthropicVertex": {"region": "us-east5", "project_id": "p", "access_token": "t"},
    "AnthropicFoundry": {"api_key": "k", "resource": "r"},
    "AnthropicAWS": {"api_key": "k", "aws_region": "us-east-1", "workspace_id": "w"},
    "AnthropicGoogleCloud": {"skip_auth": True, "project": "p", "location": "us-east5", "workspace_id": "w"},
}


@pytest.mark.parametrize("name", DUMMY)
@pytest.mark.parametrize("kind", ["", "Async"])
async def test_the_clients_of_every_platform_are_wrapped_and_recorded(name, kind, trail, stored):
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5-5",
        "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 12, "output_tokens": 9},
    }
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, json=message))
    http_client = (httpx2.AsyncClient if kind else httpx2.Client)(transport=transport)
    try:
        plain = getattr(anthropic, kind + name)(**DUMMY[name], http_client=http_client)
        wrapped = trail.wrap(plain)
        assert type(wrapped) is type(plain)
        answer = wrapped.messages.create(**ASK)
        if kind:
            await answer
    except ImportError as missing:
        pytest.skip(f"this platform needs another package: {missing}")
    [entry] = await anyio.to_thread.run_sync(stored)
    assert (entry.status, entry.model, entry.input_tokens, entry.output_tokens) == ("success", ASK["model"], 12, 9)


class Fixed(anthropic.Anthropic):
    """A subclass whose constructor the SDK cannot call."""

    def __init__(self, url: str, middleware: Any = ()) -> None:
        super().__init__(
            api_key="test",
            base_url=url,
            http_client=anthropic.DefaultHttpxClient(verify=False),
            middleware=middleware,
        )


def test_a_subclass_that_cannot_be_copied_is_refused_with_the_way_out(provider, trail, stored):
    way_out = re.escape("trail.anthropic_middleware()")
    with Fixed(provider.url) as plain, pytest.raises(ConfigurationError, match=way_out):
        trail.wrap(plain)
    with Fixed(provider.url, middleware=[trail.anthropic_middleware()]) as audited:
        audited.messages.create(**ASK)
    assert len(stored()) == 1


@pytest.mark.parametrize("installed", [None, SimpleNamespace(__name__="anthropic")], ids=["none", "an old one"])
def test_without_an_sdk_that_has_middleware_the_missing_extra_is_named(installed, trail, monkeypatch):
    monkeypatch.setitem(sys.modules, "anthropic", installed)
    monkeypatch.delitem(sys.modules, "auditmw.clients.anthropic", raising=False)
    with pytest.raises(MissingExtra, match=r"pip install 'auditmw\[anthropic\]'"):
        trail.anthropic_middleware()


@pytest.mark.parametrize("nothing", ["a text", object(), None, anthropic.Anthropic, 7])
def test_what_is_no_client_is_refused(nothing, trail):
    with pytest.raises(ConfigurationError, match="no client that auditmw knows"):
        trail.wrap(nothing)


def test_nothing_private_is_imported_from_the_sdk():
    for path in Path(auditmw.clients.__file__).parent.glob("*.py"):
        assert not re.search(r"(from|import)\s+anthropic\S*\._|anthropic\._", path.read_text()), path


# --- which entry an answer belongs to ---------------------------------------------------------------------------------


def test_an_answer_tells_its_entry(provider, trail, client, stored):
    message = client.messages.create(**ASK)
    stream = client.messages.create(**ASK, stream=True)
    streamed = trail.request_id(stream)
    list(stream)
    raw = client.messages.with_raw_response.create(**ASK)
    with client.messages.stream(**ASK) as helper:
        helped = trail.request_id(helper)
        last = helper.get_final_message()
    with client.messages.with_streaming_response.create(**ASK) as streaming:
        read = streaming.parse()
    ids = [trail.request_id(answer) for answer in (message, stream, raw, last, read)]
    assert ids == [e.request_id for e in stored()]
    assert [streamed, helped] == [ids[1], ids[3]]


def test_an_error_tells_its_entry(provider, trail, client, stored):
    provider.script(Status(400), Drop())
    with pytest.raises(anthropic.BadRequestError) as refused:
        client.messages.create(**ASK)
    with pytest.raises(anthropic.APIConnectionError) as cut:
        client.messages.create(**ASK)
    assert [trail.request_id(e.value) for e in (refused, cut)] == [e.request_id for e in stored()]


def test_a_blocked_call_tells_its_entry_and_was_never_sent(provider, make_client):
    def refuse(call):
        raise Blocked("not today")
        yield

    with AuditTrail("memory://", pipeline=[*default_pipeline(), refuse]) as trail, make_client(max_retries=2) as plain:
        with pytest.raises(CallBlocked, match="not today") as blocked:
            trail.wrap(plain).messages.create(**ASK)
        trail.sync.flush(10)
        [entry] = trail.sync.query()
        assert trail.request_id(blocked.value) == entry.request_id == blocked.value.request_id
    assert blocked.value.__cause__ is None
    assert (entry.status, entry.error_message, entry.cost_status) == ("blocked", "not today", "not_billed")
    assert provider.requests == []


@pytest.mark.parametrize("foreign", [None, "text", {}, {"id": "msg_unknown"}, ValueError("x"), object()])
def test_a_foreign_answer_has_no_entry(foreign, trail):
    assert trail.request_id(foreign) is None
