from datetime import timedelta

from auditmw.reports.redactions import REPORT

redactions = REPORT.answer


def test_findings_are_counted_by_kind_with_the_calls_that_were_scanned(make, asked):
    now = asked().until
    entries = [
        make(now - timedelta(days=2), sanitization={"EMAIL": 3, "IBAN": 1}, app="desk"),
        make(now - timedelta(hours=1), sanitization={"EMAIL": 1}, app="desk"),
        make(sanitization={}, app="desk"),
        make(sanitization=None, app="desk"),
    ]
    email, iban = redactions(entries, asked("app")).rows
    assert (email.app, email.kind, email.found, email.calls, email.scanned) == ("desk", "EMAIL", 4, 2, 3)
    assert (email.first_day, email.last_day) == ("2026-11-22", "2026-11-24")
    assert email.share == 2 / 3
    assert (iban.kind, iban.found) == ("IBAN", 1)


def test_a_call_that_was_tried_again_counts_once(make, asked):
    entries = [
        make(call_id="c", status="error", sanitization={"CARD": 1}),
        make(call_id="c", attempt=1, sanitization={"CARD": 1}),
    ]
    (row,) = redactions(entries, asked("app")).rows
    assert (row.found, row.calls, row.scanned) == (1, 1, 1)
