"""The pages. Each is plain code in a thread of its own, so that a long question keeps nobody waiting."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from auditmw.dashboard import asking, charts, figures
from auditmw.dashboard.evidence import Verifications, head_of
from auditmw.dashboard.listing import list_entries
from auditmw.dashboard.pages import Pages
from auditmw.dashboard.proof import proof_of
from auditmw.dashboard.retention import retention_of
from auditmw.dashboard.selection import DAYS, Selection, number, read_selection, splits_of
from auditmw.entry import KINDS, STATUSES, to_datetime
from auditmw.errors import AuditError, ConfigurationError
from auditmw.log.keys import Verifier
from auditmw.reports import REPORTS
from auditmw.sections import SECTIONS
from auditmw.trail import AuditTrail
from auditmw.verdicts import LIMITS, lines_of, meaning_of

MOST_ROWS: Final = 500
"""So many rows of a report are on its page."""


class Views:
    """The endpoints of one trail."""

    def __init__(self, trail: AuditTrail, verifiers: Sequence[Verifier], pages: Pages) -> None:
        self._trail = trail
        self._verifiers = verifiers
        self._show = pages.show
        self._verifications = Verifications(trail.url, verifiers, trail.clock)

    def overview(self, request: Request) -> Response:
        """Cost, calls, tokens, latency, errors and redactions over time."""
        selection = self._selection(request)
        found, span = asking.happened(self._trail, selection), selection.span
        shown = figures.panels(found.cells, found.times, span, selection.split) if found.cells else []
        return self._show(
            request,
            "overview.html",
            selection=selection,
            choices={"days": DAYS, "splits": splits_of(span.days)},
            panels=[(p, charts.draw(p.kind, span.labels, p.series, show=p.show, title=p.title)) for p in shown],
            groups=next((panel.series for panel in shown), ()),
            unusual=found.unusual,
            unusual_days=min(span.days, asking.UNUSUAL_DAYS),
        )

    def entries(self, request: Request) -> Response:
        """The table of entries, by what was filled in."""
        return self._show(
            request,
            "entries.html",
            listing=list_entries(self._trail, request.query_params),
            statuses=STATUSES,
            kinds=KINDS,
        )

    def search(self, request: Request) -> Response:
        """Whatever a text is the name of: the entry, or all entries that have it."""
        text = request.query_params.get("q", "").strip()
        before = request.query_params.get("before")
        base = request.scope.get("root_path", "")
        if not text:
            return RedirectResponse(f"{base}/entries?", 303)
        found = asking.find(self._trail, text, None if before is None else number(before, "before"))
        if found.filters is None:
            if found.older is None:
                raise HTTPException(404, f"nothing in the trail is called {text}")
            older = urlencode({"q": text, "before": found.older})
            return self._show(request, "not_yet.html", status=404, text=text, looked_at=asking.LOOKED_AT, older=older)
        if "request_id" in found.filters:
            return RedirectResponse(f"{base}/entries/{found.filters['request_id']}", 303)
        return RedirectResponse(f"{base}/entries?{urlencode(found.filters)}", 303)

    def entry(self, request: Request) -> Response:
        """All that one entry says, what it belongs to, and whether it can be proven."""
        entry = asking.entry_of(self._trail, request.path_params["request_id"])
        if entry is None:
            raise HTTPException(404, "there is no entry with this id")
        fields = entry.to_dict()
        sections = {
            title: {name: fields[name] for name in names if fields[name] is not None}
            for title, names in SECTIONS.items()
        }
        return self._show(
            request,
            "entry.html",
            entry=entry,
            sections={title: known for title, known in sections.items() if known},
            parent=asking.entry_of(self._trail, entry.parent_id) if entry.parent_id else None,
            children=asking.children_of(self._trail, entry),
            attempts=asking.attempts_of(self._trail, entry),
            proof=proof_of(self._trail.url, entry.request_id, self._verifiers),
            raw=msgspec.json.format(entry.to_json(), indent=2).decode(),
        )

    def reports(self, request: Request) -> Response:
        """The questions that can be asked."""
        return self._show(request, "reports.html", reports=REPORTS)

    def report(self, request: Request) -> Response:
        """The answer to one of them."""
        name = request.path_params["name"]
        if name not in REPORTS:
            raise HTTPException(404, "there is no such report")
        selection = self._selection(request)
        given = request.query_params.get("by")
        by = None if given is None else tuple(part.strip() for part in given.split(",") if part.strip())
        found = asking.answer(self._trail, name, selection, by)
        return self._show(
            request,
            "report.html",
            report=REPORTS[name],
            reports=REPORTS,
            selection=selection,
            days=DAYS,
            by=",".join(REPORTS[name].by if by is None else by),
            answer=msgspec.structs.replace(found, rows=found.rows[:MOST_ROWS]),
            more=len(found.rows) - MOST_ROWS,
        )

    def evidence(self, request: Request) -> Response:
        """How far the evidence reaches, and what the last verification said."""
        head, error = None, None
        try:
            head = head_of(self._trail, self._verifiers)
        except AuditError as failed:
            error = str(failed)
        else:
            self._verifications.look()
        last = self._verifications.last
        return self._show(
            request,
            "evidence.html",
            head=head,
            error=error,
            verifications=self._verifications,
            last=last,
            lines=[] if last is None or last.report is None else lines_of(last.report),
            meaning_of=meaning_of,
            limits=LIMITS,
        )

    def retention(self, request: Request) -> Response:
        """How long what is kept, what is due, and what is held."""
        try:
            state, error = retention_of(self._trail), None
        except AuditError as failed:
            state, error = None, str(failed)
        return self._show(request, "retention.html", state=state, error=error)

    def style(self, _request: Request) -> Response:
        """The one stylesheet."""
        return Response(_STYLE, media_type="text/css")

    def _selection(self, request: Request) -> Selection:
        return read_selection(request.query_params, to_datetime(self._trail.clock.now_us()))


_STYLE: Final = Path(__file__).with_name("style.css").read_bytes()


def answer_error(pages: Pages) -> Any:
    """What shows an error as a page."""

    def show(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            return pages.show(request, "error.html", status=error.status_code, says=error.detail)
        status = 400 if isinstance(error, ConfigurationError) else 503
        return pages.show(request, "error.html", status=status, says=str(error))

    return show
