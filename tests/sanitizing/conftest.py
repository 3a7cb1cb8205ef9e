"""What the sanitizer's tests share: a call with a body, run through one middleware, once."""

from __future__ import annotations

import pytest

from auditmw.call import Call


@pytest.fixture
def clean():
    """Runs the first half of a sanitizer around a body; gives the call."""

    def run(sanitizer, body, **fields):
        call = Call(request_id="r", timestamp_us=0, request=body, **fields)
        call.run = sanitizer.around(call)  # lives as long as the call
        next(call.run)
        return call

    return run
