"""What `import auditmw` costs, and what it imports.

    python benchmarks/bench_import.py [--json FILE]

Five fresh interpreters with `-X importtime`; shown is the median of the summed self times of everything that is not of
the standard library, beside the total, and the most expensive modules.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

import saved

ROUNDS = 5
HEAVY = (
    "anthropic",
    "openai",
    "genai_prices",
    "typer",
    "rich",
    "asyncpg",
    "aiosqlite",
    "structlog",
    "phonenumbers",
    "re2",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    saved.add_option(parser)
    options = parser.parse_args()
    import_times()  # writes the byte code that an installed package has
    runs = [import_times() for _ in range(ROUNDS)]
    own = statistics.median(sum(us for name, us in run.items() if not of_standard_library(name)) for run in runs) / 1000
    total = statistics.median(sum(run.values()) for run in runs) / 1000
    print(f"import auditmw: {own:.0f} ms outside the standard library (asked: under 150), {total:.0f} ms in all")
    costly = sorted(runs[-1].items(), key=lambda item: -item[1])[:12]
    for name, us in costly:
        print(f"  {us / 1000:6.1f} ms  {name}")
    loaded = [name for name in HEAVY if any(module.partition(".")[0] == name for module in runs[-1])]
    print(f"heavy packages loaded: {', '.join(loaded) or 'none'}")
    saved.save(options, {"own_ms": own, "total_ms": total, "heavy": loaded, "costly_us": dict(costly)})


def import_times() -> dict[str, int]:
    """Self times of every module in microseconds, in a fresh interpreter."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-X", "importtime", "-c", "import auditmw"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    times = {}
    for line in done.stderr.splitlines()[1:]:
        own, _, name = line.removeprefix("import time:").split("|")
        times[name.strip()] = int(own)
    return times


def of_standard_library(name: str) -> bool:
    """Whether a module comes with Python."""
    return name.partition(".")[0] in sys.stdlib_module_names


if __name__ == "__main__":
    main()
