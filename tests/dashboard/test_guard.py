"""Who is let in, and what every answer says to the browser."""

import pytest

from auditmw import dashboard
from auditmw.dashboard.guard import Guard

PAGES = ("/", "/entries", "/entries/evil", "/reports", "/reports/errors", "/evidence", "/retention", "/style.css")


@pytest.mark.parametrize("path", [*PAGES, "/nothing", "/entries?since=never", "/reports/nothing", "/search?q=nobody"])
async def test_every_answer_is_strict_and_kept_nowhere(path, browse):
    response = await browse(path)
    assert response.status_code in {200, 400, 404}
    policy = dict(part.strip().split(" ", 1) for part in response.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in response.headers["content-security-policy"]
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "style=" not in response.text
    assert "<script" not in response.text


@pytest.mark.parametrize(
    ("client", "headers"),
    [
        ("192.0.2.7", {}),
        ("127.0.0.1", {"host": "evil.example"}),
        ("127.0.0.1", {"host": "[", "accept": "text/html"}),
        ("127.0.0.1", {"x-forwarded-for": "192.0.2.7"}),
        ("127.0.0.1", {"forwarded": "for=192.0.2.7"}),
        ("localhost", {}),
    ],
)
async def test_without_authorize_only_this_machine_is_served(client, headers, browse):
    response = await browse("/entries", client=client, **headers)
    assert (response.status_code, "alice" in response.text) == (403, False)
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("client", ["127.0.0.1", "::1"])
async def test_this_machine_is_served_by_its_own_names(client, browse):
    assert (await browse("/entries", client=client, host="localhost:8600")).status_code == 200


@pytest.mark.parametrize(("answer", "status"), [(True, 200), ("auditor", 200), (False, 403), (None, 403), ("", 403)])
@pytest.mark.parametrize("later", [False, True])
async def test_authorize_decides_wherever_one_comes_from(answer, status, later, browse, trail):
    async def decide_later(_request):
        return answer

    app = dashboard.app(trail, authorize=decide_later if later else lambda _request: answer)
    for path in PAGES:
        response = await browse(path, app, client="192.0.2.7", host="audit.example", **{"x-forwarded-for": "192.0.2.8"})
        assert response.status_code == status


async def test_an_authorize_that_fails_lets_nobody_in(browse, trail):
    def broken(_request):
        raise RuntimeError("the directory is down")

    with pytest.raises(RuntimeError, match="directory"):
        await browse("/", dashboard.app(trail, authorize=broken))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_there_is_nothing_to_change(method, browse):
    assert (await browse("/entries", method=method)).status_code == 405


async def test_a_websocket_is_closed_and_a_lifespan_passed_on():
    seen, sent = [], []

    async def inner(scope, _receive, _send):
        seen.append(scope["type"])

    async def send(message):
        sent.append(message)

    guard = Guard(inner, None)
    await guard({"type": "websocket"}, None, send)
    await guard({"type": "lifespan"}, None, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]
    assert seen == ["lifespan"]


async def test_links_begin_where_it_is_mounted(browse, trail):
    from starlette.applications import Starlette
    from starlette.routing import Mount

    app = Starlette(routes=[Mount("/audit", app=dashboard.app(trail))])
    response = await browse("/audit/entries", app)
    assert 'href="/audit/style.css"' in response.text
    assert 'href="/audit/entries" aria-current="page"' in response.text
    assert (await browse("/audit/search?q=bob", app)).headers["location"] == "/audit/entries?user_id=bob"
