import json
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditmw.cli import text as texts


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left_in_a_text(text):
    shown = texts.printable(text)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown)
    assert texts.printable(shown) == shown


@pytest.mark.parametrize("text", ["plain", "Zürich, 東京 🙂", "a=b", ""])
def test_ordinary_text_stays_as_it_is(text):
    assert texts.printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [("\x1b[31m", "\\x1b[31m"), ("a\r\nb", "a\\x0d\\x0ab"), ("\u202e", "\\u202e"), ("\U000e0041", "\\U000e0041")],
)
def test_what_is_not_shown_is_escaped(text, shown):
    assert texts.printable(text) == shown


@given(st.text())
def test_a_line_of_json_means_the_same_and_holds_no_control_character(text):
    line = texts.printable_json(msgspec.json.encode({"a": text}).decode())
    assert json.loads(line) == {"a": text}
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", line)


@pytest.mark.parametrize(
    ("nano", "digits", "shown"),
    [
        (0, 2, "$0.00"),
        (1_234_567_890_000, 2, "$1,234.57"),
        (999_999_999, 2, "$1.00"),
        (1_500_000, 4, "$0.0015"),
        (50_000, 4, "<$0.0001"),
        (-2_500_000_000, 2, "-$2.50"),
    ],
)
def test_money_is_written_as_people_write_it(nano, digits, shown):
    assert texts.money(nano, digits) == shown


@given(st.integers(0, 10**15), st.integers(2, 6))
def test_money_is_rounded_to_the_nearest_of_its_digits(nano, digits):
    shown = texts.money(nano, digits)
    if not shown.startswith("<"):
        written = int(shown.replace("$", "").replace(",", "").replace(".", "")) * 10 ** (9 - digits)
        assert abs(written - nano) <= 10 ** (9 - digits) // 2


@pytest.mark.parametrize(
    ("nanos", "digits"), [([], 2), ([10**9, 5 * 10**10], 2), ([10**9, 10**6], 4), ([10**9, 10**4], 6)]
)
def test_a_column_of_money_has_digits_enough_for_its_smallest_amount(nanos, digits):
    assert texts.money_digits(nanos) == digits


@pytest.mark.parametrize(
    ("us", "shown"),
    [(900, "0.9 ms"), (9_949, "9.9 ms"), (9_950, "10 ms"), (999_499, "999 ms"), (999_500, "1.00 s"),
     (59_994_999, "59.99 s"), (59_995_000, "1 min 0 s"), (125_000_000, "2 min 5 s")],
)  # fmt: skip
def test_durations_are_written_in_the_unit_that_fits(us, shown):
    assert texts.duration(us) == shown


@given(st.floats(0, 1))
def test_a_bar_is_as_long_as_its_share(share):
    bar = texts.bar(share, width=10)
    eighths = sum(8 if block == "█" else 8 - "▉▊▋▌▍▎▏".index(block) - 1 for block in bar)
    assert abs(eighths - share * 80) <= 1
    assert bool(bar) == (share > 0)


def test_a_sparkline_shows_the_highest_value_full_and_nothing_as_low():
    assert texts.sparkline([0, 4, 8]) == "▁▅█"
    assert texts.sparkline([0, 0]) == "▁▁"
    assert not texts.sparkline([])


def test_a_share_is_a_percentage_and_a_time_is_in_utc():
    assert texts.percent(0.1234) == "12.3 %"
    assert texts.moment(1_764_000_000_000_000) == "2025-11-24 16:00:00"
