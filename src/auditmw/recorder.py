"""The way of one attempt: drafted, admitted, first halves, then whatever end comes first, second halves, sealed.

Every entry point (clients, the decorator, blocks by hand, ASGI) takes this way; none knows the trail.
"""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial
from typing import Any, Protocol

import anyio
from uuid_utils import uuid7

from auditmw.call import Call
from auditmw.clock import Clock, SystemClock
from auditmw.context import Binding, current_binding, current_span, note_request_id
from auditmw.detached import finish_on_loop
from auditmw.endings import status_of
from auditmw.entry import Status, Usage
from auditmw.errors import PipelineError
from auditmw.halves import Run
from auditmw.pipeline import Form, Pipeline
from auditmw.reading import FIRST_HTTP_ERROR, read_answer
from auditmw.sizes import are_large
from auditmw.stepping import in_thread

MAX_ERROR_MESSAGE = 8000  # more than is stored, so that what is taken out of it is not cut in half
SECOND_HALF_SECONDS = 5.0


class Intake(Protocol):
    """What the recorder asks of the writer behind it."""

    def reserve(self) -> bool:
        """Set room aside for one entry, if there is any now."""

    def wait_for_room(self, call: Call) -> None:
        """Wait for room as `on_full` says, and set it aside; without it `call.admitted` becomes False."""

    async def wait_for_room_async(self, call: Call) -> None:
        """The same without blocking the loop."""

    def safe_when(self, call: Call) -> Future[None] | None:
        """Done when what was appended for the call is as safe as `durability` says; None if it is now."""

    def settle(self, call: Call, safe: Future[None]) -> None:
        """Wait for that, for a bounded time."""

    async def settle_async(self, call: Call, safe: Future[None]) -> None:
        """The same without blocking the loop."""

    def defer(self, call: Call, status: Status) -> None:
        """Have the writer's thread finish a dropped call; safe in a finalizer: takes no lock and runs nothing."""

    def missing_context(self) -> None:
        """Count a call that nobody put a name to."""


class Recorder:
    """Records attempts through one pipeline."""

    def __init__(self, pipeline: Pipeline, intake: Intake, clock: Clock, constants: dict[str, Any]) -> None:
        self.pipeline = pipeline
        self.clock = clock
        self._intake = intake
        self._constants = constants
        self._live: set[Call] = set()

    def require(self, form: Form, what: str) -> None:
        """Refuse what the pipeline cannot run around."""
        self.pipeline.require(form, what)

    def draft(self, **fields: Any) -> Call:
        """A new call with its ids, its start, and what is bound to the running task."""
        request_id = str(uuid7())
        if self._constants:
            fields = self._constants | fields
        call = Call(request_id=request_id, timestamp_us=self.clock.now_us(), **fields)
        if call.call_id is None:
            call.call_id = request_id
        if "metadata" in fields:
            call.metadata = dict(call.metadata)  # middlewares write into it, and may not write into the caller's
        if (span := current_span()) is not None:
            call.trace_id, call.span_id = span
        binding = current_binding()
        if binding is None:
            self._intake.missing_context()
        else:
            _fill(call, binding)
        return call

    def begin(self, call: Call) -> None:
        """Admit a sync attempt and run its first halves.

        Raises:
            CallBlocked: a middleware prevents it; the entry is sealed as `blocked`.
            AuditUnavailable: no entry can be taken, and `on_failure="refuse"` was chosen.
        """
        if not self._intake.reserve():
            self._intake.wait_for_room(call)
        run = self._start(call)
        try:
            run.first_halves(call)
            if (safe := self._intake.safe_when(call)) is not None:
                self._intake.settle(call, safe)
            call.sent_ns = self.clock.monotonic_ns()
        except BaseException as error:
            self.end(call, status_of(error), error)
            raise

    async def begin_async(self, call: Call) -> None:
        """Admit an async attempt and run its first halves; raises as `begin` does."""
        if not self._intake.reserve():
            await self._intake.wait_for_room_async(call)
        run = self._start(call)
        try:
            if self.pipeline.may_await or run.is_large(call):
                await run.first_halves_async(call)
            else:
                run.first_halves(call)
            if (safe := self._intake.safe_when(call)) is not None:
                await self._intake.settle_async(call, safe)
            call.sent_ns = self.clock.monotonic_ns()
        except BaseException as error:
            await self.end_async(call, status_of(error), error)
            raise

    def require_sanitizer(self, what: str) -> None:
        """Refuse to pass arguments on that nothing cleans.

        Raises:
            PipelineError: the pipeline has no sanitizer.
        """
        if not self.pipeline.cleaners:
            raise PipelineError(f"{what} names arguments to sanitize: put a Sanitizer() into the trail's pipeline")

    def _start(self, call: Call) -> Run:
        call.run = run = Run(self.pipeline, call)
        self._live.add(call)
        return run

    def _claim(self, call: Call) -> bool:
        """Whether this end of the call is the first one, which wins."""
        try:
            self._live.remove(call)
        except KeyError:
            return False
        call.ended_ns = call.ended_ns or self.clock.monotonic_ns()
        return True

    def end(self, call: Call, status: Status, error: BaseException | None = None) -> None:
        """The attempt has ended; a second end is ignored."""
        if self._claim(call):
            try:
                read_answer(call)
            finally:  # an interrupt meanwhile goes on when the entry is sealed
                _note_end(call, status, error)
                call.run.second_halves()
            if (safe := self._intake.safe_when(call)) is not None:
                self._intake.settle(call, safe)

    async def end_async(self, call: Call, status: Status, error: BaseException | None = None) -> None:
        """The same for an async attempt; under cancellation the halves run shielded, for a bounded time."""
        if not self._claim(call):
            return
        large = are_large(call.chunks)
        try:
            if large:
                await in_thread(partial(read_answer, call))
            else:
                read_answer(call)
        finally:  # a cancellation meanwhile goes on when the entry is sealed
            _note_end(call, status, error)
            if large or self.pipeline.has_async or (self.pipeline.cleaners and call.run.cleans_slowly()):
                await self._second_halves(call, large=large)
            else:
                call.run.second_halves()
        if (safe := self._intake.safe_when(call)) is not None:
            await self._intake.settle_async(call, safe)

    async def _second_halves(self, call: Call, *, large: bool) -> None:
        with anyio.move_on_after(SECOND_HALF_SECONDS, shield=True) as scope:
            await call.run.second_halves_async(large=large)
        if scope.cancelled_caught:
            call.run.second_halves_detached()

    def drop(self, call: Call, status: Status = "abandoned") -> None:
        """A finalizer found the call's stream dropped: only queue it, the writer's thread does the rest."""
        if call in self._live:
            call.ended_ns = self.clock.monotonic_ns()
            self._intake.defer(call, status)

    def finish_dropped(self, call: Call, status: Status) -> None:
        """Finish a dropped call on the writer's thread: plain halves here, async ones on their loop if it answers."""
        if not self._claim(call):
            return
        read_answer(call)
        _note_end(call, status, None)
        if call.run.loop is not None:
            finish_on_loop(call.run, call.run.loop, SECOND_HALF_SECONDS)
        call.run.second_halves_detached()

    def interrupt_all(self) -> int:
        """Record every call that is still in flight as `interrupted`; returns how many there were."""
        calls = list(self._live)
        for call in calls:
            if self._claim(call):
                read_answer(call)
                _note_end(call, "interrupted", None)
                call.run.second_halves_detached()
        return len(calls)

    def after_fork(self) -> None:
        """In a forked child: what is in flight is the parent's."""
        self._live = set()


class NoRecorder(Recorder):
    """What `configure(None)` gives: every call passes, none is recorded."""

    def __init__(self) -> None:
        self.clock = SystemClock()

    def require(self, form: Form, what: str) -> None:
        """Nothing."""

    def draft(self, **fields: Any) -> Call:
        """A call that is never recorded."""
        fields["metadata"] = dict(fields.get("metadata") or {})
        return Call(request_id="", timestamp_us=0, **fields)

    def require_sanitizer(self, what: str) -> None:
        """Nothing: who turns auditing off turns this off too."""

    def begin(self, call: Call) -> None:
        """Nothing."""

    async def begin_async(self, call: Call) -> None:
        """Nothing."""

    def end(self, call: Call, status: Status, error: BaseException | None = None) -> None:
        """Nothing."""

    async def end_async(self, call: Call, status: Status, error: BaseException | None = None) -> None:
        """Nothing."""

    def drop(self, call: Call, status: Status = "abandoned") -> None:
        """Nothing."""


def _fill(call: Call, binding: Binding) -> None:
    call.user_id = call.user_id or binding.user_id or None
    call.subject = call.subject or binding.subject
    call.session_id = call.session_id or binding.session_id
    call.tenant = call.tenant or binding.tenant
    call.client_ip_hash = binding.client_ip_hash
    call.action = call.action or binding.action
    call.purpose = call.purpose or binding.purpose
    call.legal_basis = call.legal_basis or binding.legal_basis
    call.trace_id = call.trace_id or binding.trace_id
    call.span_id = call.span_id or binding.span_id
    if binding.metadata:
        call.metadata = {**binding.metadata, **call.metadata}
    if call.parent is None and binding.parent is not None and binding.parent.request_id:
        call.parent = binding.parent
        call.parent_id = call.parent_id or binding.parent.request_id
    note_request_id(binding, call.request_id)


def _may_be_billed(call: Call) -> bool:
    """Whether the attempt may have generated something that nobody has seen the counts of."""
    return call.status not in {"success", "blocked"} and (call.http_status or 0) < FIRST_HTTP_ERROR


def _note_end(call: Call, status: Status, error: BaseException | None) -> None:
    """Settle the status: what the answer said comes first, then how it ended; keep the error's type and message."""
    call.status = call.status or status
    call.error = error
    if call.usage is None and call.kind == "llm":
        if call.children:  # they are counted, once
            call.kind = "function"
        elif _may_be_billed(call):
            call.usage = Usage(complete=False)
    if call.parent is not None and (call.kind == "llm" or call.children):
        call.parent.children += 1
    if error is None or call.status == "success":
        return
    call.error_type = call.error_type or type(error).__name__
    if call.error_message is None:
        try:
            call.error_message = str(error)[:MAX_ERROR_MESSAGE] or None
        except Exception:  # an exception whose text cannot be made is no reason to lose the entry
            call.error_message = None
