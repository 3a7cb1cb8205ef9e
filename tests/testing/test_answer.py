import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditmw.testing.answer import Answer, Tool, compose, count_tokens
from auditmw.testing.sample import sample


def turn_of(answer: Answer, max_tokens: int | None = None):
    return compose(answer, thinks=False, tool=None, schema=None, max_tokens=max_tokens)


@given(st.text())
def test_a_text_is_cut_into_pieces_that_give_it_back(text: str):
    turn = turn_of(Answer(text))
    assert "".join(turn.text) == text
    assert turn.output_tokens == sum(map(count_tokens, turn.text))


@given(st.text(min_size=1), st.integers(0, 300))
def test_a_text_comes_in_as_many_deltas_as_asked_for(text: str, deltas: int):
    assert len(turn_of(Answer(text, deltas=deltas)).text) == deltas


def test_a_long_text_in_few_deltas_is_not_shortened():
    assert turn_of(Answer("one two three four five", deltas=2)).text == ("one two", " three four five")


def test_an_answer_stops_before_max_tokens_is_passed():
    turn = turn_of(Answer("word " * 100), max_tokens=20)
    assert turn.cut_short
    assert 0 < turn.output_tokens <= 20


def test_a_tool_gets_the_input_that_the_test_gave():
    tool = Tool("add", {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]})
    turn = compose(Answer(tool_input={"a": 7}), thinks=False, tool=tool, schema=None, max_tokens=None)
    assert turn.tool is not None
    assert "".join(turn.tool.pieces) == '{"a":7}'


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "text"),
        ({"type": "string", "format": "date"}, "2026-01-01"),
        ({"type": ["integer", "null"], "minimum": 3}, 3),
        ({"type": "number"}, 1),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"const": 5}, 5),
        ({"enum": ["a", "b"]}, "a"),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, True),
        ({"type": "array", "items": {"type": "string"}, "minItems": 2}, ["text", "text"]),
        ({"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a"]}, {"a": {}}),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "boolean"}}}, True),
    ],
)
def test_a_sample_fits_its_schema(schema, value):
    assert sample(schema) == value


def test_a_schema_that_contains_itself_has_a_finite_sample():
    node = {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}}}
    schema = {"$ref": "#/$defs/Node", "$defs": {"Node": {**node, "required": ["next"]}}}
    assert sample(schema) == {"next": None}
