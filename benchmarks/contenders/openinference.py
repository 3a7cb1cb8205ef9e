"""OpenInference's (Arize's) instrumentation of Anthropic, with content as by default."""

PACKAGES = ("opentelemetry-sdk", "openinference-instrumentation-anthropic==3.1.0")


def set_up(client, folder):
    from openinference.instrumentation.anthropic import AnthropicInstrumentor

    from contenders.exporting import provider

    traces = provider()
    AnthropicInstrumentor().instrument(tracer_provider=traces)
    return client.with_options(open_telemetry=False), traces.shutdown
