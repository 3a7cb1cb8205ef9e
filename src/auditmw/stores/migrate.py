"""Numbered migrations as .sql files, one folder a dialect: `0001_trail.sql`, `0002_views.sql`, ...

A database carries the number of the last one it has. Each runs in one transaction with the change of that number.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from importlib import resources
from typing import NamedTuple

from auditmw.errors import SchemaMismatch


class Migration(NamedTuple):
    """One step of the schema."""

    version: int
    name: str
    sql: str


def migrations(dialect: str) -> list[Migration]:
    """All steps of a dialect (`sqlite`, `postgres`) in order."""
    folder = resources.files("auditmw.stores") / "sql" / dialect
    names = sorted(file.name for file in folder.iterdir() if file.name[:4].isdigit())
    return [Migration(int(name[:4]), name, (folder / name).read_text("utf-8")) for name in names]


def pending(dialect: str, version: int) -> list[Migration]:
    """The steps that a database of this version lacks; raises SchemaMismatch where it is newer than all of them."""
    steps = migrations(dialect)
    newest = steps[-1].version
    if version > newest:
        raise SchemaMismatch(
            f"the database has schema version {version} and this auditmw knows up to {newest}: upgrade auditmw"
        )
    return [step for step in steps if step.version > version]


def roles(dialect: str) -> str:
    """The script that makes the roles of a dialect: one that may only append, one that may only read."""
    return (resources.files("auditmw.stores") / "sql" / dialect / "roles.sql").read_text("utf-8")


def statements(script: str) -> Iterator[str]:
    """The statements of a script, for a driver that runs one at a time."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
