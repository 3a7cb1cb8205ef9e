"""What answers cost: a price book, and the arithmetic that repeats a stored cost without it."""

from __future__ import annotations

from auditmw.prices.arithmetic import recompute
from auditmw.prices.book import PriceBook

__all__ = ["PriceBook", "recompute"]
