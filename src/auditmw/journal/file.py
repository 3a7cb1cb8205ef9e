"""A writer's own journal: what is in flight, what is sealed, what the store has."""

from __future__ import annotations

import contextlib
import secrets
import time
from threading import Lock
from typing import TYPE_CHECKING

from auditmw.errors import JournalError
from auditmw.journal.chain import Chain
from auditmw.journal.frame import INTENT, SEALED, encode, seed_of
from auditmw.journal.segment import make_directory, sealed_records, segments_of
from auditmw.journal.state import State, hold, read_state, state_path, write_state
from auditmw.journal.sync import GroupSync

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from auditmw.journal.frame import Record


class Journal:
    """The write-ahead file of one writer: a record that `append_...` took survives the death of the process.

    Every append is one write in the calling thread and may come from any thread. It returns a position, for `synced`.

    Args:
        directory: made with mode 0700 if it is missing.
        writer_id: 16 random bytes, never used before.
        disk: whether `synced` is wanted.
        external: another process (`auditmw ship`) sends the entries on and acknowledges them; `refresh` learns of it.
        segment_bytes: a file that reaches this size is followed by a new one.
        max_bytes: the bound that `room` counts against; an append itself does not refuse.
        metadata: opaque bytes that recovery gets back.

    Raises JournalError, as every method that writes does.
    """

    def __init__(
        self,
        directory: Path,
        *,
        writer_id: bytes | None = None,
        disk: bool = False,
        external: bool = False,
        segment_bytes: int = 8 << 20,
        max_bytes: int = 1 << 30,
        metadata: bytes = b"",
    ) -> None:
        self.directory = directory
        self.writer_id = writer_id or secrets.token_bytes(16)
        self.max_bytes = max_bytes
        self.acknowledged = 0
        self._seed = seed_of(self.writer_id)
        self._lock = Lock()
        self._closed = self._missing = False
        self._state = State(created=time.time_ns() // 1000, external=external)
        self._sync = GroupSync(self._flush) if disk else None
        try:
            make_directory(directory)
            self._held = hold(state_path(directory, self.writer_id))
            try:
                write_state(self._held.fd, self._state)
                self._chain = Chain(
                    directory,
                    self.writer_id,
                    lock=self._lock,
                    disk=disk,
                    segment_bytes=min(segment_bytes, max_bytes // 8),
                    metadata=metadata,
                )
            except OSError:
                self._held.remove()
                raise
        except OSError as error:
            raise self._failure(error) from error

    @property
    def last_seq(self) -> int:
        """The highest number used; 0 before the first."""
        return self._chain.last_seq

    @property
    def open_intents(self) -> int:
        """How many intents have no outcome yet."""
        return len(self._chain.open_intents)

    @property
    def bytes_used(self) -> int:
        """What the journal's files take, in bytes."""
        return self._chain.bytes_used

    @property
    def slow_writes(self) -> int:
        """How many appends took longer than 50 ms."""
        return self._chain.slow_writes

    def room(self) -> int:
        """Bytes left below `max_bytes`; a record takes FRAME_BYTES more than its payload."""
        return max(0, self.max_bytes - self._chain.bytes_used)

    def append_intent(self, request_id: bytes, payload: bytes) -> int:
        """Say that an attempt is about to be sent; open until it is sealed."""
        record = encode(self._seed, INTENT, 0, request_id, payload)
        with self._lock:
            self._append(record)
            self._chain.open_intents[request_id] = record
            return self._chain.position

    def append_sealed(self, seq: int, request_id: bytes, payload: bytes) -> int:
        """Append a sealed entry and close its intent, if there is one. Numbers must rise; ValueError otherwise.

        If the write fails the intent is closed all the same, for the attempt has ended, and the number counts as used:
        until a higher one is written, it may be tried again.
        """
        record = encode(self._seed, SEALED, seq, request_id, payload)
        with self._lock:
            if seq <= self._chain.written_seq:
                raise ValueError(f"seq {seq} follows {self._chain.written_seq}: number and append under one lock")
            open_intents = self._chain.open_intents
            try:
                self._append(record, seq)
            except JournalError:
                # The file goes on saying that the attempt is in flight; the next segment will not.
                self._chain.stale = self._chain.stale or request_id in open_intents
                raise
            finally:
                open_intents.pop(request_id, None)  # not before the write, which may begin a segment to carry it
            return self._chain.position

    def end_intent(self, request_id: bytes) -> None:
        """Say that an attempt has ended whose entry is not written now: the next segment will not call it open."""
        with self._lock:
            if self._chain.open_intents.pop(request_id, None) is not None:
                self._chain.stale = True

    def synced(self, position: int) -> Future[None]:
        """A future that is done when everything up to `position` survives power loss; one fsync serves many.

        Wait with `.result()` in a thread, with `asyncio.wrap_future` on a loop. It holds a JournalError when the disk
        failed.
        """
        if self._sync is None or self._closed:
            raise JournalError("this journal cannot be synced: open it with disk=True, and sync before it is closed")
        return self._sync.upto(position)

    def sealed_after(self, seq: int) -> Iterator[Record]:
        """The sealed entries with a higher number, read back from the files; one file in memory at a time.

        For the thread that acknowledges, which alone removes files. Raises JournalError.
        """
        try:
            yield from sealed_records(segments_of(self.directory, self.writer_id), self.writer_id, after=seq)
        except OSError as error:
            raise JournalError(f"{error.filename} cannot be read back ({error.strerror}): check the disk") from error

    def acknowledge(self, upto_seq: int) -> None:
        """The store has committed everything up to this number: files with nothing else in them are removed."""
        if upto_seq > self.acknowledged:
            try:
                write_state(self._held.fd, self._state._replace(acknowledged=upto_seq))
            except OSError as error:
                raise self._failure(error) from error
            self.acknowledged = upto_seq
        self._let_go()

    def refresh(self) -> None:
        """Learn what the shipper has acknowledged, and let go of it."""
        self.acknowledged = max(self.acknowledged, read_state(self._held.path).acknowledged)
        self._let_go()

    def check(self) -> None:
        """See whether somebody has removed the files, and begin anew if so; for the thread that acknowledges.

        What was in them and is not stored is not crash-safe any more; open intents are carried over. Raises
        JournalError while there is no place for new files, and so do appends.
        """
        if self._chain.is_in_place() and self._held.path.exists():
            return
        with self._lock:
            self._missing = True
            try:
                make_directory(self.directory)
                if not self._held.path.exists():
                    self._held.forget()
                    self._held = hold(self._held.path)  # before there is anything that another process could recover
                    write_state(self._held.fd, self._state._replace(acknowledged=self.acknowledged))
                self._chain.begin_anew()
            except OSError as error:
                raise self._failure(error) from error
            self._missing = False

    def close(self) -> None:
        """Give up the journal. With nothing unsent and no open intent it is removed, else the next start finds it."""
        if self._closed:
            return
        if self._state.external:
            with contextlib.suppress(JournalError):  # files that cannot be removed now are found by the next start
                self.refresh()
        with self._lock:
            self._closed = True
        if self._sync is not None:
            self._sync.close()
        self._chain.close()
        if self.acknowledged >= self.last_seq and not self.open_intents:
            with contextlib.suppress(OSError):  # as above
                self._chain.delete()
                self._held.remove()
        self._held.release()

    def after_fork(self) -> None:
        """In a forked child: drop what was inherited; the files and the lock stay the parent's. Needs no lock."""
        if not self._closed:
            self._closed = True
            self._chain.close()
            self._held.forget()

    def _append(self, record: bytes, seq: int = 0) -> None:
        if self._closed:
            raise JournalError("this journal is closed, or belongs to the parent process: open a new one")
        if self._missing:
            raise JournalError(f"the journal in {self.directory} was removed: restore that directory")
        try:
            self._chain.append(record, seq)
        except OSError as error:
            raise self._failure(error) from error

    def _let_go(self) -> None:
        chain = self._chain
        with self._lock:
            # Nothing unsent: start afresh, unless that would copy the open intents of long calls again and again.
            if self.acknowledged >= chain.last_seq and chain.grown > sum(map(len, chain.open_intents.values())):
                with contextlib.suppress(OSError):  # the next acknowledgement tries again
                    chain.rotate()
            finished = chain.finished(self.acknowledged)
            position = chain.position
        if finished:
            if self._sync is not None:
                self._sync.upto(position).result()  # what was carried over must be durable before its origin goes
            try:
                chain.remove(finished)
            except OSError as error:
                raise self._failure(error) from error

    def _flush(self) -> int:
        if self._missing:
            raise JournalError(f"the journal in {self.directory} was removed: restore that directory")
        try:
            return self._chain.flush()
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> JournalError:
        return JournalError(
            f"the journal in {self.directory} cannot be written ({error.strerror}): "
            "free disk space, or give this process write access to that directory"
        )
