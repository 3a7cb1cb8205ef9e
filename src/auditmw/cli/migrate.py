"""`auditmw migrate`: brings a trail's schema up to date, and makes partitions and roles."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import typer

from auditmw.cli import DONE
from auditmw.cli.opening import DatabaseOption, require_no_other, required
from auditmw.cli.output import say
from auditmw.errors import ConfigurationError
from auditmw.stores import load, store_for

EXAMPLES: Final = (
    "auditmw migrate --db postgresql://owner@db/audit",
    "auditmw migrate --db postgresql://owner@db/audit --roles",
)


def migrate(
    roles: Annotated[
        bool, typer.Option("--roles", help="Make the roles audit_writer and audit_reader too, to be granted to logins.")
    ] = False,
    db: DatabaseOption = None,
) -> int:
    """Make or update the schema, and on PostgreSQL the partitions of the next three months.

    Run it as the owner of the trail, after every upgrade and once a month; ten at once do no harm. SQLite and a writer
    that connects as the owner migrate by themselves.
    """
    url = required(db)
    if roles and not url.startswith("postgres"):
        raise ConfigurationError("only PostgreSQL has roles: leave --roles out, and set the permissions of the file")

    require_no_other(url)

    async def run() -> None:
        store = store_for(url)
        await store.open()
        await store.close()
        if roles:
            await load("postgres_roles", "make_roles")(url)

    asyncio.run(run())
    say("the schema is up to date")
    return DONE
