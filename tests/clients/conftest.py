"""A provider, a trail in memory and clients for both; and the table of endings, printed after the tests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import anthropic
import openai
import pytest

from auditmw import AuditEntry, AuditTrail
from auditmw.testing import StandInProvider

ENDING = "how an attempt ended"


def plain_client(provider: StandInProvider, **options: Any) -> anthropic.Anthropic:
    """A client of the stand-in; it loads no certificates, which would take longer than most tests here."""
    http_client = anthropic.DefaultHttpxClient(verify=False)
    return anthropic.Anthropic(api_key="test", base_url=provider.url, http_client=http_client, **options)


def plain_async_client(provider: StandInProvider, **options: Any) -> anthropic.AsyncAnthropic:
    """The same, async."""
    http_client = anthropic.DefaultAsyncHttpxClient(verify=False)
    return anthropic.AsyncAnthropic(api_key="test", base_url=provider.url, http_client=http_client, **options)


@pytest.fixture
def make_client(provider: StandInProvider):
    return partial(plain_client, provider)


@pytest.fixture
def make_async_client(provider: StandInProvider):
    return partial(plain_async_client, provider)


@pytest.fixture
def provider() -> Iterator[StandInProvider]:
    with StandInProvider() as running:
        yield running


@pytest.fixture
def trail() -> Iterator[AuditTrail]:
    with AuditTrail("memory://") as running:
        yield running


@pytest.fixture
def client(provider: StandInProvider, trail: AuditTrail) -> Iterator[anthropic.Anthropic]:
    with plain_client(provider, max_retries=0) as plain:
        yield trail.wrap(plain)


@pytest.fixture
async def async_client(provider: StandInProvider, trail: AuditTrail):
    async with plain_async_client(provider, max_retries=0) as plain:
        yield trail.wrap(plain)


@pytest.fixture
def gpt(provider: StandInProvider, trail: AuditTrail) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="test", base_url=provider.openai_url, max_retries=0) as plain:
        yield trail.wrap(plain)


@pytest.fixture
async def async_gpt(provider: StandInProvider, trail: AuditTrail):
    async with openai.AsyncOpenAI(api_key="test", base_url=provider.openai_url, max_retries=0) as plain:
        yield trail.wrap(plain)


@pytest.fixture
def stored(trail: AuditTrail):
    """All entries that are stored once the writer has caught up."""

    def query(**wanted: object) -> list[AuditEntry]:
        trail.sync.flush(10)
        return list(trail.sync.query(**wanted))

    return query


@pytest.fixture
def note_ending(record_property: Callable[[str, object], None]):
    """Add a cell to the table of endings; as a property of the test, which reaches the summary from any process."""

    def note(runtime: str, way: str, ending: str, entry: AuditEntry) -> None:
        status = entry.status + ("" if entry.usage_complete else " *")
        record_property(ENDING, [runtime, way, ending, status])

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    table: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            if name == ENDING:
                runtime, way, ending, status = value
                table[runtime, way][ending] = status
    if not table:
        return
    endings = list(dict.fromkeys(ending for row in table.values() for ending in row))
    width = max(map(len, endings)) + 1
    terminalreporter.section("how an attempt ends (* the final counts were not seen)")
    terminalreporter.line(" " * 27 + "".join(ending.ljust(width) for ending in endings))
    for (runtime, way), row in sorted(table.items()):
        cells = "".join(row.get(ending, "-").ljust(width) for ending in endings)
        terminalreporter.line(f"{runtime:<8}{way:<19}{cells}")
