/* /v1/models/{model}/ek-trust and /idevid-trust: certificates that count for one model only. */
#include "api/admin/admin.h"

#include "server/base/encoding.h"
#include "server/fleet/anchor_bundles.h"

#include <limits.h>
#include <string.h>

enum { ADDED_MAX = 256, TEXT_MAX = 4 << 20, ROWS_MAX = 1 << 26 };

struct anchors_body {
    const char *certificates;
};
static const struct field fields[] = {
    {"certificates", FIELD_TEXT, true, 1, TEXT_MAX, offsetof(struct anchors_body, certificates)},
};
const struct shape anchors_shape = SHAPE(fields, struct anchors_body);

struct anchors_change {
    struct change change; /* first */
    enum anchor_purpose purpose;
    struct anchor_row *rows; /* to be added */
    size_t num;
    uint8_t sha256[32]; /* to be removed */
};

static void write_anchor(struct json_out *o, const struct anchor_row *row) {
    json_out_object(o, NULL);
    json_out_hex(o, "sha256", bytes_of(row->sha256, 32));
    json_out_text(o, "subject", row->subject);
    json_out_text(o, "kind", row->is_anchor ? "anchor" : "intermediate");
    json_out_time(o, "not_after", row->not_after);
    json_out_time(o, "added_at", row->added);
    json_out_text(o, "added_by", row->added_by);
    json_out_object_end(o);
}

static const char *purpose_name(enum anchor_purpose purpose) {
    return purpose == ANCHOR_EK ? "ek" : "idevid";
}

/* --- reading --- */

static enum http_next list(struct request *r, enum anchor_purpose purpose) {
    const struct page_query *query = r->query;
    struct model_row model;
    struct anchor_row *rows;
    size_t num;
    struct json_out o;
    char last[65];
    enum status status = store_model_get(r->worker->reader, &model, r->param[0]);
    if (status != STATUS_OK) {
        return answer_status(r, status, NULL);
    }
    status = store_anchor_list(r->worker->reader, r->x->arena, &rows, &num, r->param[0], purpose,
                               page_of(query));
    if (status != STATUS_OK) {
        return list_failed(r, status);
    }
    size_t shown = list_begin(&o, r, query, num);
    for (size_t i = 0; i < shown; i++) {
        write_anchor(&o, &rows[i]);
        hex_encode(last, bytes_of(rows[i].sha256, 32));
    }
    return list_end(&o, r, query, num, shown == 0 ? NULL : last);
}

enum http_next ek_trust_list(struct request *r) {
    return list(r, ANCHOR_EK);
}

enum http_next idevid_trust_list(struct request *r) {
    return list(r, ANCHOR_IDEVID);
}

/* --- adding --- */

static bool fill_row(struct anchors_change *a, struct anchor_row *row,
                     const struct trust_certificate *given, struct detail *detail) {
    struct certificate certificate;
    bool ek = a->purpose == ANCHOR_EK;
    enum status status = trust_certificate_check(&row->is_anchor, given,
                                                 ek ? CHAIN_TPM_EK : CHAIN_TLS_CLIENT, detail);
    if (status == STATUS_OK) {
        status = ek ? certificate_parse_as_met(&certificate, given->der, detail)
                    : certificate_parse(&certificate, given->der, detail);
    }
    if (status != STATUS_OK) {
        return false;
    }
    row->purpose = a->purpose;
    row->der = given->der;
    memcpy(row->sha256, certificate.sha256, sizeof row->sha256);
    text_copy(row->subject, sizeof row->subject, certificate.subject);
    row->not_after = certificate.not_after;
    row->added = change_now(&a->change);
    text_copy(row->added_by, sizeof row->added_by, a->change.r->operator_name);
    text_copy(row->model, sizeof row->model, a->change.r->param[0]);
    return true;
}

/* False: answered. */
static bool read_certificates(struct anchors_change *a, const char *pem) {
    struct http_exchange *x = a->change.r->x;
    struct detail detail = {0};
    struct trust_certificate *given = arena_array(x->arena, ADDED_MAX, sizeof *given);
    a->rows = arena_array(x->arena, ADDED_MAX, sizeof *a->rows);
    if (x->arena->overflow) {
        (void)problem(x, PROBLEM_INTERNAL);
        return false;
    }
    enum status status =
        pem_trust_certificates(x->arena, given, &a->num, ADDED_MAX, bytes_of_text(pem), &detail);
    if (status != STATUS_OK) {
        (void)(status == STATUS_MEMORY
                   ? answer_status(a->change.r, status, &detail)
                   : problem_detail(x, PROBLEM_INVALID_FIELD, "certificates: %s", detail.text));
        return false;
    }
    for (size_t i = 0; i < a->num; i++) {
        if (!fill_row(a, &a->rows[i], &given[i], &detail)) {
            (void)problem_detail(x, PROBLEM_INVALID_FIELD, "certificates: number %zu: %s", i + 1,
                                 detail.text);
            return false;
        }
    }
    return true;
}

static void write_all(struct json_out *o, const struct anchors_change *a) {
    json_out_array(o, "items");
    for (size_t i = 0; i < a->num; i++) {
        write_anchor(o, &a->rows[i]);
    }
    json_out_array_end(o);
}

static struct bytes audit_json(struct change *c, const struct anchor_row *rows, size_t num) {
    const struct anchors_change *a = (const struct anchors_change *)c;
    struct json_out o;
    json_out_init(&o, c->r->x->arena, 64 + num * 400);
    json_out_object(&o, NULL);
    json_out_text(&o, "purpose", purpose_name(a->purpose));
    json_out_array(&o, "items");
    for (size_t i = 0; i < num; i++) {
        write_anchor(&o, &rows[i]);
    }
    json_out_array_end(&o);
    json_out_object_end(&o);
    return json_out_end(&o);
}

/* All that the model then has makes a bundle: a policy that does not compile must not be written. */
static enum status check_bundle(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    const struct anchors_change *a = (const struct anchors_change *)c;
    __attribute__((cleanup(arena_free))) struct arena arena;
    struct anchor_row *rows;
    size_t num;
    struct trust_bundle *bundle = NULL;
    arena_init(&arena, ROWS_MAX);
    enum status status =
        store_anchor_list(store_writer_reader(writer), &arena, &rows, &num, c->r->param[0],
                          a->purpose, (struct store_page){"", TRUST_BUNDLE_MAX + 1});
    if (status == STATUS_OK) {
        status = anchor_rows_compile(&bundle, rows, num, detail);
        trust_bundle_free(bundle);
        if (status != STATUS_OK && status != STATUS_MEMORY) {
            return change_fail(c, PROBLEM_TOO_MANY_ANCHORS, STATUS_CONFLICT);
        }
    }
    return status;
}

static enum status apply_add(struct change *c, struct store_writer *writer, struct detail *detail) {
    const struct anchors_change *a = (const struct anchors_change *)c;
    struct model_row model;
    enum status status = store_model_get(store_writer_reader(writer), &model, c->r->param[0]);
    for (size_t i = 0; i < a->num && status == STATUS_OK; i++) {
        status = store_anchor_insert(writer, &a->rows[i]);
        if (status == STATUS_CONFLICT) {
            detail_set(detail, "certificates: number %zu is there already", i + 1);
            return change_fail(c, PROBLEM_CERTIFICATE_IN_USE, status);
        }
    }
    if (status == STATUS_OK) {
        status = check_bundle(c, writer, detail);
    }
    change_audit(c, a->purpose == ANCHOR_EK ? "ek_trust.add" : "idevid_trust.add", "model",
                 c->r->param[0]);
    c->audit.after = audit_json(c, a->rows, a->num);
    return status;
}

static enum http_next answer_added(struct change *c) {
    const struct anchors_change *a = (const struct anchors_change *)c;
    struct json_out o;
    json_out_init(&o, c->r->x->arena, 64 + a->num * 400);
    json_out_object(&o, NULL);
    write_all(&o, a);
    json_out_object_end(&o);
    return answer_json(c->r, 201, &o);
}

static const struct change_kind add_kind = {
    .commit = CHANGE_COMMIT(.name = "anchors.add", .reloads_policy = true),
    .apply = apply_add,
    .answer = answer_added};

static enum http_next add(struct request *r, enum anchor_purpose purpose) {
    const struct anchors_body *body = r->body;
    struct anchors_change *a = change_new(r, &add_kind, sizeof *a);
    if (a == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    a->purpose = purpose;
    if (strlen(r->param[0]) >= STORE_NAME) {
        return problem(r->x, PROBLEM_NOT_FOUND);
    }
    return read_certificates(a, body->certificates) ? change_submit(&a->change) : HTTP_ANSWER;
}

enum http_next ek_trust_add(struct request *r) {
    return add(r, ANCHOR_EK);
}

enum http_next idevid_trust_add(struct request *r) {
    return add(r, ANCHOR_IDEVID);
}

/* --- removing --- */

/* The row of the digest that the path names; NOT_FOUND. */
static enum status find_row(struct change *c, struct store_writer *writer, struct anchor_row *out) {
    const struct anchors_change *a = (const struct anchors_change *)c;
    struct anchor_row *rows;
    size_t num;
    char before[65];
    uint8_t digest[32];
    /* The page begins after the digest before this one. */
    memcpy(digest, a->sha256, sizeof digest);
    for (size_t i = sizeof digest; i-- > 0 && digest[i]-- == 0;) {
    }
    hex_encode(before, bytes_of(digest, sizeof digest));
    bool first = bytes_all(bytes_of(a->sha256, sizeof a->sha256), 0);
    enum status status =
        store_anchor_list(store_writer_reader(writer), c->r->x->arena, &rows, &num, c->r->param[0],
                          a->purpose, (struct store_page){first ? "" : before, 1});
    if (status != STATUS_OK) {
        return status;
    }
    if (num == 0 || memcmp(rows[0].sha256, a->sha256, sizeof a->sha256) != 0) {
        return STATUS_NOT_FOUND;
    }
    *out = rows[0];
    return STATUS_OK;
}

static enum status apply_remove(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    const struct anchors_change *a = (const struct anchors_change *)c;
    struct anchor_row row;
    (void)detail;
    enum status status = find_row(c, writer, &row);
    if (status != STATUS_OK) {
        return status;
    }
    change_audit(c, a->purpose == ANCHOR_EK ? "ek_trust.remove" : "idevid_trust.remove", "model",
                 c->r->param[0]);
    c->audit.before = audit_json(c, &row, 1);
    return store_anchor_delete(writer, c->r->param[0], a->purpose, a->sha256);
}

static enum http_next answer_removed(struct change *c) {
    return answer_empty(c->r);
}

static const struct change_kind remove_kind = {
    .commit = CHANGE_COMMIT(.name = "anchors.remove", .reloads_policy = true),
    .apply = apply_remove,
    .answer = answer_removed};

static enum http_next remove_one(struct request *r, enum anchor_purpose purpose) {
    struct anchors_change *a = change_new(r, &remove_kind, sizeof *a);
    if (a == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    a->purpose = purpose;
    if (strlen(r->param[1]) != 64 ||
        hex_decode(a->sha256, sizeof a->sha256, r->param[1]) != STATUS_OK) {
        return problem(r->x, PROBLEM_NOT_FOUND);
    }
    return change_submit(&a->change);
}

enum http_next ek_trust_remove(struct request *r) {
    return remove_one(r, ANCHOR_EK);
}

enum http_next idevid_trust_remove(struct request *r) {
    return remove_one(r, ANCHOR_IDEVID);
}
