"""Finds the entry of an answer or error that a wrapped client gave.

An HTTP response carries the id itself, in its `extensions`; requests and exceptions are remembered by weak reference,
and what an SDK makes of an answer is found by the ids that the provider gave it.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from contextlib import suppress
from typing import Any, Final

from auditmw.call import Call
from auditmw.errors import CallBlocked

REMEMBERED: Final = 10_000


class AnswerIndex:
    """Which entry belongs to which answer."""

    def __init__(self) -> None:
        self._mark = f"auditmw.request_id.{id(self):x}"
        self._objects: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
        self._ids: OrderedDict[str, str] = OrderedDict()

    def add(self, answer: object, call: Call) -> None:
        """Remember that this object came of this call, and the ids that the provider gave it."""
        with suppress(TypeError):  # neither hashable nor weakly referable: the ids have to do
            self._objects[answer] = call.request_id
        self.add_ids(call)

    def mark(self, http: Any, call: Call) -> None:
        """Have a response or request of httpx2 carry the id."""
        http.extensions[self._mark] = call.request_id

    def add_ids(self, call: Call) -> None:
        """Remember the ids that the provider gave this call."""
        for identity in (call.provider_request_id, call.response_id):
            if identity is not None:
                self._ids[identity] = call.request_id
        while len(self._ids) > REMEMBERED:
            self._ids.popitem(last=False)

    def find(self, answer: Any) -> str | None:
        """The id of the entry, or None if no wrapped client of this trail gave this."""
        if isinstance(answer, CallBlocked):
            return answer.request_id
        for candidate in (answer, *(_get(answer, name) for name in ("response", "http_response", "request"))):
            extensions = _get(candidate, "extensions")
            if isinstance(extensions, dict) and self._mark in extensions:
                return str(extensions[self._mark])
            with suppress(TypeError):
                if (found := self._objects.get(candidate)) is not None:
                    return found
        for name in ("_request_id", "request_id", "id"):
            identity = _get(answer, name)
            if isinstance(identity, str) and identity in self._ids:
                return self._ids[identity]
        return None


def _get(answer: Any, name: str) -> Any:
    if isinstance(answer, dict):
        return answer.get(name)
    try:
        return getattr(answer, name, None)
    except RuntimeError:  # httpx2's way to say that a response or error has no request
        return None
