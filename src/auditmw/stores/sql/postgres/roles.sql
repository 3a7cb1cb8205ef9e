-- Run once by the owner of the trail, who may create roles; then GRANT audit_writer TO the application's login, and
-- audit_reader TO those who may read everything.

DO $$
BEGIN
    CREATE ROLE audit_writer NOLOGIN;
EXCEPTION WHEN duplicate_object THEN NULL;
END
$$;

DO $$
BEGIN
    CREATE ROLE audit_reader NOLOGIN;
EXCEPTION WHEN duplicate_object THEN NULL;
END
$$;

-- Appends entries and moves the heads; it neither reads entries nor changes what is stored. Of entries it sees their ids
-- alone, by which a recovery tells what is stored already.
GRANT SELECT (request_id) ON audit_entries TO audit_writer;
GRANT INSERT ON audit_entries, audit_batches, audit_tiles, audit_checkpoints, audit_content, audit_data_keys
TO audit_writer;
GRANT SELECT ON audit_schema, audit_trail, audit_writers, audit_batches, audit_tiles, audit_checkpoints, audit_settings
TO audit_writer;
GRANT UPDATE (size, frontier, stored_at, key_id) ON audit_trail TO audit_writer;
GRANT INSERT (writer, last_seq), UPDATE (last_seq) ON audit_writers TO audit_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON audit_leases TO audit_writer;

GRANT SELECT ON
    audit_schema, audit_trail, audit_writers, audit_entries, audit_batches, audit_tiles, audit_checkpoints,
    audit_settings, audit_content, audit_rollup, audit_rollup_day, audit_rollup_user, audit_rollup_hour,
    audit_rollup_week, llm_audit_log, llm_audit_attempts
TO audit_reader;
