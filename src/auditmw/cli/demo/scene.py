"""A day at a small company: six people and their programs call models, and not everything goes well."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import anthropic
import anyio
import openai

from auditmw.context import Scope
from auditmw.errors import CallBlocked
from auditmw.testing import (
    Answer,
    Hang,
    MidStreamError,
    ReceivedRequest,
    SlowFirstToken,
    StandInProvider,
    Status,
    Truncate,
)
from auditmw.trail import AuditTrail

HAIKU: Final = "claude-haiku-4-5"
SONNET: Final = "claude-sonnet-4-6"
OPUS: Final = "claude-opus-4-7"
GPT: Final = "gpt-5-mini"
UNLISTED: Final = "claude-next-preview"
"""A model that no price list knows yet."""
BUDGETS: Final = {"dave": 120}
"""How many tokens a user may use."""

_SECONDS: Final = {HAIKU: 0.008, GPT: 0.015, SONNET: 0.02, OPUS: 0.035}
"""How long the stand-in thinks, so that latencies differ as those of the real models do."""
_QUESTIONS: Final = (
    "How do I reset my password?",
    "The invoice of October shows the wrong address. Can you correct it?",
    "Where do I see how much storage is left?",
    "My colleague left. How do I move her projects to me?",
    "The export stops at 99 percent and then nothing happens. What can I do?",
    "Can I pay by bank transfer instead of by card?",
    "I get no e-mails when somebody mentions me in a comment.",
    "Is there a dark mode for the mobile app? I could not find it.",
    "We need a second administrator. Who can appoint one?",
    "Please close my account and confirm what happens to the files.",
    "The calendar is off by one hour since Sunday.",
    "How many seats do we have, and how many of them are in use?",
)
_HANDBOOK: Final = "You help the research group. Cite the paragraph that you rely on. " * 90
_TOOL: Final = {
    "name": "find_order",
    "description": "Find an order by its number.",
    "input_schema": {"type": "object", "properties": {"number": {"type": "string"}}, "required": ["number"]},
}


def answers(request: ReceivedRequest) -> Answer:
    """What the stand-in says: longer answers to longer questions."""
    words = len(request.body) // 40
    return Answer("Here is what I found, in the order of what matters most to you.", deltas=min(4 + words // 6, 60))


def _asks_for(model: str) -> Callable[[ReceivedRequest], bool]:
    return lambda request: request.model == model


class Company:
    """Everybody who calls a model today, through one client that the trail has wrapped."""

    def __init__(self, trail: AuditTrail, provider: StandInProvider) -> None:
        self._trail = trail
        self._provider = provider
        self._client = trail.wrap(anthropic.AsyncAnthropic(api_key="none-needed", base_url=provider.url))
        for model, seconds in _SECONDS.items():
            provider.rule(_asks_for(model), SlowFirstToken(seconds))

    async def play(self, progress: Callable[[str], None]) -> None:
        """Let everybody work, one after the other."""
        async with self._client:
            for name, scene in (
                ("alice answers tickets in support, one of them far too long", self._support),
                ("bob summarizes papers in research, streamed and cached", self._research),
                ("carol checks orders in finance, with a tool", self._finance),
                ("frank translates with OpenAI's SDK", self._translation),
                ("dave runs out of budget", self._over_budget),
                ("erin pastes a key into a prompt", self._key_in_a_prompt),
                ("the provider is overloaded", self._retries),
                ("people lose patience, connections break", self._endings),
            ):
                progress(name)
                await scene()

    async def _ask(self, model: str, text: str, **options: Any) -> anthropic.types.Message:
        message: anthropic.types.Message = await self._client.messages.create(
            model=model, max_tokens=1000, messages=[{"role": "user", "content": text}], **options
        )
        return message

    def _as(self, user: str, team: str, action: str) -> Scope:
        return self._trail.context(user_id=user, session_id=f"{user}-1", action=action, metadata={"team": team})

    async def _support(self) -> None:
        with self._as("alice", "support", "support.answer"):
            for question in _QUESTIONS:
                await self._ask(HAIKU, question, system="You answer the customers of a small company.")
            await self._ask(HAIKU, "What does this log say? " + "2026-11-24 ERROR worker 7 timed out\n" * 1500)
            await self._ask(UNLISTED, _QUESTIONS[0])

    async def _research(self) -> None:
        system = [{"type": "text", "text": _HANDBOOK, "cache_control": {"type": "ephemeral"}}]
        with self._as("bob", "research", "research.summarize"):
            for number in range(1, 5):
                async with self._client.messages.stream(
                    model=SONNET,
                    max_tokens=4000,
                    system=system,  # type: ignore[arg-type]  # a plain dict of the SDK's shape
                    messages=[{"role": "user", "content": f"Summarize paper {number} in five sentences."}],
                    thinking={"type": "enabled", "budget_tokens": 1024} if number == 4 else {"type": "disabled"},
                ) as stream:
                    await stream.get_final_message()

    async def _finance(self) -> None:
        @self._trail.audited(action="finance.check_order")
        async def check_order(number: str) -> str:
            messages: list[Any] = [{"role": "user", "content": f"Was order {number} paid?"}]
            options: Any = {"model": OPUS, "max_tokens": 1000, "tools": [_TOOL]}
            asked = await self._client.messages.create(messages=messages, **options)
            calls = [block for block in asked.content if block.type == "tool_use"]
            results = [{"type": "tool_result", "tool_use_id": call.id, "content": "paid"} for call in calls]
            messages += [{"role": "assistant", "content": asked.content}, {"role": "user", "content": results}]
            answer = await self._client.messages.create(messages=messages, **options)
            return answer.content[0].text if answer.content[0].type == "text" else ""

        with self._as("carol", "finance", "finance.check_order"):
            for number in ("A-1001", "A-1002"):
                await check_order(number)

    async def _translation(self) -> None:
        texts: list[Any] = [[{"role": "user", "content": f"Translate to French: {text}"}] for text in _QUESTIONS[:3]]
        client = self._trail.wrap(openai.AsyncOpenAI(api_key="none-needed", base_url=self._provider.openai_url))
        with self._as("frank", "translation", "texts.translate"):
            async with client:
                await client.chat.completions.create(model=GPT, messages=texts[0])
                async for _ in await client.chat.completions.create(
                    model=GPT, messages=texts[1], stream=True, stream_options={"include_usage": True}
                ):
                    pass
                await client.responses.create(model=GPT, input=texts[2])

    async def _over_budget(self) -> None:
        with self._as("dave", "support", "support.draft"):
            for question in _QUESTIONS[:6]:
                with suppress(CallBlocked):
                    await self._ask(HAIKU, question)

    async def _key_in_a_prompt(self) -> None:
        key = "ghp_" + hashlib.sha256(b"a key that opens nothing").hexdigest()[:36]
        with self._as("erin", "research", "code.review"):
            with suppress(CallBlocked):
                await self._ask(SONNET, f'Why does this fail? client = connect(token="{key}")')
            await self._ask(SONNET, "Why does this fail? client = connect(token=TOKEN)")

    async def _retries(self) -> None:
        overloaded, limited = Status(529, retry_after=0), Status(429, retry_after=0)
        answered = SlowFirstToken(_SECONDS[SONNET])
        with self._as("bob", "research", "research.classify"):
            self._provider.script(limited, answered)
            await self._ask(SONNET, "Is this paper about databases?")
            self._provider.script(overloaded, overloaded, answered)
            await self._ask(SONNET, "Is this paper about networks?")
            self._provider.script(overloaded, overloaded, overloaded)
            with suppress(anthropic.APIStatusError):
                await self._ask(SONNET, "Is this paper about compilers?")

    async def _endings(self) -> None:
        with self._as("carol", "finance", "finance.forecast"):
            self._provider.script(Status(400, message="max_tokens: 900000 is more than this model can give"))
            with suppress(anthropic.BadRequestError):
                await self._ask(OPUS, "Forecast the next quarter.")
            await self._cancelled_before_the_answer()
            await self._stream(Hang(after_events=5), cancel=True)
            await self._stream((), chunks=2)
            await self._stream(Truncate(after_events=6))
            with suppress(anthropic.APIError):
                await self._stream(MidStreamError(after_events=4))

    async def _cancelled_before_the_answer(self) -> None:
        arrived = len(self._provider.requests) + 1
        self._provider.script(Hang())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._ask, OPUS, "Forecast the next year.")
            await anyio.to_thread.run_sync(self._provider.wait_for_requests, arrived)
            tasks.cancel_scope.cancel()

    async def _stream(self, behaviour: Any, *, chunks: int | None = None, cancel: bool = False) -> None:
        """Stream a forecast; leave after so many chunks of text, or be cancelled at the first."""
        self._provider.script(behaviour)
        with anyio.CancelScope() as scope:
            async with self._client.messages.stream(
                model=OPUS, max_tokens=1000, messages=[{"role": "user", "content": "Forecast the next month."}]
            ) as stream:
                seen = 0
                async for _ in stream.text_stream:
                    seen += 1
                    if cancel:
                        scope.cancel()
                    elif seen == chunks:
                        return
