-- Operators have one to four certificates each, so that one can be replaced while the other is in
-- use; what two people have to agree on waits in `approval`.

ALTER TABLE operator RENAME TO operator_1;
CREATE TABLE operator (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    disabled INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO operator (name, role, disabled, created, updated)
    SELECT name, role, disabled, created, updated FROM operator_1;

CREATE TABLE operator_certificate (
    sha256 BLOB PRIMARY KEY CHECK (length(sha256) = 32),
    operator TEXT NOT NULL REFERENCES operator (name) ON DELETE CASCADE,
    subject TEXT NOT NULL, -- '': only the digest is known
    not_after INTEGER NOT NULL, -- 0: not known
    added INTEGER NOT NULL,
    added_by TEXT NOT NULL -- '': it was there before this was kept
) STRICT, WITHOUT ROWID;
CREATE INDEX operator_certificate_by_operator ON operator_certificate (operator, added, sha256);
INSERT INTO operator_certificate (sha256, operator, subject, not_after, added, added_by)
    SELECT certificate_sha256, name, '', 0, created, '' FROM operator_1;
DROP TABLE operator_1;

-- Who changed the document last; '' while it is as it was created.
ALTER TABLE baseline ADD COLUMN updated_by TEXT NOT NULL DEFAULT '';

CREATE TABLE approval (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 3),
    rule TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    query TEXT NOT NULL,
    proposed_by TEXT NOT NULL,
    decided_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    decided INTEGER NOT NULL,
    body BLOB NOT NULL -- last: a list need not read past it
) STRICT;
CREATE INDEX approval_by_expiry ON approval (expires);
