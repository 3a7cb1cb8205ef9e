-- Durations are integer microseconds, money is integer nanodollars, JSON is canonical JSON text.
-- Column names are the stored names of AuditEntry's fields; times are native here and carry no _us.

CREATE TABLE audit_schema (
    version integer PRIMARY KEY
);

CREATE TABLE audit_trail (
    id integer PRIMARY KEY CHECK (id = 1),
    origin text NOT NULL,
    size bigint NOT NULL,
    frontier bytea NOT NULL,
    stored_at timestamptz NOT NULL,
    key_id text
) WITH (fillfactor = 10);

INSERT INTO audit_trail (id, origin, size, frontier, stored_at)
VALUES (1, 'auditmw/' || replace(gen_random_uuid()::text, '-', ''), 0, '\x0000000000000000', 'epoch');

CREATE TABLE audit_writers (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    writer text NOT NULL UNIQUE,
    last_seq bigint NOT NULL
) WITH (fillfactor = 50);

-- A head only moves forwards, whatever the role that moves it may do.
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the heads of an audit trail only move forwards';
END
$$;

CREATE TRIGGER audit_trail_forwards BEFORE UPDATE ON audit_trail
FOR EACH ROW WHEN (new.size < old.size OR new.stored_at < old.stored_at) EXECUTE FUNCTION audit_refuse();

CREATE TRIGGER audit_writers_forwards BEFORE UPDATE ON audit_writers
FOR EACH ROW WHEN (new.last_seq < old.last_seq) EXECUTE FUNCTION audit_refuse();

-- One row per entry, in monthly partitions by stored_at. It never goes backwards in leaf order, so that a month is a run
-- of leaves; the leaf index itself is in audit_batches. salts: 32 bytes a field class; erased: a bit a class.
CREATE TABLE audit_entries (
    request_id text NOT NULL,
    timestamp timestamptz NOT NULL,
    v bigint NOT NULL,
    stored_at timestamptz NOT NULL,
    call_id text,
    attempt bigint NOT NULL,
    parent_id text,
    kind text NOT NULL,
    action text,
    logged_at timestamptz,
    latency_us bigint,
    ttft_us bigint,
    user_id text,
    subject text,
    session_id text,
    client_ip_hash text,
    tenant text,
    app text,
    app_version text,
    host text,
    provider text,
    model text,
    response_model text,
    stream boolean,
    stop_reason text,
    tool_names text,
    service_tier text,
    params_hash text,
    input_tokens bigint,
    cache_read_tokens bigint,
    cache_write_5m_tokens bigint,
    cache_write_1h_tokens bigint,
    output_tokens bigint,
    thinking_tokens bigint,
    usage_complete boolean,
    usage_raw text,
    cost_nano bigint,
    cost_status text,
    price_source text,
    unit_prices text,
    system_prompt_hash text,
    input_hash text,
    output_hash text,
    hash_key_id text,
    sanitization_count bigint,
    sanitization text,
    sanitizer_rules text,
    purpose text,
    legal_basis text,
    status text NOT NULL,
    error_type text,
    error_message text,
    http_status bigint,
    audit_errors bigint NOT NULL,
    provider_request_id text,
    response_id text,
    trace_id text,
    span_id text,
    metadata text,
    extra text,
    writer_id integer NOT NULL,
    seq bigint NOT NULL,
    salts bytea NOT NULL,
    erased bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (stored_at, writer_id, seq)
) PARTITION BY RANGE (stored_at);

CREATE INDEX audit_entries_request_id ON audit_entries (request_id);
CREATE INDEX audit_entries_timestamp ON audit_entries USING brin (timestamp) WITH (autosummarize = on);
-- A call's first attempt carries the call's id as its own: only the others need to be found by it.
CREATE INDEX audit_entries_later_attempt ON audit_entries (call_id, attempt)
WHERE attempt > 0 OR call_id <> request_id;

-- Consecutive leaves that one transaction added, with their hashes concatenated; its entries all have its stored_at.
CREATE TABLE audit_batches (
    first_leaf bigint PRIMARY KEY,
    writer_id integer NOT NULL REFERENCES audit_writers (id),
    first_seq bigint NOT NULL,
    entry_count bigint NOT NULL,
    stored_at timestamptz NOT NULL,
    leaf_hashes bytea NOT NULL
);

CREATE INDEX audit_batches_stored_at ON audit_batches (stored_at, writer_id);

-- The roots of the full subtrees over 256 leaves.
CREATE TABLE audit_tiles (
    tile bigint PRIMARY KEY,
    root bytea NOT NULL
);

CREATE TABLE audit_checkpoints (
    size bigint NOT NULL,
    note text NOT NULL,
    PRIMARY KEY (size, note)
);

-- Choices that hold for the whole trail: canonical JSON by name.
CREATE TABLE audit_settings (
    name text PRIMARY KEY,
    value text NOT NULL
);
