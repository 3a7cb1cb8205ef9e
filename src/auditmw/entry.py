"""The record: one immutable entry, its token counts and its cost, in the form in which they are stored.

Times are integer microseconds since the epoch in UTC (`*_us`), durations integer microseconds, money integer
nanodollars; the public names (`timestamp`, `latency_ms`, `cost_usd`, ...) are read from those, so that nothing is ever
rounded twice and no float comes near money.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import structs

from auditmw.canonical import MAX_INT, canonical_text
from auditmw.errors import ConfigurationError

Kind = Literal["llm", "request", "function", "control"]
Status = Literal["success", "error", "blocked", "cancelled", "abandoned", "incomplete", "interrupted"]
CostStatus = Literal["priced", "partial", "unknown_model", "no_usage", "not_billed"]

KINDS: Final[tuple[str, ...]] = get_args(Kind)
STATUSES: Final[tuple[str, ...]] = get_args(Status)
SCHEMA_VERSION: Final = 1
Whole = Annotated[int, msgspec.Meta(ge=-MAX_INT, le=MAX_INT)]
"""An integer that JSON can hold everywhere."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
NANODOLLAR: Final = Decimal("0.000000001")


def to_datetime(us: int) -> datetime:
    """Microseconds since the epoch as an aware datetime in UTC."""
    return EPOCH + timedelta(microseconds=us)


def to_us(moment: datetime) -> int:
    """An aware datetime as microseconds since the epoch; a naive one is refused, and so is anything else."""
    if not isinstance(moment, datetime):
        raise ConfigurationError(f"{moment!r} is no datetime: use datetime.fromisoformat(), with a time zone")
    if moment.tzinfo is None:
        raise ConfigurationError(f"{moment!r} has no time zone: use datetime.now(UTC) or add tzinfo=UTC")
    return (moment - EPOCH) // MICROSECOND


def to_rfc3339(us: int) -> str:
    """Microseconds since the epoch as RFC 3339 text in UTC, always with six digits of a second."""
    return to_datetime(us).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Token counts of one answer, disjoint: `input_tokens` is the uncached part, thinking is inside `output_tokens`.

    `complete` is False when the answer was cut off before its final counts; `output_tokens` is None then.
    `raw` is the provider's usage object as it came.
    """

    input_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_5m_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    output_tokens: int | None = None
    thinking_tokens: int | None = None
    complete: bool = True
    raw: dict[str, Any] | None = None


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer cost: `nano` in nanodollars, None unless `status` is `priced` or `partial` (a lower bound).

    `unit_prices` holds all that recomputing it takes, without any price table: see `auditmw.prices.recompute`.
    """

    status: CostStatus
    nano: int | None = None
    source: str | None = None
    unit_prices: dict[str, Any] | None = None

    @property
    def usd(self) -> Decimal | None:
        """US dollars, exact."""
        return None if self.nano is None else self.nano * NANODOLLAR


class AuditEntry(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One entry of the trail. Absent is None, never 0.

    The struct holds what is stored; the properties below give the same under the public JSON names. New fields are
    only ever added at the end, with a default, so that an older journal or database can still be read; encoded by
    msgspec (as journals do) it is an array in this order.
    """

    request_id: str
    timestamp_us: Whole
    v: Whole = SCHEMA_VERSION
    stored_at_us: Whole | None = None
    call_id: str | None = None
    attempt: Whole = 0
    parent_id: str | None = None
    kind: Kind = "llm"
    action: str | None = None
    logged_at_us: Whole | None = None
    latency_us: Whole | None = None
    ttft_us: Whole | None = None
    user_id: str | None = None
    subject: str | None = None
    session_id: str | None = None
    client_ip_hash: str | None = None
    tenant: str | None = None
    app: str | None = None
    app_version: str | None = None
    host: str | None = None
    provider: str | None = None
    model: str | None = None
    response_model: str | None = None
    stream: bool | None = None
    stop_reason: str | None = None
    tool_names: list[str] | None = None
    service_tier: str | None = None
    params_hash: str | None = None
    input_tokens: Whole | None = None
    cache_read_tokens: Whole | None = None
    cache_write_5m_tokens: Whole | None = None
    cache_write_1h_tokens: Whole | None = None
    output_tokens: Whole | None = None
    thinking_tokens: Whole | None = None
    usage_complete: bool | None = None
    usage_raw: dict[str, Any] | None = None
    cost_nano: Whole | None = None
    cost_status: CostStatus | None = None
    price_source: str | None = None
    unit_prices: dict[str, Any] | None = None
    system_prompt_hash: str | None = None
    input_hash: str | None = None
    output_hash: str | None = None
    hash_key_id: str | None = None
    sanitization_count: Whole | None = None
    sanitization: dict[str, int] | None = None
    sanitizer_rules: str | None = None
    purpose: str | None = None
    legal_basis: str | None = None
    status: Status = "success"
    error_type: str | None = None
    error_message: str | None = None
    http_status: Whole | None = None
    audit_errors: Whole = 0
    provider_request_id: str | None = None
    response_id: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    metadata: dict[str, Any] | None = None
    extra: dict[str, Any] | None = None
    writer: str | None = None
    seq: Whole | None = None
    leaf_index: Whole | None = None
    content: bytes | None = None
    """The sealed prompt and answer on their way to the store, which keeps them in a table of their own."""

    @property
    def timestamp(self) -> datetime:
        """When the attempt started, UTC."""
        return to_datetime(self.timestamp_us)

    @property
    def logged_at(self) -> datetime | None:
        """When the entry was sealed, UTC."""
        return None if self.logged_at_us is None else to_datetime(self.logged_at_us)

    @property
    def stored_at(self) -> datetime | None:
        """When the writer stored it, UTC; never goes backwards within a trail."""
        return None if self.stored_at_us is None else to_datetime(self.stored_at_us)

    @property
    def latency_ms(self) -> float | None:
        """Milliseconds from the first half to the end of the answer."""
        return None if self.latency_us is None else self.latency_us / 1000

    @property
    def ttft_ms(self) -> float | None:
        """Milliseconds to the first chunk of a streamed answer."""
        return None if self.ttft_us is None else self.ttft_us / 1000

    @property
    def cost_usd(self) -> Decimal | None:
        """US dollars, exact; None where it is not known (see `cost_status`)."""
        return None if self.cost_nano is None else self.cost_nano * NANODOLLAR

    @property
    def cost_text(self) -> str | None:
        """`cost_usd` as plain decimal text without trailing zeros, as JSON shows it."""
        return None if self.cost_nano is None else decimal_text(self.cost_nano)

    def to_dict(self) -> dict[str, Any]:
        """The entry under its public JSON names, every field present."""
        return {name: _PUBLIC[name](self) if name in _PUBLIC else getattr(self, name) for name in JSON_NAMES}

    def to_json(self) -> bytes:
        """One line of JSON under the public names; every field present, absent ones null."""
        return msgspec.json.encode(self.to_dict())

    def canonical(self) -> bytes:
        """RFC 8785 bytes of the stored fields, null ones left out."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__ if name != "content"}
        return canonical_text({k: v for k, v in fields.items() if v is not None}).encode()

    @classmethod
    def from_json(cls, line: bytes | str) -> AuditEntry:
        """The entry of `to_json`; fields that this version does not know are kept in `extra`."""
        return cls.from_dict(msgspec.json.decode(line))

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> AuditEntry:
        """The entry of `to_dict`; fields that this version does not know are kept in `extra`."""
        fields = dict(fields)
        stored: dict[str, Any] = {}
        for public, (name, convert) in _STORED.items():
            value = fields.pop(public, None)
            stored[name] = None if value is None else convert(value)
        unknown = {k: fields.pop(k) for k in list(fields) if k not in _FIELDS}
        if unknown:
            fields["extra"] = {**(fields.get("extra") or {}), **unknown}
        return msgspec.convert([(fields | stored).get(n, d) for n, d in _DEFAULTS.items()], cls)


def decimal_text(nano: int) -> str:
    """Nanodollars as plain decimal text: no exponent, no trailing zeros."""
    sign, (whole, part) = ("-" if nano < 0 else ""), divmod(abs(nano), 1_000_000_000)
    return f"{sign}{whole}.{part:09d}".rstrip("0").rstrip(".")


def _us_of_text(text: str) -> int:
    return to_us(datetime.fromisoformat(text))


def _us_of_ms(ms: float) -> int:
    return round(Decimal(str(ms)) * 1000)


def _nano_of_text(text: str) -> int:
    return int(Decimal(text) / NANODOLLAR)


def _time(name: str) -> Any:
    def read(entry: AuditEntry) -> str | None:
        us = getattr(entry, name)
        return None if us is None else to_rfc3339(us)

    return read


_PUBLIC: Final[dict[str, Any]] = {
    "timestamp": _time("timestamp_us"),
    "logged_at": _time("logged_at_us"),
    "stored_at": _time("stored_at_us"),
    "latency_ms": lambda e: e.latency_ms,
    "ttft_ms": lambda e: e.ttft_ms,
    "cost_usd": lambda e: e.cost_text,
}
_STORED: Final[dict[str, tuple[str, Any]]] = {
    "timestamp": ("timestamp_us", _us_of_text),
    "logged_at": ("logged_at_us", _us_of_text),
    "stored_at": ("stored_at_us", _us_of_text),
    "latency_ms": ("latency_us", _us_of_ms),
    "ttft_ms": ("ttft_us", _us_of_ms),
    "cost_usd": ("cost_nano", _nano_of_text),
}
_RENAMED: Final = {stored: public for public, (stored, _) in _STORED.items()}
_DEFAULTS: Final = {field.name: None if field.required else field.default for field in structs.fields(AuditEntry)}
_FIELDS: Final = frozenset(AuditEntry.__struct_fields__)
JSON_NAMES: Final[tuple[str, ...]] = tuple(
    _RENAMED.get(name, name) for name in AuditEntry.__struct_fields__ if name != "content"
)

JSON_FIELDS: Final = frozenset({"tool_names", "usage_raw", "unit_prices", "sanitization", "metadata", "extra"})
"""Fields whose values are JSON; stores keep them as canonical JSON text."""

FIELD_CLASSES: Final[dict[str, tuple[str, ...]]] = {
    "who": ("user_id", "subject", "session_id", "client_ip_hash"),
    "digests": ("system_prompt_hash", "input_hash", "output_hash"),
    "error": ("error_message",),
    "metadata": ("metadata",),
}
"""The erasable groups of fields with one lifetime each; every other field is the core."""

_ERASABLE: Final = frozenset(name for names in FIELD_CLASSES.values() for name in names)
CORE_FIELDS: Final[tuple[str, ...]] = tuple(
    name for name in AuditEntry.__struct_fields__ if name not in _ERASABLE and name not in {"leaf_index", "content"}
)
"""The fields that a leaf holds openly; `leaf_index` is the leaf's place, not its content."""
