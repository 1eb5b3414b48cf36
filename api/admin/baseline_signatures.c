/* /v1/baselines/{id}/signatures: who vouches for a document. */
#include "api/admin/admin.h"
#include "api/admin/provenance.h"
#include "server/appraisal/canonical.h"
#include "server/crypto/detached.h"

#include <string.h>

struct signature_body {
    struct bytes signature;
};
static const struct field signature_fields[] = {
    {"signature", FIELD_BASE64, true, 1, DETACHED_SIGNATURE_MAX,
     offsetof(struct signature_body, signature)},
};
const struct shape baseline_signature_shape = SHAPE(signature_fields, struct signature_body);

struct signature_change {
    struct change change; /* first */
    struct baseline_signature_row row;
    const struct baseline_signer_row *signer;
};

/* `current`: it is over the document as it is. */
static void write_signature(struct json_out *o, const struct baseline_signature_row *row,
                            bool current) {
    json_out_object(o, NULL);
    json_out_hex(o, "key_sha256", bytes_of(row->key_sha256, 32));
    json_out_hex(o, "canonical_sha256", bytes_of(row->document_sha256, 32));
    json_out_bool(o, "current", current);
    json_out_base64(o, "signature", row->signature);
    json_out_time(o, "added_at", row->added);
    json_out_text(o, "added_by", row->added_by);
    json_out_object_end(o);
}

static enum status canonical_digest(uint8_t out[static 32], struct arena *arena,
                                    struct bytes document, struct bytes *canonical) {
    enum status status = canonical_json(canonical, arena, document, NULL);
    if (status == STATUS_OK) {
        digest_compute(HASH_SHA256, *canonical, out);
    }
    return status == STATUS_OK || status == STATUS_MEMORY ? status : STATUS_INTERNAL;
}

enum http_next baseline_signature_list(struct request *r) {
    struct baseline_row baseline;
    struct baseline_signature_row *rows;
    struct bytes canonical;
    uint8_t digest[32];
    size_t num;
    struct json_out o;
    enum status status = store_baseline_get(r->worker->reader, r->x->arena, &baseline, r->param[0]);
    if (status == STATUS_OK) {
        status =
            store_baseline_signature_list(r->worker->reader, r->x->arena, &rows, &num, r->param[0]);
    }
    if (status == STATUS_OK) {
        status = canonical_digest(digest, r->x->arena, baseline.document, &canonical);
    }
    if (status != STATUS_OK) {
        return answer_status(r, status, NULL);
    }
    json_out_init(&o, r->x->arena, 512);
    json_out_object(&o, NULL);
    json_out_hex(&o, "canonical_sha256", bytes_of(digest, 32));
    json_out_array(&o, "items");
    for (size_t i = 0; i < num; i++) {
        write_signature(&o, &rows[i], memcmp(rows[i].document_sha256, digest, 32) == 0);
    }
    json_out_array_end(&o);
    json_out_object_end(&o);
    return answer_json(r, 200, &o);
}

static enum status find_signer(struct signature_change *s, struct store_writer *writer,
                               const struct baseline_row *baseline, struct detail *detail) {
    struct signers signers;
    struct bytes canonical;
    struct change *c = &s->change;
    enum status status = signers_read(&signers, c, writer, baseline->model);
    if (status == STATUS_OK) {
        status = canonical_digest(s->row.document_sha256, c->r->x->arena, baseline->document,
                                  &canonical);
    }
    for (size_t i = 0; status == STATUS_OK && i < signers.num; i++) {
        if (signer_signed(&signers.row[i], s->row.signature, canonical)) {
            s->signer = signers.row + i;
            memcpy(s->row.key_sha256, s->signer->key_sha256, 32);
            return STATUS_OK;
        }
    }
    if (status == STATUS_OK) {
        detail_set(detail, "it holds under none of the model's %zu keys", signers.num);
        return change_fail(c, PROBLEM_BASELINE_SIGNATURE_INVALID, STATUS_INVALID);
    }
    return status;
}

static enum status apply_sign(struct change *c, struct store_writer *writer,
                              struct detail *detail) {
    struct signature_change *s = (struct signature_change *)c;
    struct baseline_row baseline;
    enum status status =
        store_baseline_get(store_writer_reader(writer), c->r->x->arena, &baseline, c->r->param[0]);
    if (status == STATUS_OK) {
        status = find_signer(s, writer, &baseline, detail);
    }
    if (status != STATUS_OK) {
        return status;
    }
    text_copy(s->row.baseline_id, sizeof s->row.baseline_id, baseline.id);
    change_audit(c, "baseline.sign", "baseline", baseline.id);
    c->audit.after = signer_json(c, s->signer);
    return store_baseline_signature_put(writer, &s->row);
}

static enum http_next answer_signed(struct change *c) {
    struct json_out o;
    json_out_init(&o, c->r->x->arena, 1024);
    write_signature(&o, &((const struct signature_change *)c)->row, true);
    return answer_json(c->r, 201, &o);
}

static const struct change_kind sign_kind = {
    .commit = CHANGE_COMMIT(.name = "baseline.sign"), .apply = apply_sign, .answer = answer_signed};

enum http_next baseline_signature_add(struct request *r) {
    const struct signature_body *body = r->body;
    struct signature_change *s = change_new(r, &sign_kind, sizeof *s);
    if (s == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    s->row.signature = body->signature;
    text_copy(s->row.added_by, sizeof s->row.added_by, r->operator_name);
    s->row.added = change_now(&s->change);
    return change_submit(&s->change);
}
