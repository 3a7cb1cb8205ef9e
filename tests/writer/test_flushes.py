"""Who waits for what: done when their number is stored, and told when it never will be."""

import pytest

from auditmw.flushes import Flushes


def test_a_flush_is_done_when_its_number_is_stored_and_not_before():
    flushes = Flushes()
    first = flushes.ask()
    flushes.wait_for(flushes.asked(), 3)
    flushes.answer(2)
    assert not first.done()
    assert flushes.any_waiting
    flushes.answer(3)
    assert first.done()
    assert not flushes.any


def test_an_answer_is_not_for_those_whose_number_is_not_known_yet():
    flushes = Flushes()
    asked = flushes.ask()
    flushes.answer(100)
    assert not asked.done()
    assert flushes.any
    assert not flushes.any_waiting


def test_a_failure_is_for_all_of_them():
    flushes = Flushes()
    waiting = flushes.ask()
    flushes.wait_for(flushes.asked(), 3)
    asked = flushes.ask()
    flushes.fail(RuntimeError("the end"))
    for future in (waiting, asked):
        with pytest.raises(RuntimeError, match="the end"):
            future.result(0)
    assert not flushes.any
