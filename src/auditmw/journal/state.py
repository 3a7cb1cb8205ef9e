"""`<writer>.state`, the small file beside a writer's segments.

Who holds its lock owns the segments: the writing process while it lives, whoever recovers them afterwards. It is a
lock of the open file (flock), not of the process (lockf): a lockf would be lost as soon as anything in the process
opened and closed the file, and would not keep two trails of one process apart. A forked child inherits such a lock, so
it closes its copy at once, which leaves the parent's in place.

The content says up to which number the store has everything. Nothing breaks if an update of it is lost: the entries are
then sent again, and the store claims each number once.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakSet
from zlib import crc32

if TYPE_CHECKING:
    from pathlib import Path

_CONTENT = Struct("<8sQQB")
_CHECKSUM = Struct("<I")
_FORMAT = b"auditmw\x01"
_FILE_OF_A_WRITER = re.compile(r"([0-9a-f]{32})\.(state|\d+\.journal)")


class State(NamedTuple):
    """When the writer started (microseconds since 1970), what the store has, and whether another process ships it."""

    created: int = 0
    acknowledged: int = 0
    external: bool = False


def state_path(directory: Path, writer_id: bytes) -> Path:
    """Where a writer's state lies."""
    return directory / f"{writer_id.hex()}.state"


def writers(directory: Path) -> set[bytes]:
    """The ids of all writers, dead or alive, that have files in the directory."""
    matches = (_FILE_OF_A_WRITER.fullmatch(path.name) for path in directory.glob("*"))
    return {bytes.fromhex(match[1]) for match in matches if match}


def read_state(path: Path) -> State:
    """The state as far as it can be read; all zero where the file is missing, was torn or has a newer format."""
    try:
        content = path.read_bytes()
    except OSError:
        return State()
    checked, checksum = content[: _CONTENT.size], content[_CONTENT.size :]
    if not checked.startswith(_FORMAT) or checksum != _CHECKSUM.pack(crc32(checked)):
        return State()
    _, created, acknowledged, external = _CONTENT.unpack(checked)
    return State(created, acknowledged, bool(external))


def write_state(fd: int, state: State) -> None:
    """Replace the content in one write. Raises OSError."""
    content = _CONTENT.pack(_FORMAT, state.created, state.acknowledged, state.external)
    os.pwrite(fd, content + _CHECKSUM.pack(crc32(content)), 0)


class HeldFile:
    """A file that this object has locked; made by `hold`."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd
        _held.add(self)

    def release(self) -> None:
        """Let others have it. Unlocks for a forked child's copy too."""
        if self.fd != -1:
            with contextlib.suppress(OSError):
                fcntl.flock(self.fd, fcntl.LOCK_UN)
            self.forget()

    def remove(self) -> None:
        """Delete it, then release it: whoever waits for the lock sees that the file is gone. Raises OSError."""
        self.path.unlink(missing_ok=True)
        self.release()

    def forget(self) -> None:
        """Close this process's copy without unlocking: for a forked child."""
        fd, self.fd = self.fd, -1
        if fd != -1:
            os.close(fd)


_held: WeakSet[HeldFile] = WeakSet()


def _forget_all() -> None:
    for held in list(_held):
        held.forget()


os.register_at_fork(after_in_child=_forget_all)


def hold(path: Path) -> HeldFile:
    """Lock a file, making it if need be; waits while another holds it. Raises OSError."""
    while (held := _try(path, fcntl.LOCK_EX)) is None:
        pass
    return held


def hold_if_free(path: Path) -> HeldFile | None:
    """The same without waiting: None when another holds the file. Raises OSError."""
    try:
        return _try(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None


def _try(path: Path, operation: int) -> HeldFile | None:
    """None when the file was removed between opening and locking it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, operation)
        if os.path.samestat(path.stat(), os.fstat(fd)):
            return HeldFile(path, fd)
    except FileNotFoundError:
        pass
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None
