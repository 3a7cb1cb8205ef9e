"""Anthropic Messages: JSON answers and server-sent events, also in the binary framing of Amazon Bedrock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from auditmw import iterations
from auditmw.call import Call
from auditmw.entry import Usage
from auditmw.providers import eventstream
from auditmw.providers.plain import (
    member,
    read_error_basics,
    read_request_basics,
    record,
    records,
    section,
    text,
    unique,
    without,
)
from auditmw.providers.sse import EventReader

TOOL_CALLS: Final = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_NOT_PARAMS: Final = frozenset({"system", "messages", "metadata", "fallback_credit_token"})
_CREDENTIALS: Final = frozenset({"authorization_token"})


class Event(msgspec.Struct, gc=False):
    """What the events of a stream hold, one struct for all types."""

    type: str = ""
    index: int = 0
    delta: dict[str, Any] | None = None
    content_block: dict[str, Any] | None = None
    message: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None
    context_management: Any = None
    input_transformations: Any = None


_events: Final = EventReader(Event)


class AnthropicMessages:
    """Reads `/v1/messages` (see `auditmw.providers.protocol.Provider`)."""

    name = "anthropic"
    paths: tuple[str, ...] = ("/v1/messages",)

    def read_request(self, call: Call) -> None:
        """Provider, model and stream."""
        read_request_basics(call, self.name)

    def read_response(self, call: Call, body: Any) -> None:
        """A whole message, as JSON data, bytes or an SDK's model."""
        _read_message(call, body if type(body) is dict else record(body), complete=True)

    def read_stream(self, call: Call, raw: bytes) -> None:
        """The events of a stream; the message is complete if its `message_delta` with the final counts was seen."""
        if eventstream.is_event_stream(raw):
            events = _events.read_each(eventstream.event_data(raw))
        else:
            events = _events.read(raw)
        assembly = _Assembly()
        for event in events:
            assembly.add(event)
        _read_message(call, assembly.message(), complete=assembly.counted)
        if assembly.error is not None:
            self.read_error(call, {"error": assembly.error})
            call.status = "error"
        elif assembly.stopped:
            call.status = "success"

    def read_error(self, call: Call, body: Any) -> None:
        """The type and message of an error, and the request's id where no header gave it."""
        fields = record(body)
        read_error_basics(call, fields)
        call.provider_request_id = call.provider_request_id or text(fields, "request_id")

    def vendor(self, model: str | None) -> str | None:  # noqa: ARG002  (nobody else's models answer in this format)
        """Anthropic, on whatever platform."""
        return self.name

    def matches(self, answer: Any) -> bool:
        """Whether this is a message: an SDK's or a dict of that shape."""
        return (
            member(answer, "type") == "message"
            and member(answer, "role") == "assistant"
            and isinstance(member(answer, "content"), list)
        )

    def system_prompt(self, request: Any) -> Any:
        """`system`."""
        return request.get("system") if type(request) is dict else member(request, "system")

    def input(self, request: Any) -> Any:
        """`messages`."""
        return request.get("messages") if type(request) is dict else member(request, "messages")

    def params(self, request: Any) -> Any:
        """The rest: model, limits, tools, thinking and the like."""
        if type(request) is not dict and not isinstance(request, Mapping):
            return None
        params = {name: value for name, value in request.items() if name not in _NOT_PARAMS}
        if "mcp_servers" in params and (servers := records(params, "mcp_servers")):
            params["mcp_servers"] = [without(server, _CREDENTIALS) for server in servers]
        return params

    def output(self, response: Any) -> Any:
        """The content blocks without their empty fields, which some forms of the same answer give and others omit."""
        if not (message := response if type(response) is dict else record(response)):
            return None
        return [
            {k: v for k, v in block.items() if v is not None and not (k == "citations" and v == [])}
            for block in records(message, "content")
        ]


class _Assembly:
    """The message that the events of a stream add up to, equal to the one that the same call gives unstreamed."""

    def __init__(self) -> None:
        self.counted = self.stopped = False
        self.error: Any = None
        self._message: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._pieces: defaultdict[tuple[int, str], list[str]] = defaultdict(list)

    def add(self, event: Event) -> None:
        kind = event.type
        if kind == "content_block_delta":
            index = event.index
            for name, value in (event.delta or {}).items():
                if type(value) is str:
                    if name != "type":
                        self._pieces[index, name].append(value)
                elif value is not None:
                    self._add_value(index, name, value)
        elif kind == "content_block_start":
            self._blocks[event.index] = event.content_block or {}
        elif kind == "message_start":
            self._message = event.message or {}
        elif kind == "message_delta":
            self._finish(event)
        elif kind == "message_stop":
            self.stopped = True
        elif kind == "error":
            self.error = event.error

    def _add_value(self, index: int, name: str, value: Any) -> None:
        block = self._blocks.setdefault(index, {})
        if name == "citation":
            block["citations"] = [*(block.get("citations") or ()), value]
        else:
            block[name] = value

    def _finish(self, event: Event) -> None:
        self._message.update({k: v for k, v in (event.delta or {}).items() if v is not None})
        for name in ("context_management", "input_transformations"):
            if (value := getattr(event, name)) is not None:
                self._message[name] = value
        if event.usage is not None:
            told = {k: v for k, v in event.usage.items() if v is not None}
            self._message["usage"] = section(self._message, "usage") | told
            self.counted = self.counted or iterations.count(told, "output_tokens") is not None

    def message(self) -> dict[str, Any]:
        for (index, name), pieces in self._pieces.items():
            block = self._blocks.setdefault(index, {})
            joined = "".join(pieces)
            if name == "partial_json":
                if joined:
                    block["input"] = _parsed(joined)
            else:
                block[name] = (text(block, name) or "") + joined
        if self._blocks:
            self._message["content"] = [block for _, block in sorted(self._blocks.items())]
        return self._message


def _parsed(partial: str) -> Any:
    """The input of a tool call; the text itself where the stream was cut before its end."""
    try:
        return msgspec.json.decode(partial)
    except msgspec.MsgspecError:
        return partial


def _read_message(call: Call, message: dict[str, Any], *, complete: bool) -> None:
    if type(details := message.get("stop_details")) is dict:
        if "fallback_credit_token" in details:  # as good as money, so it goes no further than here
            message = message | {"stop_details": without(details, {"fallback_credit_token"})}
        if category := text(details, "category"):
            call.metadata["stop_category"] = category
    call.response = message
    get = message.get  # and not `text`, since this is between the answer and who waits for it
    if type(value := get("id")) is str:
        call.response_id = value
    if type(value := get("model")) is str:
        call.response_model = value
    if type(value := get("stop_reason")) is str:
        call.stop_reason = value
    calls = [block for block in records(message, "content") if block.get("type") in TOOL_CALLS]
    call.tool_names = unique(text(block, "name") for block in calls) if calls else None
    if type(usage := get("usage")) is dict and usage:
        call.usage = _usage(usage, complete=complete)
        if type(value := usage.get("service_tier")) is str:
            call.service_tier = value


def _usage(raw: dict[str, Any], *, complete: bool) -> Usage:
    if not complete:  # a stream opens with a placeholder for the output
        raw = without(raw, {"output_tokens"})
    short, long = iterations.cache_writes(raw)
    details = raw.get("output_tokens_details")
    usage = Usage(
        input_tokens=iterations.count(raw, "input_tokens"),
        cache_read_tokens=iterations.count(raw, "cache_read_input_tokens"),
        cache_write_5m_tokens=short,
        cache_write_1h_tokens=long,
        output_tokens=iterations.count(raw, "output_tokens"),
        thinking_tokens=iterations.count(details, "thinking_tokens") if type(details) is dict else None,
        complete=complete,
        raw=raw,
    )
    if "iterations" in raw and (parts := iterations.parts(raw)):
        billed = iterations.total(parts)
        usage = msgspec.structs.replace(
            usage,
            input_tokens=billed.input,
            cache_read_tokens=billed.cache_read,
            cache_write_5m_tokens=billed.cache_write_5m,
            cache_write_1h_tokens=billed.cache_write_1h,
            output_tokens=billed.output,
        )
    return usage
