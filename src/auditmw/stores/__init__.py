"""Where entries live and are queried, one store a file, and the one table that says which URL means which store."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from auditmw.errors import ConfigurationError, MissingExtra
from auditmw.stores.protocol import Store

STORES: Final[dict[str, tuple[str, str]]] = {
    "sqlite": ("sqlite", "SqliteStore"),
    "postgresql": ("postgres", "PostgresStore"),
    "postgres": ("postgres", "PostgresStore"),
    "jsonl": ("jsonl", "JsonlStore"),
    "memory": ("memory", "MemoryStore"),
}
"""URL scheme: module here, class with `from_url`."""

_EXAMPLES: Final = "sqlite:///audit.db, postgresql://host/database, jsonl:///directory or memory://"


def store_for(url: str) -> Store:
    """The store that a URL names, not opened yet.

    Raises:
        ConfigurationError: no store has this scheme, or the rest of the URL is not one of that store.
        MissingExtra: the driver of this store is not installed.
    """
    if not isinstance(url, str):
        raise ConfigurationError(f"a store is named by a URL, not by {url!r}: use {_EXAMPLES}")
    if not isinstance(url, str):
        raise ConfigurationError(f"a store is named by a URL, not by {url!r}: use {_EXAMPLES}")
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in STORES:
        raise ConfigurationError(f"{url.rpartition('@')[2]!r} is no store: use {_EXAMPLES}")
    store: Store = load(*STORES[scheme]).from_url(url)
    return store


def load(module: str, name: str) -> Any:
    """A class of a module here, whose driver is imported only now; raises MissingExtra where it is not installed."""
    try:
        return getattr(import_module(f"auditmw.stores.{module}"), name)
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or module, module.partition("_")[0]) from error


def path_of(url: str) -> str:
    """The path in a URL of a store on disk: three slashes and a relative path, or four for an absolute one.

    Raises:
        ConfigurationError: there is no path, or it begins behind two slashes.
    """
    scheme, _, rest = url.partition("://")
    path = rest.removeprefix("/")
    if path in {"", "/"} or path == rest:
        raise ConfigurationError(f"{url!r} names no path: use {scheme}:///relative or {scheme}:////absolute")
    return path
