#include "api/request.h"

#include "server/crypto/random.h"

#include <assert.h>
#include <string.h>

static enum http_next answer_body(struct request *r, unsigned status, struct bytes body) {
    struct http_exchange *x = r->x;
    if (body.len == 0 || !http_add_header(x, "Cache-Control", "no-store")) {
        return problem(x, PROBLEM_INTERNAL);
    }
    x->status = status;
    x->content_type = "application/json";
    x->answer = body;
    return HTTP_ANSWER;
}

enum http_next answer_json(struct request *r, unsigned status, const struct json_out *out) {
    return answer_body(r, status, json_out_end(out));
}

enum http_next answer_empty(struct request *r) {
    r->x->status = 204;
    return HTTP_ANSWER;
}

enum http_next answer_refusal(struct request *r, enum problem_kind kind,
                              const struct detail *detail) {
    bool tell = r->plane == PLANE_ADMIN && detail != NULL;
    return problem_coded(r->x, kind, NULL, tell ? detail->text : NULL);
}

enum http_next answer_status(struct request *r, enum status status, const struct detail *detail) {
    enum problem_kind kind = problem_of_status(status);
    if (problem_entry(kind)->status >= 500) {
        log_event(r->api->options.log, status == STATUS_BUSY ? LOG_WARNING : LOG_ERROR,
                  "request_failed", log_str("request_id", r->x->request_id),
                  log_str("cause", status_name(status)),
                  log_str("detail", detail == NULL ? NULL : detail->text));
    }
    return answer_refusal(r, kind, detail);
}

bool name_is_valid(const char *name) {
    size_t len = strlen(name);
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && (i == 0 || (c != '.' && c != '_' && c != '-'))) {
            return false;
        }
    }
    return len > 0 && len < STORE_NAME;
}

void text_copy(char *out, size_t size, const char *text) {
    size_t len = strlen(text);
    assert(len < size);
    if (len >= size) {
        len = size - 1;
    }
    memcpy(out, text, len);
    out[len] = '\0';
}

void serial_new(uint8_t out[static PROFILE_SERIAL_LEN]) {
    random_bytes(out, PROFILE_SERIAL_LEN);
    out[0] = (uint8_t)((out[0] & 0x3f) | 0x40);
}
