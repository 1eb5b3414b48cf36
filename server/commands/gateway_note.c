#include "server/commands/gateway_note.h"

#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/base/file.h"
#include "server/crypto/digest.h"
#include "server/fleet/audit_chain.h"

#include <stdio.h>
#include <stdlib.h>

enum { CONFIG_FILE_MAX = 1 << 20 };

enum status gateway_commit_audit(struct commit *commit, struct store_writer *writer,
                                 struct detail *detail) {
    return audit_append(writer, &((struct gateway_commit *)commit)->row, detail);
}

void gateway_commit_done(struct commit *commit) {
    (void)sem_post(&((struct gateway_commit *)commit)->done);
}

enum status gateway_commit(struct gateway_commit *c) {
    struct gateway *g = c->gateway;
    c->row.time_ms = clock_unix_ms();
    (void)snprintf(c->row.actor, sizeof c->row.actor, "system");
    (void)snprintf(c->row.object, sizeof c->row.object, "gateway:%.100s", g->config->trust_domain);
    if (sem_init(&c->done, 0, 0) != 0) {
        return STATUS_INTERNAL;
    }
    enum status status = committer_submit(g->committer, &c->commit);
    if (status == STATUS_OK) {
        while (sem_wait(&c->done) != 0) { /* interrupted */
        }
        status = c->commit.status;
    }
    (void)sem_destroy(&c->done);
    if (status != STATUS_OK) {
        log_event(g->log, LOG_ERROR, "audit_failed", log_str("action", c->row.action),
                  log_str("status", status_name(status)), log_str("detail", c->commit.detail.text));
    }
    return status;
}

static const struct commit_kind kind = {
    .name = "gateway.note", .apply = gateway_commit_audit, .done = gateway_commit_done};

static bool write_note(struct gateway *g, const char *action, struct bytes after) {
    struct gateway_commit note = {.commit.kind = &kind, .gateway = g, .row.after = after};
    (void)snprintf(note.row.action, sizeof note.row.action, "%s", action);
    return gateway_commit(&note) == STATUS_OK;
}

/* Terminated hex; "" when the file cannot be read. */
static void digest_file(char out[static 65], const char *path) {
    uint8_t *text = NULL, digest[32];
    size_t len = 0;
    out[0] = '\0';
    if (file_read(&text, &len, path, CONFIG_FILE_MAX, NULL) == STATUS_OK) {
        digest_compute(HASH_SHA256, bytes_of(text, len), digest);
        hex_encode(out, bytes_of(digest, sizeof digest));
        free(text);
    }
}

void gateway_note_start(struct gateway *g, const char *config_file) {
    struct arena arena;
    struct json_out o;
    char digest[65];
    digest_file(digest, config_file);
    arena_init(&arena, 4096);
    json_out_init(&o, &arena, 256);
    json_out_object(&o, NULL);
    json_out_text(&o, "version", GATEHOUSE_VERSION);
    json_out_text_or_null(&o, "configuration_sha256", digest);
    json_out_object_end(&o);
    g->noted = write_note(g, "gateway.start", json_out_end(&o));
    arena_free(&arena);
}

void gateway_note_stop(struct gateway *g) {
    if (g->noted) {
        (void)write_note(g, "gateway.stop", (struct bytes){NULL, 0});
        g->noted = false;
    }
}
