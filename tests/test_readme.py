import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from auditmw import AuditTrail
from auditmw.globals import Configured
from auditmw.testing import MemoryTrail, StandInProvider

README = Path(__file__).parent.parent / "README.md"


@pytest.fixture
def provider(tmp_path, monkeypatch):
    """The snippets run as they are: the SDK finds the stand-in by its own environment variables."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("auditmw.globals.configured", Configured())
    with StandInProvider() as running:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", running.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "none-needed")
        yield running


def test_every_snippet_of_the_readme_runs_and_is_recorded(provider, capsys):
    document = Sybil(parsers=[PythonCodeBlockParser()]).parse(README)
    try:
        for example in document.examples():
            example.evaluate()
        with MemoryTrail() as trail:
            document.namespace["test_an_answer_costs_less_than_a_cent"](trail, provider)
        client = TestClient(document.namespace["app"], client=("10.0.0.1", 4711))
        assert client.get("/ask?question=Why", headers={"x-user": "carol"}).status_code == 200
    finally:
        for value in document.namespace.values():
            if isinstance(value, AuditTrail):
                value.close()
    with AuditTrail("sqlite:///audit.db") as trail:
        entries = {entry.user_id: entry for entry in trail.sync.query()}
    assert set(entries) == {"alice", "bob", "carol", "cron"}
    assert {entry.kind for entry in entries.values()} == {"llm"}
    assert all(entry.cost_usd for entry in entries.values())
    assert entries["bob"].action == "support.answer"
    assert str(entries["alice"].cost_usd) in capsys.readouterr().out


APPLICATION = """
from auditmw import AuditTrail

with AuditTrail("sqlite:///audit.db") as trail, trail.call(action="ask"):
    pass
"""


def test_the_commands_that_prove_an_entry_work_in_the_order_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "application.py").write_text(APPLICATION)
    with AuditTrail("sqlite:///audit.db") as trail, trail.call(action="ask") as call:
        pass
    short = f"{call.request_id[:13]}-{call.request_id[-4:]}"
    block = README.read_text().partition("**Prove.**")[2].partition("```console\n")[2].partition("```")[0]
    commands = re.sub("^[$] ", "", block, flags=re.MULTILINE).replace("019ab1c2-3d4e-8e07", short)
    python = f'python() {{ "{sys.executable}" "$@"; }}; auditmw() {{ python -m auditmw "$@"; }}'
    environment = {**os.environ, "AUDITMW_DB": "sqlite:///audit.db", "HOME": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-e", "-c", f"{python}\n{commands}"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("verified") == 2


def test_the_table_of_options_names_every_option():
    options = set(inspect.signature(AuditTrail).parameters) - {"clock"}
    table = README.read_text().partition("## Options of `AuditTrail`")[2]
    missing = {option for option in options if f"`{option}`" not in table}
    assert not missing
