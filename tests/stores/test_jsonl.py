"""What only the JSONL store does."""

from __future__ import annotations

import json
import os
import resource
import signal

import pytest

from auditmw.errors import ConfigurationError, StoreError, StoreUnavailable
from auditmw.log.leaf import leaf_hash
from auditmw.stores.columns import make_leaves
from auditmw.stores.jsonl import JsonlStore


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "trail"


@pytest.fixture
async def store(folder, clock):
    store = JsonlStore(str(folder), clock)
    await store.open()
    yield store
    await store.close()


def names(folder):
    return sorted(path.name for path in folder.glob("*.jsonl"))


async def test_there_is_a_file_a_day_and_the_sequence_goes_on_in_the_next(store, folder, read, make_batch, clock):
    await store.append(make_batch(count=2))
    clock.shift_wall(86_400)
    await store.append(make_batch(first_seq=3, count=2))
    assert names(folder) == ["audit_2026-11-20.jsonl", "audit_2026-11-21.jsonl"]
    assert [entry.leaf_index for entry in await read(store)] == [0, 1, 2, 3]
    assert [entry.leaf_index for entry in await read(store, newest_first=True)] == [3, 2, 1, 0]


async def test_a_line_is_the_entry_under_its_public_names_with_its_leaf(store, folder, make_batch, clock):
    batch = make_batch(count=1)
    await store.append(batch)
    (path,) = folder.glob("*.jsonl")
    line = json.loads(path.read_text())
    assert line["user_id"] == batch.entries[0].user_id
    assert line["cost_usd"] == "0.001234567"
    row = make_leaves(batch, 0, clock.now_us() // 1_000_000 * 1_000_000)[0].row
    assert line["leaf"] == leaf_hash(row, bytes.fromhex(line["salts"])).hex()


async def test_a_torn_last_line_is_passed_over_and_cut_by_the_next_writer(folder, read, make_batch, clock):
    first = JsonlStore(str(folder), clock)
    await first.open()
    await first.append(make_batch(count=3))
    await first.close()
    (path,) = folder.glob("*.jsonl")
    os.truncate(path, path.stat().st_size - 5)
    second = JsonlStore(str(folder), clock)
    await second.open()
    assert [entry.seq for entry in await read(second)] == [1, 2]
    assert await second.append(make_batch(count=3)) == 1
    assert [entry.seq for entry in await read(second)] == [1, 2, 3]
    await second.close()


async def test_a_changed_line_that_is_no_entry_is_named(store, folder, read, make_batch):
    await store.append(make_batch(count=1))
    (path,) = folder.glob("*.jsonl")
    path.write_bytes(b"[]\n")
    with pytest.raises(StoreError, match=r"audit_2026-11-20\.jsonl holds a line that is no entry"):
        await read(store)


async def test_a_second_writer_is_refused_until_the_first_one_lets_go(store, folder, clock, make_batch):
    first = JsonlStore(str(folder), clock)
    await first.open()
    await first.append(make_batch())
    with pytest.raises(StoreUnavailable, match="another process writes"):
        await store.append(make_batch("w2"))
    await first.close()
    assert await store.append(make_batch("w2")) == 3


async def test_a_write_that_fails_leaves_nothing_behind(store, folder, read, make_batch):
    await store.append(make_batch(count=1))
    (path,) = folder.glob("*.jsonl")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, limits[1]))
    try:
        with pytest.raises(StoreUnavailable, match="took only a part"):
            await store.append(make_batch(first_seq=2, count=2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert await store.append(make_batch(first_seq=2, count=2)) == 2
    assert [entry.seq for entry in await read(store)] == [1, 2, 3]


async def test_a_directory_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be made"):
        await JsonlStore(str(tmp_path / "file" / "trail")).open()
    with pytest.raises(ConfigurationError, match="no directory that this user may use"):
        await JsonlStore(str(tmp_path / "missing")).open(read_only=True)


async def test_settings_lie_in_a_file_of_their_own(store, folder):
    await store.set_setting("a", 1)
    assert json.loads((folder / "settings.json").read_text()) == {"settings": {"a": 1}, "key_id": None}
