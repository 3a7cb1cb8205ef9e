"""What verifying and proving cost on a long trail, and what the log costs the writer.

    python benchmarks/bench_verify.py [--entries 1000000] [--keep FILE]

Builds a SQLite trail of typical entries, signed every 1,000, then prints entries a second and peak memory of `verify`
with one process and with two, the time and size of one proof, and the writer's rate with and without leaves and tree.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import saved

from auditmw.entry import AuditEntry
from auditmw.log.checkpoint import Checkpoint
from auditmw.log.keys import Ed25519Signer
from auditmw.log.merkle import Frontier
from auditmw.stores.protocol import Batch
from auditmw.stores.sqlite import SqliteStore

_VERIFY = """
import json, resource, sys, time
from auditmw.log.keys import Verifier
from auditmw.verification import verify_trail

if __name__ == "__main__":
    url, key, jobs = sys.argv[1:]
    began = time.perf_counter()
    report = verify_trail(url, verifiers=[Verifier.from_text(key)], jobs=int(jobs))
    seconds = time.perf_counter() - began
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    used = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    print(json.dumps({
        "entries_s": report.entries / seconds,
        "entries_s_of_processor": report.entries / used,
        "seconds": seconds,
        "mb": own.ru_maxrss >> 10,
        "largest_job_mb": children.ru_maxrss >> 10,
        "checkpoints": report.signed.checkpoints,
        "verdict": report.verdict,
    }))
"""
WRITER = "a" * 32
BATCH = 1000


def entry(number: int) -> AuditEntry:
    name = f"01890000-0000-7000-8000-{number:012x}"
    started = 1_795_176_000_000_000 + number * 1000
    return AuditEntry(
        request_id=name,
        timestamp_us=started,
        call_id=name,
        action="support.answer",
        logged_at_us=started + 900_000,
        latency_us=900_000 + number % 1000,
        ttft_us=200_000,
        user_id=f"user-{number % 1000}",
        session_id=f"session-{number % 5000}",
        app="shop",
        provider="anthropic",
        model="claude-sonnet-4-5",
        response_model="claude-sonnet-4-5-20250929",
        stream=True,
        stop_reason="end_turn",
        input_tokens=512 + number % 100,
        cache_read_tokens=0,
        cache_write_5m_tokens=0,
        cache_write_1h_tokens=0,
        output_tokens=200,
        usage_complete=True,
        usage_raw={"input_tokens": 512, "output_tokens": 200},
        cost_nano=4_536_000,
        cost_status="priced",
        price_source="genai-prices",
        unit_prices={"input": "3", "output": "15"},
        system_prompt_hash="01" * 32,
        input_hash=f"{number:064x}",
        output_hash="03" * 32,
        hash_key_id="0123456789abcdef",
        sanitization_count=0,
        sanitization={},
        http_status=200,
        provider_request_id=f"req_{number}",
        response_id=f"msg_{number}",
        metadata={"team": "x"},
    )


async def build(path: str, count: int) -> Ed25519Signer:
    store = SqliteStore(path)
    await store.open()
    assert store.heads is not None
    signer = Ed25519Signer((await store.heads.tree(2**62)).origin, bytes(32))
    for start in range(0, count, BATCH):
        entries = [entry(number) for number in range(start, min(start + BATCH, count))]
        await store.append(Batch(WRITER, start + 1, entries))
        tree = await store.heads.tree(2**62)
        head = Checkpoint(tree.origin, tree.size, Frontier.from_bytes(tree.frontier).root())
        await store.heads.add(tree.size, head.sign(signer))
    await store.close()
    return signer


def verify(url: str, signer: Ed25519Signer, jobs: int) -> dict[str, Any]:
    """In a process of its own, so that its memory is its own."""
    with tempfile.TemporaryDirectory() as folder:  # a file, so that jobs can import it
        script = Path(folder) / "verify.py"
        script.write_text(_VERIFY)
        command = [sys.executable, script, url, signer.verifier.to_text(), str(jobs)]
        found: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    print(
        f"verify, jobs {jobs}: {found['entries_s']:,.0f} entries/s, {found['entries_s_of_processor']:,.0f} a second of "
        f"processor; {found['seconds']:.1f} s at load {os.getloadavg()[0]:.1f}\n"
        f"  {found['mb']} MB, largest job {found['largest_job_mb']} MB, {found['checkpoints']:,} checkpoints, "
        f"{found['verdict']}"
    )
    return found


def prove(url: str, signer: Ed25519Signer, count: int) -> dict[str, Any]:
    from auditmw.proving import prove_entry

    times = []
    for number in (0, count // 2, count - BATCH // 2, 77, count - BATCH):
        began = time.perf_counter()
        proof = prove_entry(url, entry(number).request_id)
        times.append(time.perf_counter() - began)
        proof.verify([signer.verifier])
    data = proof.to_json()
    print(
        f"prove: {max(times) * 1000:.0f} ms at most, {statistics.median(times) * 1000:.0f} ms median; "
        f"proof {len(proof.proof):,} bytes, entry {len(proof.entry):,} bytes, file {len(data):,} bytes"
    )
    key = proof.checkpoint.partition("\n")[0]
    began = time.perf_counter()
    command = [sys.executable, "-m", "auditmw", "prove", entry(77).request_id, "--db", url, "--out", os.devnull]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    command_ms = (time.perf_counter() - began) * 1000
    print(f"prove as a command, with the interpreter's start: {command_ms:.0f} ms ({key})")
    return {"most_ms": max(times) * 1000, "command_ms": command_ms, "proof_bytes": len(proof.proof), "bytes": len(data)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    saved.add_option(parser)
    parser.add_argument("--keep", type=Path, help="build the trail here, or use the one that is here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.keep or Path(folder) / "trail.db"
        began = time.perf_counter()
        if path.exists():
            signer = asyncio.run(build(str(path), 0))
        else:
            signer = asyncio.run(build(str(path), options.entries))
            seconds = time.perf_counter() - began
            print(f"built {options.entries:,} entries in {seconds:.0f} s, {path.stat().st_size / 1e6:,.0f} MB")
        url = f"sqlite:///{path}"
        figures: dict[str, Any] = {f"verify, jobs {jobs}": verify(url, signer, jobs) for jobs in (1, 2)}
        figures["prove"] = prove(url, signer, options.entries)
    saved.save(options, figures)
    print(f"peak of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


if __name__ == "__main__":
    main()
