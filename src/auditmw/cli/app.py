"""Puts the commands together, and turns what they raise into one line on stderr and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module, metadata
from typing import Annotated, Any, Final

import typer

from auditmw.cli import DONE, FAILED, WRONG_USAGE, NotFound
from auditmw.cli.files import not_written
from auditmw.cli.text import printable
from auditmw.errors import AuditError, ConfigurationError, MissingExtra, NoTrail

COMMANDS: Final = (
    "demo",
    "query",
    "show",
    "tail",
    "report",
    "scan",
    "verify",
    "prove",
    "keys",
    "export",
    "dashboard",
    "gateway",
    "ship",
    "migrate",
    "retain",
    "hold",
    "erase",
    "access",
    "rollups",
    "doctor",
)
"""Each is a module here that has a function of its name and `EXAMPLES`, in the order in which the help shows them."""

ABOUT: Final = "An audit trail for LLM calls: record them, then ask who called what, when and at what cost."
BEGIN: Final = "Begin with [bold]auditmw demo[/bold]. Every command explains itself: [bold]auditmw query --help[/bold]."

_USAGE_ERROR: Final[Any] = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")
"""What typer raises for wrong usage; it may carry a click of its own, so its base is found rather than imported."""


def make_app() -> typer.Typer:
    """The typer application with every command."""
    app = typer.Typer(
        name="auditmw",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(help=ABOUT, epilog=BEGIN)(_common)
    for name in COMMANDS:
        module = import_module(f"auditmw.cli.{name}")
        epilog = "\n".join(["[bold]Examples[/bold]", *(f"  {example}" for example in module.EXAMPLES)])
        app.command(name, epilog=epilog)(getattr(module, name))
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"auditmw {metadata.version('auditmw')}\n")
        raise typer.Exit


def _common(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """What every command takes."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = make_app()(args=arguments, prog_name="auditmw", standalone_mode=False)
        sys.stdout.flush()
    except _USAGE_ERROR as error:
        error.show()
        return WRONG_USAGE
    except (ConfigurationError, MissingExtra, NoTrail, NotFound) as error:
        return _refuse(error, WRONG_USAGE)
    except AuditError as error:
        return _refuse(error, FAILED)
    except (BrokenPipeError, SystemExit):  # `auditmw query | head`: the reader has what it wanted; typer exits then
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        return _refuse(not_written(error), WRONG_USAGE)
    return code if isinstance(code, int) else DONE


def _refuse(error: AuditError | str, code: int) -> int:
    sys.stderr.write(f"auditmw: {printable(str(error))}\n")
    return code
