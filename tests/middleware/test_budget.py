import os
import signal
import time
from concurrent.futures import Future
from contextlib import aclosing
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace

import anyio
import pytest

from auditmw import AuditTrail, CallBlocked
from auditmw.entry import Cost
from auditmw.errors import ConfigurationError
from auditmw.middleware import Budget, CostCalculator, Writer
from auditmw.spending import Spending, Spent
from auditmw.testing import FakeClock

DOLLAR = 1_000_000_000


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def make_trail(tmp_path, clock):
    """Makes trails on one database, each as another process would."""
    trails = []

    def make(budget, number=0):
        trail = AuditTrail(
            f"sqlite:///{tmp_path}/audit.db",
            pipeline=[Writer(), budget, CostCalculator()],
            journal_dir=tmp_path / f"journal-{number}",
            clock=clock,
        )
        trails.append(trail)
        return trail

    yield make
    for trail in trails:
        trail.close()


def spending_of(trail):
    return trail._recorder.pipeline.layers[1].plain.__self__._spending


def spend(trail, dollars, **fields):
    with trail.call(**{"user_id": "alice", "model": "m", **fields}) as call:
        call.cost = Cost(status="priced", nano=int(Decimal(dollars) * DOLLAR))


def test_over_the_hard_limit_a_call_is_blocked_with_the_reason_and_its_entry(make_trail):
    trail = make_trail(Budget("user", "day", hard=5))
    spend(trail, 3)
    spend(trail, 2)
    with pytest.raises(CallBlocked, match=r"the user alice has spent \$5.00 of \$5.00 this day"):
        spend(trail, 1)
    spend(trail, 1, user_id="bob")
    trail.sync.flush()
    blocked = [entry for entry in trail.sync.query() if entry.status == "blocked"]
    assert [entry.user_id for entry in blocked] == ["alice"]
    assert "raise the budget" in blocked[0].error_message


async def test_an_async_call_is_blocked_too(make_trail):
    trail = make_trail(Budget("tenant", "month", hard="0.5"))
    async with trail.call(tenant="acme") as call:
        call.cost = Cost(status="priced", nano=DOLLAR)
    with pytest.raises(CallBlocked, match="the tenant acme"):
        async with trail.call(tenant="acme"):
            pytest.fail("it was sent")


def test_what_another_process_has_spent_counts(make_trail):
    first = make_trail(Budget("user", "day", hard=5))
    spend(first, 6)
    first.sync.flush()
    second = make_trail(Budget("user", "day", hard=5), 1)
    with pytest.raises(CallBlocked):
        spend(second, 1)


def test_what_another_process_spends_later_is_seen_after_the_refresh(make_trail, clock):
    first, second = (make_trail(Budget("user", "day", hard=5, refresh=5.0), number) for number in range(2))
    spend(second, 1)
    spend(first, 6)
    first.sync.flush()
    spend(second, 1)
    clock.advance(6)
    spend(second, 1)  # this one begins to ask
    spending_of(second)._asking.result(5)
    with pytest.raises(CallBlocked, match=r"\$9.00"):
        spend(second, 1)


def test_nothing_is_counted_twice_when_the_store_is_asked_again(make_trail, clock):
    trail = make_trail(Budget("user", "day", hard=100, refresh=5.0))
    for _ in range(4):
        spend(trail, 1)
        clock.advance(6)
    spending_of(trail).known()
    spending_of(trail)._asking.result(5)
    assert spending_of(trail).nano("alice") == 4 * DOLLAR


def test_what_is_spent_while_the_store_is_asked_counts_once_whether_it_was_stored_by_then_or_not(clock):
    answer, flushed = Future(), Future()
    flushed.set_result(None)
    asked = SimpleNamespace(clock=clock, flushed=lambda: flushed, spent=lambda *_: answer)
    spending = Spending(asked, "user", "day", 5.0)
    spending.add("alice", 1, "before")
    spending.known()
    spending.add("alice", 2, "while and stored")
    spending.add("alice", 4, "while and not stored")
    answer.set_result(Spent({"alice": 10 + 1 + 2}, {"before", "while and stored"}))
    assert spending.nano("alice") == 10 + 1 + 2 + 4


def test_a_store_that_takes_long_is_not_asked_again_meanwhile_and_only_its_first_answer_is_waited_for(clock):
    answers, flushed = [Future(), Future()], Future()
    flushed.set_result(None)
    left = iter(answers)
    asked = SimpleNamespace(clock=clock, flushed=lambda: flushed, spent=lambda *_: next(left))
    spending = Spending(asked, "user", "day", 5.0)
    waited_for = spending.known()
    clock.advance(6)
    assert spending.known() is waited_for
    answers[0].set_result(Spent({}, set()))
    assert waited_for.done()
    for _ in range(2):
        assert spending.known() is None
        clock.advance(6)
    answers[1].set_result(Spent({"alice": 7}, set()))
    assert spending.nano("alice") == 7


@pytest.fixture
def silent(clock):
    """A trail whose store is away: it is asked, and never answers; `flushes` are the questions."""
    flushes = []

    def flushed():
        flushes.append(Future())
        return flushes[-1]

    return SimpleNamespace(clock=clock, flushed=flushed, flushes=flushes, spent=lambda *_: Future())


def test_after_the_first_wait_of_a_period_nothing_is_waited_for_until_the_next(silent, clock, monkeypatch):
    monkeypatch.setattr("auditmw.spending.FIRST_WAIT_SECONDS", 0.05)
    spending = Spending(silent, "user", "day", 5.0)
    assert not spending.known().done()
    assert 0 < spending.patience() <= 0.05
    time.sleep(0.05)
    assert (spending.known(), spending.patience()) == (None, 0)
    clock.advance(timedelta(days=1).total_seconds())
    assert not spending.known().done()


def test_an_answer_that_comes_after_the_first_wait_counts(clock, monkeypatch):
    monkeypatch.setattr("auditmw.spending.FIRST_WAIT_SECONDS", 0)
    answer, flushed = Future(), Future()
    flushed.set_result(None)
    asked = SimpleNamespace(clock=clock, flushed=lambda: flushed, spent=lambda *_: answer)
    spending = Spending(asked, "user", "day", 5.0)
    assert spending.known() is None
    answer.set_result(Spent({"alice": 7}, set()))
    assert spending.nano("alice") == 7


A_CALL = SimpleNamespace(kind="llm", user_id="alice", cost=None, request_id="r")


async def begin(budget):
    async with aclosing(budget.around_async(A_CALL)) as halves:
        await anext(halves)


def test_without_its_store_only_the_first_call_of_a_period_waits(silent, monkeypatch):
    monkeypatch.setattr("auditmw.spending.FIRST_WAIT_SECONDS", 0.3)
    budget, began = Budget(hard=1).bind(silent), time.monotonic()
    for _ in range(5):
        next(budget.around(A_CALL))
    assert 0.3 <= time.monotonic() - began < 0.9


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_without_its_store_only_the_first_async_call_of_a_period_waits(silent, monkeypatch):
    monkeypatch.setattr("auditmw.spending.FIRST_WAIT_SECONDS", 0.3)
    budget, began = Budget(hard=1).bind(silent), time.monotonic()
    for _ in range(5):
        await begin(budget)
    assert 0.3 <= time.monotonic() - began < 0.9


def test_calls_that_are_given_up_while_they_wait_do_not_make_later_ones_wait_longer(silent, monkeypatch):
    monkeypatch.setattr("auditmw.spending.FIRST_WAIT_SECONDS", 0.3)
    budget = Budget(hard=1).bind(silent)

    async def impatient():
        with anyio.move_on_after(0.2) as scope:
            await begin(budget)
        return scope.cancelled_caught

    assert [anyio.run(impatient) for _ in range(4)] == [True, False, False, False]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_asks_anew_though_its_parent_is_waiting(silent):
    spending = Spending(silent, "user", "day", 5.0)
    first = spending.known()
    spending.add("alice", 1, "the parent's")
    with spending._lock:  # as when another thread forks
        child = os.fork()
        if child == 0:
            signal.alarm(5)  # for one that waits for its parent's lock
            try:
                asked = spending.known()
                anew = asked is not first and len(silent.flushes) == 2 and spending.nano("alice") == 0
                os._exit(0 if anew else 1)
            finally:
                os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert spending.known() is first


def test_a_new_day_begins_at_nothing(make_trail, clock):
    trail = make_trail(Budget("user", "day", hard=1))
    spend(trail, 1)
    with pytest.raises(CallBlocked):
        spend(trail, 1)
    clock.advance(timedelta(days=1).total_seconds())
    spend(trail, 1)


def test_a_month_goes_on_over_its_days(make_trail, clock):
    trail = make_trail(Budget("model", "month", hard=1))
    spend(trail, 1)
    clock.advance(timedelta(days=1).total_seconds())
    with pytest.raises(CallBlocked, match="the model m"):
        spend(trail, 1)


def test_the_soft_limit_is_told_once_a_period(make_trail, clock):
    told = []
    trail = make_trail(Budget("user", "day", soft="1.5", on_soft=lambda *said: told.append(said)))
    for _ in range(4):
        spend(trail, 1)
    assert told == [("alice", Decimal(2), Decimal("1.5"))]
    clock.advance(timedelta(days=1).total_seconds())
    spend(trail, 2)
    assert len(told) == 2


def test_a_limit_of_ones_own_goes_before_the_common_one(make_trail):
    trail = make_trail(Budget("user", "day", hard=1, limits={"alice": 10}))
    spend(trail, 5)
    spend(trail, 5)
    with pytest.raises(CallBlocked):
        spend(trail, 1)


def test_calls_without_a_name_and_of_other_kinds_have_no_budget(make_trail):
    trail = make_trail(Budget("user", "day", hard=0))
    spend(trail, 1, user_id=None)
    spend(trail, 1, kind="function")
    with pytest.raises(CallBlocked):
        spend(trail, 1)


def test_without_its_store_a_process_counts_what_it_spends_itself(clock, tmp_path):
    url = f"sqlite:///{tmp_path}/missing/audit.db"
    pipeline = [Writer(), Budget("user", "day", hard=2), CostCalculator()]
    trail = AuditTrail(url, pipeline=pipeline, journal_dir=tmp_path / "journal", clock=clock)
    spend(trail, 1)
    spend(trail, 1)
    with pytest.raises(CallBlocked):
        spend(trail, 1)
    trail.close(timeout=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "without a limit"),
        ({"hard": -1}, "0 or more"),
        ({"hard": 1, "soft": 2}, "exchange them"),
        ({"by": "team", "hard": 1}, "'user', 'tenant' or 'model'"),
        ({"period": "week", "hard": 1}, "'day' or a 'month'"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        Budget(**arguments)
