"""Which of the requests that pass through the gateway are recorded: all that send something to the provider."""

from __future__ import annotations

from typing import Any, Final

from auditmw.call import Call
from auditmw.providers import READERS, for_path
from auditmw.providers.protocol import Provider


class Unread(Provider):
    """What is known of requests in no format that auditmw reads (embeddings, files, sound): the model, and errors."""

    name = ""  # no vendor's

    def matches(self, answer: Any) -> bool:  # noqa: ARG002  (it knows no shape)
        """Never."""
        return False

    def read_response(self, call: Call, body: Any) -> None:
        """Nothing: such an answer may be anything."""

    def input(self, request: Any) -> Any:
        """The whole body."""
        return request


_UNREAD: Final = Unread()


def recorded(path: str) -> Provider:
    """The reader of a path's format, of the format that it lies below, or one that reads next to nothing."""
    below = (reader for reader in READERS.values() if any(f"{ending}/" in path for ending in reader.paths))
    return for_path(path) or next(below, _UNREAD)
