-- Which tier earns a credential of a model, and which network segment each tier gets ('': none).
-- What was given for which stands with every appraisal and credential.

ALTER TABLE model ADD COLUMN
    credential_tier INTEGER NOT NULL DEFAULT 3 CHECK (credential_tier BETWEEN 1 AND 3);
ALTER TABLE model ADD COLUMN segment_identified TEXT NOT NULL DEFAULT '';
ALTER TABLE model ADD COLUMN segment_verified_boot TEXT NOT NULL DEFAULT '';
ALTER TABLE model ADD COLUMN segment_measured TEXT NOT NULL DEFAULT '';

ALTER TABLE appraisal ADD COLUMN segment TEXT NOT NULL DEFAULT '';

-- What was issued before there were tiers was for a quote that met a baseline, whatever that stated.
ALTER TABLE credential ADD COLUMN tier INTEGER NOT NULL DEFAULT 3 CHECK (tier BETWEEN 0 AND 3);
ALTER TABLE credential ADD COLUMN segment TEXT NOT NULL DEFAULT '';
