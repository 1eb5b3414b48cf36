-- What the latest appraisal says in AR4SI's words, packed (server/appraisal/trustworthiness.h). Of devices
-- that were appraised before nothing is claimed until their next evidence.
ALTER TABLE device ADD COLUMN trustworthiness INTEGER NOT NULL DEFAULT 0;
