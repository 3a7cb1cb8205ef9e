"""What a journal append costs beside the bare write of the same bytes; both in turn, in one run.

    python benchmarks/bench_journal.py [--records 20000] [--rounds 7] [--bytes 700]

The first number of a line is the median of the rounds in microseconds a record, the second its ratio to the bare write.
"""

import argparse
import os
import secrets
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

import saved

from auditmw.journal import FRAME_BYTES, Journal, orphans

REQUEST_ID = secrets.token_bytes(16)


def bare_write(directory: Path, payload: bytes, records: int) -> float:
    frame = payload + bytes(FRAME_BYTES)
    fd = os.open(directory / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    started = time.perf_counter()
    for _ in range(records):
        os.write(fd, frame)
    elapsed = time.perf_counter() - started
    os.close(fd)
    return elapsed


def sealed(directory: Path, payload: bytes, records: int) -> float:
    journal = Journal(directory / "sealed")
    started = time.perf_counter()
    for seq in range(1, records + 1):
        journal.append_sealed(seq, REQUEST_ID, payload)
    elapsed = time.perf_counter() - started
    journal.acknowledge(records)
    journal.close()
    return elapsed


def intent_and_sealed(directory: Path, payload: bytes, records: int) -> float:
    """Half of the records are intents, each closed by the next record."""
    journal = Journal(directory / "both")
    request_ids = [number.to_bytes(16, "big") for number in range(records // 2)]
    started = time.perf_counter()
    for seq, request_id in enumerate(request_ids, 1):
        journal.append_intent(request_id, payload)
        journal.append_sealed(seq, request_id, payload)
    elapsed = time.perf_counter() - started
    journal.acknowledge(records)
    journal.close()
    return elapsed


def recovery(directory: Path, payload: bytes, records: int) -> float:
    """Reading back, twice as recovery does: once for what is open, once for the entries."""
    journal = Journal(directory / "dead")
    for seq in range(1, records + 1):
        journal.append_sealed(seq, REQUEST_ID, payload)
    journal.close()
    started = time.perf_counter()
    for orphan in orphans(directory / "dead"):
        assert sum(1 for _ in orphan.sealed()) == records
        orphan.remove()
    return time.perf_counter() - started


def disk(directory: Path, payload: bytes, records: int, threads: int) -> float:
    """Every record waits for the disk; the waits of one moment share an fsync."""
    journal = Journal(directory / "disk", disk=True)
    numbering = threading.Lock()
    each = records // threads

    def work() -> None:
        for _ in range(each):
            with numbering:
                position = journal.append_sealed(journal.last_seq + 1, REQUEST_ID, payload)
            journal.synced(position).result()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    started = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    elapsed = time.perf_counter() - started
    journal.acknowledge(journal.last_seq)
    journal.close()
    return elapsed


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--bytes", type=int, default=700)
    saved.add_option(parser)
    arguments = parser.parse_args()
    payload = secrets.token_bytes(arguments.bytes)
    measures = {
        "bare write": bare_write,
        "sealed": sealed,
        "intent and sealed": intent_and_sealed,
        "recovery": recovery,
    }
    times: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(arguments.rounds):
        for name, measure in measures.items():
            with tempfile.TemporaryDirectory() as directory:
                elapsed = measure(Path(directory), payload, arguments.records)
            times[name].append(elapsed / arguments.records * 1e6)
    bare = median(times["bare write"])
    for name, values in times.items():
        print(f"{name:20} {median(values):8.2f} us  {median(values) / bare:5.2f}x")
    figures = {name: median(values) for name, values in times.items()}
    for threads in (1, 32):
        with tempfile.TemporaryDirectory() as directory:
            elapsed = disk(Path(directory), payload, 1600, threads)
        figures[f"disk, {threads} waiting"] = elapsed / 1600 * 1e6
        print(f"disk, {threads:2} waiting      {elapsed / 1600 * 1e6:8.2f} us")
    saved.save(arguments, {"microseconds": figures})


if __name__ == "__main__":
    main()
