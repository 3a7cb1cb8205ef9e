"""OpenTelemetry's GenAI instrumentation of Anthropic, without content."""

from functools import partial

PACKAGES = ("opentelemetry-sdk", "opentelemetry-instrumentation-genai-anthropic==1.3b0")


def set_up(client, folder):
    from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor

    from contenders.exporting import provider

    traces = provider()
    instrumentor = AnthropicInstrumentor()
    return client, traces.shutdown, partial(instrumentor.instrument, tracer_provider=traces), instrumentor.uninstrument
