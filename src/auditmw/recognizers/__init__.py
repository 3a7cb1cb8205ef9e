"""Finds personal data and credentials in texts.

`scan` is the way in. A recognizer of one's own is an object with a name, kinds and `find` (see `Recognizer`), or a
`PatternRecognizer`.
"""

from auditmw.recognizers.engine import DEFAULT_KINDS, KINDS, RULES_VERSION, rules_hash, scan
from auditmw.recognizers.finding import Finding, Recognizer
from auditmw.recognizers.guarded import RecognizerFailed
from auditmw.recognizers.pattern import PatternRecognizer
from auditmw.recognizers.presidio import PresidioRecognizer
from auditmw.recognizers.view import View

__all__ = [
    "DEFAULT_KINDS",
    "KINDS",
    "RULES_VERSION",
    "Finding",
    "PatternRecognizer",
    "PresidioRecognizer",
    "Recognizer",
    "RecognizerFailed",
    "View",
    "rules_hash",
    "scan",
]
