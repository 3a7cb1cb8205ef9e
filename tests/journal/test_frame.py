from zlib import crc32

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from auditmw.journal.frame import FRAME_BYTES, INTENT, SEALED, Damage, Record, decode, encode, scan, seed_of

WRITER, OTHER = b"w" * 16, b"o" * 16
SEED = seed_of(WRITER)

records = st.builds(
    Record,
    st.sampled_from([INTENT, SEALED]),
    st.integers(0, 2**64 - 1),
    st.binary(min_size=16, max_size=16),
    st.binary(max_size=200),
)


def framed(record: Record, seed: int = SEED) -> bytes:
    return encode(seed, *astuple(record))


@given(records, st.binary(max_size=50), st.binary(max_size=50))
def test_a_record_is_read_back_wherever_it_lies(record, before, after):
    data = before + framed(record) + after
    assert decode(SEED, data, len(before)) == (record, len(before) + len(framed(record)))


@given(records)
def test_a_frame_is_35_bytes_longer_than_its_payload(record):
    assert len(framed(record)) == len(record.payload) + FRAME_BYTES == len(record.payload) + 35


@given(records, st.data())
def test_any_changed_byte_is_noticed(record, data):
    frame = bytearray(framed(record))
    frame[data.draw(st.integers(0, len(frame) - 1))] ^= data.draw(st.integers(1, 255))
    assert decode(SEED, bytes(frame), 0) is None


@given(records, st.data())
def test_a_part_of_a_record_is_no_record(record, data):
    frame = framed(record)
    assert decode(SEED, frame[: data.draw(st.integers(0, len(frame) - 1))], 0) is None


@given(records)
def test_a_record_of_another_writer_is_no_record(record):
    assert decode(SEED, framed(record, seed_of(OTHER)), 0) is None


@given(st.lists(st.one_of(records, st.binary(min_size=1, max_size=80))))
def test_a_scan_finds_every_record_and_accounts_for_every_byte(parts):
    data = b"".join(part if isinstance(part, bytes) else framed(part) for part in parts)
    items = list(scan(SEED, data))
    assert [item for item, _ in items if isinstance(item, Record)] == [
        part for part in parts if isinstance(part, Record)
    ]
    offset = 0
    for item, end in items:
        assert end - offset == (item.length if isinstance(item, Damage) else len(framed(item)))
        assert not isinstance(item, Damage) or item.offset == offset
        offset = end
    assert offset == len(data)


def test_a_frame_in_the_payload_of_a_torn_record_is_not_salvaged_unless_its_author_knew_the_writer():
    forged = Record(SEALED, 7, b"r" * 16, framed(Record(SEALED, 8, b"x" * 16, b"forged"), seed_of(OTHER)))
    torn = framed(forged)[:-1]
    assert [item for item, _ in scan(SEED, torn)] == [Damage(0, len(torn), crc32(torn))]


def test_a_stretch_of_zeros_holds_no_record():
    assert [item.length for item, _ in scan(SEED, bytes(4096))] == [4096]
