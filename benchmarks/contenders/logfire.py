"""Pydantic Logfire's instrumentation of Anthropic, sending nothing."""

PACKAGES = ("logfire==5.2.0",)


def set_up(client, folder):
    import logfire

    logfire.configure(send_to_logfire=False, console=False)
    logfire.instrument_anthropic(client)
    return client, logfire.shutdown
