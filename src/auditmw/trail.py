"""`AuditTrail`: the object that users hold, and the one place that wires concrete classes."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, overload

import anyio

from auditmw import exits, forks
from auditmw.admission import OnFull
from auditmw.answering import Answering
from auditmw.block import Block
from auditmw.call import require_fields
from auditmw.checkpoint_files import make_sinks
from auditmw.clock import Clock, SystemClock
from auditmw.context import Scope
from auditmw.decorator import decorate
from auditmw.durability import Durability
from auditmw.errors import ConfigurationError, TrailClosed
from auditmw.events import log_entry
from auditmw.futures import wait_for
from auditmw.health import Health
from auditmw.intake import Intake
from auditmw.journalling import OnFailure
from auditmw.keys import HashKey, find_key
from auditmw.locations import journal_directory, key_directory
from auditmw.log.keys import Signer
from auditmw.middleware import default_pipeline
from auditmw.opening import Beside
from auditmw.options import a_path, at_least, one_of
from auditmw.pipeline import Form, Pipeline
from auditmw.prices import PriceBook
from auditmw.privacy.governance import Governance, in_force
from auditmw.privacy.policy import Policy
from auditmw.privacy.reads import READS, Reads
from auditmw.privacy.vault import LazyKey, Vault, find_content_key, kept_by
from auditmw.readers import Readers
from auditmw.recorder import Recorder
from auditmw.signing import Rhythm, Signing, make_signing, require_rhythm
from auditmw.stores import store_for
from auditmw.stores.privacy import has_privacy
from auditmw.stores.protocol import Store
from auditmw.sync import SyncTrail
from auditmw.writer import Writer

C = TypeVar("C")
F = TypeVar("F", bound=Callable[..., Any])
MAX_JOURNAL_BYTES = 1 << 30
MIN_JOURNAL_BYTES = 1 << 16  # less has no room for the calls in flight


class AuditTrail(Answering):
    """The audit trail of one application.

    Making one does no I/O and needs no loop: it starts at the first call, or with `async with` (or `with`). See the
    README for what the options choose.

    Raises:
        ConfigurationError: an option or the URL is not usable; the message says what would be.
        PipelineError: the middlewares do not form a pipeline.
    """

    def __init__(
        self,
        url: str,
        *,
        pipeline: Sequence[Any] | None = None,
        durability: Durability = "process",
        on_full: OnFull = "block",
        on_failure: OnFailure = "continue",
        block_timeout: float = 30.0,
        key_file: str | os.PathLike[str] | None = None,
        journal_dir: str | os.PathLike[str] | None = None,
        max_journal_bytes: int = MAX_JOURNAL_BYTES,
        signing_key: str | os.PathLike[str] | Signer | None = None,
        checkpoint_sinks: Sequence[str | os.PathLike[str] | Callable[[str], None]] = (),
        checkpoint_rhythm: Rhythm | None = None,
        policy: str | os.PathLike[str] | Policy | None = None,
        content: Literal["none", "encrypted"] | Vault = "none",
        reads: Reads | None = None,
        prices: dict[str, Any] | None = None,
        writer: Literal["thread", "external"] = "thread",
        events: bool = False,
        app: str | None = None,
        app_version: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        one_of("durability", durability, ("memory", "process", "disk", "store"))
        one_of("on_full", on_full, ("block", "drop"))
        one_of("on_failure", on_failure, ("continue", "refuse"))
        one_of("writer", writer, ("thread", "external"))
        one_of("reads", reads, READS)
        at_least("block_timeout", block_timeout, 0)
        at_least("max_journal_bytes", max_journal_bytes, MIN_JOURNAL_BYTES)
        require_rhythm(checkpoint_rhythm)
        a_path("key_file", key_file)
        a_path("journal_dir", journal_dir)
        self.url = url
        self.clock: Clock = clock or SystemClock()
        self.prices = PriceBook(prices)
        self._own_prices = prices
        self._store: Store = store_for(url)
        self._key_file = key_file
        self._signing_key = signing_key
        self._sinks = make_sinks(checkpoint_sinks)
        self._rhythm = checkpoint_rhythm
        self._journal_dir = directory = journal_directory(url, journal_dir, os.environ)
        self._key: HashKey | None = None
        self._key_wanted = True
        self._key_lock = threading.Lock()
        if directory is None and writer == "external":
            raise ConfigurationError("writer='external' needs a journal: give a journal_dir")
        self.sink = Intake(
            journal_dir=directory,
            durability=durability,
            on_full=on_full,
            on_failure=on_failure,
            block_timeout=block_timeout,
            max_journal_bytes=max_journal_bytes,
            external=writer == "external",
            clock=self.clock,
            start_writer=lambda: self._writer.start(),  # noqa: PLW0108  (there is no writer yet)
        )
        if events:
            self.sink.on_sealed = log_entry
        vault = self._vault(content)
        self._governance = Governance(policy, vault, reads, self._in_force, self.sink.control)
        self._readers = Readers(self._governance, self.sink, self._begin)
        self.sink.prepare, self.sink.permit = self._governance.load, self._governance.admit
        self.pipeline = Pipeline(kept_by(vault, default_pipeline() if pipeline is None else pipeline), self)
        self._recorder = Recorder(self.pipeline, self.sink, self.clock, {"app": app, "app_version": app_version})
        self._writer = Writer(
            self.sink,
            self._store,
            self.prices,
            journal_dir=directory,
            key_id=self._key_id,
            signing=self._signing,
            finish_dropped=self._recorder.finish_dropped,
            on_start=partial(exits.watch, self),
            on_open=self._governance.begin,
            watch=self._watch,
            external=writer == "external",
            clock=self.clock,
        )
        self._answers: Any = None
        self.sync = SyncTrail(self)
        forks.watch(self)

    # --- recording ---------------------------------------------------------------------------------------------------

    def wrap(self, client: C) -> C:
        """The same client, of the same type, with its every call recorded; wrapping twice changes nothing.

        Raises:
            ConfigurationError: this is no client that auditmw knows, or one that its SDK cannot copy.
            PipelineError: an async middleware and a sync client.
        """
        from auditmw.clients import hook_for

        wrapped: C = hook_for(client).wrap(client, self._recorder, self._index())
        return wrapped

    def anthropic_middleware(self) -> Any:
        """A middleware for the Anthropic SDK: `MyClient(middleware=[trail.anthropic_middleware()])`.

        For subclasses that the SDK cannot copy; `wrap` says when one is needed.
        """
        from auditmw.clients.anthropic import AnthropicMiddleware

        return AnthropicMiddleware(self._recorder, self._index())

    def http_client(self, **options: Any) -> Any:
        """An HTTP client whose every call is recorded: `openai.AsyncOpenAI(http_client=trail.http_client())`.

        Takes the options of `httpx2.AsyncClient`; the SDK's defaults hold. For sync ones: `trail.sync.http_client()`.

        Raises:
            MissingExtra: the OpenAI SDK is not installed.
        """
        from auditmw.clients.openai import async_http_client

        return async_http_client(self._recorder, self._index(), **options)

    def sync_http_client(self, **options: Any) -> Any:
        """The same for a sync client, as `trail.sync.http_client` gives it.

        Raises:
            PipelineError: a middleware of the trail is async.
        """
        from auditmw.clients.openai import http_client

        return http_client(self._recorder, self._index(), **options)

    def request_id(self, answer: object) -> str | None:
        """The id of the entry of an answer that a wrapped client gave, or of its error; None if it is unknown."""
        found: str | None = self._index().find(answer)
        return found

    def _index(self) -> Any:
        if self._answers is None:
            from auditmw.clients.answers import AnswerIndex

            self._answers = AnswerIndex()
        return self._answers

    @overload
    def audited(self, function: F, /) -> F: ...
    @overload
    def audited(
        self, function: None = None, /, *, action: str | None = None, sanitize: Sequence[str] = (), **fields: Any
    ) -> Callable[[F], F]: ...
    def audited(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        action: str | None = None,
        sanitize: Sequence[str] = (),
        **fields: Any,
    ) -> Any:
        """Record every call of a coroutine, async generator, function or generator; `action` defaults to its name.

        `sanitize` names arguments that the sanitizer cleans before the function sees them; no other argument is read.
        """
        if function is None:
            return partial(decorate, source=self, action=action, fields=fields, sanitize=sanitize)
        return decorate(function, self, action, fields, sanitize)

    def call(self, *, action: str | None = None, **fields: Any) -> Block:
        """Record a block by hand: `async with trail.call(action=..., model=...) as call:`, or `with` in sync code."""
        require_fields(fields, "trail.call()")
        return Block(lambda: (self._recorder, self._recorder.draft(**{"kind": "llm", "action": action, **fields})))

    def context(self, **values: Any) -> Scope:
        """Bind who is calling to the running task: `with trail.context(user_id="alice", session_id="s1") as ctx:`.

        Takes user_id, subject, session_id, tenant, action, purpose, legal_basis, metadata and the like.
        """
        return Scope(**values)

    def recorder(self) -> Recorder:
        """The recorder of this trail's calls (for entry points; see `auditmw.decorator.Source`)."""
        return self._recorder

    def require(self, form: Form, what: str) -> None:
        """Refuse what the pipeline cannot run around."""
        self.pipeline.require(form, what)

    # --- what middlewares get of it (auditmw.middleware.protocol.Services) --------------------------------------------

    @property
    def hash_key(self) -> HashKey | None:
        """The key of the content digests, found or made at the first call."""
        if self._key_wanted:
            with self._key_lock:
                if self._key_wanted:
                    self._key = find_key(self._key_file, key_directory(self.url), os.environ)
                    self._key_wanted = False
        return self._key

    def _key_id(self) -> str | None:
        key = self.hash_key
        return None if key is None else key.id

    def _vault(self, content: str | Vault) -> Vault | None:
        """What keeps prompts and answers, if anything does."""
        if isinstance(content, Vault) or content == "none":
            return content if isinstance(content, Vault) else None
        if content != "encrypted":
            raise ConfigurationError(f"content is {content!r}: use 'none', 'encrypted' or a Vault")
        if not has_privacy(self.url):
            raise ConfigurationError("content is kept in a database only: use sqlite:/// or postgresql://")
        return Vault(LazyKey(partial(find_content_key, key_directory(self.url), os.environ, make=True)))

    def _in_force(self) -> dict[str, str | None]:
        """What decides about entries, as digests."""
        return in_force(self.pipeline.layers, self._own_prices, self._key_id())

    def _signing(self) -> Signing | None:
        """What makes the checkpoints; None in a store that keeps no tree."""
        return make_signing(
            self._store,
            self.url,
            self._journal_dir,
            self.sink.health,
            chosen=self._signing_key,
            sinks=self._sinks,
            rhythm=self._rhythm,
            heartbeat=lambda: self.sink.control("heartbeat"),
            clock=self.clock,
        )

    def _watch(self, steady: asyncio.Lock) -> Beside | None:
        """What looks for overdue ceilings; None where nothing is ever removed."""
        if not has_privacy(self.url):
            return None
        from auditmw.privacy.watch import Watch

        return Watch(self.url, self._store, self.sink.health, self.clock, steady)

    # --- retention and state -----------------------------------------------------------------------------------------

    def health(self) -> Health:
        """How the trail is doing: what waits, what was lost, what needs a hand."""
        return self.sink.snapshot()

    async def retention_task(self, every: float = 3600.0) -> None:
        """Remove what has expired, now and every so many seconds, until cancelled; run it in a service's lifespan.

        A failure is logged and counted as a warning in `health`, and tried again; overdue ceilings are warned of there.
        """
        from auditmw.privacy.keeping import keep_retained

        await keep_retained(self.url, self.sink.health, self.clock, every, signing_key=self._signing_key)

    # --- start and end -----------------------------------------------------------------------------------------------

    def flushed(self) -> Future[None]:
        """A future of what `flush` waits for."""
        return self._writer.flush()

    async def flush(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  (a contract name)
        """Return when everything handed over, and every orphan journal found, is stored.

        Raises:
            TimeoutError: it took longer than `timeout` seconds; nothing is lost.
        """
        await _await(self._writer.flush(), timeout)

    async def aclose(self, timeout: float = 10.0) -> None:  # noqa: ASYNC109  (a contract name)
        """Record calls in flight as `interrupted`, store what waits for at most `timeout` seconds, and end.

        What is not stored by then stays in the journal, is counted in the log, and is stored at the next start.
        """
        await anyio.to_thread.run_sync(self.close, timeout)

    def close(self, timeout: float = 10.0) -> None:
        """The same, blocking."""
        if self.closed:
            return
        for call, status in self.sink.dropped_calls():
            self._recorder.finish_dropped(call, status)
        self._recorder.interrupt_all()
        if self.sink.started:
            self.sink.note_drops()
            self.sink.control("close")
        remaining = self._writer.stop(timeout)
        self.sink.close()
        if remaining > 0 and not self._writer.external:
            exits.report_remaining(remaining, self.sink.in_memory_alone, self.sink.health.journal_dir)

    @property
    def closed(self) -> bool:
        """Whether the trail was closed."""
        return self.sink.closed

    def start(self) -> None:
        """Open the journal and the store now rather than at the first call, so that mistakes show here.

        A store that only cannot be reached for now is no mistake: it is tried again, and entries wait in the journal.

        Raises:
            ConfigurationError, StoreError, JournalError, KeyMismatch: what is wrong, and what to do.
        """
        self._begin()
        self._writer.tried().result()

    def _begin(self) -> None:
        if self.closed:
            raise TrailClosed
        self.sink.start(strict=True)

    async def __aenter__(self) -> Self:
        try:
            self._begin()
            await _await(self._writer.tried(), None)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._give_up)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self.aclose()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._give_up()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _give_up(self) -> None:
        """End a trail that could not be entered and that nobody will close; its mere beginning is not worth keeping."""
        if self.sink.last_seq > 1:
            self.close(0)
            return
        self._writer.stop(0)
        self.sink.acknowledge(self.sink.last_seq)
        self.sink.close()

    def before_fork(self) -> None:
        """Bring the writer's thread to rest (see `auditmw.forks`)."""
        self._writer.before_fork()

    def after_fork_in_parent(self) -> None:
        """Let it go on."""
        self._writer.after_fork_in_parent()

    def after_fork(self) -> None:
        """Begin anew in the child: what is queued and in flight is the parent's."""
        self.sink.after_fork()
        self._store = store_for(self.url)
        self._writer.after_fork(self._store)
        self._recorder.after_fork()
        self._key_lock = threading.Lock()


async def _await(future: Future[None], timeout: float | None) -> None:  # noqa: ASYNC109  (handed on)
    with anyio.fail_after(timeout):
        await wait_for(future)
    future.result()
