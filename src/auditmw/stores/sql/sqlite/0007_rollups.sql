-- The tables of 0004 in another form: counts by bucket as bytes, money of hours, a table without models. What they held is
-- added up again from the entries, from the first on.

UPDATE audit_rollup SET watermark = 0, changes = changes + 1;
DROP TABLE audit_rollup_day;
DROP TABLE audit_rollup_hour;
DROP TABLE audit_rollup_week;

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
    PRIMARY KEY (day, user_id, tenant, model)
) STRICT, WITHOUT ROWID;

-- The same of all models together, for questions that are not about models: a fifth of the rows, where there are five.
CREATE TABLE audit_rollup_user (
    day TEXT NOT NULL,
    tenant TEXT NOT NULL,
    user_id TEXT NOT NULL,
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
    PRIMARY KEY (day, user_id, tenant)
) STRICT, WITHOUT ROWID;

-- latency and ttft: how many calls are in each bucket of microseconds: the first bucket in 2 bytes, then 4 bytes for it
-- and for each after it.
CREATE TABLE audit_rollup_hour (
    hour TEXT NOT NULL,
    tenant TEXT NOT NULL,
    model TEXT NOT NULL,
    status TEXT NOT NULL,
    error_type TEXT NOT NULL,
    calls INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    retried INTEGER NOT NULL,
    priced_nano INTEGER NOT NULL,
    priced INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    all_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    redactions INTEGER NOT NULL,
    latency BLOB NOT NULL,
    ttft BLOB NOT NULL,
    PRIMARY KEY (hour, tenant, model, status, error_type)
) STRICT, WITHOUT ROWID;

-- How calls ended, by day: questions over weeks read a twenty-fourth of the rows.
CREATE TABLE audit_rollup_ending (
    day TEXT NOT NULL,
    tenant TEXT NOT NULL,
    model TEXT NOT NULL,
    status TEXT NOT NULL,
    error_type TEXT NOT NULL,
    calls INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    retried INTEGER NOT NULL,
    PRIMARY KEY (day, tenant, model, status, error_type)
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
    sizes BLOB NOT NULL,
    largest TEXT NOT NULL,
    PRIMARY KEY (week, tenant, user_id, model)
) STRICT, WITHOUT ROWID;
