"""A signed trail in SQLite and in PostgreSQL, and all that somebody who owns the database can do to it."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from msgspec import structs

from auditmw.entry import AuditEntry
from auditmw.log.checkpoint import Checkpoint
from auditmw.log.keys import Ed25519Signer
from auditmw.log.leaf import leaf_hash
from auditmw.log.merkle import Frontier
from auditmw.log.report import Report
from auditmw.stores import store_for
from auditmw.stores.evidence import open_evidence
from auditmw.stores.protocol import Batch
from auditmw.verification import verify_trail

NOON_US = 1_795_176_000_000_000
A, B = "a" * 32, "b" * 32
ORIGIN = "auditmw/00112233445566778899aabbccddeeff"
SIGNED = (300, 500, 600)
"""The sizes at which the trail has checkpoints; it ends at 620."""
SIZE = 620
_numbers = itertools.count()


def entry(number: int, **fields) -> AuditEntry:
    """An entry whose id tells its leaf index, with values in every class of fields."""
    values = {
        "request_id": f"r{number}",
        "timestamp_us": NOON_US + number,
        "call_id": f"r{number}",
        "kind": "llm",
        "action": "ask",
        "logged_at_us": NOON_US + number + 9,
        "latency_us": 1000 + number,
        "user_id": f"user-{number % 7}",
        "session_id": "session",
        "model": "claude-opus-4",
        "stream": number % 2 == 0,
        "tool_names": ["search"],
        "input_tokens": number,
        "usage_complete": True,
        "cost_nano": 5_000,
        "system_prompt_hash": "01" * 32,
        "input_hash": f"{number:064x}",
        "output_hash": "03" * 32,
        "hash_key_id": "key",
        "error_message": "it failed",
        "http_status": 200,
        "metadata": {"number": number, "nested": {"a": [1, None, "\u2028"]}},
    }
    return AuditEntry(**{**values, **fields})


def control(number: int, action: str, **metadata) -> AuditEntry:
    """An entry about the trail itself."""
    return AuditEntry(
        request_id=f"r{number}",
        timestamp_us=NOON_US,
        kind="control",
        action=action,
        logged_at_us=NOON_US,
        metadata=metadata or None,
    )


def batch(writer: str, first_seq: int, first_leaf: int, count: int, **special: AuditEntry) -> Batch:
    """Consecutive entries of a writer; `special` replaces some by their leaf index, as `r5=...`."""
    numbers = range(first_leaf, first_leaf + count)
    return Batch(writer, first_seq, [special.get(f"r{number}") or entry(number) for number in numbers])


def honest_batches() -> list[Batch]:
    """620 entries of two writers, of which the first closes."""
    return [
        batch(A, 1, 0, 200, r0=control(0, "open")),
        batch(B, 1, 200, 100, r200=control(200, "open")),
        batch(A, 201, 300, 200),
        batch(B, 101, 500, 100, r550=control(550, "drop", count=3)),
        batch(A, 401, 600, 20, r619=control(619, "close")),
    ]


class Trail:
    """A stored trail, with the database under it laid open."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self.time = "stored_at_us" if self.is_sqlite else "stored_at"

    def execute(self, *statements: str) -> None:
        """Change the database behind the trail's back, in one transaction."""
        if self.is_sqlite:
            db = sqlite3.connect(self.url.removeprefix("sqlite:///"), isolation_level=None)
            db.execute("BEGIN")
            for statement in statements:
                db.execute(statement)
            db.execute("COMMIT")
            db.close()
        else:  # the owner of a database can turn its triggers off
            asyncio.run(run_postgres(self.url, ";".join(["SET session_replication_role = replica", *statements])))

    def select(self, sql: str) -> list[tuple]:
        """Look into the database."""
        if self.is_sqlite:
            db = sqlite3.connect(self.url.removeprefix("sqlite:///"))
            rows = db.execute(sql).fetchall()
            db.close()
            return rows
        return [tuple(row) for row in asyncio.run(fetch_postgres(self.url, sql))]

    def append(self, *batches: Batch) -> None:
        """Store batches as a writer does."""

        async def append() -> None:
            store = store_for(self.url)
            await store.open()
            for one in batches:
                await store.append(one)
            await store.close()

        asyncio.run(append())

    def head(self) -> Checkpoint:
        """The trail as it is, as a checkpoint."""
        ((origin, size, frontier),) = self.select("SELECT origin, size, frontier FROM audit_trail")
        return Checkpoint(origin, size, Frontier.from_bytes(frontier).root())

    def sign(self, *signers: Ed25519Signer) -> str:
        """Sign the trail as it is, and keep that."""
        head = self.head()
        note = head.sign(*signers) if signers else head.to_text()
        self.add_checkpoint(head.size, note)
        return note

    def add_checkpoint(self, size: int, note: str) -> None:
        self.execute(f"INSERT INTO audit_checkpoints (size, note) VALUES ({size}, '{note}')")

    def checkpoints(self) -> list[str]:
        """The stored checkpoints, as somebody may have copied them in time."""
        return [note for (note,) in self.select("SELECT note FROM audit_checkpoints ORDER BY size")]

    def verify(self, *signers: Ed25519Signer, held: Sequence[str] = (), jobs: int = 1) -> Report:
        return verify_trail(self.url, verifiers=[signer.verifier for signer in signers], held=held, jobs=jobs)

    def change(self, request_id: str, **columns: str) -> None:
        """Set columns of one entry to SQL expressions."""
        assignments = ", ".join(f"{name} = {value}" for name, value in columns.items())
        self.execute(f"UPDATE audit_entries SET {assignments} WHERE request_id = '{request_id}'")

    def copy_row(self, request_id: str, seq: int, name: str) -> None:
        """Insert an entry's row again under another number and id."""
        names = self.columns() - {"leaf_index"}
        new = {"seq": str(seq), "request_id": f"'{name}'"}
        columns, values = ", ".join(sorted(names)), ", ".join(new.get(column, column) for column in sorted(names))
        source = f"SELECT {values} FROM audit_entries WHERE request_id = '{request_id}'"
        self.execute(f"INSERT INTO audit_entries ({columns}) {source}")

    def columns(self) -> set[str]:
        """The columns of an entry's row."""
        if self.is_sqlite:
            return {name for _, name, *_ in self.select("PRAGMA table_info(audit_entries)")}
        sql = "SELECT column_name FROM information_schema.columns WHERE table_name = 'audit_entries'"
        return {name for (name,) in self.select(sql)}

    def swap(self, column: str, one: str, other: str) -> None:
        """Exchange the values of a column between two entries."""
        sql = f"UPDATE audit_entries SET {column} = {{}} WHERE request_id = '{{}}'"
        found = dict(
            self.select(f"SELECT request_id, {column} FROM audit_entries WHERE request_id IN ('{one}', '{other}')")
        )
        self.execute(sql.format(self.literal(found[one]), other), sql.format(self.literal(found[other]), one))

    def cut(self, size: int) -> None:
        """Cut off the tail, and mend all that would tell of it, apart from the checkpoints."""
        where = f"CAST(substr(request_id, 2) AS integer) >= {size}"
        crossing = self.select(
            "SELECT first_leaf, leaf_hashes FROM audit_batches "
            f"WHERE first_leaf < {size} AND first_leaf + entry_count > {size}"
        )
        last_seq = "SELECT max(seq) FROM audit_entries AS e WHERE e.writer_id = audit_writers.id"
        statements = [
            f"DELETE FROM audit_entries WHERE {where}",
            f"DELETE FROM audit_batches WHERE first_leaf >= {size}",
            f"DELETE FROM audit_tiles WHERE tile >= {size // 256}",
            f"UPDATE audit_writers SET last_seq = coalesce(({last_seq}), 0)",
        ]
        for first, hashes in crossing:
            kept = f"entry_count = {size - first}, leaf_hashes = {self.blob(hashes[: (size - first) * 32])}"
            statements.append(f"UPDATE audit_batches SET {kept} WHERE first_leaf = {first}")
        self.execute(*statements)
        frontier = Frontier().extend(self.hashes())
        self.execute(
            f"UPDATE audit_trail SET size = {size}, frontier = {self.blob(frontier.to_bytes())}, "
            f"{self.time} = coalesce((SELECT max({self.time}) FROM audit_entries), {self.time})"
        )

    def cut_beginning(self, size: int) -> None:
        """Remove the first entries and their batches."""
        self.execute(
            f"DELETE FROM audit_entries WHERE CAST(substr(request_id, 2) AS integer) < {size}",
            f"DELETE FROM audit_batches WHERE first_leaf + entry_count <= {size}",
        )

    def remove(self) -> None:
        """Remove the whole trail."""
        if self.is_sqlite:
            Path(self.url.removeprefix("sqlite:///")).unlink()
        else:
            self.execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")

    def leaf(self, request_id: str) -> bytes:
        """The leaf hash that an entry's stored values give."""
        reader = open_evidence(self.url)
        leaf_index = reader.find(request_id)
        (row,) = reader.chunk(leaf_index, leaf_index + 1).rows
        reader.close()
        return leaf_hash(row.values, row.salts, row.erased)

    def mend(self, hashes: list[bytes]) -> None:
        """Make everything that is derived from leaf hashes follow from these."""
        statements = []
        for first, count in self.select("SELECT first_leaf, entry_count FROM audit_batches"):
            data = self.blob(b"".join(hashes[first : first + count]))
            statements.append(f"UPDATE audit_batches SET leaf_hashes = {data} WHERE first_leaf = {first}")
        for (tile,) in self.select("SELECT tile FROM audit_tiles"):
            root = Frontier().extend(hashes[tile * 256 : tile * 256 + 256]).root()
            statements.append(f"UPDATE audit_tiles SET root = {self.blob(root)} WHERE tile = {tile}")
        frontier = self.blob(Frontier().extend(hashes).to_bytes())
        self.execute(*statements, f"UPDATE audit_trail SET frontier = {frontier}")

    def hashes(self) -> list[bytes]:
        """The stored leaf hashes."""
        data = b"".join(h for (h,) in self.select("SELECT leaf_hashes FROM audit_batches ORDER BY first_leaf"))
        return [data[start : start + 32] for start in range(0, len(data), 32)]

    def literal(self, value: object) -> str:
        """A value in SQL."""
        if isinstance(value, bytes):
            return self.blob(value)
        return "NULL" if value is None else f"'{value}'" if isinstance(value, str) else str(value)

    def blob(self, data: bytes) -> str:
        """Bytes as an SQL literal."""
        return f"x'{data.hex()}'" if self.is_sqlite else f"'\\x{data.hex()}'"


async def run_postgres(url: str, sql: str) -> None:
    db = await asyncpg.connect(url)
    await db.execute(sql)
    await db.close()


async def fetch_postgres(url: str, sql: str) -> list:
    db = await asyncpg.connect(url)
    rows = await db.fetch(sql)
    await db.close()
    return rows


@pytest.fixture(scope="session")
def signer() -> Ed25519Signer:
    return Ed25519Signer(ORIGIN, bytes(range(32)))


@pytest.fixture(scope="session")
def stranger() -> Ed25519Signer:
    """A key of the same name that nobody trusts."""
    return Ed25519Signer(ORIGIN, bytes(32))


class Copies:
    """Makes copies of a signed and of an empty trail of one kind."""

    def __init__(self, kind: str, folder: Path, server: str | None, signer: Ed25519Signer) -> None:
        self._kind, self._folder, self._server = kind, folder, server
        self._made: list[str] = []
        self._empty = self._new("template1")
        trail = Trail(self._url(self._empty))
        trail.append()
        trail.execute(f"UPDATE audit_trail SET origin = '{ORIGIN}'")
        self._full = self._new(self._empty)
        trail = Trail(self._url(self._full))
        for one in honest_batches():
            trail.append(one)
            if trail.head().size in SIGNED:
                trail.sign(signer)

    def full(self) -> Trail:
        return Trail(self._url(self._new(self._full)))

    def empty(self) -> Trail:
        return Trail(self._url(self._new(self._empty)))

    def drop_all(self) -> None:
        for name in self._made if self._server else ():
            asyncio.run(run_postgres(self._server, f"DROP DATABASE {name} WITH (FORCE)"))

    def _new(self, source: str) -> str:
        name = f"evidence_{os.getpid()}_{next(_numbers)}"
        if self._server:
            asyncio.run(run_postgres(self._server, f"CREATE DATABASE {name} TEMPLATE {source} STRATEGY file_copy"))
        elif source != "template1":
            shutil.copy(self._folder / source, self._folder / name)
        self._made.append(name)
        return name

    def _url(self, name: str) -> str:
        if self._server:
            return urlunsplit(urlsplit(self._server)._replace(path=f"/{name}"))
        return f"sqlite:///{self._folder / name}"


@pytest.fixture(scope="session")
def sqlite_copies(tmp_path_factory, signer) -> Copies:
    return Copies("sqlite", tmp_path_factory.mktemp("evidence"), None, signer)


@pytest.fixture(scope="session")
def postgres_copies(postgres_server, tmp_path_factory, signer) -> Iterator[Copies]:
    copies = Copies("postgres", tmp_path_factory.mktemp("evidence"), postgres_server, signer)
    yield copies
    copies.drop_all()


@pytest.fixture(params=["sqlite", "postgres"])
def copies(request) -> Copies:
    return request.getfixturevalue(f"{request.param}_copies")


@pytest.fixture
def trail(copies) -> Trail:
    """620 entries, signed at 300, 500 and 600."""
    return copies.full()


@pytest.fixture
def empty_trail(copies) -> Trail:
    """The same trail before its first entry."""
    return copies.empty()


@pytest.fixture
def honest() -> list[Batch]:
    """The batches of which the trail was made."""
    return honest_batches()


@pytest.fixture
def rewritten(empty_trail) -> Trail:
    """The trail as somebody who owns the database writes it anew, with another user and all hashes right."""
    for one in honest_batches():
        forged = [structs.replace(e, user_id="mallory") if e.kind == "llm" else e for e in one.entries]
        empty_trail.append(structs.replace(one, entries=forged))
    return empty_trail


@pytest.fixture
def make_control() -> Callable[..., AuditEntry]:
    return control


@pytest.fixture
def make_entry() -> Callable[..., AuditEntry]:
    return entry
