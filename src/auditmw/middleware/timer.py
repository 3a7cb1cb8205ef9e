"""How long the provider took: latency and time to the first chunk, on the monotonic clock."""

from __future__ import annotations

from collections.abc import Generator

from auditmw.call import Call


class Timer:
    """Sets `latency_us` and, for streams, `ttft_us`: from when the attempt was sent to when its answer had ended."""

    def around(self, call: Call) -> Generator[None, None, None]:
        """Tell the times when the attempt has ended."""
        yield
        sent = call.started_ns if call.sent_ns is None else call.sent_ns
        if call.ended_ns is not None:
            call.latency_us = max(0, call.ended_ns - sent) // 1000
        if call.stream and call.first_chunk_ns is not None:
            call.ttft_us = max(0, call.first_chunk_ns - sent) // 1000
