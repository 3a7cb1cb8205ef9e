"""What a trail is asked: queries, reports, what was spent; and that somebody asked goes on record where it shall."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Any, Unpack

from auditmw.asking import ask, spent
from auditmw.clock import Clock
from auditmw.entry import AuditEntry, to_datetime
from auditmw.errors import ConfigurationError
from auditmw.following import follow
from auditmw.futures import wait_for
from auditmw.privacy.governance import Governance
from auditmw.privacy.reads import Reads
from auditmw.querying import Pages, Record, Wanted, about_query, checked_filter, opened
from auditmw.readers import Readers
from auditmw.reports import REPORTS, question_for
from auditmw.reports.columns import Answer
from auditmw.reports.report import Question, Report
from auditmw.spending import Owner, Spent
from auditmw.stores.protocol import Store
from auditmw.writer import Writer


class Answering:
    """The half of `auditmw.AuditTrail` that reads; it asks on the writer's loop, and waits for no writing."""

    clock: Clock
    _writer: Writer
    _store: Store
    _readers: Readers
    _governance: Governance

    def query(self, **wanted: Unpack[Wanted]) -> AsyncIterator[AuditEntry]:
        """Stream the stored entries that fit, in the order in which they were stored, without any default limit.

        Takes request_id, user_id, subject, model, status, session_id, tenant, action, call_id, parent_id, kind, since,
        until (both aware datetimes; `until` is exclusive), after, before (leaf indexes, both exclusive), limit,
        newest_first, and restricted: a purpose.
        Entries of `kind="control"` come only when asked for. So do those that an erasure wants gone while a floor or a
        hold keeps them: `restricted="complaint 4711"` gives them alone, and puts on record that it did, and what for.

        Raises:
            ConfigurationError: a naive datetime, a since after the until, an unknown kind or status, an empty purpose.
        """
        return self.read(**wanted).awaited()

    def read(self, **wanted: Unpack[Wanted]) -> Pages:
        """A query that was checked and not asked yet; takes and raises what `query` does."""
        return Pages(self._writer, self._store, checked_filter(**wanted), self._readers.of_query(wanted))

    def pages(self, **wanted: Unpack[Wanted]) -> Pages:
        """The same, for readers that put on record themselves what they read."""
        return Pages(self._writer, self._store, checked_filter(**wanted))

    def looked(self, what: str, **about: Any) -> Future[None]:
        """A future of having put on record, where the trail asks for that, that somebody looks (see `Readers.of`)."""
        record = self._readers.of(what, **about)

        async def tell() -> None:
            (await opened(self._writer, self._store, record))(None)

        return self._writer.submit(tell())

    def reads(self) -> Future[Reads]:
        """A future of which reads the trail puts on record."""

        async def find() -> Reads:
            await self._writer.open_for_reading()
            return await self._governance.reads_in(self._store)

        return self._writer.submit(find())

    def subscribe(self, *, every: float = 1.0, backlog: int = 0, **wanted: Any) -> AsyncIterator[AuditEntry]:
        """Stream entries as they are stored, of all processes: `async for entry in trail.subscribe(status="error"):`.

        Looks every so many seconds, begins with the last `backlog` entries that fit, and takes user_id, model, status,
        tenant, action, kind and the like, as `query` does. It ends when its consumer does.

        Raises:
            ConfigurationError: an unknown kind or status.
        """
        if "restricted" in wanted:
            raise ConfigurationError("restricted entries are not followed: ask for them with query()")
        self.pages(**wanted)  # so that mistakes show here

        async def begin() -> None:
            await wait_for(told := self.looked("subscribe", **about_query(wanted)))
            told.result()

        return follow(lambda **asked: self.pages(**asked).awaited(), every, backlog, wanted, begin)

    async def report(
        self,
        name: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        by: Sequence[str] | None = None,
        tenant: str | None = None,
    ) -> Answer:
        """The answer of a report (see `auditmw.reports`), from rollups where the store has them.

        What is not given is filled in as `auditmw report` does.

        Raises:
            ConfigurationError: there is no such report, or it cannot answer this.
        """
        future = self.reported(name, since=since, until=until, by=by, tenant=tenant)
        await wait_for(future)
        return future.result()

    def reported(self, name: str, *, tenant: str | None = None, **asked: Any) -> Future[Answer]:
        """A future of what `report` gives."""
        question = question_for(name, to_datetime(self.clock.now_us()), **asked)
        record = self._readers.of("report", report=name, tenant=tenant)
        return self._answered(REPORTS[name], question, tenant, record)

    def asked(self, report: Report, question: Question, *, tenant: str | None = None) -> Future[Answer]:
        """A future of the answer of a report of any making, for readers that put that on record themselves."""
        return self._answered(report, question, tenant, None)

    def _answered(
        self, report: Report, question: Question, tenant: str | None, record: Record | None
    ) -> Future[Answer]:
        async def answer() -> Answer:
            told = await opened(self._writer, self._store, record)
            answered = await ask(self._store, report, question, now_us=self.clock.now_us(), tenant=tenant)
            told(len(answered.rows))
            return answered

        return self._writer.submit(answer())

    def spent(self, by: Owner, since: datetime, own: Callable[[], Sequence[str]] = tuple) -> Future[Spent]:
        """A future of what is stored of the costs since then (for budgets); see `auditmw.asking.spent`."""

        async def answer() -> Spent:
            await self._writer.open_for_reading()
            return await spent(self._store, by, since, own, now_us=self.clock.now_us())

        return self._writer.submit(answer())
