"""The built-in middlewares, and the pipeline that a trail has by default."""

from __future__ import annotations

from typing import Any

from auditmw.middleware.budget import Budget
from auditmw.middleware.cost import CostCalculator
from auditmw.middleware.hasher import Hasher
from auditmw.middleware.sanitizer import Sanitizer
from auditmw.middleware.spans import SpanAttributes
from auditmw.middleware.timer import Timer
from auditmw.middleware.writer import Writer

__all__ = ["Budget", "CostCalculator", "Hasher", "Sanitizer", "SpanAttributes", "Timer", "Writer", "default_pipeline"]


def default_pipeline() -> list[Any]:
    """A new list of the default middlewares, outermost first; change it as you like and give it to a trail."""
    return [Writer(), Hasher(), CostCalculator(), Sanitizer(), Timer()]
