"""`scan` itself: kinds, overlaps, recognizers of one's own, the rule set's identity."""

import subprocess
import sys
import threading

import pytest

from auditmw.errors import AuditError, ConfigurationError, MissingExtra
from auditmw.recognizers import (
    DEFAULT_KINDS,
    KINDS,
    Finding,
    PatternRecognizer,
    PresidioRecognizer,
    Recognizer,
    RecognizerFailed,
    rules_hash,
    scan,
)
from auditmw.recognizers.overlaps import resolve
from auditmw.recognizers.table import RECOGNIZERS


class Names:
    name = "names"
    kinds = ("PERSON",)

    def find(self, view):
        start = view.text.find("Zoë")
        if start >= 0:
            yield Finding("PERSON", start, start + 3)


def test_dates_are_looked_for_only_when_asked_for():
    assert scan("born 1976-06-27") == []
    assert [found.kind for found in scan("born 1976-06-27", kinds={"DATE"})] == ["DATE"]


def test_only_the_kinds_asked_for_are_found():
    assert [found.kind for found in scan("bob@example.com 4111111111111111", kinds=["EMAIL"])] == ["EMAIL"]


def test_a_kind_of_a_recognizer_that_finds_two_is_left_out_when_not_asked_for():
    assert scan("5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ", kinds=["CRYPTO"]) == []


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(ConfigurationError, match=r"PERSONS.*SECRET"):
        scan("", kinds=["PERSONS"])


def test_a_key_in_a_url_splits_the_url():
    text = "see https://h.example/?k=AKIAQYLPMN5HHHFPZAM2&user=bob now"
    assert [(found.kind, text[found.start : found.end]) for found in scan(text)] == [
        ("URL", "https://h.example/?k="),
        ("SECRET", "AKIAQYLPMN5HHHFPZAM2"),
        ("URL", "&user=bob"),
    ]


def test_an_address_in_the_host_of_a_url_is_part_of_the_url():
    assert [found.kind for found in scan("http://10.1.2.3:8080/x")] == ["URL"]


def test_of_two_findings_of_one_rank_the_longer_wins_and_then_the_earlier():
    assert [Finding("IP", 2, 9)] == resolve([Finding("IP", 0, 4), Finding("IP", 2, 9), Finding("IP", 5, 12)])
    assert [Finding("IP", 0, 4)] == resolve([Finding("IP", 0, 4), Finding("IP", 2, 6)])


def test_findings_do_not_depend_on_the_order_they_came_in():
    findings = [Finding("URL", 0, 30), Finding("SECRET", 10, 20), Finding("PERSON", 18, 26), Finding("EMAIL", 25, 40)]
    assert resolve(findings) == resolve(findings[::-1])


def test_a_recognizer_of_ones_own_is_any_object_with_a_name_kinds_and_find():
    assert isinstance(Names(), Recognizer)
    assert [tuple(found) for found in scan("to Zoë, <bob@example.com>", recognizers=[Names()])] == [
        ("PERSON", 3, 6),
        ("EMAIL", 9, 24),
    ]


def test_its_findings_yield_to_those_of_the_built_in_ones():
    class Everything(Names):
        def find(self, view):
            yield Finding("PERSON", 0, len(view.text))

    assert [tuple(found) for found in scan("to: bob@example.com, now", recognizers=[Everything()])] == [
        ("PERSON", 0, 4),
        ("EMAIL", 4, 19),
        ("PERSON", 19, 24),
    ]


def test_a_recognizer_that_raises_is_named_and_its_error_is_the_cause():
    class Broken(Names):
        def find(self, view):
            raise ZeroDivisionError

    with pytest.raises(RecognizerFailed, match="'names' raised ZeroDivisionError") as caught:
        scan("x", recognizers=[Broken()])
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert isinstance(caught.value, AuditError)


def test_a_recognizer_that_hangs_costs_no_more_than_the_deadline():
    released = threading.Event()

    class Hanging(Names):
        def find(self, view):
            released.wait(30)
            return []

    try:
        with pytest.raises(RecognizerFailed, match=r"'names' was not done after 0.02 s"):
            scan("x", recognizers=[Hanging()], deadline=0.02)
    finally:
        released.set()


@pytest.mark.parametrize("span", [(-1, 1), (1, 1), (0, 99)])
def test_offsets_outside_the_text_are_refused(span):
    class Wrong(Names):
        def find(self, view):
            yield Finding("PERSON", *span)

    with pytest.raises(RecognizerFailed, match="outside a text of 3 characters"):
        scan("abc", recognizers=[Wrong()])


def test_a_pattern_finds_its_value_group_in_the_text_and_in_its_folded_form():
    ticket = PatternRecognizer("TICKET", r"(?i)ticket[ #]*(?P<value>[0-9]{6})")
    for text in (
        "Ticket #123456, please",
        "Ticket #\uff11\uff12\uff13\uff14\uff15\uff16, please",
        "Ticket #123\u200b456",
    ):
        (found,) = scan(text, recognizers=[ticket])
        assert found.kind == "TICKET"
        assert text[found.start : found.end].startswith(("1", "\uff11"))


def test_a_pattern_without_a_value_group_finds_all_that_it_matches():
    (found,) = scan("Straße 5", recognizers=[PatternRecognizer("STREET", r"\pL+ \d", name="streets")])
    assert tuple(found) == ("STREET", 0, 8)


def test_a_pattern_meets_a_lone_surrogate():
    assert [tuple(found) for found in scan("\ud800 ab", recognizers=[PatternRecognizer("X", "a.")])] == [("X", 2, 4)]


@pytest.mark.parametrize(
    ("kind", "pattern", "says"),
    [
        ("X", r"(a)\1", "no look-around and no back references"),
        ("X", r"(?<=a)b", "no look-around"),
        ("X", "(", "RE2 cannot compile"),
        ("X", "a*", "empty text"),
        ("x y", "a", "upper-case name"),
    ],
)
def test_a_pattern_that_is_not_linear_or_means_nothing_is_refused(kind, pattern, says):
    with pytest.raises(ConfigurationError, match=says):
        PatternRecognizer(kind, pattern)


def test_presidio_is_asked_for_its_entities():
    class Result:
        entity_type, start, end = "PERSON", 3, 6

    class Analyzer:
        def analyze(self, **asked):
            assert asked == {"text": "to Zoë", "language": "de", "entities": ["PERSON"], "score_threshold": 0.5}
            return [Result()]

    person = PresidioRecognizer(("PERSON",), language="de", analyzer=Analyzer())
    assert [tuple(found) for found in scan("to Zoë", recognizers=[person])] == [("PERSON", 3, 6)]


def test_without_presidio_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(RecognizerFailed) as caught:
        scan("to Zoë", recognizers=[PresidioRecognizer()])
    assert isinstance(caught.value.__cause__, MissingExtra)
    assert "auditmw[presidio]" in str(caught.value.__cause__)


def test_the_rule_set_has_a_hash_that_is_the_same_in_every_process():
    program = "from auditmw.recognizers import rules_hash; print(rules_hash())"
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
    assert other == rules_hash()
    assert len(rules_hash()) == 64


def test_importing_and_making_nothing_loads_no_engine():
    program = (
        "import sys, auditmw.recognizers\n"
        "heavy = {'re2', 'ahocorasick_rs', 'phonenumbers', 'presidio_analyzer'}\n"
        "print(sorted(heavy.intersection(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_many_threads_may_make_the_first_scan_at_once():
    program = (
        "import threading\nfrom auditmw.recognizers import scan\nfound = []\n"
        "text = 'bob@example.com +44 20 7946 0958 ghp_1B2c3D4e5F6g7H8i9J0kLmNoPqRsTuVwXyZ1'\n"
        "threads = [threading.Thread(target=lambda: found.append(scan(text))) for _ in range(8)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "print(len(found), len(set(map(tuple, found))), [f.kind for f in found[0]])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "8 1 ['EMAIL', 'PHONE', 'SECRET']"


def test_every_recognizer_has_its_own_name_and_every_kind_has_one():
    names = [recognizer.name for recognizer in RECOGNIZERS]
    assert len(set(names)) == len(names)
    assert {kind for recognizer in RECOGNIZERS for kind in recognizer.kinds} == KINDS
    assert {"DATE"} == KINDS - DEFAULT_KINDS


def test_every_recognizer_in_the_folder_is_in_the_table():
    import importlib
    import pkgutil

    from auditmw import recognizers

    plug_ins = {"PatternRecognizer", "PresidioRecognizer"}
    made = {type(recognizer).__name__ for recognizer in RECOGNIZERS}
    for module in pkgutil.iter_modules(recognizers.__path__):
        here = importlib.import_module(f"auditmw.recognizers.{module.name}")
        classes = {
            name
            for name, value in vars(here).items()
            if name.endswith("Recognizer") and isinstance(value, type) and value.__module__ == here.__name__
        }
        assert classes <= made | plug_ins | {"Recognizer"}
