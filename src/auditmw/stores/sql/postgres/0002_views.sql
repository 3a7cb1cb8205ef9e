-- For ordinary SQL.

CREATE VIEW llm_audit_attempts AS
SELECT
    request_id,
    timestamp,
    user_id,
    model,
    action,
    system_prompt_hash,
    input_tokens,
    output_tokens,
    thinking_tokens,
    latency_us * 0.001 AS latency_ms,
    cost_nano * 0.000000001 AS cost_usd,
    status,
    error_message,
    sanitization_count,
    input_hash,
    output_hash,
    metadata::jsonb AS metadata,
    stored_at AS created_at
FROM audit_entries
WHERE kind = 'llm';

-- One row per call: its last attempt, with the cost of all of them. The conditions on attempt and call_id are those of
-- the index on later attempts; the first attempt carries the call's id as its own.
CREATE VIEW llm_audit_log AS
SELECT
    last.request_id,
    last.timestamp,
    last.user_id,
    last.model,
    last.action,
    last.system_prompt_hash,
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
    last.error_message,
    last.sanitization_count,
    last.input_hash,
    last.output_hash,
    last.metadata::jsonb AS metadata,
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
