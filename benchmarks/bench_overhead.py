"""What recording a call costs it: auditmw, its peers, the naive way, and nothing at all.

    python benchmarks/bench_overhead.py [--rounds 5] [--peers] [--json FILE] [--only NAME ...]

Each contender runs in a fresh process, each peer in an environment of its own (made below `.bench/` on first use, with
`--peers`), and beside bare calls in the same process where calls are made one after the other (see `overhead_run.py`).
Rounds are interleaved; shown are medians, and ratios to the bare call of the same run.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

import saved

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent / ".bench"
OWN = (
    "bare",
    "noop",
    "auditmw_process",
    "auditmw_memory",
    "auditmw_disk",
    "auditmw_store",
    "auditmw_sanitizer",
    "auditmw_audited",
    "naive_sqlite",
)
PEERS = ("sdk_tracing", "otel_genai", "openllmetry", "openinference", "logfire", "langfuse", "mlflow")
CALLS = {"create": 1800, "short": 1800, "stream": 120, "concurrent": 3000, "streams": 800, "large": 20}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", action="store_true", help="also the peers; installs them on first use")
    parser.add_argument("--only", nargs="+", help="these contenders, beside bare")
    parser.add_argument("--modes", nargs="+", default=list(CALLS), choices=list(CALLS))
    saved.add_option(parser)
    options = parser.parse_args()
    sys.path.insert(0, str(HERE))
    names = (
        ["bare", *(n for n in options.only if n != "bare")]
        if options.only
        else [*OWN, *(PEERS if options.peers else ())]
    )
    pythons = {name: python_of(name) for name in names}
    modes = {name: getattr(importlib.import_module(f"contenders.{name}"), "MODES", CALLS) for name in names}
    results: dict[str, dict[str, dict[str, list[float]]]] = {}
    for mode in options.modes:
        for _ in range(options.rounds):
            for name in (name for name in names if mode in modes[name]):
                for key, value in run(pythons[name], name, mode).items():
                    results.setdefault(mode, {}).setdefault(name, {}).setdefault(key, []).append(value)
    for mode, contenders in results.items():
        show(mode, contenders)
    saved.save(options, results)


def python_of(name: str) -> str:
    """The interpreter of a contender's environment."""
    packages = getattr(importlib.import_module(f"contenders.{name}"), "PACKAGES", ())
    if not packages:
        return sys.executable
    folder = ENVIRONMENTS / name
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"making an environment for {name}", file=sys.stderr)
        venv.create(folder, with_pip=True)
        sdk = f"anthropic=={metadata.version('anthropic')}"
        subprocess.run([python, "-m", "pip", "install", "-q", sdk, *packages], check=True)
    return str(python)


def run(python: str, name: str, mode: str) -> dict[str, float]:
    """One contender's figures of one round; nothing if it fails."""
    command = [python, HERE / "overhead_run.py", name, mode, str(CALLS[mode])]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(HERE)}
    )
    if done.returncode:
        print(f"{name} {mode} failed: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return {}
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def show(mode: str, contenders: dict[str, dict[str, list[float]]]) -> None:
    """A table of medians."""
    {"concurrent": show_concurrent, "streams": show_concurrent, "large": show_large}.get(mode, show_in_turn)(
        mode, contenders
    )


def show_large(mode: str, contenders: dict[str, dict[str, list[float]]]) -> None:
    """How long the loop was blocked, beside bare calls of another process."""
    print(f"\n{mode}: the event loop blocked at most in a call")
    bare = statistics.median(contenders["bare"]["blocked"])
    for name, figures in contenders.items():
        blocked = statistics.median(figures["blocked"])
        print(f"  {name:20} {blocked:7.1f} ms   {blocked - bare:+7.1f} ms beside bare")


def show_concurrent(mode: str, contenders: dict[str, dict[str, list[float]]]) -> None:
    """What 100 callers at once wait longer, and how much later their loop is."""
    print(
        f"\n{mode}: 100 callers; milliseconds beyond the provider's delay, bare and added to bare in the same process"
    )
    for name, figures in contenders.items():
        cells = []
        for key in ("p50", "p99", "lag_p99"):
            bare, added = statistics.median(figures[f"bare_{key}"]), statistics.median(figures[key])
            cells.append(f"{key} {bare:6.2f} {added:+6.2f}")
        print(f"  {name:20} {'   '.join(cells)}")


def show_in_turn(mode: str, contenders: dict[str, dict[str, list[float]]]) -> None:
    """What is added where every process made the bare calls too."""
    print(
        f"\n{mode}: each beside bare calls in the same process; calling thread, clock, and ratio of the whole process"
    )
    for name, figures in contenders.items():
        keys = ("bare", "added", "wall", "ratio", "process")
        bare, added, wall, ratio, process = (statistics.median(figures[key]) for key in keys)
        print(
            f"  {name:20} bare {bare:9.1f} us   added {added:8.1f}   wall {wall:+8.1f}   "
            f"ratio {ratio:.3f}   process {process:.3f}"
        )


if __name__ == "__main__":
    main()
