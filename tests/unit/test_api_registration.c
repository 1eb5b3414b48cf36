/* Devices that are announced before they enrol: one by one, in bulk, and taken back. */
/* concurrent */
#include "server/base/encoding.h"
#include "server/crypto/x509.h"
#include "server/identity/device_id.h"
#include "tests/unit/api_fixture.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gateway g;
static const char ndjson_type[] = "application/x-ndjson", csv_type[] = "text/csv";

static void start(void) {
    gateway_start(&g);
    gateway_add_model(&g, "acme-edge9");
    gateway_add_model(&g, "other");
}

static void stop(void) {
    gateway_stop(&g);
}

/* --- texts that grow --- */

struct text {
    char *data;
    size_t len, cap;
};

PRINTF_LIKE(2, 3) static void add(struct text *t, const char *format, ...) {
    if (t->cap - t->len < 512) {
        t->cap = t->cap == 0 ? 4096 : 2 * t->cap;
        t->data = realloc(t->data, t->cap);
        ck_assert_ptr_nonnull(t->data);
    }
    va_list args;
    va_start(args, format);
    t->len += (size_t)vsnprintf(t->data + t->len, t->cap - t->len, format, args);
    va_end(args);
}

/* The digest that announces the n-th device; its first half is the device's id. */
static void digest(char out[static 65], unsigned n) {
    (void)snprintf(out, 65, "%08x%056x", n * 2654435761u, n);
}

static void device_id(char out[static 33], unsigned n) {
    char text[65];
    digest(text, n);
    (void)snprintf(out, 33, "%.32s", text);
}

/* --- calls --- */

static struct call upload_call(const struct caller *caller, const char *type, const char *query,
                               const char *body) {
    static char target[128];
    (void)snprintf(target, sizeof target, "/v1/devices%s", query);
    return (struct call){.plane = PLANE_ADMIN,
                         .caller = caller,
                         .method = "POST",
                         .target = target,
                         .content_type = type,
                         .body = body};
}

static struct reply upload(const char *type, const char *query, const char *body) {
    struct caller caller = caller_operator("operator");
    struct call c = upload_call(&caller, type, query, body);
    return call(&g, &c);
}

static int64_t number(const struct reply *reply, const char *member) {
    return json_integer_value(json_object_get(reply->json, member));
}

/* The upload is answered 200 with these numbers, and its errors are "row code, row code, ...". */
static void check_upload(const struct reply *reply, int64_t rows, int64_t registered,
                         int64_t already, const char *errors) {
    char got[2048] = "";
    expect_status(*reply, 200);
    const json_t *list = json_object_get(reply->json, "errors"), *error;
    size_t i;
    json_array_foreach(list, i, error) {
        size_t len = strlen(got);
        (void)snprintf(got + len, sizeof got - len, "%s%d %s", i == 0 ? "" : ", ",
                       (int)json_integer_value(json_object_get(error, "row")),
                       json_string_value(json_object_get(error, "code")));
        ck_assert_str_ne(json_string_value(json_object_get(error, "detail")), "");
    }
    ck_assert_str_eq(got, errors);
    ck_assert_int_eq(number(reply, "num_errors"), (int64_t)json_array_size(list));
    ck_assert_int_eq(number(reply, "rows"), rows);
    ck_assert_int_eq(number(reply, "registered"), registered);
    ck_assert_int_eq(number(reply, "already_registered"), already);
}

static struct reply show(unsigned n) {
    char target[64], id[33];
    device_id(id, n);
    (void)snprintf(target, sizeof target, "/v1/devices/%s", id);
    return admin(&g, "viewer", "GET", target, NULL);
}

static void is_registered(unsigned n, const char *model, const char *note) {
    struct reply reply = show(n);
    expect_status(reply, 200);
    ck_assert_str_eq(reply_text(&reply, "state"), "registered");
    ck_assert_str_eq(reply_text(&reply, "model"), model);
    ck_assert_str_eq(reply_text(&reply, "note"), note);
    ck_assert_str_eq(reply_text(&reply, "decision"), "deny");
    ck_assert_str_eq(reply_text(&reply, "reason"), "unknown_device");
    ck_assert(json_is_null(json_object_get(reply.json, "enrolled_at")));
    reply_free(&reply);
}

static void is_unknown(unsigned n) {
    struct reply reply = show(n);
    check_code(&reply, 404, "not_found");
    reply_free(&reply);
}

/* How many devices are registered, by /v1/fleet. */
static int64_t num_registered(void) {
    struct reply reply = admin(&g, "viewer", "GET", "/v1/fleet", NULL);
    const json_t *count;
    size_t i;
    int64_t num = 0;
    expect_status(reply, 200);
    json_array_foreach(json_object_get(reply.json, "counts"), i, count) {
        if (strcmp(json_string_value(json_object_get(count, "state")), "registered") == 0) {
            num += json_integer_value(json_object_get(count, "count"));
        }
    }
    reply_free(&reply);
    return num;
}

/* Audit entries of that action; *last the newest of them, which the caller lets go. */
static size_t audited(const char *action, json_t **last) {
    struct reply reply = admin(&g, "viewer", "GET", "/v1/audit?limit=1000", NULL);
    json_t *entry;
    size_t i, num = 0;
    json_array_foreach(json_object_get(reply.json, "items"), i, entry) {
        if (strcmp(json_string_value(json_object_get(entry, "action")), action) == 0) {
            num++;
            if (last != NULL) {
                json_decref(*last);
                *last = json_incref(entry);
            }
        }
    }
    reply_free(&reply);
    return num;
}

static void step(const char *method, unsigned n, const char *verb, const char *body,
                 unsigned status, const char *code) {
    char target[96], id[33];
    device_id(id, n);
    (void)snprintf(target, sizeof target, "/v1/devices/%s%s", id, verb);
    expect_admin(&g, "operator", method, target, body, status, code);
}

static void announce(unsigned n) {
    char body[256], text[65];
    digest(text, n);
    (void)snprintf(body, sizeof body, "{\"model\":\"acme-edge9\",\"ek_sha256\":\"%s\"}", text);
    expect_admin(&g, "operator", "POST", "/v1/devices", body, 201, NULL);
}

/* --- one --- */

START_TEST(a_device_is_announced_by_the_digest_of_its_key) {
    char body[256], text[65], id[33], location[64];
    digest(text, 1);
    device_id(id, 1);
    (void)snprintf(body, sizeof body,
                   "{\"model\":\"acme-edge9\",\"ek_sha256\":\"%s\",\"note\":\"rack 4\"}", text);
    struct reply reply = admin(&g, "operator", "POST", "/v1/devices", body);
    expect_status(reply, 201);
    ck_assert_str_eq(reply_text(&reply, "id"), id);
    ck_assert_str_eq(reply_text(&reply, "state"), "registered");
    ck_assert_uint_eq(strlen(reply_text(&reply, "registration")), 32);
    (void)snprintf(location, sizeof location, "/v1/devices/%s", id);
    ck_assert_str_eq(reply_header(&reply, "Location"), location);
    reply_free(&reply);
    is_registered(1, "acme-edge9", "rack 4");
    json_t *last = NULL;
    ck_assert_uint_eq(audited("device.register", &last), 1);
    (void)snprintf(location, sizeof location, "device:%s", id);
    ck_assert_str_eq(json_string_value(json_object_get(last, "object")), location);
    json_decref(last);
}
END_TEST

START_TEST(a_device_is_announced_by_its_certificate_under_the_id_it_enrols_with) {
    static char enrolment[BODY_SIZE];
    struct soft_device device;
    device_init(&device, "acme-edge9");
    device_enrolment_body(&g, &device, enrolment, true);
    json_t *json = json_loads(enrolment, 0, NULL);
    const char *base64 = json_string_value(json_object_get(json, "ek_certificate"));
    struct arena arena;
    struct bytes der;
    arena_init(&arena, 65536);
    ck_assert_int_eq(base64_decode_arena(&arena, &der, base64, strlen(base64), NULL), STATUS_OK);
    char *pem = certificate_to_pem(&arena, der);
    json_t *body = json_pack("{s:s,s:s}", "model", "acme-edge9", "ek_certificate", base64);
    char *text = json_dumps(body, 0);
    struct reply reply = admin(&g, "admin", "POST", "/v1/devices", text);
    expect_status(reply, 201);
    char id[33];
    (void)snprintf(id, sizeof id, "%s", reply_text(&reply, "id"));
    reply_free(&reply);
    free(text);
    json_decref(body);

    /* The same as PEM, in the three ways of announcing: each finds it known. */
    body = json_pack("{s:s,s:s}", "model", "acme-edge9", "ek_certificate", pem);
    text = json_dumps(body, 0);
    expect_admin(&g, "admin", "POST", "/v1/devices", text, 409, "already_exists");
    reply = upload(ndjson_type, "", text);
    check_upload(&reply, 1, 0, 1, "");
    reply_free(&reply);
    struct text table = {0};
    add(&table, "ek_certificate,model\n\"");
    add(&table, "%s", pem);
    add(&table, "\",acme-edge9\n");
    reply = upload(csv_type, "", table.data);
    check_upload(&reply, 1, 0, 1, "");
    reply_free(&reply);
    ck_assert_int_eq(device_id_is_valid(id), true);
    struct certificate certificate;
    char expected[DEVICE_ID_SIZE];
    ck_assert_int_eq(certificate_parse(&certificate, der, NULL), STATUS_OK);
    ck_assert_int_eq(device_id_from_key(expected, &certificate.key), STATUS_OK);
    ck_assert_str_eq(id, expected);
    free(table.data);
    free(text);
    json_decref(body);
    json_decref(json);
    arena_free(&arena);
    device_cleanup(&device);
}
END_TEST

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
static const struct {
    const char *body;
    unsigned status;
    const char *code;
} wrong_bodies[] = {
    {"{}", 400, "missing_field"},
    {"", 400, "missing_field"},
    {"{\"model\":\"acme-edge9\"}", 400, "missing_field"},
    {"{\"ek_sha256\":\"" DIGEST "\"}", 400, "missing_field"},
    {"{\"model\":\"nobody\",\"ek_sha256\":\"" DIGEST "\"}", 422, "unknown_model"},
    {"{\"model\":\"a/b\",\"ek_sha256\":\"" DIGEST "\"}", 400, "invalid_field"},
    {"{\"model\":\"acme-edge9\",\"ek_sha256\":\"0123\"}", 400, "invalid_field"},
    {"{\"model\":\"acme-edge9\",\"ek_sha256\":\"0123456789ABCDEF0123456789abcdef"
     "0123456789abcdef0123456789abcdef\"}",
     400, "invalid_field"},
    {"{\"model\":\"acme-edge9\",\"ek_sha256\":\"0123456789abcdef0123456789abcdef"
     "0123456789abcdef0123456789abcdeg\"}",
     400, "invalid_field"},
    {"{\"model\":\"acme-edge9\",\"ek_sha256\":\"" DIGEST "\",\"ek_certificate\":\"AAAA\"}", 400,
     "invalid_field"},
    {"{\"model\":\"acme-edge9\",\"ek_certificate\":\"AAAA\"}", 422, "ek_certificate_invalid"},
    {"{\"model\":\"acme-edge9\",\"ek_certificate\":\"no base64\"}", 422, "ek_certificate_invalid"},
    {"{\"model\":\"acme-edge9\",\"ek_certificate\":\"-----BEGIN CERTIFICATE-----\\nAAAA\\n"
     "-----END CERTIFICATE-----\\n\"}",
     422, "ek_certificate_invalid"},
    {"{\"model\":\"acme-edge9\",\"ek_sha256\":\"" DIGEST "\",\"state\":\"enrolled\"}", 400,
     "unknown_field"},
    {"{\"model\":\"acme-edge9\",\"ek_sha256\":7}", 400, "invalid_field"},
    {"[]", 400, "malformed_json"},
};

START_TEST(an_announcement_that_is_none_is_refused) {
    expect_admin(&g, "operator", "POST", "/v1/devices", wrong_bodies[_i].body,
                 wrong_bodies[_i].status, wrong_bodies[_i].code);
    ck_assert_int_eq(num_registered(), 0);
    ck_assert_uint_eq(audited("device.register", NULL), 0);
}
END_TEST

START_TEST(a_device_that_is_known_is_not_announced_again) {
    static char body[BODY_SIZE];
    announce(1);
    char text[65];
    digest(text, 1);
    (void)snprintf(body, sizeof body, "{\"model\":\"acme-edge9\",\"ek_sha256\":\"%s\"}", text);
    expect_admin(&g, "operator", "POST", "/v1/devices", body, 409, "already_exists");
    struct soft_device device;
    device_init(&device, "acme-edge9");
    device_join(&g, &device);
    (void)snprintf(body, sizeof body, "{\"model\":\"acme-edge9\",\"ek_sha256\":\"%s%s\"}",
                   device.id, device.id);
    expect_admin(&g, "operator", "POST", "/v1/devices", body, 409, "already_exists");
    device_cleanup(&device);
}
END_TEST

START_TEST(only_operators_and_administrators_announce) {
    static const char *const others[] = {"viewer", "author", "approver"};
    for (size_t i = 0; i < 3; i++) {
        struct caller caller = caller_operator(others[i]);
        struct call c = upload_call(&caller, ndjson_type, "", "{}\n");
        expect(&g, &c, 403, "forbidden");
        expect_admin(&g, others[i], "POST", "/v1/devices", "{}", 403, "forbidden");
        expect_admin(&g, others[i], "DELETE",
                     "/v1/devices/"
                     "0123456789abcdef0123456789abcdef",
                     NULL, 403, "forbidden");
    }
}
END_TEST

START_TEST(a_type_that_is_not_taken_is_refused) {
    static const char *const types[] = {"text/plain",
                                        "application/x-ndjsonx",
                                        "application/ndjson",
                                        "text/csv; charset=latin1",
                                        "text/csv,application/json",
                                        ""};
    struct caller caller = caller_operator("operator");
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct call c = upload_call(&caller, types[i], "", "x");
        expect(&g, &c, 415, "unsupported_media_type");
    }
    caller = caller_operator("admin");
    struct call c = {.plane = PLANE_ADMIN,
                     .caller = &caller,
                     .method = "POST",
                     .target = "/v1/models",
                     .content_type = csv_type,
                     .body = "name\nx\n"};
    expect(&g, &c, 415, "unsupported_media_type");
}
END_TEST

/* --- what becomes of those who are announced --- */

START_TEST(an_announced_device_is_listed_noted_and_taken_back) {
    announce(1);
    struct reply reply = admin(&g, "viewer", "GET", "/v1/devices?state=registered", NULL);
    expect_status(reply, 200);
    ck_assert_uint_eq(json_array_size(json_object_get(reply.json, "items")), 1);
    reply_free(&reply);
    step("PATCH", 1, "", "{\"note\":\"on its way\"}", 200, NULL);
    is_registered(1, "acme-edge9", "on its way");
    step("DELETE", 1, "", NULL, 204, NULL);
    step("DELETE", 1, "", NULL, 404, "not_found");
    is_unknown(1);
    ck_assert_int_eq(num_registered(), 0);
    ck_assert_uint_eq(audited("device.unregister", NULL), 1);
    announce(1);
}
END_TEST

START_TEST(an_announced_device_is_neither_quarantined_nor_released_but_retired) {
    announce(1);
    step("POST", 1, "/quarantine", "{\"reason\":\"lost\"}", 409, "wrong_state");
    step("POST", 1, "/release", "{}", 409, "wrong_state");
    is_registered(1, "acme-edge9", "");
    step("POST", 1, "/retire", "{\"reason\":\"stolen\"}", 200, NULL);
    step("DELETE", 1, "", NULL, 409, "wrong_state");
    char id[33];
    device_id(id, 1);
    check_decision(&g, id, "deny", "retired");
}
END_TEST

START_TEST(a_device_that_enrolled_is_retired_and_not_removed) {
    struct soft_device device;
    char target[64];
    device_init(&device, "acme-edge9");
    device_join(&g, &device);
    (void)snprintf(target, sizeof target, "/v1/devices/%s", device.id);
    struct reply reply = admin(&g, "admin", "DELETE", target, NULL);
    check_code(&reply, 409, "wrong_state");
    ck_assert_ptr_nonnull(strstr(reply_text(&reply, "detail"), "retired"));
    reply_free(&reply);
    device_cleanup(&device);
}
END_TEST

/* --- rows --- */

START_TEST(rows_of_every_kind_are_registered) {
    char text[65];
    struct text table = {0}, lines = {0};
    add(&table, "note,ek_sha256,model\r\n");
    digest(text, 1);
    add(&table, "\"rack 4, top\",%s,acme-edge9\r\n", text);
    digest(text, 2);
    add(&table, ",%s,other\r\n", text);
    digest(text, 3);
    add(&lines, "{\"model\":\"other\",\"ek_sha256\":\"%s\",\"note\":\"caf\\u00e9\"}\n", text);
    struct reply reply = upload(csv_type, "", table.data);
    check_upload(&reply, 2, 2, 0, "");
    reply_free(&reply);
    reply = upload("application/x-ndjson; charset=utf-8", "", lines.data);
    check_upload(&reply, 1, 1, 0, "");
    ck_assert_uint_eq(strlen(reply_text(&reply, "registration")), 32);
    char registration[33];
    (void)snprintf(registration, sizeof registration, "%s", reply_text(&reply, "registration"));
    reply_free(&reply);
    is_registered(1, "acme-edge9", "rack 4, top");
    is_registered(2, "other", "");
    is_registered(3, "other", "caf\xc3\xa9");
    reply = show(3);
    ck_assert_str_eq(reply_text(&reply, "registration"), registration);
    reply_free(&reply);
    free(table.data);
    free(lines.data);
}
END_TEST

START_TEST(an_upload_says_the_same_however_it_is_cut) {
    struct text lines = {0};
    char text[65];
    for (unsigned n = 1; n <= 5; n++) {
        digest(text, n);
        add(&lines,
            n == 3 ? "{\"model\":\"nobody\",\"ek_sha256\":\"%s\"}\n" : "{\"ek_sha256\":\"%s\"}\n",
            text);
    }
    struct caller caller = caller_operator("operator");
    for (size_t piece = 1; piece <= lines.len + 1; piece += 7) {
        struct call c = upload_call(&caller, ndjson_type, "?model=other", lines.data);
        c.piece = piece;
        struct reply reply = call(&g, &c);
        check_upload(&reply, 5, piece == 1 ? 4 : 0, piece == 1 ? 0 : 4, "3 unknown_model");
        reply_free(&reply);
    }
    free(lines.data);
}
END_TEST

START_TEST(bad_rows_are_named_and_good_ones_kept) {
    struct text table = {0};
    char one[65], two[65], three[65];
    digest(one, 1);
    digest(two, 2);
    digest(three, 3);
    add(&table, "model,ek_sha256,note\n");
    add(&table, "acme-edge9,%s,\n", one);             /* 2 */
    add(&table, "acme-edge9,,\n");                    /* 3 */
    add(&table, ",%s,\n", two);                       /* 4 */
    add(&table, "nobody,%s,\n", two);                 /* 5 */
    add(&table, "acme-edge9,%s\n", two);              /* 6 */
    add(&table, "acme-edge9,\"%s\",\"a\nb\"\n", two); /* 7 and 8 */
    add(&table, "other,%s,\n", one);                  /* 9: another model */
    add(&table, "acme-edge9,%s,again\n", one);        /* 10 */
    add(&table, "acme-edge9,%s,\xff\n", three);       /* 11 */
    add(&table, "acme-edge9,%s,\n", "xyz");           /* 12 */
    add(&table, "acme-edge9,%s,%s", three, "last");   /* 13, without an end */
    struct reply reply = upload(csv_type, "", table.data);
    check_upload(&reply, 11, 3, 1,
                 "3 missing_field, 4 missing_field, 5 unknown_model, 6 malformed_row, "
                 "9 already_exists, 11 malformed_row, 12 invalid_field");
    reply_free(&reply);
    is_registered(1, "acme-edge9", "");
    is_registered(2, "acme-edge9", "a\nb");
    is_registered(3, "acme-edge9", "last");
    free(table.data);
}
END_TEST

START_TEST(rows_of_devices_that_enrolled_or_were_retired_are_errors) {
    struct soft_device device;
    struct text lines = {0};
    char text[65];
    device_init(&device, "acme-edge9");
    device_join(&g, &device);
    announce(1);
    announce(2);
    step("POST", 2, "/retire", "{\"reason\":\"stolen\"}", 200, NULL);
    digest(text, 1);
    add(&lines, "{\"ek_sha256\":\"%s\"}\n", text);
    digest(text, 2);
    add(&lines, "{\"ek_sha256\":\"%s\"}\n", text);
    add(&lines, "{\"ek_sha256\":\"%s%s\"}\n", device.id, device.id);
    struct reply reply = upload(ndjson_type, "?model=acme-edge9", lines.data);
    check_upload(&reply, 3, 0, 1, "2 already_exists, 3 already_exists");
    reply_free(&reply);
    free(lines.data);
    device_cleanup(&device);
}
END_TEST

static struct text many(unsigned from, unsigned num) {
    struct text lines = {0};
    char text[65];
    for (unsigned n = from; n < from + num; n++) {
        digest(text, n);
        add(&lines, "{\"ek_sha256\":\"%s\"}\n", text);
    }
    return lines;
}

START_TEST(an_upload_leaves_an_audit_entry_for_each_batch_that_leads_to_its_devices) {
    enum { NUM = 2500 };
    struct text lines = many(1, NUM);
    struct reply reply = upload(ndjson_type, "?model=acme-edge9", lines.data);
    check_upload(&reply, NUM, NUM, 0, "");
    char object[64];
    (void)snprintf(object, sizeof object, "upload:%s", reply_text(&reply, "registration"));
    struct reply all = admin(&g, "viewer", "GET", "/v1/audit?limit=1000", NULL);
    const json_t *entry;
    size_t i, entries = 0;
    int64_t sum = 0;
    char before[33] = "";
    json_array_foreach(json_object_get(all.json, "items"), i, entry) {
        if (strcmp(json_string_value(json_object_get(entry, "object")), object) != 0) {
            continue;
        }
        const json_t *after = json_object_get(entry, "after");
        const char *first = json_string_value(json_object_get(after, "first_id"));
        const char *last = json_string_value(json_object_get(after, "last_id"));
        ck_assert_str_eq(json_string_value(json_object_get(entry, "request_id")),
                         reply_text(&reply, "registration"));
        ck_assert_str_eq(json_string_value(json_object_get(entry, "actor")), "operator:operator");
        ck_assert_int_lt(strcmp(before, first), 0); /* runs of ids that do not overlap */
        ck_assert_int_lt(strcmp(first, last), 0);
        (void)snprintf(before, sizeof before, "%s", last);
        sum += json_integer_value(json_object_get(after, "registered"));
        entries++;
    }
    ck_assert_uint_eq(entries, 3);
    ck_assert_int_eq(sum, NUM);
    ck_assert_int_eq(num_registered(), NUM);
    reply_free(&all);
    reply_free(&reply);
    reply = upload(ndjson_type, "?model=acme-edge9", lines.data);
    check_upload(&reply, NUM, 0, NUM, "");
    reply_free(&reply);
    ck_assert_uint_eq(audited("device.register", NULL), 3); /* nothing new, no entry */
    free(lines.data);
}
END_TEST

START_TEST(an_upload_that_breaks_off_leaves_nothing) {
    struct text lines = many(1, 3000);
    struct caller caller = caller_operator("operator");
    struct call c = upload_call(&caller, ndjson_type, "?model=acme-edge9", lines.data);
    c.breaks_off = true;
    struct reply reply = call(&g, &c);
    reply_free(&reply);
    ck_assert_int_eq(num_registered(), 0);
    ck_assert_uint_eq(audited("device.register", NULL), 0);
    free(lines.data);
}
END_TEST

START_TEST(all_or_nothing_keeps_all) {
    struct text lines = many(1, 2500);
    struct reply reply = upload(ndjson_type, "?model=other&all_or_nothing=true", lines.data);
    check_upload(&reply, 2500, 2500, 0, "");
    reply_free(&reply);
    ck_assert_uint_eq(audited("device.register", NULL), 1);
    free(lines.data);
}
END_TEST

static void all_or_nothing_refuses(const char *row, const char *code) {
    struct text lines = many(10, 1500);
    add(&lines, "%s\n", row);
    struct reply reply = upload(ndjson_type, "?model=other&all_or_nothing=true", lines.data);
    check_code(&reply, 422, "rows_refused");
    ck_assert_int_eq(number(&reply, "num_errors"), 1);
    ck_assert_int_eq(number(&reply, "rows"), 1501);
    const json_t *error = json_array_get(json_object_get(reply.json, "errors"), 0);
    ck_assert_int_eq(json_integer_value(json_object_get(error, "row")), 1501);
    ck_assert_str_eq(json_string_value(json_object_get(error, "code")), code);
    reply_free(&reply);
    free(lines.data);
}

START_TEST(all_or_nothing_keeps_nothing_when_a_row_is_bad) {
    char row[160], text[65];
    announce(1);
    all_or_nothing_refuses("{", "malformed_row");
    all_or_nothing_refuses("{\"ek_sha256\":\"" DIGEST "\",\"model\":\"nobody\"}", "unknown_model");
    digest(text, 1); /* registered for acme-edge9 */
    (void)snprintf(row, sizeof row, "{\"ek_sha256\":\"%s\"}", text);
    all_or_nothing_refuses(row, "already_exists");
    ck_assert_int_eq(num_registered(), 1);
    ck_assert_uint_eq(audited("device.register", NULL), 1);
}
END_TEST

START_TEST(no_more_errors_are_listed_than_a_thousand_and_all_are_counted) {
    struct text lines = {0};
    for (int i = 0; i < 1500; i++) {
        add(&lines, "{}\n");
    }
    struct reply reply = upload(ndjson_type, "", lines.data);
    expect_status(reply, 200);
    ck_assert_int_eq(number(&reply, "num_errors"), 1500);
    ck_assert_int_eq(number(&reply, "rows"), 1500);
    const json_t *errors = json_object_get(reply.json, "errors");
    ck_assert_uint_eq(json_array_size(errors), 1000);
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(errors, 999), "row")), 1000);
    reply_free(&reply);
    free(lines.data);
}
END_TEST

START_TEST(more_rows_than_an_upload_takes_are_refused_while_they_come) {
    enum { NUM = 200000 };
    struct caller caller = caller_operator("operator");
    char *body = malloc(2 * NUM + 16);
    ck_assert_ptr_nonnull(body);
    for (size_t i = 0; i < NUM; i++) {
        memcpy(body + 2 * i, "x\n", 2);
    }
    memcpy(body + 2 * NUM, "", 1);
    struct call c = upload_call(&caller, ndjson_type, "", body);
    struct reply reply = call(&g, &c);
    expect_status(reply, 200);
    ck_assert_int_eq(number(&reply, "num_errors"), NUM);
    reply_free(&reply);
    memcpy(body + 2 * NUM, "x\n", 3);
    c.piece = 4096;
    expect(&g, &c, 413, "too_many_rows");
    free(body);
}
END_TEST

START_TEST(more_models_than_an_upload_takes_are_errors) {
    struct text lines = {0};
    for (unsigned n = 0; n < 258; n++) {
        char text[65];
        digest(text, n);
        add(&lines, "{\"model\":\"m%u\",\"ek_sha256\":\"%s\"}\n", n, text);
    }
    struct reply reply = upload(ndjson_type, "", lines.data);
    expect_status(reply, 200);
    ck_assert_int_eq(number(&reply, "num_errors"), 258);
    const json_t *errors = json_object_get(reply.json, "errors");
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(errors, 255), "code")),
                     "unknown_model");
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(errors, 256), "code")),
                     "invalid_field");
    reply_free(&reply);
    free(lines.data);
}
END_TEST

static const struct {
    const char *type, *query, *body;
    unsigned status;
    const char *code;
} wrong_uploads[] = {
    {"text/csv", "", "", 400, "invalid_header"},
    {"text/csv", "", "model,serial\n", 400, "invalid_header"},
    {"text/csv", "", "acme-edge9," DIGEST "\n", 400, "invalid_header"},
    {"text/csv", "?model=acme-edge9", "model\nx\n\"", 200, NULL},
    {"text/csv", "?model=nobody", "ek_sha256\n", 422, "unknown_model"},
    {"application/json", "?model=nobody", "{}", 422, "unknown_model"},
    {"text/csv", "?model=", "ek_sha256\n", 400, "invalid_parameter"},
    {"text/csv", "?models=x", "ek_sha256\n", 400, "unknown_parameter"},
    {"text/csv", "?all_or_nothing=yes", "ek_sha256\n", 400, "invalid_parameter"},
    {"text/csv", "?all_or_nothing=1", "ek_sha256\n", 400, "invalid_parameter"},
    {"text/csv", "?all_or_nothing=TRUE", "ek_sha256\n", 400, "invalid_parameter"},
    {"application/json", "?all_or_nothing=true", "{}", 400, "invalid_parameter"},
};

START_TEST(an_upload_that_makes_no_sense_is_refused) {
    struct caller caller = caller_operator("operator");
    struct call c = upload_call(&caller, wrong_uploads[_i].type, wrong_uploads[_i].query,
                                wrong_uploads[_i].body);
    expect(&g, &c, wrong_uploads[_i].status, wrong_uploads[_i].code);
    ck_assert_int_eq(num_registered(), 0);
}
END_TEST

START_TEST(an_upload_of_nothing_registers_nothing) {
    struct reply reply = upload(ndjson_type, "", "\n\n");
    check_upload(&reply, 0, 0, 0, "");
    reply_free(&reply);
    reply = upload(csv_type, "", "model,ek_sha256\n");
    check_upload(&reply, 0, 0, 0, "");
    reply_free(&reply);
}
END_TEST

START_TEST(a_store_that_fails_is_503_and_the_upload_may_be_sent_again) {
    struct text lines = many(1, 1200);
    struct caller caller = caller_operator("operator");
    gateway_break_store(&g, true);
    struct call c = upload_call(&caller, ndjson_type, "?model=other", lines.data);
    expect(&g, &c, 503, "storage_unavailable");
    struct call whole =
        upload_call(&caller, ndjson_type, "?model=other&all_or_nothing=true", lines.data);
    expect(&g, &whole, 503, "storage_unavailable");
    gateway_break_store(&g, false);
    struct reply reply = upload(ndjson_type, "?model=other", lines.data);
    check_upload(&reply, 1200, 1200, 0, "");
    reply_free(&reply);
    free(lines.data);
}
END_TEST

/* Mends the store once the committer has tried in vain. */
static void *mend(void *context) {
    struct committer_counters counters;
    (void)context;
    do {
        committer_count(g.committer, &counters);
        (void)sched_yield();
    } while (counters.storage_retries == 0);
    gateway_break_store(&g, false);
    return NULL;
}

START_TEST(a_batch_that_is_tried_again_is_counted_once) {
    struct text lines = many(1, 300);
    add(&lines, "{\"model\":\"nobody\",\"ek_sha256\":\"" DIGEST "\"}\nx\n");
    announce(7);
    gateway_break_store(&g, true);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, mend, NULL), 0);
    struct reply reply = upload(ndjson_type, "?model=acme-edge9", lines.data);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    check_upload(&reply, 302, 299, 1, "301 unknown_model, 302 malformed_row");
    reply_free(&reply);
    ck_assert_int_eq(num_registered(), 300);
    ck_assert_uint_eq(audited("device.register", NULL), 2);
    free(lines.data);
}
END_TEST

/* Each call of this test opens an upload and lets it break off: their places are given back. */
START_TEST(uploads_give_their_places_back) {
    struct caller caller = caller_operator("operator");
    for (int i = 0; i < 20; i++) {
        struct call c = upload_call(&caller, csv_type, "", i % 2 == 0 ? "model\nx\n" : "nonsense");
        c.breaks_off = i % 4 == 0;
        struct reply reply = call(&g, &c);
        reply_free(&reply);
    }
    struct reply reply = upload(csv_type, "", "model\n");
    check_upload(&reply, 0, 0, 0, "");
    reply_free(&reply);
}
END_TEST

START_TEST(uploads_beyond_four_at_a_time_are_told_to_come_back) {
    struct caller caller = caller_operator("operator");
    struct call c = upload_call(&caller, csv_type, "", "model\n");
    c.beside = 3;
    expect(&g, &c, 200, NULL);
    c.beside = 4;
    expect(&g, &c, 503, "overloaded");
    c.beside = 3;
    expect(&g, &c, 200, NULL);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("registration");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, start, stop);
    tcase_add_test(tests, a_device_is_announced_by_the_digest_of_its_key);
    tcase_add_test(tests, a_device_is_announced_by_its_certificate_under_the_id_it_enrols_with);
    tcase_add_loop_test(tests, an_announcement_that_is_none_is_refused, 0,
                        sizeof wrong_bodies / sizeof wrong_bodies[0]);
    tcase_add_test(tests, a_device_that_is_known_is_not_announced_again);
    tcase_add_test(tests, only_operators_and_administrators_announce);
    tcase_add_test(tests, a_type_that_is_not_taken_is_refused);
    tcase_add_test(tests, an_announced_device_is_listed_noted_and_taken_back);
    tcase_add_test(tests, an_announced_device_is_neither_quarantined_nor_released_but_retired);
    tcase_add_test(tests, a_device_that_enrolled_is_retired_and_not_removed);
    tcase_add_test(tests, rows_of_every_kind_are_registered);
    tcase_add_test(tests, an_upload_says_the_same_however_it_is_cut);
    tcase_add_test(tests, bad_rows_are_named_and_good_ones_kept);
    tcase_add_test(tests, rows_of_devices_that_enrolled_or_were_retired_are_errors);
    tcase_add_test(tests, an_upload_leaves_an_audit_entry_for_each_batch_that_leads_to_its_devices);
    tcase_add_test(tests, an_upload_that_breaks_off_leaves_nothing);
    tcase_add_test(tests, all_or_nothing_keeps_all);
    tcase_add_test(tests, all_or_nothing_keeps_nothing_when_a_row_is_bad);
    tcase_add_test(tests, no_more_errors_are_listed_than_a_thousand_and_all_are_counted);
    tcase_add_test(tests, more_rows_than_an_upload_takes_are_refused_while_they_come);
    tcase_add_test(tests, more_models_than_an_upload_takes_are_errors);
    tcase_add_loop_test(tests, an_upload_that_makes_no_sense_is_refused, 0,
                        sizeof wrong_uploads / sizeof wrong_uploads[0]);
    tcase_add_test(tests, an_upload_of_nothing_registers_nothing);
    tcase_add_test(tests, a_store_that_fails_is_503_and_the_upload_may_be_sent_again);
    tcase_add_test(tests, a_batch_that_is_tried_again_is_counted_once);
    tcase_add_test(tests, uploads_give_their_places_back);
    tcase_add_test(tests, uploads_beyond_four_at_a_time_are_told_to_come_back);
    Suite *suite = suite_create("api: registration");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
