"""OpenInference's (Arize's) instrumentation of Anthropic, with content as by default."""

from functools import partial

PACKAGES = ("opentelemetry-sdk", "openinference-instrumentation-anthropic==3.1.0")


def set_up(client, folder):
    from openinference.instrumentation.anthropic import AnthropicInstrumentor

    from contenders.exporting import provider

    traces = provider()
    instrumentor = AnthropicInstrumentor()
    return client, traces.shutdown, partial(instrumentor.instrument, tracer_provider=traces), instrumentor.uninstrument
