/* /v1/models/{model}/baseline-signers: the keys that a model's baselines have to be signed with. */
#include "api/admin/admin.h"
#include "api/admin/provenance.h"
#include "server/base/encoding.h"
#include "server/crypto/detached.h"

#include <string.h>

struct signer_body {
    const char *name, *algorithm, *public_key;
};
static const struct field signer_fields[] = {
    {"name", FIELD_TEXT, true, 1, 128, offsetof(struct signer_body, name)},
    {"algorithm", FIELD_TEXT, false, 1, 32, offsetof(struct signer_body, algorithm)},
    {"public_key", FIELD_TEXT, true, 1, 8192, offsetof(struct signer_body, public_key)},
};
const struct shape baseline_signer_shape = SHAPE(signer_fields, struct signer_body);

struct signer_change {
    struct change change; /* first */
    struct baseline_signer_row row;
};

static void write_signer(struct json_out *o, const struct baseline_signer_row *row) {
    json_out_object(o, NULL);
    json_out_hex(o, "key_sha256", bytes_of(row->key_sha256, 32));
    json_out_text(o, "name", row->name);
    json_out_text(o, "algorithm", row->algorithm);
    json_out_base64(o, "public_key", row->public_key);
    json_out_time(o, "added_at", row->added);
    json_out_text(o, "added_by", row->added_by);
    json_out_object_end(o);
}

struct bytes signer_json(struct change *c, const struct baseline_signer_row *row) {
    struct json_out o;
    json_out_init(&o, c->r->x->arena, 1024);
    write_signer(&o, row);
    return json_out_end(&o);
}

enum http_next baseline_signer_list(struct request *r) {
    const struct page_query *query = r->query;
    struct model_row model;
    struct baseline_signer_row *rows;
    size_t num;
    struct json_out o;
    char last[65];
    enum status status = store_model_get(r->worker->reader, &model, r->param[0]);
    if (status != STATUS_OK) {
        return answer_status(r, status, NULL);
    }
    status = store_baseline_signer_list(r->worker->reader, r->x->arena, &rows, &num, r->param[0],
                                        page_of(query));
    if (status != STATUS_OK) {
        return list_failed(r, status);
    }
    size_t shown = list_begin(&o, r, query, num);
    for (size_t i = 0; i < shown; i++) {
        write_signer(&o, &rows[i]);
        hex_encode(last, bytes_of(rows[i].key_sha256, 32));
    }
    return list_end(&o, r, query, num, shown == 0 ? NULL : last);
}

static enum status apply_signer_add(struct change *c, struct store_writer *writer,
                                    struct detail *detail) {
    const struct signer_change *s = (const struct signer_change *)c;
    struct model_row model;
    struct signers signers;
    (void)detail;
    enum status status = store_model_get(store_writer_reader(writer), &model, s->row.model);
    if (status == STATUS_OK) {
        status = signers_read(&signers, c, writer, s->row.model);
    }
    if (status == STATUS_OK && signers.num == SIGNERS_MAX) {
        return change_fail(c, PROBLEM_TOO_MANY_SIGNERS, STATUS_CONFLICT);
    }
    if (status == STATUS_OK) {
        status = store_baseline_signer_insert(writer, &s->row);
        if (status == STATUS_CONFLICT) {
            return change_fail(c, PROBLEM_ALREADY_EXISTS, status);
        }
    }
    change_audit(c, "baseline_signer.add", "model", s->row.model);
    c->audit.after = signer_json(c, &s->row);
    return status;
}

static enum http_next answer_signer_added(struct change *c) {
    struct json_out o;
    json_out_init(&o, c->r->x->arena, 1024);
    write_signer(&o, &((const struct signer_change *)c)->row);
    return answer_json(c->r, 201, &o);
}

static const struct change_kind signer_add_kind = {.commit =
                                                       CHANGE_COMMIT(.name = "baseline_signer.add"),
                                                   .apply = apply_signer_add,
                                                   .answer = answer_signer_added};

/* False: answered. */
static bool read_key(struct signer_change *s, const struct signer_body *body) {
    struct request *r = s->change.r;
    struct detail detail = {0};
    struct detached_key key;
    enum detached_algorithm wanted =
        body->algorithm == NULL ? DETACHED_NONE : detached_algorithm_from_name(body->algorithm);
    if (body->algorithm != NULL && wanted == DETACHED_NONE) {
        (void)problem_detail(r->x, PROBLEM_INVALID_FIELD, "algorithm: not one of ours");
        return false;
    }
    enum status status = detached_spki_from_pem(&s->row.public_key, r->x->arena, body->public_key);
    if (status == STATUS_MALFORMED) {
        detail_set(&detail, "not a PEM public key");
    } else if (status == STATUS_OK) {
        status = detached_key_from_spki(&key, s->row.public_key, wanted, &detail);
    }
    if (status != STATUS_OK) {
        (void)(status == STATUS_MEMORY
                   ? answer_status(r, status, NULL)
                   : problem_detail(r->x, PROBLEM_INVALID_FIELD, "public_key: %s", detail.text));
        return false;
    }
    text_copy(s->row.algorithm, sizeof s->row.algorithm, detached_algorithm_name(key.algorithm));
    digest_compute(HASH_SHA256, s->row.public_key, s->row.key_sha256);
    return true;
}

enum http_next baseline_signer_add(struct request *r) {
    const struct signer_body *body = r->body;
    struct signer_change *s = change_new(r, &signer_add_kind, sizeof *s);
    if (s == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    if (strlen(r->param[0]) >= STORE_NAME) {
        return problem(r->x, PROBLEM_NOT_FOUND);
    }
    text_copy(s->row.model, sizeof s->row.model, r->param[0]);
    text_copy(s->row.name, sizeof s->row.name, body->name);
    text_copy(s->row.added_by, sizeof s->row.added_by, r->operator_name);
    s->row.added = change_now(&s->change);
    return read_key(s, body) ? change_submit(&s->change) : HTTP_ANSWER;
}

static enum status apply_signer_remove(struct change *c, struct store_writer *writer,
                                       struct detail *detail) {
    const struct signer_change *s = (const struct signer_change *)c;
    struct signers signers;
    (void)detail;
    enum status status = signers_read(&signers, c, writer, c->r->param[0]);
    for (size_t i = 0; status == STATUS_OK && i < signers.num; i++) {
        if (memcmp(signers.row[i].key_sha256, s->row.key_sha256, 32) == 0) {
            change_audit(c, "baseline_signer.remove", "model", c->r->param[0]);
            c->audit.before = signer_json(c, &signers.row[i]);
            return store_baseline_signer_delete(writer, c->r->param[0], s->row.key_sha256);
        }
    }
    return status == STATUS_OK ? STATUS_NOT_FOUND : status;
}

static enum http_next answer_signer_removed(struct change *c) {
    return answer_empty(c->r);
}

static const struct change_kind signer_remove_kind = {
    .commit = CHANGE_COMMIT(.name = "baseline_signer.remove"),
    .apply = apply_signer_remove,
    .answer = answer_signer_removed};

enum http_next baseline_signer_remove(struct request *r) {
    struct signer_change *s = change_new(r, &signer_remove_kind, sizeof *s);
    if (s == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    if (strlen(r->param[1]) != 64 ||
        hex_decode(s->row.key_sha256, sizeof s->row.key_sha256, r->param[1]) != STATUS_OK) {
        return problem(r->x, PROBLEM_NOT_FOUND);
    }
    return change_submit(&s->change);
}
