"""A limit on what is spent: by user, tenant or model, in a day or a month, across all processes of a trail."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from concurrent.futures import Future, wait
from decimal import Decimal
from typing import Final, Literal

import anyio

from auditmw.call import Call
from auditmw.diagnostics import report
from auditmw.entry import NANODOLLAR
from auditmw.errors import Blocked, ConfigurationError
from auditmw.futures import wait_for
from auditmw.spending import Owner, Period, Spending, Trail
from auditmw.text import money

_FIELDS: Final[dict[Owner, str]] = {"user": "user_id", "tenant": "tenant", "model": "model"}


class Budget:
    """Blocks calls of whoever has spent the hard limit, and tells `on_soft` once of who has spent the soft one.

    Put it before `CostCalculator()`, so that it sees what calls cost. Limits are dollars, in UTC days or months;
    `limits` are hard limits of single names, before `hard`. Calls that run already are not stopped: what they cost
    comes on top of the limit. Calls without a user (or tenant, or model) have no budget. Without the store, only what
    this process has spent is known, and calls wait for it two seconds a period, not each.

    Args:
        by: whose budget it is.
        period: what begins anew.
        soft: from which amount on `on_soft` is called, once a name and period, with the name and both amounts.
        hard: from which amount on calls are blocked.
        limits: hard limits by name.
        on_soft: takes the name, what was spent and the soft limit; the log says it in any case.
        refresh: seconds between two looks at what other processes have spent.

    Raises:
        ConfigurationError: no limit, one below 0, or a soft one above the hard one.
    """

    on_error: Literal["block", "continue"] = "continue"

    def __init__(
        self,
        by: Owner = "user",
        period: Period = "day",
        *,
        soft: Decimal | str | int | None = None,
        hard: Decimal | str | int | None = None,
        limits: Mapping[str, Decimal | str | int] | None = None,
        on_soft: Callable[[str, Decimal, Decimal], object] | None = None,
        refresh: float = 5.0,
    ) -> None:
        if by not in _FIELDS or period not in {"day", "month"}:
            raise ConfigurationError("a budget is by 'user', 'tenant' or 'model', for a 'day' or a 'month'")
        if soft is None and hard is None and not limits:
            raise ConfigurationError("a budget without a limit limits nothing: give soft=, hard= or limits=")
        self._by: Owner = by
        self._period: Period = period
        self._soft = None if soft is None else _nano(soft)
        self._hard = None if hard is None else _nano(hard)
        self._limits = {name: _nano(limit) for name, limit in (limits or {}).items()}
        if self._soft is not None and self._hard is not None and self._soft > self._hard:
            raise ConfigurationError(f"the soft limit {soft} lies above the hard one {hard}: exchange them")
        self._on_soft = on_soft
        self._refresh = refresh
        self._spending: Spending | None = None
        self._told: set[tuple[str, str]] = set()

    def bind(self, services: Trail) -> Budget:
        """A copy that asks this trail what was spent."""
        bound = copy.copy(self)
        bound._spending = Spending(services, self._by, self._period, self._refresh)  # noqa: SLF001  (its own class)
        bound._told = set()  # noqa: SLF001  (as above)
        return bound

    def around(self, call: Call) -> Generator[None, None, None]:
        """Block what is over the limit; count what it cost."""
        name = self._name(call)
        if (known := self._known(name)) is not None:
            answer, seconds = known
            wait([answer], seconds)
        self._admit(name)
        yield
        self._count(name, call)

    async def around_async(self, call: Call) -> AsyncGenerator[None, None]:
        """The same, without holding up a loop."""
        name = self._name(call)
        if (known := self._known(name)) is not None:
            answer, seconds = known
            with anyio.move_on_after(seconds):
                await wait_for(answer)
        self._admit(name)
        yield
        self._count(name, call)

    def _name(self, call: Call) -> str | None:
        return getattr(call, _FIELDS[self._by]) if call.kind == "llm" else None

    def _known(self, name: str | None) -> tuple[Future[None], float] | None:
        """What is to be waited for, and how many seconds at most."""
        if name is None or self._spending is None or (answer := self._spending.known()) is None:
            return None
        return answer, self._spending.patience()

    def _admit(self, name: str | None) -> None:
        if name is None or self._spending is None:
            return
        spent, hard = self._spending.nano(name), self._limits.get(name, self._hard)
        if hard is not None and spent >= hard:
            raise Blocked(
                f"the {self._by} {name} has spent {money(spent, 2)} of {money(hard, 2)} this {self._period}: wait for "
                "the next one, or raise the budget"
            )

    def _count(self, name: str | None, call: Call) -> None:
        if name is None or self._spending is None or call.cost is None or not call.cost.nano:
            return
        self._spending.add(name, call.cost.nano, call.request_id)
        spent = self._spending.nano(name)
        told = (name, self._spending.period_name)
        if self._soft is not None and spent >= self._soft and told not in self._told:
            self._told.add(told)
            report("auditmw.budget", "warning", by=self._by, name=name, spent=money(spent, 2), period=self._period)
            if self._on_soft is not None:
                self._on_soft(name, spent * NANODOLLAR, self._soft * NANODOLLAR)


def _nano(dollars: Decimal | str | int) -> int:
    amount = Decimal(dollars)
    if amount < 0:
        raise ConfigurationError(f"a budget of {dollars} dollars: give 0 or more")
    return int(amount / NANODOLLAR)
