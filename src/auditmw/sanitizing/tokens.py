"""Tokens that stand for what was found: typed, the same for the same value in a session, and not to be guessed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final

SUFFIX_LENGTH: Final = 10
_SHAPED: Final = re.compile(r"_[a-z]{10}", re.ASCII | re.IGNORECASE)
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz"
_NOT_A_NAME: Final = re.compile(r"[^A-Z0-9]+")
Digest = Callable[[bytes], bytes]


class Tokens:
    """The tokens of one request and what they stand for; gone with it, and never stored.

    `EMAIL_qmzkvuhwtr` is its kind and 47 bits of an HMAC over tenant, session, kind and value. Who has no key cannot
    make one up, and a text that holds a token already, copied from an earlier answer, does not become its value: where
    the request says `EMAIL_qmzkvuhwtr` itself, the value gets another token. Letters only: no recognizer takes it for
    a password or a key.
    """

    def __init__(self, digest: Digest, tenant: str | None, session: str | None) -> None:
        self._digest = digest
        self._scope = (tenant, session)
        self._taken: set[str] = set()
        self._issued: dict[tuple[str, str], str] = {}
        self.values: dict[str, str] = {}
        """What each token stands for; the tokens in lower case."""

    def __bool__(self) -> bool:
        return bool(self.values)

    def avoid(self, text: str) -> None:
        """Issue no token that this text holds."""
        for match in _SHAPED.finditer(text):
            self._taken.add(match.group().lower())

    def token(self, kind: str, value: str) -> str:
        """The token for a value."""
        issued = self._issued.get((kind, value))
        if issued is None:
            issued = self._issued[kind, value] = self._issue(kind, value)
            self.values[issued.lower()] = value
        return issued

    def _issue(self, kind: str, value: str) -> str:
        name = _NOT_A_NAME.sub("_", kind.upper())
        number = 0
        while True:
            said = json.dumps(["auditmw token", *self._scope, kind, value, number])
            suffix = _letters(int.from_bytes(self._digest(said.encode())[:8], "big"))
            if f"_{suffix}" not in self._taken:
                self._taken.add(f"_{suffix}")
                return f"{name}_{suffix}"
            number += 1

    def hide(self, text: str) -> str:
        """The text with every value replaced by its token, wherever it stands."""
        if not self._issued:
            return text
        tokens = {value: token for (_, value), token in self._issued.items()}
        longest_first = sorted(tokens, key=len, reverse=True)
        return re.sub("|".join(map(re.escape, longest_first)), lambda match: tokens[match.group()], text)


def _letters(number: int) -> str:
    letters = ""
    for _ in range(SUFFIX_LENGTH):
        number, letter = divmod(number, 26)
        letters += _ALPHABET[letter]
    return letters
