"""Checks of what a user chooses: each refusal names the option and says what would do."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from auditmw.errors import ConfigurationError


def one_of(name: str, value: str | None, allowed: Sequence[str]) -> str | None:
    """One of these words, or nothing."""
    if value is not None and value not in allowed:
        raise ConfigurationError(f"{name} is {value!r}: use one of {', '.join(allowed)}")
    return value


def at_least(name: str, value: float | None, least: int) -> None:
    """A finite number from `least` on, or nothing."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < math.inf:
        raise ConfigurationError(f"{name} is {value!r}: give a number from {least} on")


def a_path(name: str, value: str | os.PathLike[str] | None) -> None:
    """A path, or nothing."""
    if value is not None and not isinstance(value, str | os.PathLike):
        raise ConfigurationError(f"{name} is {value!r}: give a path")
