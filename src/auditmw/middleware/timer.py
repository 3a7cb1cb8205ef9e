"""How long the provider took: latency and time to the first chunk, on the monotonic clock."""

from __future__ import annotations

from collections.abc import Generator

from auditmw.call import Call


class Timer:
    """Sets `latency_us` and, for streams, `ttft_us`, from when the attempt was sent; one that never was has none."""

    def around(self, call: Call) -> Generator[None, None, None]:
        """Tell the times when the attempt has ended."""
        yield
        sent_ns, ended_ns = call.sent_ns, call.ended_ns
        if sent_ns is None or ended_ns is None:
            return
        call.latency_us = max(0, ended_ns - sent_ns) // 1000
        if call.stream and call.first_chunk_ns is not None:
            call.ttft_us = max(0, call.first_chunk_ns - sent_ns) // 1000
