-- Jobs that hold a change of policy against what devices booted, and what they found of a device.

CREATE TABLE reappraisal (
    num INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    model TEXT NOT NULL, -- '': every model
    cause TEXT NOT NULL,
    baseline_id BLOB CHECK (length(baseline_id) = 16), -- NULL: none
    enforce INTEGER NOT NULL CHECK (enforce IN (1, 2)),
    state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 4),
    requested_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    created INTEGER NOT NULL,
    started INTEGER NOT NULL, -- 0: not yet
    ended INTEGER NOT NULL,   -- 0: not yet
    cursor_model TEXT NOT NULL,
    cursor BLOB CHECK (length(cursor) = 16), -- the last device done; NULL: none of this model
    judged INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    now_trusted INTEGER NOT NULL,
    now_untrusted INTEGER NOT NULL,
    credentials_revoked INTEGER NOT NULL,
    superseded INTEGER NOT NULL,
    without_facts INTEGER NOT NULL,
    damaged INTEGER NOT NULL
) STRICT;
CREATE INDEX reappraisal_unfinished ON reappraisal (enforce DESC, num) WHERE state IN (1, 2);

CREATE INDEX reappraisal_ended ON reappraisal (ended) WHERE state IN (3, 4);

-- The latest finding on a device; it stands as long as the device's appraisal is the one named here.
CREATE TABLE device_reappraisal (
    device INTEGER PRIMARY KEY REFERENCES device (num) ON DELETE CASCADE,
    job_id BLOB NOT NULL CHECK (length(job_id) = 16),
    appraisal_id BLOB NOT NULL CHECK (length(appraisal_id) = 16), -- its record
    of_appraisal_id BLOB NOT NULL CHECK (length(of_appraisal_id) = 16),
    baseline_id BLOB CHECK (length(baseline_id) = 16), -- NULL: none
    verdict INTEGER NOT NULL CHECK (verdict BETWEEN 0 AND 3),
    tier INTEGER NOT NULL CHECK (tier BETWEEN 0 AND 255),
    created_ms INTEGER NOT NULL
) STRICT;

ALTER TABLE appraisal ADD COLUMN
    reappraisal_id BLOB CHECK (length(reappraisal_id) = 16); -- NULL: of evidence that came in
