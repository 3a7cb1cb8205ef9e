"""Response bodies that tell when they end, in all the ways: read, failed, closed early, dropped.

They pass every chunk on as it comes, on the task that reads, and keep the bytes: those are read once, at the end.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import Any

import httpx2

from auditmw.call import Call
from auditmw.endings import ReaderTask, status_of
from auditmw.entry import Status
from auditmw.recorder import Recorder


def _pass(call: Call, chunk: bytes, recorder: Recorder) -> bytes:
    if call.first_chunk_ns is None:
        call.first_chunk_ns = recorder.clock.monotonic_ns()
    passed: bytes = call.run.pass_on(chunk) if call.chunk_hooks else chunk
    return passed


def status_at_end(call: Call) -> Status:
    """How an answer ended that was read to its end: one with a reader tells by its content if it is whole."""
    return "success" if call.reader is None else "incomplete"


class AsyncRecordedBody(httpx2.AsyncByteStream):
    """The body of an async response, recorded while it passes."""

    def __init__(self, body: httpx2.AsyncByteStream, call: Call, recorder: Recorder) -> None:
        self._body = body
        self._call = call
        self._recorder = recorder
        self._chunks: list[bytes] = call.chunks
        self._iterator: AsyncIterator[bytes] | None = None
        self._reader: ReaderTask | None = None

    @property
    def elapsed(self) -> Any:
        """What httpx2 reads for `Response.elapsed`."""
        return getattr(self._body, "elapsed", None)

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._iterator = self._body.__aiter__()
        self._reader = ReaderTask()
        return self

    async def __anext__(self) -> bytes:
        assert self._iterator is not None  # noqa: S101  (the iterator protocol)
        try:
            chunk = await self._iterator.__anext__()
        except StopAsyncIteration:
            if self._call.chunk_hooks and (held := self._call.run.rest()):
                return bytes(held)
            await self._recorder.end_async(self._call, status_at_end(self._call))
            raise
        except BaseException as error:
            await self._recorder.end_async(self._call, status_of(error), error)
            raise
        self._chunks.append(chunk)
        if self._call.first_chunk_ns is None or self._call.chunk_hooks:
            return _pass(self._call, chunk, self._recorder)
        return chunk

    async def aclose(self) -> None:
        """End the attempt, if it has not ended, and close the body."""
        cancelled = (self._reader or ReaderTask()).is_being_cancelled()
        try:
            if isinstance(self._iterator, AsyncGenerator):
                await self._iterator.aclose()
            await self._body.aclose()
        finally:
            await self._recorder.end_async(self._call, "cancelled" if cancelled else "abandoned")

    def __del__(self) -> None:
        self._recorder.drop(self._call)


class RecordedBody(httpx2.SyncByteStream):
    """The body of a sync response, recorded while it passes."""

    def __init__(self, body: httpx2.SyncByteStream, call: Call, recorder: Recorder) -> None:
        self._body = body
        self._call = call
        self._recorder = recorder
        self._chunks: list[bytes] = call.chunks
        self._iterator: Iterator[bytes] | None = None
        self._reader: ReaderTask | None = None

    @property
    def elapsed(self) -> Any:
        """What httpx2 reads for `Response.elapsed`."""
        return getattr(self._body, "elapsed", None)

    def __iter__(self) -> Iterator[bytes]:
        self._iterator = self._body.__iter__()
        self._reader = ReaderTask()
        return self

    def __next__(self) -> bytes:
        assert self._iterator is not None  # noqa: S101  (the iterator protocol)
        try:
            chunk = next(self._iterator)
        except StopIteration:
            if self._call.chunk_hooks and (held := self._call.run.rest()):
                return bytes(held)
            self._recorder.end(self._call, status_at_end(self._call))
            raise
        except BaseException as error:
            self._recorder.end(self._call, status_of(error), error)
            raise
        self._chunks.append(chunk)
        if self._call.first_chunk_ns is None or self._call.chunk_hooks:
            return _pass(self._call, chunk, self._recorder)
        return chunk

    def close(self) -> None:
        """End the attempt, if it has not ended, and close the body."""
        cancelled = (self._reader or ReaderTask()).is_being_cancelled()
        try:
            if isinstance(self._iterator, Generator):
                self._iterator.close()
            self._body.close()
        finally:
            self._recorder.end(self._call, "cancelled" if cancelled else "abandoned")

    def __del__(self) -> None:
        self._recorder.drop(self._call)


def unpacked_async(response: httpx2.Response, call: Call) -> Any:
    """An async response's body as `on_chunk` functions can read it: without its content encoding, if any read it."""
    packed = _as_packed(response, call)
    return response.stream if packed is None else _AsyncUnpackedBody(packed)


def unpacked(response: httpx2.Response, call: Call) -> Any:
    """The same for a sync response."""
    packed = _as_packed(response, call)
    return response.stream if packed is None else _UnpackedBody(packed)


def _as_packed(response: httpx2.Response, call: Call) -> httpx2.Response | None:
    """A response with the packed body, for httpx2 to unpack; the caller's own says no more that it is packed."""
    if not call.chunk_hooks:
        return None
    response.headers.pop("content-length", None)
    encoding = response.headers.pop("content-encoding", None)
    if encoding is None or encoding == "identity":
        return None
    call.content_encoding = None
    return httpx2.Response(200, headers={"content-encoding": encoding}, stream=response.stream)


class _AsyncUnpackedBody(httpx2.AsyncByteStream):
    def __init__(self, packed: httpx2.Response) -> None:
        self._packed = packed

    @property
    def elapsed(self) -> Any:
        return getattr(self._packed.stream, "elapsed", None)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._packed.aiter_bytes()

    async def aclose(self) -> None:
        await self._packed.aclose()


class _UnpackedBody(httpx2.SyncByteStream):
    def __init__(self, packed: httpx2.Response) -> None:
        self._packed = packed

    @property
    def elapsed(self) -> Any:
        return getattr(self._packed.stream, "elapsed", None)

    def __iter__(self) -> Iterator[bytes]:
        return self._packed.iter_bytes()

    def close(self) -> None:
        self._packed.close()
