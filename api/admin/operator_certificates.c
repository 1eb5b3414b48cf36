/* /v1/operators/{name}/certificates: an operator's next certificate comes before the last one goes,
 * so that nobody loses access while one is replaced. Admins do this for everybody, and all operators
 * for themselves: then the certificate must come as PEM, and chain at this moment to what the plane
 * takes, and the one in use stays. */
#include "api/admin/operator_json.h"

#include "api/access.h"
#include "server/base/encoding.h"
#include "server/crypto/x509.h"

#include <string.h>

static const struct field add_fields[] = {REGISTERED_CERTIFICATE};
const struct shape operator_certificate_shape = SHAPE(add_fields, struct registered_body);

struct rotation {
    struct change change; /* first */
    struct registered_certificate certificate;
    struct operator_row row;
    uint8_t sha256[32]; /* of the one to remove */
};

static bool is_own(const struct request *r) {
    return strcmp(r->param[0], r->operator_name) == 0;
}

/* Whose it is, and who asks: as of the transaction. */
static enum status get_row(struct change *c, struct store_writer *writer,
                           struct operator_row *out) {
    if (!is_own(c->r) && c->r->role != ROLE_ADMIN) {
        return change_fail(c, PROBLEM_FORBIDDEN, STATUS_DENIED);
    }
    enum status status = store_operator_get(store_writer_reader(writer), out, c->r->param[0]);
    if (status == STATUS_OK) {
        c->audit.before = operator_json(c, out);
    }
    return status;
}

static enum status finish_row(struct change *c, struct store_writer *writer, const char *action,
                              struct operator_row *out) {
    enum status status = store_operator_get(store_writer_reader(writer), out, c->r->param[0]);
    if (status == STATUS_OK) {
        change_audit(c, action, "operator", out->name);
        c->audit.after = operator_json(c, out);
    }
    return status;
}

/* --- adding --- */

static enum status apply_add(struct change *c, struct store_writer *writer, struct detail *detail) {
    struct rotation *t = (struct rotation *)c;
    struct operator_certificate added;
    (void)detail;
    enum status status = get_row(c, writer, &t->row);
    if (status != STATUS_OK) {
        return status;
    }
    operator_certificate_fill(&added, c, &t->certificate);
    status = store_operator_certificate_add(writer, t->row.name, &added);
    if (status == STATUS_CONFLICT) {
        return change_fail(c, PROBLEM_CERTIFICATE_IN_USE, status);
    }
    if (status == STATUS_LIMIT) {
        return change_fail(c, PROBLEM_TOO_MANY_CERTIFICATES, status);
    }
    return status == STATUS_OK ? finish_row(c, writer, "operator.certificate_add", &t->row)
                               : status;
}

static enum http_next answer_added(struct change *c) {
    return operator_answer(c->r, 201, &((const struct rotation *)c)->row);
}

static const struct change_kind add_kind = {
    .commit = CHANGE_COMMIT(.name = "operator.certificate_add", .reloads_policy = true),
    .apply = apply_add,
    .answer = answer_added};

/* As the listener would see it: its anchors as the file has them now. */
static enum status chains(const struct request *r, struct bytes der, int64_t now,
                          struct detail *detail) {
    struct trust_bundle *bundle = NULL;
    const char *anchors = r->api->options.config->plane[PLANE_ADMIN].anchors;
    enum status status =
        anchors == NULL ? STATUS_INTERNAL : trust_bundle_read(&bundle, anchors, detail);
    if (status != STATUS_OK) {
        return STATUS_INTERNAL;
    }
    status = trust_bundle_verify(bundle, der, NULL, 0, now, CHAIN_ANY, detail);
    trust_bundle_free(bundle);
    return status;
}

/* False: answered. */
static bool check_own(struct request *r, const struct rotation *t) {
    struct detail detail = {0};
    if (t->certificate.der.len == 0) {
        (void)problem_detail(r->x, PROBLEM_MISSING_FIELD,
                             "certificate: one's own is registered as PEM");
        return false;
    }
    enum status status = chains(r, t->certificate.der, change_now(&t->change), &detail);
    if (status == STATUS_MEMORY || status == STATUS_INTERNAL) {
        (void)answer_status(r, status, &detail);
    } else if (status != STATUS_OK) {
        (void)answer_refusal(r, PROBLEM_CERTIFICATE_UNTRUSTED, &detail);
    }
    return status == STATUS_OK;
}

enum http_next operator_certificate_add(struct request *r) {
    struct rotation *t = change_new(r, &add_kind, sizeof *t);
    if (t == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    if (!is_own(r) && r->role != ROLE_ADMIN) {
        return access_refuse(r);
    }
    if (!registered_read(r, &t->certificate, r->body, true) || (is_own(r) && !check_own(r, t))) {
        return HTTP_ANSWER;
    }
    return change_submit(&t->change);
}

/* --- removing --- */

static enum status apply_remove(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct rotation *t = (struct rotation *)c;
    (void)detail;
    enum status status = get_row(c, writer, &t->row);
    if (status != STATUS_OK) {
        return status;
    }
    if (is_own(c->r) && memcmp(t->sha256, c->r->x->peer->leaf_sha256, 32) == 0) {
        return change_fail(c, PROBLEM_OWN_CERTIFICATE, STATUS_CONFLICT);
    }
    status = store_operator_certificate_delete(writer, t->row.name, t->sha256, change_now(c));
    if (status == STATUS_CONFLICT) {
        return change_fail(
            c, t->row.num_certificates == 1 ? PROBLEM_LAST_CERTIFICATE : PROBLEM_LAST_ADMIN,
            status);
    }
    return status == STATUS_OK ? finish_row(c, writer, "operator.certificate_remove", &t->row)
                               : status;
}

static enum http_next answer_removed(struct change *c) {
    return answer_empty(c->r);
}

static const struct change_kind remove_kind = {
    .commit = CHANGE_COMMIT(.name = "operator.certificate_remove", .reloads_policy = true),
    .apply = apply_remove,
    .answer = answer_removed};

enum http_next operator_certificate_remove(struct request *r) {
    struct rotation *t = change_new(r, &remove_kind, sizeof *t);
    if (t == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    if (!is_own(r) && r->role != ROLE_ADMIN) {
        return access_refuse(r);
    }
    if (hex_decode(t->sha256, sizeof t->sha256, r->param[1]) != STATUS_OK) {
        return problem(r->x, PROBLEM_NOT_FOUND);
    }
    return change_submit(&t->change);
}
