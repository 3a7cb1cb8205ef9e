"""Who a request is about: a user, a subject, in one tenant or in the only one where they occur."""

from __future__ import annotations

from typing import Final, NamedTuple

from auditmw.entry import AuditEntry
from auditmw.errors import ConfigurationError
from auditmw.log.leaf import STORED_FIELDS
from auditmw.stores.filters import Condition
from auditmw.stores.privacy import PrivacyStore

_TENANT: Final = STORED_FIELDS.index("tenant")
_PAGE: Final = 1000


class Person(NamedTuple):
    """A user id or a subject, never both; `tenant` None means whatever tenant."""

    user_id: str | None = None
    subject: str | None = None
    tenant: str | None = None

    @classmethod
    def of(cls, user_id: str | None, subject: str | None, tenant: str | None) -> Person:
        """The person meant; raises ConfigurationError unless it is exactly one of user and subject."""
        if (user_id is None) == (subject is None) or not (user_id or subject):
            raise ConfigurationError("who is meant? Give --user or --subject, and only one of them")
        return cls(user_id, subject, tenant)

    def conditions(self) -> list[Condition]:
        """What holds for the entries of this person."""
        return [Condition(name, "=", value) for name, value in self._asdict().items() if value is not None]

    def made(self, entry: AuditEntry) -> bool:
        """Whether an entry is of this person."""
        return all(value is None or getattr(entry, name) == value for name, value in self._asdict().items())


def require_one_tenant(store: PrivacyStore, person: Person) -> None:
    """Refuse a person whose id occurs in several tenants: they may be different people.

    Raises:
        ConfigurationError: `--tenant` is needed.
    """
    if person.tenant is not None:
        return
    tenants: set[str | None] = set()
    first, size = 0, store.head()[1]
    while rows := store.rows(person.conditions(), first, size, _PAGE):
        tenants |= {row.values[_TENANT] for row in rows}
        if len(tenants - {None}) > 1:
            raise ConfigurationError("this id occurs in several tenants: say which one is meant with --tenant")
        first = rows[-1].leaf_index + 1
