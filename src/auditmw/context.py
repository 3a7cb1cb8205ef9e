"""Who is calling: the actor, session and tags bound to the running task, thread or request."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Final, ParamSpec, Self, TypeVar

import msgspec

from auditmw.call import Call
from auditmw.errors import ConfigurationError

P = ParamSpec("P")
R = TypeVar("R")


class Binding(msgspec.Struct, kw_only=True, eq=False):
    """What is bound now: one mutable holder a scope, since a web request may learn its user late."""

    user_id: str | None = None
    subject: str | None = None
    session_id: str | None = None
    tenant: str | None = None
    client_ip_hash: str | None = None
    action: str | None = None
    purpose: str | None = None
    legal_basis: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    metadata: dict[str, Any] | None = None
    parent: Call | None = None
    """The audited function that is running, which becomes the parent of the calls inside."""
    resolve: Callable[[Binding], None] | None = None
    """Called before each use, where who is asking becomes known late (an inner authentication middleware)."""
    request_ids: list[str] = msgspec.field(default_factory=list)
    outer: Binding | None = None


_binding: Final[ContextVar[Binding | None]] = ContextVar("auditmw", default=None)
_INHERITED: Final = tuple(n for n in Binding.__struct_fields__ if n not in {"metadata", "request_ids", "outer"})


def current_binding() -> Binding | None:
    """What is bound to the running task, with the actor resolved; None outside any context."""
    binding = _binding.get()
    if binding is not None and binding.resolve is not None:
        binding.resolve(binding)
    return binding


def current_span() -> tuple[str, str] | None:
    """Trace and span id of the current OpenTelemetry span, in hexadecimal; None where there is none."""
    context = sys.modules.get("opentelemetry.context")  # not loaded, or not yet whole: no span can be current
    bound: Any = getattr(context, "get_current", None)
    if bound is None or not bound():
        return None
    trace: Any = sys.modules.get("opentelemetry.trace")
    if not hasattr(trace, "get_current_span") or (current := trace.get_current_span()) is trace.INVALID_SPAN:
        return None
    span = current.get_span_context()
    return (f"{span.trace_id:032x}", f"{span.span_id:016x}") if span.is_valid else None


def current_request_ids() -> list[str]:
    """The ids of the audited call that is running here and of the entries made inside the innermost scope so far."""
    binding = _binding.get()
    if binding is None:
        return []
    running = [] if binding.parent is None else [binding.parent.request_id]
    return [*filter(None, running), *binding.request_ids]


def note_request_id(binding: Binding, request_id: str) -> None:
    """Tell every enclosing scope that an entry was made inside it."""
    scope: Binding | None = binding
    while scope is not None:
        scope.request_ids.append(request_id)
        scope = scope.outer


async def within(binding: Binding, awaitable: Awaitable[R]) -> R:
    """Await something on the running task with this holder bound; what was bound before is so again afterwards."""
    token = _binding.set(binding)
    try:
        return await awaitable
    finally:
        with suppress(ValueError):  # closed by the garbage collector, in another context: nothing is bound there
            _binding.reset(token)


class Scope:
    """`with trail.context(user_id="alice") as ctx:`; what is not given is inherited from the enclosing scope.

    `ctx.request_ids` are the ids of the entries made inside. `ctx.run(function, ...)` runs a function inside this scope
    from a raw thread; tasks, `asyncio.to_thread` and anyio's threads inherit by themselves.
    """

    def __init__(self, **values: Any) -> None:
        unknown = values.keys() - {*_INHERITED, "metadata"}
        if unknown:
            raise ConfigurationError(
                f"context() knows no {sorted(unknown)}; it takes {sorted(_INHERITED)} and metadata"
            )
        if not isinstance(values.get("metadata") or {}, dict):
            raise ConfigurationError(f"metadata is {values['metadata']!r}: give a dict")
        self._values = values
        self._binding: Binding | None = None
        self._token: Token[Binding | None] | None = None

    def bind(self) -> Self:
        """Make the holder from what encloses it, without entering: `run` and `within` then work inside it."""
        outer = _binding.get()
        values = {} if outer is None else {name: getattr(outer, name) for name in _INHERITED}
        values.update((k, v) for k, v in self._values.items() if v is not None)
        tags = {**((outer and outer.metadata) or {}), **(self._values.get("metadata") or {})}
        values["metadata"] = tags or None
        self._binding = Binding(**values, outer=outer)
        return self

    def __enter__(self) -> Self:
        self._token = _binding.set(self.bind().binding)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._token is not None:
            with suppress(ValueError):  # left in another context than it was entered in: nothing is bound there
                _binding.reset(self._token)
            self._token = None

    @property
    def binding(self) -> Binding:
        """The holder itself; ASGI middleware fills it while the request runs."""
        if self._binding is None:
            raise ConfigurationError("this context has not been entered: write `with trail.context(...) as ctx:`")
        return self._binding

    @property
    def request_ids(self) -> list[str]:
        """The ids of the entries made inside this scope so far, oldest first."""
        return list(self.binding.request_ids)

    def run(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `function(*args, **kwargs)` inside this scope, from any thread."""
        token = _binding.set(self.binding)
        try:
            return function(*args, **kwargs)
        finally:
            _binding.reset(token)

    async def within(self, awaitable: Awaitable[R]) -> R:
        """Await something inside this scope, on the running task."""
        return await within(self.binding, awaitable)
