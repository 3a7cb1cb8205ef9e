"""One middleware of a pipeline: the forms that it offers, checked when the pipeline is composed."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from functools import partial
from typing import Any, Final, Literal

from auditmw.call import Call
from auditmw.errors import PipelineError
from auditmw.yields import surely_yields_twice

OnError = Literal["block", "continue"]
ONCE: Final = "a middleware yields exactly once: first half, yield, second half"


class Layer:
    """One middleware, bound to a trail's services if it has use for them.

    Raises:
        PipelineError: it is a class, offers no form, yields twice whatever happens, or its `on_error` is unknown.
    """

    def __init__(self, middleware: Any, services: object = None) -> None:
        if inspect.isclass(middleware):
            raise PipelineError(f"{middleware.__name__} is a class: put an instance into the pipeline, with ()")
        if services is not None and hasattr(middleware, "bind"):
            middleware = middleware.bind(services)
        self.name: str = getattr(middleware, "__name__", type(middleware).__name__)
        forms = _forms(middleware)
        self.plain: Callable[[Call], Generator[None, None, None]] | None
        self.plain = next(filter(inspect.isgeneratorfunction, forms), None)
        self.asynchronous: Callable[[Call], AsyncGenerator[None, None]] | None
        self.asynchronous = next(filter(inspect.isasyncgenfunction, forms), None)
        if self.plain is None and self.asynchronous is None:
            raise PipelineError(
                f"{self.name} is no middleware: write a generator function that takes the call and yields once, "
                "or an object whose around(call) or around_async(call) is one"
            )
        if any(map(surely_yields_twice, forms)):
            raise PipelineError(f"{self.name} yields more than once: {ONCE}")
        self.offloads: bool = getattr(middleware, "offloads", False)
        """Whether an async call with a large body steps this layer in a worker thread."""
        self.waits: bool = getattr(middleware, "waits", False)
        """Whether it may wait for something, so that an async call always steps it in a worker thread."""
        self.clean_stored: Callable[[Call], None] | None = getattr(middleware, "clean_stored", None)
        """What cleans an entry before it is sealed, whether or not the call got as far as this layer."""
        self.rules: str | None = getattr(middleware, "rules", None)
        """The version of the rules by which it decides, if it has any."""
        self.on_error: OnError = getattr(middleware, "on_error", "continue")
        if self.on_error not in {"block", "continue"}:
            raise PipelineError(f"{self.name}.on_error is {self.on_error!r}: use 'block' or 'continue'")


def _forms(middleware: Any) -> list[Any]:
    named = [getattr(middleware, name) for name in ("around", "around_async") if hasattr(middleware, name)]
    if named or inspect.isroutine(middleware) or isinstance(middleware, partial):
        return named or [middleware]
    return [getattr(middleware, "__call__", None)]  # noqa: B004  (the bound method is what tells its kind)
