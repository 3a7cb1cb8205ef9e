"""OpenTelemetry's GenAI instrumentation of Anthropic, without content."""

PACKAGES = ("opentelemetry-sdk", "opentelemetry-instrumentation-genai-anthropic==1.3b0")


def set_up(client, folder):
    from contenders.exporting import provider
    from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor

    traces = provider()
    AnthropicInstrumentor().instrument(tracer_provider=traces)
    return client.with_options(open_telemetry=False), traces.shutdown
