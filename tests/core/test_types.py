from __future__ import annotations

import os
from pathlib import Path

from mypy import api

ROOT = Path(__file__).parents[2]


def test_decorated_functions_and_wrapped_clients_keep_their_types(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("MYPYPATH", os.fspath(ROOT / "src"))
    told, errors, code = api.run(["tests/typing", "--follow-imports=silent", "--warn-unused-ignores"])
    assert code == 0, told + errors
