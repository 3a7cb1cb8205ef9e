"""OpenTelemetry's GenAI instrumentation of Anthropic, without content."""

PACKAGES = ("opentelemetry-sdk", "opentelemetry-instrumentation-genai-anthropic==1.3b0")


def set_up(client, folder):
    from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor

    from contenders.exporting import provider

    traces = provider()
    AnthropicInstrumentor().instrument(tracer_provider=traces)
    return client.with_options(open_telemetry=False), traces.shutdown
