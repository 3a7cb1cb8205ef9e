"""The write-ahead journal: what was appended survives the death of the process. Payloads are opaque bytes to it."""

from auditmw.journal.file import Journal
from auditmw.journal.filesystem import filesystem_of, volatile_filesystem
from auditmw.journal.follow import Follower
from auditmw.journal.frame import FRAME_BYTES, INTENT, SEALED, Record
from auditmw.journal.recovery import Orphan, Torn, orphans
from auditmw.journal.survey import Survey, survey

__all__ = [
    "FRAME_BYTES",
    "INTENT",
    "SEALED",
    "Follower",
    "Journal",
    "Orphan",
    "Record",
    "Survey",
    "Torn",
    "filesystem_of",
    "orphans",
    "survey",
    "volatile_filesystem",
]
