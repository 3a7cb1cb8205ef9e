"""How a SQLite file is opened, brought up to date and asked, and what its errors mean to whoever runs the trail."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Barrier, Event
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import aiosqlite

from auditmw.errors import ConfigurationError, StoreError, StoreUnavailable
from auditmw.stores.migrate import pending, statements

T = TypeVar("T")
BUSY_TIMEOUT_MS: Final = 10_000
OLDEST_SQLITE: Final = (3, 37)
IMMUTABLE: Final = "immutable=1"
_SCHEMA: Final = "audit_schema"

_PASSING: Final = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_INTERRUPT,
}
"""Result codes of what may be over when it is tried again."""


@contextmanager
def explained(path: str) -> Iterator[None]:
    """SQLite's errors as auditmw's, which say what to do."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _PASSING or isinstance(error, sqlite3.ProgrammingError):  # closed for a fork, and not opened again
            raise StoreUnavailable(f"{path} cannot be used for now: {error}") from error
        if code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}:
            raise ConfigurationError(
                f"{Path(path).absolute()} cannot be opened or written ({error}): its directory must exist and this "
                "user must be allowed to write both"
            ) from error
        if code == sqlite3.SQLITE_NOTADB:
            raise ConfigurationError(f"{path} is no SQLite database: name another file") from error
        raise StoreError(f"{path}: {error}") from error


async def connect(path: str, *, write: bool) -> aiosqlite.Connection:
    """A connection without transactions of its own; one that writes makes the file where there is none, as private."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise ConfigurationError(f"SQLite {sqlite3.sqlite_version} is too old: auditmw needs 3.37 or newer")
    if write:
        _make_private(path)
    uri = _uri(path, "rw") if write else readable_uri(path)
    sqlite3.connect(uri, uri=True).close()  # fails here, as aiosqlite leaves a thread behind when it cannot connect
    db = await aiosqlite.connect(uri, uri=True, isolation_level=None)
    try:
        for setting in _settings(write=write):
            await db.execute(setting)
        if write:
            await _use_write_ahead_log(db)
    except BaseException:
        await db.close()
        raise
    return db


def _make_private(path: str) -> None:
    """Make the file, where there is none, for this user alone; SQLite gives its mode to the log beside it.

    One that is there is never opened here: to close it again would release the locks that SQLite holds on it.
    """
    with suppress(OSError):  # SQLite says what is wrong
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


async def in_its_thread(db: aiosqlite.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    """What `work` gives, done on the connection in its own thread and turn."""
    done: T = await db._execute(lambda: work(db._conn))  # type: ignore[no-untyped-call]  # noqa: SLF001  (no public way)
    return done


async def reopened(db: aiosqlite.Connection, path: str, all_closed: Barrier, over: Event, *, write: bool) -> None:
    """Close a connection in its own thread, and open it again after `over`; what is asked of it meanwhile waits."""

    def reopen() -> None:
        db._conn.close()  # noqa: SLF001  (in its own thread and turn, for which there is no public way)
        all_closed.wait()
        over.wait()
        uri = _uri(path, "rw") if write else readable_uri(path)
        connection = sqlite3.connect(uri, uri=True, isolation_level=None)
        for setting in _settings(write=write):
            connection.execute(setting)
        db._connection = connection  # noqa: SLF001  (as above)

    await db._execute(reopen)  # type: ignore[no-untyped-call]  # noqa: SLF001  (as above)


def readable_uri(path: str, mode: str = "ro") -> str:
    """How a file is opened to read it; as one that never changes, where it cannot be otherwise.

    Readers keep two files beside it, and where this user may make none and there are none nobody has it open.
    """
    uri = _uri(path, mode)
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_MS / 1000)) as db:
            db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
    except sqlite3.OperationalError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        refused = code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
        if not refused or _may_write_beside(path) or not _lies_still(path):
            raise
        return f"{_uri(path, 'ro')}&{IMMUTABLE}"
    return uri


class Still:
    """A file that is read as one that never changes: SQLite notices nothing of what another process writes to it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._before = self._state()

    @classmethod
    def of(cls, path: str) -> Self | None:
        """None where SQLite notices by itself."""
        return cls(path) if readable_uri(path).endswith(IMMUTABLE) else None

    def require(self) -> None:
        """Raise StoreUnavailable once something was written."""
        if not _lies_still(self._path) or self._state() != self._before:
            raise StoreUnavailable(f"{self._path} was written since it was opened without the right to: open it again")

    def _state(self) -> tuple[int, int]:
        found = Path(self._path).stat()
        return found.st_mtime_ns, found.st_size


def _may_write_beside(path: str) -> bool:
    folder = Path(path).absolute().parent
    return os.access(folder, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _lies_still(path: str) -> bool:
    """Whether all is in the file: what lies beside it would be of somebody who has it open, or who died."""
    try:
        log = Path(f"{path}-wal")
        return Path(path).is_file() and not (log.exists() and log.stat().st_size)
    except OSError:
        return False


def _uri(path: str, mode: str) -> str:
    return f"file:{quote(path)}?mode={mode}"


def _settings(*, write: bool) -> list[str]:
    settings = [f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}"]
    if write:
        settings += ["PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON"]
        settings.append("PRAGMA secure_delete = ON")  # what a rollup held of somebody must not stay behind
    return settings


async def fetch(db: aiosqlite.Connection, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    return list(await db.execute_fetchall(sql, values))  # type: ignore[arg-type]  # rows are tuples without a factory


def no_trail(path: str | Path) -> str:
    """What is said of a database that somebody else made, or that nobody has recorded to yet."""
    return f"{path} holds no trail: check --db or AUDITMW_DB"


def holds_only_others(path: str) -> bool:
    """Whether a file holds tables, and no trail among them."""
    if not Path(path).exists():
        return False
    with explained(path), closing(sqlite3.connect(readable_uri(path), uri=True)) as db:
        names = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    return bool(names) and _SCHEMA not in names


async def holds_trail(db: aiosqlite.Connection) -> bool:
    """Whether a trail was begun in this database."""
    return bool(await fetch(db, "SELECT 1 FROM sqlite_master WHERE name = ?", _SCHEMA))


async def schema_version(db: aiosqlite.Connection) -> int:
    """The schema's version; 0 where there is none yet."""
    if not await holds_trail(db):
        return 0
    ((version,),) = await fetch(db, "SELECT coalesce(max(version), 0) FROM audit_schema")
    return int(version)


async def migrate(db: aiosqlite.Connection) -> None:
    """Bring the schema up to date; raises SchemaMismatch where it is newer than this auditmw."""
    if not pending("sqlite", await schema_version(db)):
        return
    try:
        await db.execute("BEGIN IMMEDIATE")
        for step in pending("sqlite", await schema_version(db)):  # again: another process may have been faster
            for statement in statements(step.sql):
                await db.execute(statement)
            await db.execute("INSERT INTO audit_schema VALUES (?)", (step.version,))
        await db.execute("COMMIT")
    except BaseException:
        await db.rollback()
        raise


async def _use_write_ahead_log(db: aiosqlite.Connection) -> None:
    """SQLite says "locked" at once, whatever the busy timeout, while another process makes the same change."""
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            await db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.01)
