"""The settings of a middleware that a server makes from an import path, without arguments."""

from __future__ import annotations

from collections.abc import Mapping

from auditmw.asgi.actor import header, scope_user
from auditmw.asgi.types import Source
from auditmw.errors import ConfigurationError
from auditmw.trail import AuditTrail


def trail_from(environment: Mapping[str, str]) -> AuditTrail:
    """The trail that `AUDITMW_DB` names.

    Raises:
        ConfigurationError: it is not set.
    """
    url = environment.get("AUDITMW_DB")
    if not url:
        raise ConfigurationError("AuditMiddleware has no trail: give it trail=AuditTrail(url), or set AUDITMW_DB")
    return AuditTrail(url)


def user_from(environment: Mapping[str, str]) -> Source:
    """The header that `AUDITMW_USER_HEADER` names, of the proxies in `AUDITMW_TRUSTED_PROXIES`, else the scope's user.

    Raises:
        ConfigurationError: a header without proxies that may set it.
    """
    name = environment.get("AUDITMW_USER_HEADER")
    if not name:
        return scope_user
    proxies = [text.strip() for text in environment.get("AUDITMW_TRUSTED_PROXIES", "").split(",") if text.strip()]
    if not proxies:
        raise ConfigurationError(
            f"AUDITMW_USER_HEADER={name} believes nobody: set AUDITMW_TRUSTED_PROXIES to the addresses or networks, "
            "separated by commas, that may say who the user is"
        )
    return header(name, trusted_proxies=proxies)
