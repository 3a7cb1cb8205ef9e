"""A FastAPI app whose every LLM call is recorded with the user that a dependency found: one line, the `add_middleware`.

Run it with `uvicorn fastapi_app:app`, ask with `curl -u alice:secret localhost:8000/ask?question=hello`.
"""

import os
from typing import Annotated

import anthropic
from fastapi import Depends, FastAPI, Request
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from auditmw import AuditTrail
from auditmw.asgi import AuditMiddleware

trail = AuditTrail(os.environ.get("AUDITMW_DB", "sqlite:///audit.db"))
claude = trail.wrap(anthropic.AsyncAnthropic())

app = FastAPI()
app.add_middleware(AuditMiddleware, trail=trail, user=lambda scope: scope["state"].get("user"), lifespan=True)


def current_user(request: Request, credentials: Annotated[HTTPBasicCredentials, Depends(HTTPBasic())]) -> str:
    request.state.user = credentials.username  # check the password here
    return credentials.username


@app.get("/ask")
async def ask(question: str, user: Annotated[str, Depends(current_user)]) -> dict[str, str]:
    answer = await claude.messages.create(
        model="claude-sonnet-5-5", max_tokens=500, messages=[{"role": "user", "content": question}]
    )
    return {"user": user, "answer": "".join(block.text for block in answer.content if block.type == "text")}
