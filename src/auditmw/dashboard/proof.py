"""Whether one entry can be proven, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from auditmw.errors import (
    AuditError,
    ConfigurationError,
    EvidenceError,
    NotCovered,
    NotSigned,
    StoreError,
    UnknownSigner,
)
from auditmw.log.keys import Verifier
from auditmw.proving import prove_entry


class Proof(NamedTuple):
    """What is known of an entry's proof: its state, a sentence, and the checkpoint that it leads to."""

    state: Literal["proven", "consistent", "waiting", "changed", "none"]
    says: str
    checkpoint: str | None = None


def proof_of(url: str, request_id: str, verifiers: Sequence[Verifier]) -> Proof:
    """Recompute the entry's leaf, and follow its path to the newest checkpoint."""
    try:
        found = prove_entry(url, request_id)
    except NotSigned as error:
        return Proof("waiting", str(error))
    except NotCovered:
        return Proof("waiting", "No checkpoint covers this entry yet: the writer makes one within a minute.")
    except (ConfigurationError, StoreError) as error:
        return Proof("none", f"Nothing can be proven here: {error}.")
    except EvidenceError as error:
        return Proof("changed", f"The entry is not as it was written: {error}.")
    except AuditError as error:
        return Proof("none", f"Nothing can be proven here: {error}.")
    try:
        checkpoint = found.verify(verifiers)
    except UnknownSigner:
        size = found.check_path().size
        missing = "no key was given to check its signature" if not verifiers else "none of your keys signed that"
        says = f"As it was written, by a checkpoint over {size:,} entries; {missing}."
        return Proof("consistent", says, found.checkpoint)
    except EvidenceError as error:
        return Proof("changed", f"The proof does not hold: {error}.", found.checkpoint)
    says = f"Proven: its path leads to the checkpoint over {checkpoint.size:,} entries that your key signed."
    return Proof("proven", says, found.checkpoint)
