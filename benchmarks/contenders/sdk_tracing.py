"""The Anthropic SDK's own OpenTelemetry spans, without content."""

PACKAGES = ("opentelemetry-sdk",)


def set_up(client, folder):
    from contenders.exporting import provider

    traces = provider()
    return client.with_options(open_telemetry={"tracer_provider": traces}), traces.shutdown
