"""PresidioRecognizer: names, places and the other kinds that Presidio knows, as a plug-in (extra `presidio`)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from auditmw.errors import MissingExtra
from auditmw.recognizers.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auditmw.recognizers.view import View

_ENTITIES = ("PERSON", "LOCATION", "NRP")


class PresidioRecognizer:
    """Asks a Presidio analyzer. It costs a quarter of a second for 4 KB: give `scan` a deadline that allows for it.

    Args:
        entities: Presidio's names of what to look for; each becomes a kind of the same name.
        language: of the texts, as Presidio's engine knows it.
        analyzer: an `AnalyzerEngine` of one's own, with its models. None makes Presidio's default engine at first use,
            which needs a spaCy model.
        threshold: the least score, 0 to 1.
    """

    def __init__(
        self,
        entities: tuple[str, ...] = _ENTITIES,
        *,
        language: str = "en",
        analyzer: Any = None,
        threshold: float = 0.5,
    ) -> None:
        self.name = "presidio"
        self.kinds = entities
        self.rules = (entities, language, threshold)
        self._language = language
        self._threshold = threshold
        self._analyzer = analyzer
        self._lock = threading.Lock()

    def find(self, view: View) -> Iterator[Finding]:
        """What Presidio finds in the text as written.

        Raises:
            MissingExtra: Presidio is not installed.
        """
        results = self._engine().analyze(
            text=view.text, language=self._language, entities=list(self.kinds), score_threshold=self._threshold
        )
        for result in results:
            yield Finding(result.entity_type, result.start, result.end)

    def _engine(self) -> Any:
        with self._lock:
            if self._analyzer is None:
                try:
                    from presidio_analyzer import AnalyzerEngine
                except ImportError as error:
                    raise MissingExtra("presidio-analyzer", "presidio") from error
                self._analyzer = AnalyzerEngine()
        return self._analyzer
