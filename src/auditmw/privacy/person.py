"""Who a request is about: a user, a subject, in one tenant or in the only one where they occur."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from auditmw.errors import ConfigurationError
from auditmw.log.leaf import STORED_FIELDS
from auditmw.stores.filters import Condition
from auditmw.stores.privacy import KeptRow, PrivacyStore

_PLACE: Final = {name: STORED_FIELDS.index(name) for name in ("user_id", "subject", "tenant", "kind")}
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

    @property
    def name(self) -> str:
        """The id itself."""
        return self.user_id or self.subject or ""

    def conditions(self) -> list[Condition]:
        """What holds for the entries that this person made, or that are about this subject."""
        return [Condition(name, "=", value) for name, value in self._asdict().items() if value is not None]

    def mentions(self) -> list[Condition]:
        """What holds for all that the log may say about this person, whoever did what it tells of (see `concerns`)."""
        return [Condition("kind", "=", "control"), Condition("subject", "=", self.name)]

    def concerns(self, *, user_id: str | None, subject: str | None, tenant: str | None, kind: str) -> bool:
        """Whether such an entry is of this person, or what the log says about them."""
        said = kind == "control"
        if self.tenant is not None and tenant != self.tenant and not (said and tenant is None):
            return False
        if self.user_id is not None and user_id == self.user_id:
            return True
        return subject == self.name and (said or self.user_id is None)


def entries_of(store: PrivacyStore, person: Person, *, made: bool = True) -> Iterator[list[KeptRow]]:
    """The entries of a person, page by page in leaf order, and then what the log says about them besides.

    Without those that they `made`, only the latter.
    """
    size = store.head()[1]
    for wanted in [person.conditions(), person.mentions()] if made else [person.mentions()]:
        first = 0
        while rows := store.rows(wanted, first, size, _PAGE):
            first = rows[-1].leaf_index + 1
            yield [row for row in rows if wanted != person.mentions() or _is_said(person, row)]


def is_known(store: PrivacyStore, person: Person) -> bool:
    """Whether anything is stored of a person."""
    return any(page for page in entries_of(store, person))


def _is_said(person: Person, row: KeptRow) -> bool:
    """Whether the entry is about the person and not theirs: those are found by their conditions."""
    fields = {name: row.values[place] for name, place in _PLACE.items()}
    theirs = all(fields[name] == value for name, value in person._asdict().items() if value is not None)
    return person.concerns(**fields) and not theirs


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
        tenants |= {row.values[_PLACE["tenant"]] for row in rows}
        if len(tenants - {None}) > 1:
            raise ConfigurationError("this id occurs in several tenants: say which one is meant with --tenant")
        first = rows[-1].leaf_index + 1
