"""Puts the dashboard together."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
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
    inner = Starlette(
        routes=[
            Route("/", views.overview),
            Route("/entries", views.entries),
            Route("/entries/{request_id}", views.entry),
            Route("/search", views.search),
            Route("/reports", views.reports),
            Route("/reports/{name}", views.report),
            Route("/evidence", views.evidence),
            Route("/style.css", views.style),
        ],
        exception_handlers={HTTPException: show_error, AuditError: show_error},
    )
    return Guard(inner, authorize)
