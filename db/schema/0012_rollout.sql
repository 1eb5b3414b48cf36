-- How a baseline reaches its fleet ring by ring; and which devices of the open ring were seen, so that
-- devices count and not their attempts.

CREATE TABLE baseline_rollout (
    baseline BLOB PRIMARY KEY REFERENCES baseline (id) ON DELETE CASCADE,
    state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 5),
    ring INTEGER NOT NULL,
    opened INTEGER NOT NULL,
    run INTEGER NOT NULL, -- counts the times that counters began anew
    max_failure_percent INTEGER NOT NULL,
    min_appraisals INTEGER NOT NULL,
    min_s INTEGER NOT NULL,
    appraised INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    reason TEXT NOT NULL,
    percents BLOB NOT NULL CHECK (length(percents) BETWEEN 1 AND 17), -- a byte a ring; 0: the named devices alone
    devices BLOB NOT NULL CHECK (length(devices) % 16 = 0) -- ids, ascending
) STRICT;
CREATE INDEX baseline_rollout_by_state ON baseline_rollout (state, opened);

CREATE TABLE rollout_seen (
    baseline BLOB NOT NULL REFERENCES baseline_rollout (baseline) ON DELETE CASCADE,
    device BLOB NOT NULL,
    run INTEGER NOT NULL,
    outcome INTEGER NOT NULL CHECK (outcome BETWEEN 0 AND 2),
    PRIMARY KEY (baseline, device)
) STRICT, WITHOUT ROWID;
