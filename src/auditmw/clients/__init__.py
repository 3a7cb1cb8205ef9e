"""Where each SDK's calls are hooked, one SDK a file."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from auditmw.errors import ConfigurationError

HOOKS: Final = {"anthropic": "anthropic", "openai": "openai"}
"""The package of an SDK: the module here that hooks it."""


def hook_for(client: object) -> Any:
    """The module that hooks this client.

    Raises:
        ConfigurationError: it is no client of an SDK that auditmw knows.
    """
    packages = [base.__module__.partition(".")[0] for base in type(client).__mro__]
    module = next((HOOKS[package] for package in packages if package in HOOKS), None)
    hook = None if module is None else import_module(f"auditmw.clients.{module}")
    if hook is None or not hook.is_client(client):
        raise ConfigurationError(
            f"{client!r} is no client that auditmw knows: wrap an instance of {', '.join(sorted(HOOKS))}'s clients, "
            "or record calls with @trail.audited or trail.call()"
        )
    return hook
