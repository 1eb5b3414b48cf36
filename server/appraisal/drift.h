/* Drift: what changed between two boots, in words. Says what differs and judges nothing; names of
 * images and files come from paths that no digest covers, what differs is told by digests and bound
 * data alone. Pure; thread-safe; equal facts have no drift. */
#ifndef GATEHOUSE_APPRAISAL_DRIFT_H
#define GATEHOUSE_APPRAISAL_DRIFT_H

#include "server/base/json_out.h"
#include "server/evidence/facts.h"

enum drift_kind { DRIFT_ADDED, DRIFT_REMOVED, DRIFT_REPLACED, DRIFT_CHANGED };
const char *drift_kind_name(enum drift_kind kind); /* "added" */

struct drift_change {
    /* "event_log", "secure_boot", "setup_mode", "audit_mode", "deployed_mode", "platform_key",
     * "key_exchange_keys", "db", "dbx", "authority", "firmware", "firmware_version",
     * "kernel_command_line", "kernel_path", "initrd", "file", "sbat", "tpm_firmware", "pcr", or the
     * step of the boot: "shim", "kernel", "driver-1", ... */
    const char *subject;
    enum drift_kind kind;
    const char *before, *after; /* NULL: there is none */
    int pcr, event;   /* of the later boot, of what was removed of the earlier; -1: none */
    const char *text; /* "kernel: 6.1.0-27 (5f21ff2c0d5d) became 6.1.0-28 (...)" */
};
enum { DRIFT_MAX_CHANGES = 128 };
struct drift {
    struct drift_change *change; /* arena; Secure Boot first, PCRs that nothing explains last */
    size_t num;
    bool cut; /* there are more than DRIFT_MAX_CHANGES */
};

/* MEMORY. */
MUST_USE enum status drift_between(struct drift *out, struct arena *arena,
                                   const struct facts *before, const struct facts *after);
/* {"subject","change","before","after","pcr","event","text"} */
void drift_write_change(struct json_out *o, const char *name, const struct drift_change *change);
/* A list of such. */
void drift_write(struct json_out *o, const char *name, const struct drift *drift);

#endif
