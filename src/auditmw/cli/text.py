"""Values as a terminal shows them: those of `auditmw.text`, and what is drawn of characters."""

from __future__ import annotations

from auditmw.text import ABSENT, duration, moment, money, money_digits, percent, printable, printable_json, short_id

__all__ = [
    "ABSENT",
    "bar",
    "duration",
    "moment",
    "money",
    "money_digits",
    "percent",
    "printable",
    "printable_json",
    "short_id",
    "sparkline",
]


def bar(share: float, width: int = 12) -> str:
    """A share from 0 to 1 as a bar, in steps of an eighth of a character."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    eighths = max(eighths, 1) if share > 0 else eighths
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]


def sparkline(values: list[int]) -> str:
    """Values over time as a line of small bars, the highest one full."""
    top = max(values, default=0)
    return "".join("▁▂▃▄▅▆▇█"[0 if top == 0 else round(value / top * 7)] for value in values)
