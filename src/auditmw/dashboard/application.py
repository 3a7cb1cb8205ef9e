"""Puts the dashboard together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from auditmw.dashboard.guard import Authorize, Guard
from auditmw.dashboard.pages import Pages
from auditmw.dashboard.views import Views, answer_error
from auditmw.errors import AuditError
from auditmw.log.keys import Verifier
from auditmw.trail import AuditTrail


def make_app(trail: AuditTrail, authorize: Authorize | None, keys: Sequence[str]) -> Guard:
    """See `auditmw.dashboard.app`."""
    pages = Pages(trail.url)
    views = Views(trail, [Verifier.from_text(key) for key in keys], pages)
    show_error = answer_error(pages)
    shown = {
        "/": views.overview,
        "/entries": views.entries,
        "/entries/{request_id}": views.entry,
        "/search": views.search,
        "/reports": views.reports,
        "/reports/{name}": views.report,
        "/evidence": views.evidence,
        "/retention": views.retention,
    }
    inner = Starlette(
        routes=[
            *(Route(path, _on_record(trail, view)) for path, view in shown.items()),
            Route("/style.css", views.style),
        ],
        exception_handlers={HTTPException: show_error, AuditError: show_error},
    )
    return Guard(inner, authorize)


def _on_record(trail: AuditTrail, view: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """The view; where the trail asks for it, that somebody looks is on record first."""

    @wraps(view)
    def look(request: Request) -> Response:
        if trail.reads == "all":
            looker = getattr(request.state, "looker", None)
            trail.sink.control(
                "read", what="dashboard", page=request.scope["path"], asked=request.url.query, who=looker
            )
        return view(request)

    return look
