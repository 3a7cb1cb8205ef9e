import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

import auditmw.cli
from auditmw import AuditTrail
from auditmw.cli.app import COMMANDS, make_app, run
from auditmw.errors import StoreUnavailable


def auditmw_process(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "auditmw", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


def test_every_file_that_holds_a_command_is_registered():
    names = {module.name for module in iter_modules(auditmw.cli.__path__)}
    modules = {name: import_module(f"auditmw.cli.{name}") for name in names}
    assert {name for name, module in modules.items() if hasattr(module, "EXAMPLES")} == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_teaches_with_examples_and_has_a_test(name, auditmw):
    result = auditmw(name, "--help")
    assert result.code == 0
    assert f"auditmw {name}" in result.out.partition("Examples")[2]
    tests = Path(__file__).parent
    assert (tests / f"test_{name}.py").exists() or list(tests.parent.rglob(f"*{name}*.py"))


def test_the_help_names_every_command(auditmw):
    result = auditmw("--help")
    assert result.code == 0
    assert all(name in result.out for name in COMMANDS)
    assert auditmw().code == 3


def test_the_version_is_shown(auditmw):
    assert auditmw("--version").out.startswith("auditmw ")


def test_an_unknown_command_is_3(auditmw):
    result = auditmw("quarry")
    assert (result.code, result.out) == (3, "")
    assert "quarry" in result.err


def test_a_store_that_cannot_be_reached_is_1(auditmw, db, monkeypatch):
    def unreachable(*_, **__):
        raise StoreUnavailable("it is away\x1b[2J")

    monkeypatch.setattr(AuditTrail, "pages", unreachable)
    result = auditmw("query", db=db)
    assert (result.code, result.out) == (1, "")
    assert result.err == "auditmw: it is away\\x1b[2J\n"


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (["prove", "{id}", "--out", "nowhere/entry.proof"], "nowhere/entry.proof"),
        (["prove", "{id}", "--out", "."], "."),
        (["export", "--format", "csv", "--out", "nowhere/calls.csv"], "nowhere/calls.csv"),
        (["export", "--format", "parquet", "--out", "nowhere/calls.parquet"], "nowhere/calls.parquet"),
        (["export", "--format", "csv", "--out", "calls.csv", "--cursor", "nowhere/cursor"], "nowhere/cursor"),
        (["access", "--user", "alice", "--out", "/proc/copy"], "/proc/copy"),
        (["ship", "--once", "--journal-dir", "/proc/journal"], "/proc/journal"),
    ],
)
def test_a_file_that_cannot_be_written_is_one_message_and_3(arguments, path, auditmw, db, tmp_path):
    auditmw("keys", "init", db=db)
    with AuditTrail(db) as trail, trail.call(action="ask"):
        pass
    entry = json.loads(auditmw("query", "--format", "json", "--limit", "1", db=db).out)["request_id"]
    size = len(auditmw("query", "--kind", "control", "--format", "json", db=db).out.splitlines())
    result = auditmw(*[argument.replace("{id}", entry) for argument in arguments], db=db)
    assert (result.code, result.out) == (3, "")
    assert result.err.startswith(f"auditmw: {path}")
    assert "cannot be written: " in result.err
    assert {file.name for file in tmp_path.iterdir()} - {"trail.db-wal", "trail.db-shm"} == {
        "trail.db",
        "trail.db.auditmw",
    }
    assert len(auditmw("query", "--kind", "control", "--format", "json", db=db).out.splitlines()) == size


def test_an_interrupted_command_is_130(auditmw, db, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(AuditTrail, "pages", interrupted)
    assert auditmw("query", db=db).code == 130


def test_reading_writes_nothing(auditmw, db, tmp_path):
    before = {path: path.stat().st_size for path in tmp_path.rglob("*") if not path.name.endswith(("-wal", "-shm"))}
    for command in (["query"], ["report", "cost"], ["show", "x"], ["query", "--kind", "control"]):
        auditmw(*command, db=db)
    after = {path: path.stat().st_size for path in tmp_path.rglob("*") if not path.name.endswith(("-wal", "-shm"))}
    assert before == after


def test_the_command_runs_as_a_module_and_says_its_exit_code(db, tmp_path):
    good = auditmw_process("query", "--format", "json", "--user", "alice", AUDITMW_DB=db)
    assert (good.returncode, len(good.stdout.splitlines()), good.stderr) == (0, 2, "")
    bad = auditmw_process("query", "--db", "sqlite:///missing.db")
    assert (bad.returncode, bad.stdout) == (3, "")
    assert "Traceback" not in bad.stderr


def test_a_reader_that_goes_away_is_no_failure(db):
    command = f'"{sys.executable}" -m auditmw query --format csv --db {db} | true; echo "${{PIPESTATUS[0]}}"'
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert (result.stdout, result.stderr) == ("0\n", "")


def test_a_pipe_that_broke_ends_the_command_in_silence(monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as broken:
        monkeypatch.setattr(sys, "stdout", broken)
        assert run(["--version"]) == 0


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_without_the_extra_the_command_names_it(package, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith("auditmw.cli.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SystemExit) as end:
        auditmw.cli.main(["query"])
    assert end.value.code == 3
    assert capsys.readouterr().err == f"auditmw: {package} is not installed: pip install 'auditmw[cli]'\n"


def test_another_missing_package_is_not_blamed_on_the_extra(monkeypatch):
    monkeypatch.delitem(sys.modules, "auditmw.cli.app", raising=False)
    monkeypatch.setitem(sys.modules, "auditmw.cli.text", None)
    with pytest.raises(ModuleNotFoundError, match=r"auditmw\.cli\.text"):
        auditmw.cli.main(["query"])


def test_main_exits_with_the_code_of_the_command():
    with pytest.raises(SystemExit) as end:
        auditmw.cli.main(["query", "--bogus"])
    assert end.value.code == 3


def test_importing_the_library_loads_nothing_of_the_command_line():
    code = "import sys, auditmw.cli; print({'typer', 'rich', 'anthropic', 'auditmw.cli.app'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout == "set()\n"


def test_the_application_is_made_anew_each_time():
    assert make_app() is not make_app()
    assert run(["--version"]) == 0
