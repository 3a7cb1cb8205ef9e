-- The tables of 0004 in another form: counts by bucket as bytes, money of hours, a table without models. What they held is
-- added up again from the entries, from the first on.

UPDATE audit_rollup SET watermark = 0, changes = changes + 1;
DROP TABLE audit_rollup_day;
DROP TABLE audit_rollup_hour;
DROP TABLE audit_rollup_week;

-- Money is integer nanodollars, its parts picodollars. Of several attempts, tokens and costs are added up; the rest is told of the last one.
CREATE TABLE audit_rollup_day (
    day text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    calls bigint NOT NULL,
    priced_nano bigint NOT NULL,
    priced bigint NOT NULL,
    unpriced bigint NOT NULL,
    latency_us bigint NOT NULL,
    timed bigint NOT NULL,
    all_tokens bigint NOT NULL,
    told bigint NOT NULL,
    attempts bigint NOT NULL,
    retried bigint NOT NULL,
    errors bigint NOT NULL,
    blocked bigint NOT NULL,
    input_tokens bigint NOT NULL,
    cache_read_tokens bigint NOT NULL,
    cache_write_5m_tokens bigint NOT NULL,
    cache_write_1h_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    thinking_tokens bigint NOT NULL,
    input_pico bigint NOT NULL,
    cache_read_pico bigint NOT NULL,
    cache_write_pico bigint NOT NULL,
    output_pico bigint NOT NULL,
    cache_saved_pico bigint NOT NULL,
    redactions bigint NOT NULL,
    PRIMARY KEY (day, user_id, tenant, model)
);

-- The same of all models together, for questions that are not about models: a fifth of the rows, where there are five.
CREATE TABLE audit_rollup_user (
    day text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    calls bigint NOT NULL,
    priced_nano bigint NOT NULL,
    priced bigint NOT NULL,
    unpriced bigint NOT NULL,
    latency_us bigint NOT NULL,
    timed bigint NOT NULL,
    all_tokens bigint NOT NULL,
    told bigint NOT NULL,
    attempts bigint NOT NULL,
    retried bigint NOT NULL,
    errors bigint NOT NULL,
    blocked bigint NOT NULL,
    input_tokens bigint NOT NULL,
    cache_read_tokens bigint NOT NULL,
    cache_write_5m_tokens bigint NOT NULL,
    cache_write_1h_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    thinking_tokens bigint NOT NULL,
    input_pico bigint NOT NULL,
    cache_read_pico bigint NOT NULL,
    cache_write_pico bigint NOT NULL,
    output_pico bigint NOT NULL,
    cache_saved_pico bigint NOT NULL,
    redactions bigint NOT NULL,
    PRIMARY KEY (day, user_id, tenant)
);

-- latency and ttft: how many calls are in each bucket of microseconds: the first bucket in 2 bytes, then 4 bytes for it
-- and for each after it.
CREATE TABLE audit_rollup_hour (
    hour text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    error_type text COLLATE "C" NOT NULL,
    calls bigint NOT NULL,
    attempts bigint NOT NULL,
    retried bigint NOT NULL,
    priced_nano bigint NOT NULL,
    priced bigint NOT NULL,
    unpriced bigint NOT NULL,
    all_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    redactions bigint NOT NULL,
    latency bytea NOT NULL,
    ttft bytea NOT NULL,
    PRIMARY KEY (hour, tenant, model, status, error_type)
);

-- How calls ended, by day: questions over weeks read a twenty-fourth of the rows.
CREATE TABLE audit_rollup_ending (
    day text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    error_type text COLLATE "C" NOT NULL,
    calls bigint NOT NULL,
    attempts bigint NOT NULL,
    retried bigint NOT NULL,
    PRIMARY KEY (day, tenant, model, status, error_type)
);

-- top: the most tokens of a call; sizes: the same of tokens as above; largest: tokens, time, id and cost of the largest calls.
CREATE TABLE audit_rollup_week (
    week text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    calls bigint NOT NULL,
    tokens bigint NOT NULL,
    squares bigint NOT NULL,
    top bigint NOT NULL,
    sizes bytea NOT NULL,
    largest text NOT NULL,
    PRIMARY KEY (week, tenant, user_id, model)
);

-- Who may write settings without owning the trail keeps there what is in force, so that changes of it are on record. The
-- policy, holds and erasures decide what is removed: those are the owner's, whom the policies below do not concern.

ALTER TABLE audit_settings ENABLE ROW LEVEL SECURITY;
CREATE POLICY audit_settings_shown ON audit_settings FOR SELECT USING (true);
CREATE POLICY audit_settings_added ON audit_settings FOR INSERT WITH CHECK (name = 'in_force');
CREATE POLICY audit_settings_changed ON audit_settings FOR UPDATE USING (name = 'in_force');
