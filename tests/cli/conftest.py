import re
from datetime import UTC, datetime

import pytest

from auditmw import AuditTrail
from auditmw.cli.app import run

NASTY = 'eve\x1b[31m\x07\u202e=HYPERLINK("x")'


class Result:
    """What a command did: its exit code, its results, what it said."""

    def __init__(self, code, captured):
        self.code = code
        self.out = captured.out
        self.err = captured.err

    @property
    def words(self):
        """The results with every run of white space as one space."""
        return re.sub(r"\s+", " ", self.out)


@pytest.fixture
def auditmw(capsys, monkeypatch):
    """Runs a command in this process."""
    monkeypatch.delenv("AUDITMW_DB", raising=False)
    monkeypatch.setenv("COLUMNS", "160")

    def command(*arguments, db=None):
        capsys.readouterr()
        code = run([*arguments, *(["--db", db] if db else [])])
        return Result(code, capsys.readouterr())

    return command


@pytest.fixture
def db(tmp_path, monkeypatch):
    """A trail of five entries: alice twice, bob with an error and its retry, and somebody with an evil name."""
    monkeypatch.chdir(tmp_path)
    url = "sqlite:///trail.db"
    with AuditTrail(url) as trail:
        for user, model, cost in (("alice", "claude-haiku-4-5", 12), ("alice", "claude-opus-4-7", 7000)):
            with trail.call(action="ask", model=model, user_id=user, provider="anthropic") as call:
                call.response = _answer(model, cost)
        with pytest.raises(RuntimeError), trail.call(call_id="retried", user_id="bob", model="m", action="ask"):
            raise RuntimeError("overloaded\x1b[2J")
        with trail.call(call_id="retried", attempt=1, user_id="bob", model="m", action="ask"):
            pass
        with trail.call(user_id=NASTY, model="=1+1", tenant="acme", metadata={"team": "@SUM(A1)"}):
            pass
    return url


def _answer(model, tokens):
    return {
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": "ok"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": tokens, "output_tokens": 5},
    }


@pytest.fixture
def today():
    return f"{datetime.now(UTC):%Y-%m-%d}"
