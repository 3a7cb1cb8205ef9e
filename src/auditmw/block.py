"""One call around a block of code: what `trail.call(...)` gives, and what audited functions run in."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TypeAlias

from auditmw.call import Call
from auditmw.context import Scope
from auditmw.endings import status_of
from auditmw.entry import Status
from auditmw.providers import for_answer
from auditmw.recorder import Recorder

Draft: TypeAlias = Callable[[], tuple[Recorder, Call]]
"""Makes the call of a block when it is entered."""


class Block:
    """`async with trail.call(...) as call:`, or `with` in sync code.

    Set `call.response` to the provider's answer to have it read; an exception inside is recorded as the error.
    """

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def __enter__(self) -> Call:
        self._recorder, self._call = self._draft()
        self._recorder.require("sync", "a block entered by plain `with`")
        self._recorder.begin(self._call)
        self._scope = Scope(parent=self._call)
        self._scope.__enter__()
        return self._call

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._scope.__exit__(kind, error, tb)
        if not self._dropped(error):
            self._recorder.end(self._call, self._settle(error), error)

    async def __aenter__(self) -> Call:
        self._recorder, self._call = self._draft()
        await self._recorder.begin_async(self._call)
        self._scope = Scope(parent=self._call)
        self._scope.__enter__()
        return self._call

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._scope.__exit__(kind, error, tb)
        if not self._dropped(error):
            await self._recorder.end_async(self._call, self._settle(error), error)

    def _settle(self, error: BaseException | None) -> Status:
        read_returned(self._call)
        return "success" if error is None else status_of(error)

    def _dropped(self, error: BaseException | None) -> bool:
        """Whether the generator or coroutine around the block was closed, perhaps by the garbage collector.

        Then nothing may be awaited here, and no lock taken: the writer's thread does the rest.
        """
        if not isinstance(error, GeneratorExit):
            return False
        read_returned(self._call)
        self._recorder.drop(self._call)
        return True


def read_returned(call: Call) -> None:
    """Read what a function returned, if it is a provider's answer and no call inside recorded it already."""
    if call.run is None:  # auditing is off
        return
    if call.children or call.response is None:
        return
    try:
        reader = call.reader or for_answer(call.response)
        if reader is None:
            return
        call.kind = "llm"
        call.reader = reader
        reader.read_response(call, call.response)
        call.model = call.model or call.response_model
        call.provider = call.provider or reader.vendor(call.response_model)
    except Exception as error:  # a foreign object may raise anything when it is looked at
        call.run.count("reading what was returned", error)
