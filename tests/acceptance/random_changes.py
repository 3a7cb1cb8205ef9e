"""Changes one stored value at random, verifies, puts it back: every change must be found, at the right entry.

    python tests/acceptance/random_changes.py --rounds 10000 [--store postgres] [--seed N]

Every column of every row of the tables that hold evidence: entries, batches, tiles, the trail's head, writers and
checkpoints. In a column that is a key, or tells where an entry is, any finding counts; in every other one of an entry
the first bad entry must be that entry.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from msgspec import structs

from auditmw.entry import AuditEntry
from auditmw.log.checkpoint import Checkpoint
from auditmw.log.keys import Ed25519Signer
from auditmw.log.merkle import Frontier
from auditmw.stores import store_for
from auditmw.stores.protocol import Batch
from auditmw.verification import verify_trail

ENTRIES = 520
TABLES = {
    "audit_entries": 80,
    "audit_batches": 6,
    "audit_tiles": 3,
    "audit_trail": 4,
    "audit_writers": 4,
    "audit_checkpoints": 3,
}
"""How often each is chosen."""
PLACES = {"leaf_index", "stored_at", "stored_at_us", "writer_id", "seq", "request_id"}
"""Columns by which an entry is found, so that it may be missed elsewhere than it is now."""


def entries() -> list[AuditEntry]:
    made = []
    for number in range(ENTRIES):
        full = AuditEntry(
            request_id=f"r{number}",
            timestamp_us=1_795_176_000_000_000 + number,
            call_id=f"r{number}",
            parent_id="p",
            action="ask",
            logged_at_us=1_795_176_000_000_009 + number,
            latency_us=number,
            ttft_us=7,
            user_id=f"user-{number % 7}",
            subject="subject",
            session_id="session",
            client_ip_hash="ab" * 32,
            tenant="acme",
            app="shop",
            app_version="1",
            host="host",
            provider="anthropic",
            model="claude-opus-4",
            response_model="claude-opus-4-1",
            stream=number % 2 == 0,
            stop_reason="end_turn",
            tool_names=["search"],
            service_tier="standard",
            params_hash="cd" * 32,
            input_tokens=number,
            output_tokens=50,
            usage_complete=True,
            usage_raw={"input_tokens": number},
            cost_nano=5000,
            cost_status="priced",
            price_source="genai-prices",
            unit_prices={"input": "3"},
            system_prompt_hash="01" * 32,
            input_hash="02" * 32,
            output_hash="03" * 32,
            hash_key_id="key",
            sanitization_count=1,
            sanitization={"EMAIL": 1},
            error_message="it failed",
            http_status=200,
            trace_id="0" * 32,
            span_id="0" * 16,
            metadata={"a": [1, None, "\u2028"]},
            extra={"newer": 1},
        )
        bare = AuditEntry(request_id=f"r{number}", timestamp_us=1, kind="function")
        made.append(full if number % 3 else bare)
    return made


class Database:
    """SQL on the trail, in the two dialects."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._lite = None
        if url.startswith("sqlite"):
            self._lite = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
            self._lite.execute("PRAGMA synchronous = OFF")
        else:
            self._runner = asyncio.Runner()
            self._db = self._runner.run(asyncpg.connect(url))
            self.execute("SET session_replication_role = replica")

    def execute(self, sql: str, *values: Any) -> None:
        if self._lite is not None:
            self._lite.execute(sql, values)
        else:
            self._runner.run(self._db.execute(sql, *values))

    def fetch(self, sql: str) -> list[tuple[Any, ...]]:
        if self._lite is not None:
            return self._lite.execute(sql).fetchall()
        return [tuple(row) for row in self._runner.run(self._db.fetch(sql))]

    def mark(self, number: int) -> str:
        return "?" if self._lite is not None else f"${number}"

    def columns(self, table: str) -> list[tuple[str, str, bool]]:
        """Name, type, and whether it may be NULL."""
        if self._lite is not None:
            found = self.fetch(f"PRAGMA table_info({table})")
            return [(name, kind.lower(), not required) for _, name, kind, required, *_ in found]
        found = self.fetch(
            "SELECT column_name, data_type, is_nullable = 'YES' FROM information_schema.columns "
            f"WHERE table_name = '{table}'"
        )
        return [(name, kind, nullable) for name, kind, nullable in found]

    def key(self, table: str) -> str:
        """What tells the rows of a table apart, for putting a value back."""
        return "rowid" if self._lite is not None and table != "audit_checkpoints" else "ctid"

    def close(self) -> None:
        if self._lite is not None:
            self._lite.close()
        else:
            self._runner.run(self._db.close())
            self._runner.close()


def build(url: str, signer_seed: bytes) -> Ed25519Signer:
    async def fill() -> None:
        store = store_for(url)
        await store.open()
        await store.bind_key("key")
        made, first = entries(), {"a" * 32: 1, "b" * 32: 1}
        start = 0
        for writer, count in (("a" * 32, 100), ("b" * 32, 60), ("a" * 32, 200), ("b" * 32, 160)):
            part = [structs.replace(e) for e in made[start : start + count]]
            await store.append(Batch(writer, first[writer], part))
            start, first[writer] = start + count, first[writer] + count
            assert store.heads is not None
            tree = await store.heads.tree(2**62)
            signer = Ed25519Signer(tree.origin, signer_seed)
            head = Checkpoint(tree.origin, tree.size, Frontier.from_bytes(tree.frontier).root())
            await store.heads.add(tree.size, head.sign(signer))
            result.append(signer)
        await store.close()

    result: list[Ed25519Signer] = []
    asyncio.run(fill())
    return result[0]


def another(rng: random.Random, value: Any, kind: str, nullable: bool) -> Any:
    """A value of the same type that is not this one."""
    while True:
        if nullable and value is not None and rng.random() < 0.2:
            return None
        made = _another(rng, value, kind)
        if made != value or type(made) is not type(value):
            return made


def _another(rng: random.Random, value: Any, kind: str) -> Any:
    if kind == "boolean":
        return not value
    if kind in {"integer", "bigint"}:
        number = value or 0
        return rng.choice([number + 1, number - 1, number ^ 1 << rng.randrange(30), 0, rng.randrange(2**31)])
    if kind in {"blob", "bytea"}:
        data = bytearray(value or b"\0")
        if data and rng.random() < 0.8:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            return bytes(data)
        return bytes(data[:-1]) if rng.random() < 0.5 else bytes(data) + b"\0"
    if kind.startswith("timestamp"):
        moment = value or datetime(2026, 1, 1, tzinfo=UTC)
        return moment + timedelta(microseconds=rng.choice([1, -1, 1_000_000, 86_400_000_000]))
    text = value or ""
    place = rng.randrange(len(text) + 1)
    return rng.choice(
        [
            text[:place] + rng.choice("abc{}\u00e9\u2028 ") + text[place:],
            text[:place] + text[place + 1 :],
            text.swapcase(),
            "",
            "null",
        ]
    )


def change_once(db: Database, rng: random.Random, signer: Ed25519Signer, tally: Counter[str]) -> str | None:
    """Try one change; says what went wrong, if anything did."""
    table = rng.choices(list(TABLES), list(TABLES.values()))[0]
    row_key = db.key(table)
    columns = [c for c in db.columns(table) if (table, c[0]) != ("audit_trail", "id")]
    column, kind, nullable = rng.choice(columns)
    if (table, column) == ("audit_trail", "key_id"):
        nullable = False  # a trail that is bound to no key yet is as good
    rows = db.fetch(f"SELECT count(*) FROM {table}")[0][0]
    order = "size" if table == "audit_checkpoints" else row_key
    name = "request_id" if table == "audit_entries" else "NULL"
    where_columns = "size, note" if table == "audit_checkpoints" else row_key
    ((value, request_id, *place),) = db.fetch(
        f"SELECT {column}, {name}, {where_columns} FROM {table} ORDER BY {order} LIMIT 1 OFFSET {rng.randrange(rows)}"
    )
    new = another(rng, value, kind, nullable)
    if table == "audit_checkpoints":
        before = [("size", place[0]), ("note", place[1])]
    elif row_key == "rowid":
        before = [("rowid", place[0])]
    else:
        before = []
    try:
        undo = _apply(db, table, column, new, value, before, request_id, place)
    except (sqlite3.IntegrityError, asyncpg.PostgresError):
        tally["refused by the database"] += 1
        return None
    try:
        report = verify_trail(db.url, verifiers=[signer.verifier])
    finally:
        undo()
    tally[table] += 1
    what = f"{table}.{column} of {request_id or place}: {value!r:.80} -> {new!r:.80}"
    if table == "audit_checkpoints" and report.verdict != "tampered" and report.signed.by_other_keys:
        tally["a signature turned into one of an unknown key, and reported as that"] += 1
        return None
    if report.verdict != "tampered":
        return f"NOT FOUND: {what} ({report.verdict})"
    if table == "audit_entries" and column not in PLACES:
        first = report.structure.first_bad
        if first is None or first.first != int(request_id[1:]):
            return f"WRONG ENTRY: {what}: {first}"
    return None


def _apply(
    db: Database,
    table: str,
    column: str,
    new: Any,
    value: Any,
    before: list[tuple[str, Any]],
    request_id: str | None,
    place: list[Any],
) -> Any:
    def update(to: Any, where: list[tuple[str, Any]]) -> None:
        conditions = " AND ".join(f"{name} = {db.mark(n)}" for n, (name, _) in enumerate(where, start=2))
        db.execute(f"UPDATE {table} SET {column} = {db.mark(1)} WHERE {conditions}", to, *[v for _, v in where])

    if before:
        update(new, before)
        after = [(name, new if name == column else v) for name, v in before]
        if table != "audit_checkpoints" and column in {"leaf_index", "tile", "first_leaf", "id"}:
            after = [("rowid", new)]  # the column is the rowid
        return lambda: update(value, after)
    names = [name for name, *_ in db.columns(table)]
    # in PostgreSQL a row has no key that survives a change of it: all its values tell it apart
    rows = db.fetch(f"SELECT {', '.join(names)} FROM {table} WHERE ctid = '{_ctid(place[0])}'")
    db.execute(f"UPDATE {table} SET {column} = $1 WHERE ctid = '{_ctid(place[0])}'", new)
    changed = [new if name == column else v for name, v in zip(names, rows[0], strict=True)]
    conditions = " AND ".join(f"{name} IS NOT DISTINCT FROM ${n}" for n, name in enumerate(names, start=2))
    return lambda: db.execute(f"UPDATE {table} SET {column} = $1 WHERE {conditions}", value, *changed)


def _ctid(value: Any) -> str:
    return f"({value[0]},{value[1]})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = random.randrange(2**32) if options.seed is None else options.seed
    print(f"seed {seed}")
    if options.store == "postgres":
        from postgres import Postgres

        with Postgres() as server:
            return run(server.url, options.rounds, seed)
    with tempfile.TemporaryDirectory() as folder:
        return run(f"sqlite:///{Path(folder) / 'trail.db'}", options.rounds, seed)


def run(url: str, rounds: int, seed: int) -> int:
    signer, rng, tally = build(url, bytes(32)), random.Random(seed), Counter[str]()
    db, failures, began = Database(url), [], time.monotonic()
    done = 0
    while done < rounds:
        before = sum(tally.values()) - tally["refused by the database"]
        failure = change_once(db, rng, signer, tally)
        done += sum(tally.values()) - tally["refused by the database"] > before
        if failure:
            failures.append(failure)
            print(failure)
    db.close()
    clean = verify_trail(url, verifiers=[signer.verifier])
    print(dict(tally))
    print(f"{done} changes, {len(failures)} failures, {time.monotonic() - began:.0f} s; afterwards: {clean.verdict}")
    return 1 if failures or clean.verdict != "verified" else 0


if __name__ == "__main__":
    sys.exit(main())
