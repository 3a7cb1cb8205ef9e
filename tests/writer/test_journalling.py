"""What a journal that fails now and then holds in the end: every entry once, by rising number."""

import tempfile
from contextlib import nullcontext
from pathlib import Path
from threading import Lock
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from auditmw.call import Call
from auditmw.health import Health
from auditmw.journal import segment
from auditmw.journalling import Journalling
from auditmw.sealing import encode, entry_of

STEPS = st.lists(st.sampled_from(["works", "fails", "is acknowledged", "is looked after"]), max_size=40)


@given(STEPS)
def test_whenever_the_journal_works_again_it_holds_all_that_the_store_does_not_in_order(steps):
    with tempfile.TemporaryDirectory() as folder:
        lock, health = Lock(), Health()
        journalling = Journalling(
            Path(folder),
            "0" * 32,
            health,
            lock,
            on_failure="continue",
            disk=False,
            external=False,
            max_bytes=1 << 20,
        )
        journalling.open()
        seq = stored = 0
        for step in steps:
            if step == "is acknowledged":
                stored = seq
                journalling.acknowledge(stored)
                continue
            with patch.object(segment, "_write", lambda *_: -1) if step == "fails" else nullcontext():
                if step == "is looked after":
                    journalling.catch_up()
                    assert journalling.missed == 0
                    continue
                seq += 1
                call = Call(request_id=f"{seq:032x}", timestamp_us=seq)
                journalling.intent(call)
                entry = entry_of(call, seq)
                with lock:
                    position = journalling.append(seq, entry, encode(entry))
                assert (position is None) == (journalling.missed > 0) == (step == "fails")
                assert journalling.missed <= seq - stored
        journalling.catch_up()
        held = [record.seq for record in journalling.read_back(stored)]
        assert held == list(range(stored + 1, seq + 1))
        assert journalling.journal.open_intents == 0
        journalling.close()
