#include "server/commands/gateway_authorities.h"

#include "server/base/clock.h"
#include "server/base/json_out.h"
#include "server/commands/gateway_note.h"

#include <stdio.h>

enum { WAIT_MAX_MS = 60000, ARENA = 64 << 10 }; /* the clock may be set meanwhile */

enum status gateway_authorities_reload(struct gateway *g, struct detail *detail) {
    enum status status = signer_reload(g->signer, detail);
    if (status != STATUS_OK) {
        detail_prefix(detail, "signer");
        return status;
    }
    return statements_reload(g->statements, detail);
}

static const char *state_of(const struct signer_authority *authority, int64_t now) {
    return authority->signs ? "signing" : authority->signs_from > now ? "coming" : "past";
}

/* The access authorities, as an array. */
static struct bytes describe(struct arena *arena, const struct signer_authority *authority,
                             size_t num, int64_t now) {
    struct json_out o;
    json_out_init(&o, arena, 2048);
    json_out_object(&o, NULL);
    json_out_array(&o, "access");
    for (size_t i = 0; i < num; i++) {
        if (authority[i].profile != PROFILE_ACCESS) {
            continue;
        }
        json_out_object(&o, NULL);
        json_out_text(&o, "id", authority[i].id);
        json_out_text(&o, "state", state_of(&authority[i], now));
        json_out_time_or_null(&o, "signs_from", authority[i].signs_from);
        json_out_time_or_null(&o, "retires", authority[i].retires);
        json_out_object_end(&o);
    }
    json_out_array_end(&o);
    json_out_object_end(&o);
    return json_out_end(&o);
}

static const struct commit_kind kind = {
    .name = "gateway.authorities", .apply = gateway_commit_audit, .done = gateway_commit_done};

void gateway_authorities_note(struct gateway *g) {
    struct gateway_commit note = {.commit.kind = &kind, .gateway = g};
    const struct signer_authority *before = g->authorities, *after;
    size_t num_before = g->num_authorities, num = signer_authorities(g->signer, &after);
    if (before == after) {
        return;
    }
    g->authorities = after;
    g->num_authorities = num;
    struct arena arena;
    arena_init(&arena, ARENA);
    int64_t now = clock_unix(), then = g->authorities_seen;
    g->authorities_seen = now;
    if (before != NULL) {
        note.row.before = describe(&arena, before, num_before, then);
        note.row.after = describe(&arena, after, num, now);
        (void)snprintf(note.row.action, sizeof note.row.action, "authorities.change");
        for (size_t i = 0; i < num; i++) {
            if (after[i].profile == PROFILE_ACCESS) {
                log_event(g->log, LOG_INFO, "access_authority", log_str("id", after[i].id),
                          log_str("state", state_of(&after[i], now)));
            }
        }
        (void)gateway_commit(&note); /* which logs what fails */
    }
    arena_free(&arena);
}

int gateway_authorities_wait_ms(const struct gateway *g) {
    int64_t next = signer_next_change(g->signer), now_ms = clock_unix_ms();
    if (next > now_ms / 1000 + WAIT_MAX_MS / 1000) {
        return WAIT_MAX_MS;
    }
    int64_t wait = next * 1000 - now_ms;
    return wait < 0 ? 0 : (int)wait;
}
