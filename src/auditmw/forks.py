"""What forking a process does to the trails in it: they rest before, and begin anew in the child."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Final, Protocol


class Forked(Protocol):
    """What has to know of a fork."""

    def before_fork(self) -> None:
        """Come to rest, so that no lock is held and no database is in use."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork(self) -> None:
        """Begin anew, in the child."""


_watched: Final[weakref.WeakSet[Forked]] = weakref.WeakSet()
_forking: Final = threading.Lock()


def watch(forked: Forked) -> None:
    """Tell it of every fork, as long as it lives."""
    _watched.add(forked)


def _before() -> None:
    _forking.acquire()
    for forked in list(_watched):
        forked.before_fork()


def _after_in_parent() -> None:
    for forked in list(_watched):
        forked.after_fork_in_parent()
    _forking.release()


def _after_in_child() -> None:
    for forked in list(_watched):
        forked.after_fork()
    _forking.release()


os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
