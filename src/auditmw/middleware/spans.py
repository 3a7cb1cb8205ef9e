"""Says on the current OpenTelemetry span which entry stands for it, for those who start from a trace."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from auditmw.call import Call
from auditmw.entry import decimal_text
from auditmw.errors import MissingExtra


class SpanAttributes:
    """Sets `auditmw.*` attributes on the span that is current when an attempt is sent; makes no span of its own.

    Not in the default pipeline. Put it right after `Writer()`, so that it sees what all others did. Where the SDK
    traces itself, the span is the SDK's, which stands for all attempts of a call: the last one's attributes stay.

    Raises:
        MissingExtra: opentelemetry-api is not installed.
    """

    def __init__(self) -> None:
        try:
            from opentelemetry import trace
        except ImportError as missing:
            raise MissingExtra("opentelemetry-api", "otel") from missing
        self._current_span = trace.get_current_span

    def around(self, call: Call) -> Generator[None, None, None]:
        """Set the ids when the attempt begins, and how it ended when it has."""
        span = self._current_span()
        if not span.is_recording():
            yield
            return
        span.set_attributes({"auditmw.request_id": call.request_id, "auditmw.attempt": call.attempt})
        yield
        if span.is_recording():
            span.set_attributes({name: value for name, value in _outcome(call).items() if value is not None})


def _outcome(call: Call) -> dict[str, Any]:
    nano = None if call.cost is None else call.cost.nano
    return {
        "auditmw.status": call.status,
        "auditmw.cost_usd": None if nano is None else decimal_text(nano),
        "auditmw.sanitization_count": call.sanitization_count,
    }
