-- What relying parties have to know: each change in who may pass, in the transaction that makes it.
-- The newest row is never forgotten, so that a number is never given twice.

CREATE TABLE trust_change (
    seq INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    change INTEGER NOT NULL CHECK (change BETWEEN 1 AND 4),
    device_id BLOB CHECK (length(device_id) = 16), -- NULL: of a model
    model TEXT NOT NULL,
    state INTEGER NOT NULL DEFAULT 0, -- 0: gone, or of a model
    was_state INTEGER NOT NULL DEFAULT 0,
    verdict INTEGER NOT NULL DEFAULT 0,
    was_verdict INTEGER NOT NULL DEFAULT 0,
    tier INTEGER NOT NULL DEFAULT 0,
    was_tier INTEGER NOT NULL DEFAULT 0,
    serial BLOB CHECK (length(serial) = 16), -- NULL, and what follows: no credential
    sha256 BLOB CHECK (length(sha256) = 32),
    authority TEXT NOT NULL DEFAULT '',
    segment TEXT NOT NULL DEFAULT '',
    not_before INTEGER NOT NULL DEFAULT 0,
    not_after INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT ''
) STRICT;

-- A device that was only announced (state 5) is unknown to decisions.
CREATE TRIGGER trust_device_in AFTER INSERT ON device WHEN new.state <> 5 BEGIN
    INSERT INTO trust_change (time_ms, change, device_id, model, state, verdict, tier)
        VALUES (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), 1, new.id, new.model,
            new.state, new.verdict, new.tier);
END;
CREATE TRIGGER trust_device_over AFTER UPDATE OF model, state, verdict, tier ON device
WHEN (old.model, old.state, old.verdict, old.tier) <> (new.model, new.state, new.verdict, new.tier)
BEGIN
    INSERT INTO trust_change (time_ms, change, device_id, model, state, was_state, verdict,
            was_verdict, tier, was_tier)
        VALUES (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), 1, new.id, new.model,
            new.state, old.state, new.verdict, old.verdict, new.tier, old.tier);
END;
CREATE TRIGGER trust_device_out AFTER DELETE ON device WHEN old.state <> 5 BEGIN
    INSERT INTO trust_change (time_ms, change, device_id, model, was_state, was_verdict, was_tier)
        VALUES (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), 1, old.id, old.model,
            old.state, old.verdict, old.tier);
END;

CREATE TRIGGER trust_credential_in AFTER INSERT ON credential WHEN new.revoked = 0 BEGIN
    INSERT INTO trust_change (time_ms, change, device_id, model, state, verdict, tier, serial,
            sha256, segment, not_before, not_after)
        SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), 2, id, model, state,
            verdict, tier, new.serial, new.sha256, new.segment, new.not_before, new.not_after
        FROM device WHERE id = new.device_id;
END;
-- What had expired when it was revoked let nobody in any more.
CREATE TRIGGER trust_credential_revoked AFTER UPDATE OF revoked ON credential
WHEN old.revoked = 0 AND new.revoked <> 0 AND new.not_after > new.revoked
BEGIN
    INSERT INTO trust_change (time_ms, change, device_id, model, state, verdict, tier, serial,
            sha256, segment, not_before, not_after, reason)
        SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), 3, id, model, state,
            verdict, tier, new.serial, new.sha256, new.segment, new.not_before, new.not_after,
            new.reason
        FROM device WHERE id = new.device_id;
END;

CREATE TRIGGER trust_model_over
AFTER UPDATE OF credential_tier, segment_identified, segment_verified_boot, segment_measured ON model
WHEN (old.credential_tier, old.segment_identified, old.segment_verified_boot, old.segment_measured)
    <> (new.credential_tier, new.segment_identified, new.segment_verified_boot, new.segment_measured)
BEGIN
    INSERT INTO trust_change (time_ms, change, model)
        VALUES (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), 4, new.name);
END;
