import os
import subprocess
import sys
from pathlib import Path

import pytest

import auditmw
from auditmw.errors import NotConfigured
from auditmw.globals import Configured
from auditmw.testing import MemoryTrail

CONFTEST = 'pytest_plugins = ["auditmw.testing.fixtures"]\n'
TESTS = """
import anthropic
import pytest

import auditmw


@auditmw.audited(action="support.answer")
def answer(client, question):
    return client.messages.create(
        model="claude-haiku-4-5", max_tokens=50, messages=[{"role": "user", "content": question}]
    )


@pytest.mark.parametrize("run", [1, 2])
def test_an_answer_costs_less_than_a_cent(audit_trail, stand_in_provider, run):
    with anthropic.Anthropic(api_key="test", base_url=stand_in_provider.url) as client:
        answer(client, "Why?")
    [entry] = audit_trail.entries()
    assert (entry.action, entry.kind, entry.status) == ("support.answer", "llm", "success")
    assert 0 < entry.cost_usd < 0.01
"""


def test_one_line_in_a_conftest_gives_a_trail_and_a_provider_to_every_test(tmp_path):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_answers.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(auditmw.__file__).parents[1])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_what_was_configured_holds_again_after_a_test():
    configured = Configured()
    with MemoryTrail() as trail:
        with configured.instead(trail):
            assert configured.recorder() is trail.recorder()
        with pytest.raises(NotConfigured):
            configured.recorder()
        configured.set(None)
        with configured.instead(trail):
            assert configured.recorder() is trail.recorder()
        assert configured.recorder() is not trail.recorder()
