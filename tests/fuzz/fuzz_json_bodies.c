/* Everything that reads what a request says. The input is "METHOD path?query", a line's end, and the
 * body; it goes to the route that the table finds for it, on whichever plane. What is read is within
 * its limits; what is refused is answered with a problem that is JSON. */
#include "api/device/evidence_body.h"
#include "api/problem.h"
#include "api/routes.h"
#include "server/appraisal/appraisal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hold(bool claim) {
    if (!claim) {
        abort();
    }
}

static volatile uint8_t sink;

static void touch(struct bytes in) {
    for (size_t i = 0; i < in.len; i++) {
        sink = (uint8_t)(sink ^ in.data[i]);
    }
}

static bool within(const struct field *field, uint64_t value) {
    return value >= (uint64_t)field->min && value <= (uint64_t)field->max;
}

static void check_subjects(const struct subject_list *list, const struct field *field) {
    hold(within(field, list->num));
    for (size_t i = 0; i < list->num; i++) {
        const struct subject *s = &list->subject[i];
        hold((s->device_id != NULL) + (s->serial != NULL) + (s->certificate_sha256.len == 32) == 1);
        touch(s->certificate_sha256);
        touch(bytes_of_text(s->device_id != NULL ? s->device_id : ""));
        touch(bytes_of_text(s->serial != NULL ? s->serial : ""));
    }
}

static void check_ids(const void *at, const struct field *field) {
    struct id_list list;
    memcpy(&list, at, sizeof list);
    hold(list.id == NULL ? !field->required : within(field, list.num));
    for (size_t i = 0; i < list.num; i++) {
        hold(strlen(list.id[i]) >= 1 && strlen(list.id[i]) <= 128);
        touch(bytes_of_text(list.id[i]));
    }
}

static void check_segments(const void *at, const struct field *field) {
    struct segments segments;
    memcpy(&segments, at, sizeof segments);
    const char *const label[] = {segments.measured, segments.verified_boot, segments.identified};
    for (size_t i = 0; i < sizeof label / sizeof label[0]; i++) {
        hold(label[i] == NULL ||
             (segments.given && label[i][0] != '\0' && strlen(label[i]) <= (size_t)field->max));
    }
}

static void check_rollout(const void *at) {
    struct rollout_body body;
    memcpy(&body, at, sizeof body);
    hold(body.given || (body.rings.num == 0 && body.devices.num == 0));
    hold(body.rings.num <= ROLLOUT_BODY_RINGS && body.devices.num <= ROLLOUT_BODY_DEVICES);
    for (size_t i = 0; i < body.rings.num; i++) {
        hold(body.rings.percent[i] >= 1 && body.rings.percent[i] <= 100);
    }
    for (size_t i = 0; i < body.devices.num; i++) {
        hold(body.devices.id[i][0] != '\0');
    }
}

static void check_certification(const struct key_certification *in, bool required) {
    const struct bytes parts[] = {in->certify_info, in->signature, in->key_public};
    for (size_t i = 0; i < 3; i++) {
        hold(key_certification_given(in) ? parts[i].len > 0 : !required);
        hold(parts[i].len <= KEY_CERTIFICATION_PART_MAX);
        touch(parts[i]);
    }
}

static void check_field(const struct field *field, const void *at) {
    const char *text = NULL;
    struct bytes bytes = {0};
    switch (field->type) {
    case FIELD_TEXT:
        memcpy(&text, at, sizeof text);
        hold(text != NULL ? within(field, strlen(text)) : !field->required);
        touch(bytes_of_text(text != NULL ? text : ""));
        break;
    case FIELD_BASE64:
    case FIELD_SHA256:
        memcpy(&bytes, at, sizeof bytes);
        hold(bytes.data == NULL            ? !field->required
             : field->type == FIELD_SHA256 ? bytes.len == 32
                                           : within(field, bytes.len));
        touch(bytes);
        break;
    case FIELD_INTEGER: {
        int64_t number;
        memcpy(&number, at, sizeof number);
        hold((number == 0 && !field->required) || (number >= field->min && number <= field->max));
        break;
    }
    case FIELD_COUNT: {
        struct count count;
        memcpy(&count, at, sizeof count);
        hold(!count.given || (count.value >= field->min && count.value <= field->max));
        break;
    }
    case FIELD_DELIVERY: {
        struct delivery_body delivery;
        memcpy(&delivery, at, sizeof delivery);
        hold(delivery.given == (delivery.method != NULL));
        touch(bytes_of_text(delivery.given ? delivery.method : ""));
        break;
    }
    case FIELD_SET_ERRORS: {
        struct set_errors errors;
        memcpy(&errors, at, sizeof errors);
        hold(errors.num <= (uint64_t)field->max);
        for (size_t i = 0; i < errors.num; i++) {
            touch(bytes_of_text(errors.jti[i]));
            touch(bytes_of_text(errors.err[i]));
        }
        break;
    }
    case FIELD_NULL:
    case FIELD_BOOLEAN: {
        uint8_t flag;
        memcpy(&flag, at, sizeof flag);
        hold(flag <= 1);
        break;
    }
    case FIELD_IDS:
        check_ids(at, field);
        break;
    case FIELD_SUBJECTS:
        check_subjects(at, field);
        break;
    case FIELD_SEGMENTS:
        check_segments(at, field);
        break;
    case FIELD_RINGS:
        break; /* a member of the next */
    case FIELD_ROLLOUT:
        check_rollout(at);
        break;
    case FIELD_KEY_CERTIFICATION:
        check_certification(at, field->required);
        break;
    }
}

static void check_read(const struct http_exchange *x, const struct shape *shape, const void *out) {
    if (out == NULL) {
        hold(x->status == 400 || (x->status == 500 && x->arena->overflow));
        hold(strcmp(x->content_type, "application/problem+json") == 0);
        json_t *json = json_loadb((const char *)x->answer.data, x->answer.len, 0, NULL);
        hold(json_integer_value(json_object_get(json, "status")) == x->status);
        json_decref(json);
        return;
    }
    hold(x->status == 0);
    for (size_t i = 0; shape != NULL && i < shape->num; i++) {
        check_field(&shape->field[i], (const char *)out + shape->field[i].offset);
    }
}

static void read_evidence(struct http_exchange *x) {
    struct evidence_body body;
    struct detail detail = {0};
    const char *code = NULL;
    if (!shape_check_depth(x)) {
        hold(x->status == 400);
        return;
    }
    enum status status = evidence_body_parse_any(&body, x->arena, x->body, &code, &detail);
    if (status == STATUS_MALFORMED || status == STATUS_LIMIT) {
        hold(code != NULL && problem_entry(problem_of_code(code))->status == 400);
    } else if (status == STATUS_OK) {
        hold(body.nonce.len >= 1 && body.nonce.len <= EVIDENCE_NONCE_MAX);
        hold((body.tpm2.quote.len > 0) == (body.tpm2.signature.len > 0));
        hold(body.tpm2.quote.len > 0 ||
             (body.tpm2.num_claimed == 0 && body.tpm2.tcg_event_log.len == 0 &&
              body.tpm2.ima_log.len == 0 && body.tpm2.ima_log_from == 0 && !body.has_log_sha256 &&
              !key_certification_given(&body.key_certification)));
        check_certification(&body.key_certification, false);
        touch(body.nonce);
        touch(body.csr);
        touch(body.tpm2.quote);
        touch(body.tpm2.signature);
        touch(body.tpm2.tcg_event_log);
        touch(body.tpm2.ima_log);
    }
}

static void read_baseline(struct http_exchange *x) {
    struct baseline *baseline = NULL;
    struct detail detail = {0};
    if (!shape_check_depth(x)) {
        hold(x->status == 400);
        return;
    }
    if (baseline_compile(&baseline, x->body, NULL, &detail) == STATUS_OK) {
        touch(bytes_of_text(baseline_model(baseline)));
        touch(bytes_of_text(baseline_label(baseline)));
    } else {
        hold(baseline == NULL && detail.text[0] != '\0');
    }
    baseline_free(baseline);
}

static void read_request(struct http_exchange *x, const struct route_match *match) {
    const struct route *route = match->route;
    for (size_t i = 0; i < match->num_params; i++) {
        hold(match->param_len[i] >= 1 && match->param_len[i] <= ROUTE_MAX_PARAM);
        touch(bytes_of(match->param[i], match->param_len[i]));
    }
    const void *query = shape_read_query(x, route->query);
    check_read(x, route->query, query);
    x->status = 0;
    if (route->body_rule == BODY_SHAPE || route->body_rule == BODY_ROWS) {
        check_read(x, route->body, shape_read_body(x, route->body));
    } else if (route->plane == PLANE_DEVICE && route->body_rule == BODY_JSON) {
        read_evidence(x);
    } else if (route->body_rule == BODY_JSON) {
        read_baseline(x);
    }
}

static enum http_method method_of(const char *name) {
    for (enum http_method m = HTTP_GET; m < HTTP_OTHER; m++) {
        if (strcmp(http_method_name(m), name) == 0) {
            return m;
        }
    }
    return HTTP_OTHER;
}

/* The line as the transport hands it over; false when it is none. */
static bool read_line(struct http_exchange *x, char *line) {
    char *path = strchr(line, ' ');
    if (path == NULL) {
        return false;
    }
    *path++ = '\0';
    char *query = strchr(path, '?');
    if (query != NULL) {
        *query++ = '\0';
    }
    x->method = method_of(line);
    x->path = path;
    x->query = query == NULL ? "" : query;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
    if (end == NULL) {
        return 0;
    }
    char *line = strndup((const char *)data, (size_t)(end - data));
    hold(line != NULL);
    struct arena arena;
    struct http_exchange x = {.arena = &arena,
                              .request_id = "0123456789abcdef0123456789abcdef",
                              .body = bytes_of(end + 1, size - (size_t)(end + 1 - data))};
    if (read_line(&x, line)) {
        for (enum config_plane plane = 0; plane < NUM_PLANES; plane++) {
            struct route_match match;
            routes_match(&match, routes_all(), plane, x.method, x.path);
            arena_init(&arena, (size_t)4 << 20);
            x.status = 0;
            x.num_headers = 0;
            if (match.route != NULL) {
                read_request(&x, &match);
            }
            arena_free(&arena);
        }
    }
    free(line);
    return 0;
}
