"""SECRET: credentials in URLs, in connection strings, in authorization headers and on curl's command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditmw.recognizers.entropy import is_stand_in
from auditmw.recognizers.finding import Finding
from auditmw.recognizers.regex import Regex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from auditmw.recognizers.view import View

_IN_URL = Regex(rb"://([^\s:/?#\[\]@<>\"'{}\\]{0,64}):([^\s/?#@<>\"'\\]{3,256})@")
_HEADER = Regex(
    rb"(?i)authorization[\"']?\s{0,3}[:=,]{1,2}\s{0,3}[\"'\\]{0,2}\s{0,2}"
    rb"(?:(?:basic|bearer|token|apikey|api-key|digest|ntlm|negotiate|key|oauth|aws4-hmac-sha256|sso-key|splunk) *[:=]? *)?[\"']?"
    rb"([^\s\"',;<>\\]{8,})"
)
_API_HEADER = Regex(
    rb"(?i)x-(?:[a-z]+-){0,3}(?:key|token|secret|auth)[\"']?\s{0,3}[:=,]\s{0,3}[\"']?([^\s\"',;<>\\]{8,})"
)
_CURL_USER = Regex(
    rb"(?:-u|--user|--proxy-user)[ =]{0,3}(?:\"([^\":\s]{0,64}:[^\"\n]{1,128})\"|'([^':\s]{0,64}:[^'\n]{1,128})'"
    rb"|([^\s:\"']{1,64}:[^\s\"'\\]{1,128}))"
)
_CONNECTION = Regex(
    rb"(?i)(?:accountkey|sharedaccesskey|sharedsecret|sig|signature)=([0-9a-z+/%_-]{20,}(?:=|%3d){0,2})"
)
_STAND_IN = Regex(
    rb"(?i)user(?:name)?|pass(?:word)?|pwd|secret|token|test|foo|bar|example|admin|root|my[-_]?(?:password|token|secret)"
    rb"|api[-_]?key|access[-_]?token|xxx+|\[.*\]|\$\(?[\w{].*|%.*%|:.*|true|false|null|none|undefined|string|value"
)


class CredentialRecognizer:
    """Where a protocol or a tool writes its credentials down."""

    name = "credentials"
    kinds = ("SECRET",)
    keywords = (b"://", b"authorization", b"x-", b" -u", b"--user", b"--proxy-user", b"accountkey=", b"sharedaccesskey=",
                b"sharedsecret=", b"sig=", b"signature=")  # fmt: skip
    rules = (_IN_URL, _HEADER, _API_HEADER, _CURL_USER, _CONNECTION, _STAND_IN)

    def __init__(self) -> None:
        self._readers: dict[bytes, Callable[[bytes, int], tuple[int, int] | None]] = dict.fromkeys(
            self.keywords, _connection
        )
        self._readers |= {
            b"://": _in_url,
            b"authorization": _header,
            b"x-": _api_header,
            b" -u": _curl_user,
            b"--user": _curl_user,
            b"--proxy-user": _curl_user,
        }

    def find(self, view: View) -> Iterator[Finding]:
        """Passwords of URLs; tokens and passwords of headers and options, without the scheme's name."""
        for keyword, start, _ in view.hits(self.name):
            span = self._readers[keyword](view.data, start)
            if span:
                yield Finding("SECRET", *view.span(*span))


def _in_url(data: bytes, start: int) -> tuple[int, int] | None:
    match = _IN_URL.match(data, start, start + 340)
    if match is None or _means_nothing(match.group(2)):
        return None
    span: tuple[int, int] = match.span(2)
    return span


def _header(data: bytes, start: int) -> tuple[int, int] | None:
    return _value(data, _HEADER.match(data, start, start + 2200))


def _api_header(data: bytes, start: int) -> tuple[int, int] | None:
    return _value(data, _API_HEADER.match(data, start, start + 640))


def _connection(data: bytes, start: int) -> tuple[int, int] | None:
    return _value(data, _CONNECTION.match(data, start, start + 560))


def _value(data: bytes, match: object) -> tuple[int, int] | None:
    if match is None:
        return None
    start, end = match.span(1)  # type: ignore[attr-defined]  # re2 has no types
    while end > start and data[end - 1] in b".)]}&":
        end -= 1
    value = data[start:end]
    if end - start < 8 or _means_nothing(value) or not any(48 <= byte <= 57 for byte in value) or b"(" in value:
        return None
    return start, end


def _curl_user(data: bytes, start: int) -> tuple[int, int] | None:
    if b"curl" not in data[max(0, start - 300) : start].lower():
        return None
    match = _CURL_USER.match(data, start + (data[start] == 32), start + 220)
    if match is None:
        return None
    group = match.lastindex if hasattr(match, "lastindex") else next(i for i in (1, 2, 3) if match.span(i)[0] >= 0)
    begin, end = match.span(group)
    name, _, password = data[begin:end].partition(b":")
    if (_means_nothing(password) and password) or (not password and _means_nothing(name)):
        return None
    return begin, end


def _means_nothing(value: bytes) -> bool:
    return is_stand_in(value) or _STAND_IN.fullmatch(value) is not None
