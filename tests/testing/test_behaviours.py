import time

import anthropic
import anyio
import httpx2
import openai
import pytest

from auditmw.testing import (
    Answer,
    Drop,
    Gzip,
    Hang,
    MidStreamError,
    Pace,
    SlowFirstToken,
    StandInProvider,
    Status,
    Truncate,
)

ASK = {"model": "claude-sonnet-5-5", "max_tokens": 5000, "messages": [{"role": "user", "content": "Anybody there?"}]}
CHAT = {"model": "gpt-5.5", "messages": ASK["messages"]}


def test_scripted_errors_are_retried_by_the_sdk_and_each_attempt_is_received(provider, claude):
    provider.script(Status(529, retry_after=0), Status(500, retry_after=0))
    assert claude.messages.create(**ASK).stop_reason == "end_turn"
    assert [request.headers["x-stainless-retry-count"] for request in provider.requests] == ["0", "1", "2"]
    assert len({request.body for request in provider.requests}) == 1


@pytest.mark.parametrize(
    ("code", "error", "error_type"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (529, anthropic.InternalServerError, "overloaded_error"),
    ],
)
def test_a_status_raises_the_error_of_the_sdk(provider, claude, code, error, error_type):
    provider.script(Status(code))
    with pytest.raises(error) as raised:
        claude.with_options(max_retries=0).messages.create(**ASK)
    assert (raised.value.status_code, raised.value.type) == (code, error_type)
    assert raised.value.request_id == "req_000000000000000000000001"


async def test_a_status_has_the_openai_shape_on_openai_paths(provider, async_gpt):
    provider.script(Status(429, retry_after=2.5, error_type="insufficient_quota", message="Pay first."))
    with pytest.raises(openai.RateLimitError, match=r"Pay first\.") as raised:
        await async_gpt.with_options(max_retries=0).chat.completions.create(**CHAT)
    assert raised.value.code == "insufficient_quota"
    assert raised.value.response.headers["retry-after"] == "2.5"
    assert raised.value.response.headers["retry-after-ms"] == "2500"


def test_a_slow_first_token_is_slow_and_the_rest_is_not(provider, claude):
    provider.script(SlowFirstToken(0.05))
    start = time.monotonic()
    claude.messages.create(**ASK, stream=True).close()
    assert time.monotonic() - start >= 0.05


async def test_a_paced_stream_waits_between_its_events(provider, async_claude):
    provider.script((Answer(deltas=4), Pace(0.01)))
    start = time.monotonic()
    events = [event.type async for event in await async_claude.messages.create(**ASK, stream=True)]
    assert events.count("content_block_delta") == 4
    assert time.monotonic() - start >= 0.01 * len(events)  # the ping that the SDK hides included


def test_a_truncated_stream_ends_quietly_without_its_last_events(provider, claude):
    provider.script(Truncate(after_events=5))
    events = [event.type for event in claude.messages.create(**ASK, stream=True)]
    assert events[-1] == "content_block_delta"


def test_a_stream_may_be_truncated_to_nothing(provider, claude):
    provider.script(Truncate(after_events=0))
    assert list(claude.messages.create(**ASK, stream=True)) == []


async def test_a_mid_stream_error_is_raised_with_status_200(provider, async_claude):
    provider.script(MidStreamError("overloaded_error"))
    with pytest.raises(anthropic.APIStatusError) as raised:
        [event async for event in await async_claude.messages.create(**ASK, stream=True)]
    assert (raised.value.status_code, raised.value.type) == (200, "overloaded_error")


def test_a_mid_stream_error_is_raised_by_the_openai_sdk_too(provider, gpt):
    provider.script(MidStreamError("server_error"), MidStreamError("server_error"))
    with pytest.raises(openai.APIError, match="in the middle of the stream"):
        list(gpt.chat.completions.create(**CHAT, stream=True))
    with pytest.raises(openai.APIError, match="in the middle of the stream"):
        list(gpt.responses.create(model="gpt-5.5", input="x", stream=True))


def test_a_mid_stream_error_leaves_an_answer_that_is_no_stream_alone(provider, claude):
    provider.script(MidStreamError())
    assert claude.messages.create(**ASK).stop_reason == "end_turn"


async def test_a_dropped_stream_breaks_off_after_its_events(provider, async_claude):
    provider.script(Drop(after_events=2))
    seen = []

    async def read():
        async for event in await async_claude.messages.create(**ASK, stream=True):
            seen.append(event.type)

    with pytest.raises(httpx2.RemoteProtocolError):
        await read()
    assert seen == ["message_start", "content_block_start"]


def test_a_connection_dropped_before_the_answer_is_a_connection_error_and_retried(provider, claude):
    provider.script(Drop(), Drop())
    with pytest.raises(anthropic.APIConnectionError):
        claude.with_options(max_retries=0).messages.create(**ASK)
    assert claude.with_options(max_retries=1).messages.create(**ASK).stop_reason == "end_turn"


async def test_a_call_can_be_cancelled_while_the_provider_hangs(provider, async_claude):
    provider.script(Hang())
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: async_claude.messages.create(**ASK))
        await anyio.to_thread.run_sync(provider.wait_for_requests, 1)
        group.cancel_scope.cancel()
    assert (await async_claude.messages.create(**ASK)).stop_reason == "end_turn"


def test_a_hanging_stream_gives_its_first_events_and_goes_on_when_released(provider, claude):
    provider.script(Hang(after_events=2))
    stream = iter(claude.messages.create(**ASK, stream=True))
    assert [next(stream).type for _ in range(2)] == ["message_start", "content_block_start"]
    provider.release()
    assert [event.type for event in stream][-1] == "message_stop"


def test_a_release_lets_only_those_go_that_hang_already(provider, claude):
    provider.release()
    provider.script(Hang(), Hang(after_events=50))
    with pytest.raises(anthropic.APITimeoutError):
        claude.with_options(max_retries=0, timeout=0.05).messages.create(**ASK)
    stream = iter(claude.with_options(max_retries=0, timeout=0.05).messages.create(**ASK, stream=True))
    with pytest.raises(httpx2.ReadTimeout):  # the answer is whole, its end is not told
        list(stream)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_compressed_answer_is_read_as_any_other(provider, claude, streamed):
    provider.script((Gzip(),), ())
    with claude.messages.stream(**ASK) if streamed else claude.messages.with_streaming_response.create(**ASK) as raw:
        response = raw.response if streamed else raw
        assert response.headers["content-encoding"] == "gzip"
        message = raw.get_final_message() if streamed else raw.parse()
    assert message.content[0].text == claude.messages.create(**ASK).content[0].text


def test_behaviours_of_one_request_are_applied_from_left_to_right(provider, claude):
    provider.script((Answer("one two three"), MidStreamError(after_events=4), Truncate(after_events=4)))
    assert len(list(claude.messages.create(**ASK, stream=True))) == 3


def test_a_behaviour_may_be_any_function_of_the_reply(provider, claude):
    provider.script(lambda reply: Status(503)(reply))
    with pytest.raises(anthropic.InternalServerError):
        claude.with_options(max_retries=0).messages.create(**ASK)


def test_rules_apply_to_every_request_that_matches_and_a_script_comes_first(provider, claude):
    client = claude.with_options(max_retries=0)
    provider.rule(lambda request: request.model == "claude-old", Status(404))
    provider.rule(lambda request: request.headers.get("x-try") == "no", Status(403))
    for _ in range(2):
        with pytest.raises(anthropic.NotFoundError):
            client.messages.create(**ASK | {"model": "claude-old"})
    with pytest.raises(anthropic.PermissionDeniedError):
        client.messages.create(**ASK, extra_headers={"x-try": "no"})
    provider.script(())
    assert client.messages.create(**ASK | {"model": "claude-old"}).model == "claude-old"


def test_an_answer_may_depend_on_the_request(provider, claude):
    provider.answer = lambda request: request.json()["messages"][-1]["content"].upper()
    assert claude.messages.create(**ASK).content[0].text == "ANYBODY THERE?"


def test_a_long_answer_streams_as_many_deltas_as_asked_for(claude, provider):
    provider.answer = Answer("word", deltas=3000)
    with claude.messages.stream(**ASK | {"max_tokens": 20_000}) as stream:
        assert sum(event.type == "text" for event in stream) == 3000


def test_a_stand_in_can_be_made_with_its_answer():
    with StandInProvider(answer="Yes.") as provider, openai.OpenAI(api_key="t", base_url=provider.openai_url) as client:
        assert client.chat.completions.create(**CHAT).choices[0].message.content == "Yes."
