#include "db/sqlite/statements.h"

/* Columns in the order in which the readers of rows take them. */
#define MODEL_COLUMNS                                                                              \
    "name, description, pcr_selection, credential_lifetime_s, enrolment, key_protection, "         \
    "credential_tier, segment_identified, segment_verified_boot, segment_measured, created, "      \
    "updated, version"
#define LEAKED_KEY_COLUMNS      "sha256, subject, source, added, added_by"
#define BASELINE_SIGNER_COLUMNS "model, key_sha256, name, algorithm, added, added_by, public_key"
#define BASELINE_SIGNATURE_COLUMNS                                                                 \
    "baseline, key_sha256, document_sha256, added, added_by, signature"
#define ANCHOR_COLUMNS "model, purpose, sha256, is_anchor, subject, not_after, added, added_by, der"
#define BASELINE_COLUMNS                                                                           \
    "id, model, label, state, document_sha256, created_by, updated_by, activated_by, created, "    \
    "updated, activated, retired, version, submitted_by, approved_by, submitted, approved, "       \
    "activate_at, grace_until, replace_grace_s, note, replaces"
#define ENROLLMENT_COLUMNS                                                                         \
    "id, device_id, model, address, state, key_protection, nonce, secret_sha256, ek_public, "      \
    "ak_public, ek_certificate, csr_spki, certificate, created, expires"
#define DEVICE_COLUMNS                                                                             \
    "id, model, state, verdict, tier, appraisal_id, tpm_reset_count, tpm_restart_count, "          \
    "tpm_clock, enrolled, last_seen, updated, identity_sha256, identity_serial, "                  \
    "identity_not_after, identity_kind, key_protection, idevid_sha256, idevid_serial, "            \
    "registration, note, trustworthiness"
#define DEVICE_WITH_KEYS                                                                           \
    DEVICE_COLUMNS ", ek_public, ak_public, ek_certificate "                                       \
                   "FROM device LEFT JOIN device_key ON device_key.device = device.num "
#define DEVICE_FILTER                                                                              \
    " AND (?2 = '' OR model = ?2) AND (?3 = 0 OR state = ?3)"                                      \
    " AND (?4 < 0 OR verdict = ?4) AND (?5 < 0 OR tier = ?5) ORDER BY id LIMIT ?6"
#define NOT_THIS_DEVICE " AND device <> coalesce((SELECT num FROM device WHERE id = ?2), 0) LIMIT 1"
#define APPRAISAL_COLUMNS                                                                          \
    "id, device_id, model, baseline_id, verdict, tier, failure, created_ms, findings, facts, "     \
    "key_protection, segment, reappraisal_id"
#define APPRAISAL_READ                                                                             \
    APPRAISAL_COLUMNS                                                                              \
    ", (SELECT sha256 FROM boot_state WHERE boot_state.num = appraisal.boot_state) FROM "          \
    "appraisal "
#define SAME_SHA256 "substr(sha256, 1, 8) = substr(?1, 1, 8) AND sha256 = ?1"
#define REAPPRAISAL_COLUMNS                                                                        \
    "id, model, cause, baseline_id, enforce, state, requested_by, reason, created, started, "      \
    "ended, cursor_model, cursor, judged, changed, now_trusted, now_untrusted, "                   \
    "credentials_revoked, superseded, without_facts, damaged"
#define STANDING                                                                                   \
    "SELECT d.id, d.state, d.verdict, d.tier, d.appraisal_id, a.baseline_id,"                      \
    " coalesce(a.key_protection, 0), f.verdict, f.tier,"                                           \
    " f.baseline_id, d.trustworthiness FROM device AS d LEFT JOIN appraisal AS a ON a.id = "       \
    "d.appraisal_id"                                                                               \
    " LEFT JOIN device_reappraisal AS f"                                                           \
    " ON f.device = d.num AND f.of_appraisal_id = d.appraisal_id"
#define REAPPRAISABLE "state IN (1, 3) AND verdict <> 0 AND appraisal_id IS NOT NULL"
#define EXCEPTION_COLUMNS                                                                          \
    "id, device_id, appraisal_id, state, code, rule, pcr, until, reason, requested_by, "           \
    "approved_by, ended_by, created, approved, ended, in_use, found"
#define EXCEPTION_FILTER " AND (?3 = 0 OR state = ?3) AND until > ?4 ORDER BY id LIMIT ?5"
#define STREAM_COLUMNS                                                                             \
    "s.id, s.proxy, coalesce(p.disabled, 0), s.description, s.method, s.endpoint_url, "            \
    "s.audience, s.events, s.secret, s.status, s.reason, s.created, s.updated, s.version, "        \
    "s.cursor, s.delivered, s.refused, s.dropped, s.failures, s.failing_since, "                   \
    "s.last_delivery, s.last_error_at, s.last_error, s.verified"                                   \
    " FROM event_stream AS s LEFT JOIN proxy AS p ON p.name = s.proxy"
#define CREDENTIAL_COLUMNS                                                                         \
    "serial, device_id, appraisal_id, sha256, not_before, not_after, revoked, reason, "            \
    "key_protection, tier, segment, exceptions, authority"
#define CREDENTIAL_FILTER                                                                          \
    " AND (?3 = 0 OR (not_after > ?3 AND revoked = 0)) ORDER BY serial LIMIT ?4"
#define TRUST_CHANGE_COLUMNS                                                                       \
    "seq, time_ms, change, device_id, model, state, was_state, verdict, was_verdict, tier, "       \
    "was_tier, serial, sha256, authority, segment, not_before, not_after, reason"
#define AUDIT_COLUMNS                                                                              \
    "a.seq, a.time_ms, a.actor, a.action, a.object, a.before, a.after, a.request_id, a.hash,"      \
    " coalesce((SELECT hash FROM audit WHERE seq = a.seq - 1),"                                    \
    " (SELECT hash FROM audit_checkpoint WHERE seq = a.seq - 1)),"                                 \
    " c.seq, c.hash, c.time, c.trust_domain, c.authority, c.signature"
#define AUDIT_SCANNED            "seq, time_ms, actor, action, object"
#define AUDIT_KEPT               "seq > coalesce((SELECT max(through_seq) FROM audit_prune), 0)"
#define AUDIT_CHECKPOINT_COLUMNS "seq, hash, time, trust_domain, authority, signature"
#define AUDIT_FROM               " FROM audit AS a LEFT JOIN audit_checkpoint AS c ON c.seq = a.seq"
#define AUDIT_AFTER_PRUNED       "max(?1, coalesce((SELECT max(through_seq) FROM audit_prune), 0))"
#define OPERATOR_COLUMNS         "name, role, disabled, created, updated"
#define REGISTERED_COLUMNS       "certificate_sha256, disabled, created, updated"
#define ACCESS_POLICY_COLUMNS                                                                      \
    "name, description, min_tier, key_protection, models, segments, created, updated, version"
#define APPROVAL_COLUMNS                                                                           \
    "id, state, rule, method, path, query, proposed_by, decided_by, reason, created, expires, "    \
    "decided"

#define ROLLOUT_COLUMNS                                                                            \
    "baseline, state, ring, opened, run, max_failure_percent, min_appraisals, min_s, appraised, "  \
    "failed, reason, percents, devices"
/* No more than there are, of devices that are named. */
#define ROLLOUT_NEEDED                                                                             \
    "iif(substr(percents, ring + 1, 1) = x'00', min(min_appraisals, length(devices) / 16), "       \
    "min_appraisals)"

const char *const statements[NUM_STATEMENTS] = {
    [SQL_BEGIN_READ] = "BEGIN",
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_SAVEPOINT] = "SAVEPOINT one",
    [SQL_RELEASE] = "RELEASE one",
    [SQL_UNDO] = "ROLLBACK TO one",

    [SQL_MODEL_GET] = "SELECT " MODEL_COLUMNS " FROM model WHERE name = ?",
    [SQL_MODEL_LIST] = "SELECT " MODEL_COLUMNS " FROM model WHERE name > ? ORDER BY name LIMIT ?",
    [SQL_MODEL_INSERT] = "INSERT INTO model (" MODEL_COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,1)",
    [SQL_MODEL_UPDATE] =
        "UPDATE model SET description = ?3, pcr_selection = ?4, credential_lifetime_s = ?5, "
        "enrolment = ?6, key_protection = ?7, updated = ?8, credential_tier = ?9, "
        "segment_identified = ?10, segment_verified_boot = ?11, segment_measured = ?12, "
        "version = version + 1"
        " WHERE name = ?1 AND version = ?2",
    [SQL_MODEL_IN_USE] = "SELECT 1 WHERE EXISTS (SELECT 1 FROM device WHERE model = ?1)"
                         " OR EXISTS (SELECT 1 FROM baseline WHERE model = ?1 AND state <> 1)",
    [SQL_MODEL_DELETE_DRAFTS] = "DELETE FROM baseline WHERE model = ? AND state = 1",
    [SQL_MODEL_DELETE] = "DELETE FROM model WHERE name = ?",

    [SQL_ANCHOR_LIST] = "SELECT " ANCHOR_COLUMNS " FROM anchor"
                        " WHERE model = ? AND purpose = ? AND sha256 > ? ORDER BY sha256 LIMIT ?",
    [SQL_ANCHOR_ALL] = "SELECT " ANCHOR_COLUMNS " FROM anchor ORDER BY model, purpose, sha256",
    [SQL_ANCHOR_INSERT] = "INSERT INTO anchor (" ANCHOR_COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?)",
    [SQL_ANCHOR_DELETE] = "DELETE FROM anchor WHERE model = ? AND purpose = ? AND sha256 = ?",

    [SQL_LEAKED_KEY_LIST] =
        "SELECT " LEAKED_KEY_COLUMNS " FROM leaked_key WHERE sha256 > ? ORDER BY sha256 LIMIT ?",
    [SQL_LEAKED_KEY_GET] = "SELECT " LEAKED_KEY_COLUMNS " FROM leaked_key WHERE sha256 = ?",
    [SQL_LEAKED_KEY_INSERT] = "INSERT INTO leaked_key (" LEAKED_KEY_COLUMNS ") VALUES (?,?,?,?,?)",
    [SQL_LEAKED_KEY_DELETE] = "DELETE FROM leaked_key WHERE sha256 = ?",

    [SQL_BASELINE_SIGNER_LIST] = "SELECT " BASELINE_SIGNER_COLUMNS " FROM baseline_signer"
                                 " WHERE model = ? AND key_sha256 > ? ORDER BY key_sha256 LIMIT ?",
    [SQL_BASELINE_SIGNER_INSERT] =
        "INSERT INTO baseline_signer (" BASELINE_SIGNER_COLUMNS ") VALUES (?,?,?,?,?,?,?)",
    [SQL_BASELINE_SIGNER_DELETE] = "DELETE FROM baseline_signer WHERE model = ? AND key_sha256 = ?",
    [SQL_BASELINE_SIGNATURE_LIST] = "SELECT " BASELINE_SIGNATURE_COLUMNS " FROM baseline_signature"
                                    " WHERE baseline = ? ORDER BY key_sha256",
    [SQL_BASELINE_SIGNATURE_PUT] = "INSERT OR REPLACE INTO baseline_signature"
                                   " (" BASELINE_SIGNATURE_COLUMNS ") VALUES (?,?,?,?,?,?)",

    [SQL_BASELINE_GET] = "SELECT " BASELINE_COLUMNS ", document FROM baseline WHERE id = ?",
    [SQL_BASELINE_LIST] = "SELECT " BASELINE_COLUMNS ", document FROM baseline"
                          " WHERE model = ? AND id > ? ORDER BY id LIMIT ?",
    [SQL_BASELINE_IN_FORCE] = "SELECT " BASELINE_COLUMNS " FROM baseline WHERE state IN (4, 5)"
                              " ORDER BY activated, id",
    [SQL_BASELINE_DUE_ACTIVATION] = "SELECT " BASELINE_COLUMNS " FROM baseline"
                                    " WHERE activate_at <> 0 AND activate_at <= ? AND state = 3"
                                    " ORDER BY activate_at, id LIMIT 1",
    [SQL_BASELINE_DUE_GRACE] = "SELECT " BASELINE_COLUMNS " FROM baseline"
                               " WHERE grace_until <> 0 AND grace_until <= ? AND state = 5"
                               " ORDER BY grace_until, id LIMIT 1",
    [SQL_BASELINE_INSERT] = "INSERT INTO baseline (" BASELINE_COLUMNS ", document)"
                            " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,1,?,?,?,?,?,?,?,?,?,?)",
    [SQL_BASELINE_UPDATE] =
        "UPDATE baseline SET label = ?3, state = ?4, document_sha256 = ?5, updated_by = ?6,"
        " activated_by = ?7, updated = ?8, activated = ?9, retired = ?10, submitted_by = ?11,"
        " approved_by = ?12, submitted = ?13, approved = ?14, activate_at = ?15, grace_until = ?16,"
        " replace_grace_s = ?17, note = ?18, replaces = ?19, version = version + 1"
        " WHERE id = ?1 AND version = ?2",
    [SQL_BASELINE_SET_DOCUMENT] = "UPDATE baseline SET document = ?2 WHERE id = ?1",
    [SQL_BASELINE_WRITER_PUT] =
        "INSERT OR IGNORE INTO baseline_writer (baseline, operator) VALUES (?, ?)",
    [SQL_BASELINE_WRITER_IS] = "SELECT 1 FROM baseline_writer WHERE baseline = ? AND operator = ?",
    [SQL_BASELINE_STATE] = "SELECT state FROM baseline WHERE id = ?",
    [SQL_BASELINE_DELETE] = "DELETE FROM baseline WHERE id = ? AND state = 1",

    [SQL_ROLLOUT_GET] = "SELECT " ROLLOUT_COLUMNS " FROM baseline_rollout WHERE baseline = ?",
    [SQL_ROLLOUT_IN_FORCE] = "SELECT " ROLLOUT_COLUMNS " FROM baseline_rollout"
                             " WHERE state IN (2, 3, 5) AND EXISTS (SELECT 1 FROM baseline"
                             " WHERE id = baseline_rollout.baseline AND state IN (4, 5))",
    [SQL_ROLLOUT_DUE] =
        "SELECT " ROLLOUT_COLUMNS " FROM baseline_rollout WHERE state = 2 AND"
        " (failed * 100 > max_failure_percent * max(appraised, " ROLLOUT_NEEDED ")"
        " OR (appraised >= " ROLLOUT_NEEDED " AND opened + min_s <= ?)) ORDER BY opened LIMIT 1",
    [SQL_ROLLOUT_COUNTS] = "SELECT state, count(*) FROM baseline_rollout GROUP BY state",
    [SQL_ROLLOUT_PUT] =
        "INSERT INTO baseline_rollout (" ROLLOUT_COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)"
        " ON CONFLICT (baseline) DO UPDATE SET state = ?2, ring = ?3, opened = ?4, run = ?5,"
        " max_failure_percent = ?6, min_appraisals = ?7, min_s = ?8, appraised = ?9, failed = ?10,"
        " reason = ?11, percents = ?12, devices = ?13",
    [SQL_ROLLOUT_DELETE] = "DELETE FROM baseline_rollout WHERE baseline = ?",
    [SQL_ROLLOUT_COUNT] =
        "UPDATE baseline_rollout SET appraised = appraised + ?3, failed = failed + ?4"
        " WHERE baseline = ?1 AND run = ?2 AND state = 2",
    [SQL_ROLLOUT_SEEN_GET] =
        "SELECT outcome FROM rollout_seen WHERE baseline = ? AND device = ? AND run = ?",
    [SQL_ROLLOUT_SEEN_PUT] =
        "INSERT OR REPLACE INTO rollout_seen (baseline, device, run, outcome) VALUES (?,?,?,?)",
    [SQL_ROLLOUT_FORGET] =
        "DELETE FROM rollout_seen WHERE (baseline, device) IN (SELECT s.baseline, s.device"
        " FROM baseline_rollout AS r JOIN rollout_seen AS s ON s.baseline = r.baseline"
        " WHERE r.state IN (4, 5) LIMIT ?)",

    [SQL_ENROLLMENT_GET] = "SELECT " ENROLLMENT_COLUMNS " FROM enrollment WHERE id = ?",
    [SQL_ENROLLMENT_EXPIRE] = "DELETE FROM enrollment WHERE expires <= ?",
    [SQL_ENROLLMENT_COUNT] = "SELECT count(*) FROM enrollment WHERE state = 1",
    [SQL_ENROLLMENT_COUNT_ADDRESS] =
        "SELECT count(*) FROM enrollment WHERE address = ? AND state = 1",
    [SQL_ENROLLMENT_INSERT] =
        "INSERT INTO enrollment (" ENROLLMENT_COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_ENROLLMENT_UPDATE] = "UPDATE enrollment SET state = ?2, key_protection = ?3,"
                              " certificate = ?4, expires = ?5 WHERE id = ?1",
    [SQL_ENROLLMENT_DELETE] = "DELETE FROM enrollment WHERE id = ?",
    [SQL_ENROLLMENT_DELETE_OTHERS] =
        "DELETE FROM enrollment WHERE device_id = ?1 AND id <> ?2 AND state <> 3",

    [SQL_DEVICE_GET] = "SELECT " DEVICE_WITH_KEYS "WHERE id = ?",
    [SQL_DEVICE_BY_IDENTITY] = "SELECT " DEVICE_WITH_KEYS "WHERE identity_sha256 = ?",
    /* One filter, four ways in: each walks the index that has the fewest to pass over. */
    [SQL_DEVICE_LIST] = "SELECT " DEVICE_WITH_KEYS "WHERE id > ?1" DEVICE_FILTER,
    [SQL_DEVICE_LIST_MODEL] =
        "SELECT " DEVICE_WITH_KEYS "WHERE model = ?2 AND id > ?1" DEVICE_FILTER,
    [SQL_DEVICE_LIST_STATE] =
        "SELECT " DEVICE_WITH_KEYS "WHERE state <> 1 AND state = ?3 AND id > ?1" DEVICE_FILTER,
    [SQL_DEVICE_LIST_VERDICT] =
        "SELECT " DEVICE_WITH_KEYS "WHERE verdict <> 1 AND verdict = ?4 AND id > ?1" DEVICE_FILTER,
    [SQL_DEVICE_EK_KNOWN] =
        "SELECT 1 FROM device_key WHERE substr(ek_public, -16) = substr(?1, -16)"
        " AND ek_public = ?1" NOT_THIS_DEVICE,
    [SQL_DEVICE_AK_KNOWN] =
        "SELECT 1 FROM device_key WHERE substr(ak_public, -16) = substr(?1, -16)"
        " AND ak_public = ?1" NOT_THIS_DEVICE,
    [SQL_DEVICE_AK_OTHER] =
        "SELECT 1 FROM device_key WHERE device = (SELECT num FROM device WHERE id = ?1)"
        " AND ak_public <> ?2 AND length(ak_public) > 0",
    [SQL_AK_OWNER] = "SELECT id FROM device JOIN device_key ON device_key.device = device.num"
                     " WHERE substr(ak_public, -16) = substr(?1, -16) AND ak_public = ?1",
    [SQL_AK_FORMER_OWNER] = "SELECT id FROM device JOIN former_ak ON former_ak.device = device.num"
                            " WHERE substr(ak_public, -16) = substr(?1, -16) AND ak_public = ?1",
    [SQL_AK_RETIRE] = "INSERT INTO former_ak (device, ak_public)"
                      " SELECT device, ak_public FROM device_key"
                      " WHERE device = (SELECT num FROM device WHERE id = ?)",
    [SQL_AK_FORGET] = "DELETE FROM former_ak WHERE device = (SELECT num FROM device WHERE id = ?)",
    [SQL_DEVICE_INSERT] = "INSERT INTO device (" DEVICE_COLUMNS
                          ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_DEVICE_UPDATE] =
        "UPDATE device SET model = ?2, state = ?3, verdict = ?4, tier = ?5, appraisal_id = ?6,"
        " tpm_reset_count = ?7, tpm_restart_count = ?8, tpm_clock = ?9, last_seen = ?11,"
        " updated = ?12, identity_sha256 = ?13, identity_serial = ?14, identity_not_after = ?15,"
        " identity_kind = ?16, key_protection = ?17, idevid_sha256 = ?18, idevid_serial = ?19,"
        " registration = ?20, note = ?21, trustworthiness = ?22 WHERE id = ?1",
    [SQL_DEVICE_ENROLLED_SET] = "UPDATE device SET enrolled = ?2 WHERE id = ?1",
    [SQL_DEVICE_STATE_GET] = "SELECT state FROM device WHERE id = ?",
    [SQL_DEVICE_DELETE] = "DELETE FROM device WHERE id = ?",
    [SQL_DEVICE_KEY_PUT] =
        "INSERT INTO device_key (device, ek_public, ak_public, ek_certificate)"
        " VALUES ((SELECT num FROM device WHERE id = ?1), ?2, ?3, ?4)"
        " ON CONFLICT DO UPDATE SET ek_public = ?2, ak_public = ?3, ek_certificate = ?4"
        " WHERE ek_public <> ?2 OR ak_public <> ?3 OR ek_certificate <> ?4",
    [SQL_DEVICE_KEY_DELETE] =
        "DELETE FROM device_key WHERE device = (SELECT num FROM device WHERE id = ?)",
    [SQL_DEVICE_STANDING_GET] = "SELECT verdict, tier, tpm_reset_count, tpm_restart_count,"
                                " tpm_clock FROM device WHERE id = ?",
    [SQL_DEVICE_STANDING_SET] =
        "UPDATE device SET appraisal_id = ?2, last_seen = ?3, tpm_reset_count = ?4,"
        " tpm_restart_count = ?5, tpm_clock = ?6, trustworthiness = ?7 WHERE id = ?1",
    [SQL_DEVICE_VERDICT_SET] = "UPDATE device SET verdict = ?2, tier = ?3 WHERE id = ?1",
    [SQL_DEVICE_TOUCH] = "UPDATE device SET last_seen = ?2 WHERE id = ?1",
    [SQL_DEVICE_WALK] = "SELECT " DEVICE_COLUMNS " FROM device WHERE state <> 5 ORDER BY num",
    [SQL_DEVICE_COUNTS] =
        "SELECT model, state, verdict, tier, num,"
        " (SELECT min(last_seen) FROM device AS d WHERE d.model = c.model AND d.state = c.state"
        " AND d.verdict = c.verdict AND d.tier = c.tier)"
        " FROM device_count AS c WHERE num > 0 ORDER BY model, state, verdict, tier",

    [SQL_LOG_PIECE_KEY] = "SELECT hash_key FROM log_piece_key WHERE num = 1",
    [SQL_LOG_PIECE_FIND] = "SELECT num, data FROM log_piece WHERE hash = ?",
    [SQL_LOG_PIECE_INSERT] = "INSERT INTO log_piece (hash, data) VALUES (?,?)",
    [SQL_LOG_PIECES] = "SELECT hash, data FROM log_piece WHERE num BETWEEN ? AND ? ORDER BY num",
    [SQL_LOG_PIECE_LAST] = "SELECT num FROM log_piece ORDER BY num DESC LIMIT 1",
    [SQL_LOG_PIECE_NEXT] = "SELECT num FROM log_piece WHERE num > ? ORDER BY num LIMIT 1",
    [SQL_LOG_PIECE_DELETE] = "DELETE FROM log_piece WHERE num = ?",
    [SQL_BOOT_LOG_FIND] = "SELECT num FROM boot_log WHERE " SAME_SHA256,
    [SQL_BOOT_LOG_INSERT] = "INSERT INTO boot_log (refs, sha256, size, pieces) VALUES (0,?,?,?)",
    [SQL_BOOT_LOG_OF_DEVICE] =
        "SELECT l.size, l.pieces FROM device AS d CROSS JOIN device_boot AS b ON b.device = d.num"
        " CROSS JOIN boot_state AS s ON s.num = b.boot_state"
        " CROSS JOIN boot_log AS l ON l.num = s.log WHERE d.id = ?1 AND l.sha256 = ?2",
    [SQL_BOOT_LOG_WALK] = "SELECT num, pieces FROM boot_log WHERE num > ? ORDER BY num LIMIT ?",
    [SQL_BOOT_LOG_FORGET] =
        "DELETE FROM boot_log WHERE num IN (SELECT num FROM boot_log WHERE refs = 0 LIMIT ?)",
    [SQL_BOOT_STATE_GET] =
        "SELECT num, form, log, (SELECT l.sha256 FROM boot_log AS l WHERE l.num = log),"
        " (SELECT size FROM boot_log AS l WHERE l.num = log),"
        " (SELECT pieces FROM boot_log AS l WHERE l.num = log)"
        " FROM boot_state WHERE " SAME_SHA256,
    [SQL_BOOT_STATE_INSERT] = "INSERT INTO boot_state (refs, sha256, log, form) VALUES (0,?,?,?)",
    [SQL_BOOT_STATE_FORGET] =
        "DELETE FROM boot_state WHERE num IN (SELECT num FROM boot_state WHERE refs = 0 LIMIT ?)",
    [SQL_DEVICE_IMA_GET] = "SELECT d.id, i.reset_count, i.restart_count, i.num_entries, i.position,"
                           " i.met, i.entries FROM device AS d"
                           " CROSS JOIN device_ima AS i ON i.device = d.num WHERE d.id = ?",
    [SQL_DEVICE_IMA_PUT] =
        "INSERT INTO device_ima (device, reset_count, restart_count, num_entries,"
        " position, met, entries)"
        " SELECT num, ?2, ?3, ?4, ?5, ?6, ?7 FROM device WHERE id = ?1"
        " ON CONFLICT DO UPDATE SET reset_count = ?2, restart_count = ?3,"
        " num_entries = ?4, position = ?5, met = ?6, entries = ?7",
    [SQL_DEVICE_IMA_DELETE] =
        "DELETE FROM device_ima WHERE device = (SELECT num FROM device WHERE id = ?)",
    [SQL_DEVICE_IMA_WALK] =
        "SELECT device, entries FROM device_ima WHERE device > ? ORDER BY device LIMIT ?",
    [SQL_DEVICE_BOOT_GET] = "SELECT d.id, s.sha256, t.sha256, b.since, l.sha256 FROM device AS d"
                            " CROSS JOIN device_boot AS b ON b.device = d.num"
                            " CROSS JOIN boot_state AS s ON s.num = b.boot_state"
                            " LEFT JOIN boot_log AS l ON l.num = s.log"
                            " LEFT JOIN boot_state AS t ON t.num = b.trusted WHERE d.id = ?",
    [SQL_DEVICE_BOOT_NOW] = "SELECT s.num FROM device AS d"
                            " CROSS JOIN device_boot AS b ON b.device = d.num"
                            " CROSS JOIN boot_state AS s ON s.num = b.boot_state"
                            " WHERE d.id = ?1 AND s.sha256 = ?2",
    [SQL_DEVICE_BOOT_PUT] = "INSERT INTO device_boot (device, boot_state, trusted, since)"
                            " SELECT num, ?2, ?3, ?4 FROM device WHERE id = ?1"
                            " ON CONFLICT DO UPDATE SET boot_state = ?2, trusted = ?3, since = ?4"
                            " WHERE boot_state <> ?2 OR trusted IS NOT ?3 OR since <> ?4",
    [SQL_DEVICE_BOOT_WALK] = "SELECT d.id, d.state, d.verdict, d.tier, s.sha256 FROM device AS d"
                             " CROSS JOIN device_boot AS b ON b.device = d.num"
                             " CROSS JOIN boot_state AS s ON s.num = b.boot_state"
                             " WHERE d.model = ?1 AND d.id > ?2 ORDER BY d.id LIMIT ?3",

    [SQL_APPRAISAL_GET] = "SELECT " APPRAISAL_READ "WHERE id = ?",
    [SQL_APPRAISAL_LIST] = "SELECT " APPRAISAL_READ "WHERE device_id = ? ORDER BY id DESC LIMIT ?",
    [SQL_APPRAISAL_LIST_AFTER] =
        "SELECT " APPRAISAL_READ "WHERE device_id = ? AND id < ? ORDER BY id DESC LIMIT ?",
    [SQL_APPRAISAL_INSERT] = "INSERT INTO appraisal (" APPRAISAL_COLUMNS
                             ", boot_state) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_APPRAISAL_PRUNE] =
        "DELETE FROM appraisal WHERE num IN (SELECT num FROM appraisal WHERE device_id = ?1"
        " AND id <> ?2 ORDER BY id DESC LIMIT -1 OFFSET ?3)",

    [SQL_REAPPRAISAL_GET] = "SELECT " REAPPRAISAL_COLUMNS " FROM reappraisal WHERE id = ?",
    [SQL_REAPPRAISAL_LIST] =
        "SELECT " REAPPRAISAL_COLUMNS " FROM reappraisal WHERE id < ?1"
        " AND (?2 = '' OR model = ?2) AND (?3 = 0 OR state = ?3) ORDER BY id DESC LIMIT ?4",
    [SQL_REAPPRAISAL_NEXT] = "SELECT " REAPPRAISAL_COLUMNS " FROM reappraisal"
                             " WHERE state IN (1, 2) ORDER BY enforce DESC, num LIMIT 1",
    [SQL_REAPPRAISAL_FORGET] = "DELETE FROM reappraisal WHERE state IN (3, 4) AND ended < ?",
    [SQL_REAPPRAISAL_INSERT] = "INSERT INTO reappraisal (" REAPPRAISAL_COLUMNS
                               ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_REAPPRAISAL_UPDATE] =
        "UPDATE reappraisal SET state = ?2, started = ?3, ended = ?4, cursor_model = ?5,"
        " cursor = ?6, judged = ?7, changed = ?8, now_trusted = ?9, now_untrusted = ?10,"
        " credentials_revoked = ?11, superseded = ?12, without_facts = ?13, damaged = ?14"
        " WHERE id = ?1 AND state IN (1, 2)",
    [SQL_STANDING_LIST] = STANDING " WHERE d.model = ?1 AND d.id > ?2 AND d.state IN (1, 3)"
                                   " AND d.verdict <> 0 AND d.appraisal_id IS NOT NULL"
                                   " ORDER BY d.id LIMIT ?3",
    [SQL_STANDING_GET] = STANDING " WHERE d.id = ?",
    [SQL_DEVICE_REAPPRAISAL_GET] =
        "SELECT d.id, f.job_id, f.appraisal_id, f.of_appraisal_id, f.baseline_id, f.verdict, "
        "f.tier,"
        " f.created_ms FROM device AS d JOIN device_reappraisal AS f"
        " ON f.device = d.num AND f.of_appraisal_id = d.appraisal_id WHERE d.id = ?",
    [SQL_DEVICE_REAPPRAISAL_PUT] =
        "INSERT INTO device_reappraisal (device, job_id, appraisal_id, of_appraisal_id,"
        " baseline_id, verdict, tier, created_ms)"
        " VALUES ((SELECT num FROM device WHERE id = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
        " ON CONFLICT DO UPDATE SET job_id = ?2, appraisal_id = ?3, of_appraisal_id = ?4,"
        " baseline_id = ?5, verdict = ?6, tier = ?7, created_ms = ?8",
    [SQL_DEVICE_REAPPRAISE] = "UPDATE device SET verdict = ?3, tier = ?4, appraisal_id = ?5,"
                              " trustworthiness = ?6"
                              " WHERE id = ?1 AND appraisal_id = ?2 AND " REAPPRAISABLE,
    [SQL_DEVICE_REAPPRAISABLE] =
        "SELECT 1 FROM device WHERE id = ?1 AND appraisal_id = ?2 AND " REAPPRAISABLE,

    [SQL_EXCEPTION_GET] = "SELECT " EXCEPTION_COLUMNS " FROM exception WHERE id = ?",
    [SQL_EXCEPTION_LIST] =
        "SELECT " EXCEPTION_COLUMNS " FROM exception WHERE ?2 IS NULL AND id > ?1" EXCEPTION_FILTER,
    [SQL_EXCEPTION_LIST_DEVICE] =
        "SELECT " EXCEPTION_COLUMNS
        " FROM exception WHERE device_id = ?2 AND id > ?1" EXCEPTION_FILTER,
    [SQL_EXCEPTION_IN_FORCE] = "SELECT " EXCEPTION_COLUMNS " FROM exception"
                               " WHERE state = 2 AND until > ?",
    [SQL_EXCEPTION_COUNT] =
        "SELECT count(*), coalesce(sum(code = ?3 AND rule = ?4 AND pcr = ?5 AND found IS ?6), 0)"
        " FROM exception WHERE device_id = ?1 AND state IN (1, 2) AND until > ?2",
    [SQL_EXCEPTION_INSERT] =
        "INSERT INTO exception (" EXCEPTION_COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_EXCEPTION_UPDATE] = "UPDATE exception SET state = ?3, approved_by = ?4, approved = ?5,"
                             " ended_by = ?6, ended = ?7, in_use = ?8 WHERE id = ?1 AND state = ?2",
    [SQL_EXCEPTION_USE] = "UPDATE exception SET in_use = instr(?2, lower(hex(id))) > 0"
                          " WHERE device_id = ?1 AND state = 2",

    [SQL_EXCEPTION_HAS_GIVEN] =
        "SELECT EXISTS (SELECT 1 FROM credential WHERE device_id = ?1 AND revoked = 0"
        " AND not_after > ?2 AND instr(exceptions, ?3) > 0)",

    [SQL_CREDENTIAL_GET] = "SELECT " CREDENTIAL_COLUMNS " FROM credential WHERE serial = ?",
    [SQL_CREDENTIAL_LIST] = "SELECT " CREDENTIAL_COLUMNS
                            " FROM credential WHERE ?2 IS NULL AND serial > ?1" CREDENTIAL_FILTER,
    [SQL_CREDENTIAL_LIST_DEVICE] =
        "SELECT " CREDENTIAL_COLUMNS
        " FROM credential WHERE device_id = ?2 AND serial > ?1" CREDENTIAL_FILTER,
    [SQL_CREDENTIAL_INSERT] =
        "INSERT INTO credential (" CREDENTIAL_COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_CREDENTIAL_REVOKE] =
        "UPDATE credential SET revoked = ?2, reason = ?3 WHERE serial = ?1 AND revoked = 0",
    [SQL_CREDENTIAL_REVOKE_DEVICE] = "UPDATE credential SET revoked = ?2, reason = ?3"
                                     " WHERE device_id = ?1 AND revoked = 0 AND not_after > ?2",
    [SQL_CREDENTIAL_REVOKE_ABOVE] =
        "UPDATE credential SET revoked = ?2, reason = ?3"
        " WHERE device_id = ?1 AND revoked = 0 AND not_after > ?2 AND tier > ?4",
    [SQL_CREDENTIAL_REVOKE_BELOW] =
        "UPDATE credential SET revoked = ?2, reason = ?3 WHERE revoked = 0 AND not_after > ?2"
        " AND device_id IN (SELECT id FROM device WHERE model = ?1 AND tier < ?4)",
    [SQL_CREDENTIAL_REVOKE_MODEL] =
        "UPDATE credential SET revoked = ?2, reason = ?3 WHERE revoked = 0 AND not_after > ?2"
        " AND (?1 = '' OR device_id IN (SELECT id FROM device WHERE model = ?1))",
    [SQL_CREDENTIAL_PRUNE] = "DELETE FROM credential WHERE serial IN (SELECT serial FROM credential"
                             " WHERE not_after < ? ORDER BY not_after LIMIT ?)",
    /* Both halves come out of the index in order, and are merged. */
    [SQL_CREDENTIAL_REVOKED] =
        "SELECT serial, revoked, reason FROM credential"
        " WHERE authority = ?1 AND revoked <> 0 AND not_after > ?2"
        " UNION ALL SELECT serial, revoked, reason FROM credential"
        " WHERE authority = '' AND ?1 <> '' AND revoked <> 0 AND not_after > ?2 ORDER BY serial",
    [SQL_CREDENTIAL_WALK] =
        "SELECT " CREDENTIAL_COLUMNS " FROM credential NOT INDEXED WHERE not_after > ?",

    [SQL_TRUST_CHANGE_LIST] =
        "SELECT " TRUST_CHANGE_COLUMNS " FROM trust_change WHERE seq > ? ORDER BY seq LIMIT ?",
    [SQL_TRUST_CHANGE_ENDS] = "SELECT (SELECT min(seq) FROM trust_change),"
                              " coalesce((SELECT max(seq) FROM trust_change), 0)",
    [SQL_TRUST_CHANGE_AGES] =
        "SELECT seq, time_ms FROM trust_change WHERE seq <= ? ORDER BY seq LIMIT ?",
    [SQL_TRUST_CHANGE_FORGET] = "DELETE FROM trust_change WHERE seq <= ?"
                                " AND seq < (SELECT max(seq) FROM trust_change)",
    [SQL_TRUST_CREDENTIALS] =
        "SELECT 0, 0, 2, c.device_id, d.model, d.state, 0, d.verdict, 0, d.tier, 0, c.serial,"
        " c.sha256, c.authority, c.segment, c.not_before, c.not_after, '' FROM credential AS c"
        " JOIN device AS d ON d.id = c.device_id"
        " WHERE c.serial > ?1 AND c.revoked = 0 AND c.not_after > ?2 AND (?3 = '' OR d.model = ?3)"
        " ORDER BY c.serial LIMIT ?4",

    [SQL_OPERATOR_GET] = "SELECT " OPERATOR_COLUMNS " FROM operator WHERE name = ?",
    [SQL_OPERATOR_LIST] =
        "SELECT " OPERATOR_COLUMNS " FROM operator WHERE name > ? ORDER BY name LIMIT ?",
    [SQL_OPERATOR_INSERT] = "INSERT INTO operator (" OPERATOR_COLUMNS ") VALUES (?,?,?,?,?)",
    [SQL_OPERATOR_UPDATE] =
        "UPDATE operator SET role = ?2, disabled = ?3, updated = ?4 WHERE name = ?1",
    [SQL_OPERATOR_DELETE] = "DELETE FROM operator WHERE name = ?",
    [SQL_OPERATOR_OTHER_ADMIN] =
        "SELECT 1 FROM operator JOIN operator_certificate ON operator = name"
        " WHERE role = 'admin' AND disabled = 0 AND name <> ?1 AND sha256 <> ?2"
        " AND (not_after = 0 OR not_after > ?3) LIMIT 1",
    [SQL_OPERATOR_CERTIFICATES] = "SELECT sha256, subject, not_after, added, added_by"
                                  " FROM operator_certificate WHERE operator = ?"
                                  " ORDER BY added, sha256",
    [SQL_OPERATOR_CERTIFICATE_INSERT] =
        "INSERT INTO operator_certificate (operator, sha256, subject, not_after, added, added_by)"
        " VALUES (?,?,?,?,?,?)",
    [SQL_OPERATOR_CERTIFICATE_DELETE] =
        "DELETE FROM operator_certificate WHERE sha256 = ?2 AND operator = ?1",

    [SQL_APPROVAL_GET] = "SELECT " APPROVAL_COLUMNS ", body FROM approval WHERE id = ?",
    [SQL_APPROVAL_LIST] = "SELECT " APPROVAL_COLUMNS " FROM approval"
                          " WHERE id > ?1 AND (?2 = 0 OR state = ?2) ORDER BY id LIMIT ?3",
    [SQL_APPROVAL_FORGET] = "DELETE FROM approval WHERE expires < ?",
    [SQL_APPROVAL_COUNT] = "SELECT count(*) FROM approval WHERE state = 1 AND expires > ?",
    [SQL_APPROVAL_INSERT] =
        "INSERT INTO approval (" APPROVAL_COLUMNS ", body) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_APPROVAL_DECIDE] = "UPDATE approval SET state = ?2, decided_by = ?3, reason = ?4,"
                            " decided = ?5 WHERE id = ?1 AND state = 1 AND expires > ?5",

    [SQL_PROXY_GET] = "SELECT name, dialect, " REGISTERED_COLUMNS " FROM proxy WHERE name = ?",
    [SQL_PROXY_LIST] = "SELECT name, dialect, " REGISTERED_COLUMNS
                       " FROM proxy WHERE name > ? ORDER BY name LIMIT ?",
    [SQL_PROXY_INSERT] =
        "INSERT INTO proxy (name, dialect, " REGISTERED_COLUMNS ") VALUES (?,?,?,?,?,?)",
    [SQL_PROXY_UPDATE] = "UPDATE proxy SET dialect = ?2, certificate_sha256 = ?3, disabled = ?4,"
                         " updated = ?5 WHERE name = ?1",
    [SQL_PROXY_DELETE] = "DELETE FROM proxy WHERE name = ?",
    [SQL_PROXY_POLICY_LIST] = "SELECT policy FROM proxy_policy WHERE proxy = ? ORDER BY place",
    [SQL_PROXY_POLICY_INSERT] = "INSERT INTO proxy_policy (proxy, place, policy) VALUES (?,?,?)",
    [SQL_PROXY_POLICY_DELETE] = "DELETE FROM proxy_policy WHERE proxy = ?",

    [SQL_ACCESS_POLICY_GET] = "SELECT " ACCESS_POLICY_COLUMNS " FROM access_policy WHERE name = ?",
    [SQL_ACCESS_POLICY_LIST] =
        "SELECT " ACCESS_POLICY_COLUMNS " FROM access_policy WHERE name > ? ORDER BY name LIMIT ?",
    [SQL_ACCESS_POLICY_INSERT] =
        "INSERT INTO access_policy (" ACCESS_POLICY_COLUMNS ") VALUES (?,?,?,?,?,?,?,?,1)",
    [SQL_ACCESS_POLICY_UPDATE] =
        "UPDATE access_policy SET description = ?2, min_tier = ?3, key_protection = ?4,"
        " models = ?5, segments = ?6, updated = ?7, version = version + 1"
        " WHERE name = ?1 AND version = ?8",
    [SQL_ACCESS_POLICY_DELETE] = "DELETE FROM access_policy WHERE name = ?",

    [SQL_STREAM_GET] = "SELECT " STREAM_COLUMNS " WHERE s.id = ?",
    [SQL_STREAM_LIST] = "SELECT " STREAM_COLUMNS " WHERE s.id > ?1 ORDER BY s.id LIMIT ?2",
    [SQL_STREAM_LIST_OF] =
        "SELECT " STREAM_COLUMNS " WHERE s.proxy = ?3 AND s.id > ?1 ORDER BY s.id LIMIT ?2",
    /* At most as many as there may be. */
    [SQL_STREAM_COUNT] = "SELECT count(*) FROM event_stream",
    [SQL_STREAM_COUNT_OF] = "SELECT count(*) FROM event_stream WHERE proxy = ?",
    [SQL_STREAM_INSERT] =
        "INSERT INTO event_stream (id, proxy, description, method, endpoint_url, audience, events,"
        " secret, status, reason, created, updated, version, cursor, delivered, refused, dropped,"
        " failures, failing_since, last_delivery, last_error_at, last_error, verified)"
        " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,1,?,0,0,0,0,0,0,0,'',0)",
    [SQL_STREAM_UPDATE] =
        "UPDATE event_stream SET description = ?3, endpoint_url = ?4, audience = ?5, events = ?6,"
        " secret = ?7, status = ?8, reason = ?9, updated = ?10, version = version + 1"
        " WHERE id = ?1 AND version = ?2",
    [SQL_STREAM_PROGRESS] =
        "UPDATE event_stream SET status = ?2, reason = ?3, cursor = ?4, delivered = ?5,"
        " refused = ?6, dropped = ?7, failures = ?8, failing_since = ?9, last_delivery = ?10,"
        " last_error_at = ?11, last_error = ?12, verified = ?13 WHERE id = ?1",
    [SQL_STREAM_DELETE] = "DELETE FROM event_stream WHERE id = ?",
    [SQL_STREAM_BEHIND] = "SELECT min(cursor) FROM event_stream WHERE status <> 3",
    [SQL_STREAM_ACKNOWLEDGE] = "INSERT INTO event_acknowledged (stream, seq) VALUES (?,?)",
    [SQL_STREAM_ACKNOWLEDGED] = "SELECT seq FROM event_acknowledged WHERE stream = ? ORDER BY seq",
    [SQL_STREAM_ACKNOWLEDGE_FORGET] =
        "DELETE FROM event_acknowledged WHERE stream = ? AND seq <= ?",
    [SQL_NOTICE_INSERT] =
        "INSERT INTO event_notice (stream, kind, status, text, created) VALUES (?,?,?,?,?)",
    [SQL_NOTICE_LIST] = "SELECT num, stream, kind, status, text, created FROM event_notice"
                        " WHERE stream = ? ORDER BY num LIMIT ?",
    [SQL_NOTICE_DELETE] = "DELETE FROM event_notice WHERE num = ?2 AND stream = ?1",

    [SQL_AUDIT_TIP] = "SELECT seq, hash FROM audit WHERE seq = (SELECT max(seq) FROM audit)",
    [SQL_AUDIT_INSERT] = "INSERT INTO audit (seq, time_ms, actor, action, object, before, after,"
                         " request_id, hash) VALUES (?,?,?,?,?,?,?,?,?)",
    [SQL_AUDIT_SET_HASH] = "UPDATE audit SET hash = ?2 WHERE seq = ?1",
    [SQL_AUDIT_LIST] = "SELECT " AUDIT_COLUMNS AUDIT_FROM " WHERE a.seq > " AUDIT_AFTER_PRUNED
                       " ORDER BY a.seq LIMIT ?2",
    [SQL_AUDIT_GET] = "SELECT " AUDIT_COLUMNS AUDIT_FROM " WHERE a.seq = ?",
    /* What filters are held against, in the order and from the place that is asked for. */
    [SQL_AUDIT_SCAN] =
        "SELECT " AUDIT_SCANNED " FROM audit WHERE seq > " AUDIT_AFTER_PRUNED " ORDER BY seq",
    [SQL_AUDIT_SCAN_BACK] =
        "SELECT " AUDIT_SCANNED " FROM audit WHERE seq < ?1 AND " AUDIT_KEPT " ORDER BY seq DESC",
    [SQL_AUDIT_SCAN_OBJECT] = "SELECT " AUDIT_SCANNED " FROM audit INDEXED BY audit_by_object"
                              " WHERE seq > " AUDIT_AFTER_PRUNED " AND object = ?2 ORDER BY seq",
    [SQL_AUDIT_SCAN_OBJECT_BACK] =
        "SELECT " AUDIT_SCANNED " FROM audit INDEXED BY audit_by_object"
        " WHERE seq < ?1 AND object = ?2 AND " AUDIT_KEPT " ORDER BY seq DESC",
    [SQL_AUDIT_SCAN_TIME] = "SELECT " AUDIT_SCANNED " FROM audit INDEXED BY audit_by_time"
                            " WHERE (seq > ?1 OR time_ms > ?2) AND time_ms >= ?2 AND time_ms < ?3"
                            " AND " AUDIT_KEPT " ORDER BY time_ms, seq",
    [SQL_AUDIT_SCAN_TIME_BACK] =
        "SELECT " AUDIT_SCANNED " FROM audit INDEXED BY audit_by_time"
        " WHERE (seq < ?1 OR time_ms < ?2) AND time_ms <= ?2 AND time_ms >= ?3 AND " AUDIT_KEPT
        " ORDER BY time_ms DESC, seq DESC",
    [SQL_AUDIT_CHECKPOINT_INSERT] =
        "INSERT INTO audit_checkpoint (" AUDIT_CHECKPOINT_COLUMNS ") VALUES (?,?,?,?,?,?)",
    [SQL_AUDIT_CHECKPOINT_GET] =
        "SELECT " AUDIT_CHECKPOINT_COLUMNS " FROM audit_checkpoint WHERE seq = ?",
    [SQL_AUDIT_CHECKPOINT_LIST] = "SELECT " AUDIT_CHECKPOINT_COLUMNS
                                  " FROM audit_checkpoint WHERE seq > ? ORDER BY seq LIMIT ?",
    [SQL_AUDIT_MARKS] = "SELECT coalesce((SELECT max(seq) FROM audit_checkpoint), 0),"
                        " coalesce((SELECT max(through_seq) FROM audit_prune), 0)",
    [SQL_AUDIT_PRUNE] = "INSERT INTO audit_prune (through_seq, time_ms) VALUES (?,?)",
    /* A row at a time in the order of seq, as the table's rule wants it. */
    [SQL_AUDIT_FORGET] = "DELETE FROM audit WHERE seq <= min((SELECT max(through_seq) FROM"
                         " audit_prune), (SELECT min(seq) FROM audit) + ?1 - 1)",
    [SQL_AUDIT_FORGET_CHECKPOINTS] =
        "DELETE FROM audit_checkpoint WHERE seq < min((SELECT max(through_seq) FROM audit_prune),"
        " (SELECT min(seq) FROM audit))",
};
