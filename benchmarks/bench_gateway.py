"""What the gateway adds to the first byte of a stream and to its whole, beside asking the provider itself.

    python benchmarks/bench_gateway.py [--requests 400] [--concurrency 1] [--kilobytes 4]

The provider is the stand-in, in a process of its own as each gateway is. In turn, in one run: the provider asked
directly, through the proxy alone, through the gateway without and with the sanitizer. Milliseconds; the last column is
what is added to the median of the first byte.
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from statistics import median, quantiles

import httpx2
import saved

SENTENCE = "The quick brown fox jumps over the lazy dog and writes to nobody about it. "


def serve(kind: str, descriptor: int, upstream: str, database: str) -> None:
    """The child processes."""
    from auditmw import AuditTrail
    from auditmw.gateway import gateway
    from auditmw.gateway.proxy import Proxy
    from auditmw.middleware import CostCalculator, Hasher, Timer, Writer

    if kind == "provider":
        from auditmw.testing import Answer, StandInProvider

        with StandInProvider(answer=Answer(SENTENCE * 20), record=False) as provider:
            sys.stdout.write(f"{provider.url}\n")
            sys.stdout.flush()
            sys.stdin.read()
        return
    import uvicorn

    pipelines = {"gateway": [Writer(), Hasher(), CostCalculator(), Timer()], "sanitizing": None}
    app = Proxy(upstream) if kind == "proxy" else gateway(upstream, AuditTrail(database, pipeline=pipelines[kind]))
    config = uvicorn.Config(app, log_level="error", proxy_headers=False, date_header=False, server_header=False)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


@contextmanager
def child(*arguments: str, descriptors=()):
    command = [sys.executable, __file__, "--serve", *arguments]
    process = subprocess.Popen(
        command, pass_fds=descriptors, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    )
    try:
        yield process
        process.stdin.close()
        process.terminate()
        process.wait(30)
    finally:
        process.kill()


@contextmanager
def listening(kind: str, upstream: str, directory: str):
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        listener.set_inheritable(True)
        database = f"sqlite:///{directory}/{kind}.db"
        with child(kind, str(listener.fileno()), upstream, database, descriptors=[listener.fileno()]):
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"


async def ask(client: httpx2.AsyncClient, url: str, body: dict) -> tuple[float, float]:
    started = time.perf_counter()
    async with client.stream("POST", f"{url}/v1/messages", json=body, headers={"x-api-key": "k"}) as response:
        chunks = response.aiter_raw()
        await anext(chunks)
        first = time.perf_counter() - started
        async for _ in chunks:
            pass
    assert response.status_code == 200
    return first * 1000, (time.perf_counter() - started) * 1000


async def measure(urls: dict[str, str], requests: int, concurrency: int, body: dict) -> dict[str, list]:
    """The ways in turn, so that what the machine does besides disturbs all alike."""
    measured = {name: [] for name in urls}
    async with httpx2.AsyncClient(timeout=60, limits=httpx2.Limits(max_connections=None)) as client:
        for url in urls.values():
            await asyncio.gather(*(ask(client, url, body) for _ in range(max(20, concurrency))))
        for _ in range(requests // concurrency):
            for name, url in urls.items():
                measured[name] += await asyncio.gather(*(ask(client, url, body) for _ in range(concurrency)))
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--kilobytes", type=int, default=4)
    saved.add_option(parser)
    options = parser.parse_args()
    text = SENTENCE * max(1, options.kilobytes * 1024 // len(SENTENCE))
    messages = [{"role": "user", "content": text}]
    body = {"model": "claude-sonnet-5-5", "max_tokens": 4000, "stream": True, "messages": messages}
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        provider = stack.enter_context(child("provider", "0", "", ""))
        urls = {"direct": provider.stdout.readline().strip()}
        for kind in ("proxy", "gateway", "sanitizing"):
            urls[kind] = stack.enter_context(listening(kind, urls["direct"], directory))
        measured = asyncio.run(measure(urls, options.requests, options.concurrency, body))
    print(f"{'':12}{'first byte':>12}{'p99':>8}{'whole':>8}{'p99':>8}{'added':>8}")
    direct = median(first for first, _ in measured["direct"])
    figures = {}
    for name, times in measured.items():
        firsts, wholes = zip(*times, strict=True)
        columns = (median(firsts), quantiles(firsts, n=100)[98], median(wholes), quantiles(wholes, n=100)[98])
        print(f"{name:12}{columns[0]:12.2f}" + "".join(f"{c:8.2f}" for c in (*columns[1:], columns[0] - direct)))
        figures[name] = dict(zip(("first_ms", "first_p99_ms", "whole_ms", "whole_p99_ms"), columns, strict=True))
    saved.save(options, figures)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
    else:
        main()
