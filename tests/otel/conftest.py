from __future__ import annotations

import anthropic
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from auditmw import AuditTrail
from auditmw.testing import StandInProvider


@pytest.fixture
def provider():
    with StandInProvider() as running:
        yield running


@pytest.fixture
def trail():
    with AuditTrail("memory://") as running:
        yield running


@pytest.fixture
def spans():
    return InMemorySpanExporter()


@pytest.fixture
def tracing(spans):
    tracer_provider = TracerProvider()
    tracer_provider.add_span_processor(SimpleSpanProcessor(spans))
    return tracer_provider


@pytest.fixture
def plain(provider, tracing):
    """A client of the SDK that traces itself."""
    options = {"tracer_provider": tracing}
    with anthropic.Anthropic(api_key="test", base_url=provider.url, open_telemetry=options) as client:
        yield client
