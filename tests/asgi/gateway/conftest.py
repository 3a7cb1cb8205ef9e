"""A gateway in a real server, before the stand-in provider."""

from contextlib import contextmanager

import pytest

from auditmw.gateway import gateway


@pytest.fixture
def trail(sanitizing_trail):
    """A gateway has the whole pipeline."""
    return sanitizing_trail


@pytest.fixture
def through(running, trail, provider):
    """The URL of a gateway to the stand-in."""

    @contextmanager
    def open_gateway(upstream=None, **options):
        app = gateway(upstream or provider.url, trail, **options)

        async def with_trail_left_open(scope, receive, send):
            await (app._app if scope["type"] == "lifespan" else app)(scope, receive, send)

        with running(with_trail_left_open, http="h11") as url:  # it takes methods in whatever spelling
            yield url

    return open_gateway


@pytest.fixture
def url(through):
    with through() as url:
        yield url
