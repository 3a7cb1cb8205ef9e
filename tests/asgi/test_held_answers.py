"""Which answers wait until they are whole: those in which something can be put back, and no others."""

import asyncio
import json

import pytest

from auditmw.asgi import AuditMiddleware
from auditmw.gateway.routes import recorded

CARD = "4111 1111 1111 1111"
MESSAGES, SPEECH = "/v1/messages", "/v1/audio/speech"


@pytest.fixture
def answered(sanitizing_trail):
    """What the client has got whenever the application has sent a piece of its answer to a request with a card."""

    def run(pieces, content_type, path=MESSAGES, **options):
        async def app(scope, receive, send):
            asked = json.loads((await receive())["body"])
            headers = [] if content_type is None else [(b"content-type", content_type.encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            for number, piece in enumerate(pieces, 1):
                body = piece.replace(b"CARD", asked["messages"][0]["content"].encode())
                await send({"type": "http.response.body", "body": body, "more_body": number < len(pieces)})
                got.append(b"".join(passed))

        async def receive():
            return {"type": "http.request", "body": request}

        async def send(message):
            passed.append(message.get("body", b""))

        passed, got = [], []
        request = json.dumps({"model": "m", "messages": [{"role": "user", "content": CARD}]}).encode()
        scope = {"type": "http", "method": "POST", "path": path, "headers": []}
        middleware = AuditMiddleware(app, sanitizing_trail, endpoints=recorded, **options)
        asyncio.run(middleware(scope, receive, send))
        return got

    return run


@pytest.mark.parametrize("path", [MESSAGES, SPEECH])
@pytest.mark.parametrize("content_type", ["audio/mpeg", "application/x-ndjson", "application/jsonl", "text/plain"])
def test_what_is_no_json_passes_piece_by_piece_though_the_request_was_changed(answered, path, content_type):
    assert answered([b"one\n", b"two\n"], content_type, path) == [b"one\n", b"one\ntwo\n"]


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON; charset=utf-8", "application/problem+json", "text/json", None],
)
def test_json_waits_until_it_is_whole_and_what_was_taken_out_comes_back_in_it(answered, content_type):
    assert answered([b'{"said":', b'"CARD"}'], content_type) == [b"", b'{"said":"%s"}' % CARD.encode()]


def test_json_beyond_the_cap_waits_no_longer(answered):
    assert answered([b"[1,", b"2" * 1000, b"]"], "application/json", max_body=500)[1] == b"[1," + b"2" * 1000


@pytest.mark.parametrize("depth", [500, 1000, 20_000])
def test_an_answer_nested_too_deeply_to_be_read_passes_as_it_is(answered, sanitizing_trail, depth):
    deep = b"[" * depth + b"]" * depth
    assert answered([deep], "application/json") == [deep]
    sanitizing_trail.sync.flush(10)
    assert [entry.status for entry in sanitizing_trail.sync.query()] == ["success"]
