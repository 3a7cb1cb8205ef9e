"""The one trail of an application: `configure` sets it, the bare `@audited` uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, TypeVar, overload

from auditmw.decorator import decorate
from auditmw.diagnostics import report
from auditmw.errors import ConfigurationError, NotConfigured
from auditmw.pipeline import Form
from auditmw.recorder import NoRecorder, Recorder
from auditmw.trail import AuditTrail

F = TypeVar("F", bound=Callable[..., Any])


class Configured:
    """What `configure` has set."""

    def __init__(self) -> None:
        self._trail: AuditTrail | None = None
        self._off = False
        self._nothing = NoRecorder()

    def set(self, trail: AuditTrail | None) -> None:
        """Use this trail from now on, or none."""
        self._trail = trail
        self._off = trail is None

    @contextmanager
    def instead(self, trail: AuditTrail) -> Iterator[None]:
        """Use this trail for a while, for tests."""
        before = self._trail, self._off
        self.set(trail)
        try:
            yield
        finally:
            self._trail, self._off = before

    def recorder(self) -> Recorder:
        """The trail's recorder (see `auditmw.decorator.Source`)."""
        if self._trail is not None:
            return self._trail.recorder()
        if self._off:
            return self._nothing
        raise NotConfigured

    def require(self, form: Form, what: str) -> None:
        """Ask the trail, if there is one yet."""
        if self._trail is not None:
            self._trail.require(form, what)


configured: Final = Configured()


@overload
def configure(trail: str, **options: Any) -> AuditTrail: ...
@overload
def configure(trail: AuditTrail) -> AuditTrail: ...
@overload
def configure(trail: None) -> None: ...
def configure(trail: AuditTrail | str | None, **options: Any) -> AuditTrail | None:
    """Set the application's trail: a URL with the options of `AuditTrail`, a trail, or None to turn auditing off.

    Raises:
        ConfigurationError: this is none of them, or options were given without a URL.
    """
    if isinstance(trail, str):
        trail = AuditTrail(trail, **options)
    elif options:
        raise ConfigurationError(f"{', '.join(options)}: options go with a URL; give others to AuditTrail(...) itself")
    elif trail is None:
        report("auditmw.off", "warning", meaning="configure(None) was called: @audited records nothing")
    elif not isinstance(trail, AuditTrail):
        raise ConfigurationError(f"configure() takes a trail, the URL of one, or None, and not {trail!r}")
    configured.set(trail)
    return trail


@overload
def audited(function: F, /) -> F: ...
@overload
def audited(
    function: None = None, /, *, action: str | None = None, sanitize: Sequence[str] = (), **fields: Any
) -> Callable[[F], F]: ...
def audited(
    function: Callable[..., Any] | None = None,
    /,
    *,
    action: str | None = None,
    sanitize: Sequence[str] = (),
    **fields: Any,
) -> Any:
    """Record every call of a function in the trail that `configure` set; as `AuditTrail.audited`.

    Raises:
        NotConfigured: at the first call, where no trail was set.
    """
    if function is None:
        return partial(decorate, source=configured, action=action, fields=fields, sanitize=sanitize)
    return decorate(function, configured, action, fields, sanitize)
