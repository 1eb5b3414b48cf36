-- The audit log as a hash chain, its signed checkpoints, and how far it was pruned.

ALTER TABLE audit ADD COLUMN hash BLOB CHECK (length(hash) = 32); -- NULL: older than the chain
CREATE INDEX audit_by_object ON audit (object);
CREATE INDEX audit_by_time ON audit (time_ms);

CREATE TABLE audit_checkpoint (
    seq INTEGER PRIMARY KEY, -- of the entry that it vouches for, and with it for all before
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    time INTEGER NOT NULL,
    trust_domain TEXT NOT NULL,
    authority BLOB NOT NULL CHECK (length(authority) = 32), -- SHA-256 of its certificate
    signature BLOB NOT NULL
) STRICT;

CREATE TABLE audit_prune (
    through_seq INTEGER PRIMARY KEY, -- of a checkpoint; entries up to it may go
    time_ms INTEGER NOT NULL
) STRICT;

DROP TRIGGER audit_is_not_altered;
DROP TRIGGER audit_is_not_shortened;

CREATE TRIGGER audit_has_no_gaps BEFORE INSERT ON audit
WHEN NEW.hash IS NULL OR NEW.seq <> 1 + coalesce((SELECT max(seq) FROM audit), 0) BEGIN
    SELECT raise(ABORT, 'the audit log only grows');
END;
CREATE TRIGGER audit_is_not_altered BEFORE UPDATE ON audit
WHEN OLD.hash IS NOT NULL OR NEW.hash IS NULL OR NEW.seq <> OLD.seq OR NEW.time_ms <> OLD.time_ms
    OR NEW.actor <> OLD.actor OR NEW.action <> OLD.action OR NEW.object <> OLD.object
    OR NEW.before <> OLD.before OR NEW.after <> OLD.after OR NEW.request_id <> OLD.request_id BEGIN
    SELECT raise(ABORT, 'the audit log only grows');
END;
CREATE TRIGGER audit_is_not_shortened BEFORE DELETE ON audit
WHEN OLD.seq > coalesce((SELECT max(through_seq) FROM audit_prune), 0)
    OR EXISTS (SELECT 1 FROM audit WHERE seq < OLD.seq) BEGIN
    SELECT raise(ABORT, 'the audit log is pruned from its beginning, up to a checkpoint');
END;

CREATE TRIGGER audit_checkpoint_is_of_the_chain BEFORE INSERT ON audit_checkpoint
WHEN NEW.seq <= coalesce((SELECT max(seq) FROM audit_checkpoint), 0)
    OR NOT EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq AND hash = NEW.hash) BEGIN
    SELECT raise(ABORT, 'no such entry to vouch for');
END;
CREATE TRIGGER audit_checkpoint_is_not_altered BEFORE UPDATE ON audit_checkpoint BEGIN
    SELECT raise(ABORT, 'checkpoints are not altered');
END;
CREATE TRIGGER audit_checkpoint_stays BEFORE DELETE ON audit_checkpoint
WHEN OLD.seq >= coalesce((SELECT max(through_seq) FROM audit_prune), 0) BEGIN
    SELECT raise(ABORT, 'the checkpoint that the log begins after stays');
END;

CREATE TRIGGER audit_prune_ends_at_a_checkpoint BEFORE INSERT ON audit_prune
WHEN NEW.through_seq <= coalesce((SELECT max(through_seq) FROM audit_prune), 0)
    OR NOT EXISTS (SELECT 1 FROM audit_checkpoint WHERE seq = NEW.through_seq) BEGIN
    SELECT raise(ABORT, 'no such checkpoint to prune up to');
END;
CREATE TRIGGER audit_prune_is_not_altered BEFORE UPDATE ON audit_prune BEGIN
    SELECT raise(ABORT, 'what was pruned stays known');
END;
CREATE TRIGGER audit_prune_stays BEFORE DELETE ON audit_prune BEGIN
    SELECT raise(ABORT, 'what was pruned stays known');
END;
