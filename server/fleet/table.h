/* The fleet table: what decisions are made from. In memory, read without locks by any registered
 * thread (liburcu), written by the committer's thread only. Keys: device id, SHA-256 of the access
 * credential, its serial. A lease that has run out denies by itself. A million devices with a
 * credential each take under 400 MB. */
#ifndef GATEHOUSE_FLEET_TABLE_H
#define GATEHOUSE_FLEET_TABLE_H

#include "db/store.h"
#include "server/appraisal/appraisal.h"

struct fleet_table;

MUST_USE enum status fleet_table_new(struct fleet_table **out);
void fleet_table_free(struct fleet_table *table);
/* Every thread that reads or writes registers once, and unregisters before it ends. */
void fleet_thread_enter(void);
void fleet_thread_leave(void);

enum { DECISION_MAX_SERIALS = 8 };
enum decision_reason { /* names are stable: decision_reason_name */
                       REASON_TRUSTED,
                       REASON_UNKNOWN_DEVICE,
                       REASON_UNKNOWN_CREDENTIAL,
                       REASON_NO_CREDENTIAL,
                       REASON_NOT_APPRAISED,
                       REASON_UNTRUSTED,
                       REASON_LEASE_EXPIRED,
                       REASON_NOT_YET_VALID,
                       REASON_CREDENTIAL_REVOKED,
                       REASON_QUARANTINED,
                       REASON_RETIRED,
                       REASON_PENDING_APPROVAL
};
const char *
decision_reason_name(enum decision_reason reason); /* "trusted", "unknown_device", ... */

struct decision { /* a copy: nothing borrowed */
    bool allow;
    enum decision_reason reason;
    char device_id[STORE_ID], model[STORE_NAME]; /* "" when unknown */
    enum tier tier;
    int64_t lease_expires;                           /* unix seconds; 0: no lease */
    char serial[DECISION_MAX_SERIALS][STORE_SERIAL]; /* credentials valid now, newest first; of the
                                                        asked one only, when asked by credential */
    size_t num_serials;
};
/* Never fail, never wait. A device is allowed when it is enrolled, its latest verdict is trusted,
 * and a credential of it is valid at `now`. Asked by credential, that very credential must be valid
 * too. */
void fleet_decide_device(const struct fleet_table *table, struct decision *out,
                         const char *device_id, int64_t now);
void fleet_decide_certificate(const struct fleet_table *table, struct decision *out,
                              const uint8_t sha256[static 32], int64_t now);
void fleet_decide_serial(const struct fleet_table *table, struct decision *out, const char *serial,
                         int64_t now);

/* The writer's verbs (committer's thread, or single-threaded start). Visible to every reader when
 * they return. */
MUST_USE enum status fleet_put_device(struct fleet_table *table, const char *device_id,
                                      const char *model, enum device_state state,
                                      enum verdict verdict, enum tier tier);
MUST_USE enum status fleet_put_credential(struct fleet_table *table,
                                          const struct credential_row *row);
void fleet_deny_device(struct fleet_table *table,
                       const char *device_id); /* verdict untrusted, all its credentials revoked: in
                                                  place, needs no memory */
void fleet_revoke_credential(struct fleet_table *table, const char *serial); /* in place */
void fleet_prune(
    struct fleet_table *table, int64_t now,
    unsigned limit); /* drops credentials expired for more than a day... by an incremental walk */
/* Rebuilds from the store; at start. */
MUST_USE enum status fleet_table_load(struct fleet_table *table, struct store_reader *reader,
                                      int64_t now, struct detail *detail);
struct fleet_size {
    uint64_t devices, credentials;
};
struct fleet_size fleet_table_size(const struct fleet_table *table);

#endif
