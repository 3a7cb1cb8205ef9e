"""Puts what tokens stand for back: into texts, into whole answers, and into texts that come in parts."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from auditmw.sanitizing.document import Document
from auditmw.sanitizing.rebuilding import Changes, rebuilt
from auditmw.sanitizing.structured import is_answer
from auditmw.sanitizing.tokens import SUFFIX_LENGTH, Tokens

_PART_OF_TOKEN: Final = re.compile(r"[0-9A-Za-z_]*\Z")


class Restorer:
    """Restores the tokens of one request, in upper, lower or mixed case: models change it.

    With `json_answers` the texts of the answer are JSON themselves, and stay so.
    """

    def __init__(self, tokens: Tokens, *, json_answers: bool = False) -> None:
        self.json_answers = json_answers
        self._values = tokens.values
        names = sorted({token[: -SUFFIX_LENGTH - 1] for token in self._values}, key=len, reverse=True)
        alternatives = "|".join(map(re.escape, names))
        self._shape = re.compile(rf"(?:{alternatives})_[a-z]{{{SUFFIX_LENGTH}}}", re.ASCII | re.IGNORECASE)
        self._longest = max(map(len, self._values))
        self._beginnings = {token[:length] for token in self._values for length in range(1, len(token))}

    def text(self, text: str, *, in_json: bool = False) -> str:
        """The text with the values in place of the tokens; escaped where the text is JSON."""
        restored, done = self.known(text, in_json=in_json)
        return restored + text[done:] if done else text

    def known(self, text: str, *, in_json: bool = False) -> tuple[str, int]:
        """The text up to the end of its last token, restored, and where that is."""
        parts: list[str] = []
        done = 0
        match = self._shape.search(text)
        while match is not None:
            value = self._values.get(match.group().lower())
            if value is None:  # one that only looks like ours; another may begin inside
                match = self._shape.search(text, match.start() + 1)
                continue
            parts += (text[done : match.start()], json.dumps(value)[1:-1] if in_json else value)
            done = match.end()
            match = self._shape.search(text, done)
        return "".join(parts), done

    def split(self, text: str, done: int) -> int:
        """Where, from `done` on, the longest end of the text begins that may begin a token; its length if none may."""
        run = _PART_OF_TOKEN.search(text, max(done, len(text) - self._longest + 1))
        assert run is not None  # noqa: S101  (the pattern matches the empty end too)
        for start in range(run.start(), len(text)):
            if text[start:].lower() in self._beginnings:
                return start
        return len(text)

    def value(self, value: Any) -> Any:
        """A whole answer with its values restored, or itself where there is none; thinking stays as it is signed."""
        if isinstance(value, str):
            return self.text(value)
        document = Document(value)
        changes = Changes()
        for segment in document.segments:
            said = document.text_of(segment)
            in_json = segment.form == "json" or (self.json_answers and is_answer(segment.holder, segment.slot))
            text = self.text(said, in_json=in_json)
            if text is not said and segment.form in {"text", "json"}:
                (changes.keys if segment.is_key else changes.values)[id(segment.holder), segment.slot] = text
        return rebuilt(document, changes) if changes else value


class TextStream:
    """A text that comes in parts: what may be the beginning of a token waits for the next part."""

    def __init__(self, restorer: Restorer) -> None:
        self._restorer = restorer
        self._held = ""

    def feed(self, part: str, *, in_json: bool = False) -> str:
        """The next part, with what was held back before it and without what must wait."""
        text = self._held + part
        restored, done = self._restorer.known(text, in_json=in_json)
        start = self._restorer.split(text, done)
        self._held = text[start:]
        return restored + text[done:start]

    def rest(self) -> str:
        """What is still held back, when no more comes: no whole token."""
        held, self._held = self._held, ""
        return held
