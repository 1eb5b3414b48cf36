/* POST /v1/audit/prune: the log begins after a checkpoint from now on. The entries before go a little
 * at a time, between the batches of the committer. */
#include "api/admin/admin.h"

#include <stdio.h>

struct prune_body {
    int64_t through_seq;
};
static const struct field prune_fields[] = {
    {"through_seq", FIELD_INTEGER, true, 1, INT64_MAX, offsetof(struct prune_body, through_seq)},
};
const struct shape audit_prune_shape = SHAPE(prune_fields, struct prune_body);

struct prune {
    struct change change; /* first */
    int64_t through_seq;
    struct audit_checkpoint_row checkpoint;
};

static struct bytes checkpoint_json(struct change *c, const struct audit_checkpoint_row *row) {
    struct json_out o;
    json_out_init(&o, c->r->x->arena, 256);
    json_out_object(&o, NULL);
    json_out_int(&o, "through_seq", row->seq);
    json_out_hex(&o, "hash", bytes_of(row->hash, sizeof row->hash));
    json_out_object_end(&o);
    return json_out_end(&o);
}

static enum status apply(struct change *c, struct store_writer *writer, struct detail *detail) {
    struct prune *p = (struct prune *)c;
    struct store_reader *reader = store_writer_reader(writer);
    int64_t newest, pruned;
    char seq[24];
    enum status status = store_audit_marks(reader, &newest, &pruned);
    if (status == STATUS_OK && p->through_seq <= pruned) {
        detail_set(detail, "the log begins after entry %lld", (long long)pruned);
        return change_fail(c, PROBLEM_ALREADY_PRUNED, STATUS_CONFLICT);
    }
    if (status == STATUS_OK) {
        status = store_audit_checkpoint_get(reader, c->r->x->arena, &p->checkpoint, p->through_seq);
    }
    if (status == STATUS_NOT_FOUND) {
        detail_set(detail, "there is no checkpoint of entry %lld", (long long)p->through_seq);
        return change_fail(c, PROBLEM_NOT_A_CHECKPOINT, STATUS_CONFLICT);
    }
    if (status == STATUS_OK) {
        status = store_audit_prune(writer, p->through_seq, c->now_ms);
    }
    if (status == STATUS_OK) {
        (void)snprintf(seq, sizeof seq, "%lld", (long long)p->through_seq);
        change_audit(c, "audit.prune", "audit", seq);
        c->audit.after = checkpoint_json(c, &p->checkpoint);
        status = c->audit.after.len == 0 ? STATUS_MEMORY : STATUS_OK;
    }
    return status;
}

static enum http_next answer(struct change *c) {
    struct json_out o;
    json_out_init(&o, c->r->x->arena, 256);
    json_out_raw(&o, NULL, c->audit.after);
    return answer_json(c->r, 200, &o);
}

static const struct change_kind prune_kind = {
    .commit = CHANGE_COMMIT(.name = "audit.prune"), .apply = apply, .answer = answer};

enum http_next audit_prune(struct request *r) {
    struct prune *p = change_new(r, &prune_kind, sizeof *p);
    if (p == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    p->through_seq = ((const struct prune_body *)r->body)->through_seq;
    return change_submit(&p->change);
}
