"""The words of the providers' own protocols: names of fields and values that tell nothing about anybody."""

from __future__ import annotations

from typing import Final

FIELDS: Final = frozenset({
    "role", "content", "type", "text", "model", "messages", "system", "tools", "tool_choice", "stream", "max_tokens",
    "temperature", "metadata", "thinking", "name", "description", "input_schema", "properties", "required", "items",
    "enum", "title", "id", "tool_use_id", "tool_call_id", "call_id", "input", "cache_control", "source", "media_type",
    "function", "parameters", "arguments", "tool_calls", "instructions", "output", "summary", "max_output_tokens",
    "max_completion_tokens", "budget_tokens", "top_p", "top_k", "stop_sequences", "service_tier",
    "additionalProperties", "params", "requests", "custom_id", "user_id", "is_error", "citations", "container", "ttl",
})  # fmt: skip
"""Fields that are not scanned as texts of their own and lend no context to what they hold."""

WORDS: Final = frozenset({
    "user", "assistant", "system", "developer", "tool", "text", "tool_use", "tool_result", "ephemeral", "5m", "1h",
    "object", "string", "number", "integer", "boolean", "array", "null", "auto", "any", "none", "enabled", "disabled",
    "adaptive", "base64", "image", "document", "function", "message", "input_text", "output_text", "input_image",
    "function_call", "function_call_output", "text/plain", "image/png", "image/jpeg", "application/pdf",
})  # fmt: skip
"""Values of such fields in which nothing can be found."""
