"""auditmw's own messages: structlog events, on stderr unless the application has configured structlog."""

from __future__ import annotations

import sys
from typing import Any


def _to_stderr() -> Any:
    """Made anew each time: what is standard error may change, and then the old one may be closed."""
    import structlog

    processors: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
    ]
    return structlog.wrap_logger(structlog.PrintLogger(sys.stderr), processors=processors)


def logger() -> Any:
    """The logger of auditmw's own events."""
    import structlog

    return structlog.get_logger("auditmw") if structlog.is_configured() else _to_stderr()


def report(event: str, level: str = "error", **fields: object) -> None:
    """Log an event; a logger that fails itself is no reason to disturb a call."""
    try:
        getattr(logger(), level)(event, **fields)
    except Exception as error:  # a broken logging set-up of the application: stderr is all that is left
        print(f"auditmw: {event} {fields} (logging failed: {error!r})", file=sys.stderr)  # noqa: T201
