import anthropic
import pytest
from pydantic import BaseModel

from auditmw.testing import Answer, StandInProvider, Status

ASK = {"model": "claude-sonnet-5-5", "max_tokens": 500, "messages": [{"role": "user", "content": "Is anybody there?"}]}
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a place",
    "input_schema": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
}


def test_a_message_has_text_usage_and_a_request_id(claude):
    message = claude.messages.create(**ASK)
    assert message.content[0].text.startswith("This is the stand-in")
    assert (message.usage.input_tokens, message.usage.output_tokens, message.stop_reason) == (11, 22, "end_turn")
    assert message._request_id == "req_000000000000000000000001"
    assert message.model == "claude-sonnet-5-5"


async def test_the_same_answer_streamed_has_the_same_content_and_usage(async_claude):
    whole = await async_claude.messages.create(**ASK, thinking={"type": "adaptive"})
    async with async_claude.messages.stream(**ASK, thinking={"type": "adaptive"}) as stream:
        streamed = await stream.get_final_message()
    assert streamed.to_dict()["content"] == whole.to_dict()["content"]
    assert streamed.usage == whole.usage
    assert streamed.stop_reason == whole.stop_reason


async def test_a_stream_opens_with_a_placeholder_and_pings_and_ends_cumulatively(async_claude):
    raw = await async_claude.messages.with_raw_response.create(**ASK, stream=True)
    text = "".join([chunk.decode() async for chunk in raw.http_response.aiter_bytes()])
    assert [line.removeprefix("event: ") for line in text.split("\n") if line.startswith("event:")][:4] == [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
    ]
    assert '"output_tokens":1,' not in text.split("message_delta")[1]
    assert '"output_tokens":1}' in text.split("content_block_start")[0]
    assert '"input_tokens":11' in text.split("event: message_delta")[1]


def test_thinking_is_signed_counted_and_part_of_the_output(claude):
    message = claude.messages.create(**ASK, thinking={"type": "enabled", "budget_tokens": 1024})
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.content[0].signature
    assert message.usage.output_tokens_details.thinking_tokens == 13
    assert message.usage.output_tokens == 35


def test_omitted_thinking_is_billed_but_not_shown(claude):
    with claude.messages.stream(**ASK, thinking={"type": "adaptive", "display": "omitted"}) as stream:
        message = stream.get_final_message()
    assert message.content[0].thinking == ""
    assert message.usage.output_tokens_details.thinking_tokens == 13


def test_a_tool_is_called_and_its_result_answered_in_text(claude):
    asked = claude.messages.create(**ASK, tools=[WEATHER])
    call = asked.content[0]
    assert (asked.stop_reason, call.name, call.input) == ("tool_use", "get_weather", {"place": "text"})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "mild"}
    turns = [*ASK["messages"], {"role": "assistant", "content": asked.content}, {"role": "user", "content": [result]}]
    assert claude.messages.create(**ASK | {"messages": turns}, tools=[WEATHER]).stop_reason == "end_turn"


def test_a_streamed_tool_call_gives_its_input_in_pieces(provider, claude):
    provider.answer = Answer(tool_input={"place": "Trondheim, in the rain"})
    with claude.messages.stream(**ASK, tools=[WEATHER]) as stream:
        deltas = [event.partial_json for event in stream if event.type == "input_json"]
        message = stream.get_final_message()
    assert len(deltas) > 2
    assert message.content[0].input == {"place": "Trondheim, in the rain"}


def test_the_tool_choice_is_obeyed(claude):
    other = {**WEATHER, "name": "other"}
    chosen = claude.messages.create(**ASK, tools=[WEATHER, other], tool_choice={"type": "tool", "name": "other"})
    assert chosen.content[0].name == "other"
    none = claude.messages.create(**ASK, tools=[WEATHER], tool_choice={"type": "none"})
    assert none.stop_reason == "end_turn"
    server_side = claude.messages.create(**ASK, tools=[{"type": "web_search_20250305", "name": "web_search"}])
    assert server_side.stop_reason == "end_turn"


def test_a_tool_runner_comes_to_an_end(claude):
    @anthropic.beta_tool
    def get_weather(place: str) -> str:
        """The weather of a place."""
        return f"mild in {place}"

    messages = list(claude.beta.messages.tool_runner(**ASK, tools=[get_weather]))
    assert [message.stop_reason for message in messages] == ["tool_use", "end_turn"]


def test_a_beta_call_is_answered_and_keeps_its_header_and_query(provider, claude):
    claude.beta.messages.create(**ASK, betas=["context-management-2025-06-27"], extra_query={"beta": "true"})
    request = provider.requests[0]
    assert request.path == "/v1/messages?beta=true"
    assert request.headers["anthropic-beta"] == "context-management-2025-06-27"


def test_a_structured_answer_fits_its_schema(claude):
    class City(BaseModel):
        name: str
        inhabitants: int

    assert claude.messages.parse(**ASK, output_format=City).parsed_output == City(name="text", inhabitants=1)


def test_cache_writes_are_split_by_lifetime_and_read_back(claude):
    system = [
        {"type": "text", "text": "a" * 4000, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "text", "text": "b" * 400, "cache_control": {"type": "ephemeral"}},
    ]
    written = claude.messages.create(**ASK, system=system).usage
    assert written.cache_creation.ephemeral_1h_input_tokens == 1005
    assert written.cache_creation.ephemeral_5m_input_tokens == 105
    assert (written.cache_creation_input_tokens, written.cache_read_input_tokens) == (1110, 0)
    with claude.messages.stream(**ASK, system=system) as stream:
        read = stream.get_final_message().usage
    assert (read.cache_creation_input_tokens, read.cache_read_input_tokens) == (0, 1110)
    assert read.input_tokens == written.input_tokens


def test_a_whole_request_can_be_marked_for_the_cache(claude):
    usage = claude.messages.create(**ASK, cache_control={"type": "ephemeral"}).usage
    assert (usage.input_tokens, usage.cache_creation_input_tokens) == (0, 11)


def test_count_tokens_agrees_with_the_usage(claude):
    counted = claude.messages.count_tokens(model=ASK["model"], messages=ASK["messages"], system="Be brief.")
    assert counted.input_tokens == claude.messages.create(**ASK, system="Be brief.").usage.input_tokens


def test_max_tokens_is_obeyed(claude):
    message = claude.messages.create(**ASK | {"max_tokens": 8})
    assert (message.stop_reason, message.usage.output_tokens <= 8) == ("max_tokens", True)
    warmed = claude.messages.create(**ASK | {"max_tokens": 0}, tools=[WEATHER])
    assert (warmed.stop_reason, warmed.content, warmed.usage.output_tokens) == ("max_tokens", [], 0)


def test_an_answer_can_set_model_stop_reason_and_usage(provider, claude):
    usage = {"speed": "fast", "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0}}
    provider.answer = Answer("No.", model="claude-other", stop_reason="refusal", usage=usage)
    with claude.messages.stream(**ASK) as stream:
        message = stream.get_final_message()
    assert (message.model, message.stop_reason) == ("claude-other", "refusal")
    assert message.usage.server_tool_use.web_search_requests == 2
    assert message.usage.speed == "fast"


@pytest.mark.parametrize("missing", ["model", "max_tokens", "messages"])
def test_a_request_without_a_required_field_is_refused(claude, missing):
    fields = {name: value for name, value in ASK.items() if name != missing}
    with pytest.raises(anthropic.BadRequestError, match=f"{missing}: Field required") as refused:
        claude.post("/v1/messages", body=fields, cast_to=object)
    assert refused.value.type == "invalid_request_error"
    assert refused.value.request_id == "req_000000000000000000000001"


def test_unknown_paths_are_not_found(claude):
    with pytest.raises(anthropic.NotFoundError):
        claude.models.list()
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.batches.retrieve("msgbatch_none")


def test_an_ended_batch_tells_every_kind_of_result(provider, claude):
    outcomes = {"b": "errored", "c": "canceled", "d": "expired"}
    provider.batch_outcomes.update(outcomes)
    bad = {"model": ASK["model"], "messages": ASK["messages"]}
    requests = [{"custom_id": name, "params": ASK} for name in "abcd"] + [{"custom_id": "e", "params": bad}]
    created = claude.messages.batches.create(requests=requests)
    assert (created.processing_status, created.request_counts.processing) == ("in_progress", 5)
    ended = claude.messages.batches.retrieve(created.id)
    assert (ended.processing_status, ended.request_counts.succeeded) == ("ended", 1)
    results = {line.custom_id: line.result for line in claude.messages.batches.results(created.id)}
    assert {name: result.type for name, result in results.items()} == {"a": "succeeded", **outcomes, "e": "errored"}
    assert results["a"].message.usage.service_tier == "batch"
    assert results["e"].error.error.type == "invalid_request_error"


async def test_beta_batches_work_too(async_claude):
    created = await async_claude.beta.messages.batches.create(requests=[{"custom_id": "a", "params": ASK}])
    await async_claude.beta.messages.batches.retrieve(created.id)
    lines = [line async for line in await async_claude.beta.messages.batches.results(created.id)]
    assert lines[0].result.message.content[0].type == "text"


def test_a_batch_without_requests_is_refused(claude):
    with pytest.raises(anthropic.BadRequestError, match="requests: Field required"):
        claude.messages.batches.create(requests=[])


def test_two_stand_ins_answer_the_same_to_the_same_requests():
    def answers():
        with StandInProvider() as provider, anthropic.Anthropic(api_key="t", base_url=provider.url) as client:
            provider.script((), Status(529, retry_after=0))
            return [client.messages.create(**ASK).to_json() for _ in range(3)]

    assert answers() == answers()


def test_a_lone_surrogate_in_an_answer_reaches_the_client(provider, claude):
    provider.answer = "broken \ud800 text"
    assert claude.messages.create(**ASK).content[0].text == "broken \ud800 text"
