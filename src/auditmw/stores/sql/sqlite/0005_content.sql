-- Prompts and answers under lock, for entries that keep them; their commitments lie among the entries' salts.
CREATE TABLE audit_content (
    leaf_index INTEGER PRIMARY KEY,
    key_id TEXT NOT NULL,
    salt BLOB NOT NULL,
    sealed BLOB NOT NULL
) STRICT;

CREATE INDEX audit_content_key ON audit_content (key_id);

-- The keys that content is under, one for each person and month of a writer, wrapped by a key-encryption key.
CREATE TABLE audit_data_keys (
    key_id TEXT PRIMARY KEY,
    wrapped_by TEXT NOT NULL,
    wrapped BLOB NOT NULL
) STRICT;
