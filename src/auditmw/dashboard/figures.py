"""What the overview shows: sums over time, split into the largest groups and the rest. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from operator import add, attrgetter
from typing import Final, Literal, NamedTuple

from auditmw import text as texts
from auditmw.dashboard.selection import Span
from auditmw.rollups.buckets import Counts, quantile
from auditmw.rollups.days import FAILED, DayCell
from auditmw.rollups.hours import HOUR_SUMS, HourCell

LARGEST: Final = 5
"""So many groups have a colour of their own."""
REST: Final = "others"
NOBODY: Final = "(none)"
SUMS: Final = (
    *("calls", "priced_nano", "priced", "unpriced", "all_tokens", "attempts"),
    *("errors", "blocked", "output_tokens", "redactions"),
)
"""The sums that are shown."""
_QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_sums_of: Final = attrgetter(*SUMS)


class Panel(NamedTuple):
    """One chart: its title, what it comes to in all, a word on that, and its series in the order of their colours.

    `show` is how its values are read, money in nanodollars and durations in microseconds. Its series are the groups
    of the page, or else its own.
    """

    name: str
    title: str
    total: str
    detail: str
    kind: Literal["bars", "lines"]
    series: Mapping[str, Sequence[int | None]]
    show: Callable[[int], str]
    own_series: bool = False


def panels(cells: Sequence[DayCell], times: Sequence[HourCell], span: Span, split: str) -> list[Panel]:
    """The six charts of cells by the span's unit and by the split, and of the times of calls by the unit."""
    groups = _by_group(cells, span, split)
    total = DayCell()
    for step in chain.from_iterable(groups.values()):
        total.add(step)

    def bars(name: str) -> dict[str, list[int]]:
        return {group: [getattr(step, name) for step in steps] for group, steps in groups.items()}

    cost = total.priced_nano
    digits = texts.money_digits([cost])
    rate = total.errors / total.sent if total.sent else None
    return [
        Panel(
            "cost",
            "Cost",
            texts.money(cost, 2) if total.priced else "unknown",
            f"{total.unpriced:,} calls have no full price" if total.unpriced else "every call is priced",
            "bars",
            bars("priced_nano"),
            lambda nano: texts.money(nano, digits),
        ),
        Panel(
            "calls",
            "Calls",
            f"{total.calls:,}",
            f"{total.attempts:,} attempts, {total.blocked:,} blocked",
            "bars",
            bars("calls"),
            _count,
        ),
        Panel(
            "tokens",
            "Tokens",
            _short(total.all_tokens),
            f"{_short(total.all_tokens - total.output_tokens)} in, {_short(total.output_tokens)} out",
            "bars",
            bars("all_tokens"),
            _short,
        ),
        _latency(times, span),
        Panel(
            "errors",
            "Errors",
            "none sent" if rate is None else texts.percent(rate),
            f"{total.errors:,} of {total.sent:,} calls that were sent",
            "bars",
            bars("errors"),
            _count,
        ),
        Panel(
            "redactions",
            "Redactions",
            f"{total.redactions:,}",
            "pieces of personal data and secrets, removed before sending",
            "bars",
            bars("redactions"),
            _count,
        ),
    ]


def as_sums(cell: HourCell) -> DayCell:
    """What calls that ended alike come to."""
    sums = {name: getattr(cell, name) for name in SUMS if name in HOUR_SUMS}
    failed, blocked = cell.status in FAILED, cell.status == "blocked"
    sums |= {"errors": failed * cell.calls, "blocked": blocked * cell.calls}
    return DayCell(hour=cell.hour, day=cell.day, model=cell.model, **sums)


def _latency(times: Sequence[HourCell], span: Span) -> Panel:
    places = {step: place for place, step in enumerate(span.steps)}
    latency, ttft = [0] * len(places), [0] * len(places)
    for cell in times:
        place = places.get(getattr(cell, span.unit))
        if place is not None and cell.status == "success":
            latency[place] += cell.latency
            ttft[place] += cell.ttft
    series: dict[str, list[int | None]] = {
        name: [quantile(counts, share) for counts in latency] for name, share in _QUANTILES.items()
    }
    series["first chunk p50"] = [quantile(counts, 0.5) for counts in ttft]
    return Panel(
        "latency",
        "Latency",
        _quantiles(sum(latency)),
        f"p50, p95, p99 of calls that succeeded; first chunk {_quantiles(sum(ttft))}",
        "lines",
        series,
        texts.duration,
        own_series=True,
    )


def _quantiles(counts: Counts) -> str:
    found = [quantile(counts, share) for share in _QUANTILES.values()]
    return ", ".join(texts.ABSENT if us is None else texts.duration(us) for us in found)


def _by_group(cells: Sequence[DayCell], span: Span, split: str) -> dict[str, list[DayCell]]:
    """The steps of the dearest groups in the order of their colours, and of the rest under one name if there is one."""
    places = {step: place for place, step in enumerate(span.steps)}
    shown = [(places[step], cell) for cell in cells if (step := getattr(cell, span.unit)) in places]
    names = _names(shown, split)
    sums = {name: [[0] * len(SUMS) for _ in places] for name in dict.fromkeys(names.values())}
    for place, cell in shown:
        steps = sums[names[getattr(cell, split)]]
        steps[place] = list(map(add, steps[place], _sums_of(cell)))
    return {name: [_summed(step) for step in steps] for name, steps in sums.items()}


def _names(shown: Iterable[tuple[int, DayCell]], split: str) -> dict[str | None, str]:
    """What each group is called, the dearest ones first and all others alike."""
    worth: defaultdict[str | None, list[int]] = defaultdict(lambda: [0, 0])
    for _, cell in shown:
        known = worth[getattr(cell, split)]
        known[0] -= cell.priced_nano
        known[1] -= cell.calls
    printed = {group: texts.printable(group or NOBODY) for group in worth}
    order = sorted(worth, key=lambda group: (worth[group], printed[group]))
    kept = len(order) if len(order) <= LARGEST + 1 else LARGEST
    return {group: printed[group] if place < kept else REST for place, group in enumerate(order)}


def _summed(sums: Sequence[int]) -> DayCell:
    cell = DayCell()
    for name, amount in zip(SUMS, sums, strict=True):
        setattr(cell, name, amount)
    return cell


def _count(value: int) -> str:
    return f"{value:,}"


def _short(value: int) -> str:
    """A large number in few digits: 1.2 M."""
    for unit, name in ((1_000_000_000, " G"), (1_000_000, " M"), (1_000, " k")):
        if value >= unit:
            amount = value / unit
            return f"{amount:.0f}{name}" if amount >= 100 else f"{amount:.1f}{name}"
    return str(value)
