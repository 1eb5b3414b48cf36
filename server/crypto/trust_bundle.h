/* What a trust bundle holds, for those who load it and those who search it. Internal to
 * server/crypto. */
#ifndef GATEHOUSE_CRYPTO_TRUST_BUNDLE_H
#define GATEHOUSE_CRYPTO_TRUST_BUNDLE_H

#include "server/crypto/x509.h"
#include "server/crypto/x509_fields.h"

struct authority {
    struct x509_fields fields;
    struct public_key key; /* kind KEY_NONE when it is of a kind that we do not take */
    bool is_anchor;
};

struct trust_bundle {
    struct arena arena;
    struct authority *authorities;
    size_t num;
};

/* Views of `der`; `is_anchor` stays false. The reader's statuses, or that of a key that is
 * malformed. */
MUST_USE enum status authority_read(struct authority *out, struct bytes der, struct detail *detail);
/* What a leaf has to be for this purpose, apart from its chain; INVALID, MALFORMED. */
MUST_USE enum status chain_check_leaf(const struct x509_fields *leaf, int64_t now,
                                      enum chain_purpose purpose, struct detail *detail);
/* What an authority has to be, whatever stands below it and whenever; INVALID. */
MUST_USE enum status chain_check_authority(const struct x509_fields *authority,
                                           enum chain_purpose purpose, struct detail *detail);
MUST_USE enum status chain_check_validity(const struct x509_fields *f, int64_t now,
                                          struct detail *detail);

#endif
