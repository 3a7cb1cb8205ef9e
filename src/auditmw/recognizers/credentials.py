"""SECRET: credentials in URLs, in connection strings, in authorization headers and on curl's command line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from auditmw.recognizers.entropy import is_stand_in
from auditmw.recognizers.finding import Finding
from auditmw.recognizers.regex import Regex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from auditmw.recognizers.view import View

_IN_URL = Regex(rb"://([^\s:/?#\[\]@<>\"'{}\\]{0,64}):([^\s/?#@<>\"'\\]{3,256})@")
_HEADER = Regex(
    rb"(?i)authorization[\"']?\s{0,3}[:=,]{1,2}\s{0,3}[\"'\\]{0,2}\s{0,2}"
    rb"(?:(?:basic|bearer|token|apikey|api-key|api-token|digest|ntlm|negotiate|key|oauth|aws4-hmac-sha256|sso-key|splunk)"
    rb" *[:=]? *)?[\"']?"
)
_API_HEADER = Regex(rb"(?i)(?:x-)?(?:[a-z]+-){0,3}(?:apikey|key|token|secret|auth)[\"']?\s{0,3}[:=,]\s{0,3}[\"']?")
_VALUE = re.compile(rb"[^\s\"',;<>\\]{8,}")
_CURL_USER = Regex(
    rb"(?:-u|--user|--proxy-user)[ =]{0,3}(?:\"([^\":\s]{0,64}:[^\"\n]{0,128})\"|'([^':\s]{0,64}:[^'\n]{0,128})'"
    rb"|((?:\"[^\":\s]{1,64}\"|[^\s:\"']{1,64}):(?:\"[^\"\n]{1,128}\"|'[^'\n]{1,128}'|[^\s\"'\\]{1,128})))"
)
_CONNECTION = Regex(rb"(?i)[0-9a-z+/%_-]{20,}={0,2}")
_STAND_IN = Regex(
    rb"(?i)<?(?:user(?:name)?|pass(?:word)?|pwd|secret|token|test|foo|bar|baz|example|admin|root)>?|x{3,}|y{3,}|my[-_]?(?:password|token|secret)"
    rb"|api[-_]?key|access[-_]?token|xxx+|\[.*\]|\$\(?[\w{].*|%.*%|:.*|true|false|null|none|undefined|string|value"
)
_LONGEST = 2048


class CredentialRecognizer:
    """Where a protocol or a tool writes its credentials down."""

    name = "credentials"
    kinds = ("SECRET",)
    gate: Final = "keyword"
    keywords = (
        b"://", b"authorization", b"x-", b"apikey:", b"api-key:", b"api-token:", b"auth-token:", b" -u", b"--user",
        b"--proxy-user", b"accountkey=", b"sharedaccesskey=", b"sharedsecret=", b"sig=", b"signature=",
    )  # fmt: skip
    rules = (_IN_URL, _HEADER, _API_HEADER, _VALUE.pattern, _CURL_USER, _CONNECTION, _STAND_IN)

    def __init__(self) -> None:
        self._readers: dict[bytes, Callable[[bytes, int], tuple[int, int] | None]] = dict.fromkeys(
            self.keywords, _connection
        )
        self._readers |= {
            b"://": _in_url,
            b"authorization": _header,
            b"x-": _api_header,
            b"apikey:": _option_header,
            b"api-key:": _option_header,
            b"api-token:": _option_header,
            b"auth-token:": _option_header,
            b" -u": _curl_user,
            b"--user": _curl_user,
            b"--proxy-user": _curl_user,
        }

    def find(self, view: View) -> Iterator[Finding]:
        """Passwords of URLs; tokens and passwords of headers and options, without the scheme's name."""
        for keyword, start, _ in view.hits.get(self.name, ()):
            span = self._readers[keyword](view.data, start)
            if span:
                yield Finding("SECRET", *view.span(*span))


def _in_url(data: bytes, start: int) -> tuple[int, int] | None:
    if data.find(b"@", start, start + 340) < 0:
        return None
    match = _IN_URL.match(data, start, start + 340)
    if match is None or _means_nothing(match.group(2)):
        return None
    span: tuple[int, int] = match.span(2)
    return span


def _header(data: bytes, start: int) -> tuple[int, int] | None:
    return _value(data, _HEADER, start, start + 80)


def _api_header(data: bytes, start: int) -> tuple[int, int] | None:
    return _value(data, _API_HEADER, start, start + 80)


def _option_header(data: bytes, start: int) -> tuple[int, int] | None:
    """A header without X- is one only on curl's command line; elsewhere it may be any setting."""
    return _api_header(data, start) if b"-h" in data[max(0, start - 24) : start].lower() else None


def _connection(data: bytes, start: int) -> tuple[int, int] | None:
    start = data.index(b"=", start) + 1
    match = _CONNECTION.match(data, start, start + _LONGEST)
    return match.span() if match and not _means_nothing(match.group()) else None


def _value(data: bytes, name: Regex, start: int, end: int) -> tuple[int, int] | None:
    """The value after a header's name, if it has a digit, as all but words have."""
    named = name.match(data, start, end)
    match = _VALUE.match(data, named.end(), named.end() + _LONGEST) if named else None
    if match is None:
        return None
    value = match.group().rstrip(b".)]}&")
    if len(value) < 8 or not any(48 <= byte <= 57 for byte in value) or b"(" in value or _means_nothing(value):
        return None
    return match.start(), match.start() + len(value)


def _curl_user(data: bytes, start: int) -> tuple[int, int] | None:
    if b"curl" not in data[max(0, start - 300) : start].lower():
        return None
    match = _CURL_USER.match(data, start + (data[start] == 32), start + 220)
    if match is None:
        return None
    begin, end = next(match.span(group) for group in (1, 2, 3) if match.group(group) is not None)
    name, _, password = data[begin:end].replace(b'"', b"").replace(b"'", b"").partition(b":")
    return (begin, end) if (password or name) and not _means_nothing(password or name) else None


def _means_nothing(value: bytes) -> bool:
    return is_stand_in(value) or _STAND_IN.fullmatch(value) is not None
