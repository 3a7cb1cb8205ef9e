"""What a recognizer reports, and what a recognizer is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from auditmw.recognizers.view import View


class Finding(NamedTuple):
    """Something found in a text: `text[start:end]` is of this kind. Never holds the value itself."""

    kind: str
    start: int
    end: int


@runtime_checkable
class Recognizer(Protocol):
    """Finds values of some kinds in a text.

    A recognizer keeps no state between calls and may be called from several threads at once. Any object with these
    three names is one; pass it to `scan(text, recognizers=[...])`.
    """

    @property
    def name(self) -> str:
        """What messages call it; unique among the recognizers in use."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that it can report, in upper case."""

    def find(self, view: View) -> Iterable[Finding]:
        """Report what is in `view.text`, with offsets into it, in any order; overlaps are resolved afterwards."""
