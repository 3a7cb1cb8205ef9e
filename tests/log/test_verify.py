"""The verification alone, over chunks made in memory: every check, what it says, and what it does not say."""

import copy
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from auditmw.entry import AuditEntry
from auditmw.log.checkpoint import Checkpoint
from auditmw.log.commitment import commit
from auditmw.log.examine import Chunk, Row, StoredBatch, examine, read_head
from auditmw.log.keys import Ed25519Signer
from auditmw.log.leaf import CLASSES, CONTENT, STORED_FIELDS, class_bytes, leaf_hash, salted
from auditmw.log.merkle import Frontier
from auditmw.log.report import Erased, OpenWriter
from auditmw.log.verify import MAX_FINDINGS, Strays, TrailHead, Verification
from auditmw.stores.columns import to_row

ORIGIN = "auditmw/test"
SIGNER = Ed25519Signer(ORIGIN, bytes(32))
OTHER = Ed25519Signer(ORIGIN, bytes(range(32)))
KEYS = [SIGNER.verifier]
SECOND = 1_000_000
WRITER = STORED_FIELDS.index("writer")


def control(action, **metadata):
    return AuditEntry(request_id="x", timestamp_us=1, kind="control", action=action, metadata=metadata or None)


class Made:
    """A trail as a store would hold it. Attributes may be changed before it is verified."""

    def __init__(self, size=600, *, special=(), checkpoints=((SIGNER, 300), (SIGNER, 500)), batch=100):
        special = dict(special)
        self.seqs = {"a": 0, "b": 0}
        rows, self.batches = [], []
        for first in range(0, size, batch):
            writer = "ab"[first // batch % 2]
            count = min(batch, size - first)
            first_seq = self.seqs[writer] + 1
            for place in range(count):
                number = first + place
                entry = special.get(number) or AuditEntry(request_id=f"r{number}", timestamp_us=1, user_id="u")
                self.seqs[writer] += 1
                stored_at = (first // batch + 1) * SECOND
                full = structs.replace(
                    entry, request_id=f"r{number}", writer=writer, seq=self.seqs[writer], stored_at_us=stored_at
                )
                rows.append(to_row(full))
            self.batches.append([first, writer, first_seq, count, b""])
        self.rows = [Row(n, salts, 0, rows[n]) for n, (salts, _) in enumerate(salted(rows))]
        self.mend()
        self.checkpoints = [(n, self.note(n, *([signer] if signer else []))) for signer, n in checkpoints]
        self.strays = Strays()
        self.writers = dict(self.seqs)
        self.first = 0

    def mend(self):
        """Make all that is derived from the rows follow from them."""
        self.hashes = [leaf_hash(row.values, row.salts, row.erased) for row in self.rows]
        for stored in self.batches:
            stored[4] = b"".join(self.hashes[stored[0] : stored[0] + stored[3]])
        full = len(self.hashes) // 256
        self.tiles = {n: self.frontier(n * 256, n * 256 + 256).root() for n in range(full)}
        head = self.frontier()
        last = self.rows[-1].values[STORED_FIELDS.index("stored_at_us")] if self.rows else 0
        self.head = TrailHead(ORIGIN, head.size, head.to_bytes(), last, None)

    def frontier(self, first=0, until=None):
        return Frontier().extend(self.hashes[first:until])

    def note(self, size, *signers, origin=ORIGIN):
        checkpoint = Checkpoint(origin, size, self.frontier(0, size).root())
        return checkpoint.sign(*signers) if signers else checkpoint.to_text()

    def chunk(self, first, until):
        return Chunk(
            first,
            until,
            [row for row in self.rows if first <= row.leaf_index < until],
            [StoredBatch(*b) for b in self.batches if b[0] < until and b[0] + b[3] > first],
            {n: root for n, root in self.tiles.items() if first // 256 <= n < until // 256},
            [(size, note) for size, note in self.checkpoints if first < size <= until],
        )

    def verify(self, *, verifiers=(), held=(), step=256, start=None):
        verification = Verification(self.head, verifiers=verifiers, held=held, start=start)
        first, size = (start.size if start else 0), self.head.size
        while first < size:
            until = min(first - first % step + step, size)
            verification.add(examine(self.chunk(first, until), verifiers))
            first = until
        return verification.report(self.writers, self.strays)

    def change(self, number, **fields):
        row = self.rows[number]
        values = list(row.values)
        for name, value in fields.items():
            values[STORED_FIELDS.index(name)] = value
        self.rows[number] = row._replace(values=values)

    def erase(self, number, name="who"):
        (found,) = (c for c in CLASSES if c.name == name)
        row = self.rows[number]
        commitment = commit(name, 1, row.salts[found.slot], class_bytes(found, row.values))
        salts = row.salts[: found.slot.start] + commitment + row.salts[found.slot.stop :]
        self.rows[number] = row._replace(salts=salts, erased=row.erased | found.bit)
        self.change(number, user_id=None)


@pytest.fixture(scope="module")
def template():
    return Made()


@pytest.fixture
def made(template):
    return copy.deepcopy(template)


def says(report):
    return [(finding.kind, finding.first, finding.last) for finding in report.findings]


# --- untouched --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [256, 512, 768])
def test_an_untouched_trail(made, step):
    report = made.verify(verifiers=KEYS, held=[made.note(500, SIGNER), made.note(600), made.note(0)], step=step)
    assert report.findings == []
    assert (report.verdict, report.exit_code, report.origin) == ("verified", 0, ORIGIN)
    assert (report.entries, report.pruned) == (600, 0)
    assert structs.astuple(report.structure) == (0, None, [], 0)
    assert structs.astuple(report.signed) == (
        *(1, 2, 500, SIGNER.verifier.to_text(), 100, 6 * SECOND),
        *(0, 0, []),
    )
    assert structs.astuple(report.continuity) == (3, 3, [])
    writers = [OpenWriter("a", 300), OpenWriter("b", 300)]
    assert structs.astuple(report.complete) == (2, 0, 0, writers, 0, 0, 0, [])
    assert report.to_dict()["verdict"] == "verified"
    assert report.to_dict()["exit_code"] == 0


def test_a_trail_of_every_small_size_is_untouched():
    for size in (1, 2, 255, 256, 257, 511, 512, 513):
        made = Made(size, checkpoints=((SIGNER, size),), batch=100)
        report = made.verify(verifiers=KEYS, held=[made.note(size)])
        assert (report.verdict, report.signed.unanchored, report.signed.unanchored_since_us) == ("verified", 0, None)
        assert report.continuity.consistent == 1


def test_an_empty_trail(made):
    empty = Made(0, checkpoints=())
    report = empty.verify(verifiers=KEYS)
    assert (report.verdict, report.exit_code, report.entries) == ("empty", 3, 0)
    report = empty.verify(held=[made.note(300, SIGNER)])
    assert (report.verdict, says(report)) == ("tampered", [("continuity", 0, None)])
    assert report.findings[0].message == (
        "you hold a checkpoint of 300 entries, and the trail ends at 0: the last ones are missing"
    )


def test_without_keys_it_is_self_consistent(made):
    report = made.verify()
    assert (report.verdict, report.exit_code) == ("self-consistent", 2)
    assert (report.signed.keys, report.signed.checkpoints, report.signed.size) == (0, 2, None)
    assert (report.signed.unanchored, report.signed.unanchored_since_us) == (600, SECOND)
    assert (report.signed.by_other_keys, report.signed.newest_by_other) == (2, 500)


# --- structure --------------------------------------------------------------------------------------------------------


def test_a_changed_value_is_named(made):
    made.change(77, input_tokens=5)
    report = made.verify(verifiers=KEYS)
    assert (report.verdict, report.exit_code, says(report)) == ("tampered", 1, [("changed", 77, 77)])
    assert report.structure.first_bad == report.findings[0]
    assert report.findings[0].message == "entry 77 (r77) was changed: its stored values do not give its leaf hash"
    assert report.findings[0].request_id == "r77"
    assert report.signed.size == 500  # the stored hashes still lead to the signed root


def test_the_first_bad_entry_is_the_lowest(made):
    for number in (500, 20, 300):
        made.change(number, input_tokens=5)
    report = made.verify()
    assert (report.structure.findings, report.structure.first_bad.first) == (3, 20)


def test_values_that_contradict_their_salts_are_named(made):
    made.change(77, user_id=None)
    report = made.verify()
    assert says(report) == [("changed", 77, 77)]
    assert report.findings[0].message == "entry 77 (r77) was changed: the class who is empty and has a salt"


@pytest.mark.parametrize("value", ["\ud800", 2**80, object(), float("nan")])
def test_values_that_nobody_writes_are_named(made, value):
    made.change(77, input_tokens=value)
    assert says(made.verify()) == [("changed", 77, 77)]


def test_a_row_that_cannot_be_read_is_named(made):
    made.rows[77] = made.rows[77]._replace(values=None)
    report = made.verify()
    assert says(report) == [("changed", 77, 77)]
    assert report.findings[0].message == "entry 77 was changed: its values cannot be read"


def test_a_request_id_that_is_no_text_is_not_shown(made):
    made.change(77, request_id=b"x")
    assert made.verify().findings[0].request_id is None


def test_rows_beside_a_missing_one_are_still_checked(made):
    del made.rows[77]
    made.rows[80] = made.rows[80]._replace(salts=bytes(160))
    assert says(made.verify()) == [("missing", 77, 77), ("changed", 81, 81)]


@pytest.mark.parametrize("number", [0, 256, 599])
def test_a_missing_row_has_no_time_of_its_own(made, number):
    del made.rows[number]
    report = made.verify()
    assert (says(report), report.structure.clock_went_back) == ([("missing", number, number)], 0)


def test_a_changed_entry_that_lies_in_no_batch_is_named_twice(made):
    made.batches = made.batches[1:]
    made.change(77, user_id=None)
    assert says(made.verify())[:2] == [("batch", 0, 99), ("changed", 77, 77)]


def test_content_lies_beside_its_entry_unless_it_was_erased(made):
    commitment = b"c" * 32
    salts = made.rows[5].salts
    slot = CONTENT.slot
    made.rows[5] = made.rows[5]._replace(salts=salts[: slot.start] + commitment + salts[slot.stop :])
    made.mend()
    chunk = made.chunk(0, 256)

    def findings(contents):
        return [(f.kind, f.first, f.message) for f in examine(chunk._replace(contents=contents)).findings]

    assert findings({5: commitment}) == []
    assert findings({}) == [("content", 5, "entry 5 (r5) lacks its content, and no entry says why")]
    own = "has content that is not its own, and no entry says why"
    assert findings({5: b"d" * 32}) == [("content", 5, f"entry 5 (r5) {own}")]
    assert findings({5: commitment, 6: commitment}) == [("content", 6, f"entry 6 (r6) {own}")]
    made.rows[5] = made.rows[5]._replace(erased=CONTENT.bit)
    made.mend()
    chunk = made.chunk(0, 256)
    assert findings({}) == []


def test_every_run_of_missing_rows_is_named(made):
    del made.rows[80:82]
    del made.rows[70]
    assert says(made.verify()) == [("missing", 70, 70), ("missing", 80, 81)]


def test_a_missing_row_is_named(made):
    del made.rows[77:80]
    report = made.verify()
    assert says(report) == [("missing", 77, 79)]
    assert report.findings[0].message == "entries 77 to 79 is missing"


def test_a_row_that_is_there_twice_is_named(made):
    made.rows.insert(77, made.rows[77])
    report = made.verify()
    assert says(report) == [("extra", 77, 77)]
    assert report.findings[0].message == "entry 77 (r77) is there twice, or where no entry belongs"


def test_a_row_between_others_is_named(made):
    chunk = made.chunk(0, 256)
    found = examine(chunk._replace(rows=[*chunk.rows, made.rows[300]]))
    assert [(f.kind, f.first) for f in found.findings] == [("extra", 300)]


def test_a_row_and_its_hash_that_were_changed_together_do_not_give_the_root(made):
    notes = made.checkpoints
    made.change(77, input_tokens=5)
    made.mend()
    made.checkpoints = notes
    report = made.verify(verifiers=KEYS)
    assert says(report) == [("root", 0, 299)]
    assert report.findings[0].message == "the entries do not give the root of the checkpoint at 300 entries"
    assert report.signed.size is None


def test_the_first_root_that_does_not_fit_gives_the_range(made):
    notes = made.checkpoints
    made.change(400, input_tokens=5)
    made.mend()
    made.checkpoints = notes
    report = made.verify(verifiers=KEYS)
    assert (says(report), report.signed.size) == ([("root", 300, 499)], 300)


def test_numbers_that_differ_from_the_batch_are_named(made):
    made.batches[0][2] += 1
    report = made.verify()
    assert ("number", 0, 0) in says(report)
    assert report.findings[0].message == "entry 0 (r0) has not the number that its batch gives it, a 2"
    assert report.structure.findings == 100


def test_a_writer_that_differs_from_the_batch_is_named(made):
    made.batches[0][1] = "b"
    assert says(made.verify())[0] == ("number", 0, 0)


@pytest.mark.parametrize("place", [0, 2, 5])
def test_a_batch_that_is_gone_is_named(made, place):
    first = made.batches[place][0]
    del made.batches[place]
    report = made.verify(step=1024)
    assert says(report) == [("batch", first, first + 99)]
    assert report.findings[0].message.startswith(f"entries {first} to {first + 99} lies in no batch: ")


def test_without_any_batch_every_chunk_says_so(made):
    made.batches = []
    assert says(made.verify(step=1024)) == [("batch", 0, 599)]


@pytest.mark.parametrize(
    "change",
    [lambda b: b.__setitem__(3, 0), lambda b: b.__setitem__(4, b[4][:-1]), lambda b: b.__setitem__(1, None)],
    ids=["count", "hashes", "writer"],
)
def test_a_batch_that_contradicts_itself_is_named(made, change):
    change(made.batches[1])
    chunk = made.chunk(0, 512)
    batches = [StoredBatch(*b) for b in made.batches]
    findings = examine(chunk._replace(batches=batches)).findings
    assert [(f.kind, f.first, f.last) for f in findings][:2] == [("batch", 100, 100), ("batch", 100, 199)]
    assert findings[0].message == "entry 100 begins a batch whose count, hashes or writer were changed"


def test_a_batch_of_one_is_fine():
    assert Made(3, batch=1, checkpoints=()).verify().findings == []


def test_batches_that_overlap_are_named(made):
    made.batches[1][0] -= 1
    report = made.verify(step=1024)
    assert ("batch", 100, 100) in says(report)
    assert "entry 100 lies in two batches: one was added or changed" in [f.message for f in report.findings]


def test_a_batch_that_begins_before_the_chunk_is_fine(made):
    found = examine(made.chunk(250, 256))
    assert (found.findings, len(found.hashes)) == ([], 6)


def test_a_number_that_is_left_out_is_named(made):
    for number in range(200, 300):
        made.change(number, seq=number - 99 + 1)
    made.batches[2][2] += 1
    made.mend()
    made.checkpoints = []
    report = made.verify()
    assert says(report) == [("sequence", 200, 200), ("sequence", 400, 400)]
    assert report.findings[0].message == "entry 200 is number 102 of writer a, and the number before it is 100"


def test_a_sequence_begins_with_one():
    made = Made(100, checkpoints=())
    for number in range(100):
        made.change(number, seq=number + 2)
    made.batches[0][2] = 2
    made.mend()
    made.writers["a"] = 101
    assert says(made.verify()) == [("sequence", 0, 0)]


def test_what_the_writers_table_says_must_be_there(made):
    made.writers["a"] += 2
    report = made.verify()
    assert says(report) == [("missing", 600, None)]
    assert report.findings[0].message == (
        "the entries of writer a end at number 300, and it wrote 302: some are missing"
    )
    made.writers["a"] = 299
    report = made.verify()
    assert says(report) == [("writer", None, None)]
    assert report.findings[0].message == "writer a has 300 entries, and only 299 were counted"
    del made.writers["a"]
    (finding,) = made.verify().findings
    assert (finding.kind, finding.message) == ("writer", "writer a is not among the writers: it was removed there")
    made.writers = {**made.seqs, "c": 5, "d": 0}
    report = made.verify()
    assert says(report) == [("missing", 600, None)]
    assert report.findings[0].message == "all 5 entries of writer c are missing"


def test_a_store_without_a_writers_table_is_asked_nothing(made):
    made.writers = None
    assert made.verify().findings == []


def test_a_writer_that_is_nobody(made):
    made.change(0, writer=None)
    report = made.verify()
    assert report.verdict == "tampered"
    assert report.complete.writers == 3
    assert OpenWriter("unknown", 1) in report.complete.open


def test_how_a_writer_that_is_nobody_ended_is_no_ones_end():
    special = [(3, control("close"))]
    made = Made(10, special=special, checkpoints=())
    made.change(3, writer=None)
    complete = made.verify().complete
    assert (complete.closed, complete.open) == (1, [OpenWriter("a", 10)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 599}, None),
        ({"size": 601}, None),
        ({"frontier": bytes(8)}, "the 600 entries do not give the head that the trail keeps"),
        ({"stored_at_us": 1}, "the time that the trail keeps is not that of its last entry"),
    ],
)
def test_a_head_that_was_changed(made, change, message):
    made.head = made.head._replace(**change)
    report = made.verify()
    assert report.verdict == "tampered"
    if message is not None:
        assert [(finding.kind, finding.message) for finding in report.findings] == [("head", message)]


def test_a_trail_that_counts_more_than_is_there(made):
    verification = Verification(made.head._replace(size=605))
    for first, until in pairwise([0, 256, 512, 600]):
        verification.add(examine(made.chunk(first, until)))
    report = verification.report(made.writers, Strays())
    assert [(f.kind, f.message) for f in report.findings] == [
        ("head", "the trail counts 605 entries, and 600 are here")
    ]


def test_a_trail_without_entries_has_no_last_time():
    made = Made(0, checkpoints=())
    made.head = made.head._replace(stored_at_us=5)
    assert made.verify().verdict == "empty"


def test_a_store_without_a_tree_has_no_head_and_no_tiles(made):
    made.head = made.head._replace(frontier=None)
    verification = Verification(made.head)
    for first, until in pairwise([0, 256, 512, 600]):
        verification.add(examine(made.chunk(first, until)._replace(tiles=None)))
    assert verification.report(None, Strays()).findings == []


def test_another_digest_key_than_the_trails():
    special = [(3, AuditEntry(request_id="x", timestamp_us=1, hash_key_id="k"))]
    made = Made(600, special=special, checkpoints=())
    assert made.verify().findings == []
    made.head = made.head._replace(key_id="k")
    assert made.verify().findings == []
    made.head = made.head._replace(key_id="other")
    message = "entries name another digest key than other, to which the trail is bound"
    assert [(f.kind, f.message) for f in made.verify().findings] == [("head", message)]


def test_a_tile_that_was_changed_or_is_gone(made):
    made.tiles[1] = bytes(32)
    report = made.verify()
    assert says(report) == [("tile", 256, 511)]
    assert report.findings[0].message == "entries 256 to 511 do not give the root that is stored of their tile"
    del made.tiles[1]
    assert says(made.verify()) == [("tile", 256, 511)]


def test_what_belongs_nowhere_is_named(made):
    made.strays = Strays([(1000, "forged"), (None, None)], [7], [900, 0])
    report = made.verify()
    assert says(report) == [
        *[("extra", 1000, 1000), ("extra", None, None), ("tile", None, None)],
        *[("missing", 600, None), ("missing", 600, None)],
    ]
    assert [f.message for f in report.findings][:4] == [
        "a row that is no entry of the trail was added: forged",
        "a row that is no entry of the trail was added: None",
        "tile 7 lies beyond the trail's last entry",
        "a checkpoint covers 900 entries, and the trail ends at 600: the last ones are missing",
    ]
    assert report.findings[0].request_id == "forged"


def test_findings_are_kept_up_to_a_number_and_counted_beyond(made):
    for number in range(200):
        made.change(number, input_tokens=5)
    report = made.verify()
    assert (len(report.findings), report.structure.findings) == (MAX_FINDINGS, 200)


def test_a_low_entry_that_is_found_late_is_still_the_first_bad_one(made):
    made.strays = Strays([(2, "x"), (10, "x")])
    for number in range(10, 300):
        made.change(number, input_tokens=5)
    assert made.verify().structure.first_bad.first == 2


def test_of_two_findings_about_one_entry_the_first_is_told(made):
    made.change(77, input_tokens=5)
    made.strays = Strays([(77, "x")])
    assert made.verify().structure.first_bad.kind == "changed"


def test_entries_of_a_newer_version_cannot_be_judged():
    newer = AuditEntry(request_id="x", timestamp_us=1, v=2)
    made = Made(600, special=[(3, newer)], checkpoints=((SIGNER, 600),))
    report = made.verify(verifiers=KEYS)
    assert (report.verdict, report.exit_code, report.structure.unknown) == ("cannot tell", 2, [3])
    made.change(500, kind="dream")
    made.mend()
    made.checkpoints = [(600, made.note(600, SIGNER))]
    assert made.verify(verifiers=KEYS).structure.unknown == [3, 500]


def test_a_clock_that_went_back_is_counted():
    made = Made(300, checkpoints=())
    for number in range(150, 160):
        made.change(number, stored_at_us=5)
    made.mend()
    report = made.verify()
    assert (report.verdict, report.structure.clock_went_back) == ("self-consistent", 1)


# --- signed -----------------------------------------------------------------------------------------------------------


def test_a_checkpoint_of_a_key_that_nobody_trusts_counts_apart(made):
    made.checkpoints.append((600, made.note(600, OTHER)))
    report = made.verify(verifiers=KEYS)
    assert (report.verdict, report.signed.size) == ("cannot tell", 500)
    assert (report.signed.by_other_keys, report.signed.newest_by_other) == (1, 600)
    made.checkpoints[-1] = (400, made.note(400, OTHER))
    report = made.verify(verifiers=KEYS)
    assert (report.verdict, report.signed.newest_by_other) == ("verified", 400)


def test_a_checkpoint_that_both_signed_counts_for_the_trusted_key(made):
    made.checkpoints.append((600, made.note(600, OTHER, SIGNER)))
    report = made.verify(verifiers=KEYS)
    assert (report.verdict, report.signed.size, report.signed.by_other_keys) == ("verified", 600, 0)
    assert (report.signed.unanchored, report.signed.unanchored_since_us) == (0, None)


def test_an_unsigned_checkpoint_counts_for_nothing_and_must_fit(made):
    made.checkpoints = [(300, made.note(300)), (512, made.note(512))]
    report = made.verify(verifiers=KEYS)
    assert (report.verdict, report.signed.checkpoints, report.signed.size) == ("cannot tell", 2, None)
    assert report.signed.by_other_keys == 0
    made.checkpoints[0] = (300, f"{ORIGIN}\n300\n{'A' * 43}=\n")
    assert says(made.verify(verifiers=KEYS)) == [("root", 0, 299)]


def test_a_key_of_another_trail_signs_nothing_here(made):
    elsewhere = Ed25519Signer("elsewhere", bytes(32))
    made.checkpoints = [(300, made.note(300, elsewhere))]
    report = made.verify(verifiers=[elsewhere.verifier])
    assert (report.verdict, report.signed.size) == ("cannot tell", None)


def test_a_checkpoint_of_another_trail_is_named(made):
    made.checkpoints.append((600, made.note(600, origin="elsewhere")))
    report = made.verify()
    message = f"the checkpoint at 600 entries is one of elsewhere, and the trail calls itself {ORIGIN}"
    assert [(f.kind, f.message) for f in report.findings] == [("checkpoint", message)]


def test_a_checkpoint_that_was_changed_is_named(made):
    text = made.checkpoints[0][1]
    for note in ("nonsense", text.replace("300", "30x"), text[:-4] + "AA==\n"):
        made.checkpoints[0] = (300, note)
        report = made.verify(verifiers=KEYS, step=1024)
        assert report.findings[0].kind == "checkpoint"
        assert report.findings[0].message.startswith("the checkpoint at 300 entries was changed: ")
        assert report.signed.size == 500
    made.checkpoints[0] = (301, text)
    report = made.verify(verifiers=KEYS, step=1024)
    message = "the checkpoint stored for 301 entries is one of 300: it was changed"
    assert [(f.kind, f.message) for f in report.findings] == [("checkpoint", message)]
    assert report.signed.size == 500


def test_two_checkpoints_of_one_size_and_one_at_a_tiles_end(made):
    made.checkpoints = [(256, made.note(256, SIGNER)), (256, made.note(256)), (512, made.note(512, SIGNER))]
    report = made.verify(verifiers=KEYS)
    assert (report.findings, report.signed.checkpoints, report.signed.size) == ([], 3, 512)
    assert report.signed.unanchored_since_us == 6 * SECOND


def test_checkpoints_out_of_order_are_met_in_order(made):
    chunk = made.chunk(0, 600)
    chunk = chunk._replace(checkpoints=[(n, made.note(n, SIGNER)) for n in (500, 300, 400)])
    verification = Verification(made.head, verifiers=KEYS)
    verification.add(examine(chunk, KEYS))
    assert verification.report(made.writers, Strays()).signed.size == 500


def test_keys_that_the_trail_announces_are_told_and_not_trusted():
    entry = control("key", vkey="next+key")
    made = Made(10, special=[(3, entry), (4, control("key", vkey=5))], checkpoints=())
    assert made.verify().signed.announced == ["next+key"]


def test_a_head_tells_whether_it_is_signed(made):
    assert read_head(made.note(300), KEYS).is_signed is False
    head = read_head(made.note(300, OTHER), KEYS)
    assert (head.is_signed, head.keys) == (True, ())
    assert read_head(made.note(300, SIGNER), KEYS).keys == (SIGNER.verifier.to_text(),)


# --- continuity -------------------------------------------------------------------------------------------------------


def test_a_held_checkpoint_that_does_not_fit(made):
    other = copy.deepcopy(made)
    other.change(77, input_tokens=5)
    other.mend()
    for held in ([other.note(300)], [other.note(300, SIGNER), other.note(600, SIGNER)]):
        report = made.verify(verifiers=KEYS, held=held)
        assert (report.verdict, report.continuity.consistent) == ("tampered", 0)
        assert says(report) == [("continuity", 0, 299)]
    message = report.findings[0].message
    assert message.startswith("the first 300 entries are not those of the checkpoint that you hold")
    assert "one key signed both, so whoever holds it keeps two histories" in message
    assert made.note(300, SIGNER) in message
    assert other.note(300, SIGNER) in message


def test_two_histories_are_one_keys_only_if_it_signed_both(made):
    other = copy.deepcopy(made)
    other.change(77, input_tokens=5)
    other.mend()
    for held in (other.note(300, OTHER), other.note(300), other.note(400, SIGNER)):
        message = made.verify(verifiers=KEYS, held=[held]).findings[0].message
        assert message.endswith("entries are not those of the checkpoint that you hold")


def test_a_held_checkpoint_of_another_trail(made):
    report = made.verify(held=[made.note(300, origin="elsewhere")])
    message = f"you hold a checkpoint of elsewhere, and this is {ORIGIN}: it is another trail, or was put in its place"
    assert [(f.kind, f.message) for f in report.findings] == [("continuity", message)]


def test_a_held_checkpoint_that_cannot_be_used(made):
    broken = made.note(300, SIGNER)[:-4] + "AA==\n"
    report = made.verify(verifiers=KEYS, held=[broken])
    assert (report.verdict, report.continuity.held) == ("cannot tell", 1)
    assert report.continuity.unclear[0].startswith("a checkpoint that you hold cannot be used: ")
    report = made.verify(verifiers=KEYS, held=[broken, made.note(300)])
    assert (report.verdict, report.continuity.consistent) == ("verified", 1)


def test_held_checkpoints_of_one_size_all_count(made):
    held = [made.note(300), made.note(300, SIGNER), made.note(600), made.note(256)]
    assert made.verify(held=held).continuity.consistent == 4


def test_held_checkpoints_that_are_too_large_are_all_named(made):
    larger = Made(700, checkpoints=())
    report = made.verify(held=[larger.note(700), larger.note(650)])
    assert says(report) == [("continuity", 600, None)] * 2


# --- complete ---------------------------------------------------------------------------------------------------------


def test_writers_say_how_they_ended_and_what_they_lost():
    special = {
        0: control("open"),
        5: control("drop", count=4),
        6: control("drop", count="many"),
        7: control("lost"),
        8: control("set_aside", error="e"),
        9: control("close"),
        10: control("open"),
        19: control("recover"),
    }
    complete = Made(20, special=special.items(), checkpoints=(), batch=10).verify().complete
    assert (complete.writers, complete.closed, complete.crashed, complete.open) == (2, 1, 1, [])
    assert (complete.dropped, complete.lost, complete.set_aside) == (5, 1, 1)


def test_a_writer_that_was_opened_again_is_open():
    special = {3: control("close"), 4: control("open")}
    complete = Made(10, special=special.items(), checkpoints=()).verify().complete
    assert (complete.closed, complete.open) == (0, [OpenWriter("a", 10)])


# --- removed ----------------------------------------------------------------------------------------------------------


def with_declaration(action="erase", size=600, at=500, **metadata):
    return Made(size, special=[(at, control(action, **metadata))], checkpoints=((SIGNER, size),))


@pytest.mark.parametrize("action", ["erase", "retain"])
def test_what_is_declared_is_explained(action):
    made = with_declaration(action, classes=["who"], leaves=[[10, 12], [50, 50]])
    for number in (10, 11, 12, 50):
        made.erase(number)
    report = made.verify(verifiers=KEYS)
    assert (report.verdict, report.complete.erased) == ("verified", [Erased("who", 4, 500, action)])


def test_two_declarations_share_what_they_explain():
    special = [
        (500, control("erase", classes=["who"], leaves=[[10, 20]])),
        (501, control("retain", classes=["error", "who"], leaves=[[15, 30], [40, 50]])),
    ]
    made = Made(600, special=special, checkpoints=())
    for number in [*range(10, 31), *range(40, 51)]:
        made.erase(number)
    erased = made.verify().complete.erased
    assert erased == [Erased("who", 11, 500, "erase"), Erased("who", 21, 501, "retain")]


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"classes": ["who"]},
        {"leaves": [[10, 20]]},
        {"classes": ["error"], "leaves": [[10, 20]]},
        {"classes": ["nobody"], "leaves": [[10, 20]]},
        {"classes": "who", "leaves": [[10, 20]]},
        {"classes": ["who"], "leaves": "all"},
        {"classes": ["who"], "leaves": [10, 20]},
        {"classes": ["who"], "leaves": [[10, 20, 30]]},
        {"classes": ["who"], "leaves": [[True, 20]]},
        {"classes": ["who"], "leaves": [[20, 10]]},
        {"classes": ["who"], "leaves": [[-1, 20]]},
        {"classes": ["who"], "leaves": [[10, 500]]},
    ],
)
def test_what_is_badly_declared_explains_nothing(metadata):
    made = with_declaration(**metadata)
    made.erase(15)
    report = made.verify()
    assert says(report) == [("erased", 15, 15)]
    assert report.findings[0].message == (
        "entry 15 lacks its values of the class who, and no erase or retain entry says why"
    )


def test_a_declaration_reaches_up_to_its_own_entry_and_down_to_the_first():
    made = with_declaration(classes=["who"], leaves=[[0, 499]])
    for number in (0, 499):
        made.erase(number)
    assert made.verify().complete.erased == [Erased("who", 2, 500, "erase")]


def test_what_lies_between_declarations_is_named():
    made = with_declaration(classes=["who"], leaves=[[10, 12], [20, 22]])
    for number in range(8, 30):
        made.erase(number)
    report = made.verify()
    assert says(report) == [("erased", 8, 9), ("erased", 13, 19), ("erased", 23, 29)]
    assert report.complete.erased == [Erased("who", 6, 500, "erase")]


def test_a_wide_declaration_under_a_narrow_one_still_explains():
    special = [
        (500, control("erase", classes=["who"], leaves=[[10, 100]])),
        (501, control("erase", classes=["who"], leaves=[[20, 22]])),
    ]
    made = Made(600, special=special, checkpoints=())
    for number in range(21, 60):
        made.erase(number)
    assert made.verify().complete.erased == [Erased("who", 2, 501, "erase"), Erased("who", 37, 500, "erase")]


def test_declarations_need_not_come_in_the_order_of_what_they_declare():
    special = [
        (500, control("erase", classes=["who"], leaves=[[40, 50], [5, 6]])),
        (501, control("erase", classes=["who"], leaves=[[10, 20]])),
    ]
    made = Made(600, special=special, checkpoints=())
    for number in (5, 6, 10, 20, 40, 50):
        made.erase(number)
    assert made.verify().complete.erased == [Erased("who", 4, 500, "erase"), Erased("who", 2, 501, "erase")]


def test_runs_of_what_nothing_declares_are_named():
    made = Made(600, checkpoints=())
    for number in (10, 11, 20, 21, 22):
        made.erase(number)
    assert says(made.verify()) == [("erased", 10, 11), ("erased", 20, 22)]


def test_other_actions_declare_nothing():
    made = with_declaration("heartbeat", classes=["who"], leaves=[[10, 20]])
    made.erase(15)
    assert says(made.verify()) == [("erased", 15, 15)]


def prune(made, size):
    """Take away what lies before a cut, and give the tree of it."""
    start = made.frontier(0, size)
    made.rows = made.rows[size:]
    made.batches = [b for b in made.batches if b[0] + b[3] > size]
    made.checkpoints = [c for c in made.checkpoints if c[0] > size]
    return start


@pytest.mark.parametrize("cut", [1, 255, 256, 300, 450, 500])
def test_a_declared_cut_leads_on_to_the_signed_roots(cut):
    plain = Made()
    frontier = plain.frontier(0, cut)
    entry = control("retain", first_leaf=cut, frontier="0" * 80)
    made = Made(600, special=[(500, entry)], checkpoints=())
    exact = control("retain", first_leaf=cut, frontier=made.frontier(0, cut).to_bytes().hex())
    made.change(500, metadata=to_row(exact)[STORED_FIELDS.index("metadata")])
    made.mend()
    made.checkpoints = [(600, made.note(600, SIGNER)), (550, made.note(550, SIGNER))]
    held = [made.note(cut), made.note(600)]
    start = prune(made, cut)
    report = made.verify(verifiers=KEYS, held=held, start=start)
    assert (report.verdict, report.pruned, report.entries) == ("verified", cut, 600 - cut)
    assert report.continuity.consistent == 2
    assert report.complete.writers == (2 if cut < 500 else 1)
    assert frontier.size == start.size


def test_without_keys_a_pruned_trail_counts_what_is_left():
    made = Made(checkpoints=())
    start = prune(made, 300)
    report = made.verify(start=start)
    assert says(report) == [("missing", 0, 299)]
    assert report.findings[0].message == "entries 0 to 299 is missing, and no retain entry says why"
    assert (report.signed.unanchored, report.signed.unanchored_since_us) == (300, 4 * SECOND)


@pytest.mark.parametrize(
    ("action", "metadata"),
    [
        ("erase", {"first_leaf": 300, "frontier": None}),
        ("retain", {"first_leaf": 301, "frontier": None}),
        ("retain", {"first_leaf": "300", "frontier": None}),
        ("retain", {"first_leaf": 300, "frontier": 5}),
        ("retain", {"first_leaf": 300, "frontier": "zz"}),
        ("retain", {"first_leaf": 300, "frontier": "00"}),
        ("retain", {"first_leaf": 0, "frontier": "00" * 8}),
    ],
)
def test_a_badly_declared_cut_is_none(action, metadata):
    made = Made(checkpoints=())
    tree = made.frontier(0, 300).to_bytes().hex()
    entry = control(action, **{name: tree if value is None else value for name, value in metadata.items()})
    made.change(500, kind="control", action=action, metadata=to_row(entry)[STORED_FIELDS.index("metadata")])
    made.rows[500] = made.rows[500]._replace(salts=salted([made.rows[500].values])[0][0])
    made.mend()
    assert says(made.verify(start=prune(made, 300))) == [("missing", 0, 299)]


def test_a_held_checkpoint_from_before_the_cut_says_nothing():
    made = Made(checkpoints=())
    held = [made.note(299), made.note(300)]
    start = prune(made, 300)
    continuity = made.verify(held=held, start=start).continuity
    assert (continuity.held, continuity.consistent) == (2, 1)
    assert continuity.unclear == ["you hold a checkpoint of 299 entries, and the first 300 are pruned"]


@pytest.mark.parametrize(("moment", "kept"), [(2**63 - 1, 2**63 - 1), (2**63, 0), (-(2**63), 0), ("x", 0), (True, 0)])
def test_a_time_that_is_none_is_not_kept(made, moment, kept):
    made.change(0, stored_at_us=moment)
    assert examine(made.chunk(0, 256)).stored_at[0] == kept


def test_metadata_that_is_no_object_declares_nothing():
    made = Made(10, special=[(3, control("erase", a=1))], checkpoints=())
    for metadata in ("[]", "nonsense", 5):
        made.change(3, metadata=metadata)
        assert examine(made.chunk(0, 10)).controls[0].metadata == {}


# --- any change -------------------------------------------------------------------------------------------------------

values = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.binary()


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 99), st.integers(0, len(STORED_FIELDS) - 1), values)
def test_any_change_of_any_value_is_found_at_its_entry(number, place, value):
    made = _SMALL
    row = made.rows[number]
    if type(row.values[place]) is type(value) and row.values[place] == value:
        return
    changed = list(row.values)
    changed[place] = value
    rows = [*made.rows[:number], row._replace(values=changed), *made.rows[number + 1 :]]
    found = examine(made.chunk(0, 100)._replace(rows=rows))
    assert [finding.first for finding in found.findings] == [number]


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 99), st.integers(0, 160 * 8 - 1), st.integers(0, 63))
def test_any_change_of_salts_and_marks_is_found_at_its_entry(number, bit, erased):
    made = _SMALL
    row = made.rows[number]
    salts = bytearray(row.salts)
    salts[bit // 8] ^= 1 << bit % 8
    for changed in (row._replace(salts=bytes(salts)), row._replace(erased=erased)) if erased else ():
        rows = [*made.rows[:number], changed, *made.rows[number + 1 :]]
        found = examine(made.chunk(0, 100)._replace(rows=rows))
        assert [finding.first for finding in found.findings] == [number]


_SMALL = Made(100, checkpoints=())
