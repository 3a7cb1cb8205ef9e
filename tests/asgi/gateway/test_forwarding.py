import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditmw.errors import ConfigurationError
from auditmw.gateway.forwarding import HOP_BY_HOP, request_headers, response_headers
from auditmw.gateway.keys import key_holder, presented_key, read_key_table
from auditmw.gateway.proxy import Proxy

names = st.sampled_from([b"X-A", b"x-b", b"Accept", b"Content-Length", b"Host", b"Expect", *sorted(HOP_BY_HOP)])
header_lists = st.lists(st.tuples(names, st.binary(max_size=5)))


@given(header_lists)
def test_no_header_of_one_connection_is_passed_on_and_all_others_are_in_order(headers):
    own = HOP_BY_HOP | {t.strip().lower() for n, v in headers if n.lower() == b"connection" for t in v.split(b",")}
    passed = [(name.lower(), value) for name, value in headers if name.lower() not in own]
    assert response_headers(headers) == passed
    there = {b"host", b"expect"}
    assert request_headers(headers, frozenset()) == [(name, value) for name, value in passed if name not in there]


def test_headers_named_in_connection_are_not_passed_on():
    headers = [(b"Connection", b"close, X-Private"), (b"x-private", b"1"), (b"Connection", b"x-too"), (b"X-Too", b"2")]
    assert response_headers(headers) == []


def test_headers_that_are_the_gateways_own_stay_here():
    assert request_headers([(b"X-User", b"alice"), (b"x-api-key", b"k")], frozenset({b"x-user"})) == [
        (b"x-api-key", b"k")
    ]


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ([(b"x-api-key", b"k1")], "k1"),
        ([(b"api-key", b"k1")], "k1"),
        ([(b"authorization", b"Bearer k1")], "k1"),
        ([(b"authorization", b"bearer  k1 ")], "k1"),
        ([(b"authorization", b"Basic k1")], None),
        ([(b"authorization", b"Bearer ")], None),
        ([(b"x-api-key", b"k1"), (b"x-api-key", b"k2")], None),
        ([], None),
    ],
)
def test_the_key_of_a_request_is_found_wherever_providers_look_for_it(headers, key):
    assert presented_key({"headers": headers}) == key


def test_a_key_table_names_who_holds_a_key_and_holds_no_key(tmp_path):
    digest = hashlib.sha256(b"sk-alice").hexdigest()
    (tmp_path / "keys").write_text(f"# our keys\n\n{digest.upper()}  Alice Liddell \n")
    user = key_holder(read_key_table(tmp_path / "keys"))
    assert user({"headers": [(b"x-api-key", b"sk-alice")]}) == "Alice Liddell"
    assert user({"headers": [(b"x-api-key", b"sk-mallory")]}) is None
    assert user({"headers": []}) is None


@pytest.mark.parametrize("content", [b"sk-alice alice", b"ab12 alice", b"0" * 64, b"\xff\xfe"])
def test_a_key_table_of_another_form_is_refused(tmp_path, content):
    (tmp_path / "keys").write_bytes(content)
    with pytest.raises(ConfigurationError, match="keys"):
        read_key_table(tmp_path / "keys")


def test_a_key_table_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_key_table(tmp_path / "keys")


@pytest.mark.parametrize(
    "upstream",
    ["api.anthropic.com", "ftp://host", "http://", "https://u:p@host", "https://host?a=b", "http://h:x"],
)
def test_an_upstream_that_is_no_base_url_is_refused(upstream):
    with pytest.raises(ConfigurationError, match="upstream"):
        Proxy(upstream)
