-- What devices booted. Events are kept once for all logs, logs once for all boot states, boot states
-- once for all devices; rows refer to one another by number. Digests are looked up by their first
-- bytes: an index a quarter of the size.

-- Pieces of logs are looked up by a keyed hash, so that no device can make up events that meet.
CREATE TABLE log_piece_key (
    num INTEGER PRIMARY KEY CHECK (num = 1),
    hash_key BLOB NOT NULL CHECK (length(hash_key) = 16)
) STRICT;
INSERT INTO log_piece_key VALUES (1, randomblob(16));

-- Which logs hold a piece is not counted: what no log holds is found by a walk over all logs, now
-- and then.
CREATE TABLE log_piece (
    num INTEGER PRIMARY KEY,
    hash INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;
CREATE INDEX log_piece_by_hash ON log_piece (hash);

CREATE TABLE boot_log (
    num INTEGER PRIMARY KEY,
    refs INTEGER NOT NULL CHECK (refs >= 0), -- boot states
    size INTEGER NOT NULL,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    pieces BLOB NOT NULL -- runs of numbers of log_piece
) STRICT;
CREATE INDEX boot_log_by_sha256 ON boot_log (substr(sha256, 1, 8));
CREATE INDEX boot_log_unused ON boot_log (num) WHERE refs = 0;

CREATE TABLE boot_state (
    num INTEGER PRIMARY KEY,
    refs INTEGER NOT NULL CHECK (refs >= 0), -- by device_boot, twice, and device_boot_past
    log INTEGER, -- boot_log; NULL: none
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    form BLOB NOT NULL
) STRICT;
CREATE INDEX boot_state_by_sha256 ON boot_state (substr(sha256, 1, 8));
CREATE INDEX boot_state_unused ON boot_state (num) WHERE refs = 0;

CREATE TABLE device_boot (
    device INTEGER PRIMARY KEY REFERENCES device (num) ON DELETE CASCADE,
    boot_state INTEGER NOT NULL, -- boot_state, as are those that follow
    trusted INTEGER, -- NULL: none
    since INTEGER NOT NULL
) STRICT;

-- Boot states that a device left and that appraisals of it refer to.
CREATE TABLE device_boot_past (
    device INTEGER NOT NULL REFERENCES device (num) ON DELETE CASCADE,
    boot_state INTEGER NOT NULL,
    PRIMARY KEY (device, boot_state)
) STRICT, WITHOUT ROWID;

-- NULL: evidence that did not verify, or from before boot states were kept.
ALTER TABLE appraisal ADD COLUMN boot_state INTEGER;

CREATE TRIGGER boot_state_counted_in AFTER INSERT ON boot_state WHEN new.log IS NOT NULL BEGIN
    UPDATE boot_log SET refs = refs + 1 WHERE num = new.log;
END;
CREATE TRIGGER boot_state_counted_out AFTER DELETE ON boot_state WHEN old.log IS NOT NULL BEGIN
    UPDATE boot_log SET refs = refs - 1 WHERE num = old.log;
END;
CREATE TRIGGER boot_state_in_use_stays BEFORE DELETE ON boot_state WHEN old.refs > 0 BEGIN
    SELECT raise(ABORT, 'the boot state is in use');
END;
CREATE TRIGGER boot_log_in_use_stays BEFORE DELETE ON boot_log WHEN old.refs > 0 BEGIN
    SELECT raise(ABORT, 'the log is in use');
END;

CREATE TRIGGER device_boot_counted_in AFTER INSERT ON device_boot BEGIN
    UPDATE boot_state SET refs = refs + 1 WHERE num = new.boot_state;
    UPDATE boot_state SET refs = refs + 1 WHERE num = new.trusted;
END;
CREATE TRIGGER device_boot_counted_out AFTER DELETE ON device_boot BEGIN
    UPDATE boot_state SET refs = refs - 1 WHERE num = old.boot_state;
    UPDATE boot_state SET refs = refs - 1 WHERE num = old.trusted;
END;
CREATE TRIGGER device_boot_counted_over AFTER UPDATE OF boot_state, trusted ON device_boot BEGIN
    UPDATE boot_state SET refs = refs + 1 WHERE num = new.boot_state;
    UPDATE boot_state SET refs = refs + 1 WHERE num = new.trusted;
    UPDATE boot_state SET refs = refs - 1 WHERE num = old.boot_state;
    UPDATE boot_state SET refs = refs - 1 WHERE num = old.trusted;
    INSERT INTO device_boot_past (device, boot_state)
        SELECT old.device, old.boot_state WHERE EXISTS (SELECT 1 FROM appraisal
            WHERE device_id = (SELECT id FROM device WHERE num = old.device)
            AND boot_state = old.boot_state)
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER device_boot_past_counted_in AFTER INSERT ON device_boot_past BEGIN
    UPDATE boot_state SET refs = refs + 1 WHERE num = new.boot_state;
END;
CREATE TRIGGER device_boot_past_counted_out AFTER DELETE ON device_boot_past BEGIN
    UPDATE boot_state SET refs = refs - 1 WHERE num = old.boot_state;
END;
CREATE TRIGGER appraisal_leaves_its_boot_state AFTER DELETE ON appraisal
WHEN old.boot_state IS NOT NULL BEGIN
    DELETE FROM device_boot_past
        WHERE device = (SELECT num FROM device WHERE id = old.device_id)
        AND boot_state = old.boot_state
        AND NOT EXISTS (SELECT 1 FROM appraisal
            WHERE device_id = old.device_id AND boot_state = old.boot_state);
END;
