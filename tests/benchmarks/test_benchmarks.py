"""That every benchmark runs and leaves its figures; what they are is for a quiet machine to say."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
DATA = Path(os.environ.get("AUDITMW_SANITIZER_DATA", FOLDER.parents[1] / "shared" / "data"))
SHORTEST = {
    "import": [],
    "journal": ["--records", "500", "--rounds", "1"],
    "log_cost": ["--entries", "400", "--rounds", "1"],
    "verify": ["--entries", "1000"],
    "rollups": ["--entries", "600", "--rounds", "1", "--stores", "sqlite"],
}
LONGER = {
    "gateway": ["--requests", "40"],
    "overhead": ["--rounds", "1", "--only", "auditmw_process", "--modes", "large"],
    "retain": ["--entries", "600", "--stores", "sqlite"],
    "reports": ["--rows", "5000", "--stores", "sqlite"],
    "sanitizer": ["--quick", "--tools", "auditmw"],
    "writer": ["--entries", "600", "--rounds", "1", "--stores", "sqlite"],
}


def test_every_benchmark_is_run_here():
    assert {path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py")} == SHORTEST.keys() | LONGER.keys()


@pytest.mark.parametrize("name", [*SHORTEST, *(pytest.param(name, marks=pytest.mark.slow) for name in LONGER)])
def test_a_benchmark_leaves_its_figures_with_settings_versions_and_machine(name, tmp_path):
    if name == "sanitizer" and not DATA.is_dir():
        pytest.skip("its texts are not here")
    file = tmp_path / "figures.json"
    command = [sys.executable, FOLDER / f"bench_{name}.py", "--json", file, *(SHORTEST | LONGER)[name]]

    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip()
    result = json.loads(file.read_text())
    assert result.keys() == {"settings", "versions", "machine", "figures"}
    assert result["figures"]
    assert {"python", "auditmw"} <= result["versions"].keys()
