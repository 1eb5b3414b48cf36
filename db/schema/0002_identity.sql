-- Enrolment policy, trust anchors by model, factory identities, announced devices, re-enrolment, and
-- how well keys are guarded. Tables whose constraints change are made anew; foreign keys are off
-- meanwhile, and checked before the commit.

CREATE TABLE model_next (
    name TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    pcr_selection TEXT NOT NULL,
    credential_lifetime_s INTEGER NOT NULL,
    enrolment TEXT NOT NULL CHECK (enrolment IN ('open', 'approval', 'closed')),
    key_protection INTEGER NOT NULL CHECK (key_protection IN (0, 1)),
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO model_next
    SELECT name, description, pcr_selection, credential_lifetime_s, enrolment, 0, created, updated,
        version FROM model;
DROP TABLE model;
ALTER TABLE model_next RENAME TO model;

CREATE TABLE anchor (
    num INTEGER PRIMARY KEY,
    model TEXT NOT NULL REFERENCES model (name) ON DELETE CASCADE,
    purpose INTEGER NOT NULL CHECK (purpose IN (1, 2)),
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    is_anchor INTEGER NOT NULL CHECK (is_anchor IN (0, 1)),
    subject TEXT NOT NULL,
    not_after INTEGER NOT NULL,
    added INTEGER NOT NULL,
    added_by TEXT NOT NULL,
    der BLOB NOT NULL,
    UNIQUE (model, purpose, sha256)
) STRICT;

-- An enrolment under way lives for minutes, and lacks a nonce: who is at it begins again.
DROP TABLE enrollment;
CREATE TABLE enrollment (
    num INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    device_id BLOB NOT NULL CHECK (length(device_id) = 16),
    model TEXT NOT NULL REFERENCES model (name) ON DELETE CASCADE,
    address TEXT NOT NULL,
    state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 3),
    key_protection INTEGER NOT NULL CHECK (key_protection IN (0, 1)),
    nonce BLOB NOT NULL CHECK (length(nonce) = 32),
    secret_sha256 BLOB NOT NULL CHECK (length(secret_sha256) = 32),
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    ek_public BLOB NOT NULL,
    ak_public BLOB NOT NULL,
    ek_certificate BLOB NOT NULL,
    csr_spki BLOB NOT NULL,
    certificate BLOB NOT NULL
) STRICT;
-- What is limited is who has a secret out and has not brought it back.
CREATE INDEX enrollment_begun_by_address ON enrollment (address) WHERE state = 1;
CREATE INDEX enrollment_by_device ON enrollment (device_id);
CREATE INDEX enrollment_by_expiry ON enrollment (expires);
CREATE INDEX enrollment_by_model ON enrollment (model);

CREATE TABLE device_next (
    num INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    model TEXT NOT NULL REFERENCES model (name),
    state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 5),
    verdict INTEGER NOT NULL CHECK (verdict BETWEEN 0 AND 3),
    tier INTEGER NOT NULL CHECK (tier BETWEEN 0 AND 255),
    appraisal_id BLOB CHECK (length(appraisal_id) = 16), -- NULL: none
    tpm_reset_count INTEGER, -- NULL, all three: no quote yet
    tpm_restart_count INTEGER,
    tpm_clock INTEGER,
    enrolled INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    identity_sha256 BLOB CHECK (length(identity_sha256) = 32), -- NULL: none
    identity_serial TEXT NOT NULL,
    identity_not_after INTEGER NOT NULL,
    identity_kind INTEGER NOT NULL CHECK (identity_kind IN (0, 1)),
    key_protection INTEGER NOT NULL CHECK (key_protection IN (0, 1)),
    idevid_sha256 BLOB CHECK (length(idevid_sha256) = 32), -- NULL: none
    idevid_serial TEXT NOT NULL,
    registration BLOB CHECK (length(registration) = 16), -- NULL: it was not announced
    note TEXT NOT NULL
) STRICT;
INSERT INTO device_next
    SELECT num, id, model, state, verdict, tier, appraisal_id, tpm_reset_count, tpm_restart_count,
        tpm_clock, enrolled, last_seen, updated, identity_sha256, identity_serial,
        identity_not_after, 0, 0, NULL, '', NULL, note FROM device;
DROP TABLE device; -- with its indexes and triggers
ALTER TABLE device_next RENAME TO device;
CREATE UNIQUE INDEX device_by_identity ON device (identity_sha256) WHERE identity_sha256 IS NOT NULL;
CREATE UNIQUE INDEX device_by_idevid ON device (idevid_sha256) WHERE idevid_sha256 IS NOT NULL;
CREATE INDEX device_by_standing ON device (model, state, verdict, tier, last_seen);
CREATE INDEX device_by_model ON device (model, id);
CREATE INDEX device_by_state ON device (state, id) WHERE state <> 1;
CREATE INDEX device_by_verdict ON device (verdict, id) WHERE verdict <> 1;
CREATE TRIGGER device_counted_in AFTER INSERT ON device BEGIN
    INSERT INTO device_count VALUES (new.model, new.state, new.verdict, new.tier, 1)
        ON CONFLICT DO UPDATE SET num = num + 1;
END;
CREATE TRIGGER device_counted_out AFTER DELETE ON device BEGIN
    UPDATE device_count SET num = num - 1
        WHERE (model, state, verdict, tier) = (old.model, old.state, old.verdict, old.tier);
END;
CREATE TRIGGER device_counted_over AFTER UPDATE OF model, state, verdict, tier ON device
WHEN (old.model, old.state, old.verdict, old.tier) <> (new.model, new.state, new.verdict, new.tier)
BEGIN
    UPDATE device_count SET num = num - 1
        WHERE (model, state, verdict, tier) = (old.model, old.state, old.verdict, old.tier);
    INSERT INTO device_count VALUES (new.model, new.state, new.verdict, new.tier, 1)
        ON CONFLICT DO UPDATE SET num = num + 1;
END;

-- A device that was only announced has no row in device_key. AKs that a device had before the one
-- it has: nobody may use them again, so that they outlive everything.
CREATE TABLE former_ak (
    device INTEGER NOT NULL REFERENCES device (num),
    ak_public BLOB NOT NULL,
    PRIMARY KEY (device, ak_public)
) STRICT, WITHOUT ROWID;
CREATE INDEX former_ak_by_ak ON former_ak (substr(ak_public, -16));

ALTER TABLE appraisal ADD COLUMN
    key_protection INTEGER NOT NULL DEFAULT 0 CHECK (key_protection IN (0, 1));
ALTER TABLE credential ADD COLUMN
    key_protection INTEGER NOT NULL DEFAULT 0 CHECK (key_protection IN (0, 1));
