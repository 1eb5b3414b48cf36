/* What operators and proxies have in common: each is a certificate with a name. */
#ifndef GATEHOUSE_API_ADMIN_REGISTERED_H
#define GATEHOUSE_API_ADMIN_REGISTERED_H

#include "api/admin/admin.h"

struct registered_body {
    const char *name, *role, *dialect;
    const char *certificate; /* PEM, or: */
    struct bytes certificate_sha256;
    bool disabled;
};
#define REGISTERED_FIELDS                                                                          \
    {"certificate", FIELD_TEXT, false, 1, 16384, offsetof(struct registered_body, certificate)},   \
        {"certificate_sha256",                                                                     \
         FIELD_SHA256,                                                                             \
         false,                                                                                    \
         0,                                                                                        \
         0,                                                                                        \
         offsetof(struct registered_body, certificate_sha256)},                                    \
    {                                                                                              \
        "disabled", FIELD_BOOLEAN, false, 0, 0, offsetof(struct registered_body, disabled)         \
    }
#define REGISTERED_NAME                                                                            \
    {"name", FIELD_TEXT, true, 1, STORE_NAME - 1, offsetof(struct registered_body, name)}

/* Checks the name, when there is one, and finds the digest: of the one certificate, or as it was
 * given; *given says whether. With `required` one of them must stand there. False: answered. */
MUST_USE bool registered_read(struct request *r, uint8_t sha256[static 32], bool *given,
                              const struct registered_body *body, bool required);

#endif
