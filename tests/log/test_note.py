from base64 import b64encode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from auditmw.errors import EvidenceError, UnknownSigner
from auditmw.log.keys import Ed25519Signer
from auditmw.log.note import MAX_CHARACTERS, Note, Signature, sign_note

ALICE, BOB, EVE = (Ed25519Signer(name, name.encode() * 8) for name in ("aaaa", "bbbb", "eeee"))
TEXT = "first line\n\nthird line\n"
NOTE = sign_note(TEXT, ALICE)
LINE = NOTE.removeprefix(TEXT + "\n")
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.just("\n")).map(lambda text: text + "\n")

UNREADABLE = r"^a note's text ends in a newline, and a signer's name is a line without spaces$"


def spell(name, data):
    return f"— {name} {b64encode(data).decode()}\n"


def forged(name, key_id):
    return Signature(name, key_id, bytes(64)).to_text()


def test_a_note_is_spelled_as_the_specification_says():
    assert f"{TEXT}\n{spell('aaaa', ALICE.key_id + ALICE.sign(TEXT.encode()))}" == NOTE


@given(TEXTS)
@example("\n")
@example("\n\n")
@example("a\n\n\n")
def test_a_signed_note_reads_back_to_its_text_and_signers(text):
    note = Note.from_text(sign_note(text, ALICE, BOB))
    assert note.text == text
    assert note.verify([BOB.verifier, ALICE.verifier]) == [ALICE.verifier, BOB.verifier]


@given(st.integers(0, len(NOTE) - 1), st.characters())
def test_a_note_with_any_character_changed_is_refused(at, char):
    changed = NOTE[:at] + char + NOTE[at + 1 :]
    if changed != NOTE:
        with pytest.raises(EvidenceError):
            Note.from_text(changed).verify([ALICE.verifier])


@given(st.text() | st.lists(st.sampled_from(["\n", "\n\n", "— ", "aaaa ", LINE, TEXT, "=", "\r"])).map("".join))
def test_reading_garbage_gives_a_note_that_reads_back_the_same_or_a_plain_error(source):
    try:
        note = Note.from_text(source)
    except EvidenceError:
        return
    assert note.to_text() == source


def test_signatures_of_unknown_keys_are_ignored_even_under_a_known_name_or_id():
    strangers = spell("eeee", b"any signature of any size") + forged("aaaa", BOB.key_id) + forged("bbbb", ALICE.key_id)
    note = Note.from_text(TEXT + "\n" + strangers + LINE)
    assert note.verify([ALICE.verifier, BOB.verifier]) == [ALICE.verifier]


def test_a_wrong_signature_under_a_known_key_refuses_the_note_even_beside_a_right_one():
    note = Note.from_text(NOTE + forged("bbbb", BOB.key_id))
    assert note.verify([ALICE.verifier]) == [ALICE.verifier]
    with pytest.raises(EvidenceError, match="the signature of bbbb does not fit") as caught:
        note.verify([ALICE.verifier, BOB.verifier])
    assert not isinstance(caught.value, UnknownSigner)


def test_a_note_that_no_known_key_signed_proves_nothing():
    note = Note.from_text(NOTE)
    for verifiers in ([], [EVE.verifier]):
        with pytest.raises(UnknownSigner, match="pin the trail's verification key"):
            note.verify(verifiers)


def test_a_key_that_signed_twice_counts_once():
    assert Note.from_text(NOTE + LINE).verify([ALICE.verifier]) == [ALICE.verifier]


def test_another_algorithm_under_the_same_name_is_another_key():
    cosignature = spell("aaaa", b"\x04" + ALICE.key_id[1:] + ALICE.sign(TEXT.encode()))
    with pytest.raises(UnknownSigner):
        Note.from_text(TEXT + "\n" + cosignature).verify([ALICE.verifier])


@pytest.mark.parametrize(
    "source",
    ["", "\n", "\n\n", TEXT, TEXT + LINE, TEXT + "\n", TEXT + "\n" + LINE[:-1], "text" + LINE, NOTE + "\n", "a\n\n\n"],
)
def test_text_without_signatures_below_a_blank_line_is_refused(source):
    with pytest.raises(EvidenceError, match=r"^a note is a text, a blank line and at least one|is no signature line"):
        Note.from_text(source)


@pytest.mark.parametrize(
    "line",
    [
        LINE.replace("—", "-"),
        LINE.replace("— ", "—"),
        LINE.replace("— ", "—  "),
        LINE.replace("aaaa", ""),
        LINE.replace("aaaa", "aa+a"),
        LINE.replace("aaaa", "aa\u2003a"),
        LINE.replace("aaaa ", "aaaa a "),
        LINE.replace("\n", " \n"),
        " " + LINE,
        spell("aaaa", b""),
        spell("aaaa", ALICE.key_id),
    ],
)
def test_a_line_that_is_no_signature_line_is_refused(line):
    with pytest.raises(EvidenceError, match="is no signature line: a dash, a name and base64"):
        Note.from_text(NOTE + line)


@pytest.mark.parametrize("encoded", ["A", "AAAA=", "AA==AAAA", "AAAAAAA", "AAAAAAB=", "AAAA AAAA"[:4] + "_-AA", "ÄAAA"])
def test_base64_in_any_but_its_one_spelling_is_refused(encoded):
    with pytest.raises(EvidenceError, match="is not base64 in its one spelling"):
        Note.from_text(NOTE + f"— bbbb {encoded}\n")


def test_a_signature_of_one_byte_is_a_signature():
    assert Note.from_text(NOTE + spell("bbbb", b"1234" + b"5")).signatures[1] == Signature("bbbb", b"1234", b"5")


def test_sixteen_signatures_are_read_and_seventeen_are_not():
    assert len(Note.from_text(NOTE + LINE * 15).signatures) == 16
    with pytest.raises(EvidenceError, match="at most 16 signatures, not 17"):
        Note.from_text(NOTE + LINE * 16)


def test_a_giant_note_is_refused_before_it_is_read():
    text = "a" * (MAX_CHARACTERS - len(LINE) - 2) + "\n"
    assert Note.from_text(text + "\n" + LINE).text == text
    with pytest.raises(EvidenceError, match="at most 1000000 characters, not 1000001"):
        Note.from_text("a" + text + "\n" + LINE)


@pytest.mark.parametrize("char", ["\r", "\x00", "\t", "\x1f", "\v", "\f"])
def test_control_characters_are_refused_in_reading_and_signing(char):
    with pytest.raises(EvidenceError, match="a note holds a control character"):
        Note.from_text(NOTE.replace("\n", char + "\n"))
    with pytest.raises(EvidenceError, match="a note holds a control character"):
        sign_note(f"a{char}\n", ALICE)


def test_half_a_surrogate_pair_is_refused_in_reading_and_signing():
    with pytest.raises(EvidenceError, match="half a surrogate pair"):
        Note.from_text("\ud800" + NOTE)
    with pytest.raises(EvidenceError, match="half a surrogate pair"):
        sign_note("\ud800\n", ALICE)


@pytest.mark.parametrize("char", ["\u2028", "\x85", "\x7f", "\ufeff", " ", "é"])
def test_only_a_newline_ends_a_line(char):
    text = f"a{char}b\n"
    assert Note.from_text(sign_note(text, ALICE)).text == text


class OddSigner:
    """A signer of somebody's own, as for a KMS, with a name and a signature to choose."""

    key_id = b"1234"

    def __init__(self, name, signature=b"signature"):
        self.name = name
        self.signature = signature

    def sign(self, message):
        return self.signature


def test_a_signer_of_ones_own_signs_notes():
    assert Note.from_text(sign_note(TEXT, OddSigner("kms"))).signatures == (Signature("kms", b"1234", b"signature"),)


@pytest.mark.parametrize(
    ("text", "signers"),
    [
        ("no newline", [ALICE]),
        ("", [ALICE]),
        (TEXT, []),
        (NOTE, []),
        (NOTE[:-1], [ALICE]),
        (TEXT, [OddSigner("")]),
        (TEXT, [OddSigner("a b")]),
        (TEXT, [OddSigner("a\n\n— b")]),
        (TEXT, [OddSigner("kms", b"")]),
        (TEXT, [ALICE] * 17),
    ],
)
def test_nothing_is_signed_that_could_not_be_read_back(text, signers):
    with pytest.raises(EvidenceError):
        sign_note(text, *signers)


def test_a_text_that_ends_in_a_signature_line_cannot_pass_it_off_as_its_own():
    with pytest.raises(EvidenceError, match=UNREADABLE):
        sign_note(NOTE[:-1], BOB)


@pytest.mark.parametrize("line", ["x" * 80 + "y", "— bbbb " + "x" * 80 + "y"])
def test_an_error_quotes_no_more_than_eighty_characters_of_a_line(line):
    with pytest.raises(EvidenceError, match=r"^'[^y]{80}' is no"):
        Note.from_text(f"{NOTE}{line}\n")
