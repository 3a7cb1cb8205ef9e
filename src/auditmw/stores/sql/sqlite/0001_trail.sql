-- Times and durations are integer microseconds, money is integer nanodollars, JSON is canonical JSON text.
-- Column names are the stored names of AuditEntry's fields.

CREATE TABLE audit_schema (
    version INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE audit_trail (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    origin TEXT NOT NULL,
    size INTEGER NOT NULL,
    frontier BLOB NOT NULL,
    stored_at_us INTEGER NOT NULL,
    key_id TEXT
) STRICT;

INSERT INTO audit_trail (id, origin, size, frontier, stored_at_us)
VALUES (1, 'auditmw/' || lower(hex(randomblob(16))), 0, zeroblob(8), 0);

CREATE TABLE audit_writers (
    id INTEGER PRIMARY KEY,
    writer TEXT NOT NULL UNIQUE,
    last_seq INTEGER NOT NULL
) STRICT;

-- One row per entry; the leaf index is the rowid. salts: 32 bytes a field class; erased: a bit a class.
CREATE TABLE audit_entries (
    leaf_index INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL,
    timestamp_us INTEGER NOT NULL,
    v INTEGER NOT NULL,
    stored_at_us INTEGER NOT NULL,
    call_id TEXT,
    attempt INTEGER NOT NULL,
    parent_id TEXT,
    kind TEXT NOT NULL,
    action TEXT,
    logged_at_us INTEGER,
    latency_us INTEGER,
    ttft_us INTEGER,
    user_id TEXT,
    subject TEXT,
    session_id TEXT,
    client_ip_hash TEXT,
    tenant TEXT,
    app TEXT,
    app_version TEXT,
    host TEXT,
    provider TEXT,
    model TEXT,
    response_model TEXT,
    stream INTEGER,
    stop_reason TEXT,
    tool_names TEXT,
    service_tier TEXT,
    params_hash TEXT,
    input_tokens INTEGER,
    cache_read_tokens INTEGER,
    cache_write_5m_tokens INTEGER,
    cache_write_1h_tokens INTEGER,
    output_tokens INTEGER,
    thinking_tokens INTEGER,
    usage_complete INTEGER,
    usage_raw TEXT,
    cost_nano INTEGER,
    cost_status TEXT,
    price_source TEXT,
    unit_prices TEXT,
    system_prompt_hash TEXT,
    input_hash TEXT,
    output_hash TEXT,
    hash_key_id TEXT,
    sanitization_count INTEGER,
    sanitization TEXT,
    sanitizer_rules TEXT,
    purpose TEXT,
    legal_basis TEXT,
    status TEXT NOT NULL,
    error_type TEXT,
    error_message TEXT,
    http_status INTEGER,
    audit_errors INTEGER NOT NULL,
    provider_request_id TEXT,
    response_id TEXT,
    trace_id TEXT,
    span_id TEXT,
    metadata TEXT,
    extra TEXT,
    writer_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    salts BLOB NOT NULL,
    erased INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX audit_entries_request_id ON audit_entries (request_id);
CREATE INDEX audit_entries_timestamp ON audit_entries (timestamp_us);
-- A call's first attempt carries the call's id as its own: only the others need to be found by it.
CREATE INDEX audit_entries_later_attempt ON audit_entries (call_id, attempt)
WHERE attempt > 0 OR call_id <> request_id;

-- Consecutive leaves that one transaction added, with their hashes concatenated.
CREATE TABLE audit_batches (
    first_leaf INTEGER PRIMARY KEY,
    writer_id INTEGER NOT NULL REFERENCES audit_writers (id),
    first_seq INTEGER NOT NULL,
    entry_count INTEGER NOT NULL,
    leaf_hashes BLOB NOT NULL
) STRICT;

-- The roots of the full subtrees over 256 leaves.
CREATE TABLE audit_tiles (
    tile INTEGER PRIMARY KEY,
    root BLOB NOT NULL
) STRICT;

CREATE TABLE audit_checkpoints (
    size INTEGER NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (size, note)
) STRICT, WITHOUT ROWID;

-- Choices that hold for the whole trail: canonical JSON by name.
CREATE TABLE audit_settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
