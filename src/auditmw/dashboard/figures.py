"""What the overview shows: sums over time, split into the largest groups and the rest. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from auditmw import text as texts
from auditmw.dashboard.selection import Span
from auditmw.rollups.days import DayCell

LARGEST: Final = 5
"""So many groups have a colour of their own."""
REST: Final = "others"
NOBODY: Final = "(none)"


class Panel(NamedTuple):
    """One chart: its title, what it comes to in all, a word on that, and its series in the order of their colours.

    `show` is how its values are read, money in nanodollars and durations in microseconds.
    """

    name: str
    title: str
    total: str
    detail: str
    kind: Literal["bars", "lines"]
    series: Mapping[str, Sequence[int | None]]
    show: Callable[[int], str]


def panels(days: Sequence[DayCell], span: Span, split: str) -> list[Panel]:
    """The six charts of cells by the span's unit and by the split."""
    total = DayCell()
    for cell in days:
        total.add(cell)
    names = groups(days, split)

    def bars(amount: Callable[[DayCell], int]) -> dict[str, list[int]]:
        return _over_time(days, span, split, names, amount)

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
            bars(lambda cell: cell.priced_nano),
            lambda nano: texts.money(nano, digits),
        ),
        Panel(
            "calls",
            "Calls",
            f"{total.calls:,}",
            f"{total.attempts:,} attempts, {total.blocked:,} blocked",
            "bars",
            bars(lambda cell: cell.calls),
            _count,
        ),
        Panel(
            "tokens",
            "Tokens",
            _short(total.all_tokens),
            f"{_short(total.all_tokens - total.output_tokens)} in, {_short(total.output_tokens)} out",
            "bars",
            bars(lambda cell: cell.all_tokens),
            _short,
        ),
        Panel(
            "latency",
            "Latency",
            texts.ABSENT if total.mean_latency_us is None else texts.duration(total.mean_latency_us),
            "mean to the end of the answer",
            "lines",
            _means(bars(lambda cell: cell.latency_us), bars(lambda cell: cell.timed)),
            texts.duration,
        ),
        Panel(
            "errors",
            "Errors",
            "none sent" if rate is None else texts.percent(rate),
            f"{total.errors:,} of {total.sent:,} calls that were sent",
            "bars",
            bars(lambda cell: cell.errors),
            _count,
        ),
        Panel(
            "redactions",
            "Redactions",
            f"{total.redactions:,}",
            "pieces of personal data and secrets, removed before sending",
            "bars",
            bars(lambda cell: cell.redactions),
            _count,
        ),
    ]


def groups(days: Iterable[DayCell], split: str) -> list[str]:
    """The dearest groups in the order of their colours, and the rest under one name where there is one."""
    cost: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for cell in days:
        cost[_name(cell, split)] += cell.priced_nano
        calls[_name(cell, split)] += cell.calls
    names = sorted(calls, key=lambda name: (-cost[name], -calls[name], name))
    return names if len(names) <= LARGEST + 1 else [*names[:LARGEST], REST]


def _name(cell: DayCell, split: str) -> str:
    return texts.printable(getattr(cell, split) or NOBODY)


def _over_time(
    days: Iterable[DayCell], span: Span, split: str, names: Sequence[str], amount: Callable[[DayCell], int]
) -> dict[str, list[int]]:
    places = {step: place for place, step in enumerate(span.steps)}
    sums = {name: [0] * len(places) for name in names}
    for cell in days:
        place = places.get(getattr(cell, span.unit))
        if place is not None:
            name = _name(cell, split)
            sums[name if name in sums else REST][place] += amount(cell)
    return sums


def _means(sums: Mapping[str, Sequence[int]], counts: Mapping[str, Sequence[int]]) -> dict[str, list[int | None]]:
    return {
        name: [round(total / count) if count else None for total, count in zip(sums[name], counts[name], strict=True)]
        for name in sums
    }


def _count(value: int) -> str:
    return f"{value:,}"


def _short(value: int) -> str:
    """A large number in few digits: 1.2 M."""
    for unit, name in ((1_000_000_000, " G"), (1_000_000, " M"), (1_000, " k")):
        if value >= unit:
            amount = value / unit
            return f"{amount:.0f}{name}" if amount >= 100 else f"{amount:.1f}{name}"
    return str(value)
