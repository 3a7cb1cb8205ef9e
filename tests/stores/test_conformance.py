"""What every store does: this file runs unchanged on each of them."""

from __future__ import annotations

import asyncio
import itertools

import msgspec
import pytest

from auditmw.entry import AuditEntry
from auditmw.errors import KeyMismatch, PoisonEntry, SequenceGap
from auditmw.stores.protocol import Batch, Filter


def seqs(entries):
    return [entry.seq for entry in entries]


async def test_an_entry_comes_back_as_it_was_with_its_place_and_a_whole_second(store, read, make_entry):
    entry = make_entry(1, writer="w1", seq=1)
    assert await store.append(Batch("w1", 1, [entry])) == 1
    (found,) = await read(store)
    assert found == msgspec.structs.replace(entry, stored_at_us=found.stored_at_us, leaf_index=0)
    assert found.stored_at_us > 0
    assert found.stored_at_us % 1_000_000 == 0


async def test_absent_fields_stay_absent(store, read):
    await store.append(Batch("w1", 1, [AuditEntry("r1", 5)]))
    (entry,) = await read(store)
    assert entry.to_dict() == {
        **AuditEntry("r1", 5).to_dict(),
        "stored_at": entry.to_dict()["stored_at"],
        "writer": "w1",
        "seq": 1,
        "leaf_index": 0,
    }


@pytest.mark.parametrize("nano", [None, 0, 1, 999_999_999, 1_000_000_001, 2**53 - 1])
async def test_cost_stays_exact(store, read, make_entry, nano):
    await store.append(Batch("w1", 1, [make_entry(1, cost_nano=nano)]))
    assert [entry.cost_nano for entry in await read(store)] == [nano]


async def test_an_empty_batch_stores_nothing(store, read):
    assert await store.append(Batch("w1", 1, [])) == 0
    assert await read(store) == []


async def test_a_repeated_batch_is_stored_once(store, read, make_batch):
    assert await store.append(make_batch(count=3)) == 3
    assert await store.append(make_batch(count=3)) == 0
    assert seqs(await read(store)) == [1, 2, 3]


async def test_a_batch_cut_differently_adds_only_what_is_missing(store, read, make_batch):
    await store.append(make_batch(count=3))
    assert await store.append(make_batch(first_seq=2, count=4)) == 2
    assert await store.append(make_batch(first_seq=2, count=2)) == 0
    assert seqs(await read(store)) == [1, 2, 3, 4, 5]


async def test_a_gap_in_a_writers_sequence_is_refused_and_nothing_is_stored(store, read, make_batch):
    with pytest.raises(SequenceGap, match="stored up to 0 and the batch begins at 2"):
        await store.append(make_batch(first_seq=2))
    await store.append(make_batch(count=1))
    with pytest.raises(SequenceGap) as refused:
        await store.append(make_batch(first_seq=3))
    assert refused.value.last_seq == 1
    assert seqs(await read(store)) == [1]


@pytest.mark.parametrize("seconds", [0, 1])
@pytest.mark.parametrize("stored_before", [0, 2])
async def test_a_batch_that_was_made_ready_is_stored_as_any(store, read, make_batch, clock, seconds, stored_before):
    await store.append(make_batch(count=1))
    batch = make_batch(first_seq=2, count=60)
    await store.prepare(batch)
    await store.append(make_batch(first_seq=2, count=stored_before))
    clock.shift_wall(seconds)
    assert await store.append(batch) == 60 - stored_before
    assert await store.append(batch) == 0
    found = await read(store)
    assert [(entry.seq, entry.leaf_index) for entry in found] == [(seq, seq - 1) for seq in range(1, 62)]
    assert found[-1].stored_at_us >= found[0].stored_at_us


async def test_making_ready_leaves_it_to_append_to_refuse_an_entry(store, read, make_batch):
    await store.append(make_batch(count=1))
    batch = make_batch(first_seq=2, count=40)
    batch.entries[30] = msgspec.structs.replace(batch.entries[30], input_tokens=2**60)
    await store.prepare(batch)
    with pytest.raises(PoisonEntry) as refused:
        await store.append(batch)
    assert refused.value.index == 30
    assert seqs(await read(store)) == [1]


async def test_to_make_a_batch_ready_changes_nothing_of_what_is_stored(store, read, make_batch, check_leaves):
    await store.append(make_batch("w1", count=1))
    await store.append(make_batch("w2", count=1))
    ready, plain = make_batch("w1", first_seq=2, count=60), make_batch("w2", first_seq=2, count=60)
    await store.prepare(ready)
    assert await store.append(ready) == await store.append(plain) == 60
    first, second = [[entry async for entry in store.query(Filter(after=after, limit=60))] for after in (1, 61)]
    assert [entry.leaf_index for entry in first + second] == list(range(2, 122))
    same = [{"writer": "w2", "leaf_index": e.leaf_index + 60, "stored_at_us": second[0].stored_at_us} for e in first]
    assert second == [msgspec.structs.replace(e, **place) for e, place in zip(first, same, strict=True)]
    await check_leaves(store)


async def test_batches_are_stored_in_their_order_while_each_next_one_is_made_ready(
    store, read, make_batch, clock, check_leaves
):
    batches = [make_batch(first_seq=first, count=40) for first in range(1, 241, 40)]
    for batch, following in itertools.pairwise([*batches, make_batch(first_seq=241)]):
        await asyncio.gather(store.append(batch), store.prepare(following))
        clock.shift_wall(batch.first_seq // 80)  # not at each of them, so that some were made for the right second
    found = [(entry.seq, entry.leaf_index) for entry in await read(store)]
    assert found == [(seq, seq - 1) for seq in range(1, 241)]
    await check_leaves(store)


async def test_of_a_batch_that_was_made_ready_and_is_not_stored_after_all_nothing_stays(
    store, read, make_batch, check_leaves
):
    await store.append(make_batch(count=1))
    given_up = make_batch(first_seq=2, count=30, user_id="given up")
    await store.prepare(given_up)
    assert await store.append(make_batch(first_seq=2, count=40, user_id="in its place")) == 40
    assert await store.append(given_up) == 0
    assert {entry.user_id for entry in (await read(store))[1:]} == {"in its place"}
    await check_leaves(store)


async def test_a_batch_that_was_made_ready_is_stored_when_it_is_tried_again(store, read, make_batch, check_leaves):
    await store.append(make_batch(count=1))
    batch = make_batch(first_seq=3, count=30)
    await store.prepare(batch)
    with pytest.raises(SequenceGap):
        await store.append(batch)
    assert await store.append(make_batch(first_seq=2, count=1)) == 1
    assert await store.append(batch) == 30
    assert seqs(await read(store)) == list(range(1, 33))
    await check_leaves(store)


@pytest.mark.parametrize("cut", [[1] * 6, [6], [2, 4], [3, 3]], ids=["one by one", "all at once", "2 4", "3 3"])
@pytest.mark.parametrize("turned", [False, True], ids=["emptiest first", "fullest first"])
async def test_fields_that_no_entry_had_before_are_stored_too(store, read, make_entry, check_leaves, cut, turned):
    given = [
        AuditEntry("r1", 1, call_id="c", logged_at_us=2),
        AuditEntry("r2", 2, error_message="late", latency_us=3),
        AuditEntry("r3", 3, stream=False, metadata={}, http_status=0),
        AuditEntry("r4", 4, user_id="", cost_nano=0),
        make_entry(5),
        AuditEntry("r6", 6),
    ]
    given = given[::-1] if turned else given
    waiting, seq = iter(given), 1
    for count in cut:
        batch = Batch("w1", seq, list(itertools.islice(waiting, count)))
        await store.prepare(batch)
        await store.append(batch)
        seq += count
    found = await read(store)
    places = [{"stored_at_us": e.stored_at_us, "writer": "w1", "seq": e.seq, "leaf_index": e.leaf_index} for e in found]
    assert found == [msgspec.structs.replace(entry, **place) for entry, place in zip(given, places, strict=True)]
    await check_leaves(store)


async def test_writers_have_their_own_sequences_and_share_the_leaf_order(store, read, make_batch):
    await store.append(make_batch("w1", count=2))
    await store.append(make_batch("w2", count=2))
    await store.append(make_batch("w1", first_seq=3, count=1))
    found = [(entry.leaf_index, entry.writer, entry.seq) for entry in await read(store)]
    assert found == [(0, "w1", 1), (1, "w1", 2), (2, "w2", 1), (3, "w2", 2), (4, "w1", 3)]


async def test_stored_at_never_goes_backwards(store, read, make_batch, clock):
    for first_seq, step_s in enumerate([0, 5, -60, 1, 70], start=1):
        clock.shift_wall(step_s)
        await store.append(make_batch(first_seq=first_seq, count=1))
    times = [entry.stored_at_us for entry in await read(store)]
    assert times == sorted(times)
    assert all(us % 1_000_000 == 0 for us in times)


@pytest.mark.parametrize(
    "fields",
    [{"user_id": "\ud800"}, {"input_tokens": 2**63}, {"metadata": {"a": "\ud800"}, "user_id": "\udfff"}, {"model": 5}],
    ids=["lone surrogate", "huge integer", "in two classes", "wrong type"],
)
async def test_a_poison_entry_is_named_and_nothing_of_its_batch_is_stored(store, read, make_batch, make_entry, fields):
    batch = make_batch(count=5)
    entries = [*batch.entries[:3], make_entry(4, **fields), batch.entries[4]]
    with pytest.raises(PoisonEntry, match="r4") as refused:
        await store.append(Batch("w1", 1, entries))
    assert refused.value.index == 3
    assert await read(store) == []


async def test_the_index_of_a_poison_entry_counts_what_is_stored_already(store, make_batch, make_entry):
    await store.append(make_batch(count=2))
    entries = [*make_batch(count=3).entries, make_entry(4, user_id="\ud800")]
    with pytest.raises(PoisonEntry) as refused:
        await store.append(Batch("w1", 1, entries))
    assert refused.value.index == 3


async def test_after_a_refused_batch_the_next_one_is_stored(store, read, make_batch, make_entry):
    with pytest.raises(PoisonEntry):
        await store.append(Batch("w1", 1, [make_entry(1, user_id="\ud800")]))
    assert await store.append(make_batch(count=1)) == 1


@pytest.mark.parametrize(
    "wanted",
    [
        {"request_id": "r2"},
        {"user_id": "user-2"},
        {"subject": "other"},
        {"session_id": "other"},
        {"tenant": "other"},
        {"model": "other"},
        {"status": "error"},
        {"action": "other"},
        {"call_id": "other"},
        {"kind": "function"},
        {"user_id": "user-2", "status": "error"},
    ],
    ids=str,
)
async def test_each_condition_gives_the_entries_that_fit(store, read, make_entry, wanted):
    entries = [make_entry(1), make_entry(2, **{**wanted, "request_id": "r2"}), make_entry(3)]
    await store.append(Batch("w1", 1, entries))
    assert seqs(await read(store, **wanted)) == [2]


async def test_a_call_is_found_by_its_id_with_all_its_attempts(store, read, make_entry):
    entries = [make_entry(n, call_id="r1", attempt=n - 1) for n in (1, 2, 3)]
    await store.append(Batch("w1", 1, [*entries, make_entry(4)]))
    assert seqs(await read(store, call_id="r1")) == [1, 2, 3]


async def test_values_of_a_filter_are_never_code(store, read, make_entry):
    await store.append(Batch("w1", 1, [make_entry(1)]))
    assert await read(store, user_id="' OR '1'='1") == []


async def test_times_bound_the_start_of_the_call_and_the_end_is_exclusive(store, read, make_batch):
    batch = make_batch(count=5)
    await store.append(batch)
    starts = [entry.timestamp_us for entry in batch.entries]
    assert seqs(await read(store, since_us=starts[1], until_us=starts[3])) == [2, 3]
    assert seqs(await read(store, since_us=starts[3])) == [4, 5]
    assert seqs(await read(store, until_us=starts[1])) == [1]
    assert await read(store, since_us=starts[4] + 1) == []


async def test_control_entries_come_only_when_asked_for(store, read, make_entry):
    await store.append(Batch("w1", 1, [make_entry(1), make_entry(2, kind="control"), make_entry(3, kind="request")]))
    assert seqs(await read(store)) == [1, 3]
    assert seqs(await read(store, kind="control")) == [2]


async def test_entries_come_in_leaf_order_or_the_other_way_round(store, read, make_entry):
    late_first = [make_entry(9), make_entry(5), make_entry(7)]
    await store.append(Batch("w1", 1, late_first))
    assert [entry.request_id for entry in await read(store)] == ["r9", "r5", "r7"]
    assert [entry.request_id for entry in await read(store, newest_first=True)] == ["r7", "r5", "r9"]
    late = await read(store, since_us=late_first[1].timestamp_us, newest_first=True)
    assert [entry.request_id for entry in late] == ["r7", "r5", "r9"]


@pytest.mark.parametrize("newest_first", [False, True])
async def test_a_long_trail_is_given_in_order_across_pages(store, read, make_batch, newest_first):
    for first_seq in range(1, 1401, 200):
        await store.append(make_batch(first_seq=first_seq, count=200))
    expected = list(range(1, 1401))
    if newest_first:
        expected.reverse()
    assert seqs(await read(store, newest_first=newest_first)) == expected
    assert seqs(await read(store, newest_first=newest_first, limit=1050)) == expected[:1050]
    assert (
        seqs(await read(store, newest_first=newest_first, limit=7, user_id="user-0"))
        == [seq for seq in expected if seq % 3 == 0][:7]
    )


async def test_a_limit_of_none_at_all_gives_nothing(store, read, make_batch):
    await store.append(make_batch())
    assert await read(store, limit=0) == []


async def test_a_query_gives_what_was_stored_when_it_began(store, make_batch):
    await store.append(make_batch(count=600))
    found = []
    async for entry in store.query(Filter()):
        if not found:
            await store.append(make_batch("w2", count=2))
        found.append(entry.writer)
    assert found == ["w1"] * 600


async def test_a_query_that_is_left_early_does_no_harm(store, read, make_batch):
    await store.append(make_batch(count=600))
    stream = store.query(Filter())
    await anext(stream)
    await stream.aclose()
    assert await store.append(make_batch(first_seq=601)) == 3
    assert len(await read(store)) == 603


async def test_a_trail_is_the_same_after_it_was_closed_and_opened_again(make_store, read, make_batch):
    first = make_store()
    await first.open()
    await first.append(make_batch(count=2))
    await first.close()
    await first.close()
    again = make_store()
    await again.open()
    assert await again.append(make_batch(count=3)) == 1
    assert seqs(await read(again)) == [1, 2, 3]
    await again.close()
    await again.open()
    assert seqs(await read(again)) == [1, 2, 3]
    await again.close()


async def test_settings_are_kept_and_replaced(store):
    assert await store.settings() == {}
    await store.set_setting("policy", {"b": 1, "a": ["x"]})
    await store.set_setting("other", None)
    await store.set_setting("policy", {"b": 2})
    assert await store.settings() == {"policy": {"b": 2}, "other": None}


async def test_a_trail_refuses_another_key_than_its_first(store):
    await store.bind_key("one")
    await store.bind_key("one")
    with pytest.raises(KeyMismatch):
        await store.bind_key("two")


async def test_a_query_may_begin_after_a_leaf_and_end_before_another(store, read, make_batch):
    for first_seq in range(1, 1001, 100):
        await store.append(make_batch(first_seq=first_seq, count=100))
    assert [e.leaf_index for e in await read(store, after=449, before=961)] == list(range(450, 961))
    assert [e.leaf_index for e in await read(store, before=450, newest_first=True, limit=3)] == [449, 448, 447]
    assert await read(store, after=999) == []
    assert len(await read(store, after=-1)) == 1000
