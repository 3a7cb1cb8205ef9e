"""The journal against a model of it: random calls, a crash at any byte, recovery."""

import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from auditmw.journal import FRAME_BYTES, Follower, Journal, orphans
from auditmw.journal.segment import segments_of

payloads = st.binary(max_size=150)


class Snapshot(NamedTuple):
    """What the files must tell when the newest one ends here."""

    size: int
    intents: dict[bytes, bytes]
    sealed: dict[int, tuple[bytes, bytes]]


class JournalMachine(RuleBasedStateMachine):
    @initialize(segment_bytes=st.integers(1, 600), external=st.booleans(), disk=st.booleans())
    def start(self, segment_bytes, external, disk):
        self.root = Path(tempfile.mkdtemp())
        self.directory = self.root / "journal"
        self.options = {"segment_bytes": segment_bytes, "external": external, "disk": disk}
        self.attempts = 0
        self.follower = None
        self.open()
        self.follower = Follower(self.directory)

    def open(self):
        self.journal = Journal(self.directory, **self.options)
        self.intents, self.sealed, self.acknowledged = {}, {}, 0
        self.shipped = []
        self.newest, self.snapshots = None, []
        self.note()

    def note(self):
        """Remember what a crash from here on must leave."""
        newest = segments_of(self.directory, self.journal.writer_id)[-1]
        if newest != self.newest:
            start = self.journal._chain._newest.start
            previous = self.snapshots[-1] if self.snapshots else Snapshot(start, {}, {})
            self.newest, self.snapshots = newest, [previous._replace(size=start)]
        self.snapshots.append(Snapshot(newest.stat().st_size, dict(self.intents), dict(self.sealed)))

    def new_attempt(self):
        self.attempts += 1
        return self.attempts.to_bytes(16, "big")

    @rule(payload=payloads)
    def intend(self, payload):
        request_id = self.new_attempt()
        self.journal.append_intent(request_id, payload)
        self.intents[request_id] = payload
        self.note()

    @rule(payload=payloads, data=st.data(), step=st.integers(1, 3))
    def seal(self, payload, data, step):
        request_id = data.draw(st.sampled_from(sorted(self.intents))) if self.intents else self.new_attempt()
        seq = self.journal.last_seq + step
        self.journal.append_sealed(seq, request_id, payload)
        self.intents.pop(request_id, None)
        self.sealed[seq] = (request_id, payload)
        self.note()

    @precondition(lambda self: self.sealed and not self.options["external"])
    @rule(data=st.data())
    def acknowledge(self, data):
        upto = data.draw(st.sampled_from(sorted(self.sealed)))
        self.journal.acknowledge(upto)
        self.acknowledged = max(upto, self.acknowledged)
        self.note()
        self.nothing_is_kept_in_vain()

    @precondition(lambda self: self.options["external"])
    @rule()
    def ship(self):
        for writer_id, records in self.follower.read():
            assert writer_id == self.journal.writer_id
            self.shipped += [record.seq for record in records]
        assert self.shipped == sorted(self.sealed)

    @precondition(lambda self: self.shipped)
    @rule(data=st.data())
    def acknowledge_from_the_shipper(self, data):
        upto = data.draw(st.sampled_from([seq for seq in self.shipped if seq >= self.acknowledged]))
        self.follower.acknowledge(self.journal.writer_id, upto)
        self.journal.refresh()
        self.acknowledged = upto
        self.note()
        self.nothing_is_kept_in_vain()

    def nothing_is_kept_in_vain(self):
        if self.acknowledged == self.journal.last_seq:
            assert segments_of(self.directory, self.journal.writer_id) == [self.newest]
            in_flight = sum(len(payload) + FRAME_BYTES for payload in self.intents.values())
            assert self.newest.stat().st_size < 150 + 2 * in_flight

    @precondition(lambda self: self.options["external"])
    @rule()
    def restart_the_shipper(self):
        self.follower.close()
        self.follower = Follower(self.directory)
        self.shipped = [seq for seq in sorted(self.sealed) if seq <= self.acknowledged]
        self.ship()

    @precondition(lambda self: self.options["disk"])
    @rule()
    def sync(self):
        self.journal.synced(self.journal._chain.position).result(timeout=10)

    @rule(data=st.data())
    def crash(self, data):
        first, last = self.snapshots[0].size, self.newest.stat().st_size
        cut = data.draw(st.integers(first, last))
        left = [snapshot for snapshot in self.snapshots if snapshot.size <= cut][-1]
        copy = self.root / "copy"
        shutil.copytree(self.directory, copy)
        with (copy / self.newest.name).open("r+b") as file:
            file.truncate(cut)
        for _ in range(2):  # the second time after a recovery that was itself killed
            self.check(list(orphans(copy)), left, torn=cut - left.size)
        shutil.rmtree(copy)

    def check(self, found, left, torn):
        unsent = {seq: entry for seq, entry in left.sealed.items() if seq > self.acknowledged}
        if not (unsent or left.intents or torn):
            assert found == []
            return
        [orphan] = found
        assert {record.seq: (record.request_id, record.payload) for record in orphan.sealed()} == unsent
        assert [record.seq for record in orphan.sealed()] == sorted(unsent)
        assert {record.request_id: record.payload for record in orphan.open_intents} == left.intents
        assert orphan.last_seq == max([self.acknowledged, *left.sealed])
        assert sum(part.length for part in orphan.torn) == torn
        orphan.release()

    @rule()
    def close_and_recover(self):
        self.journal.close()
        whole = Snapshot(0, self.intents, self.sealed)
        found = list(orphans(self.directory))
        self.check(found, whole, torn=0)
        for orphan in orphans(self.directory):
            orphan.remove()
        assert [path.name for path in self.directory.iterdir()] == ["shipper.lock"]
        self.open()

    @invariant()
    def the_size_is_known(self):
        if hasattr(self, "journal"):
            paths = segments_of(self.directory, self.journal.writer_id)
            assert self.journal.bytes_used == sum(path.stat().st_size for path in paths)

    def teardown(self):
        if hasattr(self, "journal"):
            self.journal.close()
            self.follower.close()
            shutil.rmtree(self.root)


TestJournal = JournalMachine.TestCase
TestJournal.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
