"""One contender in one process: makes calls through the real SDK on a transport that answers at once, and measures.

    python overhead_run.py CONTENDER create|short|stream|concurrent|streams|large CALLS

But for `large`, bare calls and the contender's are made in turn in one process, for two processes of one program differ
by a tenth on a shared machine. Prints one line of JSON:

- for `create`, `short` and `stream`: `bare` and `added`, microseconds of processor time of the calling thread, `ratio`,
  and `wall`, microseconds added on the clock, medians over pairs of blocks; `process`, the same ratio with what other
  threads took until the contender was closed;
- for `concurrent` (create) and `streams`, 100 callers of a provider that takes 100 to 400 ms: what is added to the
  percentiles of the time that a call takes beyond that (`p50`, `p99`) and of the event loop's lag (`lag_p99`), in
  milliseconds, and those of the bare calls;
- for `large` (1 MB of prompt, 1 MB of answer) how long the loop was blocked at most in a call, in milliseconds.
"""

import asyncio
import gc
import importlib
import json
import random
import statistics
import sys
import tempfile
import time
from contextlib import nullcontext
from contextvars import ContextVar

import anthropic
import httpx2

TEXT = "The audit trail answers who asked what, and when. " * 40
USAGE = {"input_tokens": 700, "output_tokens": 200, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
MESSAGE = {
    "id": "msg_01",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5-5",
    "content": [{"type": "text", "text": TEXT[:1200]}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": USAGE,
}
BODY = json.dumps(MESSAGE).encode()
REQUEST = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 1000,
    "system": TEXT[:600],
    "messages": [{"role": "user", "content": TEXT[:1000]}, {"role": "assistant", "content": TEXT[:200]}] * 1
    + [{"role": "user", "content": TEXT[:400]}],
}
SHORT = {**REQUEST, "messages": [{"role": "user", "content": TEXT[:200]}]}
del SHORT["system"]
MEGABYTE = TEXT * (2**20 // len(TEXT))
LARGE = {**REQUEST, "messages": [{"role": "user", "content": MEGABYTE}]}
LARGE_BODY = json.dumps({**MESSAGE, "content": [{"type": "text", "text": MEGABYTE}]}).encode()
DELTAS = 200
BLOCKS = 60
PARTS = 4
DELAY = ContextVar("delay", default=0.0)
RANDOM = random.Random(1)


def events():
    start = {**MESSAGE, "content": [], "stop_reason": None, "usage": {**USAGE, "output_tokens": 1}}
    yield {"type": "message_start", "message": start}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    for _ in range(DELTAS):
        yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a few words "}}
    yield {"type": "content_block_stop", "index": 0}
    yield {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": USAGE}
    yield {"type": "message_stop"}


CHUNKS = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events()]


class Stream(httpx2.AsyncByteStream):
    async def __aiter__(self):
        for chunk in CHUNKS:
            yield chunk


class Provider:
    """Answers at once, or after the task's `DELAY`."""

    def __init__(self):
        self.count = 0

    async def __call__(self, request):
        self.count += 1
        if delay := DELAY.get():
            await asyncio.sleep(delay)
        headers = {"request-id": f"req_{self.count}", "content-type": "application/json"}
        if b'"stream":true' in request.content:
            return httpx2.Response(200, headers={**headers, "content-type": "text/event-stream"}, stream=Stream())
        if large := len(request.content) > 2**19:
            await asyncio.sleep(0.001)  # so that the loop is free between request and answer, as with a network
        return httpx2.Response(200, headers=headers, content=LARGE_BODY if large else BODY)


async def create(client):
    await client.messages.create(**REQUEST)


async def short(client):
    await client.messages.create(**SHORT)


async def stream(client):
    async with client.messages.stream(**REQUEST) as events_:
        async for _ in events_:
            pass


class Contender:
    """A client whose calls are recorded while it is entered: who patches the SDK itself does so only then."""

    def __init__(self, client, end, on=None, off=None):
        self.client, self.end, self.on, self.off = client, end, on, off

    def __enter__(self):
        if self.on is not None:
            self.on()
        return self.client

    def __exit__(self, *error):
        if self.off is not None:
            self.off()


async def in_turn(bare, contender, mode, calls):
    """Blocks of calls of both, each after a few that are not counted."""
    call = {"create": create, "short": short, "stream": stream}[mode]
    size = max(1, calls // BLOCKS)
    warm = max(1, size // 5)
    seconds, walls = {False: [], True: []}, {False: [], True: []}
    for clients in (nullcontext(bare), contender):
        with clients as client:
            for _ in range(max(5, calls // 20)):
                await call(client)
    thread, process = time.thread_time(), time.process_time()
    for block in range(2 * BLOCKS):
        recorded = block % 2 == 1
        with contender if recorded else nullcontext(bare) as client:
            for _ in range(warm):
                await call(client)
            started, clock = time.thread_time(), time.perf_counter()
            for _ in range(size):
                await call(client)
            seconds[recorded].append((time.thread_time() - started) / size)
            walls[recorded].append((time.perf_counter() - clock) / size)
    own = time.thread_time() - thread
    contender.end()
    elsewhere = (time.process_time() - process - own) / (BLOCKS * (size + warm))
    pairs = list(zip(seconds[False], seconds[True], strict=True))
    without = statistics.median(seconds[False])
    added = statistics.median(after - before for before, after in pairs)
    return {
        "bare": without * 1e6,
        "added": added * 1e6,
        "wall": statistics.median(after - before for before, after in zip(*walls.values(), strict=True)) * 1e6,
        "ratio": statistics.median(after / before for before, after in pairs),
        "process": (without + added + elsewhere) / without,
    }


async def concurrent(bare, contender, mode, calls):
    """What 100 callers at once wait beyond the provider's delay, and how late the loop is, in parts of both in turn."""
    call = {"concurrent": create, "streams": stream}[mode]
    waits, lags = {False: [], True: []}, {False: [], True: []}
    for part in range(-2, 2 * PARTS):
        recorded = part % 2 == 1
        gc.collect()  # else a full collection, due by what all parts left, halts for 0.1 s the one it falls into
        with contender if recorded else nullcontext(bare) as client:
            waited, late = await at_once(client, call, calls // PARTS)
        if part >= 0:  # the first of each starts what has to be started
            waits[recorded] += waited
            lags[recorded] += late
    contender.end()
    figures = {
        "p50": (waits, 50),
        "p99": (waits, 99),
        "lag_p99": (lags, 99),
    }
    result = {}
    for name, (times, percent) in figures.items():
        without, with_it = (statistics.quantiles(times[side], n=100)[percent - 1] * 1000 for side in (False, True))
        result |= {f"bare_{name}": without, name: with_it - without}
    return result


async def at_once(client, call, calls):
    """Seconds that each of so many calls took beyond its delay, and that each sleep of 2 ms of the loop was late."""
    waited, late = [], []
    done = asyncio.Event()

    async def caller():
        await asyncio.sleep(RANDOM.uniform(0, 0.1))  # else all of them call in the same moment
        for _ in range(calls // 100):
            delay = RANDOM.uniform(0.1, 0.4)
            DELAY.set(delay)
            started = time.perf_counter()
            await call(client)
            waited.append(time.perf_counter() - started - delay)

    async def watch():
        while not done.is_set():
            started = time.perf_counter()
            await asyncio.sleep(0.002)
            late.append(time.perf_counter() - started - 0.002)

    watcher = asyncio.create_task(watch())
    await asyncio.gather(*(caller() for _ in range(100)))
    done.set()
    await watcher
    return waited, late


async def blocked(client, calls):
    """The longest time in a call during which the loop ran nothing else; the median of all calls."""
    longest, gap = [], 0.0
    ended = False

    async def watch():
        nonlocal gap
        last = time.perf_counter()
        while not ended:
            await asyncio.sleep(0)
            now = time.perf_counter()
            gap, last = max(gap, now - last), now

    watcher = asyncio.create_task(watch())
    for _ in range(calls):
        gap = 0.0
        await client.messages.create(**LARGE)
        await asyncio.sleep(0)
        longest.append(gap * 1000)
    ended = True
    await watcher
    return {"blocked": statistics.median(longest)}


def main():
    name, mode, calls = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with tempfile.TemporaryDirectory() as folder:
        contender = Contender(*importlib.import_module(f"contenders.{name}").set_up(sdk(), folder))
        if mode == "large":
            with contender as client:
                result = asyncio.run(blocked(client, calls))
            contender.end()
        elif mode in {"concurrent", "streams"}:
            result = asyncio.run(concurrent(sdk(), contender, mode, calls))
        else:
            result = asyncio.run(in_turn(sdk(), contender, mode, calls))
    print(json.dumps(result))


def sdk():
    """A client on a provider of its own."""
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(Provider()))
    return anthropic.AsyncAnthropic(api_key="test", max_retries=0, http_client=http).with_options(open_telemetry=False)


if __name__ == "__main__":
    main()
