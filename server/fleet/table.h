/* The fleet table: what decisions are made from. In memory, read without locks by any registered
 * thread (liburcu), written by the committer's thread only. Keys: device id, SHA-256 of the access
 * credential, its serial. A lease that has run out denies by itself. A million devices with a
 * credential each take about 250 MB. A device, once known, stays (one put as REGISTERED is unknown to decisions); what has expired is forgotten an
 * hour later, or when the device has had two newer credentials. */
#ifndef GATEHOUSE_FLEET_TABLE_H
#define GATEHOUSE_FLEET_TABLE_H

#include "db/store.h"
#include "server/appraisal/appraisal.h"
#include "server/credential/crl.h"

struct fleet_table;

MUST_USE enum status fleet_table_new(struct fleet_table **out);
void fleet_table_free(struct fleet_table *table); /* by a registered thread; NULL is allowed */
/* Every thread that reads or writes registers once, and unregisters before it ends. */
void fleet_thread_enter(void);
void fleet_thread_leave(void);

enum { DECISION_MAX_SERIALS = 8, FLEET_REMEMBERS_S = 3600 };
/* The first that holds, in this order: what is unknown; the state; the latest verdict; then the
 * credential that was asked for, or else the newest one of the device. Names are stable. */
enum decision_reason {
    REASON_TRUSTED,
    REASON_UNKNOWN_DEVICE,
    REASON_UNKNOWN_CREDENTIAL, /* never issued, or forgotten since it expired */
    REASON_NO_CREDENTIAL,      /* trusted, and never had one */
    REASON_NOT_APPRAISED,      /* no verdict yet */
    REASON_UNTRUSTED,
    REASON_LEASE_EXPIRED,
    REASON_NOT_YET_VALID, /* begins in the future */
    REASON_CREDENTIAL_REVOKED,
    REASON_QUARANTINED,
    REASON_RETIRED,
    REASON_PENDING_APPROVAL,
    REASON_TIER_TOO_LOW, /* trusted, and less than its model asks for: standing.h */
    /* It may pass, and not where it asks to: access_policy.h */
    REASON_UNKNOWN_POLICY,
    REASON_POLICY_TIER,
    REASON_POLICY_MODEL,
    REASON_POLICY_SEGMENT,
    REASON_POLICY_KEY_PROTECTION
};
const char *
decision_reason_name(enum decision_reason reason); /* "trusted", "unknown_device", ... */

struct decision { /* a copy: nothing borrowed */
    bool allow;
    enum decision_reason reason;
    char device_id[STORE_ID], model[STORE_NAME]; /* "" when unknown */
    enum tier tier;                              /* of the latest appraisal */
    uint16_t trustworthiness;                    /* likewise (server/appraisal/trustworthiness.h) */
    /* Of what is allowed, set by standing.h: the segment, "" for none, and the exceptions that the
     * latest verdict needed. */
    char segment[STORE_SEGMENT];
    char exception[EXCEPTIONS_PER_DEVICE][STORE_ID];
    size_t num_exceptions;
    /* Of the credential that was asked for, or else of the newest one that is valid now;
     * has_credential: there is one. */
    bool has_credential;
    enum key_protection key_protection;
    int64_t lease_expires; /* unix seconds; when expired: the end; 0: no lease, or not known */
    char serial[DECISION_MAX_SERIALS][STORE_SERIAL]; /* credentials valid now, newest first; of the
                                                        asked one only, when asked by credential */
    size_t num_serials;
};
/* "tpm", "unproven"; NULL without a credential. */
const char *decision_key_protection(const struct decision *decision);
/* Never fail, never wait. A device is allowed when it is enrolled, its latest verdict is trusted,
 * and a credential of it is valid at `now`. Asked by credential, that very credential must be valid
 * too. */
void fleet_decide_device(const struct fleet_table *table, struct decision *out,
                         const char *device_id, int64_t now);
void fleet_decide_certificate(const struct fleet_table *table, struct decision *out,
                              const uint8_t sha256[static 32], int64_t now);
void fleet_decide_serial(const struct fleet_table *table, struct decision *out, const char *serial,
                         int64_t now);

/* What the table holds of one credential by its serial number, whatever its device may do otherwise: for
 * answers about certificates (OCSP). */
struct credential_standing {
    bool revoked;
    int64_t not_before, not_after;
    int64_t revoked_at; /* unix seconds; when it was not in the store yet, the time of the denial */
    enum crl_reason reason;          /* of the revocation, once it is durable; UNSPECIFIED before */
    char authority[STORE_AUTHORITY]; /* as in credential_row */
};
/* False: never issued, or forgotten; then *out is untouched. Never waits. */
bool fleet_credential_standing(const struct fleet_table *table, struct credential_standing *out,
                               const uint8_t serial[static PROFILE_SERIAL_LEN]);

/* The writer's verbs (committer's thread, or single-threaded start; registered). Visible to every
 * reader when they return. What denies needs no memory and cannot fail; what cannot be an id or a
 * serial changes nothing. */
/* MALFORMED: no id. LIMIT: more than 65535 models ever. MEMORY. */
MUST_USE enum status fleet_put_device(struct fleet_table *table, const char *device_id,
                                      const char *model, enum device_state state,
                                      enum verdict verdict, enum tier tier);
/* What the appraisal says besides; to be put after the device. One that is put again with the same
 * verdict and tier keeps it, with others it loses it. Nothing for a device that is not in the table. */
void fleet_put_trustworthiness(struct fleet_table *table, const char *device_id,
                               uint16_t trustworthiness);
/* NOT_FOUND: the device is not in the table. CONFLICT: the serial is, and stays as it was.
 * MALFORMED: no serial. MEMORY. */
MUST_USE enum status fleet_put_credential(struct fleet_table *table,
                                          const struct credential_row *row);
/* Its verdict becomes untrusted, all its credentials are revoked. */
void fleet_deny_device(struct fleet_table *table, const char *device_id);
void fleet_revoke_credential(struct fleet_table *table, const char *serial);
/* Why a credential was revoked; one that was not, or is not in the table, is left alone. */
void fleet_note_reason(struct fleet_table *table, const char *serial, enum crl_reason reason);
/* Every credential of a device; of the devices of a model, or with "" of all. Verdicts stay. The
 * whole fleet is looked at for a model. */
void fleet_revoke_device(struct fleet_table *table, const char *device_id);
void fleet_revoke_model(struct fleet_table *table, const char *model);
/* Those of a device that were given for a higher tier than this one; those of a model's devices that
 * came to a lower tier than this one. */
void fleet_revoke_above(struct fleet_table *table, const char *device_id, enum tier tier);
void fleet_revoke_below(struct fleet_table *table, const char *model, enum tier tier);
/* Drops credentials that expired over FLEET_REMEMBERS_S ago. Looks at `limit` devices, and goes on
 * from there the next time. */
void fleet_prune(struct fleet_table *table, int64_t now, unsigned limit);
/* Fills an empty table from the store; at start. STORAGE, MEMORY, LIMIT: then it is good for
 * nothing. */
MUST_USE enum status fleet_table_load(struct fleet_table *table, struct store_reader *reader,
                                      int64_t now, struct detail *detail);
struct fleet_size {
    uint64_t devices, credentials;
};
struct fleet_size fleet_table_size(const struct fleet_table *table);

#endif
