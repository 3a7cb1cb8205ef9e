"""The rollups of a store equal what its entries say, however and in whatever order these came in."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import count
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec import structs

from auditmw import AuditEntry
from auditmw.asking import ask, spent
from auditmw.entry import to_datetime, to_us
from auditmw.errors import ConfigurationError
from auditmw.reports import REPORTS
from auditmw.reports.report import Question
from auditmw.rolling import roll
from auditmw.rollups.calls import calls_of
from auditmw.rollups.cells import cells_of
from auditmw.rollups.days import DAY_KEY, DAY_SUMS
from auditmw.rollups.grouping import DAY_US, added
from auditmw.rollups.hours import ENDING_KEY, ENDING_SUMS, HOUR_KEY, HourCell
from auditmw.rollups.weeks import WEEK_KEY
from auditmw.stores import store_for
from auditmw.stores.protocol import Batch
from auditmw.stores.rollup_rows import hour_rows, sums_rows, week_rows
from auditmw.stores.sqlite import SqliteStore

MIDNIGHT_US = to_us(datetime(2026, 11, 23, tzinfo=UTC))
PRICES = {"input": "3", "cache_read": "0.3", "cache_write_5m": "3.75", "cache_write_1h": "6", "output": "15.003"}
COUNTS = st.none() | st.integers(0, 5000)


@st.composite
def drawn_entries(draw):
    """Entries of at most eight calls, each with its attempts in any order, late ones and other kinds among them."""
    entries = []
    for number in range(draw(st.integers(0, 25))):
        call = draw(st.integers(0, 7))
        cost = draw(COUNTS)
        entries.append(
            AuditEntry(
                request_id=f"r{number}",
                timestamp_us=MIDNIGHT_US + draw(st.integers(-3 * 3600, 3 * 3600)) * 1_000_000,
                call_id=draw(st.sampled_from([f"r{number}", f"call-{call}", None])),
                attempt=draw(st.integers(0, 2)),
                kind=draw(st.sampled_from(["llm", "llm", "llm", "function"])),
                status=draw(st.sampled_from(["success", "success", "error", "blocked", "incomplete", "cancelled"])),
                error_type=draw(st.sampled_from([None, "overloaded", ""])),
                tenant=draw(st.sampled_from([None, "acme"])),
                user_id=draw(st.sampled_from([None, "alice", "bob"])),
                model=draw(st.sampled_from([None, "m1", "m2"])),
                latency_us=draw(COUNTS),
                ttft_us=draw(COUNTS),
                input_tokens=draw(COUNTS),
                cache_read_tokens=draw(COUNTS),
                cache_write_5m_tokens=draw(COUNTS),
                output_tokens=draw(COUNTS),
                cost_nano=cost,
                cost_status=draw(st.sampled_from(["priced", "partial", "not_billed", None])),
                unit_prices=PRICES if cost else None,
                sanitization_count=draw(st.none() | st.integers(0, 3)),
            )
        )
    return entries


class Filled:
    """A store of one kind, and all entries that went into it."""

    def __init__(self, store, runner):
        self.store = store
        self.entries = []
        self.runner = runner
        self.batches = count()

    def run(self, work):
        return self.runner.run(work)

    def append(self, entries):
        """One batch of a writer of its own; ids are made new, so that no two batches share a call by chance."""
        number = next(self.batches)
        writer = f"w{number}"
        new = [
            structs.replace(entry, request_id=f"{number}-{entry.request_id}", writer=writer, seq=seq)
            for seq, entry in enumerate(entries, start=1)
        ]
        if new:
            self.run(self.store.append(Batch(writer, 1, new)))
        self.entries += new

    def cells(self):
        """What the store holds, as rows."""

        async def read():
            async with self.store.rollups.view() as view:
                days = await view.days(DAY_KEY, DAY_SUMS, "", "9", None)
                endings = await view.endings(ENDING_KEY, 0, 1000 * 365 * DAY_US, None)
                hours, weeks = await view.hours(HOUR_KEY, "", "9", None), await view.weeks(WEEK_KEY, "", "9", None)
                return days, hours, endings, weeks

        days, hours, endings, weeks = self.run(read())
        return (
            sums_rows(DAY_SUMS, {cell.group(DAY_KEY): cell for cell in days}),
            hour_rows({cell.group(HOUR_KEY): cell for cell in hours}),
            sums_rows(ENDING_SUMS, {cell.group(ENDING_KEY): cell for cell in endings}),
            [[*row[:7], row[8]] for row in week_rows({cell.group(WEEK_KEY): cell for cell in weeks})],
        )

    def expected(self):
        """What its entries come to, as rows."""
        cells = cells_of(calls_of(self.entries))
        weeks = {key: cell for key, cell in cells.weeks.items() if cell.calls}
        endings = {cell.group(ENDING_KEY): cell for cell in added(cells.hours.values(), ENDING_KEY, HourCell)}
        return (
            sums_rows(DAY_SUMS, cells.days),
            hour_rows(cells.hours),
            sums_rows(ENDING_SUMS, endings),
            [[*row[:7], row[8]] for row in week_rows(weeks)],
        )


@pytest.fixture(params=["sqlite", "postgres"])
def filled(request, tmp_path, clock):
    with asyncio.Runner() as runner, ExitStack() as cleanup:
        if request.param == "postgres":
            server, name = request.getfixturevalue("postgres_server"), f"auditmw_rollups_{next(_numbers)}"
            runner.run(on_server(server, f"CREATE DATABASE {name}"))
            cleanup.callback(lambda: runner.run(on_server(server, f"DROP DATABASE {name} WITH (FORCE)")))
            store = store_for(urlunsplit(urlsplit(server)._replace(path=f"/{name}")))
        else:
            store = SqliteStore(str(tmp_path / "audit.db"), clock)
        runner.run(store.open())
        cleanup.callback(lambda: runner.run(store.close()))
        yield Filled(store, runner)


async def on_server(server, sql):
    db = await asyncpg.connect(server)
    await db.execute(sql)
    await db.close()


def by_group(rows):
    return {row.group(("user", "model", "tenant", "day")): row for row in rows}


_numbers = count()
few = settings(  # a store keeps what earlier examples put into it, so that shrinking would not find less
    max_examples=25, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@few
@given(batches=st.lists(drawn_entries(), max_size=4), most=st.integers(1, 30), rolls=st.integers(0, 3))
def test_cells_equal_the_entries_whenever_they_were_rolled(filled, batches, most, rolls):
    for batch in batches:
        filled.append(batch)
        for _ in range(rolls):
            filled.run(roll(filled.store.rollups, most))
    while filled.run(roll(filled.store.rollups, most)):
        pass
    assert filled.cells() == filled.expected()


@few
@given(
    rolled=drawn_entries(), late=drawn_entries(), since=st.integers(-80, 80), hours=st.integers(0, 100), by=st.data()
)
def test_reports_say_the_same_from_rollups_as_from_entries(filled, rolled, late, since, hours, by):
    filled.append(rolled)
    while filled.run(roll(filled.store.rollups)):
        pass
    filled.append(late)
    start = to_datetime(MIDNIGHT_US) + timedelta(minutes=3 * since)
    tenant = by.draw(st.sampled_from([None, "acme"]))
    for name, groupings in (
        ("cost", ["user", "model", "tenant", "day"]),
        ("cache", ["user", "tenant", "day"]),
        ("errors", ["model", "tenant", "day"]),
        ("latency", ["model", "tenant", "day"]),
    ):
        report = REPORTS[name]
        question = Question(
            since=start,
            until=start + timedelta(minutes=3 * hours),
            by=by.draw(st.lists(st.sampled_from(groupings), unique=True)),
        )
        calls = [
            call
            for call in calls_of(filled.entries)
            if to_us(question.since) <= call.last.timestamp_us < to_us(question.until)
            and tenant in {None, call.last.tenant}
        ]
        expected = report.answer([entry for call in calls for entry in call.all], question)
        answer = filled.run(ask(filled.store, report, question, now_us=2 * MIDNIGHT_US, tenant=tenant))
        assert by_group(answer.rows) == by_group(expected.rows)
        assert answer.notes == expected.notes


@few
@given(
    sizes=st.lists(st.integers(90, 110) | st.just(90_000), min_size=8, max_size=40),
    days=st.integers(0, 20),
    rolled=st.integers(0, 40),
    by=st.lists(st.sampled_from(["user", "model"]), unique=True),
)
def test_anomalies_are_the_same_from_rollups_as_from_entries(filled, sizes, days, rolled, by):
    tenant = f"t{len(filled.entries)}"
    entries = [
        AuditEntry(
            f"r{place}",
            MIDNIGHT_US - place * days * 3_600_000_000,
            tenant=tenant,
            user_id="ab"[place % 5 > 0],
            model="m",
            input_tokens=size,
        )
        for place, size in enumerate(sizes)
    ]
    filled.append(entries[:rolled])
    while filled.run(roll(filled.store.rollups)):
        pass
    filled.append(entries[rolled:])
    until = to_datetime(MIDNIGHT_US) + timedelta(hours=1)
    question = Question(since=until - timedelta(days=25), until=until, by=by)
    report = REPORTS["anomalies"]
    since, until = map(to_us, report.reach(question))
    ours = [entry for entry in filled.entries if entry.tenant == tenant and since <= entry.timestamp_us < until]
    expected = report.answer(ours, question)
    answer = filled.run(ask(filled.store, report, question, now_us=2 * MIDNIGHT_US, tenant=tenant))
    assert (answer.rows, answer.notes) == (expected.rows, expected.notes)


@few
@given(entries=drawn_entries(), kept=drawn_entries(), tenant=st.sampled_from([None, "acme"]))
def test_after_an_erasure_cells_equal_what_is_left_of_the_entries(filled, entries, kept, tenant):
    filled.append(entries)
    while filled.run(roll(filled.store.rollups)):
        pass
    filled.append(kept)
    where = "user_id = 'alice'" + (f" AND tenant = '{tenant}'" if tenant else "")
    sql = f"UPDATE audit_entries SET user_id = NULL WHERE {where} AND attempt < 2"

    async def erase():
        if isinstance(filled.store, SqliteStore):
            async with filled.store._transaction() as db:
                await db.execute(sql)
        else:
            async with filled.store._connection() as db:
                await db.execute(sql)
        await filled.store.rollups.forget_user("alice", tenant)
        await filled.store.rollups.forget_user("alice", tenant)
        while await roll(filled.store.rollups):
            pass

    filled.run(erase())
    filled.entries = [
        structs.replace(entry, user_id=None)
        if entry.user_id == "alice" and tenant in {None, entry.tenant} and entry.attempt < 2
        else entry
        for entry in filled.entries
    ]
    assert filled.cells() == filled.expected()


@few
@given(first=drawn_entries(), second=drawn_entries())
def test_after_a_recount_cells_equal_the_entries_that_are_left(filled, first, second):
    filled.append(first)
    gone = {entry.request_id for entry in filled.entries}
    filled.append(second)
    while filled.run(roll(filled.store.rollups)):
        pass

    async def prune():
        sql = "DELETE FROM audit_entries WHERE request_id IN (SELECT value FROM json_each(?))"
        if isinstance(filled.store, SqliteStore):
            async with filled.store._transaction() as db:
                await db.execute(sql, (json.dumps(sorted(gone)),))
        else:
            async with filled.store._connection() as db:
                await db.execute("DELETE FROM audit_entries WHERE request_id = ANY($1)", sorted(gone))
        await filled.store.rollups.recount(MIDNIGHT_US - 10**11, MIDNIGHT_US + 10**11)

    filled.run(prune())
    filled.entries = [entry for entry in filled.entries if entry.request_id not in gone]
    assert filled.cells() == filled.expected()


def test_a_question_that_must_read_too_many_entries_is_refused_with_what_to_ask_instead(
    filled, make_entry, monkeypatch
):
    filled.append([make_entry(number, timestamp_us=MIDNIGHT_US) for number in range(3)])
    start = to_datetime(MIDNIGHT_US)
    question = Question(since=start, until=start + timedelta(hours=1), by=["team"])
    asked = ask(filled.store, REPORTS["cost"], question, now_us=MIDNIGHT_US)
    assert [row.calls for row in filled.run(asked).rows] == [3]
    monkeypatch.setattr("auditmw.asking.MOST_READ", 2)
    with pytest.raises(ConfigurationError, match="ask about less time, or group by"):
        filled.run(ask(filled.store, REPORTS["cost"], question, now_us=MIDNIGHT_US))
    monkeypatch.setattr("auditmw.asking.MOST_UNROLLED", 0)
    with pytest.raises(ConfigurationError, match="more than 2 lie in that time"):
        filled.run(spent(filled.store, "user", start, tuple, now_us=MIDNIGHT_US + 1))


@pytest.mark.parametrize("most_unrolled", [0, 1000])
def test_what_was_spent_tells_which_entries_are_in_it(filled, make_entry, monkeypatch, most_unrolled):
    monkeypatch.setattr("auditmw.asking.MOST_UNROLLED", most_unrolled)
    known = []

    def spend(number):
        filled.append([make_entry(number, user_id="alice", cost_nano=10**number, timestamp_us=MIDNIGHT_US)])
        known.append(filled.entries[-1].request_id)

    spend(1)
    filled.run(roll(filled.store.rollups))
    spend(2)
    now_us = MIDNIGHT_US + 3_600_000_000
    answer = spent(filled.store, "user", to_datetime(MIDNIGHT_US), lambda: [*known, "not yet"], now_us=now_us)
    assert filled.run(answer) == ({"alice": 110}, set(known))


def test_a_rebuild_ends_where_it_was(filled, make_entry):
    filled.append([make_entry(number, user_id=f"u{number % 7}", input_tokens=number * 37) for number in range(300)])
    while filled.run(roll(filled.store.rollups, 70)):
        pass
    before = filled.cells()
    filled.run(filled.store.rollups.clear())
    assert not any(filled.cells())
    while filled.run(roll(filled.store.rollups, 70)):
        pass
    assert filled.cells() == before == filled.expected()


def test_who_rolls_while_somebody_erases_begins_anew(filled, make_entry):
    filled.append([make_entry(1, user_id="alice")])

    async def race():
        async with filled.store.rollups.view() as view:
            known = await view.extent()
        await filled.store.rollups.forget_user("alice")
        return await filled.store.rollups.apply(cells_of(calls_of(filled.entries)), known, 1)

    assert not filled.run(race())
    assert not any(filled.cells())
