from datetime import timedelta

import pytest

from auditmw.reports.prompts import REPORT

prompts = REPORT.answer


def test_versions_come_in_order_with_what_each_changed(make, asked):
    start = asked().since
    old = [
        make(start + timedelta(hours=n), system_prompt_hash="a" * 64, app_version="1", action="ask") for n in range(4)
    ]
    new = [
        make(
            start + timedelta(hours=10 + n),
            system_prompt_hash="b" * 64,
            app_version="1",
            action="ask",
            cost_nano=1_500_000,
            status="error" if n == 0 else "success",
        )
        for n in range(4)
    ]
    first, second = prompts([*new, *old], asked("action")).rows
    assert (first.version, first.share, first.cost_change, first.error_change, first.unannounced) == (
        "a" * 12,
        0.5,
        None,
        None,
        None,
    )
    assert (second.version, second.calls, second.error_rate) == ("b" * 12, 4, 0.25)
    assert second.cost_change == pytest.approx(0.5)
    assert second.error_change == 0.25
    assert second.unannounced == "same app version"
    assert second.last_us - second.first_us == 3 * 3_600_000_000


def test_a_new_prompt_of_a_new_version_is_announced(make, asked):
    entries = [
        make(system_prompt_hash="a", app_version="1"),
        make(asked().until, system_prompt_hash="b", app_version="2", cost_nano=None),
    ]
    _, second = prompts(entries, asked()).rows
    assert (second.unannounced, second.mean_nano, second.cost_change) == (None, None, None)


def test_calls_without_a_system_prompt_and_blocked_ones_say_nothing_of_errors(make, asked):
    (row,) = prompts([make(), make(system_prompt_hash="a", status="blocked")], asked()).rows
    assert (row.calls, row.error_rate) == (1, None)
