#include "api/proxy/results.h"

#include "api/accept.h"
#include "api/handlers.h"
#include "server/base/encoding.h"
#include "server/fleet/ear.h"
#include "server/fleet/statements.h"

static const char media_type[] = "application/eat+jwt";

static const struct field fields[] = {
    {"nonce", FIELD_TEXT, false, EAR_NONCE_MIN, EAR_NONCE_MAX,
     offsetof(struct result_query, nonce)},
};
const struct shape result_query_shape = SHAPE(fields, struct result_query);

struct pending {
    struct statement statement; /* first: of_statement casts */
    struct request *r;
};

static bool is_offered(const struct request *r) {
    return statements_has(r->api->options.statements, JWS_RESULTS);
}

/* Several Accept lines are one list (RFC 9110, 5.3), of which only the first is at hand: they are
 * taken as none. */
static const char *accept_of(const struct request *r) {
    size_t count = 0;
    const char *accept = r->x->request_header(r->x, "Accept", &count);
    return count == 1 ? accept : NULL;
}

enum decision_form decision_form(struct request *r) {
    static const struct media_offer offers[] = {
        [FORM_JSON] = {.type = "application/json"},
        [FORM_RESULT] = {.type = media_type, .parameter = "eat_profile", .value = EAR_PROFILE}};
    const struct result_query *query = r->query;
    const char *accept = accept_of(r);
    size_t num = is_offered(r) ? 2 : 1, chosen = accept_choose(accept, offers, num);
    enum decision_form form = chosen == num ? FORM_NONE : (enum decision_form)chosen;
    if (form == FORM_RESULT || (form == FORM_JSON && query->nonce == NULL)) {
        if (query->nonce == NULL || base64url_is_valid(bytes_of_text(query->nonce))) {
            return form;
        }
        (void)problem_detail(r->x, PROBLEM_INVALID_PARAMETER, "nonce: not base64url");
        return FORM_NONE;
    }
    if (form == FORM_JSON) {
        (void)problem_detail(r->x, PROBLEM_INVALID_PARAMETER,
                             "nonce: only a signed result carries one (Accept: %s)", media_type);
    } else if (accept_choose(accept, &offers[FORM_RESULT], 1) == 0 && !is_offered(r)) {
        (void)problem(r->x, PROBLEM_RESULTS_NOT_CONFIGURED);
    } else {
        (void)problem(r->x, PROBLEM_NOT_ACCEPTABLE);
    }
    return FORM_NONE;
}

static enum http_next finish(struct request *r) {
    const struct pending *pending = r->pending;
    const struct jws_job *job = &pending->statement.job;
    if (job->status == STATUS_NOT_FOUND) { /* the key went meanwhile */
        return problem(r->x, PROBLEM_RESULTS_NOT_CONFIGURED);
    }
    if (job->status != STATUS_OK) {
        return answer_status(r, STATUS_INTERNAL, NULL);
    }
    if (!http_add_header(r->x, "Cache-Control", "no-store") ||
        !http_add_header(r->x, "Vary", "Accept")) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    r->x->status = 200;
    r->x->content_type = media_type;
    r->x->answer = writer_bytes(&job->token);
    return HTTP_ANSWER;
}

static void done(struct statement *statement) {
    struct http_exchange *x = ((struct pending *)(void *)statement)->r->x;
    x->resume(x);
}

enum http_next result_answer(struct request *r, const struct decision *d, const char *subject,
                             int64_t now) {
    struct arena *arena = r->x->arena;
    struct statements *statements = r->api->options.statements;
    const struct result_query *query = r->query;
    const struct ear_inputs inputs = {.issuer = statements_issuer(statements),
                                      .build = "gatehouse " GATEHOUSE_VERSION,
                                      .subject = subject,
                                      .decision = d,
                                      .nonce = query->nonce,
                                      .now = now};
    struct bytes claims = ear_claims(arena, &inputs);
    struct pending *pending = arena_alloc(arena, sizeof *pending);
    size_t max = jws_token_max(claims.len);
    void *token = arena_alloc(arena, max);
    if (claims.len == 0 || pending == NULL || token == NULL) {
        return answer_status(r, STATUS_MEMORY, NULL);
    }
    pending->r = r;
    pending->statement.job =
        (struct jws_job){.purpose = JWS_RESULTS, .payload = claims, .token = writer_of(token, max)};
    pending->statement.done = done;
    r->pending = pending;
    r->finish = finish;
    enum status status = statements_submit(statements, &pending->statement);
    return status == STATUS_OK ? HTTP_WAIT : answer_status(r, status, NULL);
}
