/* Signed statements: what the signer makes, held against OpenSSL; and what it refuses to sign. */
#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/credential/jwk.h"
#include "server/credential/signer.h"
#include "server/credential/signer_exchange.h"
#include "server/crypto/der.h"
#include "tests/unit/lab.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char issuer[] = "https://gatehouse.test";

static void make_keys(void) {
    lab_open();
    lab_run(
        "ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "
        "$1.key "
        "-out $1.pem -subj /CN=$1 -days 3650 -addext keyUsage=critical,keyCertSign,cRLSign; }; "
        "ec() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:$2 -out $1.key; }; "
        "rsa() { openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:$2 -out $1.key; }; "
        "ca identity; ca access; ec first P-256; ec second P-256; ec p384 P-384; "
        "rsa events 2048; rsa later 3072; rsa short 1024; "
        "for k in first second events later; do openssl pkey -in $k.key -pubout -out $k.pub; done; "
        "for i in 1 2 3 4 5 6 7 8 9; do ec many$i P-256; done; "
        "chmod 600 *.key; cp first.key open.key; chmod 644 open.key; echo nonsense >none.key; "
        "chmod 600 none.key");
}

/* Paths outlive the slots of lab_path. */
static const char *keep(const char *name) {
    static char paths[64][512];
    static unsigned next;
    char *path = paths[next++ % 64];
    (void)snprintf(path, sizeof paths[0], "%s", lab_path(name));
    return path;
}

enum { NAMES_MAX = 10 };
struct named {
    const char *file[NAMES_MAX];
    size_t num;
};

/* "first second" */
static struct named names_of(const char *names) {
    struct named out = {.num = 0};
    char copy[256], *rest = copy;
    (void)snprintf(copy, sizeof copy, "%s", names);
    for (char *word = strtok_r(rest, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        char file[64];
        (void)snprintf(file, sizeof file, "%s.key", word);
        out.file[out.num++] = keep(file);
    }
    return out;
}

static enum status try_start(struct signer **out, const char *results, const char *events,
                             const char *by, struct detail *detail) {
    struct named of_results = names_of(results), of_events = names_of(events);
    const struct signer_options options = {
        .trust_domain = "gatehouse.test",
        .identity_key_file = keep("identity.key"),
        .identity_certificate_file = keep("identity.pem"),
        .access_key_file = keep("access.key"),
        .access_certificate_file = keep("access.pem"),
        .jws = {.issuer = by,
                .keys = {[JWS_RESULTS] = {of_results.file, of_results.num},
                         [JWS_EVENTS] = {of_events.file, of_events.num}}}};
    return signer_start(out, &options, detail);
}

static struct signer *start(const char *results, const char *events) {
    struct signer *signer;
    struct detail detail = {0};
    enum status status = try_start(&signer, results, events, issuer, &detail);
    ck_assert_msg(status == STATUS_OK, "%s", detail.text);
    return signer;
}

/* --- tokens --- */

static char *now_text(const char *format) {
    /* $N is now, $+N and $-N so many seconds from it; $I the issuer. */
    static char out[4][4096];
    static unsigned turn;
    char *to = out[turn++ % 4];
    size_t len = 0;
    for (const char *at = format; *at != '\0';) {
        if (*at == '@') {
            char *end;
            long long by = strtoll(at + 1, &end, 10);
            len += (size_t)sprintf(to + len, "%lld", (long long)clock_unix() + by);
            at = end;
        } else if (*at == '#') {
            len += (size_t)sprintf(to + len, "%s", issuer);
            at++;
        } else {
            to[len++] = *at++;
        }
    }
    to[len] = '\0';
    return to;
}

static const char good_result[] =
    "{\"iss\":\"#\",\"iat\":@0,\"exp\":@300,\"eat_profile\":\"tag:x\",\"submods\":{}}";
static const char good_event[] = "{\"iss\":\"#\",\"iat\":@0,\"jti\":\"1\",\"aud\":[\"a\"],"
                                 "\"events\":{\"urn:x\":{\"a\":[1,2.5e3,null]}}}";

struct token {
    struct jws_job job;
    char text[32 << 10];
};

static void token_of(struct token *out, enum jws_purpose purpose, struct bytes payload) {
    memset(out, 0, sizeof *out);
    out->job.purpose = purpose;
    out->job.payload = payload;
    out->job.token = writer_of(out->text, jws_token_max(payload.len));
    ck_assert_uint_lt(jws_token_max(payload.len), sizeof out->text);
}

static enum status sign(struct signer *signer, struct token *token, enum jws_purpose purpose,
                        const char *payload) {
    struct detail detail = {0};
    struct jws_job *job = &token->job;
    token_of(token, purpose, bytes_of_text(payload));
    ck_assert_int_eq(signer_jws(signer, &job, 1, &detail), STATUS_OK);
    ck_assert_int_eq(job->status == STATUS_OK, detail.text[0] == '\0');
    return job->status;
}

/* Undoes base64url, into static storage of 8 turns. */
static struct bytes decoded(const char *text, size_t len) {
    static struct arena arena;
    static char copy[24 << 10];
    struct bytes out;
    if (arena.cap == 0) {
        arena_init(&arena, 16 << 20);
    }
    ck_assert(base64url_is_valid(bytes_of(text, len)));
    for (size_t i = 0; i < len; i++) {
        copy[i] = text[i];
        copy[i] = copy[i] == '-' ? '+' : copy[i] == '_' ? '/' : copy[i];
    }
    while (len % 4 != 0) {
        copy[len++] = '=';
    }
    ck_assert_int_eq(base64_decode_arena(&arena, &out, copy, len, NULL), STATUS_OK);
    return out;
}

/* Whether OpenSSL finds the token good under the key; header and payload are as expected. */
static bool openssl_finds_good(const struct token *token, const char *key, const char *header,
                               const char *payload) {
    const char *dot = strchr(token->text, '.'), *last = strrchr(token->text, '.');
    ck_assert(dot != NULL && last > dot && strchr(dot + 1, '.') == last);
    ck_assert_uint_eq(strlen(token->text), token->job.token.len);
    struct bytes head = decoded(token->text, (size_t)(dot - token->text));
    struct bytes claims = decoded(dot + 1, (size_t)(last - dot - 1));
    struct bytes signature = decoded(last + 1, strlen(last + 1));
    uint8_t der[128];
    if (header != NULL) {
        ck_assert_msg(bytes_equal(head, bytes_of_text(header)), "%.*s", (int)head.len,
                      (const char *)head.data);
    }
    ck_assert(bytes_equal(claims, bytes_of_text(payload)));
    lab_write("input", bytes_of(token->text, (size_t)(last - token->text)));
    if (token->job.purpose == JWS_RESULTS) {
        struct writer w = writer_of(der, sizeof der);
        struct bytes r, s = signature;
        ck_assert_uint_eq(signature.len, 64);
        ck_assert_int_eq(bytes_take(&s, 32, &r), STATUS_OK);
        size_t mark = der_open(&w, DER_SEQUENCE);
        der_write_unsigned(&w, r);
        der_write_unsigned(&w, s);
        der_close(&w, mark);
        lab_write("signature", writer_bytes(&w));
    } else {
        lab_write("signature", signature);
    }
    return lab_try("openssl dgst -sha256 -verify %s.pub -signature signature input", key);
}

static const char *kid_of(struct signer *signer, enum jws_purpose purpose, size_t i) {
    static struct jws_keys keys;
    struct detail detail = {0};
    ck_assert_int_eq(signer_jws_keys(signer, &keys, &detail), STATUS_OK);
    ck_assert_uint_lt(i, keys.num[purpose]);
    return keys.key[purpose][i].kid;
}

static struct token token;

START_TEST(a_result_is_signed_with_es256_under_the_first_key) {
    struct signer *signer = start("first second", "events");
    char header[256], *payload = now_text(good_result);
    ck_assert_int_eq(sign(signer, &token, JWS_RESULTS, payload), STATUS_OK);
    (void)snprintf(header, sizeof header, "{\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":\"eat+jwt\"}",
                   kid_of(signer, JWS_RESULTS, 0));
    ck_assert(openssl_finds_good(&token, "first", header, payload));
    ck_assert(!openssl_finds_good(&token, "second", header, payload));
    signer_free(signer);
}
END_TEST

START_TEST(an_event_is_signed_with_rs256_under_the_first_key) {
    struct signer *signer = start("first", "events later");
    char header[256], *payload = now_text(good_event);
    ck_assert_int_eq(sign(signer, &token, JWS_EVENTS, payload), STATUS_OK);
    (void)snprintf(header, sizeof header,
                   "{\"alg\":\"RS256\",\"kid\":\"%s\",\"typ\":\"secevent+jwt\"}",
                   kid_of(signer, JWS_EVENTS, 0));
    ck_assert(openssl_finds_good(&token, "events", header, payload));
    ck_assert(!openssl_finds_good(&token, "later", header, payload));
    signer_free(signer);
}
END_TEST

START_TEST(a_key_of_3072_bits_signs_events) {
    struct signer *signer = start("", "later");
    char *payload = now_text(good_event);
    ck_assert_int_eq(sign(signer, &token, JWS_EVENTS, payload), STATUS_OK);
    ck_assert(openssl_finds_good(&token, "later", NULL, payload));
    signer_free(signer);
}
END_TEST

/* The next key is published before it signs, and the old one as long as its tokens are good. */
START_TEST(while_keys_roll_over_old_and_new_tokens_verify_by_what_is_published) {
    struct signer *signer = start("first second", "");
    char old_kid[JWS_KID_SIZE], new_kid[JWS_KID_SIZE], *payload = now_text(good_result);
    (void)snprintf(old_kid, sizeof old_kid, "%s", kid_of(signer, JWS_RESULTS, 0));
    (void)snprintf(new_kid, sizeof new_kid, "%s", kid_of(signer, JWS_RESULTS, 1));
    ck_assert_str_ne(old_kid, new_kid);
    ck_assert_int_eq(sign(signer, &token, JWS_RESULTS, payload), STATUS_OK);
    signer_free(signer);
    signer = start("second first", "");
    static struct token later;
    ck_assert_int_eq(sign(signer, &later, JWS_RESULTS, payload), STATUS_OK);
    ck_assert_str_eq(kid_of(signer, JWS_RESULTS, 0), new_kid);
    ck_assert_str_eq(kid_of(signer, JWS_RESULTS, 1), old_kid);
    ck_assert(openssl_finds_good(&token, "first", NULL, payload));
    ck_assert(openssl_finds_good(&later, "second", NULL, payload));
    signer_free(signer);
}
END_TEST

START_TEST(a_signature_is_64_bytes_however_small_its_numbers_are) {
    struct signer *signer = start("first", "");
    char *payload = now_text(good_result);
    for (int i = 0; i < 600; i++) { /* r or s begins with a zero byte in one of 128 */
        ck_assert_int_eq(sign(signer, &token, JWS_RESULTS, payload), STATUS_OK);
        ck_assert_uint_eq(strlen(strrchr(token.text, '.') + 1), base64url_encoded_len(64));
    }
    signer_free(signer);
}
END_TEST

START_TEST(a_batch_is_answered_in_order_each_token_by_itself) {
    enum { BATCH = 100 };
    static struct token tokens[BATCH];
    struct jws_job *jobs[BATCH];
    struct signer *signer = start("first", "events");
    char payload[BATCH][512];
    struct detail detail = {0};
    for (int i = 0; i < BATCH; i++) {
        enum jws_purpose purpose = i % 3 == 0 ? JWS_EVENTS : JWS_RESULTS;
        (void)snprintf(payload[i], sizeof payload[0], "%s",
                       now_text(purpose == JWS_EVENTS ? good_event : good_result));
        if (i == 40) {
            (void)snprintf(payload[i], sizeof payload[0], "{}");
        }
        token_of(&tokens[i], purpose, bytes_of_text(payload[i]));
        jobs[i] = &tokens[i].job;
    }
    ck_assert_int_eq(signer_jws(signer, jobs, BATCH, &detail), STATUS_OK);
    ck_assert_str_eq(detail.text, "token 40: iss is not ours");
    for (int i = 0; i < BATCH; i++) {
        ck_assert_int_eq(jobs[i]->status, i == 40 ? STATUS_INVALID : STATUS_OK);
        if (i % 10 == 0 && i != 40) {
            ck_assert(
                openssl_finds_good(&tokens[i], i % 3 == 0 ? "events" : "first", NULL, payload[i]));
        }
    }
    ck_assert_uint_eq(tokens[40].job.token.len, 0);
    signer_free(signer);
}
END_TEST

/* --- what is refused --- */

static const struct {
    const char *result;
    const char *why;
} bad_results[] = {
    {"", "compact JSON"},
    {"[]", "compact JSON"},
    {"\"text\"", "compact JSON"},
    {"{}", "iss"},
    {"{\"iss\":\"#\",\"iat\":@0,\"exp\":@300,\"eat_profile\":\"p\",\"submods\":{}} ",
     "compact JSON"},
    {"{\"iss\":\"#\",\"iat\":@0,\"exp\":@300,\"eat_profile\":\"p\",\"submods\":{}}{}",
     "compact JSON"},
    {"{\"iss\": \"#\",\"iat\":@0,\"exp\":@300,\"eat_profile\":\"p\",\"submods\":{}}",
     "compact JSON"},
    {"{\"iss\":\"#\",\"iat\":@0,\"exp\":@300,\"eat_profile\":\"p\",\"submods\":{}", "compact JSON"},
    {"{\"iss\":\"#\",\"iss\":\"#\",\"iat\":@0,\"exp\":@300,\"eat_profile\":\"p\",\"submods\":{}}",
     "compact JSON"},
    {"{\"iss\":\"#\",\"i\\u0073s\":\"x\",\"iat\":@0,\"exp\":@300,\"eat_profile\":\"p\",\"submods\":"
     "{}}",
     "compact JSON"},
    {"{\"iss\":\"#/\",\"iat\":@0,\"exp\":@300,\"eat_profile\":\"p\",\"submods\":{}}", "iss"},
    {"{\"iss\":\"https://"
     "other.test\",\"iat\":@0,\"exp\":@300,\"eat_profile\":\"p\",\"submods\":{}}",
     "iss"},
    {"{\"iss\":[\"#\"],\"iat\":@0,\"exp\":@300,\"eat_profile\":\"p\",\"submods\":{}}", "iss"},
    {"{\"iat\":@0,\"exp\":@300,\"eat_profile\":\"p\",\"submods\":{\"iss\":\"#\"}}", "iss"},
    {"{\"iss\":\"#\",\"exp\":@300,\"eat_profile\":\"p\",\"submods\":{}}", "iat"},
    {"{\"iss\":\"#\",\"iat\":@3600,\"exp\":@3700,\"eat_profile\":\"p\",\"submods\":{}}", "iat"},
    {"{\"iss\":\"#\",\"iat\":-5,\"exp\":200,\"eat_profile\":\"p\",\"submods\":{}}", "iat"},
    {"{\"iss\":\"#\",\"iat\":\"@0\",\"exp\":@300,\"eat_profile\":\"p\",\"submods\":{}}", "iat"},
    {"{\"iss\":\"#\",\"iat\":@0.5,\"exp\":@300,\"eat_profile\":\"p\",\"submods\":{}}", "iat"},
    {"{\"iss\":\"#\",\"iat\":@-3600,\"exp\":@-3400,\"eat_profile\":\"p\",\"submods\":{}}", "past"},
    {"{\"iss\":\"#\",\"iat\":@0,\"eat_profile\":\"p\",\"submods\":{}}", "300 s"},
    {"{\"iss\":\"#\",\"iat\":@0,\"exp\":@302,\"eat_profile\":\"p\",\"submods\":{}}", "300 s"},
    {"{\"iss\":\"#\",\"iat\":@0,\"exp\":@-1,\"eat_profile\":\"p\",\"submods\":{}}", "300 s"},
    {"{\"iss\":\"#\",\"iat\":@0,\"exp\":1e10,\"eat_profile\":\"p\",\"submods\":{}}", "300 s"},
    {"{\"iss\":\"#\",\"iat\":@0,\"exp\":null,\"eat_profile\":\"p\",\"submods\":{}}", "300 s"},
    {"{\"iss\":\"#\",\"iat\":@0,\"exp\":@300,\"submods\":{}}", "of a result"},
    {"{\"iss\":\"#\",\"iat\":@0,\"exp\":@300,\"eat_profile\":\"\",\"submods\":{}}", "of a result"},
    {"{\"iss\":\"#\",\"iat\":@0,\"exp\":@300,\"eat_profile\":\"p\"}", "of a result"},
    {"{\"iss\":\"#\",\"iat\":@0,\"exp\":@300,\"eat_profile\":\"p\",\"submods\":[]}", "of a result"},
    {"{\"iss\":\"#\",\"iat\":@0,\"exp\":@300,\"eat_profile\":\"p\",\"submods\":{},\"events\":{}}",
     "of a result"},
    {"{\"iss\":\"#\",\"iat\":@0,\"jti\":\"1\",\"events\":{}}", "300 s"}, /* an event's */
};

START_TEST(the_key_of_results_signs_nothing_but_results) {
    struct signer *signer = start("first", "events");
    struct detail detail = {0};
    struct jws_job *job = &token.job;
    token_of(&token, JWS_RESULTS, bytes_of_text(now_text(bad_results[_i].result)));
    ck_assert_int_eq(signer_jws(signer, &job, 1, &detail), STATUS_OK);
    ck_assert_int_eq(job->status, STATUS_INVALID);
    ck_assert_msg(strstr(detail.text, bad_results[_i].why) != NULL, "%s", detail.text);
    ck_assert_uint_eq(job->token.len, 0);
    ck_assert_int_eq(sign(signer, &token, JWS_RESULTS, now_text(good_result)), STATUS_OK);
    signer_free(signer);
}
END_TEST

static const struct {
    const char *event;
    const char *why;
} bad_events[] = {
    {"{\"iss\":\"https://other.test\",\"iat\":@0,\"jti\":\"1\",\"events\":{}}", "iss"},
    {"{\"iss\":\"#\",\"iat\":@600,\"jti\":\"1\",\"events\":{}}", "iat"},
    {"{\"iss\":\"#\",\"jti\":\"1\",\"events\":{}}", "iat"},
    {"{\"iss\":\"#\",\"iat\":@0,\"events\":{}}", "of an event"},
    {"{\"iss\":\"#\",\"iat\":@0,\"jti\":1,\"events\":{}}", "of an event"},
    {"{\"iss\":\"#\",\"iat\":@0,\"jti\":\"\",\"events\":{}}", "of an event"},
    {"{\"iss\":\"#\",\"iat\":@0,\"jti\":\"1\"}", "of an event"},
    {"{\"iss\":\"#\",\"iat\":@0,\"jti\":\"1\",\"events\":[]}", "of an event"},
    {"{\"iss\":\"#\",\"iat\":@0,\"jti\":\"1\",\"events\":{},\"exp\":@300}", "of an event"},
    {"{\"iss\":\"#\",\"iat\":@0,\"jti\":\"1\",\"events\":{},\"sub\":\"alice\"}", "of an event"},
    {"{\"iss\":\"#\",\"iat\":@0,\"jti\":\"1\",\"events\":{},\"eat_profile\":\"p\"}", "of an event"},
    {"{\"iss\":\"#\",\"iat\":@0,\"exp\":@300,\"eat_profile\":\"p\",\"submods\":{}}", "of an event"},
};

START_TEST(the_key_of_events_signs_nothing_but_events) {
    struct signer *signer = start("first", "events");
    struct detail detail = {0};
    struct jws_job *job = &token.job;
    token_of(&token, JWS_EVENTS, bytes_of_text(now_text(bad_events[_i].event)));
    ck_assert_int_eq(signer_jws(signer, &job, 1, &detail), STATUS_OK);
    ck_assert_int_eq(job->status, STATUS_INVALID);
    ck_assert_msg(strstr(detail.text, bad_events[_i].why) != NULL, "%s", detail.text);
    signer_free(signer);
}
END_TEST

START_TEST(without_a_key_for_it_nothing_is_signed) {
    struct signer *signer = start("", "events");
    static struct jws_keys keys;
    struct detail detail = {0};
    ck_assert_int_eq(sign(signer, &token, JWS_RESULTS, now_text(good_result)), STATUS_NOT_FOUND);
    ck_assert_int_eq(sign(signer, &token, JWS_EVENTS, now_text(good_event)), STATUS_OK);
    ck_assert_int_eq(signer_jws_keys(signer, &keys, &detail), STATUS_OK);
    ck_assert_uint_eq(keys.num[JWS_RESULTS], 0);
    ck_assert_uint_eq(keys.num[JWS_EVENTS], 1);
    signer_free(signer);
}
END_TEST

START_TEST(without_an_issuer_nothing_is_signed) {
    struct signer *signer;
    struct detail detail = {0};
    ck_assert_int_eq(try_start(&signer, "first", "events", NULL, &detail), STATUS_OK);
    ck_assert_int_eq(sign(signer, &token, JWS_RESULTS, now_text(good_result)), STATUS_INVALID);
    ck_assert_int_eq(sign(signer, &token, JWS_EVENTS, now_text(good_event)), STATUS_INVALID);
    signer_free(signer);
}
END_TEST

START_TEST(claims_have_16_kib_and_no_byte_more) {
    struct signer *signer = start("first", "");
    static char payload[JWS_PAYLOAD_MAX + 2];
    struct detail detail = {0};
    struct jws_job *job = &token.job;
    char *head = now_text(good_result);
    head[strlen(head) - 1] = ',';
    size_t len = (size_t)snprintf(payload, sizeof payload, "%s\"x\":\"", head);
    memset(payload + len, 'x', sizeof payload - len);
    memcpy(payload + JWS_PAYLOAD_MAX - 2, "\"}", 2);
    token_of(&token, JWS_RESULTS, bytes_of(payload, JWS_PAYLOAD_MAX));
    ck_assert_int_eq(signer_jws(signer, &job, 1, &detail), STATUS_OK);
    ck_assert_int_eq(job->status, STATUS_OK);
    ck_assert(!job->token.overflow);
    token_of(&token, JWS_RESULTS, bytes_of(payload, JWS_PAYLOAD_MAX + 1));
    ck_assert_int_eq(signer_jws(signer, &job, 1, &detail), STATUS_LIMIT);
    ck_assert_int_eq(sign(signer, &token, JWS_RESULTS, now_text(good_result)), STATUS_OK);
    signer_free(signer);
}
END_TEST

START_TEST(a_token_without_room_is_a_limit_and_a_batch_has_its_size) {
    struct signer *signer = start("first", "");
    struct jws_job *jobs[JWS_BATCH_MAX + 1];
    struct detail detail = {0};
    for (size_t i = 0; i <= JWS_BATCH_MAX; i++) {
        jobs[i] = &token.job;
    }
    token_of(&token, JWS_RESULTS, bytes_of_text(now_text(good_result)));
    token.job.token = writer_of(token.text, 100);
    ck_assert_int_eq(signer_jws(signer, jobs, 1, &detail), STATUS_OK);
    ck_assert_int_eq(token.job.status, STATUS_LIMIT);
    ck_assert_int_eq(signer_jws(signer, jobs, 0, &detail), STATUS_LIMIT);
    ck_assert_int_eq(signer_jws(signer, jobs, JWS_BATCH_MAX + 1, &detail), STATUS_LIMIT);
    signer_free(signer);
}
END_TEST

static const struct {
    const char *results, *events, *why;
} bad_keys[] = {
    {"p384", "", "P-256"},
    {"events", "", "P-256"},
    {"identity", "", "authority"},
    {"access", "", "authority"},
    {"first first", "", "twice"},
    {"first second first", "", "twice"},
    {"open", "", "open.key"},
    {"none", "", "none.key"},
    {"missing", "", "missing.key"},
    {"first p384", "", "p384.key"},
    {"many1 many2 many3 many4 many5 many6 many7 many8 many9", "", "more than 8"},
    {"", "first", "RSA"},
    {"", "short", "short.key"},
    {"", "events events", "twice"},
    {"", "events first", "first.key"},
    {"first", "first", "RSA"},
};

START_TEST(signer_does_not_start_with_a_key_of_statements_that_will_not_do) {
    struct signer *signer = NULL;
    struct detail detail = {0};
    ck_assert_int_ne(try_start(&signer, bad_keys[_i].results, bad_keys[_i].events, issuer, &detail),
                     STATUS_OK);
    ck_assert_msg(strstr(detail.text, bad_keys[_i].why) != NULL, "%s", detail.text);
    ck_assert_ptr_null(signer);
}
END_TEST

static const struct {
    enum signer_frame type;
    const char *body;
    size_t len;
} bad_frames[] = {
    {SIGNER_JWS, "", 0},
    {SIGNER_JWS, "\0\0", 2},
    {SIGNER_JWS, "\1\1", 2},
    {SIGNER_JWS, "\0\1", 2},
    {SIGNER_JWS, "\0\1\2\0\2{}", 7},
    {SIGNER_JWS, "\0\1\0\0\3{}", 7},
    {SIGNER_JWS, "\0\1\0\0\2{}x", 8},
    {SIGNER_JWS_KEYS, "x", 1},
};

START_TEST(a_frame_that_is_none_ends_the_signer) {
    struct signer *signer = start("first", "");
    struct bytes body;
    struct detail detail = {0};
    enum signer_frame reply =
        bad_frames[_i].type == SIGNER_JWS ? SIGNER_JWS_REPLY : SIGNER_JWS_KEYS_REPLY;
    struct writer *w = signer_answers_begin(signer, bad_frames[_i].type);
    write_bytes(w, bytes_of(bad_frames[_i].body, bad_frames[_i].len));
    ck_assert_int_eq(signer_answers_exchange(signer, reply, &body, &detail), STATUS_INTERNAL);
    signer_answers_end(signer);
    while (kill(signer_pid(signer), 0) == 0) { /* it ends, and its keeper sees to that */
        (void)sched_yield();
    }
    ck_assert_int_eq(errno, ESRCH);
    signer_free(signer);
}
END_TEST

START_TEST(once_the_signer_is_gone_nothing_is_signed) {
    struct signer *signer = start("first", "");
    static struct jws_keys keys;
    struct detail detail = {0};
    struct jws_job *job = &token.job;
    (void)kill(signer_pid(signer), SIGKILL);
    token_of(&token, JWS_RESULTS, bytes_of_text(now_text(good_result)));
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(signer_jws(signer, &job, 1, &detail), STATUS_INTERNAL);
        ck_assert_int_eq(job->status, STATUS_INTERNAL);
        ck_assert_int_eq(signer_jws_keys(signer, &keys, &detail), STATUS_INTERNAL);
    }
    signer_free(signer);
}
END_TEST

static struct signer *shared;

static void *sign_often(void *context) {
    struct token *mine = context;
    struct detail detail = {0};
    struct jws_job *job = &mine->job;
    struct bytes payload = mine->job.payload;
    for (int i = 0; i < 50; i++) {
        token_of(mine, JWS_RESULTS, payload);
        if (signer_jws(shared, &job, 1, &detail) != STATUS_OK || job->status != STATUS_OK) {
            return context;
        }
    }
    return NULL;
}

START_TEST(threads_may_sign_at_one_time) {
    enum { THREADS = 4 };
    static struct token mine[THREADS];
    static char payload[THREADS][512];
    pthread_t thread[THREADS];
    shared = start("first", "");
    for (int i = 0; i < THREADS; i++) {
        (void)snprintf(payload[i], sizeof payload[0], "%.*s,\"n\":%d}",
                       (int)strlen(now_text(good_result)) - 1, now_text(good_result), i);
        mine[i].job.payload = bytes_of_text(payload[i]);
        ck_assert_int_eq(pthread_create(&thread[i], NULL, sign_often, &mine[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        ck_assert_int_eq(pthread_join(thread[i], &failed), 0);
        ck_assert_ptr_null(failed);
        ck_assert(openssl_finds_good(&mine[i], "first", NULL, payload[i]));
    }
    signer_free(shared);
}
END_TEST

/* --- the set of keys --- */

/* RFC 7638, section 3.1. */
static const char known_n[] = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1R"
                              "K7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs"
                              "tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_"
                              "FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajr"
                              "n1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_"
                              "xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

START_TEST(a_thumbprint_is_that_of_the_rfc) {
    struct public_key key = {.kind = KEY_RSA, .bits = 2048, .e = 65537};
    struct bytes n = decoded(known_n, strlen(known_n));
    char kid[JWS_KID_SIZE];
    memcpy(key.n, n.data, n.len);
    key.n_len = n.len;
    ck_assert_int_eq(jwk_thumbprint(kid, &key), STATUS_OK);
    ck_assert_str_eq(kid, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}
END_TEST

START_TEST(other_kinds_of_keys_have_no_thumbprint) {
    static const enum key_kind kinds[] = {KEY_NONE, KEY_EC_P384, KEY_EC_P521, KEY_ED25519};
    char kid[JWS_KID_SIZE] = "as it was";
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct public_key key = {.kind = kinds[i]};
        ck_assert_int_eq(jwk_thumbprint(kid, &key), STATUS_UNSUPPORTED);
    }
    ck_assert_str_eq(kid, "as it was");
}
END_TEST

START_TEST(the_set_has_every_key_with_its_use_and_algorithm) {
    struct signer *signer = start("first second", "events");
    static struct jws_keys keys;
    struct detail detail = {0};
    struct arena arena;
    struct json_out o;
    ck_assert_int_eq(signer_jws_keys(signer, &keys, &detail), STATUS_OK);
    arena_init(&arena, 65536);
    json_out_init(&o, &arena, 2048);
    jwks_write(&o, &keys);
    struct bytes json = json_out_end(&o);
    const char *text = arena_text_n(&arena, (const char *)json.data, json.len);
    ck_assert_ptr_eq(strstr(text, "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\""), text);
    ck_assert_ptr_nonnull(
        strstr(text, "\"e\":\"AQAB\",\"use\":\"sig\",\"alg\":\"RS256\",\"kid\":\""));
    ck_assert_ptr_nonnull(strstr(text, "\"use\":\"sig\",\"alg\":\"ES256\",\"kid\":\""));
    for (size_t i = 0; i < 2; i++) {
        ck_assert_ptr_nonnull(strstr(text, keys.key[JWS_RESULTS][i].kid));
    }
    ck_assert_ptr_null(strstr(text, "\"d\"")); /* nothing of the private half */
    arena_free(&arena);
    signer_free(signer);
}
END_TEST

int main(void) {
    make_keys();
    TCase *tests = tcase_create("jws");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_result_is_signed_with_es256_under_the_first_key);
    tcase_add_test(tests, an_event_is_signed_with_rs256_under_the_first_key);
    tcase_add_test(tests, a_key_of_3072_bits_signs_events);
    tcase_add_test(tests, while_keys_roll_over_old_and_new_tokens_verify_by_what_is_published);
    tcase_add_test(tests, a_signature_is_64_bytes_however_small_its_numbers_are);
    tcase_add_test(tests, a_batch_is_answered_in_order_each_token_by_itself);
    tcase_add_loop_test(tests, the_key_of_results_signs_nothing_but_results, 0,
                        (int)(sizeof bad_results / sizeof bad_results[0]));
    tcase_add_loop_test(tests, the_key_of_events_signs_nothing_but_events, 0,
                        (int)(sizeof bad_events / sizeof bad_events[0]));
    tcase_add_test(tests, without_a_key_for_it_nothing_is_signed);
    tcase_add_test(tests, without_an_issuer_nothing_is_signed);
    tcase_add_test(tests, claims_have_16_kib_and_no_byte_more);
    tcase_add_test(tests, a_token_without_room_is_a_limit_and_a_batch_has_its_size);
    tcase_add_loop_test(tests, signer_does_not_start_with_a_key_of_statements_that_will_not_do, 0,
                        (int)(sizeof bad_keys / sizeof bad_keys[0]));
    tcase_add_loop_test(tests, a_frame_that_is_none_ends_the_signer, 0,
                        (int)(sizeof bad_frames / sizeof bad_frames[0]));
    tcase_add_test(tests, once_the_signer_is_gone_nothing_is_signed);
    tcase_add_test(tests, threads_may_sign_at_one_time);
    tcase_add_test(tests, a_thumbprint_is_that_of_the_rfc);
    tcase_add_test(tests, other_kinds_of_keys_have_no_thumbprint);
    tcase_add_test(tests, the_set_has_every_key_with_its_use_and_algorithm);
    Suite *suite = suite_create("signer: statements");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
