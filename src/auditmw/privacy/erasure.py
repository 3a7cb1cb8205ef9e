"""Erasure of a person: declared in the log, then carried out in every copy, and answered truthfully.

What was asked for is kept as a setting of the trail until it is done, so that a run which was killed, or which a hold
or a floor stood in the way of, is finished by the next one. Every step does no harm when it is done again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final
from uuid import uuid4

import msgspec

from auditmw.entry import to_datetime, to_rfc3339
from auditmw.log.declared import RESTRICTED
from auditmw.log.findings import runs, without
from auditmw.log.leaf import CLASSES, STORED_FIELDS, erase
from auditmw.privacy.control import ControlLog
from auditmw.privacy.holds import holds_of
from auditmw.privacy.journals import erase_set_aside, is_set_aside, wait_for_journals
from auditmw.privacy.person import Person, entries_of, is_known, require_one_tenant
from auditmw.privacy.receipt import Answer, Receipt
from auditmw.privacy.runs import declared, portions, total
from auditmw.privacy.standing import Standing
from auditmw.stores.filters import Condition
from auditmw.stores.privacy import UNSCRUBBED, DeclaredEntry, ErasedRow, KeptRow, PrivacyStore, alone

PREFIX: Final = "erasure/"
EXPORTS: Final = "export/"
_USER: Final = STORED_FIELDS.index("user_id")
_TENANT: Final = STORED_FIELDS.index("tenant")
_PAGE: Final = 2000
_MOST_PASSES: Final = 10


class Request(msgspec.Struct, kw_only=True):
    """What was asked for and is not done yet; the only place that names the person, and it goes in the end."""

    id: str
    person: Person
    requested_at_us: int
    searched: bool = False
    """Whether all that there was of the person then is gone or bears this id: what they do later is no part of it."""
    set_aside: int = 0
    users: list[tuple[str, str | None]] = []
    """Users, with their tenants, whose names go with a subject's entries, and so from what the rollups say."""


class Erasure:
    """Carries erasures out, one process at a time.

    `wait_seconds` is how long journals of running processes and readers of the database are waited for; `on_step` is
    told what is about to be done.
    """

    def __init__(
        self,
        log: ControlLog,
        store: PrivacyStore,
        *,
        wait_seconds: float = 30.0,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._log = log
        self._store = store
        self._wait_seconds = wait_seconds
        self._step = on_step

    def run(self, person: Person) -> Receipt:
        """Erase a person.

        Raises:
            ConfigurationError: the id occurs in several tenants.
            StoreUnavailable: another process erases or retains just now.
        """
        with alone(self._store):
            require_one_tenant(self._store, person)
            self._log.recover()
            request = self._request(person)
            if request is None:
                return self._receipt(Request(id="", person=person, requested_at_us=self._now_us()), "not_found", [], 0)
            return self._carry_out(request)

    def resume(self) -> list[Receipt]:
        """Go on with all that was begun, deferred or partly done; whoever holds the lock may call this."""
        self._scrub_rest()
        requests = self._store.settings(PREFIX).values()
        return [self._carry_out(msgspec.convert(data, Request)) for data in requests]

    def _request(self, person: Person) -> Request | None:
        """The request about this person, begun already or made now; None where nobody has heard of them."""
        for data in self._store.settings(PREFIX).values():
            request = msgspec.convert(data, Request)
            if request.person == person:
                request.searched = False
                return request
        known = is_known(self._store, person) or is_set_aside(self._log.journal_dir, person)
        if not known and not wait_for_journals(self._log.journal_dir, person, 0):
            return None
        return Request(id=uuid4().hex, person=person, requested_at_us=self._now_us())

    def _carry_out(self, request: Request) -> Receipt:
        self._step("request")
        self._save(request)
        kept = self._wait(request.person)
        before = self._declarations(request)
        answer: Answer = "erased"
        for _ in range(_MOST_PASSES):
            found = self._pass(request)
            if not found.erased:
                request.searched = not kept and not found.shared
                break
        else:
            kept.append("new entries came as fast as old ones went")
        self._step("set aside")
        request.set_aside += erase_set_aside(self._log.journal_dir, request.person, found.keeps)
        self._save(request)
        person = request.person
        for user_id, tenant in [*request.users, *([(person.user_id, person.tenant)] if person.user_id else [])]:
            self._step("rollups")
            self._log.forget_user(user_id, tenant)
        kept += found.reasons()
        if self._declarations(request) != before or self._store.settings(UNSCRUBBED):
            self._step("scrub")
            kept += self._scrub()
        if kept:
            answer = "deferred" if found.held else "partly"
        return self._finish(request, answer, kept, found.kept)

    def _wait(self, person: Person) -> list[str]:
        self._step("journals")
        remaining = wait_for_journals(self._log.journal_dir, person, self._wait_seconds)
        self._log.recover()
        return [f"the journals of {remaining} running processes still hold entries"] if remaining else []

    def _pass(self, request: Request) -> Standing:
        """Erase what may go now, and restrict what may not."""
        found = Standing.of(self._store, to_datetime(self._now_us()).date())
        for rows in self._entries(request):
            found.holds = holds_of(self._store)  # one may have come since
            self._note_users(request, rows)
            going, kept = found.sort(rows)
            found.shared |= any(row.restricted not in {None, request.id} for row in kept)
            unmarked = [row for row in kept if row.restricted is None]
            self._declare(request, [RESTRICTED], unmarked)
            self._restrict(unmarked, request.id)
            for classes, group in going.items():
                self._erase(request, classes, group)
            kept_at = {row.leaf_index for row in kept}
            self._restrict(
                [row for row in rows if row.restricted == request.id and row.leaf_index not in kept_at], None
            )
        return found

    def _note_users(self, request: Request, rows: list[KeptRow]) -> None:
        if request.person.user_id is not None:
            return
        users = {(row.values[_USER], row.values[_TENANT]) for row in rows if row.values[_USER] is not None}
        if new := users.difference(request.users):
            request.users += sorted(new, key=repr)
            self._save(request)

    def _entries(self, request: Request) -> Iterator[list[KeptRow]]:
        """The entries that the request is about, page by page: those that bear its id, and all others of the person.

        Those come first, as an entry that has lost its person is found by nothing else. What the log has said about
        the person meanwhile belongs to it whenever it goes on, as the request itself may have led to it.
        """
        first, size = 0, self._store.head()[1]
        while rows := self._store.rows([Condition("restricted", "=", request.id)], first, size, _PAGE):
            first = rows[-1].leaf_index + 1
            yield rows
        for rows in entries_of(self._store, request.person, made=not request.searched):
            yield [row for row in rows if row.restricted != request.id]

    def _restrict(self, rows: list[KeptRow], erasure: str | None) -> None:
        if rows:
            self._step("restrict")
            self._store.restrict(rows, erasure)

    def _erase(self, request: Request, classes: int, rows: list[KeptRow]) -> None:
        self._declare(request, [c.name for c in CLASSES if c.bit & classes], rows)
        self._step("erase")
        self._store.set_setting(UNSCRUBBED, True)
        self._store.erase([ErasedRow(row, *erase(row.values, row.salts, row.erased, classes)) for row in rows], classes)

    def _declare(self, request: Request, names: list[str], rows: list[KeptRow]) -> None:
        """Put on record what becomes of these entries, where that is not on record yet."""
        said = self._declarations(request)
        leaves = list(runs(row.leaf_index for row in rows))
        open_runs = {run for name in names for run in without(leaves, declared(said, name))}
        for some in portions(open_runs):
            self._step("declare")
            self._log.declare("erase", erasure=request.id, classes=names, leaves=[list(run) for run in some])

    def _finish(self, request: Request, answer: Answer, kept: list[str], restricted: int) -> Receipt:
        receipt = self._receipt(request, answer, kept, restricted)
        if not self._has_answered(request, answer):
            self._step("answer")
            self._log.declare(
                "erasure",
                erasure=request.id,
                answer=answer,
                entries=receipt.classes,
                kept=kept,
                restricted=restricted,
                set_aside=request.set_aside,
            )
        self._save(request)
        if answer == "erased":
            self._step("forget")
            self._store.set_setting(UNSCRUBBED, True)
            self._store.delete_setting(PREFIX + request.id)
            self._scrub_rest()
        return receipt

    def _has_answered(self, request: Request, answer: Answer) -> bool:
        """Whether the log says so, and of all that was declared: from then on `verify` holds the trail to it."""
        answers, said = self._said("erasure", request), self._declarations(request)
        if not answers or answers[-1].metadata.get("answer") != answer:
            return False
        return not said or said[-1].leaf_index < answers[-1].leaf_index

    def _scrub_rest(self) -> None:
        if self._store.settings(UNSCRUBBED):
            self._step("scrub rest")
            self._scrub()

    def _scrub(self) -> list[str]:
        problems = self._store.scrub(self._wait_seconds)
        if not problems:
            self._store.delete_setting(UNSCRUBBED)
        return problems

    def _save(self, request: Request) -> None:
        self._store.set_setting(PREFIX + request.id, msgspec.to_builtins(request))

    def _declarations(self, request: Request) -> list[DeclaredEntry]:
        return self._said("erase", request)

    def _said(self, action: str, request: Request) -> list[DeclaredEntry]:
        return [one for one in self._store.controls(action) if one.metadata.get("erasure") == request.id]

    def _receipt(self, request: Request, answer: Answer, kept: list[str], restricted: int) -> Receipt:
        said = self._declarations(request)
        counts = {c.name: total(declared(said, c.name)) for c in CLASSES}
        return Receipt(
            erasure=request.id,
            trail=self._store.head()[0],
            answer=answer,
            requested_at=to_rfc3339(request.requested_at_us),
            answered_at=to_rfc3339(self._now_us()),
            classes={name: count for name, count in counts.items() if count},
            declared_by=[one.leaf_index for one in said],
            set_aside=request.set_aside,
            kept=kept,
            restricted=restricted,
            left_behind=[*self._store.left_behind(), "journals on other hosts, until their processes have sent them"],
            exports=[_export(data) for data in self._store.settings(EXPORTS).values()],
        )

    def _now_us(self) -> int:
        return self._log.clock.now_us()


def _export(data: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in data.items())
