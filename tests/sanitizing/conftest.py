"""What the sanitizer's tests share: a call with a body, run through one middleware, and values to be found."""

from __future__ import annotations

import pytest

from auditmw.call import Call

CARD = "4111 1111 1111 1111"
KEY = "ghp_" + "k3J8sLq0Zx7Vb2Nm5Tt9Rr1Yy4Ww6Cc8Hh0P"
IBAN = "DE89 3704 0044 0532 0130 00"
EMAIL = "alice@example.org"
PASSWORD = "Xk7#mQ2pL9"
PEM = "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw\n" * 3 + "-----END PRIVATE KEY-----"


def make_call(request=None, **fields) -> Call:
    return Call(request_id="r", timestamp_us=0, started_ns=0, request=request, **fields)


def messages(*contents, **fields) -> dict:
    turns = [{"role": "user", "content": content} for content in contents]
    return {"model": "claude-sonnet-5-5", "max_tokens": 100, "messages": turns, **fields}


@pytest.fixture
def clean():
    """Runs the first half of a sanitizer around a body; gives the call."""

    def run(sanitizer, body, **fields):
        call = make_call(body, **fields)
        half = sanitizer.around(call)
        next(half)
        call.run = half  # as long as the call: a second half is not run by garbage collection
        return call

    return run
