-- Sums over calls, so that reports need not read entries; an absent value of a key is an empty text. They hold all entries
-- below audit_rollup.watermark, a leaf index; changes counts what else was done to them (erasure, retention, a rebuild).

CREATE TABLE audit_rollup (
    id integer PRIMARY KEY CHECK (id = 1),
    watermark bigint NOT NULL,
    changes bigint NOT NULL
);

INSERT INTO audit_rollup VALUES (1, 0, 0);

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
    PRIMARY KEY (day, tenant, user_id, model)
);

-- latency and ttft: buckets of microseconds, each with how many calls are in it, as a JSON array of both in turn.
CREATE TABLE audit_rollup_hour (
    hour text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    error_type text COLLATE "C" NOT NULL,
    calls bigint NOT NULL,
    attempts bigint NOT NULL,
    retried bigint NOT NULL,
    latency text NOT NULL,
    ttft text NOT NULL,
    PRIMARY KEY (hour, tenant, model, status, error_type)
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
    sizes text NOT NULL,
    largest text NOT NULL,
    PRIMARY KEY (week, tenant, user_id, model)
);
