import openai
import pytest
from pydantic import BaseModel

from auditmw.testing import Answer

CHAT = {"model": "gpt-5.5", "messages": [{"role": "user", "content": "Is anybody there?"}]}
ASK = {"model": "gpt-5.5", "input": "Is anybody there?"}
PARAMETERS = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}
CHAT_TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}
TOOL = {"type": "function", "name": "get_weather", "parameters": PARAMETERS}


class City(BaseModel):
    name: str
    inhabitants: int


def test_a_completion_has_text_usage_and_a_request_id(gpt):
    completion = gpt.chat.completions.create(**CHAT)
    assert completion.choices[0].message.content.startswith("This is the stand-in")
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (10, 22)
    assert completion.usage.total_tokens == 32
    assert completion._request_id == "req_000000000000000000000001"
    assert (completion.choices[0].finish_reason, completion.service_tier) == ("stop", "default")


# asyncio only: the SDK stops reading at [DONE] and leaves its generators to be collected, of which trio warns
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_streamed_completion_brings_usage_only_when_asked(async_gpt):
    plain = [chunk async for chunk in await async_gpt.chat.completions.create(**CHAT, stream=True)]
    assert all(chunk.usage is None and chunk.choices for chunk in plain)
    options = {"include_usage": True}
    stream = await async_gpt.chat.completions.create(**CHAT, stream=True, stream_options=options)
    counted = [chunk async for chunk in stream]
    assert counted[-1].choices == []
    assert counted[-1].usage.total_tokens == 32
    assert "".join(chunk.choices[0].delta.content or "" for chunk in counted[:-1]).startswith("This is the stand-in")


def test_a_chat_tool_is_called_and_its_result_answered_in_text(gpt):
    asked = gpt.chat.completions.create(**CHAT, tools=[CHAT_TOOL]).choices[0]
    call = asked.message.tool_calls[0]
    assert (asked.finish_reason, call.function.arguments) == ("tool_calls", '{"place":"text"}')
    turns = [*CHAT["messages"], asked.message, {"role": "tool", "tool_call_id": call.id, "content": "mild"}]
    answered = gpt.chat.completions.create(**CHAT | {"messages": turns}, tools=[CHAT_TOOL])
    assert answered.choices[0].finish_reason == "stop"


def test_the_tool_choice_is_obeyed(gpt):
    other = {"type": "function", "function": {**CHAT_TOOL["function"], "name": "other"}}
    choice = {"type": "function", "function": {"name": "other"}}
    chosen = gpt.chat.completions.create(**CHAT, tools=[CHAT_TOOL, other], tool_choice=choice)
    assert chosen.choices[0].message.tool_calls[0].function.name == "other"
    none = gpt.responses.create(**ASK, tools=[TOOL], tool_choice="none")
    assert none.output[0].type == "message"
    hosted = gpt.responses.create(**ASK, tools=[{"type": "web_search"}])
    assert hosted.output[0].type == "message"
    unknown = gpt.chat.completions.create(**CHAT, tools=[CHAT_TOOL], tool_choice=choice)
    assert unknown.choices[0].finish_reason == "stop"


def test_a_streamed_chat_tool_call_gives_its_arguments_in_pieces(gpt):
    with gpt.chat.completions.stream(**CHAT, tools=[CHAT_TOOL]) as stream:
        completion = stream.get_final_completion()
    assert completion.choices[0].message.tool_calls[0].function.arguments == '{"place":"text"}'


def test_structured_answers_fit_their_schema(gpt):
    city = City(name="text", inhabitants=1)
    assert gpt.chat.completions.parse(**CHAT, response_format=City).choices[0].message.parsed == city
    assert gpt.responses.parse(**ASK, text_format=City).output_parsed == city


def test_reasoning_is_part_of_the_output(gpt):
    details = gpt.chat.completions.create(**CHAT, reasoning_effort="low").usage.completion_tokens_details
    assert details.reasoning_tokens == 13
    response = gpt.responses.create(**ASK, reasoning={"effort": "low"})
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert response.usage.output_tokens == 35


def test_long_prompts_are_cached_without_being_marked(gpt):
    long = {**CHAT, "messages": [{"role": "system", "content": "a" * 8000}, *CHAT["messages"]]}
    first, second = (gpt.chat.completions.create(**long).usage for _ in range(2))
    assert first.prompt_tokens_details.cached_tokens == 0
    assert second.prompt_tokens_details.cached_tokens == 1920
    assert second.prompt_tokens == first.prompt_tokens


def test_token_limits_are_obeyed(gpt):
    completion = gpt.chat.completions.create(**CHAT, max_completion_tokens=8)
    assert completion.choices[0].finish_reason == "length"
    response = gpt.responses.create(**ASK, max_output_tokens=8)
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")


def test_the_served_tier_is_named_as_the_provider_names_it(gpt):
    assert gpt.chat.completions.create(**CHAT, service_tier="fast").service_tier == "priority"
    assert gpt.responses.create(**ASK, service_tier="flex").service_tier == "flex"


def test_a_streamed_response_is_the_same_as_a_whole_one(gpt):
    options = {"reasoning": {"effort": "low"}, "instructions": "Be brief."}
    whole = gpt.responses.create(**ASK, **options)
    with gpt.responses.stream(**ASK, **options) as stream:
        kinds = [event.type for event in stream]
        streamed = stream.get_final_response()
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    assert streamed.output_text == whole.output_text
    assert streamed.usage == whole.usage


async def test_a_streamed_function_call_gives_its_arguments_in_pieces(provider, async_gpt):
    provider.answer = Answer(tool_input={"place": "Trondheim, in the rain"})
    async with async_gpt.responses.stream(**ASK, tools=[TOOL]) as stream:
        kinds = [event.type async for event in stream]
        response = await stream.get_final_response()
    assert kinds.count("response.function_call_arguments.delta") > 2
    call = response.output[0]
    assert call.arguments == '{"place":"Trondheim, in the rain"}'
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "mild"}
    asked = {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments}
    answered = await async_gpt.responses.create(model="gpt-5.5", input=[asked, result], tools=[TOOL])
    assert answered.output[0].type == "message"


def test_a_cut_short_stream_ends_incomplete(gpt):
    events = list(gpt.responses.create(**ASK, max_output_tokens=8, stream=True))
    assert events[-1].type == "response.incomplete"
    assert events[-1].response.usage.output_tokens <= 8


def test_errors_have_the_shape_of_the_provider(gpt):
    with pytest.raises(openai.BadRequestError, match="Missing required parameter: 'model'") as refused:
        gpt.post("/responses", body={"input": "x"}, cast_to=object)
    assert refused.value.type == "invalid_request_error"
    assert refused.value.request_id == "req_000000000000000000000001"
