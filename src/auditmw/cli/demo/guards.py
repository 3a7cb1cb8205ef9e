"""Two middlewares of an application, as one would write them: what they refuse is on record as `blocked`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from auditmw.call import Call
from auditmw.errors import Blocked
from auditmw.recognizers import scan


def no_keys(call: Call) -> Iterator[None]:
    """Refuse to send a prompt that holds a credential."""
    if any(scan(text, kinds={"SECRET", "PASSWORD"}) for text in _texts(call.request)):
        raise Blocked("the prompt holds a credential")
    yield


def token_budget(limits: Mapping[str, int]) -> Callable[[Call], Iterator[None]]:
    """A middleware that refuses a user's calls once their answers took more tokens than the user may use."""
    used: Counter[str] = Counter()

    def budget(call: Call) -> Iterator[None]:
        user = call.user_id or ""
        if user in limits and used[user] >= limits[user]:
            raise Blocked(f"{user} has used {used[user]:,} of {limits[user]:,} tokens")
        yield
        if call.usage is not None:
            used[user] += (call.usage.input_tokens or 0) + (call.usage.output_tokens or 0)

    return budget


def _texts(body: object) -> Iterator[str]:
    if isinstance(body, str):
        yield body
    elif isinstance(body, dict):
        for value in body.values():
            yield from _texts(value)
    elif isinstance(body, list):
        for value in body:
            yield from _texts(value)
