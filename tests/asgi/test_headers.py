import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditmw.asgi.headers import given_request_id, has_body, is_json, only_header, parse_traceparent, replace_headers

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
hex_digits = st.text("0123456789abcdef")


def scope_of(*headers):
    return {"headers": [(name.encode(), value.encode("latin-1")) for name, value in headers]}


@pytest.mark.parametrize(
    "value",
    [f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00", f"01-{TRACE}-{SPAN}-01", f"01-{TRACE}-{SPAN}-01-what-comes"],
)
def test_a_well_formed_traceparent_is_read(value):
    assert parse_traceparent(value) == (TRACE, SPAN)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f" 00-{TRACE}-{SPAN}-01",
    ],
)
def test_a_malformed_traceparent_is_ignored(value):
    assert parse_traceparent(value) is None


@given(st.one_of(st.text(), st.builds("{}-{}-{}-{}".format, hex_digits, hex_digits, hex_digits, hex_digits)))
def test_any_text_gives_no_ids_or_valid_ones(value):
    ids = parse_traceparent(value)
    if ids is not None:
        assert re.fullmatch("[0-9a-f]{32}", ids[0])
        assert re.fullmatch("[0-9a-f]{16}", ids[1])
        assert int(ids[0], 16)
        assert int(ids[1], 16)


@pytest.mark.parametrize("value", ["r-1", "a" * 128, "01a20c6f-1806-725e-91f7-12085ca3cde5", "Root=1:2/3+4@5"])
def test_a_well_formed_request_id_is_accepted(value):
    assert given_request_id(scope_of(("X-Request-Id", value))) == value


@pytest.mark.parametrize("value", ["", "a" * 129, "two words", "-x", "a\nb", "<script>", "ü"])
def test_a_malformed_request_id_is_not(value):
    assert given_request_id(scope_of(("x-request-id", value))) is None


def test_a_header_that_was_sent_twice_has_no_value():
    assert only_header(scope_of(("x-user", "alice"), ("X-User", "mallory")), b"x-user") is None


def test_headers_are_replaced_whatever_their_case_and_left_out_if_none():
    headers = [(b"Content-Length", b"5"), (b"x", b"1"), (b"Transfer-Encoding", b"chunked")]
    replaced = replace_headers(headers, {b"content-length": b"7", b"transfer-encoding": None})
    assert replaced == [(b"x", b"1"), (b"content-length", b"7")]


@pytest.mark.parametrize(
    ("headers", "announced"),
    [
        ([], False),
        ([(b"Content-Length", b"0")], False),
        ([(b"Content-Length", b"5")], True),
        ([(b"Transfer-Encoding", b"chunked")], True),
    ],
)
def test_a_body_is_announced_by_its_length_or_its_encoding(headers, announced):
    assert has_body(headers) is announced


@pytest.mark.parametrize(
    ("content_type", "one_text"),
    [
        ("application/json", True),
        ("APPLICATION/JSON;charset=utf-8", True),
        ("application/problem+json ; a=b", True),
        ("application/x-ndjson", False),
        ("application/json-seq", False),
        ("text/html; profile=application/json", False),
        ("", False),
    ],
)
def test_json_is_told_by_its_media_type(content_type, one_text):
    assert is_json(content_type) is one_text
