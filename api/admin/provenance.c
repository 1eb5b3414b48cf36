#include "api/admin/provenance.h"

#include "server/appraisal/canonical.h"
#include "server/crypto/detached.h"

#include <string.h>

enum status signers_read(struct signers *out, struct change *c, struct store_writer *writer,
                         const char *model) {
    return store_baseline_signer_list(store_writer_reader(writer), c->r->x->arena, &out->row,
                                      &out->num, model, (struct store_page){"", SIGNERS_MAX});
}

bool signer_signed(const struct baseline_signer_row *signer, struct bytes signature,
                   struct bytes canonical) {
    struct detached_key key;
    return detached_key_from_spki(&key, signer->public_key,
                                  detached_algorithm_from_name(signer->algorithm),
                                  NULL) == STATUS_OK &&
           detached_verify(&key, signature, canonical, NULL) == STATUS_OK;
}

enum status provenance_check(struct change *c, struct store_writer *writer,
                             const struct baseline_row *row, struct detail *detail) {
    struct signers signers;
    struct baseline_signature_row *signature;
    struct bytes canonical;
    size_t num;
    struct arena *arena = c->r->x->arena;
    enum status status = signers_read(&signers, c, writer, row->model);
    if (status != STATUS_OK || signers.num == 0) {
        return status;
    }
    status = store_baseline_signature_list(store_writer_reader(writer), arena, &signature, &num,
                                           row->id);
    if (status == STATUS_OK) {
        status = canonical_json(&canonical, arena, row->document, detail);
    }
    if (status != STATUS_OK) {
        return status == STATUS_STORAGE || status == STATUS_MEMORY ? status : STATUS_INTERNAL;
    }
    for (size_t i = 0; i < num; i++) {
        for (size_t j = 0; j < signers.num; j++) {
            if (memcmp(signature[i].key_sha256, signers.row[j].key_sha256, 32) == 0 &&
                signer_signed(&signers.row[j], signature[i].signature, canonical)) {
                return STATUS_OK;
            }
        }
    }
    detail_set(detail, "none of the %zu keys of model %s signed the document as it is", signers.num,
               row->model);
    return change_fail(c, PROBLEM_BASELINE_UNSIGNED, STATUS_DENIED);
}
