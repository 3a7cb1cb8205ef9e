"""What must not leave does not leave: personal data and credentials are taken out of a request before it is sent."""

from __future__ import annotations

import copy
import hashlib
import hmac
import secrets
from collections.abc import Generator, Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, Final, Literal, Self

from auditmw.call import Call
from auditmw.canonical import made_safe
from auditmw.diagnostics import report
from auditmw.errors import Blocked, ConfigurationError
from auditmw.middleware.protocol import Services
from auditmw.recognizers import (
    DEFAULT_KINDS,
    KINDS,
    RULES_VERSION,
    Finding,
    Recognizer,
    RecognizerFailed,
    rules_hash,
    scan,
)
from auditmw.sanitizing.actions import DEFAULT, Action, chosen, keyed_hash, mask
from auditmw.sanitizing.cleaning import cleaned
from auditmw.sanitizing.document import Document
from auditmw.sanitizing.returning import Returning
from auditmw.sanitizing.spans import Spans, count, locate
from auditmw.sanitizing.tokens import Tokens
from auditmw.sanitizing.windows import scan_in_windows

NOT_SCANNED: Final = "NOT_SCANNED"
"""In `sanitization`: how many blocks and texts were left out (thinking, encrypted content, pictures, credentials)."""
MODELS_REMEMBERED: Final = 256
READ_OF_MESSAGE: Final = 8000
"""Characters of an error message that are read; far fewer are stored."""


class Sanitizer:
    """Takes personal data and credentials out of what is sent, and out of what is stored about it.

    `Sanitizer()` replaces SECRET, PASSWORD, CARD, IBAN and SSN and counts the other kinds; `Sanitizer.strict()`
    replaces all. The whole body is read but what is signed or encrypted (thinking), the Base64 of pictures, sound and
    PDFs, and credentials for MCP servers; those are counted. Tokens are put back into the answer, but not into the
    results of a batch, which come hours later to nobody who knows them.

    Args:
        actions: what to do with a kind: "replace" by a token, "mask" by the kind's name, "hash" under the trail's key,
            "block" the call, or only "count"; for kinds not named, the default stays.
        restore: whether tokens in the answer become their values again before the caller sees it.
        recognizers: of one's own, beside the built-in ones; their kinds are replaced unless `actions` says otherwise.
        on_error: what to do with a call when a recognizer fails: "block" it, "remove" all that the built-in recognizers
            find, of every kind, or "continue" with what they find. The entry says so in each case.
        deadline: the seconds that `recognizers` may take together, for each half a million characters.

    Raises:
        ConfigurationError: an action, kind or `on_error` that there is not.
    """

    offloads: Final = True

    def __init__(
        self,
        actions: Mapping[str, Action] | None = None,
        *,
        restore: bool = True,
        recognizers: Sequence[Recognizer] = (),
        on_error: Literal["block", "remove", "continue"] = "block",
        deadline: float = 1.0,
    ) -> None:
        if on_error not in {"block", "remove", "continue"}:
            raise ConfigurationError(f"on_error is {on_error!r}: use 'block', 'remove' or 'continue'")
        own = {kind for recognizer in recognizers for kind in recognizer.kinds}
        self._actions: dict[str, Action] = {
            **dict.fromkeys(DEFAULT_KINDS, "count"),
            **DEFAULT,
            **dict.fromkeys(own, "replace"),
            **chosen(actions or {}, KINDS | own),
        }
        self._kinds = KINDS.intersection(self._actions)
        self._restore = restore
        self._recognizers = tuple(recognizers)
        self._failure = on_error
        self._deadline = deadline
        self._services: Services | None = None
        self._clean_models: set[str] = set()
        self._random = secrets.token_bytes(32)
        self.on_error: Literal["block", "continue"] = "continue" if on_error == "continue" else "block"
        self.waits: bool = bool(recognizers)
        """Whether recognizers of others run, which no event loop should wait for."""

    @classmethod
    def strict(cls, actions: Mapping[str, Action] | None = None, **options: Any) -> Self:
        """One that replaces every kind, dates too, but those that `actions` names."""
        return cls({**dict.fromkeys(KINDS, "replace"), **(actions or {})}, **options)

    def bind(self, services: Services) -> Self:
        """A copy that makes tokens and hashes with this trail's key; without one, with a key of this process."""
        bound = copy.copy(self)
        bound._services = services  # noqa: SLF001  (its own class)
        return bound

    @cached_property
    def rules(self) -> str:
        """The version and hash of the rules in force, as entries show them."""
        digest = rules_hash()
        if self._recognizers:
            own = [(r.name, r.kinds, getattr(r, "rules", None)) for r in self._recognizers]
            digest = hashlib.sha256(f"{digest}{own}".encode()).hexdigest()
        return f"{RULES_VERSION}:{digest[:16]}"

    def around(self, call: Call) -> Generator[None, None, None]:
        """Clean the request; register what restores the answer."""
        tokens = self._tokens(call)
        if call.request is not None:
            self._clean_request(call, tokens)
        yield
        if call.error_message is not None:
            call.error_message = tokens.hide(call.error_message[:READ_OF_MESSAGE])

    def clean_stored(self, call: Call) -> None:
        """Clean what is about to be stored: the error message and the metadata, keys too. What cannot be is dropped."""
        if call.error_message is None and not call.metadata:
            return
        message = None if call.error_message is None else call.error_message[:READ_OF_MESSAGE]
        try:
            document = Document({"text": message, "metadata": call.metadata})
            if document.unreadable:
                metadata, changed = made_safe(call.metadata)
                document = Document({"text": message, "metadata": metadata})
                call.audit_errors += changed
            stored = cleaned(document, self._search(document), self._replacement(self._tokens(call), stored=True))
            call.error_message, call.metadata = stored["text"], stored["metadata"]
        except Exception as error:
            self._count_failure(call, error)
            if self._failure != "continue":
                call.error_message = None if message is None else "not kept: the sanitizer could not read it"
                call.metadata = {}

    def _clean_request(self, call: Call, tokens: Tokens) -> None:
        document = Document(call.request, self._clean_models)
        if document.unreadable:
            self._fail(call, f"it holds {_listed(document.unreadable)}, which cannot be read: send plain data")
        removes = False
        try:
            spans = self._search(document)
            if not spans:
                self._remember_model(call.request)
        except RecognizerFailed as error:
            self._fail(call, str(error))
            removes = self._failure == "remove"
            spans = self._built_in(document, KINDS if removes else self._kinds)
        call.sanitizer_rules = self.rules
        call.sanitization = counts = dict(count(spans)) if spans else {}
        call.sanitization_count = sum(counts.values())
        if document.not_scanned:
            call.sanitization = {**counts, NOT_SCANNED: document.not_scanned}
        if not spans:
            return
        self._refuse_blocked(counts)
        if self._restore:
            tokens.avoid(document.text)
        call.request = cleaned(document, spans, _removed if removes else self._replacement(tokens, stored=False))
        if tokens and self._restore:
            call.on_chunk(Returning(call, tokens))

    def _refuse_blocked(self, kinds: Iterable[str]) -> None:
        refused = [kind for kind in kinds if self._action(kind) == "block"]
        if refused:
            raise Blocked(f"it holds {_listed(refused)}, which must not be sent: take it out")

    def _remember_model(self, request: Any) -> None:
        """Read a model's name once, not in each request: its digits would have many recognizers look at all."""
        model = request.get("model") if isinstance(request, dict) else None
        if isinstance(model, str) and len(self._clean_models) < MODELS_REMEMBERED:
            self._clean_models.add(model)

    def _search(self, document: Document) -> Spans:
        findings = self._scan(document.text) if document.text else []
        return locate(document, findings, self._scan, self._acts) if findings else {}

    def _scan(self, text: str) -> list[Finding]:
        return scan_in_windows(
            text, partial(scan, kinds=self._kinds, recognizers=self._recognizers, deadline=self._deadline)
        )

    def _built_in(self, document: Document, kinds: frozenset[str]) -> Spans:
        def find(text: str) -> list[Finding]:
            return scan_in_windows(text, partial(scan, kinds=kinds))

        return locate(document, find(document.text), find, lambda _: True)

    def _action(self, kind: str) -> Action:
        return self._actions.get(kind, "replace")

    def _acts(self, kind: str) -> bool:
        return self._action(kind) != "count"

    def _replacement(self, tokens: Tokens, *, stored: bool) -> Any:
        def replacement(kind: str, value: str) -> str | None:
            action = self._action(kind)
            if action == "replace" or (stored and action == "block"):
                return tokens.token(kind, value)
            if action == "mask":
                return mask(kind)
            return keyed_hash(kind, value, self._digest) if action == "hash" else None

        return replacement

    def _tokens(self, call: Call) -> Tokens:
        return Tokens(self._digest, call.tenant, call.session_id)

    def _digest(self, data: bytes) -> bytes:
        key = None if self._services is None else self._services.hash_key
        return hmac.digest(self._random, data, "sha256") if key is None else key.digest_bytes(data)

    def _fail(self, call: Call, reason: str) -> None:
        """Count the failure; refuse the call unless it is to go on."""
        self._count_failure(call, reason)
        if self._failure == "block":
            call.error_type = "sanitizer_failed"
            raise Blocked(f"the sanitizer failed: {reason}")
        meaning = "let through" if self._failure == "continue" else "all that was found was removed"
        call.metadata = {**call.metadata, "sanitizer_failed": f"{reason}; {meaning}"}

    def _count_failure(self, call: Call, error: object) -> None:
        call.audit_errors += 1
        report("auditmw.sanitizer_failed", error=str(error), request_id=call.request_id)


def _removed(kind: str, _value: str) -> str:
    return mask(kind)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names)))
