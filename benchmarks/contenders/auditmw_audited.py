"""The client as it is, in a coroutine that `@audited` records; the sanitizer is left out."""

from types import SimpleNamespace

from auditmw import AuditTrail
from auditmw.middleware import CostCalculator, Hasher, Timer, Writer

MODES = ("create", "short", "concurrent", "large")


def set_up(client, folder):
    trail = AuditTrail(f"sqlite:///{folder}/audit.db", pipeline=[Writer(), Hasher(), CostCalculator(), Timer()])
    trail.start()
    trail.sync.flush()

    @trail.audited
    async def answer(**request):
        return await client.messages.create(**request)

    return SimpleNamespace(messages=SimpleNamespace(create=answer)), trail.close
