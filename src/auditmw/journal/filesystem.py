"""Whether what lies in a directory outlives the machine's or container's restart."""

from __future__ import annotations

from pathlib import Path
from typing import Final

VOLATILE: Final = frozenset({"tmpfs", "ramfs", "overlay"})
_MOUNTS: Final = Path("/proc/self/mounts")


def volatile_filesystem(path: Path) -> str | None:
    """The type of the file system that holds a path, if a restart loses it; None if not, or where it cannot be told."""
    kind = filesystem_of(path)
    return kind if kind in VOLATILE else None


def filesystem_of(path: Path) -> str | None:
    """The type of the file system that holds a path, as Linux tells it; None elsewhere."""
    try:
        lines = _MOUNTS.read_text().splitlines()
    except OSError:
        return None
    mounts = [line.split()[1:3] for line in lines]
    resolved = path.resolve()
    fitting = [
        (len(point), place, kind) for place, (point, kind) in enumerate(mounts) if resolved.is_relative_to(point)
    ]
    return max(fitting)[2] if fitting else None
