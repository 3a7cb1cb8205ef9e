"""OpenLLMetry's (Traceloop's) instrumentation of Anthropic, with content as by default."""

from functools import partial

PACKAGES = ("opentelemetry-sdk", "opentelemetry-instrumentation-anthropic==0.62.4")


def set_up(client, folder):
    from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor

    from contenders.exporting import provider

    traces = provider()
    instrumentor = AnthropicInstrumentor()
    return client, traces.shutdown, partial(instrumentor.instrument, tracer_provider=traces), instrumentor.uninstrument
