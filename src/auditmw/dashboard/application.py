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

OnLook = Callable[..., object]
"""Puts a look on record, where the trail asks for it: told what is looked at, by whom, and what the page is about."""


def make_app(
    trail: AuditTrail, authorize: Authorize | None, keys: Sequence[str], on_look: OnLook | None = None
) -> Guard:
    """See `auditmw.dashboard.app`; `on_look` stands in for the trail's own record of reads."""
    on_look = on_look or (lambda what, **about: trail.looked(what, **about).result())
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
            *(Route(path, _on_record(on_look, view)) for path, view in shown.items()),
            Route("/style.css", views.style),
        ],
        exception_handlers={HTTPException: show_error, AuditError: show_error},
    )
    return Guard(inner, authorize)


def _on_record(on_look: OnLook, view: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """The view; that somebody looks is on record first."""

    @wraps(view)
    def look(request: Request) -> Response:
        asked = request.query_params
        on_look(
            "dashboard",
            actor=getattr(request.state, "looker", None),
            page=request.scope["path"],
            filter=sorted(asked),
            subject=asked.get("subject") or asked.get("user_id"),
            tenant=asked.get("tenant"),
        )
        return view(request)

    return look
