"""SECRET: the values in a Kubernetes Secret's manifest, which are Base64 and encrypted by nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from auditmw.recognizers.entropy import is_stand_in
from auditmw.recognizers.finding import Finding
from auditmw.recognizers.regex import Regex

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auditmw.recognizers.view import View

_KIND = Regex(rb"kind[\"']?:[ \t]*[\"']?[Ss]ecret[\"']?[ \t]*[\r\n,]")
_DATA = Regex(rb"\n?[ \t]*[\"']?data[\"']?:[ \t]*\{?[ \t]*\r?\n")
_VALUE = Regex(
    rb"[ \t]+[\"']?[0-9A-Za-z_.-]+[\"']?:[ \t]*(?:\|-?\s+)?[\"']?([0-9A-Za-z+/]{8,}={0,2})[\"']?,?[ \t]*(?:\r?\n|\z)"
)
_LINE = Regex(rb"[ \t]+[^\r\n]*(?:\r?\n|\z)")
_AROUND = 4096


class KubernetesSecretRecognizer:
    """Gated by `kind:`; looks at the one document around it."""

    name = "kubernetes secret"
    kinds = ("SECRET",)
    gate: Final = "keyword"
    keywords = (b"kind:", b'kind":')
    rules = (_KIND, _DATA, _VALUE)

    def find(self, view: View) -> Iterator[Finding]:
        """Values under `data`."""
        data = view.data
        done = 0
        for _, start, _ in view.hits.get(self.name, ()):
            if start < done or not _KIND.match(data, start, start + 40):
                continue
            begin = max(start - _AROUND, done, 0)
            begin = max(begin, data.rfind(b"\n---", begin, start))
            end = data.find(b"\n---", start, start + _AROUND)
            done = min(len(data), start + _AROUND) if end < 0 else end
            heading = _DATA.search(data, begin, done)
            at = heading.end() if heading else done
            while at < done:
                value = _VALUE.match(data, at, done)
                if value and not is_stand_in(value.group(1)):
                    yield Finding("SECRET", *view.span(*value.span(1)))
                line = value or _LINE.match(data, at, done)
                if line is None:
                    break
                at = line.end()
