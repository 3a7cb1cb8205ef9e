"""Mistakes are one clear error where they are made, with nothing written half; odd values never disturb a call."""

from __future__ import annotations

import math
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anthropic
import anyio
import pytest

from auditmw import AuditTrail
from auditmw.errors import AuditError, ConfigurationError, KeyMismatch, SchemaMismatch, TrailClosed
from auditmw.middleware import default_pipeline
from auditmw.signing import Rhythm
from auditmw.testing import StandInProvider

from .conftest import entries_of


@pytest.mark.parametrize("url", ["mysql://host/db", "audit.db", "", "://", "sqlite", "http://x"])
def test_a_wrong_url_is_refused_with_the_schemes_that_would_do(url):
    with pytest.raises(ConfigurationError, match="sqlite"):
        AuditTrail(url)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"durability": "paranoid"}, "memory, process, disk, store"),
        ({"on_full": "panic"}, "block, drop"),
        ({"on_failure": "ignore"}, "continue, refuse"),
        ({"writer": "process"}, "thread, external"),
        ({"writer": "external"}, "journal_dir"),
        ({"block_timeout": -1}, "from 0 on"),
        ({"block_timeout": "30"}, "from 0 on"),
        ({"block_timeout": math.inf}, "from 0 on"),
        ({"max_journal_bytes": 1}, "from 65536 on"),
        ({"checkpoint_rhythm": (10, 5.0)}, r"auditmw.signing.Rhythm\(entries=1000"),
        ({"checkpoint_rhythm": Rhythm(entries=0)}, "checkpoint_rhythm.entries is 0: give a number from 1 on"),
        ({"checkpoint_rhythm": Rhythm(seconds="5")}, "checkpoint_rhythm.seconds is '5'"),
        ({"key_file": 7}, "give a path"),
        ({"journal_dir": 7}, "give a path"),
    ],
)
def test_an_option_that_is_none_is_refused_with_those_that_are(options, says):
    with pytest.raises(ConfigurationError, match=says):
        AuditTrail("memory://", **options)


def test_making_a_trail_does_no_io(tmp_path):
    AuditTrail(f"sqlite:///{tmp_path}/absent/audit.db")
    assert list(tmp_path.iterdir()) == []


def test_a_path_below_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    trail = AuditTrail(f"sqlite:///{tmp_path}/file/audit.db")
    with pytest.raises(AuditError, match="file"):
        trail.start()
    trail.close()


@pytest.mark.parametrize("enter", [AuditTrail.__enter__, lambda trail: anyio.run(trail.__aenter__)])
def test_a_trail_that_cannot_be_entered_has_ended_and_leaves_no_journal(enter, tmp_path):
    (tmp_path / "text.db").write_text("no database" * 100)
    trail = AuditTrail(f"sqlite:///{tmp_path}/text.db")
    with pytest.raises(ConfigurationError, match="is no SQLite database"):
        enter(trail)
    assert trail.closed
    assert list((tmp_path / "text.db.auditmw").iterdir()) == []


def test_what_was_recorded_before_a_trail_could_not_be_entered_stays_in_the_journal(tmp_path):
    path = tmp_path / "audit.db"
    path.write_text("no database" * 100)
    trail = AuditTrail(f"sqlite:///{path}")
    with trail.call(action="early"):
        pass
    with pytest.raises(ConfigurationError), trail:
        pass
    path.unlink()
    with AuditTrail(f"sqlite:///{path}") as trail:
        assert [entry.action for entry in entries_of(trail)] == ["early"]


def test_a_closed_trail_is_asked_nothing(tmp_path):
    with AuditTrail(f"sqlite:///{tmp_path}/audit.db") as trail:
        with trail.call(action="a"):
            pass
        trail.sync.flush(10)
        begun = trail.sync.query()
        next(begun)
    begun.close()
    for ask in (trail.sync.flush, lambda: list(trail.sync.query()), trail.start):
        with pytest.raises(TrailClosed, match="make a new AuditTrail"):
            ask()


def test_a_database_of_a_newer_schema_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "audit.db"
    with AuditTrail(f"sqlite:///{path}"):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE audit_schema SET version = 999 WHERE version = 1")
    before = table_counts(path)
    trail = AuditTrail(f"sqlite:///{path}")
    with pytest.raises(SchemaMismatch, match="upgrade auditmw"):
        trail.start()
    trail.close(1)
    assert table_counts(path) == before


def table_counts(path: Path) -> dict[str, int]:
    with sqlite3.connect(path) as connection:
        names = [n for (n,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}


def test_another_key_than_the_trails_own_is_refused(tmp_path):
    url = f"sqlite:///{tmp_path}/audit.db"
    with AuditTrail(url):
        pass
    other = tmp_path / "other.key"
    other.write_text("ab" * 32)
    other.chmod(0o600)
    trail = AuditTrail(url, key_file=other)
    with pytest.raises(KeyMismatch, match="key"):
        trail.start()
    trail.close(1)


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        (None, 0o600, "cannot be read"),
        ("not hex", 0o600, "64 hex digits"),
        ("abcd", 0o600, "openssl rand -hex 32"),
        ("ab" * 32, 0o644, "chmod 600"),
        (b"\xff\xfe", 0o600, "cannot be read"),
    ],
)
def test_a_key_file_that_is_none_is_named_with_what_to_do(text, mode, says, tmp_path):
    path = tmp_path / "hash.key"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
    trail = AuditTrail(f"sqlite:///{tmp_path}/audit.db", key_file=path)
    with pytest.raises(ConfigurationError, match=says):
        trail.start()
    trail.close(1)


NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001  (that is the mistake)
EARLY, LATE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"since": NAIVE}, "no time zone"),
        ({"until": NAIVE}, "no time zone"),
        ({"since": "2026-01-01"}, "is no datetime"),
        ({"until": EARLY.date()}, "is no datetime"),
        ({"since": LATE, "until": EARLY}, "is after until"),
        ({"status": "fine"}, "use one of success"),
        ({"kind": "chat"}, "use one of llm"),
        ({"limit": -1}, "limit is -1"),
        ({"usr_id": "alice"}, "knows no usr_id: it takes request_id, user_id"),
        ({"limit": "5"}, "limit is '5'"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_where_it_is_asked(wanted, says, trail):
    with pytest.raises(ConfigurationError, match=says):
        trail.query(**wanted)
    with pytest.raises(ConfigurationError, match=says):
        trail.sync.query(**wanted)


# --- odd values -------------------------------------------------------------------------------------------------------


class Foreign:
    def __repr__(self):
        raise RuntimeError("hands off")


def cyclic() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["self"] = value
    return value


ODD: dict[str, Any] = {
    "surrogate": "a\ud800b",
    "nul": "a\x00b",
    "nan": math.nan,
    "infinity": math.inf,
    "huge": 2**63,
    "foreign": Foreign(),
    "cycle": cyclic(),
    "bytes": b"\xff",
    "set": {1},
    "generator": (i for i in range(3)),
}
SAFE: dict[str, Any] = {
    "surrogate": "a\ufffdb",
    "nul": "a\ufffdb",
    "nan": "NaN",
    "infinity": "Infinity",
    "huge": "9223372036854775808",
    "foreign": "<Foreign>",
    "cycle": {"self": "<cycle>"},
    "bytes": "<bytes of 1 bytes>",
    "set": [1],
    "generator": "<generator>",
}


@pytest.mark.parametrize("url", ["memory://", "sqlite:///{}/audit.db", "jsonl:///{}/lines"])
def test_odd_metadata_never_loses_an_entry(url, tmp_path):
    with AuditTrail(url.format(tmp_path)) as trail:
        with trail.context(user_id="al\ud800ice", metadata=ODD):
            with trail.call(action="a\x00b", model="m\udfff"):
                pass
            with pytest.raises(ValueError, match="x"), trail.call():
                raise ValueError("x\ud800\x00")
        first, second = entries_of(trail)
    assert first.metadata == second.metadata == SAFE
    plain = 1  # the set, which is a list now and says the same
    assert second.audit_errors == len(ODD) - plain + 2  # and the user's name, and the message
    assert (first.user_id, first.action, first.model) == ("al\ufffdice", "a\ufffdb", "m\ufffd")
    assert second.error_message == "x\ufffd\ufffd"


WRONG: list[tuple[str, Any]] = [
    ("input_hash", 7),
    ("user_id", 7),
    ("user_id", Foreign()),
    ("http_status", "200"),
    ("attempt", "first"),
    ("sanitization_count", 2**63),
    ("tool_names", "search"),
    ("audit_errors", "many"),
    ("sanitization", ["EMAIL"]),
    ("metadata", None),
    ("metadata", ["x"]),
    ("latency_us", 1.5),
    ("status", "fine"),
    ("kind", "chat"),
    ("usage", {"input_tokens": 1}),
    ("cost", 1.5),
    ("stream", "yes"),
    ("timestamp_us", None),
    ("error_message", 7),
]


@pytest.mark.parametrize(("field", "value"), WRONG, ids=[f"{field}-{n}" for n, (field, _) in enumerate(WRONG)])
@pytest.mark.parametrize("url", ["memory://", "sqlite:///{}/audit.db"])
def test_a_wrong_value_that_a_middleware_sets_costs_the_value_and_not_the_entry(url, field, value, tmp_path):
    def wrong(call):
        yield
        setattr(call, field, value)

    with AuditTrail(url.format(tmp_path), pipeline=[*default_pipeline(), wrong]) as trail:
        with trail.call(action="kept"):
            pass
        [entry] = entries_of(trail)
        assert trail.health().dropped == trail.health().set_aside == 0
    assert entry.action == "kept"


@pytest.mark.parametrize("text", ["ünï\ud800", "\x00", "x" * 10_000_000], ids=["surrogate", "nul", "10 MB"])
def test_odd_and_large_prompts_are_digested_and_sent(text, tmp_path):
    with (
        StandInProvider() as provider,
        AuditTrail(f"sqlite:///{tmp_path}/audit.db") as trail,
        anthropic.Anthropic(api_key="test", base_url=provider.url) as plain,
    ):
        messages: Any = [{"role": "user", "content": text}]
        sent = True
        try:
            trail.wrap(plain).messages.create(model="claude-sonnet-5-5", max_tokens=10, messages=messages)
        except UnicodeEncodeError:  # the SDK itself cannot send it
            sent = False
        [entry] = entries_of(trail)
    assert entry.input_hash is not None
    assert entry.status == ("success" if sent else "error")
    assert entry.audit_errors == 0


async def test_metadata_that_doubles_at_every_level_is_cut_and_hangs_nobody(monkeypatch):
    monkeypatch.setattr("auditmw.canonical.MAX_NODES", 1000)
    doubling: list[Any] = ["x"]
    for _ in range(60):
        doubling = [doubling, doubling]
    async with AuditTrail("memory://") as trail:
        async with trail.call(metadata={"doubling": doubling}):
            pass
        with trail.call(metadata={"doubling": doubling}):
            pass
        entries = await anyio.to_thread.run_sync(entries_of, trail)
    assert [e.status for e in entries] == ["success", "success"]
    assert all("<too much>" in str(e.metadata) for e in entries)


def test_a_large_answer_and_large_metadata_are_recorded(tmp_path):
    with AuditTrail(f"sqlite:///{tmp_path}/audit.db") as trail:
        with trail.call(metadata={"big": "x" * 10_000_000}):
            pass
        [entry] = entries_of(trail)
    assert len(entry.metadata["big"]) == 10_000_000
