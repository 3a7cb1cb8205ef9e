"""The dashboard in a real browser: what people see, do with the keyboard, and must never run.

With AUDITMW_SCREENSHOTS=DIRECTORY the pages that are shown in the documentation are photographed there.
"""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from auditmw import AuditTrail, dashboard
from auditmw.testing import FakeClock

from .conftest import EVIL, NOW

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
uvicorn = pytest.importorskip("uvicorn", reason="needs uvicorn")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="module")
def server(signed):
    """The dashboard on a loopback port."""
    trail = AuditTrail(signed[0], clock=FakeClock(NOW))
    config = uvicorn.Config(dashboard.app(trail, keys=[signed[1]]), port=0, log_level="error", lifespan="off")
    running = uvicorn.Server(config)
    socket = config.bind_socket()
    thread = threading.Thread(target=running.run, kwargs={"sockets": [socket]})
    thread.start()
    yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    running.should_exit = True
    thread.join()
    socket.close()
    trail.close()


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, server):
    """A page that takes nothing from anywhere else; whatever it complained of is a failure."""
    context = browser.new_context(base_url=server, viewport={"width": 1280, "height": 860})
    page = context.new_page()
    troubles, elsewhere = [], []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("dialog", lambda dialog: (troubles.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: elsewhere.append(request.url) if not request.url.startswith(server) else None)
    yield page
    context.close()
    assert [trouble for trouble in troubles if "404" not in trouble and "403" not in trouble] == []
    assert elsewhere == []


def photograph(page, name):
    if folder := os.environ.get("AUDITMW_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_the_overview_draws_six_charts(page):
    page.goto("/")
    assert page.locator(".panel svg").count() == 6
    assert page.locator(".panel .rect").count() > 100
    assert page.get_by_role("img", name="Cost").bounding_box()["height"] > 100
    photograph(page, "overview")


def test_a_bar_says_what_it_is_when_it_is_pointed_at(page):
    page.goto("/?days=7")
    assert page.locator(".panel .bar title").first.text_content().startswith("carol, Nov ")


def test_the_split_and_the_time_can_be_chosen(page):
    page.goto("/")
    page.get_by_role("link", name="by model").click()
    page.get_by_role("link", name="7 days").click()
    assert page.url.endswith("?days=7&split=model")
    assert "claude-opus-4-7" in page.locator(".legend").first.inner_text()


def test_an_anomaly_leads_to_its_entry(page):
    page.goto("/")
    page.get_by_role("link", name="Anomalies").click()
    page.locator("tbody").get_by_role("link", name="long").click()
    assert page.locator("h1").inner_text() == "Entry long"


def test_entries_are_filtered_and_turned_over(page):
    page.goto("/entries")
    page.get_by_label("User", exact=True).fill("bob")
    page.locator("select[name=status]").select_option("error")
    page.get_by_role("button", name="Show").click()
    rows = page.locator("tbody tr")
    assert rows.count() > 3
    assert {row.split("\t")[1] for row in rows.all_inner_texts()} == {"bob"}
    page.goto("/entries")
    first = rows.first.inner_text()
    page.get_by_role("link", name="Older").click()
    assert rows.first.inner_text() != first
    page.get_by_role("link", name="Newer").click()
    assert rows.first.inner_text() == first
    photograph(page, "entries")


def test_the_detail_of_an_entry_shows_its_proof(page):
    page.goto("/search?q=second")
    assert "Proven: its path leads to the checkpoint" in page.locator(".proof").inner_text()
    assert page.locator("section", has_text="Attempts of the call").locator("tbody tr").count() == 2
    photograph(page, "entry")
    page.get_by_text("Raw JSON").click()
    assert '"request_id": "second"' in page.locator("pre").last.inner_text()


def test_an_entry_after_the_checkpoint_waits_for_its_proof(page):
    page.goto("/entries/late")
    assert "No checkpoint covers this entry yet" in page.locator(".proof").inner_text()


def test_the_evidence_is_verified_while_one_looks(page):
    page.goto("/evidence")
    page.get_by_role("heading", name="verified").wait_for(timeout=20_000)
    assert "1 since" in page.locator(".facts").inner_text().replace("\n", " ")


@pytest.mark.parametrize(
    "path",
    [
        "/entries/evil",
        "/entries",
        "/entries?status=error",
        "/?days=1&split=model",
        f"/reports/cost?by=user&tenant={EVIL}",
    ],
)
def test_an_entry_full_of_scripts_runs_none_of_them(path, page):
    page.goto(path)
    assert page.locator("main script, main img").count() == 0
    assert EVIL in page.locator("body").inner_text() or EVIL in page.content().replace("&lt;", "<").replace("&gt;", ">")


def test_a_script_that_got_in_would_not_run(browser, server):
    page = browser.new_page(base_url=server)
    page.goto("/")
    page.evaluate("document.querySelector('main').innerHTML = '<button id=bad onclick=\"window.ran = 1\">x</button>'")
    page.locator("#bad").click()
    assert page.evaluate("window.ran") is None
    page.close()


def test_the_keyboard_reaches_the_content_first_and_then_every_page(page):
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    for _ in range(4):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/entries")


@pytest.mark.parametrize("path", ["/", "/entries", "/entries/evil", "/reports/cost", "/evidence"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_every_page_without_scrolling_sideways(path, scheme, browser, server):
    context = browser.new_context(
        base_url=server, viewport={"width": 390, "height": 844}, color_scheme=scheme, java_script_enabled=False
    )
    page = context.new_page()
    page.goto(path)
    assert page.locator("main").bounding_box()["width"] <= 390
    background = page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
    assert (background == "rgb(18, 24, 26)") == (scheme == "dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_who_is_not_authorized_sees_nothing(browser, signed):
    trail = AuditTrail(signed[0], clock=FakeClock(NOW))
    config = uvicorn.Config(
        dashboard.app(trail, authorize=lambda request: request.headers.get("x-who") == "auditor"),
        port=0,
        log_level="error",
        lifespan="off",
    )
    running, socket = uvicorn.Server(config), config.bind_socket()
    thread = threading.Thread(target=running.run, kwargs={"sockets": [socket]})
    thread.start()
    page = browser.new_page()
    response = page.goto(f"http://127.0.0.1:{socket.getsockname()[1]}/entries")
    assert (response.status, page.locator("table").count()) == (403, 0)
    page.set_extra_http_headers({"x-who": "auditor"})
    assert page.goto(f"http://127.0.0.1:{socket.getsockname()[1]}/entries").status == 200
    page.close()
    running.should_exit = True
    thread.join()
    socket.close()
    trail.close()
