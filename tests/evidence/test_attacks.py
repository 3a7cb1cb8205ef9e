"""Attacks on the stored trail, numbered as in docs/evidence.md, each with the verdict that it must get."""

import pytest
from msgspec import structs

from auditmw.errors import NoTrail
from auditmw.log.checkpoint import Checkpoint
from auditmw.log.keys import Ed25519Signer
from auditmw.stores.protocol import Batch

A, B = "a" * 32, "b" * 32


def first_bad(report):
    return None if report.structure.first_bad is None else report.structure.first_bad.first


def test_an_untouched_trail_is_verified_under_its_key(trail, signer):
    report = trail.verify(signer, held=trail.checkpoints())
    assert (report.verdict, report.exit_code, report.findings) == ("verified", 0, [])
    assert (report.entries, report.signed.size, report.signed.unanchored) == (620, 600, 20)
    assert report.signed.signed_by == signer.verifier.to_text()
    assert report.signed.unanchored_since_us is not None
    assert (report.continuity.held, report.continuity.consistent) == (3, 3)
    complete = report.complete
    assert (complete.writers, complete.closed, complete.dropped) == (2, 1, 3)
    assert [(writer.writer, writer.last_seq) for writer in complete.open] == [(B, 200)]


def test_an_untouched_trail_without_a_key_is_only_self_consistent(trail):
    report = trail.verify()
    assert (report.verdict, report.exit_code) == ("self-consistent", 2)


def test_an_untouched_trail_with_unsigned_checkpoints_cannot_be_told_from_a_rewritten_one(rewritten, signer):
    rewritten.sign()
    assert rewritten.verify().verdict == "self-consistent"
    assert rewritten.verify(signer).verdict == "cannot tell"


def test_several_processes_say_the_same_as_one(trail, signer):
    assert trail.verify(signer, jobs=2) == trail.verify(signer)
    trail.change("r77", input_tokens="5")
    assert trail.verify(signer, jobs=2) == trail.verify(signer)


@pytest.mark.parametrize("pinned", [True, False])
def test_1_a_changed_value_is_tampering_with_and_without_a_key(trail, signer, pinned):
    trail.change("r77", input_tokens="input_tokens + 1")
    report = trail.verify(*[signer] if pinned else [])
    assert (report.verdict, report.exit_code, first_bad(report)) == ("tampered", 1, 77)
    assert report.structure.findings == 1
    assert "entry 77 (r77) was changed" in report.structure.first_bad.message


def test_1_a_changed_value_with_its_leaf_hash_mended_does_not_give_the_root(trail, signer):
    """Everything that is derived is made right again, but the checkpoints cannot be."""
    hashes = trail.hashes()
    trail.change("r77", input_tokens="5")
    trail.mend([*hashes[:77], trail.leaf("r77"), *hashes[78:]])
    for report in (trail.verify(), trail.verify(signer)):
        assert report.verdict == "tampered"
        assert [(finding.kind, finding.first, finding.last) for finding in report.findings] == [("root", 0, 299)]


def test_2_a_deleted_row_is_missing_at_its_place(trail):
    trail.execute("DELETE FROM audit_entries WHERE request_id = 'r333'")
    report = trail.verify()
    assert (report.verdict, first_bad(report)) == ("tampered", 333)
    assert "entry 333 is missing" in report.structure.first_bad.message


def test_2_a_deleted_row_is_noticed_when_everything_after_it_moves_up(sqlite_copies, signer):
    trail = sqlite_copies.full()
    trail.execute(
        "DELETE FROM audit_entries WHERE leaf_index = 333",
        "UPDATE audit_entries SET leaf_index = -leaf_index WHERE leaf_index > 333",
        "UPDATE audit_entries SET leaf_index = -leaf_index - 1 WHERE leaf_index < 0",
    )
    report = trail.verify(signer)
    assert (report.verdict, first_bad(report)) == ("tampered", 333)


def test_3_an_inserted_row_is_no_entry_of_the_trail(trail):
    trail.copy_row("r77", 100_000, "forged")
    report = trail.verify()
    assert report.verdict == "tampered"
    assert [finding.request_id for finding in report.findings if finding.kind == "extra"] == ["forged"]


def test_4_a_row_that_is_there_twice_is_one_too_many(trail):
    trail.copy_row("r77", 100_000, "r77")
    assert trail.verify().verdict == "tampered"


def test_5_two_swapped_entries_are_both_named(trail):
    trail.swap("user_id", "r77", "r78")
    trail.swap("salts", "r77", "r78")
    assert [finding.first for finding in trail.verify().findings] == [77, 78]


def test_6_a_tail_cut_off_below_a_checkpoint_is_missing(trail, signer):
    trail.cut(550)
    for report in (trail.verify(), trail.verify(signer)):
        assert (report.verdict, report.exit_code, first_bad(report)) == ("tampered", 1, 550)


def test_7_a_tail_cut_off_above_every_checkpoint_shows_only_to_who_holds_a_newer_one(trail, signer):
    newest = trail.head().sign(signer)
    trail.cut(600)
    report = trail.verify(signer)
    assert (report.verdict, report.signed.unanchored) == ("verified", 0)
    report = trail.verify(signer, held=[newest])
    assert (report.verdict, first_bad(report)) == ("tampered", 600)
    assert "you hold a checkpoint of 620 entries, and the trail ends at 600" in report.findings[0].message


def test_7_a_tail_cut_off_together_with_its_checkpoints_is_the_same(trail, signer):
    held = trail.checkpoints()
    trail.cut(500)
    trail.execute("DELETE FROM audit_checkpoints WHERE size > 500")
    assert trail.verify(signer).verdict == "verified"
    assert trail.verify(signer, held=held).verdict == "tampered"


def test_8_an_emptied_trail_is_never_ok(trail, empty_trail, signer):
    report = empty_trail.verify(signer)
    assert (report.verdict, report.exit_code) == ("empty", 3)
    assert empty_trail.verify(signer, held=trail.checkpoints()).verdict == "tampered"
    trail.cut(0)
    assert trail.verify(signer).verdict == "tampered"  # its own checkpoints tell
    trail.execute("DELETE FROM audit_checkpoints")
    assert trail.verify(signer).verdict == "empty"


def test_8_a_trail_without_the_row_that_says_what_it_is_is_no_trail(trail):
    trail.execute("DELETE FROM audit_trail")
    with pytest.raises(NoTrail):
        trail.verify()


def test_8_a_database_without_a_trail_is_no_trail(trail):
    trail.remove()
    with pytest.raises(NoTrail):
        trail.verify()


def test_9_a_beginning_that_is_gone_without_a_retain_entry_is_missing(trail, signer):
    trail.cut_beginning(300)
    report = trail.verify(signer)
    assert (report.verdict, first_bad(report)) == ("tampered", 0)


def test_10_a_rewrite_under_an_unknown_key_is_never_ok(trail, rewritten, signer, stranger):
    rewritten.sign(stranger)
    report = rewritten.verify(signer)
    assert (report.verdict, report.exit_code) == ("cannot tell", 2)
    assert (report.signed.size, report.signed.by_other_keys) == (None, 1)
    assert rewritten.verify().verdict == "self-consistent"
    assert rewritten.verify(signer, held=trail.checkpoints()).verdict == "tampered"


def test_10_a_tail_signed_by_an_unknown_key_is_never_ok(trail, signer, stranger):
    trail.sign(stranger)
    report = trail.verify(signer)
    assert (report.verdict, report.signed.size, report.signed.newest_by_other) == ("cannot tell", 600, 620)


def test_11_who_has_the_real_key_can_rewrite_all_unless_somebody_holds_a_checkpoint(trail, rewritten, signer):
    rewritten.sign(signer)
    assert rewritten.verify(signer).verdict == "verified"  # the limit of every signature by the operator alone
    report = rewritten.verify(signer, held=trail.checkpoints())
    assert (report.verdict, report.continuity.consistent) == ("tampered", 0)
    assert "not those of the checkpoint that you hold" in report.findings[0].message


def test_12_a_restored_backup_shows_to_who_holds_a_newer_checkpoint(copies, trail, signer, make_entry):
    backup = copies.full()
    trail.append(Batch(B, 201, [make_entry(620)]))
    trail.sign(signer)
    report = backup.verify(signer, held=trail.checkpoints())
    assert (report.verdict, report.continuity.consistent) == ("tampered", 3)


def test_13_two_histories_under_one_key_are_reported_with_both_notes(trail, rewritten, signer):
    theirs, ours = trail.sign(signer), rewritten.sign(signer)
    message = rewritten.verify(signer, held=[theirs]).findings[0].message
    assert "one key signed both" in message
    assert theirs in message
    assert ours in message


def test_14_an_entry_of_another_trail_does_not_fit(trail, rewritten):
    ((user, salts),) = rewritten.select("SELECT user_id, salts FROM audit_entries WHERE request_id = 'r77'")
    trail.change("r77", user_id=f"'{user}'", salts=trail.blob(salts))
    report = trail.verify()
    assert (report.verdict, first_bad(report)) == ("tampered", 77)


def test_14_a_checkpoint_of_another_trail_does_not_fit(trail, signer):
    other = Ed25519Signer("auditmw/other", bytes(32))
    head = trail.head()
    foreign = Checkpoint("auditmw/other", head.size, head.root).sign(other)
    assert trail.verify(signer, held=[foreign]).verdict == "tampered"
    trail.add_checkpoint(head.size, foreign)
    for keys in ([signer], [other], []):
        report = trail.verify(*keys)
        assert (report.verdict, report.findings[0].kind) == ("tampered", "checkpoint")


def test_14_a_key_of_another_trail_says_nothing(trail):
    report = trail.verify(Ed25519Signer("auditmw/other", bytes(32)))
    assert (report.verdict, report.signed.size) == ("cannot tell", None)


def test_15_a_writer_taken_out_is_missing(trail, signer):
    ((number,),) = trail.select(f"SELECT id FROM audit_writers WHERE writer = '{B}'")
    trail.execute(f"DELETE FROM audit_entries WHERE writer_id = {number}")
    report = trail.verify(signer)
    assert (report.verdict, first_bad(report)) == ("tampered", 200)


def test_15_a_writer_taken_out_with_all_that_speaks_of_it_does_not_give_the_signed_root(
    trail, empty_trail, signer, honest
):
    empty_trail.append(*[one for one in honest if one.writer == A])
    empty_trail.add_checkpoint(300, trail.checkpoints()[0])
    report = empty_trail.verify(signer)
    assert [(finding.kind, finding.last) for finding in report.findings] == [("root", 299)]


def test_16_a_writer_played_twice_does_not_go_on_in_its_sequence(sqlite_copies, honest):
    trail = sqlite_copies.empty()  # PostgreSQL's primary key forbids it
    trail.append(honest[0])
    trail.execute("UPDATE audit_writers SET last_seq = 0")
    trail.append(honest[0])
    report = trail.verify()
    assert (report.verdict, report.findings[0].kind, first_bad(report)) == ("tampered", "sequence", 200)


def test_17_times_that_go_back_are_no_tampering(empty_trail, honest):
    entries = [structs.replace(e, timestamp_us=10_000 - n) for n, e in enumerate(honest[0].entries)]
    empty_trail.append(Batch(A, 1, entries))
    assert empty_trail.verify().verdict == "self-consistent"


def test_18_a_forged_tail_is_reported_as_unanchored(trail, signer, make_entry):
    trail.append(Batch(B, 201, [make_entry(620, user_id="mallory")]))
    report = trail.verify(signer)
    assert (report.verdict, report.signed.size, report.signed.unanchored) == ("verified", 600, 21)


def test_19_a_signature_of_another_algorithm_under_a_known_name_counts_for_nothing(trail, signer):
    note = trail.head().sign(signer)
    text, _, signature = note.rpartition(" ")
    forged = f"{text} {'AAAA' + signature[4:]}"  # another key id, as another algorithm would have
    trail.add_checkpoint(620, forged)
    report = trail.verify(signer)
    assert (report.verdict, report.signed.size) == ("cannot tell", 600)


def test_20_a_wrong_signature_of_a_known_key_is_tampering(trail, signer):
    note = trail.checkpoints()[1]
    forged = note[:-10] + ("A" if note[-10] != "A" else "B") + note[-9:]
    trail.execute(f"UPDATE audit_checkpoints SET note = '{forged}' WHERE size = 500")
    report = trail.verify(signer)
    assert (report.verdict, report.findings[0].kind) == ("tampered", "checkpoint")
    report = trail.verify(signer, held=[forged])
    assert report.continuity.unclear[0].startswith("a checkpoint that you hold cannot be used")
