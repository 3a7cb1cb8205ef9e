"""Opens the trail before an application starts, and drains it when the application has ended."""

from __future__ import annotations

from auditmw.asgi.types import App, Message, Receive, Scope, Send
from auditmw.trail import AuditTrail


async def run_lifespan(trail: AuditTrail, app: App, scope: Scope, receive: Receive, send: Send) -> None:
    """Run the application's lifespan inside the trail's.

    The trail opens before the application's start-up, so that mistakes in its configuration end the start, and closes
    after its shutdown (or failed start), before the server hears of it.
    """

    async def receive_after_opening() -> Message:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await trail.__aenter__()
        return message

    async def send_after_closing(message: Message) -> None:
        if message["type"] in {"lifespan.shutdown.complete", "lifespan.shutdown.failed", "lifespan.startup.failed"}:
            await trail.aclose()
        await send(message)

    await app(scope, receive_after_opening, send_after_closing)
