"""The application of the load test, in a process of its own: `python server.py <fd> <database url> <provider url>`."""

from __future__ import annotations

import asyncio
import json
import socket
import sys

import anthropic
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from auditmw import AuditTrail
from auditmw.asgi import AuditMiddleware, header

USAGE = {"input_tokens": 3, "output_tokens": 5}


def message(text: str) -> dict:
    content = [{"type": "text", "text": text}]
    return {
        "id": f"msg_{text}",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5-5",
        "content": content,
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": USAGE,
    }


def event(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


async def serve_model(request) -> Response:
    """An endpoint that the app serves itself: what it is asked is the id of its answer; `hang` never ends."""
    asked = await request.json()
    text = asked["messages"][0]["content"]
    if not asked.get("stream"):
        return JSONResponse(message(text))

    async def pieces():
        yield event("message_start", message={**message(text), "content": [], "stop_reason": None})
        if text.startswith("hang"):
            await asyncio.Event().wait()
        for word in ("a", "b", "c"):
            await asyncio.sleep(0)
            yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
        yield event("message_delta", delta={"stop_reason": "end_turn"}, usage=USAGE)
        yield event("message_stop")

    return StreamingResponse(pieces(), media_type="text/event-stream")


def application(trail: AuditTrail, provider_url: str) -> Starlette:
    client = trail.wrap(anthropic.AsyncAnthropic(api_key="test", base_url=provider_url, max_retries=0))

    async def ask(request) -> Response:
        """An endpoint that asks a provider, streamed or not, as the browser behind it wants."""
        asked = await request.json()
        call = {"model": "claude-sonnet-5-5", "max_tokens": 50, "messages": asked["messages"]}
        if not asked.get("stream"):
            answer = await client.messages.create(**call)
            return JSONResponse({"text": answer.content[0].text})

        async def pieces():
            async with client.messages.stream(**call) as stream:
                async for text in stream.text_stream:
                    yield text

        return StreamingResponse(pieces())

    routes = [Route("/v1/messages", serve_model, methods=["POST"]), Route("/ask", ask, methods=["POST"])]
    app = Starlette(routes=routes)
    app.add_middleware(
        AuditMiddleware,
        trail=trail,
        user=header("x-user", trusted_proxies=["127.0.0.1"]),
        session=header("x-session", trusted_proxies=["127.0.0.1"]),
        endpoints=True,
        lifespan=True,
    )
    return app


if __name__ == "__main__":
    descriptor, database, provider = sys.argv[1:]
    app = application(AuditTrail(database), provider)
    config = uvicorn.Config(app, log_level="error", proxy_headers=False, timeout_keep_alive=120)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(descriptor))])
