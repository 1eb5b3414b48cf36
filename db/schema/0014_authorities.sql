-- Who signed a credential, 16 hex digits of the authority's id; '': issued before this was kept. What is
-- revoked is found by it, for the lists of what is revoked, without a look at all the others.
ALTER TABLE credential ADD COLUMN
    authority TEXT NOT NULL DEFAULT '' CHECK (length(authority) IN (0, 16));
CREATE INDEX credential_revoked ON credential (authority, serial, not_after, revoked, reason)
    WHERE revoked <> 0;

-- Changes of trust say it too.
DROP TRIGGER trust_credential_in;
CREATE TRIGGER trust_credential_in AFTER INSERT ON credential WHEN new.revoked = 0 BEGIN
    INSERT INTO trust_change (time_ms, change, device_id, model, state, verdict, tier, serial,
            sha256, authority, segment, not_before, not_after)
        SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), 2, id, model, state,
            verdict, tier, new.serial, new.sha256, new.authority, new.segment, new.not_before,
            new.not_after
        FROM device WHERE id = new.device_id;
END;
DROP TRIGGER trust_credential_revoked;
CREATE TRIGGER trust_credential_revoked AFTER UPDATE OF revoked ON credential
WHEN old.revoked = 0 AND new.revoked <> 0 AND new.not_after > new.revoked
BEGIN
    INSERT INTO trust_change (time_ms, change, device_id, model, state, verdict, tier, serial,
            sha256, authority, segment, not_before, not_after, reason)
        SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), 3, id, model, state,
            verdict, tier, new.serial, new.sha256, new.authority, new.segment, new.not_before,
            new.not_after, new.reason
        FROM device WHERE id = new.device_id;
END;
