"""Read by mypy, never run: a decorated function keeps its type, whatever its kind."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator
from typing import Any, assert_type

import auditmw
from auditmw import AuditTrail

trail = AuditTrail("memory://")


@trail.audited
def plain(number: int, *, flag: bool = False) -> str:
    return str(number) if flag else ""


@trail.audited(action="support.answer", user_id="alice")
async def coroutine(number: int) -> str:
    return str(number)


@auditmw.audited
def generator(number: int) -> Generator[int, str, bool]:
    sent = yield number
    return bool(sent)


@auditmw.audited(action="stream")
async def async_generator(number: int) -> AsyncGenerator[int, str]:
    yield number


@auditmw.audited()
async def async_iterator(number: int) -> AsyncIterator[int]:
    yield number


class Service:
    @trail.audited
    def method(self, number: int) -> str:
        return str(number)

    @staticmethod
    @trail.audited
    def static(number: int) -> str:
        return str(number)

    @classmethod
    @trail.audited
    async def class_method(cls, number: int) -> str:
        return str(number)


def takes_callback(function: Callable[[int], Awaitable[str]]) -> None: ...


async def use() -> None:
    assert_type(plain(1, flag=True), str)
    assert_type(await assert_type(coroutine(1), Coroutine[Any, Any, str]), str)
    assert_type(generator(1), Generator[int, str, bool])
    assert_type(async_generator(1), AsyncGenerator[int, str])
    assert_type(async_iterator(1), AsyncIterator[int])
    assert_type(Service().method(1), str)
    assert_type(Service.static(1), str)
    assert_type(await Service.class_method(1), str)
    takes_callback(coroutine)
    plain("text")  # type: ignore[arg-type]  # the parameters survive: this is refused
    plain(1, other=2)  # type: ignore[call-arg]  # as above
    await coroutine()  # type: ignore[call-arg]  # as above
    for item in generator(1):
        assert_type(item, int)
    iterator: Iterator[int] = generator(1)
    assert_type(iterator, Iterator[int])
