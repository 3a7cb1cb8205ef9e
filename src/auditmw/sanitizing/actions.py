"""What is done with a finding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, get_args

from auditmw.errors import ConfigurationError

Action = Literal["replace", "mask", "hash", "block", "count"]
"""By a token that is put back into the answer; by the kind's name; by a keyed hash; refuse the call; leave it."""
DEFAULT: Final[Mapping[str, Action]] = dict.fromkeys(("SECRET", "PASSWORD", "CARD", "IBAN", "SSN"), "replace")


def chosen(actions: Mapping[str, Action], kinds: Iterable[str]) -> dict[str, Action]:
    """The actions, checked.

    Raises:
        ConfigurationError: an action that there is not, or a kind that no recognizer finds.
    """
    known = set(kinds)
    for kind, action in actions.items():
        if action not in get_args(Action):
            raise ConfigurationError(f"the action for {kind} is {action!r}: use one of {', '.join(get_args(Action))}")
        if kind not in known:
            raise ConfigurationError(f"no recognizer finds {kind!r}: use one of {', '.join(sorted(known))}")
    return dict(actions)


def mask(kind: str) -> str:
    """The same for every value of a kind."""
    return f"[{kind}]"


def keyed_hash(kind: str, value: str, digest: Callable[[bytes], bytes]) -> str:
    """The same for equal values under one key, in every session; nothing to anybody without the key."""
    said = f"auditmw hash\x00{kind}\x00{value}".encode("utf-8", "surrogatepass")
    return f"[{kind}:{digest(said)[:8].hex()}]"
