"""How PostgreSQL is reached, and what its errors mean to whoever runs the trail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg

from auditmw.entry import to_datetime, to_us
from auditmw.errors import AuditError, ConfigurationError, SchemaMismatch, StoreError, StoreUnavailable

CONNECT_SECONDS: Final = 10
WRITE_SECONDS: Final = 60
"""A server that does not answer for so long is taken for lost; the batch is tried again on a new connection."""

_EPOCH_US: Final = to_us(datetime(2000, 1, 1, tzinfo=UTC))
"""PostgreSQL's binary times count from here."""
_REFUSALS: Final = {"22", "23"}
"""SQLSTATE classes of values that a column, a constraint or a trigger does not take."""

_CACHE_OPTION: Final = "statement_cache_size"


class PostgresUrl(NamedTuple):
    """Where a trail is, as asyncpg takes it, and as it may be shown: without user and password."""

    dsn: str
    shown: str
    statement_cache_size: int

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read `postgresql://user:password@host/database?...`.

        `host=/directory` names a socket, `statement_cache_size=0` is for a pgbouncer in transaction mode, everything
        else goes to the server. Raises ConfigurationError for a cache size that is no number.
        """
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        size = options.pop(_CACHE_OPTION, "100")
        if not size.isdecimal():
            raise ConfigurationError(f"{_CACHE_OPTION}={size} is no number: use 0 behind pgbouncer, or leave it out")
        shown = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
        return cls(urlunsplit(parts._replace(query=urlencode(options))), shown, int(size))

    async def connect(self, answer_seconds: float | None = None) -> asyncpg.Connection:
        """A new connection, whose every answer must come within so many seconds."""
        return await asyncpg.connect(
            self.dsn,
            timeout=CONNECT_SECONDS,
            command_timeout=answer_seconds,
            statement_cache_size=self.statement_cache_size,
        )

    async def connect_to_write(self) -> asyncpg.Connection:
        """A new connection that takes times as microseconds too: datetimes double what a COPY costs here."""
        db = await self.connect(WRITE_SECONDS)
        try:
            await db.set_type_codec(
                "timestamptz", schema="pg_catalog", format="tuple", encoder=_time_sent, decoder=_time_received
            )
        except BaseException:
            db.terminate()
            raise
        return db


def _time_sent(moment: datetime | int) -> tuple[int]:
    return ((to_us(moment) if isinstance(moment, datetime) else moment) - _EPOCH_US,)


def _time_received(value: tuple[int]) -> datetime:
    try:
        return to_datetime(value[0] + _EPOCH_US)
    except OverflowError:  # an infinite one, which only tampering can store
        return datetime.max.replace(tzinfo=UTC)


async def hang_up(db: asyncpg.Connection) -> None:
    """Close a connection; one whose other end does not answer any more is dropped."""
    try:
        await db.close(timeout=1)
    except (OSError, asyncpg.InterfaceError):  # TimeoutError among them
        db.terminate()


@contextmanager
def explained(url: PostgresUrl) -> Iterator[None]:
    """PostgreSQL's errors as auditmw's, which say what to do.

    What may be over when it is tried again is StoreUnavailable, and so is all that an operator can put right while
    entries wait in the journal.
    """
    try:
        yield
    except AuditError:
        raise
    except asyncpg.PostgresError as error:
        raise _of_server(url.shown, error) from error
    except asyncpg.ClientConfigurationError as error:
        raise ConfigurationError(f"{url.shown}: {error}") from error
    except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        reason = str(error) or type(error).__name__
        raise StoreUnavailable(f"{url.shown} cannot be reached for now: {reason}") from error


def _of_server(shown: str, error: Any) -> AuditError:
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError | asyncpg.InvalidCatalogNameError):
        return ConfigurationError(f"{shown}: {error}: check user, password and database of the URL")
    if isinstance(error, asyncpg.UndefinedTableError | asyncpg.UndefinedColumnError):
        return SchemaMismatch(f"{shown}: {error}: run `auditmw migrate` as the owner of the trail")
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        remedy = "grant audit_writer to this user to record, audit_reader to read"
        return StoreUnavailable(f"{shown}: {error}: {remedy}")
    if error.sqlstate[:2] in _REFUSALS or isinstance(error, asyncpg.RaiseError):
        return StoreError(f"{shown} refuses an entry: {error}")
    return StoreUnavailable(f"{shown} cannot be used for now: {error}")
