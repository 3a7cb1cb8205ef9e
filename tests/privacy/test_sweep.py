"""Retention carried out on stored trails: under a clock that the test sets, on both databases."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from auditmw.errors import ClockJumped, ConfigurationError, StoreUnavailable
from auditmw.log.disclosure import EntryProof
from auditmw.log.keys import Ed25519Signer
from auditmw.privacy.changes import set_policy
from auditmw.privacy.control import ControlLog
from auditmw.privacy.due import overdue
from auditmw.privacy.erasure import Erasure
from auditmw.privacy.holds import add_hold, release_hold
from auditmw.privacy.person import Person
from auditmw.privacy.policy import Bounds, Policy, read_policy
from auditmw.privacy.sweep import Sweep
from auditmw.proving import prove_entry
from auditmw.stores.privacy import alone, open_privacy
from auditmw.testing import FakeClock

NOW = datetime.now(UTC)
SHORT = Policy("short", classes={"core": Bounds(gone="30 days"), "who": Bounds(gone="10 days")})


@pytest.fixture
def sweep(log, privacy):
    """Sweeps as if so many days had passed."""

    def sweep(days=0, confirmed=True, **options):
        log.clock = FakeClock(NOW + timedelta(days=days))
        return Sweep(log, privacy, confirmed=confirmed, **options).run()

    return sweep


@pytest.fixture
def entries(trail, make_entry):
    """Twelve entries of alice and bob, rolled up."""
    trail.append("w", [make_entry(n, user_id="alice" if n % 2 else "bob") for n in range(12)])
    trail.roll()
    return trail.entries()


def test_a_trail_without_a_policy_keeps_everything(entries, sweep):
    with pytest.raises(ConfigurationError, match="no policy"):
        sweep(10_000)


def test_nothing_goes_before_its_time(trail, entries, sweep, log, privacy):
    set_policy(log, privacy, read_policy("standard"))
    swept = sweep(80)
    assert (swept.removed, swept.erased, swept.done) == (0, {}, True)
    assert trail.entries() == entries
    assert trail.controls("retain") == []


def test_each_class_goes_at_its_ceiling_and_the_entry_at_that_of_the_core(trail, entries, sweep, log, privacy):
    set_policy(log, privacy, read_policy("standard"))
    assert sweep(92).erased == {"metadata": 12}
    assert {entry.metadata for entry in trail.entries()} == {None}
    assert sweep(367).erased == {"digests": 12, "error": 12}
    assert {(entry.input_hash, entry.error_message) for entry in trail.entries()} == {(None, None)}
    assert {entry.user_id for entry in trail.entries()} == {"alice", "bob"}
    assert trail.verify().verdict == "self-consistent"
    swept = sweep(2 * 366 + 1)
    assert swept.removed >= 12
    assert trail.entries() == []
    report = trail.verify()
    assert (report.verdict, report.findings) == ("self-consistent", [])
    assert report.pruned == swept.first_leaf


def test_what_stays_behind_a_cut_leads_to_the_signed_roots_of_before_and_after(trail, make_entry, sweep, log, privacy):
    signer = Ed25519Signer.generate(privacy.head()[0])
    trail.append("w", [make_entry(n) for n in range(700)])
    add_hold(log, privacy, "claim", session_id="session-300")
    with ControlLog(trail.url, signing_key=signer) as signed:
        signed.declare("heartbeat")
    proof = EntryProof.from_json(prove_entry(trail.url, "r500").to_json())
    set_policy(log, privacy, SHORT)
    assert sweep(40).first_leaf == 300  # inside a tile
    with ControlLog(trail.url, signing_key=signer) as signed:
        signed.declare("heartbeat")
    report = trail.verify(verifiers=[signer.verifier])
    assert (report.verdict, report.findings, report.pruned) == ("verified", [], 300)
    assert proof.verify([signer.verifier])
    again = EntryProof.from_json(prove_entry(trail.url, "r500").to_json())
    assert again.verify([signer.verifier]).size > proof.verify([signer.verifier]).size


def test_the_declaration_says_what_goes_why_and_what_the_tree_was(trail, entries, sweep, log, privacy):
    set_policy(log, privacy, SHORT)
    sweep(12)
    (classes,) = trail.controls("retain")
    assert (classes.metadata["classes"], classes.metadata["rules"]) == (["who"], ["short: who gone by 10 days"])
    assert classes.metadata["policy"] == "short@1"
    assert classes.metadata["policy_digest"] == SHORT.digest
    sweep(40)
    (cut,) = trail.controls("retain")
    assert cut.metadata["first_leaf"] == cut.metadata["entries"] >= 12
    assert len(cut.metadata["root"]) == 64


def test_names_go_from_the_rollups_and_the_sums_stay(trail, entries, sweep, log, privacy):
    set_policy(log, privacy, SHORT)
    assert trail.rolled() == [("alice", 6), ("bob", 6)]
    sweep(12)
    assert trail.rolled() == [("", 12)]
    sweep(40)
    assert trail.rolled() == [("", 12)]


def test_what_was_not_rolled_up_is_rolled_before_it_goes(trail, make_entry, sweep, log, privacy):
    trail.append("w", [make_entry(n) for n in range(5)])
    set_policy(log, privacy, SHORT)
    sweep(40)
    assert trail.entries() == []
    assert trail.rolled() == [("", 5)]


def test_a_hold_keeps_its_entries_and_all_after_them_until_it_is_released(trail, entries, sweep, log, privacy):
    hold = add_hold(log, privacy, "claim", session_id="session-4")
    set_policy(log, privacy, SHORT)
    swept = sweep(40)
    assert (swept.removed, swept.first_leaf) == (4, 4)
    kept = trail.entries()
    assert [entry.user_id for entry in kept] == ["bob", *[None] * 7]
    assert trail.verify().findings == []
    release_hold(log, privacy, hold.id)
    assert sweep(40).removed >= 8
    assert trail.entries() == []
    assert trail.verify().findings == []


def test_a_class_that_a_hold_kept_goes_after_its_release(trail, entries, sweep, log, privacy):
    hold = add_hold(log, privacy, "claim", session_id="session-4")
    set_policy(log, privacy, SHORT)
    assert sweep(12).erased["who"] >= 11
    assert [entry.user_id for entry in trail.entries()].count(None) == 11
    release_hold(log, privacy, hold.id)
    assert sweep(12).erased["who"] >= 1
    assert {entry.user_id for entry in trail.entries()} == {None}
    assert trail.verify().findings == []


def test_an_erasure_that_a_floor_kept_is_finished_when_the_floor_has_passed(trail, entries, sweep, log, privacy):
    set_policy(log, privacy, Policy("own", classes={"who": Bounds(kept="1 month")}))
    assert Erasure(log, privacy).run(Person(user_id="alice")).answer == "partly"
    assert len(trail.entries(user_id="alice", restricted=True)) == 6
    sweep(40)
    assert trail.entries(user_id="alice") == trail.entries(restricted=True) == []
    assert privacy.settings("erasure/") == {}
    assert [entry.metadata["answer"] for entry in trail.controls("erasure")] == ["partly", "erased"]


def test_a_bounded_run_is_finished_by_the_next_without_saying_it_again(trail, entries, sweep, log, privacy):
    set_policy(log, privacy, SHORT)
    swept = sweep(40, seconds=0)
    assert (swept.removed, swept.done) == (0, False)
    assert trail.verify().findings == []
    declared = len(trail.controls("retain"))
    swept = sweep(40, batch=5)
    assert swept.done
    assert trail.entries() == []
    assert len(trail.controls("retain")) == declared


def test_a_clock_that_jumped_by_more_than_a_day_needs_somebodys_word(trail, entries, sweep, log, privacy):
    set_policy(log, privacy, SHORT)
    sweep(0, confirmed=False)
    with pytest.raises(ClockJumped, match="--yes"):
        sweep(40, confirmed=False)
    with pytest.raises(ClockJumped):
        sweep(-3, confirmed=False)
    assert trail.entries() == entries
    sweep(0.9, confirmed=False)


def test_two_processes_do_not_sweep_at_once(trail, entries, sweep, log, privacy, monkeypatch):
    monkeypatch.setattr("auditmw.stores.privacy.LOCK_SECONDS", 0.1)
    set_policy(log, privacy, SHORT)
    other = open_privacy(trail.url)
    with alone(other), pytest.raises(StoreUnavailable, match="another process"), alone(privacy, 0.1):
        raise AssertionError
    other.close()
    with alone(privacy, 0.1):
        pass


def test_a_dry_run_counts_by_class_and_month_and_changes_nothing(trail, entries, log, privacy):
    set_policy(log, privacy, SHORT)
    log.clock = FakeClock(NOW + timedelta(days=12))
    due = Sweep(log, privacy).due()
    assert list(due) == ["who"]
    assert sum(due["who"].values()) == 12
    assert list(due["who"]) == [f"{NOW:%Y-%m}"]
    log.clock = FakeClock(NOW + timedelta(days=40))
    assert sum(Sweep(log, privacy).due()["rows"].values()) >= 12
    assert trail.entries() == entries


def test_what_is_due_for_more_than_a_day_is_overdue(trail, entries, sweep, log, privacy):
    def late(days):
        return overdue(privacy, FakeClock(NOW + timedelta(days=days)).now_us())

    assert not late(1000)
    set_policy(log, privacy, SHORT)
    assert not late(11)
    assert late(12.5)
    add_hold(log, privacy, "claim", since=NOW - timedelta(days=1))
    assert not late(12.5)


def test_a_changed_policy_is_on_record_and_an_equal_one_changes_nothing(trail, log, privacy):
    standard = read_policy("standard")
    assert set_policy(log, privacy, standard)
    assert not set_policy(log, privacy, standard)
    assert set_policy(log, privacy, SHORT)
    changes = [entry.metadata for entry in trail.controls("change")]
    assert [(change["before"], change["after"]) for change in changes] == [
        (None, standard.digest),
        (standard.digest, SHORT.digest),
    ]


def test_whole_months_go_as_dropped_partitions(trail, make_entry, sweep, log, privacy):
    if not trail.url.startswith("postgres"):
        pytest.skip("SQLite has no partitions")
    trail.append("w", [make_entry(n) for n in range(50)])
    set_policy(log, privacy, SHORT)
    table = f"audit_entries_{NOW:%Y_%m}"
    assert trail.select(f"SELECT count(*) FROM {table}")[0][0] >= 50
    following = (NOW.replace(day=1) + timedelta(days=32)).replace(day=1)
    trail.select(f"UPDATE audit_trail SET stored_at = '{following:%Y-%m-%d} 00:00+00'")
    trail.append("v", [make_entry(100)])
    assert sweep((following - NOW).days + 32).removed >= 50
    assert trail.select(f"SELECT to_regclass('{table}') IS NULL") == [(True,)]
    assert trail.verify().findings == []


KILLED = """
import os, signal, sys
from auditmw.clock import SystemClock
from auditmw.privacy.control import ControlLog
from auditmw.privacy.sweep import Sweep
from auditmw.stores.privacy import open_privacy

left, days = int(sys.argv[2]), int(sys.argv[3])
class Later(SystemClock):
    def now_us(self):
        return super().now_us() + days * 86_400_000_000
def step(name):
    global left
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
store = open_privacy(sys.argv[1])
log = ControlLog(sys.argv[1])
log.clock = Later()
with log:
    Sweep(log, store, batch=4, confirmed=True, on_step=step).run()
"""


def test_a_sweep_killed_between_any_two_steps_is_finished_once_by_the_next(trail, make_entry, sweep, log, privacy):
    set_policy(log, privacy, SHORT)
    killed = days = 0
    for number in range(60):
        trail.append(f"w{number}", [make_entry(number * 10 + n) for n in range(10)])
        days = 12 if number % 2 else 40
        command = [sys.executable, "-c", KILLED, trail.url, str(number // 2), str(days)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0 and number % 2:
            break
        assert done.returncode in {0, -9}, done.stderr
        killed += done.returncode == -9
        assert trail.verify().findings == []
        assert sweep(days).done
        assert {entry.user_id for entry in trail.entries()} <= {None}
        assert days == 12 or trail.entries() == []
    assert killed >= 8
    sweep(40)
    assert trail.entries() == []
    report = trail.verify()
    assert (report.verdict, report.findings) == ("self-consistent", [])
    cuts = [entry.metadata["first_leaf"] for entry in trail.controls("retain") if "first_leaf" in entry.metadata]
    assert cuts == sorted(set(cuts))


@pytest.mark.parametrize("step", ["declare cut", "delete", "erase classes"])
def test_a_hold_that_comes_while_a_sweep_runs_keeps_what_it_covers(trail, make_entry, log, privacy, step):
    trail.append("w", [make_entry(n, user_id="alice" if n % 2 else "bob") for n in range(60)])
    set_policy(log, privacy, SHORT)
    log.clock = FakeClock(NOW + timedelta(days=31))
    others = open_privacy(trail.url)
    came = []

    def hold(name):
        if name == step and not came:
            came.append(len(trail.entries(user_id="alice")))
            others.set_setting("hold/h", {"id": "h", "reason": "claim", "user_id": "alice"})

    if step == "erase classes":
        log.clock = FakeClock(NOW + timedelta(days=12))
    swept = Sweep(log, privacy, confirmed=True, batch=10, on_step=hold).run()
    others.close()
    assert came
    assert not swept.done
    kept = len(trail.entries(user_id="alice"))
    assert kept >= came[0] - 10  # no more than the step that had begun
    Sweep(log, privacy, confirmed=True).run()
    assert len(trail.entries(user_id="alice")) == kept
    assert trail.verify().findings == []


def test_names_go_from_the_rollups_with_whole_entries_though_who_has_no_ceiling(trail, entries, sweep, log, privacy):
    set_policy(log, privacy, Policy("short", classes={"core": Bounds(gone="30 days")}))
    assert {user for user, _ in trail.rolled()} == {"alice", "bob"}
    sweep(60)
    assert trail.entries() == []
    assert trail.rolled() == [("", 12)]
