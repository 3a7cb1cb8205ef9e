import pytest

from auditmw import AuditEntry
from auditmw.reports.coverage import REPORT

coverage = REPORT.answer


def test_of_a_whole_trail_it_names_the_denominator_alone(make, asked):
    whole = make(usage_complete=True, input_hash="h", writer="w", seq=1)
    (row,) = coverage([whole], asked()).rows
    assert (row.what, row.count, row.of, row.share) == ("recorded", 1, 1, 1.0)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"status": "interrupted"}, "interrupted"),
        ({"status": "abandoned"}, "abandoned"),
        ({"cost_status": "unknown_model"}, "unpriced"),
        ({"usage_complete": False}, "without usage"),
        ({"input_hash": None}, "without digests"),
        ({"audit_errors": 1}, "with audit errors"),
    ],
)
def test_what_is_missing_of_an_attempt_is_named(fields, what, make, asked):
    entry = make(**{"usage_complete": True, "input_hash": "h", **fields})
    rows = {row.what: row.count for row in coverage([entry], asked()).rows}
    assert rows == {"recorded": 1, what: 1}


@pytest.mark.parametrize("fields", [{"status": "blocked"}, {"output_hash": "h"}])
def test_what_was_not_sent_or_has_one_digest_does_not_lack_digests(fields, make, asked):
    entry = make(**{"usage_complete": True, "input_hash": None, **fields})
    assert "without digests" not in {row.what for row in coverage([entry], asked()).rows}


def test_what_was_dropped_is_counted_as_the_trail_says(asked):
    drop = AuditEntry("c", 0, kind="control", action="drop", metadata={"count": 12})
    others = [
        AuditEntry(f"c{n}", 0, kind="control", action=action)
        for n, action in enumerate(["lost", "set_aside", "open", "drop"])
    ]
    rows = {row.what: row.count for row in coverage([drop, *others], asked()).rows}
    assert rows == {"dropped": 13, "lost": 1, "set aside": 1}


def test_numbers_missing_between_two_that_are_here_are_a_gap(make, asked):
    numbers = enumerate((3, 4, 9))
    entries = [make(writer="w", seq=seq, leaf_index=leaf, usage_complete=True, input_hash="h") for leaf, seq in numbers]
    entries += [make(writer="v", seq=seq, leaf_index=leaf, kind="function") for leaf, seq in ((3, 1), (4, 3))]
    rows = {row.what: row.count for row in coverage(entries, asked()).rows}
    assert rows["gap"] == 5


def test_without_attempts_there_is_no_share(asked):
    (row,) = coverage([AuditEntry("c", 0, kind="control", action="lost")], asked()).rows
    assert row.share is None


def test_a_number_that_may_be_of_an_entry_that_was_not_asked_for_is_no_gap(make, asked):
    fields = {"usage_complete": True, "input_hash": "h"}
    of_one_tenant = [make(writer="w", seq=seq, leaf_index=seq - 1, **fields) for seq in (1, 3, 5)]
    assert "gap" not in {row.what for row in coverage(of_one_tenant, asked()).rows}
    of_two_writers = [make(writer="w", seq=1, leaf_index=0, **fields), make(writer="v", seq=1, leaf_index=1, **fields)]
    of_two_writers.append(make(writer="w", seq=4, leaf_index=3, **fields))
    assert {row.what: row.count for row in coverage(of_two_writers, asked()).rows}["gap"] == 1
