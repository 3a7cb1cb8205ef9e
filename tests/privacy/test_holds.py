"""Legal holds: what they cover, and what they beat."""

from datetime import timedelta

import pytest

from auditmw.entry import to_datetime
from auditmw.errors import ConfigurationError
from auditmw.privacy.holds import Hold, add_hold, count_held, first_held, holds_of, is_held, release_hold

T = 1_795_000_000_000_000


@pytest.fixture
def people(trail, make_entry):
    """Six entries a second apart, of two users, one of them about a third person."""
    users = ["alice", "bob", "alice", "bob", "alice", "bob"]
    trail.append(
        "w",
        [
            make_entry(
                n,
                user_id=user,
                timestamp_us=T + n * 1_000_000,
                tenant="acme" if n < 3 else "other",
                session_id=f"s{n // 2}",
                model="m1" if n == 5 else "m2",
                subject="carol" if n == 1 else None,
            )
            for n, user in enumerate(users)
        ],
    )


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        ({"user_id": "alice"}, [0, 2, 4]),
        ({"user_id": "carol"}, [1]),
        ({"tenant": "acme"}, [0, 1, 2]),
        ({"session_id": "s1"}, [2, 3]),
        ({"model": "m1"}, [5]),
        ({"since_us": T + 3_000_000}, [3, 4, 5]),
        ({"until_us": T + 1_000_000}, [0]),
        ({"user_id": "bob", "tenant": "other", "until_us": T + 5_000_000}, [3]),
        ({"user_id": "nobody"}, []),
    ],
)
def test_a_hold_covers_what_fits_all_of_its_scope(people, privacy, scope, covered):
    hold = Hold(id="h", reason="r", **scope)
    rows = privacy.rows([], 0, 100, 100)
    assert [row.leaf_index for row in rows if is_held([hold], row)] == covered
    assert count_held(privacy, hold) == len(covered)
    assert first_held(privacy, [hold], 0, 6) == (covered[0] if covered else 6)


def test_a_hold_is_in_force_until_it_is_released_and_both_are_on_record(trail, people, privacy, log):
    hold = add_hold(log, privacy, "claim 4711", user_id="alice", tenant="acme")
    assert holds_of(privacy) == [hold]
    (entry,) = trail.controls("hold")
    assert (entry.subject, entry.tenant) == ("alice", "acme")
    assert entry.metadata == {"hold": hold.id, "scoped_by": ["tenant", "user_id"]}
    assert release_hold(log, privacy, hold.id) == hold
    assert holds_of(privacy) == []
    assert trail.controls("hold_release")[0].metadata == {"hold": hold.id}


def test_holds_that_overlap_each_keep_what_they_cover(people, privacy, log):
    first = add_hold(log, privacy, "one", user_id="alice")
    add_hold(log, privacy, "two", session_id="s0")
    release_hold(log, privacy, first.id)
    assert [row.leaf_index for row in privacy.rows([], 0, 6, 9) if is_held(holds_of(privacy), row)] == [0, 1]


def test_a_hold_on_everything_or_on_nothing_is_refused(people, privacy, log):
    with pytest.raises(ConfigurationError, match="what is held"):
        add_hold(log, privacy, "all")
    noon = to_datetime(T)
    with pytest.raises(ConfigurationError, match="covers no time"):
        add_hold(log, privacy, "none", since=noon, until=noon - timedelta(hours=1))
    with pytest.raises(ConfigurationError, match="no hold h0"):
        release_hold(log, privacy, "h0")
