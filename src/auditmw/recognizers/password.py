"""PASSWORD: what is assigned to a name such as password, secret, token or api_key, and passwords told in prose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditmw.recognizers.entropy import entropy, is_stand_in
from auditmw.recognizers.finding import Finding
from auditmw.recognizers.regex import Regex
from auditmw.recognizers.surroundings import LETTERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auditmw.recognizers.view import View

WORDS = (
    b"password", b"passwd", b"passwort", b"passphrase", b"passcode", b"pwd", b"_pass", b"pass:", b"pass=", b"mot de passe",
    b"contrase", b"wachtwoord", b"secret", b"token", b"api_key", b"apikey", b"api-key", b"api key", b"access_key",
    b"accesskey", b"access-key", b"auth_key", b"authkey", b"auth-key", b"private_key", b"privatekey", b"encryption_key",
    b"signing_key", b"master_key", b"credential", b"client_key", b"account_key",
)  # fmt: skip
_ASSIGNED = Regex(
    rb"[0-9A-Za-z_.\[\]-]{0,30}(?:\\?[\"'\x60])?(?:\])?(?:: ?(?:str|String|string|Optional\[str\]))?[ \t]{0,4}"
    rb"(?:==|!=|:=|=>|=|:|,)[ \t]{0,4}\\?([rbfu]{0,2}(?:\"\"\"|'''|[\"'\x60]))?"
)
_TOLD = Regex(rb"(?:s)?(?: (?:is|was|are|lautet|ist|es|est|to))?:? [\"'\x60]?")
_BARE = Regex(rb"[^\s\"'\x60,;<>]{4,200}")
_CODE = Regex(
    rb"[A-Za-z_$][0-9A-Za-z_]*(?:\.[A-Za-z_$][0-9A-Za-z_]*|\[[^\]]*\]|->[A-Za-z_]\w*|::\w+)*(?:\(.*)?|.*\(\)?|[$%@&*{\[(<].*"
    rb"|(?:true|false|null|none|nil|undefined|string|str|int|bool|any|optional).{0,2}|.*\$\{.*|.*\{\{.*|.*%\(.*|[a-z]+://.*|/.*/.*"
)
_STAND_IN = Regex(
    rb"(?i)(?:my|the|your|test|some|new|old|user|db|admin|default|super|this|is|a|an|fake|sample|demo|example|secret|enter)?[_ -]?"
    rb"(?:pass(?:word|wd|phrase)?|pwd|secret|token|key|api[_-]?key|value|credentials?|string|text|none|changeme|change|example|sample)"
    rb"[_-]?(?:here|value|key|string|name|id|123)?[.!]?"
)
_LONGEST = 200


class PasswordRecognizer:
    """The value's own look decides: quoted or bare, how mixed it is, and whether it reads like code or a stand-in."""

    name = "password"
    kinds = ("PASSWORD",)
    keywords = WORDS
    rules = (WORDS, _ASSIGNED, _TOLD, _BARE, _CODE, _STAND_IN)

    def find(self, view: View) -> Iterator[Finding]:
        """Values, without their quotes."""
        data = view.data
        done = 0
        for hit in view.hits(self.name):
            if hit.start < done:
                continue
            span = _assigned(data, hit.end) or (
                _told(data, hit.end) if hit.keyword[:4] in (b"pass", b"pwd", b"cont") else None
            )
            if span:
                done = span[1]
                yield Finding("PASSWORD", *view.span(*span))


def _assigned(data: bytes, end: int) -> tuple[int, int] | None:
    match = _ASSIGNED.match(data, end, end + 60)
    if match is None:
        return None
    start = match.end()
    quote = match.group(1)
    if quote:
        mark = quote[-1:] if len(quote) < 3 or quote[-3:-2] != quote[-1:] else quote[-3:]
        stop = data.find(mark, start, start + _LONGEST)
        if stop < 0 or b"\n" in data[start:stop]:
            return None
        if data[stop - 1 : stop] == b"\\":
            stop -= 1
        return (start, stop) if _is_quoted_secret(data[start:stop]) else None
    return _bare(data, start)


def _bare(data: bytes, start: int) -> tuple[int, int] | None:
    match = _BARE.match(data, start, start + _LONGEST)
    if match is None:
        return None
    value = match.group()
    while value and value[-1] in b".,:!?)]}&\\":
        if value[-1] in b")]}" and value.count(b"({["[b")}]".index(value[-1])]) >= value.count(value[-1]):
            break
        value = value[:-1]
    return (start, start + len(value)) if _is_bare_secret(value) else None


def _told(data: bytes, end: int) -> tuple[int, int] | None:
    """A password in a sentence: only what mixes letters with digits or signs, as no word does."""
    match = _TOLD.match(data, end, end + 16)
    if match is None:
        return None
    bare = _BARE.match(data, match.end(), match.end() + 64)
    if bare is None:
        return None
    value = bare.group().rstrip(b".,:!?)]}")
    if len(value) < 6 or _classes(value) < 3 or is_stand_in(value) or _CODE.fullmatch(value):
        return None
    return bare.start(), bare.start() + len(value)


def _classes(value: bytes) -> int:
    """How many of lower case, capitals, digits and signs it has."""
    return (
        any(97 <= byte <= 122 for byte in value)
        + any(65 <= byte <= 90 for byte in value)
        + any(48 <= byte <= 57 for byte in value)
        + any(byte not in LETTERS and not 48 <= byte <= 57 for byte in value)
    )


def _is_quoted_secret(value: bytes) -> bool:
    if not 4 <= len(value) <= _LONGEST or value.count(b" ") > 2 or is_stand_in(value) or _STAND_IN.fullmatch(value):
        return False
    if value[:1] in b"$%{<[(" and _CODE.fullmatch(value):
        return False
    if b"://" in value or value.isdigit() and len(value) < 6:
        return False
    has_letters = any(byte in LETTERS for byte in value)
    return has_letters and _classes(value) >= 2 and not _reads_like_a_name(value)


def _is_bare_secret(value: bytes) -> bool:
    if len(value) < 6 or is_stand_in(value) or _STAND_IN.fullmatch(value) or b"://" in value:
        return False
    if _classes(value) < 2 or _reads_like_a_name(value):
        return False
    has_digit = any(48 <= byte <= 57 for byte in value)
    if _CODE.fullmatch(value):
        return has_digit and value.isalnum() and entropy(value) >= 2.5 and len(value) >= 8
    return has_digit or len(value) >= 8


def _reads_like_a_name(value: bytes) -> bool:
    """Whether it is words only, joined as names are: snake_case, kebab-case, dotted.path or camelCase."""
    parts = value.translate(bytes.maketrans(b"-_./ :", b"      ")).split()
    return all(part.isalpha() for part in parts) and (len(parts) > 1 or value[1:].islower() or _humps(value))


def _humps(value: bytes) -> bool:
    capitals = sum(65 <= byte <= 90 for byte in value)
    return value.isalpha() and capitals <= len(value) // 4
