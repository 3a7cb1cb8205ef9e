"""Attacks 27 to 33: what was removed, with and without an entry that says so."""

import pytest
from msgspec import structs

from auditmw.log.commitment import commit
from auditmw.log.leaf import CLASSES, class_bytes
from auditmw.log.merkle import Frontier
from auditmw.stores.evidence import open_evidence
from auditmw.stores.protocol import Batch

B = "b" * 32
COLUMNS = {"who": ("user_id", "subject", "session_id", "client_ip_hash"), "error": ("error_message",)}


@pytest.fixture
def erase():
    """Removes the values of a class from an entry, as an erasure does."""

    def erase(trail, number, name="who"):
        (field_class,) = (found for found in CLASSES if found.name == name)
        reader = open_evidence(trail.url)
        (row,) = reader.chunk(number, number + 1).rows
        reader.close()
        commitment = commit(name, 1, row.salts[field_class.slot], class_bytes(field_class, row.values))
        salts = row.salts[: field_class.slot.start] + commitment + row.salts[field_class.slot.stop :]
        nothing = dict.fromkeys(COLUMNS[name], "NULL")
        trail.change(f"r{number}", salts=trail.blob(salts), erased=f"erased | {field_class.bit}", **nothing)

    return erase


@pytest.fixture
def declare(make_control):
    """Appends an entry that says what goes."""

    def declare(trail, action="erase", seq=201, number=620, **metadata):
        trail.append(Batch(B, seq, [make_control(number, action, **metadata)]))

    return declare


def test_27_what_is_erased_as_declared_is_counted_and_everything_else_still_holds(trail, signer, erase, declare):
    declare(trail, classes=["who"], leaves=[[10, 12], [77, 77]])
    declare(trail, seq=202, number=621, classes=["error"], leaves=[[77, 80]])
    for number in (10, 11, 77):
        erase(trail, number)
    erase(trail, 77, "error")
    trail.sign(signer)
    report = trail.verify(signer, held=trail.checkpoints())
    assert (report.verdict, report.continuity.consistent) == ("verified", 4)
    found = [(e.field_class, e.entries, e.declared_by, e.action) for e in report.complete.erased]
    assert found == [("who", 3, 620, "erase"), ("error", 1, 621, "erase")]


def test_28_an_erased_class_that_gets_values_again_is_tampering(trail, erase, declare):
    declare(trail, classes=["who"], leaves=[[77, 77]])
    erase(trail, 77)
    trail.change("r77", user_id="'mallory'")
    report = trail.verify()
    assert (report.verdict, report.structure.first_bad.first) == ("tampered", 77)
    assert "marked erased and has values" in report.findings[0].message


def test_28_a_changed_value_in_an_erasable_class_is_tampering(trail):
    for name in ("user_id", "error_message", "metadata", "input_hash"):
        trail.change("r77", **{name: "NULL"})
        assert trail.verify().structure.first_bad.first == 77


@pytest.mark.parametrize(
    "declaration",
    [
        None,
        {"classes": ["error"], "leaves": [[77, 77]]},
        {"classes": ["who"], "leaves": [[78, 90]]},
        {"classes": ["who"], "leaves": [[77, 700]]},
        {"classes": ["who"], "leaves": [[78, 77]]},
        {"classes": ["who"], "leaves": [["77", "77"]]},
        {"classes": "who", "leaves": [[77, 77]]},
        {"classes": ["who"], "leaves": {"77": 77}},
        {"classes": ["who"], "leaves": [77]},
        {"classes": [["who"]], "leaves": [[77, 77]]},
    ],
)
def test_29_a_value_that_is_gone_without_an_entry_that_says_so_is_tampering(trail, erase, declare, declaration):
    if declaration is not None:
        declare(trail, **declaration)
    erase(trail, 77)
    report = trail.verify()
    assert (report.verdict, report.structure.first_bad.first) == ("tampered", 77)
    assert "lacks its values of the class who, and no erase or retain entry says why" in report.findings[0].message


def test_29_only_an_erase_or_a_retain_entry_says_so(trail, erase, declare):
    declare(trail, action="heartbeat", classes=["who"], leaves=[[77, 77]])
    erase(trail, 77)
    assert trail.verify().verdict == "tampered"


def test_29_a_declaration_that_is_erased_itself_says_nothing(trail, erase, declare):
    declare(trail, classes=["who"], leaves=[[77, 77]])
    erase(trail, 77)
    COLUMNS["metadata"] = ("metadata",)
    erase(trail, 620, "metadata")
    assert [finding.first for finding in trail.verify().findings] == [77, 620]


def test_30_an_erasure_declared_afterwards_lies_after_the_checkpoints_that_others_hold(trail, signer, erase, declare):
    erase(trail, 77)
    declare(trail, classes=["who"], leaves=[[77, 77]])
    report = trail.verify(signer, held=trail.checkpoints())
    assert (report.verdict, report.signed.unanchored) == ("verified", 21)
    assert report.complete.erased[0].declared_by == 620  # where everybody can see when it was said


def test_33_a_pruned_beginning_is_told_and_the_rest_leads_to_the_signed_roots(trail, signer, declare):
    cut = Frontier().extend(trail.hashes()[:300])
    held = trail.checkpoints()
    declare(trail, "retain", first_leaf=300, frontier=cut.to_bytes().hex())
    trail.cut_beginning(300)
    trail.sign(signer)
    report = trail.verify(signer, held=held)
    assert (report.verdict, report.pruned, report.entries) == ("verified", 300, 321)
    assert report.continuity.consistent == 3
    assert trail.verify(signer, jobs=2) == trail.verify(signer)


def test_33_a_checkpoint_from_before_the_cut_says_nothing_any_more(trail, signer, declare):
    held = trail.checkpoints()
    declare(trail, "retain", first_leaf=500, frontier=Frontier().extend(trail.hashes()[:500]).to_bytes().hex())
    trail.cut_beginning(500)
    report = trail.verify(signer, held=held)
    assert (report.verdict, report.continuity.consistent) == ("verified", 2)
    report = trail.verify(signer, held=held[:1])
    assert (report.verdict, report.continuity.consistent) == ("cannot tell", 0)
    assert report.continuity.unclear == ["you hold a checkpoint of 300 entries, and the first 500 are pruned"]


def test_33_what_was_declared_as_pruned_and_is_not_all_gone_yet_counts_as_gone(trail, signer, declare):
    declare(trail, "retain", first_leaf=300, frontier=Frontier().extend(trail.hashes()[:300]).to_bytes().hex())
    trail.execute("DELETE FROM audit_entries WHERE CAST(substr(request_id, 2) AS integer) < 150")
    report = trail.verify(signer)
    assert (report.verdict, report.pruned) == ("verified", 300)


def test_33_a_cut_that_was_declared_and_not_begun_changes_nothing(trail, signer, declare):
    declare(trail, "retain", first_leaf=300, frontier=Frontier().extend(trail.hashes()[:300]).to_bytes().hex())
    report = trail.verify(signer)
    assert (report.verdict, report.pruned) == ("verified", 0)


def test_33_more_pruned_than_was_declared_is_missing(trail, signer, declare):
    declare(trail, "retain", first_leaf=300, frontier=Frontier().extend(trail.hashes()[:300]).to_bytes().hex())
    trail.cut_beginning(500)
    report = trail.verify(signer)
    assert (report.verdict, report.structure.first_bad.first) == ("tampered", 0)


def test_33_a_cut_with_another_tree_does_not_lead_to_the_signed_root(trail, signer, declare):
    hashes = trail.hashes()[:300]
    hashes[77] = bytes(32)
    declare(trail, "retain", first_leaf=300, frontier=Frontier().extend(hashes).to_bytes().hex())
    trail.cut_beginning(300)
    report = trail.verify(signer)
    assert (report.verdict, report.signed.size) == ("tampered", None)


@pytest.mark.parametrize(
    "metadata",
    [
        {"first_leaf": 300},
        {"first_leaf": 300, "frontier": "zz"},
        {"first_leaf": 300, "frontier": "00"},
        {"first_leaf": 301, "frontier": None},
        {"first_leaf": "300", "frontier": None},
        {"frontier": None},
    ],
)
def test_33_a_cut_that_is_badly_declared_is_not_declared(trail, signer, declare, metadata):
    cut = Frontier().extend(trail.hashes()[:300]).to_bytes().hex()
    declare(trail, "retain", **{k: cut if v is None else v for k, v in metadata.items()})
    trail.cut_beginning(300)
    assert trail.verify(signer).verdict == "tampered"


def test_33_a_retain_entry_that_was_forged_into_a_row_is_tampering(trail, signer, make_control):
    cut = Frontier().extend(trail.hashes()[:300]).to_bytes().hex()
    forged = structs.replace(make_control(550, "retain", first_leaf=300, frontier=cut))
    assert forged.metadata is not None
    trail.change("r550", action="'retain'", metadata=f"""'{{"first_leaf":300,"frontier":"{cut}"}}'""")
    trail.cut_beginning(300)
    report = trail.verify(signer)
    assert (report.verdict, report.structure.first_bad.first) == ("tampered", 550)
