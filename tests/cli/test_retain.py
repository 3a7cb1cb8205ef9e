def test_a_sweep_under_a_policy_keeps_what_is_young(auditmw, db):
    result = auditmw("retain", "--policy", "standard", "--yes", db=db)
    assert result.code == 0
    assert "alice" in auditmw("query", db=db).out


def test_a_dry_run_changes_nothing(auditmw, db):
    before = auditmw("query", "--kind", "control", "--format", "json", db=db).out
    assert auditmw("retain", "--policy", "standard", "--dry-run", db=db).code == 0
    assert auditmw("query", "--kind", "control", "--format", "json", db=db).out == before


def test_without_any_policy_it_says_how_to_set_one(auditmw, db):
    result = auditmw("retain", db=db)
    assert result.code != 0
    assert "--policy" in result.err


def test_a_policy_that_is_none_is_refused(auditmw, db):
    assert auditmw("retain", "--policy", "nonsense", db=db).code == 3
