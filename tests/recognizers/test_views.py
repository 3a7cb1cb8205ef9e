"""The folded view, the way back to the original offsets, and what is decoded."""

import base64
import urllib.parse

import pytest

from auditmw.recognizers import scan
from auditmw.recognizers.folding import read
from auditmw.recognizers.view import fold

VALUES = {
    "CARD": ("My card is {} thanks", "4111111111111111"),
    "SSN": ("My SSN: {} ok", "536-22-8145"),
    "IBAN": ("Pay to IBAN {} now", "DE89370400440532013000"),
    "EMAIL": ("Write to {} today", "bob_smith@acme-corp.co.uk"),
    "PHONE": ("Call me at {} today", "+442079460958"),
    "IP": ("Host {} is down", "192.168.17.23"),
    "SECRET": ("The key {} leaked", "ghp_1B2c3D4e5F6g7H8i9J0kLmNoPqRsTuVwXyZ1"),
}


def in_the_middle(character):
    return lambda value: value[:9] + character + value[9:]


def digits_from(zero):
    return lambda value: "".join(chr(ord(zero) + int(c)) if c.isdigit() else c for c in value)


def mathematical(value):
    def bold(character):
        for first, last, start in (("0", "9", 0x1D7CE), ("A", "Z", 0x1D400), ("a", "z", 0x1D41A)):
            if first <= character <= last:
                return chr(start + ord(character) - ord(first))
        return character

    return "".join(map(bold, value))


HIDDEN = {
    "full width": lambda value: "".join(chr(ord(c) + 0xFEE0) if c != " " else c for c in value),
    "Arabic-Indic digits": digits_from("\u0660"),
    "Devanagari digits": digits_from("\u0966"),
    "mathematical bold": mathematical,
    "zero-width space": in_the_middle("\u200b"),
    "zero-width joiners": "\u200d".join,
    "soft hyphen": in_the_middle("\u00ad"),
    "byte order mark": in_the_middle("\ufeff"),
    "word joiner": in_the_middle("\u2060"),
    "tag": in_the_middle("\U000e0041"),
    "right-to-left mark": in_the_middle("\u200f"),
    "combining tilde": in_the_middle("\u0303"),
    "variation selector": in_the_middle("\ufe0f"),
    "en dash": lambda value: value.replace("-", "\u2013"),
    "Cyrillic look-alikes": lambda value: value.replace("a", "\u0430").replace("o", "\u043e").replace("c", "\u0441"),
    "percent escapes": lambda value: urllib.parse.quote(value, safe=""),
    "all percent escapes": lambda value: "".join(f"%{ord(c):02X}" for c in value),
    "character references": lambda value: value.replace("@", "&#64;").replace("-", "&#x2d;").replace(".", "&period;"),
    "Base64 in a sentence": lambda value: base64.b64encode(f"the value is {value}, ok".encode()).decode(),
    "Base64 for URLs": lambda value: base64.urlsafe_b64encode(f"value: {value}".encode()).decode().rstrip("="),
    "wrapped by a backslash": in_the_middle("\\\n"),
}


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("way", HIDDEN)
def test_no_way_of_writing_hides_a_value_and_offsets_point_into_the_original(kind, way):
    sentence, value = VALUES[kind]
    written = HIDDEN[way](value)
    text = sentence.format(written)
    assert [written] == [text[found.start : found.end] for found in scan(text) if found.kind == kind]


@pytest.mark.parametrize(
    ("character", "plain"),
    [
        ("é", "e"),
        ("Ñ", "N"),
        ("\u202f", " "),
        ("\u2028", "\n"),
        ("“", '"'),
        ("ß", "\xff"),
        ("\u0431", "\xff"),
        ("中", "\xfe"),
    ],
)
def test_a_character_is_read_as_the_ascii_that_it_looks_like(character, plain):
    assert plain == read(ord(character))


@pytest.mark.parametrize("character", ["\u200b", "\u00ad", "\u0301", "\u115f", "\U000e0020"])
def test_a_character_that_nobody_sees_is_left_out(character):
    assert read(ord(character)) == ""


def test_a_text_without_invisible_characters_needs_no_map():
    assert fold("café 中") == (b"caf\x65 \xfe", None)


def test_offsets_hold_after_astral_characters_and_deletions():
    text = "😀😀 \u200b\u200b4111\u200b1111 1111\u00ad 1111\u200b 😀"
    (found,) = scan(text)
    assert text[found.start : found.end] == "4111\u200b1111 1111\u00ad 1111"


def test_a_lone_surrogate_and_nul_are_characters_like_others():
    text = "\ud800\0 bob@example.com \udfff"
    (found,) = scan(text)
    assert text[found.start : found.end] == "bob@example.com"


def test_two_values_in_one_encoded_run_are_one_finding_of_the_kind_that_wins():
    run = base64.b64encode(b"bob@example.com has 4111 1111 1111 1111").decode()
    assert [("CARD", 3, 3 + len(run))] == [tuple(found) for found in scan(f"x: {run} y")]


def test_encoded_bytes_that_are_no_text_are_left_alone():
    assert scan("sha512-" + base64.b64encode(bytes(range(128, 176))).decode()) == []


def test_what_is_plain_beside_an_escape_is_found_once():
    text = "bob@example.com and %20 and jane@example.com"
    assert [text[found.start : found.end] for found in scan(text)] == ["bob@example.com", "jane@example.com"]


def test_a_reference_beyond_unicode_is_no_character():
    assert scan("bob&#9999999;example.com and &#xffffff;") == []


def test_an_escape_in_a_text_with_deletions_leads_back_to_the_original():
    text = "\u200bbob\u200b&#64;exam\u200bple.com"
    (found,) = scan(text)
    assert text[found.start : found.end] == "bob\u200b&#64;exam\u200bple.com"
