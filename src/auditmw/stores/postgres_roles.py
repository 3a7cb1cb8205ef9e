"""The roles of a PostgreSQL trail: one that may append, one that may read; neither can change an entry."""

from __future__ import annotations

from typing import Any, Final

from auditmw.stores.migrate import roles
from auditmw.stores.postgres_connection import PostgresUrl, explained, hang_up

_IN_USE: Final = """
    SELECT EXISTS (
        SELECT FROM information_schema.table_privileges
        WHERE grantee = 'audit_writer' AND table_schema = current_schema() AND table_name = 'audit_entries'
    )
"""


async def make_roles(url: str) -> None:
    """Make the roles, as the owner of a trail, and grant them what they need there; again does no harm.

    Raises:
        StoreUnavailable: this user owns no trail there, or may not create roles.
    """
    place = PostgresUrl.parse(url)
    with explained(place):
        db = await place.connect()
        try:
            await _grant(db)
        finally:
            await hang_up(db)


async def renew_roles(db: Any) -> None:
    """Grant what a new schema needs, where the roles are used in this trail."""
    if await db.fetchval(_IN_USE):
        await _grant(db)


async def _grant(db: Any) -> None:
    async with db.transaction():
        await db.execute(roles("postgres"))
