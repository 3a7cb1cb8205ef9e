"""Applies what was decided about findings to a body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from auditmw.sanitizing.document import Document, Form
from auditmw.sanitizing.rebuilding import Changes, rebuilt
from auditmw.sanitizing.spans import Spans

Replacement = Callable[[str, str], str | None]
"""From a kind and a value to what is put in its place; None leaves it."""


def cleaned(document: Document, spans: Spans, replacement: Replacement) -> Any:
    """The body with its findings replaced: the same object if none is, else a copy."""
    changes = Changes()
    for index, found in spans.items():
        segment = document.segments[index]
        text = document.text_of(segment)
        parts: list[str] = []
        done = 0
        for span in found:
            new = replacement(span.kind, _meant(text[span.start : span.end], segment.form))
            if new is not None:
                parts += (text[done : span.start], new)
                done = span.end
        if parts:
            new_text = "".join([*parts, text[done:]])
            value = new_text if segment.form in {"text", "json"} else new_text.encode(segment.form)
            (changes.keys if segment.is_key else changes.values)[id(segment.holder), segment.slot] = value
    return rebuilt(document, changes) if changes else document.root[0]


def _meant(value: str, form: Form) -> str:
    """The value itself where a text writes it with the escapes of JSON."""
    if form == "json" and "\\" in value:
        try:
            return msgspec.json.decode(f'"{value}"', type=str)
        except (msgspec.MsgspecError, UnicodeEncodeError):
            return value
    return value
