"""The arguments of an audited function that are cleaned before the function sees them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from auditmw.call import Call
from auditmw.errors import ConfigurationError


class NamedArguments:
    """Arguments by name; the others are neither read nor touched.

    Raises:
        ConfigurationError: the function has no parameter of that name.
    """

    def __init__(self, function: Callable[..., Any], names: Sequence[str]) -> None:
        self._names = (names,) if isinstance(names, str) else tuple(names)
        self._signature = inspect.signature(function)
        if unknown := [name for name in self._names if name not in self._signature.parameters]:
            raise ConfigurationError(
                f"sanitize= names {', '.join(unknown)}, which {function!r} does not take: "
                f"use one of {', '.join(self._signature.parameters)}"
            )

    def of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The named arguments of one call, by name.

        Raises:
            TypeError: the function cannot be called with these.
        """
        given = self._signature.bind(*args, **kwargs).arguments
        return {name: given[name] for name in self._names if name in given}

    def cleaned(
        self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """All arguments, the named ones as the sanitizer has left them in `call.request`."""
        bound = self._signature.bind(*args, **kwargs)
        bound.arguments.update(call.request)
        return bound.args, bound.kwargs
