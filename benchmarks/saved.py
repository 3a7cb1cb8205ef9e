"""What every benchmark can leave beside its table: its figures as JSON, with settings, versions and machine."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("auditmw", "anthropic", "openai", "httpx2", "msgspec", "aiosqlite", "asyncpg", "genai-prices", "google-re2")
HIDDEN = {"json", "child", "write"}


def add_option(parser: argparse.ArgumentParser) -> None:
    """Give a benchmark the option `--json FILE`."""
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the figures there, with what they hold for"
    )


def save(options: argparse.Namespace, figures: Any) -> None:
    """Write the figures, if a file was asked for."""
    if options.json is None:
        return
    settings = {name: value for name, value in vars(options).items() if name not in HIDDEN}
    result = {"settings": settings, "versions": versions(), "machine": machine(), "figures": figures}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent=1, default=str) + "\n")


def versions() -> dict[str, str]:
    """Of Python, SQLite and the packages that the figures depend on."""
    found = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """What it ran on, and how busy that was at the end."""
    return {"architecture": platform.machine(), "cores": os.cpu_count(), "load": os.getloadavg()[0]}
