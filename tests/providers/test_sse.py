"""Server-sent events and the binary framing of Bedrock, whole and cut."""

from __future__ import annotations

import base64
import json
import struct
import zlib

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from auditmw.providers import eventstream
from auditmw.providers.sse import EventReader, event_data


class Event(msgspec.Struct):
    type: str = ""
    index: int = 0


reader = EventReader(Event)


def lines(*events: dict) -> bytes:
    return b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events)


def test_the_usual_stream_is_read_in_order() -> None:
    raw = b": a comment\n\n" + lines({"type": "a", "index": 1}, {"type": "b", "index": 2}) + b"data: [DONE]\n\n"
    assert reader.read(raw) == [Event("a", 1), Event("b", 2)]


def test_a_stream_may_begin_with_data_and_have_no_space_after_the_colon() -> None:
    assert reader.read(b'data:{"type":"a"}\r\n\r\ndata:{"type":"b"}\r\n\r\n') == [Event("a"), Event("b")]


def test_a_cut_last_event_is_left_out() -> None:
    whole = lines({"type": "a"}, {"type": "b"})
    assert reader.read(whole[:-8]) == [Event("a")]


def test_a_cut_within_a_character_is_survived() -> None:
    raw = 'data: {"type":"a"}\n\ndata: {"type":"ü'.encode()
    assert reader.read(raw[:-1]) == [Event("a")]


def test_data_over_several_lines_is_one_event() -> None:
    assert reader.read(b'data: {"type":\ndata: "a"}\n\n') == [Event("a")]


def test_lines_may_end_in_carriage_returns_alone() -> None:
    assert reader.read(b'data: {"type":"a"}\r\rdata: {"type":"b"}\r\r') == [Event("a"), Event("b")]


def test_an_event_of_an_unexpected_shape_is_left_out_and_the_rest_is_read() -> None:
    assert reader.read(b'data: {"type":"a"}\n\ndata: {"type":7}\n\ndata: {"type":"b"}\n\n') == [Event("a"), Event("b")]


def test_a_last_event_without_its_blank_line_counts() -> None:
    assert event_data(b"data: 1\n\ndata: 2") == [b"1", b"2"]


@given(st.lists(st.builds(Event, st.text(max_size=20), st.integers(0, 99)), max_size=5), st.integers(0, 600))
def test_a_stream_cut_anywhere_gives_a_beginning_of_its_events(events: list[Event], cut: int) -> None:
    raw = b"".join(b"data: " + msgspec.json.encode(event) + b"\n\n" for event in events)
    found = reader.read(raw[:cut])
    assert found == events[: len(found)]
    assert reader.read(raw) == events


@given(st.binary(max_size=200))
def test_no_bytes_make_the_readers_raise(raw: bytes) -> None:
    reader.read(b'data: {"type":' + raw)
    reader.read(raw)
    eventstream.event_data(b"\0" + raw)


def frame(payload: bytes, **headers: str) -> bytes:
    head = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return body + struct.pack(">I", zlib.crc32(body))


def chunk(event: dict) -> bytes:
    payload = json.dumps({"bytes": base64.b64encode(json.dumps(event).encode()).decode(), "p": "abc"}).encode()
    return frame(payload, **{":event-type": "chunk", ":message-type": "event"})


def test_binary_frames_give_their_events() -> None:
    raw = chunk({"type": "a"}) + chunk({"type": "b"})
    assert eventstream.is_event_stream(raw)
    assert reader.read_each(eventstream.event_data(raw)) == [Event("a"), Event("b")]


def test_a_cut_binary_frame_is_left_out() -> None:
    raw = chunk({"type": "a"}) + chunk({"type": "b"})
    assert reader.read_each(eventstream.event_data(raw[:-5])) == [Event("a")]


def test_an_exception_frame_is_an_error_event() -> None:
    raw = frame(b'{"message":"slow down"}', **{":message-type": "exception", ":exception-type": "throttlingException"})
    (data,) = eventstream.event_data(raw)
    assert json.loads(data) == {"type": "error", "error": {"type": "throttlingException", "message": "slow down"}}


def test_frames_that_hold_no_event_are_left_out() -> None:
    assert eventstream.event_data(frame(b"{}") + frame(b"no json") + frame(b'{"bytes":"!"}')) == []


def test_headers_are_read_up_to_one_that_is_no_text() -> None:
    head = b"\x01a\x07\x00\x01b" + b"\x01c\x00"
    prelude = struct.pack(">II", 16 + len(head) + 2, len(head))
    assert eventstream.event_data(prelude + b"0000" + head + b"{}" + b"0000") == []


def test_text_is_no_event_stream() -> None:
    assert not eventstream.is_event_stream(b"data: {}")
