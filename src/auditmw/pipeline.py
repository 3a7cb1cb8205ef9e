"""Composes middlewares around a call: a chain that is made once and then frozen.

A plain generator works around sync and async calls, an async generator around async calls only; an object may offer
both as `around` and `around_async`. How their halves are run is in `auditmw.halves`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from auditmw.errors import PipelineError
from auditmw.layers import Layer

Form = Literal["sync", "async"]


class Pipeline:
    """Middlewares in order, first outermost; made once and never changed. `services` is what they are bound to.

    Raises:
        PipelineError: the first is not Writer(), or one is no middleware.
    """

    def __init__(self, middlewares: Sequence[Any], services: object = None) -> None:
        if not isinstance(middlewares, Sequence):
            raise PipelineError(f"{middlewares!r} is no pipeline: give a list of middlewares, Writer() first")
        if not middlewares or not getattr(middlewares[0], "seals", False):
            raise PipelineError("a pipeline begins with Writer(): put it first, so that it seals what all others did")
        if any(getattr(m, "seals", False) for m in middlewares[1:]):
            raise PipelineError("a pipeline has one Writer(), the first: remove the other")
        self.layers = tuple(Layer(m, services) for m in middlewares)
        self.has_async = any(layer.asynchronous is not None for layer in self.layers)
        self._async_only = next((layer.name for layer in self.layers if layer.plain is None), None)
        self.has_offloading = any(layer.offloads for layer in self.layers)
        self.cleaners = [layer.clean_stored for layer in self.layers if layer.clean_stored is not None]
        self.waits = any(layer.waits for layer in self.layers)
        self.may_await = self.has_async or self.waits

    def require(self, form: Form, what: str) -> None:
        """Refuse, where a call is wrapped or decorated, a middleware that cannot run around it."""
        if form == "sync" and self._async_only is not None:
            raise PipelineError(
                f"the middleware {self._async_only} is async and {what} is not: write it as a plain generator "
                "(those work around both), or give it an around(call) beside around_async(call)"
            )
