from auditmw.reports.attempts import REPORT

attempts = REPORT.answer


def test_what_came_of_calls_that_were_tried_again(make, asked):
    entries = [
        make(),
        make(call_id="a", status="error", latency_us=7, cost_nano=2),
        make(call_id="a", attempt=1),
        make(call_id="b", status="error", latency_us=None, cost_nano=None),
        make(call_id="b", attempt=1, status="error", latency_us=5),
        make(call_id="b", attempt=2, status="error"),
    ]
    (row,) = attempts(entries, asked("model")).rows
    assert (row.calls, row.attempts, row.retried, row.recovered, row.gave_up, row.most) == (3, 6, 2, 1, 1, 3)
    assert (row.waited_us, row.wasted_nano) == (12, 1_000_002)
    assert row.share == 2 / 3
