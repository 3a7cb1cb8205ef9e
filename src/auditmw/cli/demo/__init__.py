"""`auditmw demo`: real calls with the real SDK to a stand-in provider, and what the trail then says."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import anyio

from auditmw.cli.demo.guards import no_keys, token_budget
from auditmw.cli.entries import entry_table
from auditmw.cli.opening import DatabaseOption
from auditmw.cli.output import Format, console, say
from auditmw.cli.report import ask, make_question, show_answer, title_of
from auditmw.errors import MissingExtra
from auditmw.middleware import default_pipeline
from auditmw.testing import StandInProvider
from auditmw.trail import AuditTrail

DEFAULT_DB: Final = "sqlite:///demo.db"
SHOWN: Final = ("cost", "anomalies", "errors")
"""The reports that are shown."""

EXAMPLES: Final = ("auditmw demo", "auditmw demo --db sqlite:///look.db")


def demo(db: DatabaseOption = None) -> None:
    """Record some forty calls of six people, then show the trail and the three reports.

    The calls are made with the real SDKs to a stand-in provider on this machine: no key, no network, no bill.
    Prices are those of the models that are named. The entries are added to the trail, by default sqlite:///demo.db.
    """
    try:
        from auditmw.cli.demo.scene import BUDGETS, Company, answers
    except ModuleNotFoundError as error:
        raise MissingExtra(str(error.name), str(error.name)) from error
    url = db or DEFAULT_DB
    started = datetime.now(UTC)
    writer, *others = default_pipeline()
    pipeline = [writer, no_keys, token_budget(BUDGETS), *others]
    with StandInProvider(answer=answers) as provider, AuditTrail(url, pipeline=pipeline, app="auditmw-demo") as trail:
        say(f"Recording to {url}. The provider is a stand-in: no model is asked, nothing is billed.")
        anyio.run(Company(trail, provider).play, lambda scene: say(f"  {scene}"))
        _show(trail, started)
    if url != "memory://":  # which is gone now
        _say_what_next(url)


def _show(trail: AuditTrail, started: datetime) -> None:
    trail.sync.flush()
    entries = list(trail.sync.query(since=started))
    screen = console()
    screen.print(entry_table(entries, screen.width, f"\nThe trail  {len(entries)} entries, one for each attempt"))
    for name in SHOWN:
        question = make_question(name, None, None, None)
        show_answer(ask(trail, name, question), Format.table, title_of(name, question))


def _say_what_next(url: str) -> None:
    command = "auditmw"
    if shutil.which(command) is None:  # as after `make demo`, which installs into an environment of its own
        command = os.path.relpath(Path(sys.executable).with_name(command))
    say(f"The trail stays in {url}. Look further:")
    for line in ("query --status error", "query --user carol --format json", "report cost --by team,model"):
        say(f"  {command} {line} --db {url}")
