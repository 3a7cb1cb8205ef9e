-- What one process at a time may do: who may now, and until when.
CREATE TABLE audit_leases (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    expires_us INTEGER NOT NULL
) STRICT;
