"""Precision and recall on the labelled sets, where they are at hand."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from auditmw.recognizers import KINDS, scan

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("AUDITMW_SANITIZER_DATA", ROOT.parent / "shared" / "data" / "sanitizer"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the labelled sets are not part of the project")


@pytest.fixture(scope="module")
def bench():
    """benchmarks/bench_sanitizer.py, whose counting these tests share."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        spec = importlib.util.spec_from_file_location("bench_sanitizer", ROOT / "benchmarks" / "bench_sanitizer.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


def scan_all(text):
    return scan(text, kinds=KINDS)


@pytest.mark.parametrize("name", ["own_synth", "psynth"])
def test_precision_and_recall_reach_the_targets(bench, name):
    counted = bench.accuracy(scan_all, bench.load(DATA, name), bench.LABELLED[name])
    below = {
        kind: (counted[kind]["precision"], counted[kind]["recall"])
        for (of, kind), (precision, recall) in bench.TARGETS.items()
        if of == name and (counted[kind]["precision"] < precision or counted[kind]["recall"] < recall)
    }
    assert below == {}


def test_credentials_of_the_gitleaks_cases_are_found_with_few_alarms(bench):
    counted = bench.gitleaks(scan, bench.load(DATA, "gitleaks_cases_dev"))
    assert counted["recall"] >= 0.985
    assert counted["alarms"] <= 0.04


def test_most_of_the_credsweeper_labels_are_covered(bench):
    counted = bench.coverage(scan, bench.load(DATA, "credsweeper_dev"))
    assert counted["covered"] >= 0.70
    assert counted["precision"] >= 0.80


def test_texts_with_nothing_to_find_raise_few_alarms(bench):
    assert bench.alarms(scan, bench.load(DATA, "negtext"))["all"] <= 1.5


def test_no_unicode_transform_and_few_other_tricks_hide_a_value(bench):
    counted = bench.evasion(scan, bench.load(DATA, "evasion_dev"))
    found, of = map(int, counted["all"].split("/"))
    assert found >= 0.9 * of
