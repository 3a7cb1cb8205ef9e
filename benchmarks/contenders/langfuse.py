"""Langfuse: the call in a coroutine that `@observe` records as a generation, with content as by default."""

from types import SimpleNamespace

PACKAGES = ("langfuse==5.0.4",)
MODES = ("create", "short", "concurrent", "large")


def set_up(client, folder):
    from langfuse import Langfuse, observe

    from contenders.exporting import nowhere

    langfuse = Langfuse(public_key="pk-test", secret_key="sk-test", span_exporter=nowhere())

    @observe(as_type="generation")
    async def answer(**request):
        return await client.messages.create(**request)

    return SimpleNamespace(messages=SimpleNamespace(create=answer)), langfuse.shutdown
