"""The key of the digests: where it comes from, how it is kept, and what it makes."""

from __future__ import annotations

import hashlib
import hmac
import stat
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from auditmw.errors import ConfigurationError
from auditmw.keys import HashKey, find_key, make_key, read_key

SECRET = bytes(range(32))


@given(st.binary(max_size=300))
def test_a_digest_is_hmac_sha_256(data):
    assert HashKey(SECRET).digest_bytes(data) == hmac.digest(SECRET, data, "sha256")


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.booleans() | st.integers(0, 9)))
def test_a_digest_of_a_value_is_over_its_canonical_json(value):
    made = HashKey(SECRET).digest(value)
    safe = {key.replace("\x00", "\ufffd"): inner for key, inner in value.items()}
    assert made == hmac.digest(SECRET, rfc8785.dumps(safe), "sha256").hex()


def test_the_fingerprint_tells_two_keys_apart_and_nothing_of_either():
    first, second = HashKey(SECRET), HashKey(bytes(32))
    assert first.id != second.id
    assert SECRET.hex() not in first.id
    assert hashlib.sha256(SECRET).hexdigest()[:16] != first.id


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_another_length_is_refused_and_how_to_make_one_is_told(size):
    with pytest.raises(ConfigurationError, match="64 hex digits, for instance from `openssl rand -hex 32`"):
        HashKey(bytes(size))


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_key_is_looked_for_in_order(tmp_path):
    chosen = write(tmp_path / "chosen", "01" * 32)
    named = write(tmp_path / "named", "02" * 32)
    environment = {"AUDITMW_KEY": "03" * 32, "AUDITMW_KEY_FILE": str(named)}
    home = tmp_path / "home"
    made = make_key(home / "hash.key")
    expected = [HashKey(bytes([byte]) * 32).id for byte in (1, 3, 2)]
    found = [
        find_key(chosen, home, environment),
        find_key(None, home, environment),
        find_key(None, home, {"AUDITMW_KEY_FILE": str(named)}),
        find_key(None, home, {}),
    ]
    assert [key.id for key in found if key] == [*expected, made.id]


def test_without_a_place_for_a_key_there_is_none_and_it_is_said(capsys):
    assert find_key(None, None, {}) is None
    assert "auditmw.no_key" in capsys.readouterr().err


def test_a_key_is_made_for_its_owner_alone_with_a_word_of_what_it_means(tmp_path, capsys):
    path = tmp_path / "home" / "hash.key"
    key = find_key(None, path.parent, {})
    assert key is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key(path).id == key.id
    assert "Back it up apart from the database" in capsys.readouterr().err
    assert list(path.parent.iterdir()) == [path]


def test_a_key_that_another_process_made_first_is_used(tmp_path):
    path = tmp_path / "hash.key"
    first = make_key(path)
    assert make_key(path).id == first.id


def test_a_key_in_the_environment_that_is_none_is_named():
    with pytest.raises(ConfigurationError, match=r"AUDITMW_KEY holds no key: .*openssl rand -hex 32"):
        find_key(None, None, {"AUDITMW_KEY": "not hex"})
