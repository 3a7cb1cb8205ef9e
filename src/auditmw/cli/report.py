"""`auditmw report NAME`: the answer to a question."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import groupby
from typing import Annotated, Final

import typer
from rich.text import Text

from auditmw.cli import text as texts
from auditmw.cli.moments import parse_moment
from auditmw.cli.opening import DatabaseOption, reading
from auditmw.cli.output import Format, console, say, table, write_rows
from auditmw.cli.reads import ActorOption, on_record
from auditmw.reports import REPORTS, question_for
from auditmw.reports.columns import Answer
from auditmw.reports.grouping import GROUPINGS
from auditmw.reports.report import Question
from auditmw.trail import AuditTrail

EXAMPLES: Final = (
    "auditmw report cost                          [dim]# by user and day, the last 30 days[/dim]",
    "auditmw report cost --by team,model --since 2026-11-01",
    "auditmw report anomalies --since -1d         [dim]# judged by the calls of 7 days[/dim]",
    "auditmw report errors --since -3h --format json",
)
_NAMES: Final = "; ".join(f"{report.name}: {report.question}" for report in REPORTS.values())


def report(
    name: Annotated[str, typer.Argument(metavar="NAME", help=_NAMES)],
    db: DatabaseOption = None,
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help="From then on: 2026-11-01, -7d.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before then; now by default.")] = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAMES", help=f"Group by some of {', '.join(GROUPINGS)}.")
    ] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only this tenant's calls.")] = None,
    actor: ActorOption = None,
    form: Annotated[Format, typer.Option("--format", help="How to show it.")] = Format.table,
) -> None:
    """Answer a question from the trail.

    Reports count calls: one that was tried again counts once, with the cost of all its attempts.
    """
    question = make_question(name, since, until, by)
    with reading(db) as trail, on_record(trail, "report", actor=actor, report=name, tenant=tenant) as told:
        answer = ask(trail, name, question, tenant=tenant)
        told(len(answer.rows))
    show_answer(answer, form, title_of(name, question))


def make_question(name: str, since: str | None, until: str | None, by: str | None) -> Question:
    """What is asked of a report, with what is not given filled in from it.

    Raises:
        ConfigurationError: there is no such report, it cannot answer this, or a time cannot be read.
    """
    now = datetime.now(UTC)
    return question_for(
        name,
        now,
        since=None if since is None else parse_moment(since, now),
        until=None if until is None else parse_moment(until, now),
        by=None if by is None else [part.strip() for part in by.split(",") if part.strip()],
    )


def ask(trail: AuditTrail, name: str, question: Question, *, tenant: str | None = None) -> Answer:
    """A report's answer from what is stored."""
    return trail.asked(REPORTS[name], question, tenant=tenant).result()


def title_of(name: str, question: Question) -> str:
    """The question in words."""
    return f"{REPORTS[name].question}  {question.since:%Y-%m-%d %H:%M} to {question.until:%Y-%m-%d %H:%M} UTC"


def show_answer(answer: Answer, form: Format, title: str) -> None:
    """Show an answer; what must be known beside it goes to stderr."""
    if form is not Format.table:
        write_rows(answer.columns, answer.rows, form)
    elif answer.rows:
        screen = console()
        screen.print(table(answer.columns, answer.rows, screen.width, title))
        for line in _trends(answer):
            screen.print(line)
    else:
        say(f"{title}: nothing to report.")
    for note in answer.notes:
        say(f"Note: {note}.")


def _trends(answer: Answer) -> list[Text]:
    """A line of small bars for each sum that a report draws, where it covers several days."""
    if not any(column.attribute == "day" for column in answer.columns):
        return []
    rows = sorted(answer.rows, key=lambda row: row.day)
    days = [(day, list(group)) for day, group in groupby(rows, key=lambda row: row.day)]
    if len(days) < 2:
        return []
    lines = []
    for column in answer.columns:
        if column.drawn == "share" and column.adds_up:
            sums = [sum(getattr(row, column.attribute) or 0 for row in group) for _, group in days]
            lines.append(
                Text.assemble(
                    (f"{column.title} a day ", "dim"),
                    (texts.sparkline(sums), "cyan"),
                    (f" {days[0][0]} to {days[-1][0]}\n", "dim"),
                )
            )
    return lines
