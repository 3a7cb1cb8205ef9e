"""Entries as log records in OpenTelemetry's names for generative AI."""

from __future__ import annotations

import json
import sys
from decimal import Decimal

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

from auditmw.entry import AuditEntry
from auditmw.errors import ConfigurationError, MissingExtra
from auditmw.exporters.otel import attributes, emit, names, otlp_json
from auditmw.testing import Answer

ASK = {"model": "claude-sonnet-5-5", "max_tokens": 99, "messages": [{"role": "user", "content": "hello"}]}


def entry(**fields) -> AuditEntry:
    return AuditEntry(
        **{
            "request_id": "r-1",
            "timestamp_us": 1_700_000_000_000_000,
            "logged_at_us": 1_700_000_001_000_000,
            "call_id": "c-1",
            "provider": "anthropic",
            "model": "claude-sonnet-5-5",
            "input_tokens": 12,
            "cache_read_tokens": 100,
            "cache_write_5m_tokens": 30,
            "cache_write_1h_tokens": 20,
            "output_tokens": 7,
            "user_id": "alice",
            "session_id": "s-1",
            "error_message": "no",
            "input_hash": "ab",
            **fields,
        }
    )


def test_input_tokens_are_inclusive():
    told = attributes(entry())
    assert told["gen_ai.usage.input_tokens"] == 162
    assert told["gen_ai.usage.cache_read.input_tokens"] == 100
    assert told["gen_ai.usage.cache_write.input_tokens"] == 50
    assert told["anthropic.usage.cache_creation.ephemeral_1h_input_tokens"] == 20
    assert told["gen_ai.usage.output_tokens"] == 7


def test_what_is_unknown_is_left_out_and_never_zero():
    unknown = dict.fromkeys(
        ("input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "output_tokens")
    )
    assert not [name for name in attributes(entry(**unknown)) if "usage" in name]


def test_the_names_are_those_that_the_sdk_itself_puts_on_its_spans(plain, provider, trail, spans):
    split = {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 20}
    usage = {"cache_read_input_tokens": 100, "cache_creation_input_tokens": 50, "cache_creation": split}
    provider.answer = Answer(usage=usage)
    with trail.wrap(plain).messages.stream(**ASK) as stream:
        stream.until_done()
    trail.sync.flush(10)
    [recorded] = trail.sync.query()
    told, [span] = attributes(recorded), spans.get_finished_spans()
    told["gen_ai.response.time_to_first_chunk"] = span.attributes["gen_ai.response.time_to_first_chunk"]
    same = {name: span.attributes[name] for name in told if name in span.attributes}
    assert {name: told[name] for name in same} == same
    assert len(same) >= 14
    assert not [name for name in told if name.startswith("gen_ai.usage") and name not in span.attributes]


def test_what_has_no_name_there_is_ours():
    told = attributes(entry(cost_nano=1_500_000, cost_status="priced", latency_us=2500, usage_raw={"b": 1, "a": 2}))
    assert told["auditmw.request_id"] == "r-1"
    assert Decimal(told["auditmw.cost_usd"]) == Decimal("0.0015")
    assert told["auditmw.latency_ms"] == 2.5
    assert told["auditmw.usage_raw"] == '{"a":2,"b":1}'


def test_units_lists_and_retries_are_told_as_the_conventions_have_them():
    told = attributes(entry(ttft_us=250_000, stop_reason="end_turn", attempt=2, status="error", http_status=529))
    assert told["gen_ai.response.time_to_first_chunk"] == 0.25
    assert told["gen_ai.response.finish_reasons"] == ["end_turn"]
    assert told["http.request.resend_count"] == 2
    assert told["error.type"] == "error"
    assert attributes(entry(status="error", error_type="overloaded_error"))["error.type"] == "overloaded_error"
    assert "error.type" not in attributes(entry())


def test_persons_digests_and_messages_are_left_out_unless_asked_for():
    told = attributes(entry(metadata={"team": "x"}))
    assert not {"user.id", "gen_ai.conversation.id", "auditmw.input_hash", "auditmw.metadata"} & set(told)
    told = attributes(entry(metadata={"team": "x"}), include=("who", "digests", "error", "metadata"))
    assert (told["user.id"], told["gen_ai.conversation.id"]) == ("alice", "s-1")
    assert (told["auditmw.input_hash"], told["auditmw.error_message"]) == ("ab", "no")
    assert told["auditmw.metadata"] == '{"team":"x"}'
    with pytest.raises(ConfigurationError, match="use some of who, digests, error, metadata"):
        attributes(entry(), include=("whom",))


def test_an_entry_that_generates_nothing_has_our_names_only():
    told = attributes(entry(kind="control", action="close"))
    assert {name.partition(".")[0] for name in told} == {"auditmw"}
    assert told["auditmw.action"] == "close"


def test_entries_are_one_message_of_otlp_json():
    span = {"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"}
    message = json.loads(otlp_json([entry(**span, stream=True, tool_names=["a"], latency_us=1), entry(kind="request")]))
    [scope] = message["resourceLogs"][0]["scopeLogs"]
    assert scope["scope"] == {"name": "auditmw"}
    first, second = scope["logRecords"]
    assert (first["timeUnixNano"], first["observedTimeUnixNano"]) == ("1700000000000000000", "1700000001000000000")
    assert (first["traceId"], first["spanId"]) == tuple(span.values())
    assert (first["eventName"], second["eventName"]) == (names().event, "auditmw.request")
    assert (first["severityNumber"], first["severityText"]) == (9, "INFO")
    assert "traceId" not in second
    values = {a["key"]: a["value"] for a in first["attributes"]}
    assert values["gen_ai.usage.input_tokens"] == {"intValue": "162"}
    assert values["gen_ai.request.stream"] == {"boolValue": True}
    assert values["auditmw.tool_names"] == {"arrayValue": {"values": [{"stringValue": "a"}]}}
    assert values["auditmw.latency_ms"] == {"doubleValue": 0.001}


@pytest.mark.parametrize(("status", "severity"), [("success", "INFO"), ("error", "ERROR"), ("blocked", "WARN")])
def test_an_entry_goes_to_the_applications_logger_with_its_own_span(status, severity):
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    emit(entry(status=status, trace_id="0" * 31 + "a", span_id="0" * 15 + "b"), provider.get_logger("auditmw"))
    emit(entry(logged_at_us=None), provider.get_logger("auditmw"))
    first, second = (data.log_record for data in exporter.get_finished_logs())
    assert (first.trace_id, first.span_id, first.severity_text) == (10, 11, severity)
    assert first.event_name == "gen_ai.client.inference.operation.details"
    assert first.attributes["gen_ai.usage.input_tokens"] == 162
    assert (second.trace_id, second.timestamp, second.observed_timestamp) == (0, *[1_700_000_000_000_000_000] * 2)


def test_without_a_logger_the_applications_provider_is_used():
    emit(entry())  # no provider is set: OpenTelemetry drops it


def test_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(MissingExtra, match=r"auditmw\[otel\]"):
        emit(entry())
