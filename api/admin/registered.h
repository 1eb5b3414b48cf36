/* What operators and proxies have in common: each is a certificate with a name. */
#ifndef GATEHOUSE_API_ADMIN_REGISTERED_H
#define GATEHOUSE_API_ADMIN_REGISTERED_H

#include "api/admin/admin.h"

struct registered_body {
    const char *name, *role, *dialect;
    const char *certificate; /* PEM, or: */
    struct bytes certificate_sha256;
    struct id_list policies; /* of a proxy; id NULL: not given */
    bool disabled;
};
#define REGISTERED_CERTIFICATE                                                                     \
    {"certificate", FIELD_TEXT, false, 1, 16384, offsetof(struct registered_body, certificate)}, { \
        "certificate_sha256", FIELD_SHA256, false, 0, 0,                                           \
            offsetof(struct registered_body, certificate_sha256)                                   \
    }
#define REGISTERED_DISABLED                                                                        \
    {"disabled", FIELD_BOOLEAN, false, 0, 0, offsetof(struct registered_body, disabled)}
#define REGISTERED_NAME                                                                            \
    {"name", FIELD_TEXT, true, 1, STORE_NAME - 1, offsetof(struct registered_body, name)}

/* What a request registers: a certificate, or its digest only. */
struct registered_certificate {
    bool given;
    uint8_t sha256[32];
    struct bytes der;  /* empty: only the digest was given, and what follows is not known */
    char subject[257]; /* one line, cut to fit */
    int64_t not_after; /* 0: not known */
};
/* Checks the name, when there is one, and reads the certificate, when there is one. With `required`
 * there must be. False: answered. */
MUST_USE bool registered_read(struct request *r, struct registered_certificate *out,
                              const struct registered_body *body, bool required);

#endif
