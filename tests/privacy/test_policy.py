"""Policies: those that come along, one's own, and what they let be stored."""

import pytest

from auditmw.entry import AuditEntry
from auditmw.errors import ConfigurationError
from auditmw.privacy.policy import Bounds, Overlay, Policy, policy_of, read_policy

OWN = """
name = "eu-support"
base = "gdpr"
purpose = "customer support"
legal_basis = "contract"
metadata_keys = ["team"]

[classes]
core = { gone = "12 months" }
who = { gone = "6 months" }
digests = { gone = "6 months" }
error = { gone = "90 days" }

[[overlays]]
name = "ai_act"
classes = { core = { kept = "6 months" } }
"""


@pytest.fixture
def own(tmp_path):
    def own(text):
        path = tmp_path / "policy.toml"
        path.write_text(text)
        return path

    return own


def bounds(policy):
    return {
        name: (
            [str(rule.period) for rule in rules.floors],
            [str(rule.period) for rule in rules.ceilings],
        )
        for name, rules in policy.rules().items()
    }


def test_the_standard_policy_has_ceilings_and_no_floors():
    found = bounds(read_policy("standard"))
    assert all(floors == [] for floors, _ in found.values())
    assert {name: ceilings for name, (_, ceilings) in found.items()} == {
        "core": ["2 years"],
        "who": ["2 years"],
        "digests": ["1 year"],
        "content": ["90 days"],
        "error": ["1 year"],
        "metadata": ["90 days"],
    }


def test_hipaa_keeps_everything_for_six_years_and_never_stores_content():
    policy = read_policy("hipaa")
    found = bounds(policy)
    assert found.pop("content") == ([], [])
    assert set(map(str, found.values())) == {str((["6 years"], []))}
    assert policy.content == "refused"
    assert policy.metadata_keys == ()


def test_gdpr_alone_is_refused_and_says_what_must_be_stated():
    with pytest.raises(ConfigurationError) as refused:
        read_policy("gdpr")
    for needed in ("core", "who", "digests", "error", "purpose", "legal_basis", 'base = "gdpr"'):
        assert needed in str(refused.value)


@pytest.mark.parametrize(
    "line", ['purpose = "customer support"', 'legal_basis = "contract"', 'error = { gone = "90 days" }']
)
def test_gdpr_is_refused_where_one_of_them_is_missing(own, line):
    with pytest.raises(ConfigurationError, match="needs"):
        read_policy(own(OWN.replace(line, "")))


def test_an_own_policy_builds_on_one_that_comes_along_and_takes_overlays(own):
    policy = read_policy(own(OWN))
    found = bounds(policy)
    assert found["core"] == (["6 months"], ["1 year"])
    assert found["content"] == ([], ["30 days"])
    assert policy.title == "eu-support@1"


def test_an_overlay_that_contradicts_the_policy_is_refused_by_name(own):
    text = OWN.replace('kept = "6 months"', 'kept = "2 years"')
    with pytest.raises(
        ConfigurationError, match=r"ai_act: core kept at least 2 years.*eu-support: core gone by 1 year"
    ):
        read_policy(own(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "cannot be read"),
        ("version = 1", "is no policy"),
        ('name = "x"\nbase = "soc2"', "no base 'soc2'"),
        ('name = "x"\nclasses = { prompt = { gone = "1 year" } }', "no class 'prompt'"),
        ('name = "x"\nclasses = { core = { gone = "soon" } }', "no period"),
        ('name = "x"\nretention = "1 year"', "is no policy"),
        ('name = "x"\nbase = "hipaa"\ncontent = "allowed"', "never stores content"),
    ],
)
def test_what_is_no_policy_is_refused_and_says_why(own, text, message):
    with pytest.raises(ConfigurationError, match=message):
        read_policy(own(text))


def test_a_policy_that_is_nowhere_is_refused_with_the_names_that_there_are():
    with pytest.raises(ConfigurationError, match="standard, hipaa, gdpr"):
        read_policy("nowhere.toml")


def test_a_policy_survives_the_way_through_the_settings(own):
    policy = read_policy(own(OWN))
    assert policy_of({"policy": policy.to_data()}) == policy
    assert policy_of({}) is None


def test_a_changed_period_changes_the_digest():
    first = Policy("p", classes={"core": Bounds(gone="1 year")})
    second = Policy("p", classes={"core": Bounds(gone="2 years")}, overlays=(Overlay("o"),))
    assert first.digest != second.digest
    assert len(first.digest) == 64


def test_only_allowed_metadata_is_admitted_and_a_purpose_is_filled_in(own):
    policy = read_policy(own(OWN))
    entry = AuditEntry(request_id="r", timestamp_us=0, metadata={"team": "x", "note": "secret"}, legal_basis="consent")
    admitted = policy.admit(entry)
    assert (admitted.metadata, admitted.purpose, admitted.legal_basis) == ({"team": "x"}, "customer support", "consent")
    bare = read_policy("hipaa").admit(entry)
    assert bare.metadata is None
    control = AuditEntry(request_id="r", timestamp_us=0, kind="control", metadata={"count": 1})
    assert policy.admit(control) is control
    assert read_policy("standard").admit(entry) is entry


def test_a_ceiling_of_ones_own_leaves_the_floor_of_the_base(own):
    policy = read_policy(own('name = "clinic"\nbase = "hipaa"\n[classes.who]\ngone = "8 years"'))
    assert bounds(policy)["who"] == (["6 years"], ["8 years"])


def test_a_shorter_floor_than_the_laws_is_refused_and_a_longer_one_is_not(own):
    text = 'name = "clinic"\nbase = "hipaa"\n[classes.who]\nkept = "{} years"'
    with pytest.raises(ConfigurationError, match="hipaa keeps who for 6 years at least"):
        read_policy(own(text.format(5)))
    assert bounds(read_policy(own(text.format(7))))["who"] == (["7 years"], [])


def test_a_class_that_is_no_table_is_refused(own):
    with pytest.raises(ConfigurationError, match="is no policy"):
        read_policy(own('name = "clinic"\nbase = "hipaa"\n[classes]\nwho = "8 years"'))
