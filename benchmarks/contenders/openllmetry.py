"""OpenLLMetry's (Traceloop's) instrumentation of Anthropic, with content as by default."""

PACKAGES = ("opentelemetry-sdk", "opentelemetry-instrumentation-anthropic==0.62.4")


def set_up(client, folder):
    from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor

    from contenders.exporting import provider

    traces = provider()
    AnthropicInstrumentor().instrument(tracer_provider=traces)
    return client.with_options(open_telemetry=False), traces.shutdown
