from datetime import UTC, datetime, timedelta

import pytest

from auditmw.clock import Clock, SystemClock
from auditmw.testing import FakeClock


def test_a_fake_clock_stands_still_until_it_is_moved():
    clock: Clock = FakeClock(datetime(2026, 11, 1, tzinfo=UTC))
    assert clock.now_us() == clock.now_us() == 1_793_491_200_000_000
    assert clock.monotonic_ns() == 0


def test_advancing_moves_both_clocks_by_seconds_or_a_timedelta():
    clock = FakeClock()
    start = clock.now_us()
    clock.advance(1.5)
    clock.advance(timedelta(microseconds=1))
    assert clock.now_us() - start == 1_500_001
    assert clock.monotonic_ns() == 1_500_001_000


def test_time_cannot_be_advanced_backwards():
    clock = FakeClock()
    with pytest.raises(ValueError, match="shift_wall"):
        clock.advance(-1)


def test_the_wall_clock_can_be_set_back_alone():
    clock = FakeClock()
    start = clock.now_us()
    clock.shift_wall(timedelta(hours=-1))
    assert clock.now_us() - start == -3_600_000_000
    assert clock.monotonic_ns() == 0


def test_the_system_clock_tells_utc_and_never_goes_backwards():
    clock: Clock = SystemClock()
    assert abs(clock.now_us() / 1e6 - datetime.now(UTC).timestamp()) < 60
    assert clock.monotonic_ns() <= clock.monotonic_ns()
