"""What an erasure wants gone and something keeps is restricted: it shows to nobody who does not ask for it by name."""

from datetime import timedelta

import pytest
from tests.privacy.killed import is_killed_at

from auditmw.entry import to_datetime
from auditmw.privacy.changes import set_policy
from auditmw.privacy.control import ControlLog
from auditmw.privacy.erasure import Erasure
from auditmw.privacy.holds import add_hold
from auditmw.privacy.person import Person
from auditmw.privacy.policy import Bounds, Policy
from auditmw.testing.clock import FakeClock
from auditmw.trail import AuditTrail
from auditmw.verdicts import lines_of

ALICE = Person(user_id="alice")
KEPT = Policy("own", classes={"error": Bounds(kept="1 month")})


@pytest.fixture
def erase(log, privacy):
    return lambda person=ALICE: Erasure(log, privacy, wait_seconds=0.5).run(person)


@pytest.fixture
def later(trail, privacy):
    """Goes on with what was kept, so many days later."""

    def later(days):
        clock = FakeClock(to_datetime(privacy.head()[2]) + timedelta(days=days))
        with ControlLog(trail.url, clock=clock) as log:
            return Erasure(log, privacy).resume()

    return later


def test_an_entry_that_a_floor_keeps_in_part_loses_the_rest_and_shows_no_more(trail, make_entry, erase, privacy, log):
    trail.append("w", [make_entry(n, user_id="alice" if n else "bob") for n in range(3)])
    set_policy(log, privacy, KEPT)
    receipt = erase()
    assert (receipt.answer, receipt.restricted) == ("partly", 2)
    assert [entry.user_id for entry in trail.entries()] == ["bob"]
    kept = trail.entries(restricted=True)
    assert [(entry.user_id, entry.metadata, entry.error_message) for entry in kept] == [
        (None, None, f"it failed for the {n}th time") for n in (1, 2)
    ]
    assert trail.verify().verdict == "self-consistent"


def test_what_is_kept_goes_when_the_floor_has_passed_though_nothing_names_the_person_any_more(
    trail, make_entry, erase, privacy, log, later
):
    trail.append("w", [make_entry(n) for n in range(3)])
    set_policy(log, privacy, KEPT)
    erase()
    (receipt,) = later(days=10)
    assert (receipt.answer, receipt.restricted) == ("partly", 3)
    (receipt,) = later(days=40)
    assert (receipt.answer, receipt.restricted, receipt.classes["error"]) == ("erased", 0, 3)
    assert trail.entries(restricted=True) == []
    assert [entry.error_message for entry in trail.entries()] == [None, None, None]
    assert trail.verify().verdict == "self-consistent"


def test_what_a_person_does_after_the_erasure_is_no_part_of_it(trail, make_entry, erase, privacy, log, later):
    trail.append("w", [make_entry(1)])
    set_policy(log, privacy, KEPT)
    erase()
    trail.append("w", [make_entry(2)], first_seq=2)
    later(days=40)
    assert [(entry.request_id, entry.user_id) for entry in trail.entries()] == [("r1", None), ("r2", "alice")]


def test_asking_again_erases_what_came_since(trail, make_entry, erase, privacy, log):
    trail.append("w", [make_entry(1)])
    set_policy(log, privacy, KEPT)
    first = erase()
    trail.append("w", [make_entry(2)], first_seq=2)
    again = erase()
    assert (again.erasure, again.restricted) == (first.erasure, 2)
    assert trail.entries() == []


def test_an_entry_that_two_erasures_want_gone_is_finished_by_both(trail, make_entry, erase, privacy, log, later):
    trail.append("w", [make_entry(1, subject="patient")])
    set_policy(log, privacy, Policy("own", classes={"who": Bounds(kept="1 month")}))
    assert {erase().answer, erase(Person(subject="patient")).answer} == {"partly"}
    assert [receipt.restricted for receipt in later(days=10)] == [1, 1]
    assert [receipt.answer for receipt in later(days=40)] == ["erased", "erased"]
    assert [(entry.user_id, entry.subject) for entry in trail.entries()] == [(None, None)]


def test_what_the_log_says_about_a_person_is_restricted_too(trail, make_entry, erase, privacy, log):
    log.declare("read", subject="alice", what="content", purpose="support")
    set_policy(log, privacy, Policy("own", classes={"who": Bounds(kept="1 month")}))
    assert erase(Person(subject="alice")).restricted == 1
    assert trail.controls("read") == []
    assert [entry.subject for entry in trail.entries(kind="control", restricted=True)] == ["alice"]


def test_a_record_of_who_read_what_is_restricted_goes_with_it(trail, make_entry, erase, privacy, log, later):
    trail.append("w", [make_entry(1)])
    set_policy(log, privacy, KEPT)
    erase()
    log.declare("read", subject="alice", what="restricted", purpose="claim")
    assert [receipt.answer for receipt in later(days=40)] == ["erased"]
    assert [entry.subject for entry in trail.controls("read")] == [None]


def test_a_held_entry_is_restricted_while_its_erasure_waits(trail, make_entry, erase, privacy, log):
    trail.append("w", [make_entry(1)])
    add_hold(log, privacy, "a claim", user_id="alice")
    assert erase().restricted == 2  # it, and what the log says of the hold
    assert trail.entries() == []


def test_views_for_ordinary_sql_show_a_restricted_entry_as_if_it_were_erased(trail, make_entry, erase, privacy, log):
    trail.append("w", [make_entry(n, cost_nano=5_000_000_000) for n in range(2)])
    add_hold(log, privacy, "a claim", user_id="alice")
    erase()
    for view in ("llm_audit_log", "llm_audit_attempts"):
        personal = "user_id, error_message, input_hash, output_hash, system_prompt_hash, metadata"
        assert trail.select(f"SELECT DISTINCT {personal} FROM {view}") == [(None,) * 6]
        assert [float(*row) for row in trail.select(f"SELECT sum(cost_usd) FROM {view}")] == [10]


@pytest.mark.parametrize("rolled", ["before", "after", "never"])
def test_reports_count_a_restricted_entry_and_name_nobody(trail, make_entry, erase, privacy, log, rolled):
    trail.append("w", [make_entry(n, cost_nano=5, cost_status="priced", timestamp_us=10**15 + n) for n in range(3)])
    if rolled == "before":
        trail.roll()
    add_hold(log, privacy, "a claim", user_id="alice")
    erase()
    if rolled == "after":
        trail.roll()
    read = AuditTrail(trail.url)
    window = {"since": to_datetime(10**15 - 1), "until": to_datetime(10**15 + 10**9)}
    assert [(row.user, row.calls) for row in read.sync.report("cost", by=["user"], **window).rows] == [(None, 3)]
    assert [(row.user, row.calls) for row in read.sync.report("attempts", by=["user"], **window).rows] == [(None, 3)]
    read.close()


def test_verify_says_how_many_entries_are_restricted_and_by_which_entry(trail, make_entry, erase, privacy, log):
    trail.append("w", [make_entry(n) for n in range(3)])
    add_hold(log, privacy, "a claim", session_id="session-1")
    erase()
    report = trail.verify()
    assert report.verdict == "self-consistent"
    (restricted,) = [one for one in report.complete.erased if one.field_class == "restricted"]
    assert (restricted.entries, restricted.action) == (1, "erase")
    assert any(line.detail.startswith("1 entries restricted, by the erase entry at") for line in lines_of(report))


@pytest.mark.parametrize("mark", ["e1", ""])
def test_an_entry_that_somebody_hides_is_tampered_with(trail, make_entry, mark):
    trail.append("w", [make_entry(n) for n in range(3)])
    trail.change(f"UPDATE audit_entries SET restricted = '{mark}' WHERE request_id = 'r1'")
    report = trail.verify()
    assert report.verdict == "tampered"
    assert "is hidden, and no erase or retain entry says why" in report.findings[0].message


@pytest.fixture
def kept_in_part(trail, make_entry, erase, privacy, log):
    """A trail of alice's: a floor keeps the error message of two entries, and a hold the whole of a third one."""
    trail.append("w", [make_entry(n) for n in range(3)])
    set_policy(log, privacy, KEPT)
    add_hold(log, privacy, "a claim", session_id="session-2")
    assert erase().restricted == 3
    assert trail.verify().findings == []
    return trail


@pytest.mark.parametrize("request_id", ["r0", "r2"])
def test_an_entry_that_somebody_shows_again_is_tampered_with(kept_in_part, request_id):
    kept_in_part.change(f"UPDATE audit_entries SET restricted = NULL WHERE request_id = '{request_id}'")
    report = kept_in_part.verify()
    assert (report.verdict, len(report.findings)) == ("tampered", 1)
    assert report.findings[0].message.startswith(f"entry {request_id[1:]} is restricted, as an erase entry says")


def test_a_mark_of_another_erasure_is_tampered_with(kept_in_part, make_entry, log, privacy, erase):
    kept_in_part.append("v", [make_entry(9, user_id="bob")])
    add_hold(log, privacy, "a claim", user_id="bob")
    assert erase(Person(user_id="bob")).answer == "deferred"
    assert kept_in_part.verify().findings == []
    bobs = "SELECT restricted FROM audit_entries WHERE request_id = 'r9'"
    kept_in_part.change(f"UPDATE audit_entries SET restricted = ({bobs}) WHERE request_id = 'r0'")
    (finding,) = kept_in_part.verify().findings
    assert finding.message == "entry 0 is hidden, and no erase or retain entry says why"


def test_what_was_asked_for_again_is_to_be_marked_too(kept_in_part, make_entry, erase):
    kept_in_part.append("w", [make_entry(9)], first_seq=4)
    erase()
    assert kept_in_part.verify().findings == []
    kept_in_part.change("UPDATE audit_entries SET restricted = NULL WHERE request_id = 'r9'")
    assert kept_in_part.verify().verdict == "tampered"


def test_an_erasure_that_goes_on_and_finds_nothing_new_answers_once(kept_in_part, later):
    for days in (1, 2):
        assert [receipt.answer for receipt in later(days=days)] == ["deferred"]
    assert len(kept_in_part.controls("erasure")) == 1


def test_a_partial_erasure_killed_between_any_two_steps_loses_sight_of_no_entry(trail, make_entry, privacy, log, later):
    set_policy(log, privacy, KEPT)
    killed = 0
    for number in range(30):
        trail.append(f"w{number}", [make_entry(number * 10 + n) for n in range(3)])
        went_on = not is_killed_at(trail.url, number)
        assert trail.verify().findings == []
        if went_on:
            break
        killed += 1
        assert Erasure(log, privacy, wait_seconds=1).run(ALICE).answer == "partly"
        assert trail.entries() == []
    assert killed >= 7
    assert {receipt.answer for receipt in later(days=40)} == {"erased"}
    assert trail.entries(restricted=True) == []
    assert {entry.error_message for entry in trail.entries()} == {None}
    report = trail.verify()
    assert (report.verdict, report.findings) == ("self-consistent", [])
