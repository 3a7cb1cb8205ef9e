"""The writer's checkpoints: when they are made, where they go, and what the signer refuses."""

import asyncio
import contextlib
import json
import shutil
import sqlite3
import threading
from datetime import timedelta

import anyio
import pytest

from auditmw import AuditTrail
from auditmw.checkpoint_files import split_checkpoints
from auditmw.entry import AuditEntry
from auditmw.errors import ConfigurationError, SigningRefused, StoreUnavailable
from auditmw.health import Health
from auditmw.log.checkpoint import open_checkpoint
from auditmw.log.examine import read_head
from auditmw.log.keys import Ed25519Signer
from auditmw.log.merkle import Frontier
from auditmw.shipping import Shipper
from auditmw.signed_before import Signed, SignedBefore
from auditmw.signing import Rhythm, Signing, make_signing
from auditmw.signing_keys import find_signing_key, read_policy, read_signing_key, write_signing_key
from auditmw.stores import store_for
from auditmw.stores.protocol import Batch
from auditmw.stores.sqlite import SqliteStore
from auditmw.testing.clock import FakeClock
from auditmw.verification import verify_trail

WRITER = "a" * 32


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


class Bench:
    """A store and its signing, with a clock that the test moves."""

    def __init__(self, folder):
        self.clock = FakeClock()
        self.path = folder / "trail.db"
        self.store = SqliteStore(str(self.path), self.clock)
        self.health = Health()
        self.before = SignedBefore(folder / "signing.key.signed")
        self.beats = 0
        self.sunk = []
        self.seq = 0

    async def open(self):
        await self.store.open()
        self.signer = Ed25519Signer((await self.store.heads.tree(0)).origin, bytes(32))
        self.signing = self.make()
        return self

    def make(self, signer="own", before=True):
        def beat():
            self.beats += 1

        return Signing(
            self.store.heads,
            signer=self.signer if signer == "own" else signer,
            before=self.before if before else None,
            sinks=[self.sunk.append],
            rhythm=Rhythm(entries=10, seconds=60, heartbeat_seconds=3600),
            health=self.health,
            heartbeat=beat,
            clock=self.clock,
        )

    async def append(self, count):
        entries = [AuditEntry(request_id=f"r{self.seq + n}", timestamp_us=1, user_id="u") for n in range(count)]
        self.health.written += await self.store.append(Batch(WRITER, self.seq + 1, entries))
        self.seq += count

    async def sizes(self):
        return [read_head(note, ()).checkpoint.size for note in self.sunk]


@pytest.fixture
async def bench(tmp_path):
    bench = await Bench(tmp_path).open()
    yield bench
    await bench.store.close()


async def test_a_checkpoint_is_made_after_so_many_entries(bench):
    await bench.append(9)
    assert await bench.signing.step() == 60
    assert bench.sunk == []
    await bench.append(1)
    await bench.signing.step()
    checkpoint = open_checkpoint(bench.sunk[0], bench.signer.name, [bench.signer.verifier])
    assert (checkpoint.size, bench.health.checkpoints) == (10, 1)
    assert (await bench.store.heads.tree(0)).newest_checkpoint == bench.sunk[0]


async def test_a_checkpoint_is_made_so_long_after_the_first_entry_that_none_covers(bench):
    await bench.append(1)
    await bench.signing.step()
    bench.clock.advance(59)
    await bench.append(1)
    assert await bench.signing.step() == pytest.approx(1)
    bench.clock.advance(1)
    await bench.signing.step()
    assert await bench.sizes() == [2]
    assert await bench.signing.step() > 3000


async def test_closing_covers_what_is_left_and_only_that(bench):
    await bench.append(3)
    await bench.signing.close()
    await bench.signing.close()
    assert await bench.sizes() == [3]


async def test_an_idle_trail_gets_a_heartbeat(bench):
    await bench.append(1)
    await bench.signing.step()
    bench.clock.advance(60)
    await bench.signing.step()
    bench.clock.advance(3600)
    await bench.signing.step()
    assert bench.beats == 1
    assert await bench.signing.step() == pytest.approx(3600)


async def test_a_trail_in_which_others_write_is_not_idle(bench):
    bench.clock.advance(3000)
    await bench.append(1)  # by another process: this one's health does not count it
    bench.signing._seen = bench.signing._covered = bench.health.written
    bench.clock.advance(600)
    left = await bench.signing.step()
    assert (bench.beats, left) == (0, pytest.approx(3000))
    bench.clock.advance(3000)
    await bench.signing.step()
    assert bench.beats == 1


async def test_without_a_key_a_checkpoint_is_not_signed(bench):
    bench.signing = bench.make(signer=None, before=False)
    await bench.append(10)
    await bench.signing.step()
    head = read_head(bench.sunk[0], [bench.signer.verifier])
    assert (head.checkpoint.size, head.is_signed) == (10, False)


async def test_a_key_that_comes_later_signs_what_was_covered_unsigned(bench):
    unsigned = bench.make(signer=None, before=False)
    await bench.append(10)
    await unsigned.step()
    signing = bench.make()
    bench.health.written += 1
    await signing.close()
    assert [read_head(note, ()).is_signed for note in bench.sunk] == [False, True]
    assert verify_trail(f"sqlite:///{bench.path}", verifiers=[bench.signer.verifier]).verdict == "verified"


async def test_one_signs_at_a_time(bench):
    assert await bench.store.heads.lease("another", 15)
    await bench.append(10)
    await bench.signing.step()
    assert bench.sunk == []
    bench.clock.advance(2)
    await bench.store.heads.release("another")
    await bench.signing.step()
    assert await bench.sizes() == [10]


async def test_a_lease_that_nobody_gave_back_runs_out(bench):
    assert await bench.store.heads.lease("dead", 15)
    assert not await bench.store.heads.lease("alive", 15)
    bench.clock.advance(15)
    assert await bench.store.heads.lease("alive", 15)


async def test_a_trail_that_was_cut_off_is_not_signed(bench, tmp_path):
    await bench.append(5)
    backup = tmp_path / "backup.db"
    with contextlib.closing(sqlite3.connect(bench.path)) as source, contextlib.closing(sqlite3.connect(backup)) as copy:
        source.backup(copy)
    await bench.append(10)
    await bench.signing.step()
    await bench.store.close()
    restore(backup, bench.path)
    await bench.store.open()
    bench.signing = bench.make()
    bench.seq = 5
    await bench.append(1)
    await bench.signing.close()
    assert await bench.sizes() == [15]
    assert "the trail has 6 entries, and 15 were signed" in bench.health.warnings[0]
    await bench.append(20)
    await bench.signing.close()
    assert await bench.sizes() == [15]
    assert "does not go on from the 15 that were signed" in bench.health.warnings[0]
    assert len(bench.health.warnings) == 1


def restore(backup, path):
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copy(backup, path)


async def test_a_refused_trail_is_tried_again_after_a_while_and_the_warning_goes(bench):
    await bench.append(10)
    bench.before.save(Signed("another", Frontier()))
    await bench.signing.step()
    assert "this key signed the trail another before" in bench.health.warnings[0]
    bench.before._path.unlink()
    await bench.append(10)
    await bench.signing.step()
    assert bench.sunk == []
    bench.clock.advance(60)
    await bench.signing.step()
    assert await bench.sizes() == [20]
    assert bench.health.warnings == []


async def test_a_trail_that_a_newer_checkpoint_in_it_covers_is_not_signed(bench):
    await bench.store.heads.add(1000, f"{bench.signer.name}\n1000\n{'A' * 43}=\n")
    await bench.append(10)
    await bench.signing.step()
    assert "the trail has 10 entries, and a checkpoint in it covers 1000" in bench.health.warnings[0]


async def test_a_key_of_another_trail_does_not_sign(bench):
    bench.signing = bench.make(signer=Ed25519Signer("another", bytes(32)))
    await bench.append(10)
    await bench.signing.step()
    assert "the signing key is named another" in bench.health.warnings[0]
    assert bench.sunk == []


async def test_a_sink_that_fails_takes_nothing_from_the_others(bench, capsys):
    def broken(_):
        raise OSError("full")

    bench.signing._sinks = [broken, bench.sunk.append]
    await bench.append(10)
    await bench.signing.step()
    assert await bench.sizes() == [10]
    assert "auditmw.checkpoint_not_delivered" in capsys.readouterr().err


async def test_a_store_that_does_not_answer_is_asked_again(bench, monkeypatch):
    async def lost(*_):
        raise StoreUnavailable

    await bench.append(10)
    lease = bench.store.heads.lease
    monkeypatch.setattr(bench.store.heads, "lease", lost)
    assert await bench.signing.step() == 1
    monkeypatch.setattr(bench.store.heads, "tree", lost)
    bench.signing._seen = bench.signing._covered = bench.health.written
    bench.signing._due = float("inf")
    bench.clock.advance(timedelta(hours=2))
    await bench.signing.step()
    assert bench.beats == 0
    monkeypatch.undo()
    assert bench.store.heads.lease == lease


def test_the_signers_memory_is_never_set_back(tmp_path):
    memory = SignedBefore(tmp_path / "deep" / "signed")
    assert memory.load() is None
    large = Signed("o", Frontier().extend([bytes(32)] * 5))
    memory.save(large)
    memory.save(Signed("o", Frontier().extend([bytes(32)] * 4)))
    assert memory.load() == large
    assert (tmp_path / "deep" / "signed").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"{}", b'{"origin":"o","frontier":"zz"}', b'{"origin":"o","frontier":"00"}'])
def test_a_memory_that_cannot_be_read_forbids_signing(tmp_path, content):
    path = tmp_path / "signed"
    path.write_bytes(content)
    with pytest.raises(SigningRefused, match="cannot be read"):
        SignedBefore(path).load()


def test_a_trail_signs_at_close_and_brings_its_checkpoints_to_every_kind_of_sink(tmp_path, monkeypatch, capsys):
    url, taken = f"sqlite:///{tmp_path / 'trail.db'}", []
    sinks = [tmp_path / "checkpoints", "log", taken.append]
    for _ in range(2):
        with AuditTrail(url, checkpoint_sinks=sinks) as trail, trail.call(action="a"):
            pass
    found = list(split_checkpoints((tmp_path / "checkpoints").read_text()))
    assert found == taken
    assert len(found) == 2
    assert capsys.readouterr().err.count("auditmw.checkpoint") == 2
    assert verify_trail(url, held=found).continuity.consistent == 2


@pytest.mark.parametrize("sinks", ["log", [3], 3])
def test_sinks_that_are_none_are_refused(sinks):
    with pytest.raises(ConfigurationError):
        AuditTrail("memory://", checkpoint_sinks=sinks)


def test_a_file_of_checkpoints_is_split_signed_or_not():
    signed, unsigned = "o\n1\nAAAA\n\n\u2014 o BBBB\n\u2014 p CCCC\n", "o\n2\nDDDD\n"
    assert list(split_checkpoints(f"{signed}\n{unsigned}\n{unsigned}\n{signed}")) == [
        signed,
        unsigned,
        unsigned,
        signed,
    ]
    assert list(split_checkpoints(unsigned)) == [unsigned]
    assert list(split_checkpoints("\n\n\n")) == []


def test_a_key_is_found_as_text_as_a_path_beside_the_trail_or_as_a_signer(tmp_path):
    signer = Ed25519Signer("o", bytes(32))
    path, home, journal = tmp_path / "key", tmp_path / "home", tmp_path / "journal"
    write_signing_key(path, signer)
    assert find_signing_key(None, home, journal, {}) is None
    assert find_signing_key(path, home, journal, {}) == (signer, tmp_path / "key.signed")
    assert find_signing_key(None, home, journal, {"AUDITMW_SIGNING_KEY": str(path)}) == (
        signer,
        tmp_path / "key.signed",
    )
    text = {"AUDITMW_SIGNING_KEY": signer.to_text()}
    assert find_signing_key(None, home, journal, text) == (signer, journal / "signing.key.signed")
    assert find_signing_key(signer, None, None, {}) == (signer, None)
    write_signing_key(home / "signing.key", signer)
    assert find_signing_key(None, home, journal, {}) == (signer, home / "signing.key.signed")


def test_a_key_file_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "key"
    write_signing_key(path, Ed25519Signer("o", bytes(32)))
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigurationError, match="is there already"):
        write_signing_key(path, Ed25519Signer("o", bytes(32)))
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_signing_key(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_signing_key(tmp_path)
    with pytest.raises(ConfigurationError, match="make one with `auditmw keys init`"):
        read_signing_key(tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_signing_key(tmp_path / "file" / "key", Ed25519Signer("o", bytes(32)))


async def test_a_shipper_signs_what_it_moves(tmp_path):
    url, journal = f"sqlite:///{tmp_path / 'trail.db'}", tmp_path / "journal"
    async with AuditTrail(url, writer="external", journal_dir=journal) as trail, trail.call(action="a"):
        pass
    store = store_for(url)
    shipper = Shipper(store, journal, signing=lambda health: make_signing(store, url, journal, health))
    await shipper.run(once=True)
    report = await anyio.to_thread.run_sync(verify_trail, url)
    assert (report.verdict, report.entries, report.signed.checkpoints) == ("self-consistent", 3, 1)


def test_an_idle_trail_shows_that_it_is_alive(tmp_path):
    alive, taken = threading.Event(), []

    def sink(note):
        taken.append(note)
        if len(taken) == 2:  # that of the first entry, and that of the heartbeat
            alive.set()

    rhythm = Rhythm(seconds=0.01, heartbeat_seconds=0.05)
    with AuditTrail(f"sqlite:///{tmp_path / 'trail.db'}", checkpoint_rhythm=rhythm, checkpoint_sinks=[sink]) as trail:
        assert alive.wait(10)
        assert list(trail.sync.query(kind="control", action="heartbeat"))


def test_a_policy_names_the_keys_that_are_trusted():
    key = Ed25519Signer("o", bytes(32)).verifier
    text = (
        f"# ours\nlog {key.to_text()}\n\nlog {key.to_text()} https://example.com/log # with an address\nquorum none\n"
    )
    assert read_policy(text) == [key, key]
    for line in ("witness w key", "log", "quorum all"):
        with pytest.raises(ConfigurationError, match="is not supported in a policy"):
            read_policy(line)


def test_a_wrong_signing_key_shows_at_start(tmp_path):
    (tmp_path / "key").write_text("nonsense")
    (tmp_path / "key").chmod(0o600)
    trail = AuditTrail(f"sqlite:///{tmp_path / 'trail.db'}", signing_key=tmp_path / "key")
    with pytest.raises(ConfigurationError, match="a signing key begins with"), trail:
        pass
    trail.close(0.1)


def test_the_state_file_holds_no_secret(tmp_path):
    memory = SignedBefore(tmp_path / "signed")
    memory.save(Signed("o", Frontier()))
    assert json.loads((tmp_path / "signed").read_text()) == {"origin": "o", "frontier": "00" * 8}


async def test_signing_never_raises_for_a_signer_that_fails(bench):
    class Broken:
        name, key_id = bench.signer.name, b"1234"

        def sign(self, message):
            raise RuntimeError("the HSM is away")

    bench.signing = bench.make(signer=Broken())
    await bench.append(10)
    await asyncio.wait_for(bench.signing.close(), 5)
    assert "the HSM is away" in bench.health.warnings[0]
