"""Tells people when something needs them: budgets, unusual costs, error rates, a store in trouble, overdue retention.

    alerts = Alerts(trail, [Webhook("https://...", secret)], [Surges(), ErrorRate(0.2), StoreTrouble()])
    task = asyncio.create_task(alerts.run(every=60))

Each condition is told once; when it is over it is armed again. A hook that fails gets it again at the next check.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from http.client import HTTPMessage
from typing import IO, Any, Final, NoReturn, Protocol
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

import anyio
import msgspec

from auditmw.diagnostics import report
from auditmw.entry import NANODOLLAR, to_datetime
from auditmw.errors import ConfigurationError
from auditmw.health import Health
from auditmw.spending import Owner, Period, period_start
from auditmw.text import money, percent
from auditmw.trail import AuditTrail

MOST_ATTEMPTS: Final = 4
FIRST_WAIT_SECONDS: Final = 0.5
_TRY_AGAIN: Final = frozenset({408, 425, 429})


class Alert(msgspec.Struct, frozen=True):
    """One condition that holds: of which kind, about what (the same as long as it is the same condition), in words."""

    kind: str
    about: str
    message: str
    values: dict[str, Any] = msgspec.field(default_factory=dict)


Hook = Callable[[Alert], object]
"""Takes an alert; runs in a thread of its own and may wait."""


class Rule(Protocol):
    """What to look for."""

    async def find(self, trail: AuditTrail) -> Iterable[Alert]:
        """The conditions that hold now."""


class _NoRedirects(HTTPRedirectHandler):
    """Refuses a redirect: followed, a POST becomes a GET without the alert, and its signature goes to another place."""

    def http_error_302(self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage) -> NoReturn:
        why = f"{msg}: no redirect is followed, so give the URL that it redirects to"
        raise HTTPError(req.full_url, code, why, headers, fp)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


class Webhook:
    """Posts alerts as JSON to a URL, tried again where that can help, signed with a secret; it follows no redirect.

    The header `Auditmw-Signature` is `t=SECONDS,v1=HEX`: HMAC-SHA-256 over `SECONDS.BODY`. Check it, and that the time
    is of now, before you believe an alert.

    Raises:
        ConfigurationError: the URL is no http(s) URL, or the secret is empty.
    """

    def __init__(
        self, url: str, secret: str, *, seconds: float = 10.0, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        if not url.startswith(("https://", "http://")):
            raise ConfigurationError(f"{url!r} is no URL to post to: begin it with https://")
        if not secret:
            raise ConfigurationError("a webhook without a secret can be forged by anybody: give one")
        self._url = url
        self._secret = secret.encode()
        self._seconds = seconds
        self._sleep = sleep
        self._opener = build_opener(_NoRedirects)

    def __call__(self, alert: Alert) -> None:
        """Post it.

        Raises:
            OSError: it did not get through after some attempts, or was refused or redirected.
        """
        body = msgspec.json.encode(alert)
        for attempt in range(MOST_ATTEMPTS):
            try:
                self._post(body)
            except (HTTPError, URLError, TimeoutError, ConnectionError) as error:
                refused = isinstance(error, HTTPError) and error.code < 500 and error.code not in _TRY_AGAIN
                if refused or attempt == MOST_ATTEMPTS - 1:
                    raise
                self._sleep(FIRST_WAIT_SECONDS * 2**attempt)
            else:
                return

    def _post(self, body: bytes) -> None:
        request = Request(self._url, body, self._headers(body), method="POST")  # noqa: S310  (http and https alone)
        with self._opener.open(request, timeout=self._seconds):
            return

    def _headers(self, body: bytes) -> dict[str, str]:
        now = str(int(time.time()))
        digest = hmac.new(self._secret, f"{now}.".encode() + body, hashlib.sha256).hexdigest()
        return {"Content-Type": "application/json", "Auditmw-Signature": f"t={now},v1={digest}"}


class Alerts:
    """Checks rules and tells hooks what is new."""

    def __init__(self, trail: AuditTrail, hooks: Sequence[Hook], rules: Sequence[Rule]) -> None:
        self._trail = trail
        self._hooks = hooks
        self._rules = rules
        self._told: dict[tuple[int, str, str], set[int]] = {}
        """Which hooks have been told of a condition that still holds: under its rule, its kind and what it is about."""

    async def check(self) -> list[Alert]:
        """Look once; returns the alerts that are new. A rule that cannot look neither tells nor arms anything."""
        new = []
        for number, rule in enumerate(self._rules):
            try:
                found = list(await rule.find(self._trail))
            except Exception as error:  # the other rules still look
                report("auditmw.alert_rule_failed", error=repr(error), rule=type(rule).__name__)
                continue
            holds = {(number, alert.kind, alert.about) for alert in found}
            self._told = {key: told for key, told in self._told.items() if key[0] != number or key in holds}
            for alert in found:
                key = (number, alert.kind, alert.about)
                if key not in self._told:
                    new.append(alert)
                await self._tell(alert, self._told.setdefault(key, set()))
        return new

    async def run(self, every: float = 60.0) -> None:
        """Look every so many seconds, until cancelled."""
        while True:
            await self.check()
            await anyio.sleep(every)

    async def _tell(self, alert: Alert, told: set[int]) -> None:
        for number, hook in enumerate(self._hooks):
            if number in told:
                continue
            try:
                await anyio.to_thread.run_sync(hook, alert)
            except Exception as error:  # told again at the next check
                report("auditmw.alert_not_delivered", error=repr(error), alert=alert.message)
            else:
                told.add(number)


class Spent:
    """Somebody has spent a share of a budget: 0.8 and 1 by default. Enforcing it is for `auditmw.middleware.Budget`."""

    def __init__(
        self,
        limit: Decimal | str | int,
        by: Owner = "user",
        period: Period = "day",
        shares: Sequence[float] = (0.8, 1.0),
    ) -> None:
        self._nano = int(Decimal(limit) / NANODOLLAR)
        self._by: Owner = by
        self._period: Period = period
        self._shares = shares

    async def find(self, trail: AuditTrail) -> Iterable[Alert]:
        """Who has spent which share."""
        start = period_start(_now(trail), self._period)
        answer = await trail.report("cost", since=start, by=[self._by])
        found = []
        for row in answer.rows:
            name, spent = getattr(row, self._by), row.cost_nano or 0
            reached = [share for share in self._shares if spent >= share * self._nano]
            if name is not None and reached:
                message = f"{self._by} {name} has spent {money(spent, 2)} of {money(self._nano, 2)} this {self._period}"
                about = f"{name} {start:%Y-%m-%d} {max(reached):g}"
                found.append(Alert("budget", about, message, {self._by: name, "share": max(reached)}))
        return found


class Surges:
    """Somebody costs unusually much today (see the report `surges`)."""

    async def find(self, trail: AuditTrail) -> Iterable[Alert]:
        """Whose cost of today is unusual."""
        today = _now(trail).replace(hour=0, minute=0, second=0, microsecond=0)
        answer = await trail.report("surges", since=today)
        return [
            Alert(
                "surge",
                f"{row.user} {row.day}",
                f"{row.user} costs {money(row.cost_nano, 2)} today, usually {money(row.median_nano, 2)}",
                {"user": row.user, "score": row.score},
            )
            for row in answer.rows
        ]


class ErrorRate:
    """More of a model's calls fail than `limit`, a share from 0 to 1, in the last `minutes`.

    It holds only where that is no chance: the lower end of the rate's interval lies above the limit.
    """

    def __init__(self, limit: float, minutes: int = 60) -> None:
        self._limit = limit
        self._window = timedelta(minutes=minutes)

    async def find(self, trail: AuditTrail) -> Iterable[Alert]:
        """Which models fail too often."""
        answer = await trail.report("errors", since=_now(trail) - self._window, by=["model"])
        return [
            Alert(
                "error_rate",
                str(row.model),
                f"{percent(row.rate)} of {row.sent:,} calls to {row.model} failed, mostly {row.most_common}",
                {"model": row.model, "errors": row.errors, "sent": row.sent},
            )
            for row in answer.rows
            if row.low is not None and row.low > self._limit
        ]


class StoreTrouble:
    """The store or the journal cannot be used, entries wait too long, or were lost; read from `trail.health()`."""

    def __init__(self, oldest_seconds: float = 60.0) -> None:
        self._oldest = oldest_seconds

    async def find(self, trail: AuditTrail) -> Iterable[Alert]:
        """What is wrong with the trail."""
        health: Health = trail.health()
        found = []
        for about, error in (("store", health.last_store_error), ("journal", health.journal_error)):
            if error is not None:
                found.append(Alert("trouble", about, f"the {about} cannot be used: {error}"))
        if health.oldest_unsent_s is not None and health.oldest_unsent_s > self._oldest:
            found.append(Alert("trouble", "waiting", f"{health.queue_entries:,} entries wait to be stored"))
        lost = health.dropped + health.lost
        if lost:
            found.append(Alert("trouble", f"lost {lost}", f"{lost:,} entries were dropped or lost"))
        return found


class Warnings:
    """What `trail.health()` warns of: overdue retention, unsigned checkpoints and the like."""

    async def find(self, trail: AuditTrail) -> Iterable[Alert]:
        """Each warning."""
        return [Alert("warning", warning, warning) for warning in trail.health().warnings]


def _now(trail: AuditTrail) -> datetime:
    return to_datetime(trail.clock.now_us())
