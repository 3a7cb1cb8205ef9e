-- What an erasure wants gone and a floor or a hold keeps bears the id of the erasure: it shows to nobody who does not ask
-- for it by name.
ALTER TABLE audit_entries ADD COLUMN restricted text;

CREATE INDEX audit_entries_restricted ON audit_entries (restricted) WHERE restricted IS NOT NULL;

-- The views of before, in which a restricted entry looks as if it were erased.
CREATE OR REPLACE VIEW llm_audit_attempts AS
SELECT
    request_id,
    timestamp,
    CASE WHEN restricted IS NULL THEN user_id END AS user_id,
    model,
    action,
    CASE WHEN restricted IS NULL THEN system_prompt_hash END AS system_prompt_hash,
    input_tokens,
    output_tokens,
    thinking_tokens,
    latency_us * 0.001 AS latency_ms,
    cost_nano * 0.000000001 AS cost_usd,
    status,
    CASE WHEN restricted IS NULL THEN error_message END AS error_message,
    sanitization_count,
    CASE WHEN restricted IS NULL THEN input_hash END AS input_hash,
    CASE WHEN restricted IS NULL THEN output_hash END AS output_hash,
    CASE WHEN restricted IS NULL THEN metadata::jsonb END AS metadata,
    stored_at AS created_at
FROM audit_entries
WHERE kind = 'llm';

-- One row per call: its last attempt, with the cost of all of them. The conditions on attempt and call_id are those of
-- the index on later attempts; the first attempt carries the call's id as its own.
CREATE OR REPLACE VIEW llm_audit_log AS
SELECT
    last.request_id,
    last.timestamp,
    CASE WHEN last.restricted IS NULL THEN last.user_id END AS user_id,
    last.model,
    last.action,
    CASE WHEN last.restricted IS NULL THEN last.system_prompt_hash END AS system_prompt_hash,
    last.input_tokens,
    last.output_tokens,
    last.thinking_tokens,
    last.latency_us * 0.001 AS latency_ms,
    CASE
        WHEN last.attempt = 0 OR last.call_id IS NULL THEN last.cost_nano
        ELSE (
            SELECT sum(attempts.cost_nano)
            FROM (
                SELECT later.cost_nano
                FROM audit_entries AS later
                WHERE
                    later.call_id = last.call_id
                    AND (later.attempt > 0 OR later.call_id <> later.request_id)
                    AND later.kind = 'llm'
                UNION ALL
                SELECT first.cost_nano
                FROM audit_entries AS first
                WHERE
                    first.request_id = last.call_id
                    AND first.call_id = first.request_id
                    AND first.attempt = 0
                    AND first.kind = 'llm'
            ) AS attempts
        )
    END * 0.000000001 AS cost_usd,
    last.status,
    CASE WHEN last.restricted IS NULL THEN last.error_message END AS error_message,
    last.sanitization_count,
    CASE WHEN last.restricted IS NULL THEN last.input_hash END AS input_hash,
    CASE WHEN last.restricted IS NULL THEN last.output_hash END AS output_hash,
    CASE WHEN last.restricted IS NULL THEN last.metadata::jsonb END AS metadata,
    last.stored_at AS created_at
FROM audit_entries AS last
WHERE
    last.kind = 'llm'
    AND NOT EXISTS (
        SELECT 1
        FROM audit_entries AS later
        WHERE
            later.call_id = last.call_id
            AND later.attempt > last.attempt
            AND later.attempt > 0
            AND later.kind = 'llm'
    );
