#include "server/commands/gateway_leaked_keys.h"

#include "server/base/file.h"
#include "server/base/json_out.h"
#include "server/commands/gateway_note.h"
#include "server/crypto/digest.h"
#include "server/fleet/reappraisal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 4 << 20, LIST_MAX = 16 << 20 };

struct list {
    struct arena arena;
    struct leaked_keys keys;
    uint8_t sha256[32]; /* of the file; zeros: none is configured */
};

static enum status read_list(struct list *out, const struct gateway *g, struct detail *detail) {
    uint8_t *text = NULL;
    size_t len = 0;
    *out = (struct list){0};
    arena_init(&out->arena, LIST_MAX);
    if (g->config->leaked_keys == NULL) {
        return STATUS_OK;
    }
    enum status status = file_read(&text, &len, g->config->leaked_keys, FILE_MAX, detail);
    if (status == STATUS_OK) {
        digest_compute(HASH_SHA256, bytes_of(text, len), out->sha256);
        status =
            leaked_keys_read(&out->keys, &out->arena, bytes_of(text, len), "configuration", detail);
        free(text);
    }
    if (status != STATUS_OK) {
        detail_prefix(detail, "appraisal.leaked_keys: %s", g->config->leaked_keys);
        arena_free(&out->arena);
    }
    return status;
}

enum status gateway_leaked_keys_load(struct gateway *g, struct detail *detail) {
    struct list list;
    enum status status = read_list(&list, g, detail);
    if (status != STATUS_OK) {
        return status;
    }
    status = policy_configure_leaked_keys(g->policy, &list.keys);
    memcpy(g->leaked_keys_sha256, list.sha256, sizeof list.sha256);
    arena_free(&list.arena);
    return status == STATUS_OK ? status
                               : status_fail(detail, status, "appraisal.leaked_keys: no memory");
}

struct configure {
    struct gateway_commit commit; /* first */
    const struct list *list;
};

/* The whole fleet is held against the changed list. */
static enum status judge_again(struct store_writer *writer, const struct audit_row *row,
                               struct detail *detail) {
    char id[STORE_ID];
    const struct reappraisal_request request = {
        .model = "", .cause = "leaked_key", .enforce = ENFORCE_NOW, .requested_by = row->actor};
    return reappraisal_request(writer, id, &request, row->time_ms, detail);
}

/* On the committer's thread, which builds the next snapshot of the policy when this is durable. */
static enum status apply(struct commit *commit, struct store_writer *writer,
                         struct detail *detail) {
    struct configure *c = (struct configure *)(void *)commit;
    enum status status = gateway_commit_audit(commit, writer, detail);
    if (status == STATUS_OK) {
        status = judge_again(writer, &c->commit.row, detail);
    }
    return status == STATUS_OK
               ? policy_configure_leaked_keys(c->commit.gateway->policy, &c->list->keys)
               : status;
}

static const struct commit_kind kind = {.name = "leaked_keys.configure",
                                        .apply = apply,
                                        .done = gateway_commit_done,
                                        .reloads_policy = true};

enum status gateway_leaked_keys_reload(struct gateway *g, struct detail *detail) {
    struct list list;
    struct json_out o;
    enum status status = read_list(&list, g, detail);
    if (status != STATUS_OK) {
        return status;
    }
    if (memcmp(list.sha256, g->leaked_keys_sha256, sizeof list.sha256) == 0) {
        arena_free(&list.arena);
        return STATUS_OK;
    }
    json_out_init(&o, &list.arena, 256);
    json_out_object(&o, NULL);
    json_out_int(&o, "keys", (int64_t)list.keys.num);
    json_out_hex(&o, "sha256", bytes_of(list.sha256, sizeof list.sha256));
    json_out_object_end(&o);
    struct configure c = {.commit = {.commit.kind = &kind, .gateway = g}, .list = &list};
    c.commit.row.after = json_out_end(&o);
    (void)snprintf(c.commit.row.action, sizeof c.commit.row.action, "leaked_keys.configure");
    status = gateway_commit(&c.commit);
    if (status == STATUS_OK) {
        memcpy(g->leaked_keys_sha256, list.sha256, sizeof list.sha256);
    }
    arena_free(&list.arena);
    return status == STATUS_OK
               ? status
               : status_fail(detail, status, "appraisal.leaked_keys: %s", status_name(status));
}
