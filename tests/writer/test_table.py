"""Every cell of docs/durability.md names tests, and they exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "durability.md").read_text()


def names():
    """The tests that the page names: file and function."""
    for file, function in re.findall(r"`([\w/]+\.py)::(test_\w+)`", TEXT):
        yield (ROOT if file.startswith("tests/") else Path(__file__).parent) / file, function


def test_every_test_that_the_page_names_exists():
    named = list(names())
    assert len(named) > 20
    missing = [function for path, function in named if f"def {function}(" not in path.read_text()]
    assert missing == []


def test_every_cell_names_a_test():
    table = TEXT.partition("## The table")[2].partition("\n1. ")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")][2:]
    assert len(rows) == 12
    numbers = {int(number) for row in rows for cell in row[1:] for number in re.findall(r"\[(\d+)\]", cell)}
    explained = {int(number) for number in re.findall(r"^(\d+)\. `", TEXT, re.MULTILINE)}
    assert numbers == explained
    without = [cell for row in rows for cell in row[1:] if "[" not in cell]
    assert without == []
