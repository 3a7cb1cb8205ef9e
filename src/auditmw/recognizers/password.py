"""PASSWORD: what is assigned to a name such as password, secret, token or api_key, and passwords told in prose."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from auditmw.recognizers.entropy import entropy, is_stand_in
from auditmw.recognizers.finding import Finding
from auditmw.recognizers.regex import Regex
from auditmw.recognizers.token_formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from auditmw.recognizers.view import View

_SPOKEN = (
    b"passw", b"passphrase", b"passcode", b"pwd", b"_pass", b"sqlpass", b"pass:", b"pass=", b'pass"', b"pw:", b"pw=",
    b"_pw", b"psw", b"pssw", b"paswd", b"paswo", b"paswr", b"mot de passe", b"contrase", b"wachtwoord", b"kennwort",
    b"identified by",
)  # fmt: skip
_WRITTEN = (
    b"secret", b"token", b"api_key", b"apikey", b"api-key", b"api key", b"access_key", b"accesskey", b"access-key",
    b"auth_key", b"authkey", b"auth-key", b"private_key", b"privatekey", b"encryption_key", b"signing_key",
    b"master_key", b"credential", b"client_key", b"account_key",
)  # fmt: skip
_ASSIGNED = Regex(
    rb"[0-9A-Za-z_.\[\]-]{0,30}(?:\\{0,3}[\"'\x60])?\]?(?:: ?(?:str|String|string|Optional\[str\]))?[ \t]{0,4}"
    rb"(==|!=|:=|=>|value=|,?[ \t\r\n]{1,24}value: |,[ \t\r\n]{0,24}\\{0,3}[\"']value\\{0,3}[\"'][ \t]?:|=|:|,|>)"
    rb"[ \t]{0,4}\\{0,3}([rbfu]{0,2}(?:\"\"\"|'''|[\"'\x60]))?"
)
_TOLD = Regex(rb"(?:ords?|wd|wort|e\xffa|na)?(?: (?:is|was|are|lautet|ist|es|est|to))?:? ([\"'\x60])?")
_SOMETHING_OF = Regex(
    rb"(?:^s?|[_. -])(?i:ids?|names?|ur[il]|file|path|types?|version|endpoint|host|field|label|counts?|limit|length"
    rb"|size|expir[a-z]*|ttl|issuer|provider|manager|class|arn|ref|policy|prefix|format|header|param[a-z]*|placeholder|hint|enabled|usage)\z"
    rb"|(?:Ids?|Names?|Ur[il]|File|Path|Types?|Version|Endpoint|Count|Limit|Length|Size|Provider|Manager|Class|Policy|Prefix)\z"
)
_PUBLIC = (b"public", b"public_", b"public-", b"pub_")
_OPTION = Regex(rb"(?:^|[\s\"'])--?[0-9A-Za-z_-]{0,40}\z")
_OPTION_REST = Regex(rb"[0-9A-Za-z_-]{0,20}[ =][\"']?")
_IN_QUERY = Regex(rb"[?&;][0-9A-Za-z_.-]{0,30}\z")
_PAIR = Regex(rb"(?i)(?:id|user|username|login|account|\xfe) ?[/:] ?\z")
_USER = Regex(rb"[0-9A-Za-z_.-]+[/:,]")
_BARE = re.compile(rb"[^\s\"'\x60,;<>]{4,200}")
_ADDRESS = Regex(rb"[^@\s]+@[0-9A-Za-z-]+\.[0-9A-Za-z.-]+[0-9A-Za-z]")
_CODE = Regex(
    rb"[$%&@*]{0,2}\{?[A-Za-z_][0-9A-Za-z_]*\}?(?:[.?!]{1,2}[A-Za-z_$][0-9A-Za-z_]*|\[.*|->[A-Za-z_]\w*|::\w+)*(?:\(.*)?"
    rb"|.*\(\)?|[{\[(<].*|(?:true|false|null|none|nil|undefined|string|str|int|bool|any|optional).{0,2}"
    rb"|.*\$\{.*|.*\{\{.*|.*%\(.*|[a-z]+://.*|\.{0,2}/.*/.*|%[a-z]"
)
_STAND_IN = Regex(
    rb"(?i)(?:my|the|your|test|some|new|old|user|db|admin|default|super|this|is|an?|fake|sample|demo"
    rb"|example|secret)?[_ -]?(?:pass(?:word|wd|phrase)?|pwd|secret|token|key|api[_-]?key|value|credentials?|string"
    rb"|text|none|changeme|change|example|sample)[_-]?(?:here|value|key|string|name|id|123)?[.!]?"
)
_MADE_UP = Regex(rb"(?i)example|dummy|sample|fake|abc123|foobar|lorem|mock|1234567890|1234-1234|#{4,}")
_LONGEST = 200
_LONGEST_NAME = 31
_BEFORE = 48
_SHORTEST_IN_QUERY = 16
_MARKS = tuple(
    mark.encode() for _, mark, _, _ in FORMATS if len(mark) > 2 and mark[0] not in "~^" and mark[-1] in "_-."
)
_SHORTEST_MARKED = 20
_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS = b"0123456789"
_NOT_LETTERS = bytes(set(range(256)) - set(_LETTERS))
_NOT_SIGNS = _LETTERS + _DIGITS + b"\xff"
_JOINTS = bytes.maketrans(b"-_./:", b"     ")


class PasswordRecognizer:
    """The value's own look decides: quoted or bare, how mixed it is, and whether it reads like code or a stand-in."""

    name = "password"
    kinds = ("PASSWORD",)
    gate: Final = "keyword"
    keywords = _SPOKEN + _WRITTEN
    rules = (
        keywords,
        _SOMETHING_OF,
        _PUBLIC,
        _ASSIGNED,
        _TOLD,
        _OPTION,
        _OPTION_REST,
        _IN_QUERY,
        _PAIR,
        _USER,
        _BARE.pattern,
        _ADDRESS,
        _CODE,
        _STAND_IN,
        _MADE_UP,
    )

    def find(self, view: View) -> Iterator[Finding]:
        """Values, without their quotes."""
        data = view.data
        done = 0
        for keyword, start, end in view.hits.get(self.name, ()):
            if start < done or data[end : end + _LONGEST_NAME].isalnum():
                continue  # nothing is assigned to a name that goes on and on
            if view.lower[max(0, start - 8) : start].endswith(_PUBLIC):
                continue
            span = _assigned(data, start, end, spoken=keyword in _SPOKEN)
            if span is None and keyword in _SPOKEN:
                span = _told(data, end)
            if span is None and data.rfind(b"-", max(0, start - _BEFORE), start) >= 0:
                span = _option(data, start, end)
            if span:
                done = span[1]
                yield Finding("PASSWORD", *view.span(*_second_of_pair(data, start, *span)))


def _second_of_pair(data: bytes, name: int, start: int, end: int) -> tuple[int, int]:
    """The password alone, where name and value are pairs of a user and a password: id/pw: bob/f4K#e."""
    if _PAIR.search(data[max(0, name - _BEFORE) : name]):
        user = _USER.match(data, start, end - 4)
        if user:
            return user.end(), end
    return start, end


def _assigned(data: bytes, begin: int, end: int, *, spoken: bool) -> tuple[int, int] | None:
    """The value after the name and an operator; a comma is one only before a quoted value."""
    if data[end - 1] in b':="':
        end -= 1
    match = _ASSIGNED.match(data, end, end + 64)
    if match is None:
        return None
    at, after = match.span(1)
    operator, tail = data[at:after], data[end:at].rstrip(b" \t\"'\\\x60]")
    if tail and _SOMETHING_OF.search(tail):
        return None
    if b"value" in operator and data[begin:end].lower() != b"passw":
        return None  # a token in a form; a password in a configuration file is one
    at, after = match.span(2)
    if at < after:
        return _quoted(data, after, data[at:after].lstrip(b"rbfu"), _is_quoted_secret)
    if operator == b",":
        return None
    span = _bare(data, match.end())
    if span and _ADDRESS.fullmatch(data[span[0] : span[1]]):
        span = _bare(data, span[1] + 3) if data[span[1] : span[1] + 3] == b" / " else None
    if span is None or not _is_bare_secret(data[span[0] : span[1]]):
        return None
    if operator == b">" and data[span[1] : span[1] + 2] != b"</":
        return None  # only what fills an element is its value
    if spoken:
        return span
    if span[1] - span[0] < _SHORTEST_IN_QUERY and _IN_QUERY.search(data[max(0, begin - _BEFORE) : begin]):
        return None  # the page tokens that many sites put into their addresses
    return span


def _quoted(data: bytes, start: int, mark: bytes, is_secret: Callable[[bytes], bool]) -> tuple[int, int] | None:
    stop = data.find(mark, start, start + _LONGEST)
    if stop < 0:
        return None
    while stop > start and data[stop - 1] == 92:
        stop -= 1
    value = data[start:stop]
    return (start, stop) if b"\n" not in value and is_secret(value) else None


def _bare(data: bytes, start: int) -> tuple[int, int] | None:
    match = _BARE.match(data, start, start + _LONGEST)
    if match is None:
        return None
    value = match.group()
    while value and value[-1] in b".,:!?)]}&\\":
        if value[-1] in b")]}" and value.count(b"([{"[b")]}".index(value[-1])]) >= value.count(value[-1]):
            break
        value = value[:-1]
    return (start, start + len(value)) if value else None


def _told(data: bytes, end: int) -> tuple[int, int] | None:
    """A password in a sentence: only what mixes letters with digits or signs, as no word does."""
    match = _TOLD.match(data, end, end + 20)
    if match is None:
        return None
    if match.group(1):
        return _quoted(data, match.end(), match.group(1), _is_told_secret)
    bare = _BARE.match(data, match.end(), match.end() + 64)
    if bare is None:
        return None
    value = bare.group().rstrip(b".,:?)]}")
    return (bare.start(), bare.start() + len(value)) if _is_told_secret(value) else None


def _option(data: bytes, begin: int, end: int) -> tuple[int, int] | None:
    """The value of an option on a command line."""
    rest = _OPTION_REST.match(data, end, end + 24)
    if rest is None or not _OPTION.search(data[max(0, begin - _BEFORE) : begin]):
        return None
    span = _bare(data, rest.end())
    return span if span and _is_told_secret(data[span[0] : span[1]]) else None


def _classes(value: bytes) -> int:
    """How many of lower case, capitals, digits and signs it has."""
    letters = value.translate(None, _NOT_LETTERS)
    signs = value.translate(None, _NOT_SIGNS)
    return _has_digit(value) + bool(signs) + (letters != letters.lower()) + (letters != letters.upper())


def _has_digit(value: bytes) -> bool:
    return len(value.translate(None, _DIGITS)) < len(value)


def _is_told_secret(value: bytes) -> bool:
    if len(value) < 6 or _is_made_up(value):
        return False
    mixed = _classes(value)
    if _has_digit(value):
        return mixed >= 3 or (mixed == 2 and len(value) >= 8)
    return mixed >= 3 and not _CODE.fullmatch(value) and not _reads_like_a_name(value)


def _is_quoted_secret(value: bytes) -> bool:
    if len(value) < 4 or value.count(b" ") > 2 or _classes(value) < 2 or _reads_like_a_name(value):
        return False
    return not (_is_made_up(value) or (value[:1] in b"$%{<[(@&" and _CODE.fullmatch(value)))


def _is_bare_secret(value: bytes) -> bool:
    if len(value) < 6 or _classes(value) < 2 or _reads_like_a_name(value) or _is_made_up(value):
        return False
    if _CODE.fullmatch(value):
        least = 8 if _has_digit(value) else 16
        return value.isalnum() and len(value) >= least and entropy(value) >= 2.5
    return _has_digit(value) or len(value) >= 8


def _is_made_up(value: bytes) -> bool:
    return (
        is_stand_in(value)
        or _STAND_IN.fullmatch(value) is not None
        or _MADE_UP.search(value) is not None
        or b"://" in value
        or (len(value) < _SHORTEST_MARKED and value.startswith(_MARKS))  # a vendor's token, cut off to show the format
        or not value.strip(b"0123456789.,:- ")
    )


def _reads_like_a_name(value: bytes) -> bool:
    """Whether it is words only, joined as names are: snake_case, kebab-case, dotted.path or camelCase."""
    parts = value.translate(_JOINTS).split()
    if not parts or not all(part.isalpha() for part in parts):
        return False
    capitals = len(value) - len(value.translate(None, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    return len(parts) > 1 or value[1:].islower() or capitals <= len(value) // 4
