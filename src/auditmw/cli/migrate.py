"""`auditmw migrate`: brings a trail's schema up to date, and makes partitions ahead of need."""

from __future__ import annotations

import asyncio
from typing import Final

from auditmw.cli import DONE
from auditmw.cli.opening import DatabaseOption, required
from auditmw.cli.output import say
from auditmw.stores import store_for

EXAMPLES: Final = ("auditmw migrate --db postgresql://owner@db/audit",)


def migrate(db: DatabaseOption = None) -> int:
    """Make or update the schema, and on PostgreSQL the partitions of the next three months.

    Run it as the owner of the trail, after every upgrade and once a month; ten at once do no harm. SQLite and a writer
    that connects as the owner migrate by themselves.
    """
    url = required(db)

    async def run() -> None:
        store = store_for(url)
        await store.open()
        await store.close()

    asyncio.run(run())
    say("the schema is up to date")
    return DONE
