"""A Starlette app that streams answers, recorded with the user of Starlette's own authentication: one line again.

Run it with `uvicorn starlette_app:app`, ask `curl -H "X-API-Key: alice-key" localhost:8000/ask?question=hello`.
"""

import os
from collections.abc import AsyncIterator

import anthropic
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError, SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from auditmw import AuditTrail
from auditmw.asgi import AuditMiddleware

USERS = {"alice-key": "alice", "bob-key": "bob"}

trail = AuditTrail(os.environ.get("AUDITMW_DB", "sqlite:///audit.db"))
claude = trail.wrap(anthropic.AsyncAnthropic())


class KeyBackend(AuthenticationBackend):
    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser]:
        user = USERS.get(conn.headers.get("x-api-key", ""))
        if user is None:
            raise AuthenticationError("unknown key")
        return AuthCredentials(["authenticated"]), SimpleUser(user)


async def ask(request: Request) -> StreamingResponse:
    async def words() -> AsyncIterator[str]:
        question = request.query_params["question"]
        async with claude.messages.stream(
            model="claude-sonnet-5-5", max_tokens=500, messages=[{"role": "user", "content": question}]
        ) as stream:
            async for text in stream.text_stream:
                yield text

    return StreamingResponse(words(), media_type="text/plain")


app = Starlette(
    routes=[Route("/ask", ask)],
    middleware=[
        Middleware(AuditMiddleware, trail=trail, lifespan=True),
        Middleware(AuthenticationMiddleware, backend=KeyBackend()),
    ],
)
