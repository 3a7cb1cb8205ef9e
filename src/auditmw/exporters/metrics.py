"""A trail's health as OpenTelemetry metrics: `export_health(trail.health)` once, where the application is set up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from auditmw.errors import MissingExtra
from auditmw.health import Health

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, Observation

SCOPE: Final = "auditmw"
COUNTERS: Final = {
    "written": ("{entry}", "Entries that are stored"),
    "retried": ("{batch}", "Batches that were tried again"),
    "set_aside": ("{entry}", "Entries that the store refused"),
    "dropped": ("{entry}", "Entries for which there was no room"),
    "lost": ("{entry}", "Entries that are neither stored nor in a journal any more"),
    "recovered": ("{entry}", "Entries of dead processes that were found in their journals"),
    "interrupted": ("{call}", "Calls that were open when their process died"),
    "missing_context": ("{call}", "Calls that nobody put a name to"),
    "journal_failures": ("{write}", "Journal writes that failed"),
    "slow_journal_writes": ("{write}", "Journal writes that took longer than 50 ms"),
    "checkpoints": ("{checkpoint}", "Checkpoints that were made"),
}
GAUGES: Final = {
    "queue_entries": ("{entry}", "Entries that are sealed and not stored"),
    "queue_bytes": ("By", "Of those, what is held in memory"),
    "journal_bytes": ("By", "What the journal's files take"),
    "in_flight": ("{call}", "Calls that have not ended"),
    "oldest_unsent_s": ("s", "Age of the oldest entry that is not stored"),
}


def export_health(health: Callable[[], Health], meter: Meter | None = None) -> None:
    """Register a counter or gauge for every number of `trail.health()`, read whenever metrics are collected.

    Args:
        health: the method of a trail.
        meter: by default one of the application's own meter provider.

    Raises:
        MissingExtra: opentelemetry-api is not installed.
    """
    try:
        from opentelemetry.metrics import get_meter
    except ImportError as missing:
        raise MissingExtra("opentelemetry-api", "otel") from missing
    meter = meter or get_meter(SCOPE)
    for field, (unit, meaning) in COUNTERS.items():
        observed = [partial(_observe, health, field)]
        meter.create_observable_counter(f"auditmw.{field}", observed, unit=unit, description=meaning)
    for field, (unit, meaning) in GAUGES.items():
        observed = [partial(_observe, health, field)]
        meter.create_observable_gauge(f"auditmw.{field.removesuffix('_s')}", observed, unit=unit, description=meaning)


def _observe(health: Callable[[], Health], field: str, _options: CallbackOptions) -> Iterable[Observation]:
    from opentelemetry.metrics import Observation

    value: Any = getattr(health(), field)
    return [Observation(0 if value is None else value)]
