-- Platform keys that nobody may trust, who may sign a model's baselines, and what they signed.

CREATE TABLE leaked_key (
    sha256 BLOB PRIMARY KEY CHECK (length(sha256) = 32),
    subject TEXT NOT NULL, -- '': not known
    source TEXT NOT NULL,
    added INTEGER NOT NULL,
    added_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE baseline_signer (
    model TEXT NOT NULL REFERENCES model (name) ON DELETE CASCADE,
    key_sha256 BLOB NOT NULL CHECK (length(key_sha256) = 32),
    name TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    added INTEGER NOT NULL,
    added_by TEXT NOT NULL,
    public_key BLOB NOT NULL,
    PRIMARY KEY (model, key_sha256)
) STRICT, WITHOUT ROWID;

CREATE TABLE baseline_signature (
    baseline BLOB NOT NULL REFERENCES baseline (id) ON DELETE CASCADE,
    key_sha256 BLOB NOT NULL CHECK (length(key_sha256) = 32),
    document_sha256 BLOB NOT NULL CHECK (length(document_sha256) = 32),
    added INTEGER NOT NULL,
    added_by TEXT NOT NULL,
    signature BLOB NOT NULL,
    PRIMARY KEY (baseline, key_sha256)
) STRICT, WITHOUT ROWID;
