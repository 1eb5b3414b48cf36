/* Keys with certificates, as `init` and `ca` make them. The key is in memory until authority_free. */
#ifndef GATEHOUSE_COMMANDS_AUTHORITY_H
#define GATEHOUSE_COMMANDS_AUTHORITY_H

#include "server/credential/profile.h"

struct authority { /* zero-initialised */
    struct private_key *key;
    uint8_t der[CERTIFICATE_DER_MAX];
    size_t der_len;
};

/* A new P-256 key, unless out->key is one already, and a certificate for it by `request`, which lacks
 * only key and serial. `issuer` NULL: signed by itself. On failure authority_free is still to be called. */
MUST_USE enum status authority_issue(struct authority *out, const struct authority *issuer,
                                     struct certificate_request *request, struct detail *detail);
/* An authority of ten years from `now` on, signed by itself. As above. */
MUST_USE enum status authority_new(struct authority *out, const char *title, int64_t now,
                                   struct detail *detail);
void authority_free(struct authority *authority);

enum { AUTHORITY_BACKDATED_S = 300 }; /* clocks of those who verify */

#endif
