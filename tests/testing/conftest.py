from collections.abc import Iterator

import anthropic
import openai
import pytest

from auditmw.testing import StandInProvider


@pytest.fixture
def provider() -> Iterator[StandInProvider]:
    with StandInProvider() as running:
        yield running


@pytest.fixture
def claude(provider: StandInProvider) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="test", base_url=provider.url) as client:
        yield client


@pytest.fixture
async def async_claude(provider: StandInProvider):
    async with anthropic.AsyncAnthropic(api_key="test", base_url=provider.url) as client:
        yield client


@pytest.fixture
def gpt(provider: StandInProvider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="test", base_url=provider.openai_url) as client:
        yield client


@pytest.fixture
async def async_gpt(provider: StandInProvider):
    async with openai.AsyncOpenAI(api_key="test", base_url=provider.openai_url) as client:
        yield client
