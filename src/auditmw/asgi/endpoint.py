"""Records one request to an LLM endpoint that the application serves, from the bytes that pass by."""

from __future__ import annotations

from typing import Final

from auditmw.asgi.answer import Answer
from auditmw.asgi.headers import only_header, replace_headers
from auditmw.asgi.refusals import NO_JSON, PACKED, Refusal, blocked, too_large, unavailable
from auditmw.asgi.request_body import RequestBody
from auditmw.asgi.routes import kind_of
from auditmw.asgi.types import App, Receive, Scope, Send
from auditmw.call import Call
from auditmw.context import current_binding
from auditmw.endings import status_of
from auditmw.entry import Status
from auditmw.errors import AuditUnavailable, CallBlocked
from auditmw.providers.protocol import Provider
from auditmw.recorder import Recorder
from auditmw.wire import wire_json

MAX_BODY: Final = 32 * 1024 * 1024
"""Bytes of a request, and of an answer, that are kept to be read: what the largest provider takes."""


UNCHECKED: Final = "body_not_checked"
"""The name in an entry's metadata that says that the body, in a format that nobody reads, was passed unseen."""


class EndpointRecorder:
    """Makes one entry per request that it serves.

    The body is read whole before the application runs, up to the cap, so that the pipeline can see, replace or block
    it. A larger one passes unread, or is refused where a middleware must see every body (`on_error = "block"`) and
    the format is one that auditmw reads.
    """

    def __init__(self, recorder: Recorder, max_body: int) -> None:
        self._recorder = recorder
        self._max_body = max_body
        self._must_see_bodies = any(layer.on_error == "block" for layer in recorder.pipeline.layers)

    async def serve(self, reader: Provider, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request by the application and record it, however it ends."""
        path: str = scope["path"]
        call = self._recorder.draft(kind=kind_of(reader, path), reader=reader, action=path)
        binding = current_binding()
        if binding is not None:
            binding.parent = call
        body = RequestBody(receive)
        await body.read(self._max_body)
        if (refusal := await self._admit(call, scope, body)) is not None:
            await refusal.send(send)
            return
        answer = Answer(call, self._recorder.clock, send, self._max_body, on_end=self._end)
        await self._run(call, app, scope, body, answer)

    async def _admit(self, call: Call, scope: Scope, body: RequestBody) -> Refusal | None:
        """Run the first halves with the request; a refusal if the application must not see it."""
        packed = only_header(scope, b"content-encoding") not in {None, "identity"}
        call.request = sent = None if packed else await body.json()
        call.reader.read_request(call)
        call.provider = call.reader.vendor(call.model) or None
        if sent is None and self._must_see_bodies and not (body.client_left or body.is_empty):
            if call.reader.name:
                refusal = PACKED if packed else NO_JSON if body.whole else too_large(self._max_body)
                return await self._refuse(call, refusal)
            call.metadata[UNCHECKED] = True
        try:
            await self._recorder.begin_async(call)
        except CallBlocked as error:
            return blocked(error.reason)
        except AuditUnavailable as error:
            return unavailable(str(error))
        changed: dict[bytes, bytes | None] = {}
        if call.request is not sent:
            body.replace(replaced := wire_json(call.request))
            changed = {b"content-length": b"%d" % len(replaced), b"transfer-encoding": None}
        if call.chunk_hooks:  # they see the answer's text, so it must not come packed
            changed[b"accept-encoding"] = b"identity"
        if changed:
            scope["headers"] = replace_headers(scope["headers"], changed)
        return None

    async def _refuse(self, call: Call, refusal: Refusal) -> Refusal:
        call.status, call.error_type, call.error_message = "blocked", refusal.type, refusal.message
        await self._recorder.begin_async(call)
        await self._end(call, "blocked")
        return refusal

    async def _run(self, call: Call, app: App, scope: Scope, body: RequestBody, answer: Answer) -> None:
        try:
            await app(scope, body.receive, answer.send)
        except GeneratorExit:  # collected with its task: nothing can be awaited here
            self._recorder.drop(call, "cancelled")
            raise
        except BaseException as error:
            left = isinstance(error, Exception) and (body.client_left or answer.client_left)
            await self._end(call, "abandoned" if left else status_of(error), error)
            raise
        await self._end(call, "abandoned" if body.client_left or answer.client_left else "incomplete")

    async def _end(self, call: Call, status: Status, error: BaseException | None = None) -> None:
        """End the call with the names that became known late; what calls inside have recorded is counted there."""
        binding = current_binding()
        if binding is not None:
            call.user_id = call.user_id or binding.user_id or None
            call.session_id = call.session_id or binding.session_id
            call.tenant = call.tenant or binding.tenant
        if call.children:
            call.kind, call.reader = "function", None
        await self._recorder.end_async(call, status, error)
