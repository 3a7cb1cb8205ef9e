"""The tools that bench_sanitizer compares, each as a function from a text to (kind, start, end)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    Scan = Callable[[str], list[tuple[str, int, int]]]

ALIASES = {
    "EMAIL_ADDRESS": "EMAIL", "PHONE_NUMBER": "PHONE", "CREDIT_CARD": "CARD", "IBAN_CODE": "IBAN", "US_SSN": "SSN",
    "IP_ADDRESS": "IP", "US_PASSPORT": "PASSPORT", "DATE_TIME": "DATE", "BANK_CARD": "CARD", "URL": "URL",
    "EMAIL": "EMAIL", "PHONE": "PHONE", "CRYPTO": "CRYPTO", "SSN": "SSN", "IBAN": "IBAN", "IP": "IP", "DATE": "DATE",
    "PASSPORT": "PASSPORT", "DOB": "DATE",
}  # fmt: skip


class Tool(NamedTuple):
    """`scan` as a user would call it, `scan_all` with every kind on; only fast ones meet the hostile inputs."""

    scan: Scan
    scan_all: Scan
    fast: bool


def auditmw() -> Tool:
    from auditmw.recognizers import KINDS, scan

    def scan_all(text: str) -> list[tuple[str, int, int]]:
        return scan(text, kinds=KINDS)

    return Tool(scan, scan_all, fast=True)


def presidio() -> Tool:
    """Pattern recognizers only: no model, no names."""
    import tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NoOpNlpEngine

    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())  # its own list, no download
    engine = NoOpNlpEngine(models=[{"lang_code": "en", "model_name": "none"}])
    engine.load()
    analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])

    def scan(text: str) -> list[tuple[str, int, int]]:
        found = analyzer.analyze(text=text, language="en")
        return [(ALIASES.get(r.entity_type, r.entity_type), r.start, r.end) for r in found]

    return Tool(scan, scan, fast=False)


def presidio_rs() -> Tool:
    module = importlib.import_module("presidio_rs")
    analyzer = module.Analyzer()

    def scan(text: str) -> list[tuple[str, int, int]]:
        found = analyzer.analyze(text)
        return [(ALIASES.get(r["entity_type"], r["entity_type"]), r["start"], r["end"]) for r in found]

    return Tool(scan, scan, fast=False)


def datafog() -> Tool:
    module = importlib.import_module("datafog")

    def scan(text: str) -> list[tuple[str, int, int]]:
        found = module.scan(text, engine="regex").entities
        return [(ALIASES.get(e.type, e.type), e.start, e.end) for e in found]

    return Tool(scan, scan, fast=True)


def argus_redact() -> Tool:
    module = importlib.import_module("argus_redact")

    def scan(text: str) -> list[tuple[str, int, int]]:
        found = module.redact(text, mode="fast", lang="en", report=True).entities
        return [(kind(e["type"].upper()), e["start"], e["end"]) for e in found]

    def kind(name: str) -> str:
        return "SECRET" if "KEY" in name or "TOKEN" in name else ALIASES.get(name, name)

    return Tool(scan, scan, fast=True)


def detect_secrets() -> Tool:
    """Its plugins line by line, without the eager mode that alarms on everything."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    plugins = [make() for make in get_mapping_from_secret_type_to_class().values()]

    def scan(text: str) -> list[tuple[str, int, int]]:
        found = []
        base = 0
        for line in text.splitlines(keepends=True):
            for plugin in plugins:
                for secret in plugin.analyze_line(filename="", line=line, line_number=1):
                    at = line.find(secret.secret_value or "\n")
                    if at >= 0:
                        end = at + len(secret.secret_value)
                        while end < len(line) and (line[end].isalnum() or line[end] in "_-"):
                            end += 1  # some plugins give the mark alone
                        found.append(("SECRET", base + at, base + end))
            base += len(line)
        return found

    return Tool(scan, scan, fast=False)


MAKERS: dict[str, Callable[[], Tool]] = {
    "auditmw": auditmw,
    "presidio": presidio,
    "presidio-rs": presidio_rs,
    "datafog": datafog,
    "argus-redact": argus_redact,
    "detect-secrets": detect_secrets,
}


def make(name: str) -> Tool | None:
    """The tool, or None if it is not installed."""
    try:
        return MAKERS[name]()
    except ImportError:
        return None
