"""`auditmw verify`: whether the trail is as it was written."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from auditmw.checkpoint_files import split_checkpoints
from auditmw.cli import CANNOT_TELL, DONE, FAILED, NotFound
from auditmw.cli import text as texts
from auditmw.cli.opening import DatabaseOption
from auditmw.cli.output import Format, console, say, write_csv, write_json
from auditmw.cli.trust import KeyOption, key_text, text_of
from auditmw.errors import (
    ConfigurationError,
    EvidenceError,
    NotAProof,
    NoTrail,
    SchemaMismatch,
    StoreUnavailable,
    UnknownFormat,
    UnknownSigner,
)
from auditmw.keys import find_key
from auditmw.log.disclosure import EntryProof
from auditmw.log.keys import Verifier
from auditmw.log.report import Report
from auditmw.signing_keys import read_policy
from auditmw.verdicts import LIMITS, Line, lines_of, meaning_of
from auditmw.verification import Progress as Told
from auditmw.verification import verify_trail

EXAMPLES: Final = (
    "auditmw verify --db sqlite:///audit.db",
    'auditmw verify --key "$(cat trail.vkey)" --checkpoint checkpoints.txt',
    "auditmw verify --policy trail.policy --jobs 2 --format json",
    "auditmw verify --proof entry.proof --key trail.vkey   [dim]# without the database[/dim]",
)
_STYLES: Final = {"ok": "green", "tampered": "bold red", "cannot tell": "yellow", "note": "dim"}
_VERDICTS: Final = {"verified": "bold green", "tampered": "bold red"}
_LONG: Final = 50_000
"""So many entries take long enough for a progress bar."""


def verify(
    db: DatabaseOption = None,
    key: KeyOption = None,
    policy: Annotated[Path | None, typer.Option(metavar="FILE", help="Keys that you trust: lines `log VKEY`.")] = None,
    checkpoint: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Checkpoints that you hold, as a sink wrote them.")
    ] = None,
    proof: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Verify a proof of one entry instead, without a trail.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="How many processes share the work.")] = 1,
    form: Annotated[Format, typer.Option("--format", help="How to show the answer.")] = Format.table,
) -> int:
    """Check that no entry was changed, added or removed. Nothing is written.

    Exit codes: 0 verified under a key of yours, 1 tampered with, 2 cannot tell (no key), 3 nothing there.
    """
    verifiers = _trusted(key or [], policy)
    if proof is not None:
        return _verify_proof(proof, verifiers, form)
    if db is None:
        raise ConfigurationError("which trail? Give --db URL, or set AUDITMW_DB")
    held = [note for path in checkpoint or [] for note in split_checkpoints(text_of(path))]
    try:
        with _progress() as progress:
            report = verify_trail(db, verifiers=verifiers, held=held, jobs=jobs, progress=progress)
    except NoTrail as error:
        if held:
            say(f"tampered: you hold {len(held)} checkpoints, and {error}")
            return FAILED
        raise NotFound(str(error)) from error
    except (SchemaMismatch, StoreUnavailable) as error:
        say(f"cannot tell: {error}")
        return CANNOT_TELL
    _show(report, form)
    return report.exit_code


def _trusted(keys: Sequence[str], policy: Path | None) -> list[Verifier]:
    verifiers = [Verifier.from_text(key_text(key)) for key in keys]
    return verifiers if policy is None else verifiers + read_policy(text_of(policy))


@contextmanager
def _progress() -> Iterator[Told | None]:
    """A bar on stderr, where somebody looks at it and the trail is long."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("verifying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=total >= _LONG)


def _show(report: Report, form: Format) -> None:
    if form is Format.json:
        write_json([report.to_dict()])
        return
    lines = lines_of(report)
    if form is Format.csv:
        write_csv(Line._fields, [line._asdict() for line in lines])
        return
    screen = console()
    style = _VERDICTS.get(report.verdict, "bold yellow")
    screen.print(Text.assemble((report.verdict, style), f"  {texts.printable(report.origin)}"))
    grid = _grid(3)
    for line in lines:
        grid.add_row(
            Text(line.level), Text(line.result, style=_STYLES[line.result]), Text(texts.printable(line.detail))
        )
    screen.print(grid)
    screen.print(Text(meaning_of(report), style="dim"))
    screen.print(Text(LIMITS, style="dim"))


def _verify_proof(path: Path, verifiers: Sequence[Verifier], form: Format) -> int:
    try:
        found = EntryProof.from_json(text_of(path).encode())
        key = find_key(None, None, os.environ) if found.content is not None else None
        shown: dict[str, Any] = {"verdict": "verified", **found.core(), **found.shown()}
        unclear = []
        if found.content is not None:
            if key is None:
                unclear.append("the content can be checked only with the trail's digest key: set AUDITMW_KEY_FILE")
            elif key.id != shown.get("hash_key_id"):
                unclear.append(
                    f"{key.id} is not the trail's digest key, {shown.get('hash_key_id')}: set AUDITMW_KEY_FILE"
                )
            else:
                found.check_content(key.digest)
                shown["content"] = found.content.value
        try:
            checkpoint = found.verify(verifiers)
        except UnknownSigner as error:
            checkpoint = found.check_path()
            unclear.append(str(error))
    except NotAProof as error:
        raise NotFound(f"{path}: {error}") from error
    except UnknownFormat as error:
        _show_proof({"verdict": "cannot tell", "reason": str(error)}, form)
        return CANNOT_TELL
    except EvidenceError as error:
        _show_proof({"verdict": "tampered", "reason": str(error)}, form)
        return FAILED
    if unclear:
        shown["verdict"], shown["reason"] = "cannot tell", "; ".join(unclear)
    _show_proof({**shown, "trail": checkpoint.origin, "entries_of_the_trail": checkpoint.size}, form)
    return CANNOT_TELL if unclear else DONE


def _show_proof(fields: dict[str, Any], form: Format) -> None:
    if form is Format.json:
        write_json([fields])
    elif form is Format.csv:
        write_csv(list(fields), [fields])
    else:
        grid = _grid(2)
        for name, value in fields.items():
            grid.add_row(Text(name, style="dim"), Text(texts.printable(str(value))))
        console().print(grid)


def _grid(columns: int) -> Table:
    """A grid whose last column is folded and never cut: it holds what somebody compares."""
    grid = Table.grid(padding=(0, 2), pad_edge=True)
    for _ in range(columns - 1):
        grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    return grid
