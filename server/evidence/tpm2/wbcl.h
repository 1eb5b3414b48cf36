/* Windows Boot Configuration Log: what Windows' boot manager and loader measure into PCRs 11 to 14
 * as EV_EVENT_TAG: events in events. Views; allocates nothing; thread-safe. Source: Microsoft's
 * wbcl.h of the Windows SDK; integers are little-endian. */
#ifndef GATEHOUSE_EVIDENCE_TPM2_WBCL_H
#define GATEHOUSE_EVIDENCE_TPM2_WBCL_H

#include "server/base/bytes.h"

enum wbcl_kind {
    WBCL_BYTES = 0, /* anything that is not one of these */
    WBCL_CONTAINER, /* its data are events */
    WBCL_BOOLEAN,   /* one byte, 0 or 1 */
    WBCL_NUMBER,    /* 1, 2, 4 or 8 bytes */
    WBCL_TEXT       /* UTF-16LE */
};
enum { WBCL_MAX_DEPTH = 4 };

struct wbcl_event {
    uint32_t id; /* SIPAEVENT_... */
    struct bytes data;
};
/* One after another; END when none is left, TRUNCATED. */
MUST_USE enum status wbcl_next(struct bytes *data, struct wbcl_event *out);
/* "OSKernelDebug"; NULL for one that is not published. */
const char *wbcl_name(uint32_t id);
enum wbcl_kind wbcl_kind(uint32_t id);
/* Of a NUMBER or BOOLEAN; false when it is not of such a size. */
bool wbcl_number(struct bytes data, uint64_t *out);

#endif
