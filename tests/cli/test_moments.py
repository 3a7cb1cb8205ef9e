from datetime import UTC, datetime, timedelta, timezone

import pytest

from auditmw.cli.moments import parse_moment
from auditmw.errors import ConfigurationError

NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T10:00", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        ("2026-11-01T10:00:30Z", datetime(2026, 11, 1, 10, 0, 30, tzinfo=UTC)),
        ("2026-11-01T10:00+02:00", datetime(2026, 11, 1, 10, tzinfo=timezone(timedelta(hours=2)))),
        ("-7d", NOW - timedelta(days=7)),
        ("-3h", NOW - timedelta(hours=3)),
        ("-30m", NOW - timedelta(minutes=30)),
        ("-2w", NOW - timedelta(weeks=2)),
    ],
)
def test_a_time_is_read_as_people_type_it(text, moment):
    assert parse_moment(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "-7x", "7d", "2026-13-01", "-7 d", "--7d"])
def test_what_is_no_time_is_refused_with_examples(text):
    with pytest.raises(ConfigurationError, match="2026-11-01T10:00"):
        parse_moment(text, NOW)


def test_a_time_before_all_dates_is_refused():
    with pytest.raises(ConfigurationError, match="later"):
        parse_moment("-999999w", NOW)
