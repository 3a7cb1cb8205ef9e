from auditmw.reports.latency import REPORT
from auditmw.rollups.buckets import bounds, bucket_of

latency = REPORT.answer


def test_quantiles_lie_in_the_bucket_of_the_true_ones(make, asked):
    (row,) = latency([make(latency_us=1000 * n, ttft_us=100 * n) for n in range(1, 101)], asked("model")).rows
    assert row.calls == row.streams == 100
    for told, true in ((row.p50_us, 50_000), (row.p95_us, 95_000), (row.p99_us, 99_000), (row.ttft_p50_us, 5000)):
        low, high = bounds(bucket_of(true))
        assert low <= told <= high


def test_only_calls_that_succeeded_are_timed(make, asked):
    entries = [make(latency_us=10), make(latency_us=10**9, status="error"), make(latency_us=None)]
    (row,) = latency(entries, asked("model")).rows
    assert (row.calls, row.p99_us, row.streams, row.ttft_p50_us) == (1, 10, 0, None)


def test_the_slowest_group_comes_first_within_a_day(make, asked):
    entries = [make(model="quick", latency_us=10), make(model="slow", latency_us=10_000)]
    assert [row.model for row in latency(entries, asked("model", "day")).rows] == ["slow", "quick"]


def test_a_model_whose_calls_all_failed_has_no_row(make, asked):
    assert not latency([make(status="error")], asked("model")).rows
