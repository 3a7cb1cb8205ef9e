-- Run by the owner of the trail, who may create roles (`auditmw migrate --roles`), and by itself after each upgrade; then
-- GRANT audit_writer TO the application's login, and audit_reader TO those who may read everything.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'audit_writer') THEN
        CREATE ROLE audit_writer NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'audit_reader') THEN
        CREATE ROLE audit_reader NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- made by somebody else just now
END
$$;

-- Appends entries and moves the heads, and changes nothing that is stored.
GRANT INSERT ON audit_entries, audit_batches, audit_tiles, audit_checkpoints, audit_content, audit_data_keys
TO audit_writer;
GRANT SELECT ON audit_schema, audit_trail, audit_writers, audit_batches, audit_tiles, audit_checkpoints, audit_settings
TO audit_writer;
GRANT UPDATE (size, frontier, stored_at, key_id) ON audit_trail TO audit_writer;
GRANT INSERT (writer, last_seq), UPDATE (last_seq) ON audit_writers TO audit_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON audit_leases TO audit_writer;

-- Of entries it sees what rollups are made of, and ids, by which a recovery tells what is stored already: never sessions,
-- subjects, digests, messages or metadata. Rollups are made anew from the entries at any time, and prove nothing.
GRANT SELECT (
    request_id, call_id, attempt, kind, status, error_type, timestamp, tenant, user_id, restricted, model, latency_us,
    ttft_us, input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, output_tokens,
    thinking_tokens, cost_nano, cost_status, unit_prices, sanitization_count, stored_at, writer_id, seq
) ON audit_entries TO audit_writer;
GRANT SELECT, UPDATE (watermark) ON audit_rollup TO audit_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON audit_rollup_day, audit_rollup_user, audit_rollup_hour, audit_rollup_ending,
    audit_rollup_week
TO audit_writer;

-- Of settings it may write one alone: a policy on the table says which.
GRANT INSERT, UPDATE (value) ON audit_settings TO audit_writer;

GRANT SELECT ON
    audit_schema, audit_trail, audit_writers, audit_entries, audit_batches, audit_tiles, audit_checkpoints,
    audit_settings, audit_content, audit_rollup, audit_rollup_day, audit_rollup_user, audit_rollup_hour,
    audit_rollup_ending, audit_rollup_week, llm_audit_log, llm_audit_attempts
TO audit_reader;
