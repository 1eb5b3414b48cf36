-- Ids, serials and digests are raw bytes; times are unix seconds unless named _ms. What every
-- request touches is kept small and apart from what is rarely read; every query that a request
-- makes is served by an index.

CREATE TABLE model (
    name TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    pcr_selection TEXT NOT NULL,
    credential_lifetime_s INTEGER NOT NULL,
    enrolment TEXT NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE baseline (
    num INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    model TEXT NOT NULL REFERENCES model (name),
    label TEXT NOT NULL,
    state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 7),
    document_sha256 BLOB NOT NULL CHECK (length(document_sha256) = 32),
    created_by TEXT NOT NULL,
    activated_by TEXT NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    activated INTEGER NOT NULL,
    retired INTEGER NOT NULL,
    version INTEGER NOT NULL,
    document BLOB NOT NULL -- last: a list need not read past it
) STRICT;
CREATE INDEX baseline_by_model ON baseline (model, id);
CREATE INDEX baseline_in_force ON baseline (activated, id) WHERE state IN (4, 5);

CREATE TABLE enrollment (
    num INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    device_id BLOB NOT NULL CHECK (length(device_id) = 16),
    model TEXT NOT NULL REFERENCES model (name) ON DELETE CASCADE,
    address TEXT NOT NULL,
    secret_sha256 BLOB NOT NULL CHECK (length(secret_sha256) = 32),
    ek_public BLOB NOT NULL,
    ak_public BLOB NOT NULL,
    ek_certificate BLOB NOT NULL,
    csr_spki BLOB NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT;
CREATE INDEX enrollment_by_address ON enrollment (address);
CREATE INDEX enrollment_by_expiry ON enrollment (expires);
CREATE INDEX enrollment_by_model ON enrollment (model);

CREATE TABLE device (
    num INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    model TEXT NOT NULL REFERENCES model (name),
    state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 4),
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
    note TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX device_by_identity ON device (identity_sha256) WHERE identity_sha256 IS NOT NULL;
CREATE INDEX device_by_standing ON device (model, state, verdict, tier, last_seen);
CREATE INDEX device_by_model ON device (model, id);
-- The few that an administrator looks for among the many that are as they should be.
CREATE INDEX device_by_state ON device (state, id) WHERE state <> 1;
CREATE INDEX device_by_verdict ON device (verdict, id) WHERE verdict <> 1;

-- A key's last bytes tell it from nearly all others, in an index a tenth of the size.
CREATE TABLE device_key (
    device INTEGER PRIMARY KEY REFERENCES device (num) ON DELETE CASCADE,
    ek_public BLOB NOT NULL,
    ak_public BLOB NOT NULL,
    ek_certificate BLOB NOT NULL
) STRICT;
CREATE INDEX device_key_by_ek ON device_key (substr(ek_public, -16));
CREATE INDEX device_key_by_ak ON device_key (substr(ak_public, -16));

-- How many devices stand where: kept along, so that asking does not count a million rows.
CREATE TABLE device_count (
    model TEXT NOT NULL,
    state INTEGER NOT NULL,
    verdict INTEGER NOT NULL,
    tier INTEGER NOT NULL,
    num INTEGER NOT NULL,
    PRIMARY KEY (model, state, verdict, tier)
) STRICT, WITHOUT ROWID;
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

CREATE TABLE appraisal (
    num INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    device_id BLOB NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    model TEXT NOT NULL,
    baseline_id BLOB CHECK (length(baseline_id) = 16), -- NULL: none
    verdict INTEGER NOT NULL,
    tier INTEGER NOT NULL,
    failure TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    findings BLOB NOT NULL,
    facts BLOB NOT NULL
) STRICT;
CREATE INDEX appraisal_by_device ON appraisal (device_id, id);

CREATE TABLE credential (
    serial BLOB PRIMARY KEY CHECK (length(serial) = 16),
    device_id BLOB NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    appraisal_id BLOB CHECK (length(appraisal_id) = 16), -- NULL: none
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    not_before INTEGER NOT NULL,
    not_after INTEGER NOT NULL,
    revoked INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX credential_by_device ON credential (device_id);
CREATE INDEX credential_by_expiry ON credential (not_after);

CREATE TABLE operator (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    certificate_sha256 BLOB NOT NULL UNIQUE CHECK (length(certificate_sha256) = 32),
    disabled INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE proxy (
    name TEXT PRIMARY KEY,
    dialect TEXT NOT NULL,
    certificate_sha256 BLOB NOT NULL UNIQUE CHECK (length(certificate_sha256) = 32),
    disabled INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    before BLOB NOT NULL,
    after BLOB NOT NULL,
    request_id TEXT NOT NULL
) STRICT;
CREATE TRIGGER audit_is_not_altered BEFORE UPDATE ON audit BEGIN
    SELECT raise(ABORT, 'the audit log only grows');
END;
CREATE TRIGGER audit_is_not_shortened BEFORE DELETE ON audit BEGIN
    SELECT raise(ABORT, 'the audit log only grows');
END;
