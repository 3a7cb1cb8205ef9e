"""SECRET: private keys in PEM and PuTTY files, as one finding from the first line to the last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from auditmw.recognizers.finding import Finding
from auditmw.recognizers.regex import Regex

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auditmw.recognizers.view import View

_BEGIN = Regex(rb"(?i)-----BEGIN[ A-Z0-9_-]{0,60}PRIVATE KEY(?: BLOCK)?-----")
_END = Regex(rb"(?i)-----END[ A-Z0-9_-]{0,60}PRIVATE KEY(?: BLOCK)?-----")
_BODY = Regex(rb"(?:[^A-Za-z0-9+/\xfe]{0,40}[A-Za-z0-9+/=]{16,})+")
_PUTTY = Regex(rb"PuTTY-User-Key-File-[23]: [^\xfe]*?Private-MAC: [0-9a-f]{40,64}")
_SHORTEST, _LONGEST = 40, 16384


class PrivateKeyRecognizer:
    """A key whose end is missing is found up to its last line of Base64."""

    name = "private key"
    kinds = ("SECRET",)
    gate: Final = "keyword"
    keywords = (b"-----begin", b"putty-user-key-file")
    rules = (_BEGIN, _END, _BODY, _PUTTY)

    def find(self, view: View) -> Iterator[Finding]:
        """Keys, encrypted ones too."""
        data = view.data
        done = 0
        for keyword, start, end in view.hits.get(self.name, ()):
            if start < done:
                continue
            limit = min(len(data), start + _LONGEST)
            another = view.lower.find(keyword, end, limit)
            if another >= 0:
                limit = another
            if keyword.startswith(b"putty"):
                match = _PUTTY.match(data, start, limit)
                span = match.span() if match else None
            else:
                span = _pem(data, start, limit)
            if span:
                done = span[1]
                yield Finding("SECRET", *view.span(*span))


def _pem(data: bytes, start: int, limit: int) -> tuple[int, int] | None:
    begin = _BEGIN.match(data, start, limit)
    if begin is None:
        return None
    end = _END.search(data, begin.end(), limit)
    if end is not None:
        return (start, end.end()) if end.start() - begin.end() >= _SHORTEST else None
    body = _BODY.match(data, begin.end(), limit)
    return (start, body.end()) if body and body.end() - begin.end() >= _SHORTEST else None
