"""Who got a person's data: the provider, and the region where it was worked on, as far as the entry tells."""

from __future__ import annotations

import re
from typing import Final

from auditmw.entry import AuditEntry

_REGION_OF_HOST: Final = re.compile(
    r"""bedrock[a-z-]*\.(?P<aws>[a-z]{2}[a-z-]*-\d)\.amazonaws\.com
    | (?P<google>[a-z]+-[a-z]+\d+)-aiplatform\.googleapis\.com
    | (?P<azure>[a-z]+\d?)\.api\.cognitive\.microsoft\.com
    | (?P<openai>[a-z]{2})\.api\.openai\.com""",
    re.VERBOSE,
)
"""Where a cloud's region stands in the names of its hosts."""
_NOT_TOLD: Final = frozenset({"not_available"})


def recipient_of(entry: AuditEntry) -> str:
    """The provider with its region in parentheses, where one is known."""
    provider, region = entry.provider or "none named", region_of(entry)
    return provider if region is None else f"{provider} ({region})"


def region_of(entry: AuditEntry) -> str | None:
    """What the answer said of where it was made (Anthropic's `inference_geo`), else what the host's name says."""
    told = (entry.usage_raw or {}).get("inference_geo")
    if isinstance(told, str) and told not in _NOT_TOLD:
        return told
    found = _REGION_OF_HOST.fullmatch(entry.host or "")
    return None if found is None else found.group(found.lastgroup or 0)
