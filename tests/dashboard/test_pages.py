"""What the pages say."""

import html
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from auditmw import AuditTrail, dashboard
from auditmw.dashboard import asking, listing
from auditmw.dashboard.pages import name_of
from auditmw.errors import ConfigurationError
from auditmw.privacy.changes import set_policy
from auditmw.privacy.control import ControlLog
from auditmw.privacy.holds import add_hold
from auditmw.privacy.policy import read_policy
from auditmw.reports import REPORTS
from auditmw.stores.privacy import open_privacy
from auditmw.testing import FakeClock

from .conftest import EVIL, NOW


def words(response):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.text))


async def test_the_overview_counts_calls_and_not_attempts(browse):
    day = words(await browse("/?days=1"))
    calls, attempts = map(int, re.search(r"Calls (\d+) (\d+) attempts", day).groups())
    assert attempts == calls + 1


@pytest.mark.parametrize("query", ["", "?days=1", "?days=7&split=model", "?days=90", "?tenant=acme"])
async def test_every_overview_is_drawn(query, browse):
    response = await browse(f"/{query}")
    assert response.status_code == 200
    assert response.text.count("<svg") == 6


@pytest.mark.parametrize(("days", "of"), [(1, "the last 24 hours"), (30, "the last 7 days")])
async def test_the_overview_leads_to_the_most_unusual_calls(days, of, browse):
    response = await browse(f"/?days={days}")
    unusual = response.text.partition(f"The most unusual calls of {of}")[2]
    assert re.search(r'/entries/(\S+?)"', unusual)[1] == "long"
    assert f"/reports/anomalies?days={days}" in unusual
    assert 1 <= unusual.count("/entries/") <= asking.UNUSUAL


async def test_a_tenant_of_no_calls_has_an_overview_too(browse):
    assert "No call was recorded" in words(await browse("/?tenant=nobody"))


@pytest.mark.parametrize(
    "path",
    [
        "/?days=2",
        "/?days=x",
        "/?split=weather",
        "/entries?since=never",
        "/entries?before=-1",
        "/entries?status=good",
        "/reports/cost?by=weather",
    ],
)
async def test_what_cannot_be_asked_is_said_on_a_page(path, browse):
    response = await browse(path)
    assert response.status_code == 400
    assert "<h1>400</h1>" in response.text


async def test_what_is_not_there_is_said_on_a_page(browse):
    for path in ("/entries/nothing", "/reports/weather", "/search?q=nobody", "/weather"):
        assert (await browse(path)).status_code == 404


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("long", "/entries/long"),
        ("call-long", "/entries?call_id=call-long"),
        ("grace", "/entries?user_id=grace"),
        ("s-grace-1", "/entries?session_id=s-grace-1"),
        ("translate", "/entries?action=translate"),
        ("gpt-5-mini", "/entries?model=gpt-5-mini"),
        ("acme", "/entries?tenant=acme"),
        (" ", "/entries?"),
    ],
)
async def test_a_search_leads_to_what_is_called_so(text, place, browse):
    response = await browse(f"/search?q={text}")
    assert (response.status_code, response.headers["location"]) == (303, place)


async def test_pages_of_entries_hold_every_entry_once_in_either_direction(browse):
    seen, path = [], "/entries?user_id=grace"
    newer = None
    while path:
        text = (await browse(path)).text
        seen.append(re.findall(r'/entries/(\S+?)" title', text))
        older = re.search(r'rel="next" href="([^"]+)"', text)
        newer = re.search(r'rel="prev" href="([^"]+)"', text) or newer
        path = older and older[1].replace("&amp;", "&")
    assert len(seen) > 2
    assert len({name for page in seen for name in page}) == sum(map(len, seen))
    back = (await browse(newer[1].replace("&amp;", "&"))).text
    assert re.findall(r'/entries/(\S+?)" title', back) == seen[-2]


async def test_a_search_looks_at_so_many_entries_at_a_time_and_offers_the_older_ones(browse, monkeypatch):
    monkeypatch.setattr(asking, "LOOKED_AT", 100)
    looks, path = 0, "/search?q=s-grace-30"
    while (response := await browse(path)).status_code == 404:
        looks += 1
        path = html.unescape(re.search(r'rel="next" href="([^"]+)"', response.text)[1])
    assert response.headers["location"] == "/entries?session_id=s-grace-30"
    assert looks > 5
    path = "/search?q=nobody"
    while (older := re.search(r'rel="next" href="([^"]+)"', (await browse(path)).text)) is not None:
        path = html.unescape(older[1])
    assert "nothing in the trail is called nobody" in (await browse(path)).text


@pytest.mark.parametrize(("name", "value"), [("user_id", "grace"), ("session_id", "s-grace-30"), ("status", "error")])
@pytest.mark.parametrize(("way", "start"), [("next", ""), ("prev", "&after=0")])
async def test_pages_hold_every_rare_entry_once_though_each_looks_at_few(
    name, value, way, start, browse, trail, monkeypatch
):
    monkeypatch.setattr(listing, "LOOKED_AT", 60)
    seen, path = [], f"/entries?{name}={value}{start}"
    while path:
        text = (await browse(path)).text
        found = re.findall(r'/entries/(\S+?)" title', text)
        seen = seen + found if way == "next" else found + seen
        other = re.search(rf'rel="{way}" href="([^"]+)"', text)
        path = other and html.unescape(other[1])
    expected = [entry.request_id for entry in trail.sync.query(**{name: value}, newest_first=True)]
    assert seen == expected


async def test_a_name_is_looked_for_in_few_entries_at_a_time_unless_the_time_is_short(browse, monkeypatch):
    monkeypatch.setattr(listing, "LOOKED_AT", 60)
    weeks, days = (f"{NOW - timedelta(days=ago):%Y-%m-%d}" for ago in (21, 3))
    for path in (f"?user_id=nobody&since={weeks}", f"?user_id=nobody&until={weeks}"):
        text = (await browse(f"/entries{path}")).text
        assert "No entry fits among the 60 that were looked at." in text
        assert 'rel="next"' in text
    for path in (f"?user_id=nobody&since={days}", f"?user_id=nobody&since={weeks}&until={weeks}"):
        assert "No entry fits." in (await browse(f"/entries{path}")).text


async def test_days_are_whole_and_the_last_is_included(browse):
    text = (await browse(f"/entries?since={NOW:%Y-%m-%d}&until={NOW:%Y-%m-%d}")).text
    assert set(re.findall(r">(\d{4}-\d\d-\d\d) ", text)) == {f"{NOW:%Y-%m-%d}"}


async def test_an_entry_leads_to_what_it_belongs_to(browse):
    assert "/entries/inner" in (await browse("/entries/outer")).text
    assert "/entries/outer" in (await browse("/entries/inner")).text
    attempts = (await browse("/entries/second")).text
    assert "/entries/first" in attempts
    assert "attempt 2" in words(await browse("/entries/second"))


async def test_control_entries_are_shown_when_asked_for(browse):
    text = (await browse("/entries?kind=control")).text
    (name, *_) = re.findall(r'/entries/(\S+?)" title', text)
    assert (await browse(f"/entries/{name}")).status_code == 200


async def test_fields_full_of_scripts_are_text(browse):
    for path in ("/entries/evil", "/entries?status=error", "/?split=model", "/?days=1", "/reports/errors?days=1"):
        text = (await browse(path)).text
        assert EVIL not in text
        assert "\u202e" not in text
        assert "\x1b" not in text
    assert "\\u202egnp.exe" in words(await browse("/entries/evil"))


@pytest.mark.parametrize("name", REPORTS)
async def test_every_report_has_a_page_by_itself(name, browse):
    response = await browse(f"/reports/{name}?days=7")
    assert response.status_code == 200
    assert f"/reports/{name}" in (await browse("/reports")).text


async def test_a_report_of_many_rows_shows_some_of_them_and_says_so(browse, monkeypatch):
    monkeypatch.setattr("auditmw.dashboard.views.MOST_ROWS", 3)
    response = await browse("/reports/cost?by=user")
    assert response.text.count("<tr>") == 4
    assert "more rows: auditmw report cost --by user shows them all" in words(response)


# --- evidence --------------------------------------------------------------------------------------------------------


def verified(app):
    """The verifications that an app's evidence page has begun, when they have ended."""
    views = next(route.endpoint.__wrapped__.__self__ for route in app._app.routes if route.path == "/evidence")
    views._verifications.wait()


async def test_the_state_of_the_evidence_is_told(browse, trail, signed):
    app = dashboard.app(trail, keys=[signed[1]])
    await browse("/evidence", app)
    verified(app)
    told = words(await browse("/evidence", app))
    assert "Not anchored yet 1 since" in told
    assert "verified The trail leads to a root that a key of yours signed." in told


async def test_without_a_key_it_only_agrees_with_itself(browse, trail):
    app = dashboard.app(trail)
    await browse("/evidence", app)
    verified(app)
    told = words(await browse("/evidence", app))
    assert "none of the keys given here" in told
    assert "self-consistent" in told
    assert "no key was given to check its signature" in words(await browse("/entries/second", app))


async def test_a_verification_is_not_made_again_at_every_look(browse, trail, monkeypatch):
    app = dashboard.app(trail)
    await browse("/evidence", app)
    verified(app)
    monkeypatch.setattr("auditmw.dashboard.evidence.verify_trail", lambda *_, **__: pytest.fail("again"))
    await browse("/evidence", app)
    verified(app)


def copy_of(url, folder, *changes):
    """A copy of a SQLite trail, changed by somebody who owns the file."""
    path = folder / "copy.db"
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as source, closing(sqlite3.connect(path)) as copy:
        source.backup(copy)
        for change in changes:
            copy.execute(change)
        copy.commit()
    return path


@pytest.fixture
def tampered(tmp_path, signed):
    """The trail with an entry that was changed."""
    path = copy_of(signed[0], tmp_path, "UPDATE audit_entries SET user_id = 'mallory' WHERE request_id = 'second'")
    trail = AuditTrail(f"sqlite:///{path}", clock=FakeClock(NOW))
    yield trail
    trail.close()


async def test_a_changed_entry_is_told_on_its_page_and_by_the_evidence(browse, tampered, signed):
    app = dashboard.app(tampered, keys=[signed[1]])
    assert "The entry is not as it was written" in words(await browse("/entries/second", app))
    await browse("/evidence", app)
    verified(app)
    assert "tampered The trail is not as it was written" in words(await browse("/evidence", app))


async def test_an_honest_entry_that_nobody_signed_is_not_called_changed(browse, tmp_path):
    with AuditTrail(f"sqlite:///{tmp_path}/unsigned.db") as trail, trail.call(action="ask") as call:
        pass
    with AuditTrail(f"sqlite:///{tmp_path}/unsigned.db") as trail:
        told = words(await browse(f"/entries/{call.request_id}", dashboard.app(trail)))
    assert "Only unsigned checkpoints cover this entry" in told


async def test_a_trail_in_memory_is_shown_and_proves_nothing(browse):
    with AuditTrail("memory://") as trail:
        with trail.call(model="m", user_id="alice") as call:
            pass
        trail.sync.flush()
        app = dashboard.app(trail)
        assert "alice" in (await browse("/entries", app)).text
        assert "Nothing can be proven here" in words(await browse(f"/entries/{call.request_id}", app))
        assert "can be verified at" in words(await browse("/evidence", app))


async def test_a_trail_of_lines_has_no_checkpoint(browse, tmp_path):
    with AuditTrail(f"jsonl:///{tmp_path}/lines") as trail:
        with trail.call(model="m"):
            pass
        trail.sync.flush()
        app = dashboard.app(trail)
        assert "no checkpoint yet" in words(await browse("/evidence", app))
        verified(app)
        assert "structure" in words(await browse("/evidence", app))


# --- retention -------------------------------------------------------------------------------------------------------


async def test_without_a_policy_nothing_is_due(browse):
    told = words(await browse("/retention"))
    assert "none: nothing expires" in told
    assert "Last sweep never" in told


@pytest.fixture
def governed(signed, tmp_path):
    """The URL of a copy of the trail under a policy, with a hold."""
    url = f"sqlite:///{copy_of(signed[0], tmp_path)}"
    with closing(open_privacy(url)) as store, ControlLog(url) as log:
        set_policy(log, store, read_policy("standard"))
        add_hold(log, store, f"case {EVIL}", user_id="alice")
    return url


async def test_what_is_due_overdue_and_held_is_told(browse, governed):
    stored = datetime.now(UTC)
    for days, expected in (
        (30, "metadata - 90 days 0 0"),
        (91, "metadata - 90 days 2,4"),
        (400, "digests - 1 year 2,4"),
    ):
        trail = AuditTrail(governed, clock=FakeClock(stored + timedelta(days=days)))
        response = await browse("/retention", dashboard.app(trail))
        assert expected in words(response)
        trail.close()
    assert "user_id alice" in words(response)
    assert EVIL not in response.text


async def test_a_trail_of_lines_has_no_retention(browse, tmp_path):
    with AuditTrail(f"jsonl:///{tmp_path}/lines") as trail:
        assert "need a database" in words(await browse("/retention", dashboard.app(trail)))


# --- who looked ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reads", "expected"),
    [("all", [("ann", "bob", {"what": "dashboard", "page": "/entries", "filter": ["user_id"]})]), ("log", [])],
)
async def test_who_looked_is_on_record_where_the_trail_asks_for_it(reads, expected, browse):
    with AuditTrail("memory://", reads=reads) as trail:
        await browse("/entries?user_id=bob", dashboard.app(trail, authorize=lambda _request: "ann"))
        trail.sync.flush()
        looks = list(trail.pages(kind="control", action="read").blocking())
    assert [(look.user_id, look.subject, look.metadata) for look in looks] == expected


# --- around it -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite:////var/lib/audit.db", "audit.db"),
        ("postgresql://ann:secret@db.example/audit?sslmode=require", "db.example/audit"),
        ("memory://", "memory"),
    ],
)
def test_a_page_names_the_trail_and_keeps_its_secrets(url, name):
    assert name_of(url) == name


def test_a_key_that_is_none_is_refused_at_once(trail):
    with pytest.raises(ConfigurationError):
        dashboard.app(trail, keys=["no key"])


@pytest.mark.parametrize("package", ["starlette", "jinja2", "pygal"])
def test_a_missing_package_is_named_with_its_extra(package):
    code = f"""
import sys
sys.modules[{package!r}] = None
from auditmw import AuditTrail, dashboard
dashboard.app(AuditTrail("memory://"))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"{package} is not installed: pip install 'auditmw[dashboard]'" in ran.stderr


def test_the_clock_of_the_trail_is_the_one_that_counts(trail):
    assert datetime.fromtimestamp(trail.clock.now_us() / 1e6, UTC) == NOW
