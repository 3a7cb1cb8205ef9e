"""The schema of a PostgreSQL trail: migrations, and partitions made ahead of need, both by the owner alone."""

from __future__ import annotations

from typing import Any, Final

from auditmw.errors import ConfigurationError, NoTrail, SchemaMismatch, StoreUnavailable
from auditmw.stores.migrate import pending
from auditmw.stores.partitions import months_needed
from auditmw.stores.postgres_roles import renew_roles

_ADVISORY_LOCK: Final = int.from_bytes(b"auditmw", "big")
_EXISTS: Final = "SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'audit_schema' AND pg_table_is_visible(oid))"
"""Not to_regclass, which may remember that there was none before the lock was waited for."""
_MAY_MIGRATE: Final = """
    SELECT CASE
        WHEN to_regclass('audit_schema') IS NULL THEN has_schema_privilege(current_schema(), 'CREATE')
        ELSE pg_has_role((SELECT relowner FROM pg_class WHERE oid = to_regclass('audit_schema')), 'USAGE')
    END
"""


async def prepare_schema(db: Any, *, read_only: bool) -> None:
    """Bring the schema up to date where this connection owns it.

    Raises:
        ConfigurationError: the database cannot hold every text.
        NoTrail: there is none, and this is `read_only`.
        SchemaMismatch: it is newer than this auditmw, or older and this connection does not own it or is `read_only`.
    """
    encoding = await db.fetchval("SHOW server_encoding")
    if encoding != "UTF8":
        raise ConfigurationError(f"the database is encoded as {encoding}, which not every entry fits: make it UTF8")
    if read_only and not await db.fetchval(_EXISTS):
        raise NoTrail("the database holds no trail: check --db, or make one with `auditmw migrate` as the owner")
    missing = pending("postgres", await _version(db))
    owner = not read_only and await db.fetchval(_MAY_MIGRATE)
    if missing and not owner:
        raise SchemaMismatch(
            "the database has no trail, or one of an older auditmw: run `auditmw migrate` as the owner of the trail"
        )
    if missing:
        await _migrate(db)
    if owner:
        await make_partitions(db)


async def make_partitions(db: Any) -> None:
    """Make the partitions of this month and of those ahead, where they are missing.

    Raises:
        StoreUnavailable: this connection does not own the trail.
    """
    missing = [
        month
        for month in months_needed(await db.fetchval("SELECT now()"))
        if await db.fetchval("SELECT to_regclass($1)", month.table) is None
    ]
    if not missing:
        return
    if not await db.fetchval(_MAY_MIGRATE):
        raise StoreUnavailable(f"there is no partition {missing[0].table}: run `auditmw migrate` as the owner")
    async with db.transaction():
        await db.execute("SELECT pg_advisory_xact_lock($1)", _ADVISORY_LOCK)
        for month in missing:
            await db.execute(month.sql)


async def _migrate(db: Any) -> None:
    async with db.transaction():
        await db.execute("SELECT pg_advisory_xact_lock($1)", _ADVISORY_LOCK)
        for step in pending("postgres", await _version(db)):  # again: another process may have been faster
            await db.execute(step.sql)
            await db.execute("INSERT INTO audit_schema VALUES ($1)", step.version)
        await renew_roles(db)
    await db.reload_schema_state()


async def _version(db: Any) -> int:
    """The schema's version; 0 where there is none yet."""
    if not await db.fetchval(_EXISTS):
        return 0
    return int(await db.fetchval("SELECT coalesce(max(version), 0) FROM audit_schema"))
