"""Every exception that auditmw raises on purpose. The docstring of a class is its default message."""

from __future__ import annotations

from inspect import cleandoc


class AuditError(Exception):
    """Something in the audit trail went wrong; the subclass and the message say what to do."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or cleandoc(self.__doc__ or ""))


class ConfigurationError(AuditError, ValueError):
    """An option or argument is not usable; the message names it and what would be."""


class PipelineError(ConfigurationError):
    """The middlewares do not form a pipeline: put Writer() first and use forms that fit the calls around them."""


class NotConfigured(AuditError):  # noqa: N818  (a contract name)
    """No trail: call auditmw.configure("sqlite:///audit.db") once at start, or use @trail.audited.

    configure(None) turns auditing off on purpose.
    """


class MissingExtra(AuditError, ImportError):  # noqa: N818  (it names what is missing, not a failure)
    """An optional package is needed; the message names the extra to install."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed: pip install 'auditmw[{extra}]'")


class Blocked(AuditError):  # noqa: N818  (a contract name)
    """Raised by a middleware before its yield to prevent the attempt; give it the reason."""

    @property
    def reason(self) -> str:
        """The reason that was given."""
        return str(self)


class CallBlocked(AuditError):  # noqa: N818  (a contract name)
    """The call was not sent: a middleware blocked it. The reason and the entry's id are attributes."""

    def __init__(self, reason: str, request_id: str | None = None) -> None:
        super().__init__(f"the call was blocked and nothing was sent: {reason}")
        self.reason = reason
        self.request_id = request_id


class AuditUnavailable(AuditError):  # noqa: N818  (says the state, as asyncio.QueueFull does)
    """The audit trail cannot take the call's entry, and on_failure="refuse" was chosen: nothing was sent.

    Free disk space or restore the journal directory; `auditmw doctor` names what failed.
    """


class JournalError(AuditError):
    """The journal cannot be used: free disk space, or give this process write access to the journal directory."""


class TrailClosed(AuditError):  # noqa: N818  (as above)
    """This trail is closed: make a new AuditTrail, or move aclose() to the end of the application."""


class StoreError(AuditError):
    """The store refused; the message says what to do."""


class StoreUnavailable(StoreError):  # noqa: N818  (as above)
    """The store cannot be reached for now: entries wait in the journal, and the writer tries again."""


class PoisonEntry(StoreError):  # noqa: N818  (as above)
    """The store refuses one entry for good; `index` is its place in the batch. It is set aside, the rest goes on."""

    def __init__(self, message: str, index: int) -> None:
        super().__init__(message)
        self.index = index


class SequenceGap(StoreError):  # noqa: N818  (as above)
    """A writer's batch begins after a gap in its sequence: entries are missing. Run `auditmw verify` and `doctor`.

    `last_seq` is the writer's last number in the store.
    """

    def __init__(self, message: str, last_seq: int) -> None:
        super().__init__(message)
        self.last_seq = last_seq


class SchemaMismatch(StoreError):  # noqa: N818  (as above)
    """The database has another schema version than this auditmw: run `auditmw migrate`, or upgrade auditmw."""


class KeyMismatch(AuditError):  # noqa: N818  (as above)
    """The trail was written under another key: point AUDITMW_KEY_FILE or key_file= at the key it was made with."""


class EvidenceError(AuditError):
    """The evidence is malformed or does not hold: treat what it speaks for as changed. The message names the part."""


class TrailDamaged(EvidenceError, StoreError):  # noqa: N818  (as above)
    """The trail cannot be read as it was written: treat it as changed, and restore it from a backup."""


class SigningRefused(EvidenceError):  # noqa: N818  (as above)
    """The signer refuses: this is not the trail that it signed before. Run `auditmw verify`; see docs/evidence.md."""


class NotCovered(AuditError):  # noqa: N818  (as above)
    """No checkpoint covers this entry yet, so it cannot be proven: try again in a minute, when the writer made one."""


class NotSigned(NotCovered):
    """Only unsigned checkpoints cover this entry: run `auditmw keys init`, start the writer again, and try again."""


class NotAProof(EvidenceError):  # noqa: N818  (as above)
    """This is no proof: give the file that `auditmw prove ID --out FILE` wrote."""


class UnknownFormat(EvidenceError):  # noqa: N818  (as above)
    """The evidence has a format that this auditmw does not read, so nothing can be said: upgrade auditmw."""


class ClockJumped(AuditError):  # noqa: N818  (as above)
    """The clock may have been set by more than a day: nothing is deleted before somebody confirms that it is right."""


class NoTrail(StoreError):  # noqa: N818  (as above)
    """There is no trail here: check the URL in --db or AUDITMW_DB."""


class UnknownSigner(EvidenceError):  # noqa: N818  (as above)
    """No key that you trust signed this, so nothing can be said: pin the trail's verification key, got out of band."""
