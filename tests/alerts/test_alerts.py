import hashlib
import hmac
import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.error import HTTPError

import anyio
import pytest

from auditmw import AuditTrail
from auditmw.alerts import Alert, Alerts, ErrorRate, Spent, StoreTrouble, Surges, Warnings, Webhook
from auditmw.entry import Cost
from auditmw.errors import ConfigurationError
from auditmw.middleware import CostCalculator, Writer
from auditmw.testing import FakeClock

DOLLAR = 1_000_000_000


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Switch:
    """A rule whose conditions a test sets."""

    def __init__(self):
        self.about = []

    async def find(self, trail):
        if self.about is None:
            raise OSError("cannot look")
        return [Alert("test", about, f"{about} happened") for about in self.about]


@pytest.fixture
def trail():
    clock = FakeClock()
    trail = AuditTrail("memory://", pipeline=[Writer(), CostCalculator()], clock=clock)
    yield trail
    trail.close()


def spend(trail, dollars, **fields):
    with trail.call(**{"user_id": "alice", "model": "m", **fields}) as call:
        call.cost = Cost(status="priced", nano=dollars * DOLLAR)
    trail.clock.advance(1)


async def test_a_condition_is_told_once_and_again_after_it_was_over(trail):
    told, switch = [], Switch()
    alerts = Alerts(trail, [lambda alert: told.append(alert.about)], [switch])
    for switch.about in (["a"], ["a"], ["a", "b"], [], ["a"]):
        await alerts.check()
    assert told == ["a", "b", "a"]


async def test_a_hook_that_failed_gets_the_alert_again_and_the_others_do_not(trail):
    told, tries, switch = [], [], Switch()

    def failing(alert):
        tries.append(alert.about)
        if len(tries) == 1:
            raise OSError("no route")

    alerts = Alerts(trail, [failing, lambda alert: told.append(alert.about)], [switch])
    switch.about = ["a"]
    assert [alert.about for alert in await alerts.check()] == ["a"]
    assert await alerts.check() == []
    assert await alerts.check() == []
    assert (tries, told) == (["a", "a"], ["a"])


async def test_a_rule_that_cannot_look_neither_tells_nor_arms(trail):
    told, switch = [], Switch()
    alerts = Alerts(trail, [lambda alert: told.append(alert.about)], [switch])
    for switch.about in (["a"], None, ["a"]):
        await alerts.check()
    assert told == ["a"]


async def test_shares_of_a_budget_are_told_in_turn_and_again_the_next_day(trail):
    alerts = Alerts(trail, [], [Spent(10, "user", "day")])
    spend(trail, 7)
    await trail.flush()
    assert await alerts.check() == []
    spend(trail, 1)
    await trail.flush()
    (warned,) = await alerts.check()
    assert warned.message == "user alice has spent $8.00 of $10.00 this day"
    spend(trail, 3)
    await trail.flush()
    (over,) = await alerts.check()
    assert over.values == {"user": "alice", "share": 1.0}
    trail.clock.advance(timedelta(days=1).total_seconds())
    spend(trail, 9)
    await trail.flush()
    assert [alert.values["share"] for alert in await alerts.check()] == [0.8]


async def test_a_rate_that_may_be_chance_is_not_told(trail):
    alerts = Alerts(trail, [], [ErrorRate(0.3)])
    with pytest.raises(RuntimeError), trail.call(model="m"):
        raise RuntimeError
    await trail.flush()
    trail.clock.advance(1)
    assert await alerts.check() == []
    for _ in range(20):
        with pytest.raises(RuntimeError), trail.call(model="m"):
            raise RuntimeError
    await trail.flush()
    trail.clock.advance(1)
    (alert,) = await alerts.check()
    assert alert.message == "100.0 % of 21 calls to m failed, mostly RuntimeError"


async def test_a_day_of_unusual_cost_is_told(trail):
    for _ in range(10):
        spend(trail, 1)
        trail.clock.advance(timedelta(days=1).total_seconds())
    spend(trail, 50)
    await trail.flush()
    trail.clock.advance(1)
    (alert,) = await Alerts(trail, [], [Surges()]).check()
    assert alert.message == "alice costs $50.00 today, usually $1.00"


class Ailing:
    """A trail of which only the health is asked."""

    def __init__(self, trail, **health):
        self._trail, self._health = trail, health

    def health(self):
        found = self._trail.health()
        for name, value in self._health.items():
            setattr(found, name, value)
        return found


async def test_trouble_with_the_store_and_warnings_are_told(trail):
    ailing = Ailing(
        trail,
        last_store_error="gone",
        journal_error="full",
        oldest_unsent_s=100.0,
        queue_entries=3,
        dropped=2,
        warnings=["overdue"],
    )
    found = await Alerts(ailing, [], [StoreTrouble(), Warnings()]).check()
    assert [alert.about for alert in found] == ["store", "journal", "waiting", "lost 2", "overdue"]
    assert await Alerts(trail, [], [StoreTrouble(), Warnings()]).check() == []


@pytest.fixture
def receiver():
    """A server on loopback: answers with the codes that a test sets, keeps what it was posted and asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.seen.append((self.headers["Auditmw-Signature"], body))
            self.send_response(server.codes.pop(0) if server.codes else 204)
            if server.location is not None:
                self.send_header("Location", server.location)
            self.end_headers()

        def do_GET(self):
            server.asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.seen, server.codes, server.asked, server.location = [], [], [], None
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_webhook_posts_signed_json_and_tries_again_where_that_can_help(receiver):
    receiver.codes = [503, 429]
    waits = []
    hook = Webhook(f"http://127.0.0.1:{receiver.server_port}/alerts", "secret", sleep=waits.append)
    hook(Alert("budget", "alice", "too much", {"share": 1.0}))
    assert waits == [0.5, 1.0]
    signature, body = receiver.seen[-1]
    assert json.loads(body) == {"kind": "budget", "about": "alice", "message": "too much", "values": {"share": 1.0}}
    at, digest = signature.removeprefix("t=").split(",v1=")
    assert digest == hmac.new(b"secret", f"{at}.".encode() + body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(("codes", "attempts"), [([404], 1), ([500] * 4, 4)])
def test_a_webhook_gives_up_where_nothing_helps(receiver, codes, attempts):
    receiver.codes = codes
    hook = Webhook(f"http://127.0.0.1:{receiver.server_port}/", "secret", sleep=lambda _: None)
    with pytest.raises(HTTPError) as raised:
        hook(Alert("budget", "alice", "too much"))
    raised.value.close()
    assert len(receiver.seen) == attempts


@pytest.mark.parametrize(
    ("code", "location"),
    [(301, "/new/token"), (302, "https://new.example/token"), (303, "/new/token"), (307, "/token"), (308, None)],
)
def test_a_webhook_follows_no_redirect_and_says_which_url_to_give(receiver, code, location):
    receiver.codes, receiver.location = [code], location
    hook = Webhook(f"http://127.0.0.1:{receiver.server_port}/old", "secret", sleep=lambda _: None)
    with pytest.raises(HTTPError, match="give the URL that it redirects to") as raised:
        hook(Alert("budget", "alice", "too much"))
    raised.value.close()
    assert raised.value.code == code
    assert "token" not in str(raised.value)
    assert (len(receiver.seen), receiver.asked) == (1, [])


@pytest.mark.parametrize(("url", "secret"), [("ftp://host/", "s"), ("https://host/", "")])
def test_a_webhook_that_cannot_work_or_be_trusted_is_refused(url, secret):
    with pytest.raises(ConfigurationError):
        Webhook(url, secret)


async def test_it_looks_again_and_again_until_it_is_cancelled(trail):
    seen = []

    class Counting(Switch):
        async def find(self, trail):
            seen.append(1)
            if len(seen) == 3:
                scope.cancel()
            return []

    with anyio.CancelScope() as scope:
        await Alerts(trail, [], [Counting()]).run(every=0)
    assert len(seen) == 3
