"""Entries and spans know of each other, and there is one span a call."""

from __future__ import annotations

import sys

import openai
import pytest

from auditmw import AuditTrail
from auditmw.context import current_span
from auditmw.errors import MissingExtra
from auditmw.middleware import SpanAttributes, default_pipeline
from auditmw.testing import Status

ASK = {"model": "claude-sonnet-5-5", "max_tokens": 99, "messages": [{"role": "user", "content": "hello"}]}


def ids(span):
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


@pytest.fixture
def told():
    """A trail that writes on spans."""
    pipeline = default_pipeline()
    pipeline.insert(1, SpanAttributes())
    with AuditTrail("memory://", pipeline=pipeline) as running:
        yield running


def entries(trail):
    trail.sync.flush(10)
    return list(trail.sync.query())


def test_a_call_of_an_sdk_that_traces_itself_has_that_one_span_and_its_ids(plain, trail, spans):
    trail.wrap(plain).messages.create(**ASK)
    with trail.wrap(plain).messages.stream(**ASK) as stream:
        stream.until_done()
    assert [(e.trace_id, e.span_id) for e in entries(trail)] == [ids(span) for span in spans.get_finished_spans()]
    assert len(spans.get_finished_spans()) == 2


def test_all_attempts_of_a_call_carry_the_ids_of_its_one_span(plain, provider, trail, spans):
    provider.script(Status(529, retry_after=0), ())
    trail.wrap(plain).messages.create(**ASK)
    [span] = spans.get_finished_spans()
    assert [(e.attempt, e.trace_id, e.span_id) for e in entries(trail)] == [(0, *ids(span)), (1, *ids(span))]


def test_a_call_of_another_sdk_carries_the_ids_of_the_span_around_it(provider, trail, tracing, spans):
    with openai.OpenAI(api_key="test", base_url=provider.openai_url) as client:
        with tracing.get_tracer("app").start_as_current_span("answer"):
            trail.wrap(client).responses.create(model="gpt-6.1-sol", input="hello")
        trail.wrap(client).responses.create(model="gpt-6.1-sol", input="hello")
    [span] = spans.get_finished_spans()
    assert [(e.trace_id, e.span_id) for e in entries(trail)] == [ids(span), (None, None)]


def test_the_current_span_goes_before_what_was_bound(trail, tracing, spans):
    bound = {"trace_id": "0" * 31 + "1", "span_id": "0" * 15 + "1"}
    ask = trail.audited(lambda: None)
    with trail.context(**bound):
        with tracing.get_tracer("app").start_as_current_span("answer"):
            ask()
        ask()
    [span] = spans.get_finished_spans()
    assert [(e.trace_id, e.span_id) for e in entries(trail)] == [ids(span), tuple(bound.values())]


def test_without_opentelemetry_no_span_is_looked_for(monkeypatch):
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")
    assert current_span() is None


def test_a_span_says_if_asked_which_entry_stands_for_it_and_how_it_ended(plain, told, spans):
    told.wrap(plain).messages.create(**ASK)  # the first cost of a model is worked out by the writer
    told.sync.flush(10)
    told.wrap(plain).messages.create(**ASK)
    with told.wrap(plain).messages.stream(**ASK) as stream:
        stream.until_done()
    for span, entry in zip(spans.get_finished_spans()[1:], entries(told)[1:], strict=True):
        said = {k: v for k, v in span.attributes.items() if k.startswith("auditmw.")}
        assert said.pop("auditmw.sanitization_count", 0) == (entry.sanitization_count or 0)
        assert said == {
            "auditmw.request_id": entry.request_id,
            "auditmw.attempt": 0,
            "auditmw.status": "success",
            "auditmw.cost_usd": entry.cost_text,
        }


def test_a_span_of_a_failed_call_says_so(plain, provider, told, spans):
    provider.script(Status(400))
    with pytest.raises(Exception, match="400"):
        told.wrap(plain).messages.create(**ASK)
    [span] = spans.get_finished_spans()
    assert span.attributes["auditmw.status"] == "error"
    assert "auditmw.cost_usd" not in span.attributes


def test_without_a_span_nothing_is_said(told):
    told.audited(lambda: None)()
    assert len(entries(told)) == 1


def test_a_span_that_has_ended_is_left_alone(told, tracing, spans):
    def ask():
        yield 1

    with tracing.get_tracer("app").start_as_current_span("answer"):
        steps = told.audited(ask)()
        next(steps)
    assert list(steps) == []
    [span] = spans.get_finished_spans()
    assert set(span.attributes) == {"auditmw.request_id", "auditmw.attempt"}
    assert entries(told)[0].status == "success"


def test_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(MissingExtra, match=r"auditmw\[otel\]"):
        SpanAttributes()
