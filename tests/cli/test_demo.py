import json
import sys

import pytest

from auditmw.cli.demo.guards import no_keys, token_budget
from auditmw.errors import Blocked


@pytest.fixture
def played(auditmw, tmp_path, monkeypatch):
    """The demo, played once into a new trail, and the entries that it made."""
    monkeypatch.chdir(tmp_path)
    result = auditmw("demo")
    stored = auditmw("query", "--format", "json", "--oldest-first", db="sqlite:///demo.db")
    return result, [json.loads(line) for line in stored.out.splitlines()]


def test_the_demo_shows_what_the_trail_says(played, auditmw):
    result, entries = played
    assert result.code == 0
    assert len(entries) >= 20
    assert len({entry["user_id"] for entry in entries}) >= 3
    assert {entry["status"] for entry in entries} >= {
        "success", "error", "cancelled", "blocked", "abandoned", "incomplete",
    }  # fmt: skip
    for entry in entries:
        assert f"{entry['request_id'][:13]}-{entry['request_id'][-4:]}" in result.out
    for question in ("What did it cost?", "Which calls used unusually many tokens?", "What went wrong"):
        assert question in result.out
    assert "3 sigma, MAD" in result.out


def test_the_demo_shows_each_thing_that_a_trail_tells(played):
    _, entries = played
    priced = [entry for entry in entries if entry["cost_usd"] is not None]
    assert {entry["model"] for entry in priced} >= {
        "claude-haiku-4-5",
        "claude-sonnet-4-6",
        "claude-opus-4-7",
        "gpt-5-mini",
    }
    assert any(entry["cost_status"] == "unknown_model" for entry in entries)
    assert any(entry["cache_read_tokens"] for entry in entries)
    assert any(entry["thinking_tokens"] for entry in entries)
    assert any(entry["tool_names"] for entry in entries)
    assert any(entry["attempt"] == 2 and entry["status"] == "success" for entry in entries)
    parents = {entry["request_id"] for entry in entries if entry["kind"] == "function"}
    assert parents == {entry["parent_id"] for entry in entries if entry["parent_id"]}
    assert {entry["error_type"] for entry in entries} >= {"rate_limit_error", "overloaded_error"}
    assert {entry["error_message"] for entry in entries if entry["status"] == "blocked"}


def test_the_demo_is_the_same_each_time(played, auditmw):
    _, first = played
    auditmw("demo", db="sqlite:///again.db")
    out = auditmw("query", "--format", "json", "--oldest-first", db="sqlite:///again.db").out
    second = [json.loads(line) for line in out.splitlines()]
    names = ("user_id", "action", "kind", "model", "status", "attempt", "input_tokens", "output_tokens", "cost_usd")
    assert [[entry[name] for name in names] for entry in first] == [[entry[name] for name in names] for entry in second]


def test_the_demo_shows_a_trail_in_memory_too(auditmw):
    result = auditmw("demo", db="memory://")
    assert result.code == 0
    assert "What did it cost?" in result.out


@pytest.mark.parametrize("sdk", ["anthropic", "openai"])
def test_without_an_sdk_its_extra_is_named(sdk, auditmw, monkeypatch):
    monkeypatch.setitem(sys.modules, sdk, None)
    monkeypatch.delitem(sys.modules, "auditmw.cli.demo.scene", raising=False)
    result = auditmw("demo", db="memory://")
    assert (result.code, result.out) == (3, "")
    assert f"auditmw[{sdk}]" in result.err


def test_a_database_that_cannot_be_made_is_said(auditmw, tmp_path):
    (tmp_path / "file").touch()
    result = auditmw("demo", db=f"sqlite:///{tmp_path}/file/demo.db")
    assert (result.code, result.out) == (1, "")
    assert "file/demo.db" in result.err


class Attempt:
    def __init__(self, user=None, request=None, usage=None):
        self.user_id, self.request, self.usage = user, request, usage


def test_a_key_anywhere_in_a_prompt_is_refused():
    key = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    with pytest.raises(Blocked):
        next(no_keys(Attempt(request={"messages": [{"content": [{"text": f"token={key}"}], "n": 1}]})))
    next(no_keys(Attempt(request={"messages": ["a harmless text"]})))


def test_a_user_without_a_limit_is_never_over_budget():
    budget = token_budget({"dave": 10})
    for _ in range(3):
        steps = budget(Attempt("alice"))
        next(steps)
        assert next(steps, "end") == "end"


@pytest.mark.parametrize(("found", "command"), [("/usr/bin/auditmw", "auditmw"), (None, "bin/auditmw")])
def test_what_the_demo_says_next_can_be_typed_as_it_stands(found, command, auditmw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("shutil.which", lambda _name: found)
    monkeypatch.setattr("sys.executable", str(tmp_path / "bin" / "python"))
    assert f"  {command} query --status error --db sqlite:///demo.db" in auditmw("demo").err.splitlines()
