-- The way of a baseline from draft to retired: who submitted and approved it, when it is to come into
-- force and what it replaces then, and until when it is still accepted once deprecated. Made anew, so
-- that the document stays last; foreign keys are off meanwhile, and checked before the commit.

CREATE TABLE baseline_next (
    num INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    model TEXT NOT NULL REFERENCES model (name),
    label TEXT NOT NULL,
    state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 7),
    document_sha256 BLOB NOT NULL CHECK (length(document_sha256) = 32),
    created_by TEXT NOT NULL,
    updated_by TEXT NOT NULL, -- '' while the document is as it was created
    activated_by TEXT NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    activated INTEGER NOT NULL,
    retired INTEGER NOT NULL,
    version INTEGER NOT NULL,
    submitted_by TEXT NOT NULL,
    approved_by TEXT NOT NULL,
    submitted INTEGER NOT NULL,
    approved INTEGER NOT NULL,
    activate_at INTEGER NOT NULL, -- 0: not
    grace_until INTEGER NOT NULL, -- 0: until somebody retires it
    replace_grace_s INTEGER NOT NULL,
    note TEXT NOT NULL,
    replaces BLOB NOT NULL CHECK (length(replaces) % 16 = 0), -- ids
    document BLOB NOT NULL -- last: a list need not read past it
) STRICT;
INSERT INTO baseline_next
    SELECT num, id, model, label, state, document_sha256, created_by, updated_by, activated_by,
        created, updated, activated, retired, version, '', '', 0, 0, 0, 0, 0, '', x'', document
    FROM baseline;
DROP TABLE baseline;
ALTER TABLE baseline_next RENAME TO baseline;
CREATE INDEX baseline_by_model ON baseline (model, id);
CREATE INDEX baseline_in_force ON baseline (activated, id) WHERE state IN (4, 5);
CREATE INDEX baseline_by_activate_at ON baseline (activate_at, id) WHERE activate_at <> 0;
CREATE INDEX baseline_by_grace ON baseline (grace_until, id) WHERE grace_until <> 0;

-- Everybody who wrote or changed the document: none of them approves it.
CREATE TABLE baseline_writer (
    baseline BLOB NOT NULL REFERENCES baseline (id) ON DELETE CASCADE,
    operator TEXT NOT NULL,
    PRIMARY KEY (baseline, operator)
) STRICT, WITHOUT ROWID;
INSERT INTO baseline_writer (baseline, operator)
    SELECT id, created_by FROM baseline UNION SELECT id, updated_by FROM baseline WHERE updated_by <> '';
