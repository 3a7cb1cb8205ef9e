-- Sums over calls, so that reports need not read entries; an absent value of a key is an empty text. They hold all entries
-- below audit_rollup.watermark, a leaf index; changes counts what else was done to them (erasure, retention, a rebuild).

CREATE TABLE audit_rollup (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    watermark INTEGER NOT NULL,
    changes INTEGER NOT NULL
) STRICT;

INSERT INTO audit_rollup VALUES (1, 0, 0);

-- Money is integer nanodollars, its parts picodollars. Of several attempts, tokens and costs are added up; the rest is told of the last one.
CREATE TABLE audit_rollup_day (
    day TEXT NOT NULL,
    tenant TEXT NOT NULL,
    user_id TEXT NOT NULL,
    model TEXT NOT NULL,
    calls INTEGER NOT NULL,
    priced_nano INTEGER NOT NULL,
    priced INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    latency_us INTEGER NOT NULL,
    timed INTEGER NOT NULL,
    all_tokens INTEGER NOT NULL,
    told INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    retried INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    blocked INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cache_write_5m_tokens INTEGER NOT NULL,
    cache_write_1h_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    thinking_tokens INTEGER NOT NULL,
    input_pico INTEGER NOT NULL,
    cache_read_pico INTEGER NOT NULL,
    cache_write_pico INTEGER NOT NULL,
    output_pico INTEGER NOT NULL,
    cache_saved_pico INTEGER NOT NULL,
    redactions INTEGER NOT NULL,
    PRIMARY KEY (day, tenant, user_id, model)
) STRICT, WITHOUT ROWID;

-- latency and ttft: buckets of microseconds, each with how many calls are in it, as a JSON array of both in turn.
CREATE TABLE audit_rollup_hour (
    hour TEXT NOT NULL,
    tenant TEXT NOT NULL,
    model TEXT NOT NULL,
    status TEXT NOT NULL,
    error_type TEXT NOT NULL,
    calls INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    retried INTEGER NOT NULL,
    latency TEXT NOT NULL,
    ttft TEXT NOT NULL,
    PRIMARY KEY (hour, tenant, model, status, error_type)
) STRICT, WITHOUT ROWID;

-- top: the most tokens of a call; sizes: the same of tokens as above; largest: tokens, time, id and cost of the largest calls.
CREATE TABLE audit_rollup_week (
    week TEXT NOT NULL,
    tenant TEXT NOT NULL,
    user_id TEXT NOT NULL,
    model TEXT NOT NULL,
    calls INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    squares INTEGER NOT NULL,
    top INTEGER NOT NULL,
    sizes TEXT NOT NULL,
    largest TEXT NOT NULL,
    PRIMARY KEY (week, tenant, user_id, model)
) STRICT, WITHOUT ROWID;
