"""Runs the recognizers of others: in a thread, under a deadline, and with what they report checked."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from auditmw.errors import AuditError
from auditmw.recognizers.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auditmw.recognizers.finding import Recognizer
    from auditmw.recognizers.view import View


class RecognizerFailed(AuditError):  # noqa: N818  (says what happened, as the other exceptions do)
    """A recognizer raised, was too slow, or reported offsets outside the text; the message names it."""


def find_within(deadline: float, recognizers: Sequence[Recognizer], view: View) -> list[Finding]:
    """All that these recognizers find, if they are done within `deadline` seconds together.

    They run in one thread, which nobody waits for longer than that: a recognizer that hangs keeps its thread, not the
    caller.

    Raises:
        RecognizerFailed: with the recognizer's own exception as its cause, if it raised one.
    """
    found: list[Finding] = []
    failures: list[Exception] = []
    current = recognizers[0].name

    def run() -> None:
        nonlocal current
        try:
            for recognizer in recognizers:
                current = recognizer.name
                found.extend(Finding(*finding) for finding in recognizer.find(view))
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=run, name="auditmw-recognizers", daemon=True)
    thread.start()
    thread.join(deadline)
    if thread.is_alive():
        raise RecognizerFailed(
            f"recognizer {current!r} was not done after {deadline} s: make it faster, or raise the deadline"
        )
    if failures:
        raise RecognizerFailed(f"recognizer {current!r} raised {type(failures[0]).__name__}") from failures[0]
    for kind, start, end in found:
        if not 0 <= start < end <= len(view.text):
            raise RecognizerFailed(f"{kind} at {start} to {end} is outside a text of {len(view.text)} characters")
    return found
