"""PatternRecognizer: a kind of one's own from a pattern."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditmw.errors import ConfigurationError
from auditmw.recognizers.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auditmw.recognizers.view import View


class PatternRecognizer:
    r"""Finds what a pattern matches, in the text as written and, where that differs, as it reads once folded.

    The pattern is RE2 syntax: no look-around and no back references, and linear in the text. Where it has a group
    named `value`, that group is the finding.

        scan(text, recognizers=[PatternRecognizer("TICKET", r"(?i)\bticket[ #-]*(?P<value>[0-9]{6})\b")])
    """

    def __init__(self, kind: str, pattern: str, *, name: str | None = None) -> None:
        """Compile the pattern.

        Raises:
            ConfigurationError: the kind is not an upper-case name, RE2 cannot compile the pattern, or it matches the
                empty text.
        """
        import re2

        if not kind.isidentifier() or not kind.isupper():
            raise ConfigurationError(f"{kind!r} is no kind: use an upper-case name such as EMPLOYEE_ID")
        options = re2.Options()
        options.log_errors = False
        try:
            self._pattern = re2.compile(pattern, options)
        except re2.error as error:
            reason = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else error
            raise ConfigurationError(
                f"RE2 cannot compile the pattern for {kind} ({reason}): it has no look-around and no back references"
            ) from error
        self._group: int = self._pattern.groupindex.get("value", 0)
        if self._pattern.fullmatch(""):
            raise ConfigurationError(
                f"the pattern for {kind} matches the empty text: let it need one character at least"
            )
        self.name = name or f"pattern {kind}"
        self.kinds = (kind,)
        self.rules = (pattern,)

    def find(self, view: View) -> Iterator[Finding]:
        """Every match that does not overlap an earlier one."""
        # RE2 reads UTF-8, which has no lone surrogates; the stand-in has the same length, so offsets hold.
        text = view.text.encode("utf-8", "replace").decode()
        for start, end in self._spans(text):
            yield Finding(self.kinds[0], start, end)
        if not text.isascii():
            for start, end in self._spans(view.data.decode("latin-1")):
                yield Finding(self.kinds[0], *view.span(start, end))

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        for match in self._pattern.finditer(text):
            start, end = match.span(self._group)
            if start < end:
                yield start, end
