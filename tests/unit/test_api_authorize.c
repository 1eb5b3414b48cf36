/* Forward authentication: what a proxy is told of each of its requests. */
/* concurrent */
#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/base/file.h"
#include "server/credential/profile.h"
#include "tests/unit/api_fixture.h"
#include "tests/unit/dialect_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct gateway g;
static struct soft_device device;
static struct arena arena;
static struct bytes credential; /* DER */
static char serial[33];

/* --- set-up --- */

static struct bytes der_of(const char *pem) {
    struct bytes der[4]; /* the leaf first */
    size_t num;
    ck_assert_int_eq(pem_certificates(&arena, der, &num, 4, bytes_of_text(pem), NULL), STATUS_OK);
    return der[0];
}

static void add_proxy(enum dialect dialect) {
    uint8_t sha256[32];
    char hex[65], body[256];
    certificate_sha256_of(sha256, dialect_names[dialect]);
    hex_encode(hex, bytes_of(sha256, sizeof sha256));
    (void)snprintf(body, sizeof body,
                   "{\"name\":\"%s\",\"dialect\":\"%s\",\"certificate_sha256\":\"%s\"}",
                   dialect_names[dialect], dialect_names[dialect], hex);
    expect_admin(&g, "admin", "POST", "/v1/proxies", body, 201, NULL);
}

static void start(void) {
    char baseline[33];
    gateway_start(&g);
    arena_init(&arena, 16 << 20);
    expect_admin(&g, "author", "POST", "/v1/models",
                 "{\"name\":\"acme-edge9\",\"segments\":{\"measured\":\"factory\"}}", 201, NULL);
    device_init(&device, "acme-edge9");
    gateway_add_baseline(&g, &device, baseline);
    device_join(&g, &device);
    struct reply reply = device_prove(&g, &device);
    expect_status(reply, 201);
    const json_t *issued = json_object_get(reply.json, "credential");
    (void)snprintf(serial, sizeof serial, "%s",
                   json_string_value(json_object_get(issued, "serial")));
    credential = der_of(json_string_value(json_object_get(issued, "certificate")));
    reply_free(&reply);
    for (enum dialect dialect = DIALECT_NGINX; dialect < NUM_DIALECTS; dialect++) {
        add_proxy(dialect);
    }
}

static void stop(void) {
    arena_free(&arena);
    device_cleanup(&device);
    gateway_stop(&g);
}

/* --- asking --- */

struct question {
    const struct caller *caller; /* NULL: the proxy of the dialect */
    enum dialect dialect;
    const char *method, *target; /* NULL: GET, /v1/authorize */
    const char *const *headers;
    const char *body;
};

static struct reply ask(const struct question *q) {
    struct caller proxy = caller_certificate(dialect_names[q->dialect]);
    return call(&g, &(struct call){.plane = PLANE_PROXY,
                                   .caller = q->caller == NULL ? &proxy : q->caller,
                                   .method = q->method == NULL ? "GET" : q->method,
                                   .target = q->target == NULL ? "/v1/authorize" : q->target,
                                   .headers = q->headers,
                                   .content_type = q->body == NULL ? NULL : "text/anything",
                                   .body = q->body});
}

/* With this certificate in the dialect's own form. */
static struct reply present(enum dialect dialect, struct bytes der) {
    const char *headers[DIALECT_HEADERS];
    (void)dialect_headers(&arena, headers, dialect, der);
    return ask(&(struct question){.dialect = dialect, .headers = headers});
}

/* Refused with this code, and as every refusal is. */
static void check_denied(struct reply *reply, unsigned status, const char *code,
                         const char *reason) {
    expect_status(*reply, status);
    ck_assert_str_eq(reply_text(reply, "code"), code);
    ck_assert_str_eq(reply_text(reply, "reason"), reason == NULL ? "" : reason);
    ck_assert_str_eq(reply_header(reply, "X-Gatehouse-Reason"), reason == NULL ? code : reason);
    ck_assert_str_eq(reply_header(reply, "Cache-Control"), "no-store");
    ck_assert_str_eq(reply_header(reply, "X-Device-Id"), "");
    ck_assert_int_eq(reply_header(reply, "WWW-Authenticate")[0] != '\0', status == 401);
    ck_assert_uint_lt(reply->len, 512);
    reply_free(reply);
}

static void check_allowed(struct reply *reply) {
    expect_status(*reply, 200);
    ck_assert_str_eq(reply_header(reply, "X-Device-Id"), device.id);
    reply_free(reply);
}

static void revoke_credential(void) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/credentials/%s/revoke", serial);
    expect_admin(&g, "operator", "POST", target, "{\"reason\":\"lost\"}", 200, NULL);
}

/* --- certificates of our own making, by the authorities of the fixture --- */

static struct bytes read_pem(const char *name) {
    char path[128];
    uint8_t *text;
    size_t len;
    (void)snprintf(path, sizeof path, "%s/%s", g.folder, name);
    ck_assert_int_eq(file_read(&text, &len, path, 65536, NULL), STATUS_OK);
    const char *copy = arena_text_n(&arena, (const char *)text, len);
    free(text);
    return bytes_of_text(copy);
}

/* By "access" or "identity", of a device that may not be known. */
static struct bytes issue(const char *authority, enum profile profile, int64_t not_before,
                          int64_t not_after) {
    struct private_key *ca, *key;
    struct public_key public_key;
    char file[64], san[X509_SAN_URI_MAX];
    uint8_t spki[KEY_SPKI_MAX], der[CERTIFICATE_DER_MAX];
    struct writer spki_out = writer_of(spki, sizeof spki), out = writer_of(der, sizeof der);
    struct detail detail = {0};
    (void)snprintf(file, sizeof file, "%s.key", authority);
    ck_assert_int_eq(private_key_from_pem(&ca, read_pem(file), &detail), STATUS_OK);
    (void)snprintf(file, sizeof file, "%s.pem", authority);
    ck_assert_int_eq(private_key_generate(&key, KEY_EC_P256), STATUS_OK);
    private_key_public(key, &public_key);
    ck_assert_int_eq(public_key_to_spki(&spki_out, &public_key), STATUS_OK);
    ck_assert_int_eq(profile_san_uri(san, profile, "gatehouse.test", device.id, &detail),
                     STATUS_OK);
    struct certificate_request request = {.profile = profile,
                                          .spki = writer_bytes(&spki_out),
                                          .common_name = device.id,
                                          .san_uri = san,
                                          .tier = profile == PROFILE_ACCESS ? "measured" : NULL,
                                          .not_before = not_before,
                                          .not_after = not_after,
                                          .serial = {1, 2, 3}};
    const struct issuer issuer = {ca, der_of((const char *)read_pem(file).data)};
    ck_assert_msg(profile_issue(&out, &issuer, &request, &detail) == STATUS_OK, "%s", detail.text);
    private_key_free(ca);
    private_key_free(key);
    return arena_bytes(&arena, writer_bytes(&out));
}

/* --- what is allowed --- */

START_TEST(every_dialect_lets_a_device_in) {
    struct reply reply = present((enum dialect)_i, credential);
    check_allowed(&reply);
}
END_TEST

START_TEST(every_documented_header_is_on_an_answer_that_allows) {
    struct reply reply = present(DIALECT_NGINX, credential);
    int64_t lease;
    expect_status(reply, 200);
    ck_assert_str_eq(reply_header(&reply, "X-Device-Id"), device.id);
    ck_assert_str_eq(reply_header(&reply, "X-Device-Model"), "acme-edge9");
    ck_assert_str_eq(reply_header(&reply, "X-Device-Tier"), "measured");
    ck_assert_str_eq(reply_header(&reply, "X-Device-Segment"), "factory");
    ck_assert_str_eq(reply_header(&reply, "X-Device-Key-Protection"), "unproven");
    ck_assert_int_eq(rfc3339_parse(&lease, reply_header(&reply, "X-Device-Lease")), STATUS_OK);
    ck_assert_int_gt(lease, clock_unix());
    ck_assert_str_eq(reply_header(&reply, "Cache-Control"), "private, max-age=5");
    ck_assert_str_eq(reply_header(&reply, "Vary"), "X-SSL-Client-Cert, X-SSL-Client-Verify");
    ck_assert_uint_eq(reply.len, 0);
    reply_free(&reply);
}
END_TEST

START_TEST(a_device_without_a_segment_still_has_the_header) {
    expect_admin(&g, "author", "PUT", "/v1/models/acme-edge9", "{\"segments\":{}}", 200, NULL);
    struct reply reply = present(DIALECT_CADDY, credential);
    ck_assert_str_eq(reply_header(&reply, "X-Device-Segment"), "-");
    check_allowed(&reply);
}
END_TEST

static const char *const methods[] = {"GET",    "HEAD",    "POST",     "PUT",     "PATCH",
                                      "DELETE", "OPTIONS", "PROPFIND", "CONNECT", "X-OWN"};

START_TEST(any_method_may_ask) {
    const char *headers[DIALECT_HEADERS];
    (void)dialect_headers(&arena, headers, DIALECT_TRAEFIK, credential);
    struct reply reply = ask(
        &(struct question){.dialect = DIALECT_TRAEFIK, .method = methods[_i], .headers = headers});
    check_allowed(&reply);
}
END_TEST

START_TEST(a_body_of_any_kind_is_not_looked_at) {
    const char *headers[DIALECT_HEADERS];
    (void)dialect_headers(&arena, headers, DIALECT_RFC9440, credential);
    struct reply reply = ask(&(struct question){
        .dialect = DIALECT_RFC9440, .method = "POST", .headers = headers, .body = "{\"x\":"});
    check_allowed(&reply);
}
END_TEST

static const char *const suffixes[] = {
    "/v1/authorize?x=1&x=2&policy=nobody", "/v1/authorize/-",           "/v1/authorize/-/",
    "/v1/authorize/-/../../v1/models",     "/v1/authorize/-//..%2f%00", "/v1/authorize/-/%zz?%",
    "/v1/authorize/-/a/b/c;d=e?policy=x"};

START_TEST(what_follows_the_policy_is_not_looked_at) {
    const char *headers[DIALECT_HEADERS];
    (void)dialect_headers(&arena, headers, DIALECT_NGINX, credential);
    struct reply reply = ask(
        &(struct question){.dialect = DIALECT_NGINX, .target = suffixes[_i], .headers = headers});
    check_allowed(&reply);
}
END_TEST

START_TEST(the_unix_socket_speaks_the_dialect_of_the_configuration) {
    const char *headers[DIALECT_HEADERS];
    struct caller local = caller_local();
    (void)dialect_headers(&arena, headers, DIALECT_RFC9440, credential);
    const struct question q = {
        .caller = &local, .dialect = DIALECT_RFC9440, .method = "HEAD", .headers = headers};
    struct reply reply = ask(&q);
    check_denied(&reply, 403, "no_dialect", NULL);
    g.config.plane[PLANE_PROXY].unix_dialect = DIALECT_RFC9440;
    reply = ask(&q);
    check_allowed(&reply);
}
END_TEST

START_TEST(it_needs_no_store) {
    gateway_break_store(&g, true);
    struct reply reply = present(DIALECT_NGINX, credential);
    gateway_break_store(&g, false);
    check_allowed(&reply);
}
END_TEST

/* --- headers --- */

START_TEST(no_certificate_is_401) {
    struct reply reply = ask(&(struct question){.dialect = (enum dialect)_i});
    check_denied(&reply, 401, "certificate_required", NULL);
}
END_TEST

/* What proxies send for a client without a certificate. */
static const struct {
    enum dialect dialect;
    const char *header;
} absent[] = {{DIALECT_NGINX, "X-SSL-Client-Verify: NONE"},
              {DIALECT_NGINX, "X-SSL-Client-Cert: "},
              {DIALECT_CADDY, "X-Client-Cert: "},
              {DIALECT_RFC9440, "Client-Cert: ::"},
              {DIALECT_ENVOY_XFCC, "X-Forwarded-Client-Cert: "},
              {DIALECT_TRAEFIK, "X-Forwarded-Tls-Client-Cert: "},
              {DIALECT_FINGERPRINT, "X-Client-Cert-Sha256: "}};

START_TEST(a_header_that_says_there_is_none_is_401) {
    const char *const headers[] = {absent[_i].header, NULL};
    struct reply reply = ask(&(struct question){.dialect = absent[_i].dialect, .headers = headers});
    check_denied(&reply, 401, "certificate_required", NULL);
}
END_TEST

/* Each dialect's proxy, with what all the others would send, and without its own. */
START_TEST(the_headers_of_other_dialects_are_not_looked_at) {
    const char *headers[DIALECT_HEADERS * NUM_DIALECTS] = {NULL};
    size_t num = 0;
    for (enum dialect other = DIALECT_NGINX; other < NUM_DIALECTS; other++) {
        if (other != (enum dialect)_i) {
            num += dialect_headers(&arena, headers + num, other, credential);
        }
    }
    struct reply reply = ask(&(struct question){.dialect = (enum dialect)_i, .headers = headers});
    check_denied(&reply, 401, "certificate_required", NULL);
    /* And beside its own they change nothing. */
    (void)dialect_headers(&arena, headers + num, (enum dialect)_i, credential);
    reply = ask(&(struct question){.dialect = (enum dialect)_i, .headers = headers});
    check_allowed(&reply);
    revoke_credential();
    (void)dialect_headers(&arena, headers + num, (enum dialect)_i, credential);
    reply = ask(&(struct question){.dialect = (enum dialect)_i, .headers = headers});
    check_denied(&reply, 403, "denied", "credential_revoked");
}
END_TEST

START_TEST(a_name_with_underscores_is_another_name) {
    const char *headers[DIALECT_HEADERS];
    (void)dialect_headers(&arena, headers, (enum dialect)_i, credential);
    for (size_t i = 0; headers[i] != NULL; i++) {
        char *copy = arena_text(&arena, headers[i]);
        for (char *at = copy; *at != ':'; at++) {
            *at = *at == '-' ? '_' : *at;
        }
        headers[i] = copy;
    }
    struct reply reply = ask(&(struct question){.dialect = (enum dialect)_i, .headers = headers});
    check_denied(&reply, 401, "certificate_required", NULL);
}
END_TEST

START_TEST(a_header_that_stands_twice_is_refused) {
    const char *headers[DIALECT_HEADERS];
    size_t num = dialect_headers(&arena, headers, (enum dialect)_i, credential);
    headers[num] = headers[0];
    headers[num + 1] = NULL;
    ck_assert_uint_lt(num + 1, DIALECT_HEADERS);
    struct reply reply = ask(&(struct question){.dialect = (enum dialect)_i, .headers = headers});
    check_denied(&reply, 403, "duplicate_certificate_header", NULL);
    if ((enum dialect)_i == DIALECT_NGINX) { /* the verdict as well */
        headers[num] = "x-ssl-client-verify: NONE";
        reply = ask(&(struct question){.dialect = (enum dialect)_i, .headers = headers});
        check_denied(&reply, 403, "duplicate_certificate_header", NULL);
    }
}
END_TEST

static const char *const verdicts[] = {
    "FAILED:certificate has expired", "FAILED", "NONE", "", "success", "SUCCESS ", "SUCCESSFUL"};

START_TEST(what_nginx_did_not_verify_is_refused) {
    const char *headers[DIALECT_HEADERS];
    (void)dialect_headers(&arena, headers, DIALECT_NGINX, credential);
    headers[1] = arena_printf(&arena, "X-SSL-Client-Verify: %s", verdicts[_i]);
    struct reply reply = ask(&(struct question){.dialect = DIALECT_NGINX, .headers = headers});
    check_denied(&reply, 403, "certificate_not_verified", NULL);
    headers[1] = NULL;
    reply = ask(&(struct question){.dialect = DIALECT_NGINX, .headers = headers});
    check_denied(&reply, 403, "certificate_not_verified", NULL);
}
END_TEST

START_TEST(a_verdict_without_a_certificate_is_refused) {
    const char *const headers[] = {"X-SSL-Client-Verify: SUCCESS", NULL};
    struct reply reply = ask(&(struct question){.dialect = DIALECT_NGINX, .headers = headers});
    check_denied(&reply, 403, "certificate_header_invalid", NULL);
}
END_TEST

START_TEST(the_form_of_another_dialect_is_refused) {
    const char *own[DIALECT_HEADERS];
    for (enum dialect other = DIALECT_NGINX; other < NUM_DIALECTS; other++) {
        (void)dialect_headers(&arena, own, (enum dialect)_i, credential);
        const char *colon = strchr(own[0], ':');
        const char *value = dialect_value(&arena, other, credential);
        own[0] = arena_printf(&arena, "%.*s: %s", (int)(colon - own[0]), own[0], value);
        struct reply reply = ask(&(struct question){.dialect = (enum dialect)_i, .headers = own});
        bool same = other == (enum dialect)_i ||
                    /* Traefik's is Caddy's where there is no chain. */
                    (other == DIALECT_CADDY && (enum dialect)_i == DIALECT_TRAEFIK);
        /* A digest happens to be base64 as well. */
        bool base64 = other == DIALECT_FINGERPRINT &&
                      ((enum dialect)_i == DIALECT_TRAEFIK || (enum dialect)_i == DIALECT_CADDY);
        if (same) {
            check_allowed(&reply);
        } else {
            check_denied(&reply, 403, base64 ? "not_a_credential" : "certificate_header_invalid",
                         NULL);
        }
    }
}
END_TEST

/* --- certificates --- */

START_TEST(a_certificate_of_the_identity_authority_is_no_credential) {
    int64_t now = clock_unix();
    struct bytes der = issue("identity", PROFILE_IDENTITY, now - 60, now + 86400);
    struct reply reply = present((enum dialect)_i, der);
    if ((enum dialect)_i ==
        DIALECT_FINGERPRINT) { /* a digest that nobody was given a credential for */
        check_denied(&reply, 403, "denied", "unknown_credential");
    } else {
        check_denied(&reply, 403, "not_a_credential", NULL);
    }
    /* Nor does it become one with the name of a credential, or by the right authority with another's. */
    reply = present(DIALECT_NGINX, issue("identity", PROFILE_ACCESS, now - 60, now + 3600));
    check_denied(&reply, 403, "not_a_credential", NULL);
    reply = present(DIALECT_NGINX, issue("access", PROFILE_IDENTITY, now - 60, now + 86400));
    check_denied(&reply, 403, "not_a_credential", NULL);
}
END_TEST

START_TEST(an_authority_is_no_credential) {
    struct reply reply = present(DIALECT_NGINX, der_of((const char *)read_pem("access.pem").data));
    check_denied(&reply, 403, "not_a_credential", NULL);
}
END_TEST

START_TEST(a_credential_that_was_never_recorded_is_denied) {
    int64_t now = clock_unix();
    struct bytes der = issue("access", PROFILE_ACCESS, now - 60, now + 3600);
    for (int i = 0; i < 2; i++) { /* also once it was verified */
        struct reply reply = present(DIALECT_NGINX, der);
        check_denied(&reply, 403, "denied", "unknown_credential");
    }
}
END_TEST

static struct reply present_recorded(int64_t not_before, int64_t not_after, struct bytes *der) {
    *der = issue("access", PROFILE_ACCESS, not_before, not_after);
    struct credential_row row = {.not_before = not_before, .not_after = not_after, .tier = 3};
    digest_compute(HASH_SHA256, *der, row.sha256);
    (void)snprintf(row.serial, sizeof row.serial, "%s", "0102030000000000000000000000ffff");
    (void)snprintf(row.device_id, sizeof row.device_id, "%s", device.id);
    ck_assert_int_eq(fleet_put_credential(g.table, &row), STATUS_OK);
    return present(DIALECT_ENVOY_XFCC, *der);
}

START_TEST(a_credential_that_ended_a_second_ago_is_denied) {
    struct bytes der;
    int64_t now = clock_unix();
    struct reply reply = present_recorded(now - 3600, now - 1, &der);
    check_denied(&reply, 403, "denied", "lease_expired");
    reply = present(DIALECT_FINGERPRINT, der);
    check_denied(&reply, 403, "denied", "lease_expired");
}
END_TEST

/* It was verified, and is remembered. */
START_TEST(a_credential_that_ends_meanwhile_is_denied) {
    struct bytes der;
    int64_t now = clock_unix();
    struct reply reply = present_recorded(now - 3600, now + 2, &der);
    for (int i = 0; i < 1000 && reply.status == 200; i++) {
        const char *age = strstr(reply_header(&reply, "Cache-Control"), "max-age=");
        ck_assert_ptr_nonnull(age);
        ck_assert_int_le(strtol(age + 8, NULL, 10), 2);
        reply_free(&reply);
        (void)usleep(5000);
        reply = present(DIALECT_ENVOY_XFCC, der);
    }
    check_denied(&reply, 403, "denied", "lease_expired");
    ck_assert_int_ge(clock_unix(), now + 2);
}
END_TEST

START_TEST(a_credential_whose_time_has_not_come_is_denied) {
    struct bytes der;
    int64_t now = clock_unix();
    struct reply reply = present_recorded(now + 600, now + 3600, &der);
    check_denied(&reply, 403, "denied", "not_yet_valid");
    reply = present(DIALECT_FINGERPRINT, der);
    check_denied(&reply, 403, "denied", "not_yet_valid");
}
END_TEST

START_TEST(a_revocation_a_moment_ago_denies) {
    struct reply reply = present((enum dialect)_i, credential);
    check_allowed(&reply);
    revoke_credential();
    reply = present((enum dialect)_i, credential);
    check_denied(&reply, 403, "denied", "credential_revoked");
}
END_TEST

START_TEST(a_quarantined_device_is_denied) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/devices/%s/quarantine", device.id);
    expect_admin(&g, "operator", "POST", target, "{\"reason\":\"x\"}", 200, NULL);
    struct reply reply = present(DIALECT_NGINX, credential);
    check_denied(&reply, 403, "denied", "quarantined");
}
END_TEST

/* --- who asks --- */

START_TEST(a_proxy_without_a_dialect_is_refused) {
    const char *headers[DIALECT_HEADERS];
    struct caller edge = caller_proxy();
    (void)dialect_headers(&arena, headers, DIALECT_NGINX, credential);
    struct reply reply = ask(&(struct question){.caller = &edge, .headers = headers});
    check_denied(&reply, 403, "no_dialect", NULL);
    expect_admin(&g, "admin", "PUT", "/v1/proxies/edge", "{\"dialect\":\"nginx\"}", 200, NULL);
    reply = ask(&(struct question){.caller = &edge, .headers = headers});
    check_allowed(&reply);
    expect_admin(&g, "admin", "PUT", "/v1/proxies/edge", "{\"disabled\":true}", 200, NULL);
    reply = ask(&(struct question){.caller = &edge, .headers = headers});
    expect_status(reply, 403);
    ck_assert_str_eq(reply_text(&reply, "code"), "forbidden");
    reply_free(&reply);
}
END_TEST

/* Refused so often that anything else would be 429 by now. */
START_TEST(a_stranger_is_refused_with_403_however_often_it_asks) {
    const char *headers[DIALECT_HEADERS];
    struct caller stranger = caller_certificate("stranger");
    unsigned locked_out = 0;
    g.pace_us = 1000;
    (void)dialect_headers(&arena, headers, DIALECT_NGINX, credential);
    for (int i = 0; i < 20; i++) {
        struct reply reply = ask(&(struct question){.caller = &stranger, .headers = headers});
        expect_status(reply, 403);
        locked_out += strcmp(reply_text(&reply, "code"), "rate_limited") == 0;
        ck_assert_str_eq(reply_header(&reply, "Retry-After"), "");
        reply_free(&reply);
    }
    ck_assert_uint_eq(locked_out, 10);
}
END_TEST

/* What the transport refuses: the same answers, where it knows what was asked. */
START_TEST(a_refusal_of_the_transport_is_403_here) {
    const struct http_service *service = api_service(g.api, PLANE_PROXY);
    static const char *const codes[] = {"body_too_large", "internal",          "bad_request",
                                        "overloaded",     "headers_too_large", "internal"};
    struct caller proxy = caller_proxy();
    struct http_exchange x = {.path = "/v1/authorize/-/x", .peer = &proxy.peer, .arena = &arena};
    service->refuse(service->context, &x, (enum http_refusal)_i);
    ck_assert_uint_eq(x.status, 403);
    ck_assert_str_eq(x.header[0].name, "X-Gatehouse-Reason");
    ck_assert_str_eq(x.header[0].value, codes[_i]);
    x = (struct http_exchange){.path = "/v1/authorized", .peer = &proxy.peer, .arena = &arena};
    service->refuse(service->context, &x, (enum http_refusal)_i);
    ck_assert_uint_ne(x.status, 403);
}
END_TEST

START_TEST(an_answer_without_memory_is_403) {
    struct arena full;
    struct caller proxy = caller_certificate("nginx");
    const struct http_service *service = api_service(g.api, PLANE_PROXY);
    arena_init(&full, 0);
    struct http_exchange x = {.path = "/v1/authorize",
                              .query = "",
                              .peer = &proxy.peer,
                              .worker = g.worker[PLANE_PROXY],
                              .arena = &full};
    service->admit(service->context, &x);
    ck_assert_uint_eq(x.status, 403);
    ck_assert_ptr_nonnull(memmem(x.answer.data, x.answer.len, "\"internal\"", 10));
    arena_free(&full);
}
END_TEST

static const char *const elsewhere[] = {"/v1/authorized", "/v1/authorize%2f-", "//v1/authorize",
                                        "/V1/authorize", "/v1/../v1/authorize"};

START_TEST(what_only_looks_like_it_is_not_found) {
    struct caller proxy = caller_certificate("nginx");
    expect(&g,
           &(struct call){
               .plane = PLANE_PROXY, .caller = &proxy, .method = "GET", .target = elsewhere[_i]},
           404, "not_found");
}
END_TEST

START_TEST(answers_are_counted) {
    struct reply reply = present(DIALECT_NGINX, credential);
    check_allowed(&reply);
    reply = ask(&(struct question){.dialect = DIALECT_NGINX});
    reply_free(&reply);
    static const char *const bad[] = {"X-Client-Cert: !", NULL};
    reply = ask(&(struct question){.dialect = DIALECT_CADDY, .headers = bad});
    reply_free(&reply);
    revoke_credential();
    reply = present(DIALECT_NGINX, credential);
    reply_free(&reply);
    reply = admin(&g, "viewer", "GET", "/metrics", NULL);
    static const char *const lines[] = {"gatehouse_authorize_total{outcome=\"allowed\"} 1\n",
                                        "gatehouse_authorize_total{outcome=\"no_certificate\"} 1\n",
                                        "gatehouse_authorize_total{outcome=\"denied\"} 1\n",
                                        "gatehouse_authorize_total{outcome=\"refused\"} 1\n",
                                        "gatehouse_dialect_refusals_total{dialect=\"caddy\"} 1\n",
                                        "gatehouse_dialect_refusals_total{dialect=\"nginx\"} 0\n"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        ck_assert_msg(strstr(reply.text, lines[i]) != NULL, "%s", lines[i]);
    }
    reply_free(&reply);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static Suite *suite(void) {
    Suite *s = suite_create("api_authorize");
    TCase *t = tcase_create("authorize");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, every_dialect_lets_a_device_in, DIALECT_NGINX, NUM_DIALECTS);
    tcase_add_test(t, every_documented_header_is_on_an_answer_that_allows);
    tcase_add_test(t, a_device_without_a_segment_still_has_the_header);
    tcase_add_loop_test(t, any_method_may_ask, 0, COUNT(methods));
    tcase_add_test(t, a_body_of_any_kind_is_not_looked_at);
    tcase_add_loop_test(t, what_follows_the_policy_is_not_looked_at, 0, COUNT(suffixes));
    tcase_add_test(t, the_unix_socket_speaks_the_dialect_of_the_configuration);
    tcase_add_test(t, it_needs_no_store);
    tcase_add_loop_test(t, no_certificate_is_401, DIALECT_NGINX, NUM_DIALECTS);
    tcase_add_loop_test(t, a_header_that_says_there_is_none_is_401, 0, COUNT(absent));
    tcase_add_loop_test(t, the_headers_of_other_dialects_are_not_looked_at, DIALECT_NGINX,
                        NUM_DIALECTS);
    tcase_add_loop_test(t, a_name_with_underscores_is_another_name, DIALECT_NGINX, NUM_DIALECTS);
    tcase_add_loop_test(t, a_header_that_stands_twice_is_refused, DIALECT_NGINX, NUM_DIALECTS);
    tcase_add_loop_test(t, what_nginx_did_not_verify_is_refused, 0, COUNT(verdicts));
    tcase_add_test(t, a_verdict_without_a_certificate_is_refused);
    tcase_add_loop_test(t, the_form_of_another_dialect_is_refused, DIALECT_NGINX, NUM_DIALECTS);
    tcase_add_loop_test(t, a_certificate_of_the_identity_authority_is_no_credential, DIALECT_NGINX,
                        NUM_DIALECTS);
    tcase_add_test(t, an_authority_is_no_credential);
    tcase_add_test(t, a_credential_that_was_never_recorded_is_denied);
    tcase_add_test(t, a_credential_that_ended_a_second_ago_is_denied);
    tcase_add_test(t, a_credential_that_ends_meanwhile_is_denied);
    tcase_add_test(t, a_credential_whose_time_has_not_come_is_denied);
    tcase_add_loop_test(t, a_revocation_a_moment_ago_denies, DIALECT_NGINX, NUM_DIALECTS);
    tcase_add_test(t, a_quarantined_device_is_denied);
    tcase_add_test(t, a_proxy_without_a_dialect_is_refused);
    tcase_add_test(t, a_stranger_is_refused_with_403_however_often_it_asks);
    tcase_add_loop_test(t, a_refusal_of_the_transport_is_403_here, 0, 6);
    tcase_add_test(t, an_answer_without_memory_is_403);
    tcase_add_loop_test(t, what_only_looks_like_it_is_not_found, 0, COUNT(elsewhere));
    tcase_add_test(t, answers_are_counted);
    suite_add_tcase(s, t);
    return s;
}

int main(void) {
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
