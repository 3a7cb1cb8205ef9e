"""The binary framing (`application/vnd.amazon.eventstream`) in which Amazon Bedrock sends a stream's events.

A frame is: total length and header length (4 bytes each), a checksum of the two, the headers, the payload, a checksum
of all. The payload is JSON whose `bytes` is the event in Base64. Checksums are not checked: the SDK that reads the same
bytes does that.
"""

from __future__ import annotations

import binascii
from typing import Final

import msgspec

_PRELUDE: Final = 12
_TRAILER: Final = 4


class _Payload(msgspec.Struct):
    data: str | None = msgspec.field(name="bytes", default=None)
    message: str | None = None


_decoder: Final = msgspec.json.Decoder(_Payload)


def is_event_stream(raw: bytes) -> bool:
    """Whether bytes begin as such a frame: text never begins with a zero byte, a frame under 16 MiB always does."""
    return raw[:1] == b"\0"


def event_data(raw: bytes) -> list[bytes]:
    """The JSON of each whole event; an exception frame is given as an `error` event. Stops at a cut frame."""
    found: list[bytes] = []
    start = 0
    while start + _PRELUDE <= len(raw):
        total = int.from_bytes(raw[start : start + 4], "big")
        headers_end = start + _PRELUDE + int.from_bytes(raw[start + 4 : start + 8], "big")
        end = start + total
        if end > len(raw) or headers_end > end - _TRAILER:
            break
        event = _event(_headers(raw[start + _PRELUDE : headers_end]), raw[headers_end : end - _TRAILER])
        if event is not None:
            found.append(event)
        start = end
    return found


def _event(headers: dict[str, str], payload: bytes) -> bytes | None:
    try:
        body = _decoder.decode(payload)
        failure = headers.get(":exception-type") or headers.get(":error-code")
        if failure is not None:
            message = body.message or headers.get(":error-message")
            return msgspec.json.encode({"type": "error", "error": {"type": failure, "message": message}})
        return None if body.data is None else binascii.a2b_base64(body.data, strict_mode=True)
    except (msgspec.MsgspecError, UnicodeDecodeError, binascii.Error):
        return None


def _headers(raw: bytes) -> dict[str, str]:
    """The headers of type string, which are the only ones that Bedrock sends; reading ends at any other."""
    found: dict[str, str] = {}
    at = 0
    while at < len(raw):
        name_end = at + 1 + raw[at]
        if raw[name_end : name_end + 1] != b"\x07":
            break
        value_start = name_end + 3
        value_end = value_start + int.from_bytes(raw[name_end + 1 : value_start], "big")
        found[raw[at + 1 : name_end].decode("utf-8", "replace")] = raw[value_start:value_end].decode("utf-8", "replace")
        at = value_end
    return found
