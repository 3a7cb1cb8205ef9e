"""What a trail writes under, and what is on record when that changes."""

import pytest

from auditmw import AuditTrail
from auditmw.errors import ConfigurationError, StoreUnavailable
from auditmw.middleware import CostCalculator, Hasher, Timer, Writer
from auditmw.privacy.policy import Policy, read_policy
from auditmw.stores.postgres import PostgresStore
from auditmw.stores.sqlite import SqliteStore


@pytest.fixture
def use(trail):
    def use(**options):
        with AuditTrail(trail.url, **options) as audit:
            with audit.call(action="ask", user_id="alice", metadata={"team": "x"}):
                pass
            audit.sync.flush()
        return [entry.metadata for entry in trail.controls("change")]

    return use


def test_a_policy_that_an_application_names_is_kept_in_the_trail_and_on_record(trail, use, privacy):
    (change,) = use(policy="standard")
    standard = read_policy("standard")
    assert change == {"what": "policy", "before": None, "after": standard.digest, "policy": "standard@1"}
    assert privacy.settings("policy") == {"policy": standard.to_data()}
    assert use(policy="standard") == [change]


def test_only_allowed_metadata_is_stored_and_the_next_process_obeys_too(trail, use):
    use(policy="hipaa")
    use()
    assert [entry.metadata for entry in trail.entries()] == [None, None]


def test_a_trail_does_not_start_under_a_policy_that_lacks_what_must_be_stated(trail):
    audit = AuditTrail(trail.url, policy="gdpr")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="the policy gdpr needs"), audit.call(action="ask"):
            raise AssertionError
    audit.close()
    assert trail.entries() == []


def test_a_changed_pipeline_and_changed_prices_and_rules_are_on_record(use):
    assert use() == []
    assert use() == []
    (change,) = use(prices={"anthropic/own": {"input": "1", "output": "2"}})
    assert change["what"] == "prices"
    changes = use(pipeline=[Writer(), Hasher(), CostCalculator(), Timer()])
    assert {change["what"] for change in changes[1:]} == {"pipeline", "prices", "sanitizer"}
    assert all(change["before"] != change["after"] for change in changes)


def test_a_writer_that_may_not_change_settings_says_so_and_puts_no_change_on_record(trail, use, monkeypatch, capsys):
    async def refuse(_store, _name, _value):
        raise StoreUnavailable("permission denied")

    for kind in (SqliteStore, PostgresStore):
        monkeypatch.setattr(kind, "set_setting", refuse)
    assert use(policy="standard") == []
    assert len(trail.entries()) == 1
    assert capsys.readouterr().err.count("setting_not_kept") == 2  # the policy, and what is in force


def test_an_entry_gets_the_purpose_and_the_legal_basis_of_the_policy_unless_it_has_its_own(trail):
    policy = Policy("own", purpose="support", legal_basis="contract")
    with AuditTrail(trail.url, policy=policy) as audit:
        for more in ({}, {"purpose": "research", "legal_basis": "consent"}):
            with audit.call(action="ask", user_id="alice", **more):
                pass
    assert [(entry.purpose, entry.legal_basis) for entry in trail.entries()] == [
        ("support", "contract"),
        ("research", "consent"),
    ]
