-- Prompts and answers under lock, for entries that keep them; their commitments lie among the entries' salts.
CREATE TABLE audit_content (
    leaf_index bigint PRIMARY KEY,
    key_id text NOT NULL,
    salt bytea NOT NULL,
    sealed bytea NOT NULL
);

CREATE INDEX audit_content_key ON audit_content (key_id);

-- The keys that content is under, one for each person and month of a writer, wrapped by a key-encryption key.
CREATE TABLE audit_data_keys (
    key_id text PRIMARY KEY,
    wrapped_by text NOT NULL,
    wrapped bytea NOT NULL
);
