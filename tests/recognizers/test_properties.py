"""What holds for every text."""

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditmw.recognizers import KINDS, PatternRecognizer, scan
from auditmw.recognizers.finding import Finding
from auditmw.recognizers.overlaps import ORDER, resolve
from auditmw.recognizers.table import KEYWORDS
from auditmw.recognizers.view import View, fold

PIECES = st.sampled_from(
    [
        "bob@example.com",
        "4111 1111 1111 1111",
        "DE89 3704 0044 0532 0130 00",
        "536-22-8145",
        "+44 20 7946 0958",
        "::1",
        "https://h.example/?k=",
        "AKIAQYLPMN5HHHFPZAM2",
        "password=",
        "'",
        '"',
        "-----BEGIN PRIVATE KEY-----",
        "%41",
        "\\u0040",
        "&#64;",
        "[at]",
        " dot ",
        "\\\n",
        "\u200b",
        "\ufeff",
        "é",
        "中",
        "😀",
        "\ud800",
        "\0",
        "\n",
        "passport ",
        "eyJ",
        ".ey",
        "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw",
        "kind: Secret\ndata:\n",
        "Authorization: ",
        "curl -u a:",
        "0x",
        "P<",
        "=",
    ]
)
TEXTS = st.one_of(
    st.text(st.characters(), max_size=300),  # with surrogates
    st.lists(st.one_of(PIECES, st.text(st.characters(), max_size=4)), max_size=30).map("".join),
)


@given(TEXTS)
@settings(max_examples=400, deadline=None)
def test_no_text_raises_and_findings_are_sorted_apart_and_inside_the_text(text):
    findings = scan(text, kinds=KINDS, recognizers=[PatternRecognizer("WORD", r"\pL{3,}")], deadline=30)
    end = 0
    for found in findings:
        assert end <= found.start < found.end <= len(text)
        end = found.end


@given(TEXTS)
@settings(max_examples=200, deadline=None)
def test_a_scan_of_the_same_text_finds_the_same(text):
    assert scan(text) == scan(text)


@given(st.text(st.characters(), max_size=200))
@settings(max_examples=300, deadline=None)
def test_every_byte_of_a_view_leads_back_to_a_character_in_order(text):
    view = View(text, *fold(text), KEYWORDS)
    last = -1
    for position in range(len(view.data)):
        start, end = view.span(position, position + 1)
        assert last < start < end <= len(text)
        last = start


@given(st.lists(st.tuples(st.sampled_from([*ORDER, "PERSON"]), st.integers(0, 40), st.integers(1, 20)), max_size=12))
def test_resolving_leaves_no_overlap_and_loses_no_winner(spans):
    findings = [Finding(kind, start, start + size) for kind, start, size in spans]
    resolved = resolve(findings)
    assert all(before.end <= after.start for before, after in pairwise(resolved))
    covered = {at for found in resolved for at in range(found.start, found.end)}
    for found in findings:
        if found.kind == "SECRET":
            assert len(covered.intersection(range(found.start, found.end))) >= found.end - found.start - 2


@pytest.mark.parametrize(
    "piece",
    [
        "@",
        "a@",
        "1.",
        "DE89 ",
        "12-",
        "password",
        "a.",
        "+1(",
        "1 ",
        "0",
        "a",
        ":",
        "::1 ",
        "%41",
        "sk-",
        "4111 ",
        "http://",
        "eyJ",
        "-----BEGIN ",
        "[at] ",
        "1\u200b",
        "é1",
        "\0",
        "0x",
        '"',
        "secret='",
        "discord_token=",
        "a@b.",
        "/",
        "=",
        ".ey",
        "-----BEGIN PRIVATE KEY-----",
        "-----begin private key-----\n",
        "PuTTY-User-Key-File-2: ",
        "kind: Secret\n",
        "Authorization: Bearer ",
        "X-Api-Key: ",
        "passport ",
        "P<",
        "curl -u a:b ",
        "sig=",
        "--password ",
        "password is '",
        "%41 ",
        "&#64;\u200b",
        "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAx ",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed ",
        "541-714-1388 ",
        "+44 20 7946 0958 ",
        "a@b.1.",
    ],
)
def test_twice_the_text_takes_about_twice_the_time(piece):
    def seconds(size):
        text = (piece * size)[:size]
        start = time.thread_time()
        scan(text)
        return time.thread_time() - start

    seconds(1024)
    # Sixteen times the text: linear is 16, quadratic 256. The bound is generous because the machine may be busy.
    small = min(seconds(8192) for _ in range(3))
    large = min(seconds(131072) for _ in range(2))
    assert large < 64 * max(small, 0.0005)
