"""Content under lock: what is kept, who can read it, and what happens when somebody moves or removes it."""

import os
from pathlib import Path

import msgspec
import pytest

from auditmw import AuditTrail
from auditmw.call import Call
from auditmw.errors import ConfigurationError, EvidenceError
from auditmw.privacy.erasure import Erasure
from auditmw.privacy.person import Person
from auditmw.privacy.vault import LocalKey, Vault, find_content_key, kept_by, read_content_key, rewrap
from auditmw.stores.columns import SealedContent
from auditmw.stores.privacy import KeptContent
from auditmw.testing import FakeClock

SECRET = "my number is 078-05-1120 and my pet is Rex"


@pytest.fixture
def key():
    return LocalKey(bytes(range(32)))


@pytest.fixture
def vault(key):
    return Vault(key)


@pytest.fixture
def record(trail, vault):
    """Records one call of each of these people, with content."""

    def record(*users, **options):
        with AuditTrail(trail.url, content=vault, **options) as audit:
            for user in users:
                with audit.call(action="ask", model="m", user_id=user, provider="anthropic") as call:
                    call.request = {"messages": [{"role": "user", "content": f"{SECRET} says {user}"}]}
                    call.response = {"content": [{"type": "text", "text": f"hello {user}"}]}
            return [entry.leaf_index for entry in audit.sync.query()] if audit.sync.flush() is None else []

    return record


def make_call(**fields):
    return Call(request_id="r1", timestamp_us=FakeClock().now_us(), **fields)


def test_a_prompt_and_its_answer_come_back_and_lie_nowhere_in_clear(trail, record, vault, privacy, tmp_path):
    (leaf,) = record("alice")
    content = privacy.content(leaf)
    (entry,) = trail.entries()
    opened = vault.open(content, entry.request_id)
    assert opened["request"]["messages"][0]["content"].endswith("says alice")
    assert opened["response"]["content"][0]["text"] == "hello alice"
    assert b"Rex" not in content.sealed
    for path in Path(tmp_path).rglob("*"):
        assert not path.is_file() or b"Rex" not in path.read_bytes()
    assert trail.verify().findings == []


def test_the_journal_holds_a_prompt_only_sealed(tmp_path, vault):
    trail = AuditTrail(f"sqlite:///{tmp_path}/a.db", content=vault, writer="external")
    with trail, trail.call(action="ask", user_id="alice") as call:
        call.request = {"messages": [SECRET]}
    journals = list((tmp_path / "a.db.auditmw").glob("*.journal"))
    assert journals
    assert all(b"Rex" not in path.read_bytes() for path in journals)


def test_a_ciphertext_in_another_row_does_not_open_and_is_tampering(trail, record, vault, privacy):
    first, second = record("alice", "alice")
    moved = privacy.content(first)
    names = [entry.request_id for entry in trail.entries()]
    with pytest.raises(EvidenceError, match="moved"):
        vault.open(moved, names[1])
    trail.change(f"UPDATE audit_content SET leaf_index = -1 WHERE leaf_index = {first}")
    trail.change(f"UPDATE audit_content SET leaf_index = {first} WHERE leaf_index = {second}")
    trail.change(f"UPDATE audit_content SET leaf_index = {second} WHERE leaf_index = -1")
    assert [(f.kind, f.first) for f in trail.verify().findings] == [("content", first), ("content", second)]


def test_content_that_is_gone_without_an_entry_that_says_so_is_tampering(trail, record):
    (leaf,) = record("alice")
    trail.change("DELETE FROM audit_content")
    (finding,) = trail.verify().findings
    assert (finding.kind, finding.first) == ("content", leaf)


def test_an_erasure_takes_content_and_the_key_it_was_under(trail, record, privacy, log, vault):
    alice, bob = record("alice", "bob")
    assert len(privacy.data_keys("", 9)) == 2
    assert Erasure(log, privacy).run(Person(user_id="alice")).classes["content"] == 1
    assert privacy.content(alice) is None
    assert [key_id for key_id, _, _ in privacy.data_keys("", 9)] == [privacy.content(bob).key_id]
    report = trail.verify()
    assert report.findings == []
    assert "content" in {erased.field_class for erased in report.complete.erased}


def test_one_key_serves_a_person_for_a_month(vault):
    def key_of(**fields):
        return vault._key_of(make_call(**fields))[0]

    assert key_of(user_id="alice") == key_of(user_id="alice")
    others = [{"user_id": "bob"}, {"user_id": "alice", "subject": "s"}, {"user_id": "alice", "tenant": "t"}]
    assert len({key_of(**fields) for fields in [{"user_id": "alice"}, *others]}) == 4


def test_an_erasure_takes_the_keys_of_every_process_that_met_the_person(trail, key, make_entry, log, privacy):
    vaults = [Vault(key) for _ in range(3)]  # each process has its own
    for number, vault in enumerate(vaults):
        for place, user in enumerate(["alice", "bob"]):
            call = make_call(user_id=user)
            content = vault.seal(call, {"request": SECRET})
            trail.append(f"w{number}{place}", [make_entry(number * 2 + place, user_id=user, content=content)])
    assert len(privacy.data_keys("", 9)) == 6
    bobs = {privacy.content(leaf).key_id for leaf in (1, 3, 5)}
    assert Erasure(log, privacy).run(Person(user_id="alice")).answer == "erased"
    assert {key_id for key_id, _, _ in privacy.data_keys("", 9)} == bobs
    assert [privacy.content(leaf) for leaf in (0, 2, 4)] == [None, None, None]


def test_a_key_stays_as_long_as_some_content_is_under_it(trail, vault, make_entry, privacy):
    calls = [vault.seal(make_call(user_id="alice"), {"request": SECRET}) for _ in range(3)]
    trail.append("w", [make_entry(n, content=content) for n, content in enumerate(calls)])
    assert privacy.delete_before(2, 10) == 2
    assert len(privacy.data_keys("", 9)) == 1
    assert privacy.content(1) is None
    assert privacy.delete_before(3, 10) == 1
    assert privacy.data_keys("", 9) == []


def test_a_new_key_encryption_key_wraps_again_without_touching_content(trail, record, vault, key, privacy):
    (leaf,) = record("alice")
    before = privacy.content(leaf)
    new = LocalKey(os.urandom(32))
    assert rewrap(privacy, key, new) == 1
    assert rewrap(privacy, key, new) == 0
    after = privacy.content(leaf)
    assert (after.sealed, after.wrapped_by) == (before.sealed, new.id)
    (entry,) = trail.entries()
    assert vault.open(before, entry.request_id) == Vault(new).open(after, entry.request_id)
    with pytest.raises(EvidenceError, match="is under key"):
        vault.open(after, entry.request_id)
    with pytest.raises(EvidenceError, match="does not open"):
        Vault(new).open(before._replace(wrapped_by=new.id), entry.request_id)
    with pytest.raises(EvidenceError, match="gone"):
        vault.open(before._replace(wrapped=None), entry.request_id)


@pytest.mark.parametrize(("original", "kept"), [(False, "[SSN_1]"), (True, "078-05-1120")])
def test_sanitized_is_what_is_kept_unless_the_original_is_asked_for(key, original, kept):
    vault = Vault(key, original=original)
    call = make_call(user_id="alice", request={"messages": ["078-05-1120"]})
    half = vault.around(call)
    next(half)
    call.request = {"messages": ["[SSN_1]"]}
    next(half, None)
    content = msgspec.msgpack.decode(call.content, type=SealedContent)
    kept_content = KeptContent(0, content.key_id, content.sealed, content.wrapped_by, content.wrapped)
    opened = vault.open(kept_content, "r1")
    assert opened["request"] == {"messages": [kept]}


def test_a_policy_that_never_stores_content_refuses_a_trail_that_would(trail, vault):
    with (
        pytest.raises(ConfigurationError, match="never stores content"),
        AuditTrail(trail.url, content=vault, policy="hipaa"),
    ):
        pass


def test_the_policy_in_the_trail_counts_too(trail, vault):
    with AuditTrail(trail.url, policy="hipaa"):
        pass
    with pytest.raises(ConfigurationError, match="never stores content"), AuditTrail(trail.url, content=vault):
        pass


def test_content_needs_a_database_and_a_known_word():
    with pytest.raises(ConfigurationError, match="database only"):
        AuditTrail("memory://", content="encrypted")
    with pytest.raises(ConfigurationError, match="'none', 'encrypted'"):
        AuditTrail("memory://", content="plain")


def test_a_key_comes_from_the_environment_a_file_or_is_made_beside_the_trail(tmp_path):
    text = "ab" * 32
    path = tmp_path / "k"
    path.write_text(text)
    path.chmod(0o600)
    ids = {
        find_content_key(None, {"AUDITMW_CONTENT_KEY": text}).id,
        find_content_key(None, {"AUDITMW_CONTENT_KEY_FILE": str(path)}).id,
    }
    assert ids == {LocalKey(bytes.fromhex(text)).id}
    made = find_content_key(tmp_path / "home", {}, make=True)
    assert find_content_key(tmp_path / "home", {}).id == made.id
    assert (tmp_path / "home" / "content.key").stat().st_mode & 0o777 == 0o600


def test_what_is_no_key_is_refused(tmp_path):
    path = tmp_path / "k"
    with pytest.raises(ConfigurationError, match="needs a key"):
        find_content_key(None, {})
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_content_key(path)
    path.write_text("ab" * 32)
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_content_key(path)
    path.chmod(0o600)
    path.write_text("zz")
    with pytest.raises(ConfigurationError, match="hex digits"):
        read_content_key(path)
    path.write_text("ab")
    with pytest.raises(ConfigurationError, match="32 bytes"):
        read_content_key(path)


def test_the_vault_stands_just_inside_the_writer(vault):
    assert kept_by(vault, ["writer", "hasher"]) == ["writer", vault, "hasher"]
    assert kept_by(None, ["writer"]) == ["writer"]


def test_a_four_digit_prompt_cannot_be_found_by_trying_all(trail, vault, privacy, log):
    from hashlib import sha256

    with AuditTrail(trail.url, content=vault) as audit, audit.call(action="ask", user_id="alice") as call:
        call.request = {"messages": ["4711"]}
    assert Erasure(log, privacy).run(Person(user_id="alice")).answer == "erased"
    remains = [row.salts for row in privacy.rows([], 0, 99, 99)]
    guesses = {sha256(f"{n:04}".encode()).digest() for n in range(10_000)}
    assert not any(salts[at : at + 32] in guesses for salts in remains for at in range(0, len(salts), 32))
