"""The outermost middleware: notes the intent before an attempt, and seals its entry when all is over."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from auditmw.call import Call
from auditmw.errors import PipelineError
from auditmw.middleware.protocol import Services, Sink


class Writer:
    """Writes the entry of every attempt. A pipeline begins with it, so that it seals what all others did."""

    seals: Final = True

    def __init__(self) -> None:
        self._sink: Sink | None = None

    def bind(self, services: Services) -> Writer:
        """A copy that writes to this trail."""
        bound = Writer()
        bound._sink = services.sink
        return bound

    def around(self, call: Call) -> Generator[None, None, None]:
        """Note the intent when all first halves are done; seal when all second halves are."""
        sink = self._sink
        if sink is None:
            raise PipelineError("Writer() belongs to no trail: give the pipeline to AuditTrail(url, pipeline=[...])")
        call.before_send(sink.intent)
        yield
        call.run.run_seal_hooks()
        sink.seal(call)
