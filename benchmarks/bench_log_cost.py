"""What the log costs the writer: the same batches stored with and without salts, leaves and tree, in turns.

    python benchmarks/bench_log_cost.py [--store postgres] [--entries 20000] [--rounds 5]

Prints entries a second of each, and the share of the throughput that the log takes.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from unittest.mock import patch

import saved
from bench_verify import entry

from auditmw.stores import ahead, columns, postgres_append, sqlite_append, store_for
from auditmw.stores.columns import Leaf
from auditmw.stores.growth import Growth
from auditmw.stores.protocol import Batch

BATCH = 200


class NoTree(NamedTuple):
    """Counts leaves and remembers nothing of them."""

    size: int

    def to_bytes(self) -> bytes:
        return self.size.to_bytes(8, "big")

    @classmethod
    def from_bytes(cls, data: bytes) -> NoTree:
        return cls(int.from_bytes(data[:8], "big"))


def rows_alone(batch: Batch, first: int, stored_at_us: int, until: int | None = None) -> list[Leaf]:
    """What `make_leaves` does, without salts, commitments and hashes."""
    places = range(first, len(batch.entries) if until is None else min(until, len(batch.entries)))
    rows = [columns._to_row(batch, place, stored_at_us) for place in places]
    columns.msgspec.convert(rows, list[columns._Row])
    return [Leaf(row, b"", b"") for row in rows]


@contextmanager
def without_log(module: ModuleType) -> Iterator[None]:
    with (
        patch.object(ahead, "make_leaves", rows_alone),
        patch.object(module, "Frontier", NoTree),
        patch.object(module, "fills_tile", lambda *_: False),
        patch.object(module, "grow", lambda tree, hashes, _: Growth(NoTree(tree.size + len(hashes)), [])),  # type: ignore[arg-type]  # as above
    ):
        yield


async def store(url: str, writer: str, entries: list[Any]) -> tuple[float, float]:
    """Entries a second, and entries a second of this process's processor time."""
    target = store_for(url)
    await target.open()
    began, used = time.perf_counter(), time.process_time()
    for start in range(0, len(entries), BATCH):
        await target.append(Batch(writer, start + 1, entries[start : start + BATCH]))
    seconds, used = time.perf_counter() - began, time.process_time() - used
    await target.close()
    return len(entries) / seconds, len(entries) / used


def measure(on_url: str, off_url: str, module: ModuleType, count: int, rounds: int) -> dict[str, dict[str, float]]:
    entries = [entry(number) for number in range(count)]
    rates: dict[str, list[tuple[float, float]]] = {"with": [], "without": []}
    for number in range(rounds):
        rates["with"].append(asyncio.run(store(on_url, f"{number:032x}", entries)))
        with without_log(module):
            rates["without"].append(asyncio.run(store(off_url, f"{number:032x}", entries)))
    figures = {}
    for place, what in enumerate(("entries/s", "entries a second of processor")):
        on, off = (statistics.median(pair[place] for pair in found) for found in rates.values())
        name = module.__name__.rpartition(".")[2]
        print(f"{name}: {on:,.0f} {what} with the log, {off:,.0f} without; it takes {1 - on / off:.0%}")
        figures[what] = {"with": on, "without": off}
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--entries", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    saved.add_option(parser)
    options = parser.parse_args()
    if options.store == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            urls = [f"sqlite:///{Path(folder) / name}" for name in ("on.db", "off.db")]
            saved.save(options, measure(*urls, sqlite_append, options.entries, options.rounds))
        return 0
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "acceptance"))
    from postgres import Postgres

    with Postgres() as server:
        asyncio.run(create(server.url, "log_on", "log_off"))
        urls = [server.url.replace("/postgres?", f"/{name}?") for name in ("log_on", "log_off")]
        saved.save(options, measure(*urls, postgres_append, options.entries, options.rounds))
    return 0


async def create(url: str, *names: str) -> None:
    import asyncpg

    db = await asyncpg.connect(url)
    for name in names:
        await db.execute(f"CREATE DATABASE {name}")
    await db.close()


if __name__ == "__main__":
    sys.exit(main())
