/* The anchors of models, compiled for a policy: one bundle a model and purpose, shared by the
 * snapshots between which nothing of it changed. Internal to policy.c; the committer's thread (or
 * the start) takes and releases, readers look. */
#ifndef GATEHOUSE_FLEET_ANCHOR_BUNDLES_H
#define GATEHOUSE_FLEET_ANCHOR_BUNDLES_H

#include "db/store.h"
#include "server/crypto/x509.h"

struct anchor_bundle;
struct anchor_bundles { /* of one snapshot; all zero: none */
    struct anchor_bundle **bundle;
    size_t num;
};

/* Compiles what the store holds; what `old` (NULL: none) has of the same certificates is shared.
 * The list is in `arena`. STORAGE, MEMORY; MALFORMED, LIMIT, INVALID for anchors that do not
 * compile, with the model's name. Also after a failure `out` is to be released. */
MUST_USE enum status anchor_bundles_take(struct anchor_bundles *out,
                                         const struct anchor_bundles *old, struct arena *arena,
                                         struct store_reader *reader, struct detail *detail);
void anchor_bundles_release(struct anchor_bundles *bundles);
/* NULL: the model has none for this purpose. */
const struct trust_bundle *anchor_bundles_find(const struct anchor_bundles *bundles,
                                               const char *model, enum anchor_purpose purpose);

/* Compiles anchors of one model and purpose, `num` of them; for those who write them, too. */
MUST_USE enum status anchor_rows_compile(struct trust_bundle **out, const struct anchor_row *rows,
                                         size_t num, struct detail *detail);

#endif
