#include "api/access.h"

#include "api/lockout.h"
#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/fleet/audit_chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNDER_WAY_MAX = 256 };

static bool has_certificate(const struct request *r) {
    return r->x->peer->authenticated;
}

bool access_admit(struct request *r) {
    unsigned wait_s = has_certificate(r) ? lockout_wait_s(r->api->lockout, r->x->peer->leaf_sha256,
                                                          r->x->received_us)
                                         : 0;
    if (wait_s == 0) {
        return true;
    }
    struct problem p;
    problem_begin(&p, r->x, PROBLEM_RATE_LIMITED, NULL,
                  "this certificate was refused too often: it is locked out");
    p.retry_after_s = wait_s;
    problem_end(&p);
    return false;
}

/* --- what the audit gets to know --- */

/* A commit of its own, which nobody waits for. */
struct note {
    struct commit commit; /* first */
    struct api *api;
    struct audit_row row;
};

static enum status apply(struct commit *commit, struct store_writer *writer,
                         struct detail *detail) {
    return audit_append(writer, &((struct note *)commit)->row, detail);
}

static void done(struct commit *commit) {
    struct note *note = (struct note *)commit;
    (void)atomic_fetch_sub(&note->api->notes, 1);
    free(note);
}

static const struct commit_kind kind = {.name = "access", .apply = apply, .done = done};

/* "GET /v1/models/{model}": the pattern, which is known and short, and not what was asked. */
static void write_object(const struct request *r, char *out, size_t size) {
    const struct http_exchange *x = r->x;
    struct route_match match;
    routes_match(&match, routes_all(), r->plane, x->method, x->path);
    (void)snprintf(out, size, "%s %s", http_method_name(x->method),
                   match.route == NULL ? "no route" : match.route->pattern);
}

static void write_actor(const struct request *r, char *out, size_t size) {
    char hex[17];
    if (r->actor[0] != '\0') {
        text_copy(out, size, r->actor);
    } else {
        hex_encode(hex, bytes_of(r->x->peer->leaf_sha256, 8));
        (void)snprintf(out, size, "certificate:%s", hex);
    }
}

/* Never waits; when there is too much of it, the log has it alone. */
static void take_note(struct request *r, const char *action) {
    struct api *api = r->api;
    struct note *note = NULL;
    if (atomic_fetch_add(&api->notes, 1) < UNDER_WAY_MAX) {
        note = calloc(1, sizeof *note);
    }
    if (note != NULL) {
        note->commit.kind = &kind;
        note->api = api;
        note->row.time_ms = clock_unix_ms();
        write_actor(r, note->row.actor, sizeof note->row.actor);
        text_copy(note->row.action, sizeof note->row.action, action);
        write_object(r, note->row.object, sizeof note->row.object);
        text_copy(note->row.request_id, sizeof note->row.request_id, r->x->request_id);
        if (committer_submit(api->options.committer, &note->commit) == STATUS_OK) {
            return;
        }
    }
    free(note);
    (void)atomic_fetch_sub(&api->notes, 1);
    log_event(api->options.log, LOG_WARNING, "not_audited", log_str("action", action),
              log_str("request_id", r->x->request_id));
}

enum http_next access_refuse(struct request *r) {
    if (has_certificate(r)) {
        take_note(r, "access.refuse");
        if (lockout_refused(r->api->lockout, r->x->peer->leaf_sha256, r->x->received_us)) {
            take_note(r, "access.lock_out");
        }
    }
    return problem(r->x, PROBLEM_FORBIDDEN);
}
