/* Streams of events, over the API: what is refused, what is delivered, what is polled. */
#include "server/fleet/signal_event.h"
#include "tests/unit/api_fixture.h"
#include "tests/unit/receiver_fixture.h"

#include <check.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ACCEPTED "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
#define CAEP     "https://schemas.openid.net/secevent/caep/event-type/"
#define BOTH     "[\"" CAEP "device-compliance-change\",\"" CAEP "credential-change\"]"
enum { TRIES = 500 };

static struct gateway g;

static void start(void) {
    gateway_start(&g);
}

static void stop(void) {
    gateway_stop(&g);
}

static struct reply proxy(const char *method, const char *target, const char *body) {
    struct caller caller = caller_proxy();
    return call(&g, &(struct call){.plane = PLANE_PROXY,
                                   .caller = &caller,
                                   .method = method,
                                   .target = target,
                                   .body = body});
}

static void expect_proxy(const char *method, const char *target, const char *body, unsigned status,
                         const char *code) {
    struct reply reply = proxy(method, target, body);
    if (code != NULL) {
        check_code(&reply, status, code);
    }
    expect_status(reply, status);
    reply_free(&reply);
}

static void create(char id[static 33], const char *body) {
    struct reply reply = proxy("POST", "/v1/ssf/streams", body);
    expect_status(reply, 201);
    (void)snprintf(id, 33, "%s", reply_text(&reply, "stream_id"));
    ck_assert_uint_eq(strlen(id), 32);
    reply_free(&reply);
}

static const char *format(char *out, size_t size, const char *template, ...) PRINTF_LIKE(3, 4);

static const char *format(char *out, size_t size, const char *template, ...) {
    va_list args;
    va_start(args, template);
    (void)vsnprintf(out, size, template, args);
    va_end(args);
    return out;
}
#define TEXT(...) format((char[2048]){0}, 2048, __VA_ARGS__) /* lives in its block */

static void create_push(char id[static 33], const struct receiver *r) {
    create(id, TEXT("{\"events_requested\":" BOTH ",\"delivery\":{\"method\":\"urn:ietf:rfc:8935\","
                    "\"endpoint_url\":\"http://127.0.0.1:%u/events\","
                    "\"authorization_header\":\"Bearer hunter2\"}}",
                    receiver_port(r)));
}

static void create_poll(char id[static 33]) {
    create(id, "{\"events_requested\":" BOTH "}");
}

/* What administrators see of it. */
static json_t *seen(const char *id) {
    struct reply reply = admin(&g, "viewer", "GET", TEXT("/v1/streams/%s", id), NULL);
    expect_status(reply, 200);
    json_t *json = json_incref(reply.json);
    reply_free(&reply);
    return json;
}

static int64_t number(const char *id, const char *member) {
    json_t *json = seen(id);
    int64_t value = json_integer_value(json_object_get(json, member));
    json_decref(json);
    return value;
}

static bool is_text(const char *id, const char *member, const char *wanted) {
    json_t *json = seen(id);
    const char *text = json_string_value(json_object_get(json, member));
    bool same = strcmp(text == NULL ? "" : text, wanted) == 0;
    json_decref(json);
    return same;
}

static void pause_a_little(void) {
    struct timespec time = {.tv_nsec = 10000000};
    (void)nanosleep(&time, NULL);
}

static void until_number(const char *id, const char *member, int64_t wanted) {
    for (int i = 0; i < TRIES && number(id, member) != wanted; i++) {
        pause_a_little();
    }
    ck_assert_int_eq(number(id, member), wanted);
}

static void until_text(const char *id, const char *member, const char *wanted) {
    for (int i = 0; i < TRIES && !is_text(id, member, wanted); i++) {
        pause_a_little();
    }
    ck_assert(is_text(id, member, wanted));
}

/* A device that is trusted, and whose state an operator changes back and forth: two changes that a
 * token tells of for each round. */
static struct soft_device device;

static void add_device(void) {
    char id[33];
    device_init(&device, "edge");
    device_boot(&device);
    gateway_add_model(&g, "edge");
    gateway_add_baseline(&g, &device, id);
    device_join(&g, &device);
    struct reply reply = device_prove(&g, &device);
    expect_status(reply, 201);
    reply_free(&reply);
}

static void quarantine(void) {
    expect_admin(&g, "operator", "POST", TEXT("/v1/devices/%s/quarantine", device.id),
                 "{\"reason\":\"lost\"}", 200, NULL);
}

/* And it proves what it booted once more. */
static void release(void) {
    expect_admin(&g, "operator", "POST", TEXT("/v1/devices/%s/release", device.id), "{}", 200,
                 NULL);
    struct reply reply = device_prove(&g, &device);
    expect_status(reply, 201);
    reply_free(&reply);
}

static const char *body_of(const char *request) {
    const char *end = request == NULL ? NULL : strstr(request, "\r\n\r\n");
    ck_assert_ptr_nonnull(end);
    return end + 4;
}

static json_t *event_of(json_t *token, const char *uri) {
    return json_object_get(json_object_get(token, "events"), uri);
}

/* --- what is refused --- */

static const struct {
    const char *method, *body;
    unsigned status;
    const char *code;
} refused[] = {
    {"POST", "[]", 400, "malformed_json"},
    {"POST", "{\"surprise\":1}", 400, "unknown_field"},
    {"POST", "{\"events_requested\":\"all\"}", 400, "invalid_field"},
    {"POST", "{\"delivery\":7}", 400, "invalid_field"},
    {"POST", "{\"delivery\":{}}", 400, "missing_field"},
    {"POST", "{\"delivery\":{\"method\":\"urn:ietf:rfc:9999\"}}", 400, "invalid_field"},
    {"POST", "{\"delivery\":{\"method\":\"urn:gatehouse:webhook\"}}", 400, "invalid_field"},
    {"POST", "{\"delivery\":{\"method\":\"urn:ietf:rfc:8935\"}}", 400, "missing_field"},
    {"POST", "{\"delivery\":{\"method\":\"urn:ietf:rfc:8935\",\"endpoint\":\"x\"}}", 400,
     "unknown_field"},
    {"POST",
     "{\"delivery\":{\"method\":\"urn:ietf:rfc:8935\",\"endpoint_url\":\"https://10.0.0.1/\"}}",
     422, "receiver_refused"},
    {"POST",
     "{\"delivery\":{\"method\":\"urn:ietf:rfc:8935\",\"endpoint_url\":\"https://[::1]/\"}}", 422,
     "receiver_refused"},
    {"POST",
     "{\"delivery\":{\"method\":\"urn:ietf:rfc:8935\",\"endpoint_url\":\"ftp://a.example/\"}}", 400,
     "invalid_field"},
    {"POST",
     "{\"delivery\":{\"method\":\"urn:ietf:rfc:8935\",\"endpoint_url\":\"https://u:p@a.example/"
     "\"}}",
     400, "invalid_field"},
    {"POST",
     "{\"delivery\":{\"method\":\"urn:ietf:rfc:8935\",\"endpoint_url\":\"https://a.example/\","
     "\"authorization_header\":\"a\\r\\nb\"}}",
     400, "invalid_field"},
    {"POST",
     "{\"delivery\":{\"method\":\"urn:ietf:rfc:8936\",\"endpoint_url\":\"https://a.example/\"}}",
     400, "invalid_field"},
    {"POST",
     "{\"delivery\":{\"method\":\"urn:ietf:rfc:8936\",\"authorization_header\":\"Bearer x\"}}", 400,
     "invalid_field"},
    {"PATCH", "{}", 400, "missing_field"},
    {"PATCH", "{\"stream_id\":\"0123456789abcdef0123456789abcdef\"}", 404, "not_found"},
    {"PUT", "{\"stream_id\":\"nonsense\"}", 404, "not_found"},
};

START_TEST(a_stream_that_is_not_acceptable_is_refused) {
    expect_proxy(refused[_i].method, "/v1/ssf/streams", refused[_i].body, refused[_i].status,
                 refused[_i].code);
    struct reply reply = proxy("GET", "/v1/ssf/streams", NULL);
    expect_status(reply, 200);
    ck_assert_str_eq(reply.text, "[]");
    reply_free(&reply);
}
END_TEST

static const struct {
    const char *body;
    unsigned status;
    const char *code;
} refused_of_admins[] = {
    {"{}", 400, "missing_field"},
    {"{\"method\":\"mail\"}", 400, "invalid_field"},
    {"{\"method\":\"webhook\"}", 400, "missing_field"},
    {"{\"method\":\"webhook\",\"endpoint_url\":\"http://169.254.169.254/\"}", 422,
     "receiver_refused"},
    {"{\"method\":\"webhook\",\"endpoint_url\":\"https://a.example/"
     "\",\"authorization_header\":\"x\"}",
     400, "invalid_field"},
    {"{\"method\":\"push\",\"endpoint_url\":\"https://a.example/\",\"events\":[\"model\"]}", 400,
     "invalid_field"},
    {"{\"method\":\"push\",\"endpoint_url\":\"https://a.example/\",\"events\":[\"all\"]}", 400,
     "invalid_field"},
    {"{\"method\":\"push\",\"endpoint_url\":\"https://a.example/"
     "\",\"events\":[\"device\",\"device\"]}",
     400, "invalid_field"},
    {"{\"method\":\"push\",\"endpoint_url\":\"https://a.example/\",\"events\":[]}", 400,
     "invalid_field"},
    {"{\"method\":\"push\",\"endpoint_url\":\"https://a.example/\",\"audience\":\"\\u0007\"}", 400,
     "invalid_field"},
    {"{\"method\":\"poll\"}", 400, "invalid_field"},
    {"{\"method\":\"poll\",\"proxy\":\"nobody\"}", 400, "invalid_field"},
    {"{\"method\":\"poll\",\"proxy\":\"edge\",\"endpoint_url\":\"https://a.example/\"}", 400,
     "invalid_field"},
    {"{\"method\":\"push\",\"endpoint_url\":\"https://a.example/\",\"secret\":\"x\"}", 400,
     "unknown_field"},
};

START_TEST(a_stream_of_administrators_that_is_not_acceptable_is_refused) {
    expect_admin(&g, "admin", "POST", "/v1/streams", refused_of_admins[_i].body,
                 refused_of_admins[_i].status, refused_of_admins[_i].code);
}
END_TEST

START_TEST(a_receiver_has_as_many_streams_as_it_may) {
    char id[33];
    for (int i = 0; i < SIGNALS_PER_PROXY_MAX; i++) {
        create_poll(id);
    }
    expect_proxy("POST", "/v1/ssf/streams", "{}", 409, "too_many_streams");
    expect_proxy("DELETE", TEXT("/v1/ssf/streams?stream_id=%s", id), NULL, 204, NULL);
    create_poll(id);
}
END_TEST

START_TEST(a_stream_that_is_not_ones_own_is_not_there) {
    char id[33];
    struct reply reply = admin(&g, "admin", "POST", "/v1/streams",
                               "{\"method\":\"push\",\"endpoint_url\":\"https://a.example/\"}");
    expect_status(reply, 201);
    (void)snprintf(id, sizeof id, "%s", reply_text(&reply, "id"));
    reply_free(&reply);
    expect_proxy("GET", TEXT("/v1/ssf/streams?stream_id=%s", id), NULL, 404, "not_found");
    expect_proxy("DELETE", TEXT("/v1/ssf/streams?stream_id=%s", id), NULL, 404, "not_found");
    expect_proxy("GET", TEXT("/v1/ssf/status?stream_id=%s", id), NULL, 404, "not_found");
    expect_proxy("PATCH", "/v1/ssf/streams", TEXT("{\"stream_id\":\"%s\"}", id), 404, "not_found");
    expect_proxy("POST", "/v1/ssf/status",
                 TEXT("{\"stream_id\":\"%s\",\"status\":\"disabled\"}", id), 404, "not_found");
    expect_proxy("POST", "/v1/ssf/verify", TEXT("{\"stream_id\":\"%s\"}", id), 404, "not_found");
    expect_proxy("POST", TEXT("/v1/ssf/poll/%s", id), "{}", 404, "not_found");
    ck_assert(is_text(id, "status", "enabled"));
    struct caller local = caller_local();
    expect(
        &g,
        &(struct call){
            .plane = PLANE_PROXY, .caller = &local, .method = "GET", .target = "/v1/ssf/streams"},
        403, "forbidden");
}
END_TEST

/* --- what is configured --- */

START_TEST(the_configuration_says_where_everything_is) {
    struct caller nobody = caller_nobody();
    struct reply reply = call(&g, &(struct call){.plane = PLANE_PUBLIC,
                                                 .caller = &nobody,
                                                 .method = "GET",
                                                 .target = "/.well-known/ssf-configuration"});
    expect_status(reply, 200);
    ck_assert_str_eq(reply_text(&reply, "issuer"), "https://gatehouse.example");
    ck_assert_str_eq(reply_text(&reply, "jwks_uri"),
                     "https://gatehouse.example/.well-known/jwks.json");
    ck_assert_str_eq(reply_text(&reply, "configuration_endpoint"),
                     "https://gatehouse.example:8443/v1/ssf/streams");
    ck_assert_str_eq(reply_text(&reply, "status_endpoint"),
                     "https://gatehouse.example:8443/v1/ssf/status");
    ck_assert_str_eq(reply_text(&reply, "verification_endpoint"),
                     "https://gatehouse.example:8443/v1/ssf/verify");
    reply_free(&reply);
}
END_TEST

START_TEST(a_stream_is_read_as_it_was_made_and_its_secret_never) {
    char id[33];
    struct receiver *r = receiver_start(ACCEPTED, 0);
    create_push(id, r);
    struct reply reply = proxy("GET", TEXT("/v1/ssf/streams?stream_id=%s", id), NULL);
    expect_status(reply, 200);
    json_t *delivery = json_object_get(reply.json, "delivery");
    ck_assert_str_eq(json_string_value(json_object_get(delivery, "method")), SIGNAL_METHOD_PUSH);
    ck_assert_uint_eq(json_array_size(json_object_get(reply.json, "events_delivered")), 2);
    ck_assert_str_eq(reply_text(&reply, "aud"), "https://gatehouse.example/receivers/edge");
    ck_assert_ptr_null(strstr(reply.text, "hunter2"));
    /* Put back as it was read, it is what it was, with its secret. */
    char *again = json_dumps(reply.json, JSON_COMPACT);
    reply_free(&reply);
    expect_proxy("PUT", "/v1/ssf/streams", again, 200, NULL);
    free(again);
    json_t *json = seen(id);
    ck_assert(json_is_true(json_object_get(json, "has_secret")));
    char *all = json_dumps(json, 0);
    ck_assert_ptr_null(strstr(all, "hunter2"));
    free(all);
    json_decref(json);
    json_t *audit = gateway_audit(&g, "stream.create");
    all = json_dumps(audit, 0);
    ck_assert_ptr_null(strstr(all, "hunter2"));
    free(all);
    json_decref(audit);
    receiver_stop(r);
}
END_TEST

START_TEST(a_secret_does_not_follow_to_another_receiver) {
    char id[33];
    struct receiver *r = receiver_start(ACCEPTED, 0);
    create_push(id, r);
    expect_proxy("PATCH", "/v1/ssf/streams",
                 TEXT("{\"stream_id\":\"%s\",\"delivery\":{\"method\":\"urn:ietf:rfc:8935\","
                      "\"endpoint_url\":\"http://127.0.0.1:%u/elsewhere\"}}",
                      id, receiver_port(r)),
                 200, NULL);
    json_t *json = seen(id);
    ck_assert(json_is_false(json_object_get(json, "has_secret")));
    json_decref(json);
    receiver_stop(r);
}
END_TEST

START_TEST(what_is_the_transmitters_cannot_be_changed) {
    char id[33];
    create_poll(id);
    static const char *const changes[] = {
        "\"iss\":\"https://evil.example\"",
        "\"aud\":\"https://evil.example\"",
        "\"events_supported\":[\"x\"]",
        "\"events_delivered\":[\"x\"]",
        "\"min_verification_interval\":1",
        ("\"delivery\":{\"method\":\"urn:ietf:rfc:8936\","
         "\"endpoint_url\":\"https://evil.example/\"}"),
        ("\"delivery\":{\"method\":\"urn:ietf:rfc:8935\","
         "\"endpoint_url\":\"https://a.example/\"}"),
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        expect_proxy("PATCH", "/v1/ssf/streams", TEXT("{\"stream_id\":\"%s\",%s}", id, changes[i]),
                     400, "invalid_field");
    }
}
END_TEST

START_TEST(patch_leaves_what_it_does_not_name_and_put_takes_it_away) {
    char id[33];
    create(id, "{\"events_requested\":" BOTH ",\"description\":\"mine\"}");
    expect_proxy("PATCH", "/v1/ssf/streams",
                 TEXT("{\"stream_id\":\"%s\",\"events_requested\":[\"" CAEP
                      "credential-change\",\"" CAEP "session-revoked\"]}",
                      id),
                 200, NULL);
    json_t *json = seen(id);
    ck_assert_uint_eq(json_array_size(json_object_get(json, "events")), 1);
    ck_assert_str_eq(json_string_value(json_object_get(json, "description")), "mine");
    json_decref(json);
    expect_proxy("PUT", "/v1/ssf/streams", TEXT("{\"stream_id\":\"%s\"}", id), 200, NULL);
    json = seen(id);
    ck_assert_uint_eq(json_array_size(json_object_get(json, "events")), 0);
    ck_assert_str_eq(json_string_value(json_object_get(json, "description")), "");
    json_decref(json);
}
END_TEST

START_TEST(an_operator_changes_the_version_that_was_read) {
    char id[33];
    create_poll(id);
    struct call change = {
        .plane = PLANE_ADMIN, .method = "PATCH", .body = "{\"description\":\"x\"}"};
    struct caller caller = caller_operator("admin");
    change.caller = &caller;
    change.target = TEXT("/v1/streams/%s", id);
    change.if_match = "\"7\"";
    expect(&g, &change, 412, "version_mismatch");
    change.if_match = "\"1\"";
    expect(&g, &change, 200, NULL);
    expect(&g, &change, 412, "version_mismatch");
    expect_admin(&g, "admin", "PATCH", TEXT("/v1/streams/%s", id),
                 "{\"endpoint_url\":\"https://a.example/\"}", 400, "invalid_field");
    expect_admin(&g, "operator", "PATCH", TEXT("/v1/streams/%s", id), "{}", 403, "forbidden");
    expect_admin(&g, "admin", "DELETE", TEXT("/v1/streams/%s", id), NULL, 204, NULL);
    expect_admin(&g, "admin", "DELETE", TEXT("/v1/streams/%s", id), NULL, 404, "not_found");
}
END_TEST

/* --- push --- */

START_TEST(a_change_is_pushed_as_a_token) {
    char id[33];
    add_device();
    struct receiver *r = receiver_start(ACCEPTED, 0);
    create_push(id, r);
    quarantine();
    const char *request = receiver_request(r, 0);
    ck_assert_ptr_nonnull(request);
    ck_assert_ptr_nonnull(strstr(request, "POST /events HTTP/1.1\r\n"));
    ck_assert_ptr_nonnull(strstr(request, "Content-Type: application/secevent+jwt\r\n"));
    ck_assert_ptr_nonnull(strstr(request, "Accept: application/json\r\n"));
    ck_assert_ptr_nonnull(strstr(request, "Authorization: Bearer hunter2\r\n"));
    json_t *token = gateway_token(body_of(request));
    ck_assert_str_eq(json_string_value(json_object_get(token, "iss")), "https://gatehouse.example");
    ck_assert_int_eq(strncmp(json_string_value(json_object_get(token, "jti")), id, 32), 0);
    json_t *subject = json_object_get(json_object_get(token, "sub_id"), "device");
    ck_assert_str_eq(json_string_value(json_object_get(subject, "id")), device.id);
    json_t *event = event_of(token, CAEP "device-compliance-change");
    ck_assert_str_eq(json_string_value(json_object_get(event, "current_status")), "not-compliant");
    json_decref(token);
    release();
    /* Not compliant, revoked; issued, compliant: each once. */
    until_number(id, "delivered", 4);
    ck_assert_uint_eq(receiver_requests(r), 4);
    receiver_stop(r);
    device_cleanup(&device);
}
END_TEST

START_TEST(what_failed_is_sent_again_under_the_same_name_and_in_order) {
    char id[33];
    add_device();
    struct receiver *r = receiver_start("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 0);
    create_push(id, r);
    quarantine();
    ck_assert_ptr_nonnull(receiver_request(r, 2));
    release();
    receiver_answer(r, ACCEPTED);
    until_number(id, "failures", 0);
    for (int i = 0; i < TRIES && number(id, "delivered") < 2; i++) {
        pause_a_little();
    }
    json_t *first = gateway_token(body_of(receiver_request(r, 0)));
    json_t *again = gateway_token(body_of(receiver_request(r, 2)));
    json_t *last = gateway_token(body_of(receiver_request(r, receiver_requests(r) - 1)));
    ck_assert_str_eq(json_string_value(json_object_get(first, "jti")),
                     json_string_value(json_object_get(again, "jti")));
    ck_assert_str_ne(json_string_value(json_object_get(first, "jti")),
                     json_string_value(json_object_get(last, "jti")));
    json_decref(first);
    json_decref(again);
    json_decref(last);
    ck_assert(is_text(id, "last_error", "the receiver answered with status 503"));
    receiver_stop(r);
    device_cleanup(&device);
}
END_TEST

START_TEST(an_event_that_a_receiver_calls_invalid_is_counted_and_passed_over) {
    char id[33];
    add_device();
    struct receiver *r = receiver_start("HTTP/1.1 400 Bad\r\nContent-Length: 40\r\n\r\n"
                                        "{ \"err\" : \"invalid_request\", \"x\": \"abcd\"}",
                                        0);
    create_push(id, r);
    quarantine();
    for (int i = 0; i < TRIES && number(id, "refused") == 0; i++) {
        pause_a_little();
    }
    ck_assert_int_ge(number(id, "refused"), 1);
    ck_assert_int_eq(number(id, "delivered"), 0);
    ck_assert_int_eq(number(id, "failures"), 0);
    receiver_stop(r);
    device_cleanup(&device);
}
END_TEST

static const char *const not_final[] = {
    "HTTP/1.1 400 Bad\r\nContent-Length: 31\r\n\r\n{\"err\":\"authentication_failed\"}\n",
    "HTTP/1.1 400 Bad\r\nContent-Length: 8\r\n\r\nwhatever",
    "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 500 Oops\r\nContent-Length: 27\r\n\r\n{\"err\":\"invalid_request\"}  \n",
    "garbage\r\n\r\n",
};

START_TEST(whatever_else_a_receiver_answers_the_event_keeps_its_place) {
    char id[33];
    add_device();
    struct receiver *r = receiver_start(not_final[_i], 0);
    create_push(id, r);
    int64_t position = number(id, "position");
    quarantine();
    ck_assert_ptr_nonnull(receiver_request(r, 2));
    for (int i = 0; i < TRIES && number(id, "failures") < 2; i++) {
        pause_a_little();
    }
    ck_assert_int_ge(number(id, "failures"), 2);
    ck_assert_int_eq(number(id, "delivered") + number(id, "refused"), 0);
    json_t *first = gateway_token(body_of(receiver_request(r, 0)));
    const char *jti = json_string_value(json_object_get(first, "jti"));
    ck_assert_int_lt(number(id, "position"), atoll(strchr(jti, '.') + 1));
    ck_assert_int_ge(number(id, "position"), position);
    json_decref(first);
    receiver_stop(r);
    device_cleanup(&device);
}
END_TEST

static void start_impatient(void) {
    gateway_start_as(&g, GATEWAY_IMPATIENT);
}

static void start_without_key(void) {
    gateway_start_as(&g, GATEWAY_WITHOUT_EVENTS);
}

START_TEST(a_receiver_that_fails_for_too_long_pauses_its_stream_and_is_told_later) {
    char id[33];
    add_device();
    struct receiver *r = receiver_start("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", 0);
    create_push(id, r);
    quarantine();
    until_text(id, "status", "paused");
    json_t *audit = gateway_audit(&g, "stream.pause");
    ck_assert_ptr_nonnull(audit);
    json_decref(audit);
    receiver_answer(r, ACCEPTED);
    for (int i = 0; i < TRIES && number(id, "delivered") == 0; i++) {
        pause_a_little(); /* the notice goes out; the event waits */
    }
    ck_assert_int_eq(number(id, "delivered"), 1);
    json_t *token = gateway_token(body_of(receiver_request(r, receiver_requests(r) - 1)));
    json_t *event =
        event_of(token, "https://schemas.openid.net/secevent/ssf/event-type/stream-updated");
    ck_assert_str_eq(json_string_value(json_object_get(event, "status")), "paused");
    json_decref(token);
    expect_proxy("POST", "/v1/ssf/status",
                 TEXT("{\"stream_id\":\"%s\",\"status\":\"enabled\"}", id), 200, NULL);
    for (int i = 0; i < TRIES && number(id, "delivered") < 2; i++) {
        pause_a_little();
    }
    ck_assert_int_ge(number(id, "delivered"), 2);
    ck_assert(is_text(id, "status", "enabled"));
    receiver_stop(r);
    device_cleanup(&device);
}
END_TEST

START_TEST(a_paused_stream_holds_its_events_and_a_disabled_one_has_none) {
    char paused[33], disabled[33];
    add_device();
    struct receiver *r = receiver_start(ACCEPTED, 0), *other = receiver_start(ACCEPTED, 0);
    create_push(paused, r);
    create_push(disabled, other);
    expect_proxy("POST", "/v1/ssf/status",
                 TEXT("{\"stream_id\":\"%s\",\"status\":\"paused\"}", paused), 200, NULL);
    expect_proxy(
        "POST", "/v1/ssf/status",
        TEXT("{\"stream_id\":\"%s\",\"status\":\"disabled\",\"reason\":\"away\"}", disabled), 200,
        NULL);
    quarantine();
    expect_proxy("POST", "/v1/ssf/status",
                 TEXT("{\"stream_id\":\"%s\",\"status\":\"enabled\"}", paused), 200, NULL);
    expect_proxy("POST", "/v1/ssf/status",
                 TEXT("{\"stream_id\":\"%s\",\"status\":\"enabled\"}", disabled), 200, NULL);
    ck_assert_ptr_nonnull(receiver_request(r, 0));
    release();
    json_t *token = gateway_token(body_of(receiver_request(other, 0)));
    json_t *event = event_of(token, CAEP "device-compliance-change");
    ck_assert_str_eq(json_string_value(json_object_get(event, "current_status")), "compliant");
    json_decref(token);
    receiver_stop(r);
    receiver_stop(other);
    device_cleanup(&device);
}
END_TEST

static void run_sql(const char *sql) {
    sqlite3 *db;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/gatehouse.db", g.folder);
    ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    (void)sqlite3_busy_timeout(db, 5000);
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

START_TEST(what_could_not_be_kept_is_counted_and_told) {
    char id[33];
    add_device();
    struct receiver *r = receiver_start(ACCEPTED, 0);
    create_push(id, r);
    expect_proxy("POST", "/v1/ssf/status", TEXT("{\"stream_id\":\"%s\",\"status\":\"paused\"}", id),
                 200, NULL);
    quarantine();
    release();
    run_sql("DELETE FROM trust_change WHERE seq < (SELECT max(seq) FROM trust_change)");
    expect_proxy("POST", "/v1/ssf/status",
                 TEXT("{\"stream_id\":\"%s\",\"status\":\"enabled\"}", id), 200, NULL);
    until_number(id, "delivered", 2); /* the last event, and the notice */
    ck_assert_int_ge(number(id, "dropped"), 2);
    json_t *audit = gateway_audit(&g, "stream.drop");
    ck_assert_ptr_nonnull(audit);
    json_decref(audit);
    bool told = false;
    for (unsigned i = 0; i < 2; i++) {
        json_t *token = gateway_token(body_of(receiver_request(r, i)));
        json_t *event =
            event_of(token, "https://schemas.openid.net/secevent/ssf/event-type/stream-updated");
        const char *reason = json_string_value(json_object_get(event, "reason"));
        told = told || (reason != NULL && strstr(reason, "no longer kept") != NULL);
        json_decref(token);
    }
    ck_assert(told);
    receiver_stop(r);
    device_cleanup(&device);
}
END_TEST

START_TEST(a_disabled_proxy_is_sent_nothing) {
    char id[33];
    add_device();
    struct receiver *r = receiver_start(ACCEPTED, 0);
    create_push(id, r);
    expect_admin(&g, "admin", "PUT", "/v1/proxies/edge", "{\"disabled\":true}", 200, NULL);
    json_t *json = seen(id);
    ck_assert(json_is_true(json_object_get(json, "held")));
    json_decref(json);
    quarantine();
    expect_admin(&g, "admin", "PUT", "/v1/proxies/edge", "{\"disabled\":false}", 200, NULL);
    ck_assert_ptr_nonnull(receiver_request(r, 0)); /* it waited */
    receiver_stop(r);
    device_cleanup(&device);
}
END_TEST

START_TEST(a_verification_is_pushed_with_its_state) {
    char id[33];
    struct receiver *r = receiver_start(ACCEPTED, 0);
    create_push(id, r);
    expect_proxy("POST", "/v1/ssf/verify", TEXT("{\"stream_id\":\"%s\",\"state\":\"abc\"}", id),
                 204, NULL);
    json_t *token = gateway_token(body_of(receiver_request(r, 0)));
    json_t *event =
        event_of(token, "https://schemas.openid.net/secevent/ssf/event-type/verification");
    ck_assert_str_eq(json_string_value(json_object_get(event, "state")), "abc");
    json_decref(token);
    expect_proxy("POST", "/v1/ssf/verify", TEXT("{\"stream_id\":\"%s\"}", id), 429,
                 "too_many_verifications");
    expect_admin(&g, "operator", "POST", TEXT("/v1/streams/%s/status", id),
                 "{\"status\":\"disabled\"}", 200, NULL);
    expect_admin(&g, "operator", "POST", TEXT("/v1/streams/%s/verify", id), "{}", 409,
                 "wrong_state");
    receiver_stop(r);
}
END_TEST

/* --- webhooks --- */

START_TEST(a_webhook_is_signed_with_a_secret_that_is_shown_once) {
    char id[33], secret[128];
    add_device();
    struct receiver *r = receiver_start("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0);
    struct reply reply =
        admin(&g, "admin", "POST", "/v1/streams",
              TEXT("{\"method\":\"webhook\",\"endpoint_url\":\"http://127.0.0.1:%u/hook\"}",
                   receiver_port(r)));
    expect_status(reply, 201);
    (void)snprintf(id, sizeof id, "%s", reply_text(&reply, "id"));
    (void)snprintf(secret, sizeof secret, "%s", reply_text(&reply, "secret"));
    ck_assert_int_eq(strncmp(secret, "whsec_", 6), 0);
    reply_free(&reply);
    json_t *json = seen(id);
    ck_assert_ptr_null(json_object_get(json, "secret"));
    json_decref(json);
    quarantine();
    const char *request = receiver_request(r, 0);
    ck_assert_ptr_nonnull(request);
    const char *signature = strstr(request, "Gatehouse-Signature: t=");
    ck_assert_ptr_nonnull(signature);
    signature += strlen("Gatehouse-Signature: ");
    int64_t time = atoll(signature + 2);
    struct arena arena;
    arena_init(&arena, 65536);
    char *wanted = signal_webhook_signature(&arena, secret, time, bytes_of_text(body_of(request)));
    ck_assert_int_eq(strncmp(signature, wanted, strlen(wanted)), 0);
    arena_free(&arena);
    json = json_loads(body_of(request), 0, NULL);
    ck_assert_ptr_nonnull(json);
    ck_assert_ptr_nonnull(strstr(request, TEXT("Gatehouse-Delivery: %s\r\n",
                                               json_string_value(json_object_get(json, "id")))));
    ck_assert_str_eq(json_string_value(json_object_get(json, "device_id")), device.id);
    json_decref(json);
    receiver_stop(r);
    device_cleanup(&device);
}
END_TEST

/* --- poll --- */

static struct reply poll(const char *id, const char *body) {
    struct reply reply = proxy("POST", TEXT("/v1/ssf/poll/%s", id), body);
    expect_status(reply, 200);
    return reply;
}

static size_t num_sets(const struct reply *reply) {
    return json_object_size(json_object_get(reply->json, "sets"));
}

START_TEST(an_event_is_polled_until_it_is_acknowledged) {
    char id[33], jti[64];
    add_device();
    create_poll(id);
    quarantine();
    struct reply reply = poll(id, "{\"returnImmediately\":true}");
    ck_assert_uint_ge(num_sets(&reply), 1);
    size_t num = num_sets(&reply);
    const char *name;
    json_t *token;
    json_object_foreach(json_object_get(reply.json, "sets"), name, token) {
        json_t *claims = gateway_token(json_string_value(token));
        ck_assert_str_eq(json_string_value(json_object_get(claims, "jti")), name);
        json_decref(claims);
        (void)snprintf(jti, sizeof jti, "%s", name);
    }
    reply_free(&reply);
    reply = poll(id, "{\"returnImmediately\":true}");
    ck_assert_uint_eq(num_sets(&reply), num);
    reply_free(&reply);
    reply = poll(
        id, TEXT("{\"returnImmediately\":true,\"ack\":[\"%s\",\"%s\",\"nonsense\"]}", jti, jti));
    ck_assert_uint_eq(num_sets(&reply), num - 1);
    ck_assert_ptr_null(strstr(reply.text, jti));
    reply_free(&reply);
    ck_assert_int_eq(number(id, "delivered"), 1);
    device_cleanup(&device);
}
END_TEST

START_TEST(events_are_acknowledged_in_any_order) {
    char id[33], first[64] = "", second[64] = "";
    add_device();
    create(id, "{\"events_requested\":[\"" CAEP "device-compliance-change\"]}");
    quarantine();
    release();
    struct reply reply = poll(id, "{\"returnImmediately\":true}");
    const char *name;
    json_t *token;
    json_object_foreach(json_object_get(reply.json, "sets"), name, token) {
        (void)snprintf(first[0] == '\0' ? first : second, 64, "%s", name);
    }
    ck_assert_uint_eq(num_sets(&reply), 2);
    reply_free(&reply);
    int64_t position = number(id, "position");
    reply = poll(id, TEXT("{\"returnImmediately\":true,\"ack\":[\"%s\"]}", second));
    ck_assert_uint_eq(num_sets(&reply), 1);
    ck_assert_ptr_nonnull(strstr(reply.text, first));
    reply_free(&reply);
    ck_assert_int_lt(number(id, "position"), atoll(strchr(first, '.') + 1));
    ck_assert_int_ge(number(id, "position"), position);
    reply = poll(id, TEXT("{\"returnImmediately\":true,\"setErrs\":{\"%s\":{\"err\":"
                          "\"invalid_request\",\"description\":\"no\"}}}",
                          first));
    ck_assert_uint_eq(num_sets(&reply), 0);
    reply_free(&reply);
    ck_assert_int_eq(number(id, "delivered"), 1);
    ck_assert_int_eq(number(id, "refused"), 1);
    device_cleanup(&device);
}
END_TEST

START_TEST(as_many_events_come_as_are_asked_for) {
    char id[33];
    add_device();
    create_poll(id);
    quarantine();
    release();
    struct reply reply = poll(id, "{\"returnImmediately\":true,\"maxEvents\":1}");
    ck_assert_uint_eq(num_sets(&reply), 1);
    ck_assert(json_is_true(json_object_get(reply.json, "moreAvailable")));
    reply_free(&reply);
    reply = poll(id, "{\"maxEvents\":0}");
    ck_assert_uint_eq(num_sets(&reply), 0);
    ck_assert(json_is_true(json_object_get(reply.json, "moreAvailable")));
    reply_free(&reply);
    reply = poll(id, "{\"maxEvents\":100}");
    ck_assert_uint_ge(num_sets(&reply), 2);
    ck_assert(json_is_false(json_object_get(reply.json, "moreAvailable")));
    reply_free(&reply);
    device_cleanup(&device);
}
END_TEST

START_TEST(a_poll_waits_for_an_event_and_at_last_gets_none) {
    char id[33];
    add_device();
    create_poll(id);
    struct caller caller = caller_proxy();
    const char *target = TEXT("/v1/ssf/poll/%s", id);
    struct exchange *waiting = call_start(&g, &(struct call){.plane = PLANE_PROXY,
                                                             .caller = &caller,
                                                             .method = "POST",
                                                             .target = target,
                                                             .body = "{}"});
    quarantine();
    struct reply reply = call_finish(&g, waiting);
    expect_status(reply, 200);
    ck_assert_uint_ge(num_sets(&reply), 1);
    reply_free(&reply);
    char quiet[33];
    create_poll(quiet);
    reply = poll(quiet, "{}");
    ck_assert_uint_eq(num_sets(&reply), 0);
    reply_free(&reply);
    device_cleanup(&device);
}
END_TEST

static const struct {
    const char *body, *code;
} refused_polls[] = {
    {"{\"maxEvents\":-1}", "invalid_field"},
    {"{\"maxEvents\":\"1\"}", "invalid_field"},
    {"{\"ack\":\"x\"}", "invalid_field"},
    {"{\"ack\":[1]}", "invalid_field"},
    {"{\"setErrs\":[]}", "invalid_field"},
    {"{\"setErrs\":{\"x\":1}}", "invalid_field"},
    {"{\"setErrs\":{\"x\":{}}}", "missing_field"},
    {"{\"setErrs\":{\"x\":{\"err\":\"a\",\"more\":1}}}", "unknown_field"},
    {"{\"returnImmediately\":1}", "invalid_field"},
    {"{\"acks\":[]}", "unknown_field"},
};

START_TEST(a_poll_that_is_not_acceptable_is_refused) {
    char id[33];
    create_poll(id);
    expect_proxy("POST", TEXT("/v1/ssf/poll/%s", id), refused_polls[_i].body, 400,
                 refused_polls[_i].code);
}
END_TEST

START_TEST(nothing_is_said_to_be_had_while_the_store_fails) {
    char id[33];
    add_device();
    create_poll(id);
    quarantine();
    struct reply reply = poll(id, "{\"returnImmediately\":true}");
    const char *name = json_object_iter_key(json_object_iter(json_object_get(reply.json, "sets")));
    const char *body = TEXT("{\"returnImmediately\":true,\"ack\":[\"%s\"]}", name);
    size_t num = num_sets(&reply);
    reply_free(&reply);
    gateway_break_store(&g, true);
    expect_proxy("POST", TEXT("/v1/ssf/poll/%s", id), body, 503, "storage_unavailable");
    expect_proxy("POST", "/v1/ssf/streams", "{}", 503, "storage_unavailable");
    gateway_break_store(&g, false);
    reply = poll(id, "{\"returnImmediately\":true}");
    ck_assert_uint_eq(num_sets(&reply), num);
    reply_free(&reply);
    device_cleanup(&device);
}
END_TEST

START_TEST(without_a_key_there_are_webhooks_alone) {
    struct caller nobody = caller_nobody();
    expect(&g,
           &(struct call){.plane = PLANE_PUBLIC,
                          .caller = &nobody,
                          .method = "GET",
                          .target = "/.well-known/ssf-configuration"},
           404, "signals_off");
    expect_proxy("GET", "/v1/ssf/streams", NULL, 404, "signals_off");
    expect_proxy("POST", "/v1/ssf/streams", "{}", 404, "signals_off");
    expect_admin(&g, "admin", "POST", "/v1/streams", "{\"method\":\"poll\",\"proxy\":\"edge\"}",
                 404, "signals_off");
    expect_admin(&g, "admin", "POST", "/v1/streams",
                 "{\"method\":\"webhook\",\"endpoint_url\":\"https://a.example/\"}", 201, NULL);
}
END_TEST

START_TEST(metrics_count_what_was_delivered) {
    char id[33];
    struct receiver *r = receiver_start(ACCEPTED, 0);
    create_push(id, r);
    expect_proxy("POST", "/v1/ssf/verify", TEXT("{\"stream_id\":\"%s\"}", id), 204, NULL);
    until_number(id, "delivered", 1);
    struct reply reply = admin(&g, "viewer", "GET", "/metrics", NULL);
    expect_status(reply, 200);
    ck_assert_ptr_nonnull(strstr(reply.text, "gatehouse_signals_total{outcome=\"delivered\"} 1\n"));
    ck_assert_ptr_nonnull(strstr(reply.text, "gatehouse_streams{status=\"enabled\"} 1\n"));
    reply_free(&reply);
    receiver_stop(r);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("api_streams");
    TCase *t = tcase_create("streams");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, a_stream_that_is_not_acceptable_is_refused, 0,
                        sizeof refused / sizeof refused[0]);
    tcase_add_loop_test(t, a_stream_of_administrators_that_is_not_acceptable_is_refused, 0,
                        sizeof refused_of_admins / sizeof refused_of_admins[0]);
    tcase_add_test(t, a_receiver_has_as_many_streams_as_it_may);
    tcase_add_test(t, a_stream_that_is_not_ones_own_is_not_there);
    tcase_add_test(t, the_configuration_says_where_everything_is);
    tcase_add_test(t, a_stream_is_read_as_it_was_made_and_its_secret_never);
    tcase_add_test(t, a_secret_does_not_follow_to_another_receiver);
    tcase_add_test(t, what_is_the_transmitters_cannot_be_changed);
    tcase_add_test(t, patch_leaves_what_it_does_not_name_and_put_takes_it_away);
    tcase_add_test(t, an_operator_changes_the_version_that_was_read);
    tcase_add_test(t, a_change_is_pushed_as_a_token);
    tcase_add_test(t, what_failed_is_sent_again_under_the_same_name_and_in_order);
    tcase_add_test(t, an_event_that_a_receiver_calls_invalid_is_counted_and_passed_over);
    tcase_add_loop_test(t, whatever_else_a_receiver_answers_the_event_keeps_its_place, 0,
                        sizeof not_final / sizeof not_final[0]);
    tcase_add_test(t, a_paused_stream_holds_its_events_and_a_disabled_one_has_none);
    tcase_add_test(t, what_could_not_be_kept_is_counted_and_told);
    tcase_add_test(t, a_disabled_proxy_is_sent_nothing);
    tcase_add_test(t, a_verification_is_pushed_with_its_state);
    tcase_add_test(t, a_webhook_is_signed_with_a_secret_that_is_shown_once);
    tcase_add_test(t, an_event_is_polled_until_it_is_acknowledged);
    tcase_add_test(t, events_are_acknowledged_in_any_order);
    tcase_add_test(t, as_many_events_come_as_are_asked_for);
    tcase_add_test(t, a_poll_waits_for_an_event_and_at_last_gets_none);
    tcase_add_loop_test(t, a_poll_that_is_not_acceptable_is_refused, 0,
                        sizeof refused_polls / sizeof refused_polls[0]);
    tcase_add_test(t, nothing_is_said_to_be_had_while_the_store_fails);
    tcase_add_test(t, metrics_count_what_was_delivered);
    suite_add_tcase(suite, t);
    TCase *impatient = tcase_create("impatient");
    tcase_add_checked_fixture(impatient, start_impatient, stop);
    tcase_set_timeout(impatient, 120);
    tcase_add_test(impatient,
                   a_receiver_that_fails_for_too_long_pauses_its_stream_and_is_told_later);
    suite_add_tcase(suite, impatient);
    TCase *keyless = tcase_create("keyless");
    tcase_add_checked_fixture(keyless, start_without_key, stop);
    tcase_add_test(keyless, without_a_key_there_are_webhooks_alone);
    suite_add_tcase(suite, keyless);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
