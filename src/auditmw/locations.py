"""Where a trail keeps its journal and its key."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from auditmw.stores import path_of

SUFFIX: Final = ".auditmw"


def journal_directory(url: str, chosen: str | os.PathLike[str] | None, environment: Mapping[str, str]) -> Path | None:
    """The journal's directory: what was chosen, `<database>.auditmw/` beside SQLite, else below the user's state.

    None for a trail in memory, which has none unless one is chosen.
    """
    chosen = chosen or environment.get("AUDITMW_JOURNAL_DIR")
    if chosen:
        return Path(chosen)
    scheme = urlsplit(url).scheme
    if scheme == "memory":
        return None
    if scheme in {"sqlite", "jsonl"}:
        return home_of(url)
    name = hashlib.sha256(url.encode()).hexdigest()[:16]
    return state_directory(environment) / "auditmw" / name


def home_of(url: str) -> Path:
    """The directory beside a trail's file or folder: its key, and its journal by default."""
    path = Path(path_of(url))
    return path.with_name(path.name + SUFFIX)


def key_directory(url: str) -> Path | None:
    """Where a key is made if none is given: beside a SQLite database or a JSONL folder, nowhere else."""
    return home_of(url) if urlsplit(url).scheme in {"sqlite", "jsonl"} else None


def state_directory(environment: Mapping[str, str]) -> Path:
    """The user's directory for state (XDG), or the temporary one where the user has no home."""
    if state := environment.get("XDG_STATE_HOME"):
        return Path(state)
    try:
        home = Path.home()
    except RuntimeError:
        home = Path("/nonexistent")
    if os.access(home, os.W_OK):
        return home / ".local" / "state"
    return Path(tempfile.gettempdir()) / f"auditmw-{os.getuid()}"
