-- One finding that one device may have until it ends, as another operator approved it; and which
-- credentials were given by exceptions: their ids, one after another.

CREATE TABLE exception (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    device_id BLOB NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    appraisal_id BLOB NOT NULL CHECK (length(appraisal_id) = 16), -- whose finding it was; it may be gone
    state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 3),
    code TEXT NOT NULL,
    rule TEXT NOT NULL,
    pcr INTEGER NOT NULL, -- -1: none
    until INTEGER NOT NULL,
    reason TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    approved_by TEXT NOT NULL,
    ended_by TEXT NOT NULL,
    created INTEGER NOT NULL,
    approved INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    in_use INTEGER NOT NULL CHECK (in_use IN (0, 1)), -- the latest trusted appraisal needed it
    found BLOB -- text; NULL: the finding has none
) STRICT;
CREATE INDEX exception_by_device ON exception (device_id, id);
CREATE INDEX exception_by_end ON exception (until) WHERE state = 2;

ALTER TABLE credential ADD COLUMN exceptions TEXT NOT NULL DEFAULT '';
