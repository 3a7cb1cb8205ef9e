from contextlib import aclosing

import anyio
import pytest

from auditmw import AuditTrail
from auditmw.errors import ConfigurationError


@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_entries_come_as_they_are_stored_and_no_others(store, tmp_path):
    url = "memory://" if store == "memory" else f"sqlite:///{tmp_path}/audit.db"
    async with AuditTrail(url) as trail:
        for user in ("old", "alice"):
            async with trail.call(user_id=user):
                pass
        await trail.flush()
        seen = []
        with anyio.fail_after(10):
            async with aclosing(trail.subscribe(every=0.01, backlog=1, user_id="alice")) as entries:
                async for entry in entries:
                    seen.append(entry.action)
                    if len(seen) == 3:
                        break
                    for user in ("bob", "alice"):
                        async with trail.call(user_id=user, action=f"{user} {len(seen)}"):
                            pass
        assert seen == [None, "alice 1", "alice 2"]


async def test_a_status_that_there_is_not_is_refused_at_once():
    with pytest.raises(ConfigurationError):
        AuditTrail("memory://").subscribe(status="odd")
