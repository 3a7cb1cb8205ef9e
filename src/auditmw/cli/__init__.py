"""The command line: `auditmw`, and `python -m auditmw`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from auditmw.errors import AuditError, MissingExtra

DONE: Final = 0
FAILED: Final = 1
CANNOT_TELL: Final = 2
WRONG_USAGE: Final = 3
"""Also for what was asked for and is not there."""

_PACKAGES: Final = {"typer", "rich"}
"""What the extra `cli` installs."""


class NotFound(AuditError):  # noqa: N818  (says the outcome)
    """What was asked for is not there."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit with its code; `arguments` are those of the process by default."""
    try:
        from auditmw.cli.app import run

        code = run(arguments)
    except ModuleNotFoundError as error:
        if error.name not in _PACKAGES:
            raise
        sys.stderr.write(f"auditmw: {MissingExtra(error.name, 'cli')}\n")
        sys.exit(WRONG_USAGE)
    sys.exit(code)
