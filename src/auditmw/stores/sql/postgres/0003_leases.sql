-- What one process at a time may do: who may now, and until when.
CREATE TABLE audit_leases (
    name text PRIMARY KEY,
    owner text NOT NULL,
    expires timestamptz NOT NULL
);
