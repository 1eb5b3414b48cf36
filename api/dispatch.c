#include "api/dispatch.h"

#include "api/access.h"
#include "api/identify.h"
#include "api/idevid.h"
#include "api/proxy/authorize.h"
#include "api/proxy/verified.h"
#include "server/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A worker thread has a context on every plane that listens: the first of them registers the thread
 * with the fleet table. */
static bool is_first_plane(const struct api_plane *plane) {
    const struct config *config = plane->api->options.config;
    for (enum config_plane p = 0; p < plane->plane; p++) {
        if (config->plane[p].enabled) {
            return false;
        }
    }
    return true;
}

static void *worker_new(void *context, unsigned worker) {
    (void)worker;
    const struct api_plane *plane = context;
    struct api_worker *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return NULL;
    }
    w->api = plane->api;
    /* The public is answered from memory; so are decisions. */
    if (plane->plane != PLANE_PUBLIC) {
        struct detail detail = {0};
        if (store_reader_new(&w->reader, plane->api->options.store, &detail) != STATUS_OK) {
            log_event(plane->api->options.log, LOG_ERROR, "store_reader_failed",
                      log_str("detail", detail.text));
            free(w);
            return NULL;
        }
    }
    if (plane->plane == PLANE_PROXY &&
        verified_new(&w->verified, plane->api->options.signer) != STATUS_OK) {
        store_reader_free(w->reader);
        free(w);
        return NULL;
    }
    w->registered = is_first_plane(plane);
    if (w->registered) {
        fleet_thread_enter();
    }
    return w;
}

static void worker_free(void *worker) {
    struct api_worker *w = worker;
    if (w != NULL) {
        store_reader_free(w->reader);
        verified_free(w->verified);
        if (w->registered) {
            fleet_thread_leave();
        }
        free(w);
    }
}

static enum http_next refuse_method(struct http_exchange *x, unsigned methods) {
    char allow[64] = "";
    size_t len = 0;
    if ((methods & 1u << HTTP_GET) != 0) {
        methods |= 1u << HTTP_HEAD;
    }
    for (enum http_method m = HTTP_GET; m < HTTP_OTHER; m++) {
        if ((methods & 1u << m) != 0) {
            len += (size_t)snprintf(allow + len, sizeof allow - len, "%s%s", len > 0 ? ", " : "",
                                    http_method_name(m));
        }
    }
    const char *value = arena_text(x->arena, allow);
    if (value == NULL || !http_add_header(x, "Allow", value)) {
        return problem(x, PROBLEM_INTERNAL);
    }
    return problem(x, PROBLEM_METHOD_NOT_ALLOWED);
}

/* The name, in any case, alone or with charset=utf-8. */
static bool is_media(const char *type, const char *name) {
    size_t len = strlen(name);
    if (type == NULL || strncasecmp(type, name, len) != 0) {
        return false;
    }
    type += len;
    type += strspn(type, " \t");
    if (*type == '\0') {
        return true;
    }
    if (*type++ != ';') {
        return false;
    }
    type += strspn(type, " \t");
    return strcasecmp(type, "charset=utf-8") == 0 || strcasecmp(type, "charset=\"utf-8\"") == 0;
}

static bool set_route(struct request *r, const struct route_match *match) {
    r->route = match->route;
    for (size_t i = 0; i < match->num_params; i++) {
        r->param[i] = arena_text_n(r->x->arena, match->param[i], match->param_len[i]);
        if (r->param[i] == NULL) {
            (void)problem(r->x, PROBLEM_INTERNAL);
            return false;
        }
    }
    return true;
}

static bool take_route(struct request *r) {
    struct http_exchange *x = r->x;
    struct route_match found;
    routes_match(&found, routes_all(), r->plane, x->method, x->path);
    if (found.route == NULL) {
        (void)(found.methods != 0 ? refuse_method(x, found.methods)
                                  : problem(x, PROBLEM_NOT_FOUND));
        return false;
    }
    if ((found.route->roles & r->role) == 0) {
        (void)access_refuse(r);
        return false;
    }
    return set_route(r, &found);
}

/* Where no field is required the body may be left out, and with it its type. */
static bool body_is_optional(const struct route *route) {
    for (size_t i = 0; route->body != NULL && i < route->body->num; i++) {
        if (route->body->field[i].required) {
            return false;
        }
    }
    return route->body != NULL;
}

static bool takes_type(struct request *r) {
    size_t count = 0;
    const char *type = r->x->request_header(r->x, "Content-Type", &count);
    if (type == NULL && r->route->body_rule == BODY_SHAPE && body_is_optional(r->route)) {
        return true;
    }
    if (r->route->body_rule == BODY_BYTES) {
        return count == 1 && is_media(type, r->route->media);
    }
    static const char *const names[NUM_MEDIA] = {[MEDIA_JSON] = "application/json",
                                                 [MEDIA_NDJSON] = "application/x-ndjson",
                                                 [MEDIA_CSV] = "text/csv"};
    enum media num = r->route->body_rule == BODY_ROWS ? NUM_MEDIA : MEDIA_NDJSON;
    for (enum media media = MEDIA_JSON; media < num && count == 1; media++) {
        if (is_media(type, names[media])) {
            r->media = media;
            return true;
        }
    }
    return false;
}

static bool read_query(struct request *r) {
    if (r->x->query[0] == '\0' && r->route->query == NULL) {
        return true;
    }
    r->query = shape_read_query(r->x, r->route->query);
    return r->query != NULL;
}

/* What can be known before the body is read. */
static bool admit_request(struct request *r) {
    struct http_exchange *x = r->x;
    if (!access_admit(r)) {
        return false;
    }
    enum status status = identify(r);
    if (status != STATUS_OK) {
        (void)(status == STATUS_DENIED ? access_refuse(r) : answer_status(r, status, NULL));
        return false;
    }
    if (!take_route(r)) {
        return false;
    }
    if (r->route->any) {
        x->sink = &authorize_sink;
        return true;
    }
    if (r->route->body_rule != BODY_NONE && !takes_type(r)) {
        (void)problem(x, PROBLEM_UNSUPPORTED_MEDIA_TYPE);
        return false;
    }
    if (!read_query(r)) {
        return false;
    }
    return r->route->admit == NULL || r->route->admit(r);
}

static void admit(void *context, struct http_exchange *x) {
    const struct api_plane *plane = context;
    struct request *r = arena_alloc(x->arena, sizeof *r);
    if (r == NULL) {
        (void)problem(x, PROBLEM_INTERNAL);
        authorize_settle(plane, x);
        return;
    }
    r->x = x;
    r->api = plane->api;
    r->worker = x->worker;
    r->plane = plane->plane;
    x->state = r;
    (void)admit_request(r);
    authorize_settle(plane, x);
}

static bool read_body(struct request *r) {
    struct http_exchange *x = r->x;
    const struct shape *shape = r->route->body;
    if (x->body.len > 0 || !body_is_optional(r->route)) {
        if (x->request_header(x, "Content-Type", NULL) == NULL) {
            (void)problem(x, PROBLEM_UNSUPPORTED_MEDIA_TYPE);
            return false;
        }
        r->body = shape_read_body(x, shape);
        return r->body != NULL;
    }
    r->body = arena_alloc(x->arena, shape->size);
    if (r->body == NULL) {
        (void)problem(x, PROBLEM_INTERNAL);
    }
    return r->body != NULL;
}

static enum http_next handle_request(struct http_exchange *x) {
    struct request *r = x->state;
    if (r == NULL || r->route == NULL) {
        return problem(x, PROBLEM_INTERNAL); /* nothing is handled that was not admitted */
    }
    if (r->route->body_rule == BODY_NONE && x->body.len > 0) {
        return problem(x, PROBLEM_UNEXPECTED_BODY);
    }
    bool shaped = r->route->body_rule == BODY_SHAPE || r->route->body_rule == BODY_ROWS;
    if (shaped && x->sink == NULL && !read_body(r)) {
        return HTTP_ANSWER;
    }
    return r->route->handle(r);
}

static enum http_next handle(void *context, struct http_exchange *x) {
    enum http_next next = handle_request(x);
    authorize_settle(context, x);
    return next;
}

enum http_next dispatch_again(struct request *r, const struct route_match *match,
                              const char *query) {
    struct http_exchange *x = r->x;
    x->query = query;
    if (!set_route(r, match) || !read_query(r)) {
        return HTTP_ANSWER;
    }
    if (r->route->body_rule == BODY_SHAPE) {
        r->body = shape_read_body(x, r->route->body);
        if (r->body == NULL) {
            return HTTP_ANSWER;
        }
    }
    return r->route->handle(r);
}

static enum http_next finish(void *context, struct http_exchange *x) {
    (void)context;
    struct request *r = x->state;
    return r->finish(r);
}

static void refuse(void *context, struct http_exchange *x, enum http_refusal why) {
    static const enum problem_kind kinds[] = {
        [HTTP_REFUSED_BODY_TOO_LARGE] = PROBLEM_BODY_TOO_LARGE,
        [HTTP_REFUSED_LENGTH_REQUIRED] = PROBLEM_LENGTH_REQUIRED,
        [HTTP_REFUSED_BAD_REQUEST] = PROBLEM_BAD_REQUEST,
        [HTTP_REFUSED_OVERLOAD] = PROBLEM_OVERLOADED,
        [HTTP_REFUSED_HEADERS] = PROBLEM_HEADERS_TOO_LARGE,
        [HTTP_REFUSED_INTERNAL] = PROBLEM_INTERNAL,
    };
    (void)problem(x, kinds[why]);
    authorize_settle(context, x);
}

/* One line a request: no query, no body, no path that the table does not have. */
static void log_end(const struct api_plane *plane, const struct http_exchange *x) {
    struct api *api = plane->api;
    const struct request *r = x->state;
    const struct route *route = r == NULL ? NULL : r->route;
    unsigned class = x->status / 100 < STATUS_CLASSES ? x->status / 100 : 0;
    atomic_fetch_add_explicit(&api->counters.requests[plane->plane][class], 1,
                              memory_order_relaxed);
    /* Who presents no certificate at all is not worth a line, either. */
    bool quiet = route != NULL && route->frequent && (x->status == 200 || x->status == 401);
    enum log_level level = x->status >= 500 ? LOG_WARNING : quiet ? LOG_DEBUG : LOG_INFO;
    if (api->options.log == NULL || level < api->options.log->level) {
        return;
    }
    log_event(api->options.log, level, "request", log_str("request_id", x->request_id),
              log_str("plane", config_plane_name(plane->plane)),
              log_str("method", http_method_name(x->method)),
              log_str("route", route == NULL ? NULL : route->pattern), log_int("status", x->status),
              log_int("us", clock_monotonic_us() - x->received_us),
              log_str("actor", r == NULL || r->actor[0] == '\0' ? NULL : r->actor),
              log_str("address", x->peer == NULL ? NULL : x->peer->address));
}

static void ended(void *context, const struct http_exchange *x) {
    struct request *r = x->state;
    log_end(context, x);
    if (r != NULL && r->release != NULL) {
        r->release(r);
    }
}

void dispatch_service(struct http_service *out, struct api_plane *plane) {
    bool rows = false;
    for (size_t i = 0; i < routes_all()->num; i++) {
        const struct route *route = &routes_all()->route[i];
        rows =
            rows || (route->plane == plane->plane && (route->body_rule == BODY_ROWS || route->any));
    }
    *out = (struct http_service){.context = plane,
                                 .sink_max = rows ? BODY_ROWS_MAX : 0,
                                 .worker_new = worker_new,
                                 .worker_free = worker_free,
                                 .admit = admit,
                                 .handle = handle,
                                 .finish = finish,
                                 .refuse = refuse,
                                 .ended = ended};
    if (plane->plane == PLANE_DEVICE) {
        out->vouch = idevid_vouch;
    }
}
