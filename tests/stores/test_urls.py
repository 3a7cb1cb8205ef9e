"""Which URL means which store."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from auditmw.errors import ConfigurationError, MissingExtra
from auditmw.stores import STORES, path_of, store_for


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///audit.db", "audit.db"),
        ("sqlite:////var/audit.db", "/var/audit.db"),
        ("jsonl:///a/b", "a/b"),
        ("sqlite:///a b%20?c.db", "a b%20?c.db"),
    ],
)
def test_three_slashes_begin_a_relative_path_and_four_an_absolute_one(url, path):
    assert path_of(url) == path


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://host/db", "use sqlite:///audit.db, postgresql://"),
        ("audit.db", "is no store"),
        ("", "is no store"),
        (None, "use sqlite:///audit.db"),
        (Path("audit.db"), "is named by a URL"),
        ("sqlite://audit.db", "use sqlite:///relative or sqlite:////absolute"),
        ("sqlite:///", "names no path"),
        ("sqlite:////", "names no path"),
        ("sqlite:///:memory:", "use memory://"),
        ("jsonl://dir", "names no path"),
        ("memory://x", "takes nothing more"),
    ],
)
def test_a_url_that_means_nothing_is_one_clear_error(url, message):
    with pytest.raises(ConfigurationError, match=message):
        store_for(url)


def test_a_password_never_reaches_the_error():
    with pytest.raises(ConfigurationError) as refused:
        store_for("mysql://user:secret@host/db")
    assert "secret" not in str(refused.value)


def test_every_scheme_opens_a_store_of_its_own_module():
    for scheme, (module, name) in STORES.items():
        url = {"memory": "memory://", "postgresql": "postgresql://h/d", "postgres": "postgres://h/d"}.get(scheme)
        store = store_for(url or f"{scheme}:///x")
        assert (type(store).__module__, type(store).__name__) == (f"auditmw.stores.{module}", name)


def test_a_missing_driver_is_named_with_its_extra(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("auditmw.stores.postgres")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(MissingExtra, match=r"pip install 'auditmw\[postgres\]'"):
        store_for("postgresql://host/db")
