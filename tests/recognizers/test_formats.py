"""The secret tables: every row finds a token made by its own format, in the ways in which tokens are written."""

import random
import re
import string
from re import _constants, _parser

import pytest

from auditmw.recognizers import scan
from auditmw.recognizers.checksums import base58check, bech32, eip55, keccak256
from auditmw.recognizers.iban import STRUCTURES, _length, remainder
from auditmw.recognizers.table import RECOGNIZERS
from auditmw.recognizers.token_formats import FORMATS
from auditmw.recognizers.vendor_shapes import VENDORS

CARRIERS = ("{}", 'token: "{}"', "export X={}\n", "use `{}` here", "see {}.", "?key={}&v=1", '{{"k": "{}"}}')


def made(pattern: str, seed: int) -> str:
    """A text that the pattern matches, drawn at random."""
    draw = random.Random(seed)
    pattern = pattern.replace("[:alnum:]", "0-9A-Za-z")

    def any_of(items):
        characters = []
        for operation, value in items:
            if operation is _constants.LITERAL:
                characters.append(chr(value))
            elif operation is _constants.RANGE:
                characters.extend(map(chr, range(value[0], value[1] + 1)))
            else:  # a category, here always \w
                characters.extend(string.ascii_letters + string.digits)
        return draw.choice(characters)

    def walk(tree):
        parts = []
        for operation, value in tree:
            if operation is _constants.LITERAL:
                parts.append(chr(value))
            elif operation is _constants.IN:
                parts.append(any_of(value))
            elif operation is _constants.BRANCH:
                parts.append(walk(draw.choice(value[1])))
            elif operation is _constants.SUBPATTERN:
                parts.append(walk(value[3]))
            elif operation is _constants.MAX_REPEAT:
                least, most, inner = value
                most = min(most, least + 8)
                parts.extend(walk(inner) for _ in range(draw.randint(least, most)))
            else:
                raise AssertionError(operation)
        return "".join(parts)

    return walk(_parser.parse(pattern))


@pytest.mark.parametrize(("family", "mark", "rest", "least"), FORMATS, ids=lambda part: str(part)[:24])
def test_a_token_of_every_format_is_found_wherever_it_stands(family, mark, rest, least):
    opening = "" if mark[0] == "~" else re.escape(mark.lstrip("^"))
    for seed, carrier in enumerate(CARRIERS * 3):
        token = made(f"{opening}(?:{rest})", seed)
        text = carrier.format(token)
        start = text.index(token)
        found = [
            f for f in scan(text) if f.kind == "SECRET" and f.start <= start + 8 and f.end >= start + len(token) - 8
        ]
        assert found, (carrier, token)


@pytest.mark.parametrize(("family", "words", "shapes"), VENDORS, ids=lambda part: str(part)[:24])
def test_a_vendors_value_is_found_beside_the_vendors_name(family, words, shapes):
    draw = random.Random(family)
    for characters, least, most in shapes:
        for word in words:
            if characters == "uuid":
                value = "".join(
                    draw.choice("0123456789abcdef") if c == "x" else c for c in "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
                )
            else:
                value = made(f"[{characters.rstrip('=_-|+/:')}]{{{least},{most}}}", draw.randint(0, 10**6))
            for carrier in (
                '{}_token: "{}"',
                "const {}Token = '{}';",
                "export {}_SECRET={}\n",
                '  "{}ApiKey": "{}",',
                '{}Client := "{}"',
            ):
                text = carrier.format(word.strip("_-"), value) if word.strip("_-") == word else f'{word}key = "{value}"'
                assert any(text[f.start : f.end] == value for f in scan(text) if f.kind == "SECRET"), text


def test_no_two_rows_are_the_same():
    assert len({row[1:3] for row in FORMATS}) == len(FORMATS)
    words = [word for _, words, _ in VENDORS for word in words]
    assert len(set(words)) == len(words)


def test_the_tables_cover_the_large_families():
    families = {row[0] for row in FORMATS} | {row[0] for row in VENDORS}
    assert len(families) > 150


def test_every_country_has_a_structure_of_a_possible_length():
    assert all(15 <= _length(structure) <= 34 for structure in STRUCTURES.values())
    assert remainder(b"GB82WEST12345698765432") == 1


def test_keccak_is_ethereums():
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert keccak256(b"abc").hex() == "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"
    assert eip55(b"fB6916095ca1df60bB79Ce92cE3Ea74c37c5d359")
    assert not eip55(b"FB6916095ca1df60bB79Ce92cE3Ea74c37c5d359")


def test_base58_and_bech32_refuse_what_is_none_of_theirs():
    assert base58check(b"0OIl") is None
    assert base58check(b"1111") is None
    assert not bech32(b"bc1bio")


def test_keywords_are_in_lower_case():
    for recognizer in RECOGNIZERS:
        for keyword in getattr(recognizer, "keywords", ()):
            assert keyword == keyword.lower()
            assert len(keyword) > 1
