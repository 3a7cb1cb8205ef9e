"""Attacks 21 to 26: what is stored is read in one way only."""

import hashlib
import itertools
import math
import os

import pytest
from msgspec import structs

from auditmw import AuditTrail
from auditmw.entry import AuditEntry
from auditmw.errors import EvidenceError
from auditmw.log.commitment import commit
from auditmw.log.leaf import leaf_bytes, salted
from auditmw.log.merkle import leaf_hash, node_hash, verify_inclusion
from auditmw.stores.columns import to_row
from auditmw.stores.protocol import Batch
from auditmw.verification import verify_trail

ODD = {
    "not a number": math.nan,
    "infinite": [math.inf, -math.inf],
    "2^53": 2**53,
    "2^70": 2**70,
    "1e400": float("1e400"),
    "minus zero": -0.0,
    "half": "\ud800",
    "separator": "\u2028\u2029",
    "nul": "a\0b",
    "mark": "\ufeffx",
    "line": "a\r\nb\n",
    "deep": None,
    "bytes": b"\xff",
    "large": "x" * 70_000,
}


def test_21_whatever_an_application_puts_into_an_entry_is_no_false_alarm(tmp_path):
    deep = []
    for _ in range(500):
        deep = [deep]
    url = f"sqlite:///{tmp_path / 'trail.db'}"
    with AuditTrail(url) as trail, trail.call(action="odd \udfff\0", user_id="\ud800") as call:
        call.metadata.update(ODD, deep=deep)
    report = verify_trail(url)
    assert (report.verdict, report.entries, report.findings) == ("self-consistent", 3, [])


@pytest.mark.parametrize(
    "text",
    [
        '{"nested":{"a":[1,null,"\u2028"]},"number":77} ',
        '{"number":77,"nested":{"a":[1,null,"\u2028"]}}',
        '{"nested":{"a":[1,null,"\\u2028"]},"number":77}',
        '{"nested":{"a":[1,null,"\u2028"]},"number":77.0}',
        '{"nested":{"a":[1,null,"\u2028"]},"number":77,"number":77}',
        '{"nested":{"a":[1,null,"\u2028"]},"number":77',
        "[]",
    ],
)
def test_22_json_that_means_the_same_and_is_written_otherwise_is_tampering(trail, text):
    trail.change("r77", metadata=f"'{text}'")
    report = trail.verify()
    assert (report.verdict, report.structure.first_bad.first) == ("tampered", 77)


def test_22_text_that_is_no_text_is_tampering(sqlite_copies):
    trail = sqlite_copies.full()
    trail.change("r77", user_id="CAST(x'ff61' AS TEXT)")
    report = trail.verify()
    assert (report.verdict, [finding.first for finding in report.findings]) == ("tampered", [77])


def test_23_a_node_is_no_leaf():
    left, right = leaf_hash(b"left"), leaf_hash(b"right")
    root = node_hash(left, right)
    assert leaf_hash(left + right) != root
    with pytest.raises(EvidenceError):
        verify_inclusion(0, 1, leaf_hash(left + right), [], root)


@pytest.mark.parametrize(
    "note", ["", "\n\n", "x\n", "a\n620\nAAAA\n", "a\n1\n2\n\n\n", "a" * 1_000_001, "o\n620\nroot\n\n\u2014 x AAAA\n"]
)
def test_24_a_stored_checkpoint_that_is_none_is_tampering(trail, note):
    trail.add_checkpoint(620, note[: 2000 if not trail.is_sqlite else None])
    report = trail.verify()
    assert (report.verdict, report.findings[0].kind) == ("tampered", "checkpoint")


@pytest.mark.parametrize("fields", [{"v": 2}, {"kind": "dream"}])
def test_25_an_entry_of_a_newer_auditmw_cannot_be_judged_and_the_others_are(trail, signer, make_entry, fields):
    trail.append(Batch("b" * 32, 201, [structs.replace(make_entry(620), **fields)]))
    trail.sign(signer)
    report = trail.verify(signer)
    assert (report.verdict, report.exit_code, report.structure.unknown) == ("cannot tell", 2, [620])
    trail.change("r77", input_tokens="5")
    report = trail.verify(signer)
    assert (report.verdict, report.structure.first_bad.first) == ("tampered", 77)


def test_25_a_version_that_was_changed_is_tampering(trail):
    trail.change("r77", v="2")
    report = trail.verify()
    assert (report.verdict, report.structure.first_bad.first) == ("tampered", 77)


def test_26_a_short_value_cannot_be_found_by_trying_all():
    """Every four-digit text under every guess that needs no salt gives another commitment."""
    salt = os.urandom(32)
    commitment = commit("who", 1, salt, b'{"user_id":"4711"}')
    for digits in itertools.product("0123456789", repeat=4):
        guess = b'{"user_id":"%s"}' % "".join(digits).encode()
        assert commit("who", 1, bytes(32), guess) != commitment
        assert hashlib.sha256(guess).digest() != commitment
    assert commit("who", 1, salt, b'{"user_id":"4711"}') == commitment


def test_26_one_value_has_another_commitment_in_every_entry():
    rows = [to_row(AuditEntry(request_id="r", timestamp_us=1, user_id="alice")) for _ in range(2)]
    one, other = (leaf_bytes(row, salts) for row, (salts, _) in zip(rows, salted(rows), strict=True))
    assert one != other
