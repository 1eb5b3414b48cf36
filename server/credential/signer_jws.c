#include "server/credential/signer_jws.h"

#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/credential/claims.h"
#include "server/credential/jwk.h"
#include "server/credential/signer_exchange.h"
#include "server/crypto/der.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the two say (signer_wire.h):
 *
 *   jws             u16 number of tokens, each: u8 purpose, u16+payload
 *   jws reply       u16 number, the same, each: u8 status, u16+(43 bytes kid, signature as JWS wants
 *                   it) when OK, u16+text otherwise
 *   jws keys        empty
 *   jws keys reply  for each purpose: u8 number, each: u16+SPKI
 *
 * Who wants certificates waits no longer than for one frame: it holds what takes a few milliseconds. */

enum { KID_LEN = JWS_KID_SIZE - 1, HEADER_MAX = 128 };
enum { FRAME_COST_MAX = 32, COST_RESULT = 1, COST_EVENT = 4 };

static const char *type_of(enum jws_purpose purpose) {
    return purpose == JWS_RESULTS ? "eat+jwt" : "secevent+jwt";
}

/* The first two parts of the token, which are what is signed. */
static void write_signing_input(struct writer *w, enum jws_purpose purpose, const char *kid,
                                struct bytes payload) {
    char header[HEADER_MAX];
    (void)snprintf(header, sizeof header, "{\"alg\":\"%s\",\"kid\":\"%.43s\",\"typ\":\"%s\"}",
                   jws_algorithm(purpose), kid, type_of(purpose));
    base64url_write(w, bytes_of_text(header));
    write_u8(w, '.');
    base64url_write(w, payload);
}

size_t jws_token_max(size_t payload_len) {
    return base64url_encoded_len(HEADER_MAX) + 1 + base64url_encoded_len(payload_len) + 1 +
           base64url_encoded_len(KEY_SIGNATURE_MAX);
}

/* --- the gateway's side --------------------------------------------------------------------- */

static void write_prefixed(struct writer *w, struct bytes in) {
    write_u16be(w, (uint16_t)in.len);
    write_bytes(w, in);
}

/* A number, each a status and a text or a content. */
static bool read_answer(struct bytes *body, struct jws_job *job, size_t index,
                        struct detail *refused) {
    struct bytes content, kid;
    uint8_t status;
    if (bytes_u8(body, &status) != STATUS_OK || status > STATUS_INTERNAL ||
        bytes_u16be_prefixed(body, &content) != STATUS_OK) {
        return false;
    }
    job->status = (enum status)status;
    if (job->status != STATUS_OK) {
        if (refused->text[0] == '\0') {
            detail_set(refused, "token %zu: %.*s", index, (int)content.len,
                       (const char *)content.data);
        }
        return true;
    }
    if (bytes_take(&content, KID_LEN, &kid) != STATUS_OK || content.len == 0) {
        return false;
    }
    char text[JWS_KID_SIZE] = "";
    memcpy(text, kid.data, kid.len);
    write_signing_input(&job->token, job->purpose, text, job->payload);
    write_u8(&job->token, '.');
    base64url_write(&job->token, content);
    job->status = job->token.overflow ? STATUS_LIMIT : STATUS_OK;
    return true;
}

static bool read_reply(struct bytes body, struct jws_job *const *jobs, size_t num, size_t first,
                       struct detail *refused) {
    uint16_t answered;
    if (bytes_u16be(&body, &answered) != STATUS_OK || answered != num) {
        return false;
    }
    for (size_t i = 0; i < num; i++) {
        if (!read_answer(&body, jobs[i], first + i, refused)) {
            return false;
        }
    }
    return body.len == 0;
}

/* As many of the jobs as one frame may hold. */
static size_t frame_of(struct jws_job *const *jobs, size_t num) {
    unsigned cost = 0;
    size_t fit = 0;
    while (fit < num && cost < FRAME_COST_MAX) {
        cost += jobs[fit++]->purpose == JWS_RESULTS ? COST_RESULT : COST_EVENT;
    }
    return fit;
}

/* One frame's jobs; `first` is the number of the first in all. */
static enum status sign_frame(struct signer *signer, struct jws_job *const *jobs, size_t num,
                              size_t first, struct detail *refused, struct detail *detail) {
    struct bytes body;
    struct writer *w = signer_answers_begin(signer, SIGNER_JWS);
    write_u16be(w, (uint16_t)num);
    for (size_t i = 0; i < num; i++) {
        write_u8(w, (uint8_t)jobs[i]->purpose);
        write_prefixed(w, jobs[i]->payload);
    }
    enum status status = signer_answers_exchange(signer, SIGNER_JWS_REPLY, &body, detail);
    if (status == STATUS_OK && !read_reply(body, jobs, num, first, refused)) {
        status = signer_answers_malformed(signer, detail);
    }
    signer_answers_end(signer);
    return status;
}

enum status signer_jws(struct signer *signer, struct jws_job *const *jobs, size_t num,
                       struct detail *detail) {
    struct detail refused = {0};
    if (num == 0 || num > JWS_BATCH_MAX) {
        return status_fail(detail, STATUS_LIMIT, "a batch of %zu tokens", num);
    }
    for (size_t i = 0; i < num; i++) {
        jobs[i]->status = STATUS_INTERNAL;
        if (jobs[i]->payload.len > JWS_PAYLOAD_MAX) {
            return status_fail(detail, STATUS_LIMIT, "token %zu: claims of %zu bytes", i,
                               jobs[i]->payload.len);
        }
    }
    for (size_t at = 0; at < num;) {
        size_t fit = frame_of(jobs + at, num - at);
        enum status status = sign_frame(signer, jobs + at, fit, at, &refused, detail);
        if (status != STATUS_OK) {
            return status;
        }
        at += fit;
    }
    if (refused.text[0] != '\0') {
        detail_set(detail, "%s", refused.text);
    }
    return STATUS_OK;
}

static bool read_keys(struct bytes body, struct jws_keys *out) {
    for (size_t purpose = 0; purpose < NUM_JWS_PURPOSES; purpose++) {
        uint8_t num;
        if (bytes_u8(&body, &num) != STATUS_OK || num > JWS_KEYS_MAX) {
            return false;
        }
        for (size_t i = 0; i < num; i++) {
            struct jws_key *key = &out->key[purpose][i];
            struct bytes spki;
            if (bytes_u16be_prefixed(&body, &spki) != STATUS_OK ||
                public_key_from_spki(&key->key, spki, NULL) != STATUS_OK ||
                jwk_thumbprint(key->kid, &key->key) != STATUS_OK) {
                return false;
            }
        }
        out->num[purpose] = num;
    }
    return body.len == 0;
}

enum status signer_jws_keys(struct signer *signer, struct jws_keys *out, struct detail *detail) {
    struct bytes body;
    (void)signer_answers_begin(signer, SIGNER_JWS_KEYS);
    enum status status = signer_answers_exchange(signer, SIGNER_JWS_KEYS_REPLY, &body, detail);
    if (status == STATUS_OK && !read_keys(body, out)) {
        status = signer_answers_malformed(signer, detail);
    }
    signer_answers_end(signer);
    return status;
}

/* --- the child's side: keys ----------------------------------------------------------------- */

struct jws_child_key {
    struct private_key *key;
    struct public_key public;
    char kid[JWS_KID_SIZE];
};

struct jws_child {
    char *issuer; /* NULL: none */
    struct jws_child_key key[NUM_JWS_PURPOSES][JWS_KEYS_MAX];
    size_t num[NUM_JWS_PURPOSES];
    uint8_t input[2 * JWS_PAYLOAD_MAX]; /* what is signed */
};

static bool is_authority(const struct child *child, const struct public_key *key) {
    uint8_t sha256[32];
    if (public_key_spki_sha256(sha256, key) != STATUS_OK) {
        return true; /* who knows */
    }
    for (size_t i = 0; i < child->num_authorities; i++) {
        if (memcmp(child->authority[i].id, sha256, AUTHORITY_RAW_ID) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_known(const struct jws_child *jws, const struct public_key *key) {
    for (size_t purpose = 0; purpose < NUM_JWS_PURPOSES; purpose++) {
        for (size_t i = 0; i < jws->num[purpose]; i++) {
            if (public_key_equal(&jws->key[purpose][i].public, key)) {
                return true;
            }
        }
    }
    return false;
}

static enum status check_key(const struct child *child, enum jws_purpose purpose,
                             const struct public_key *key, struct detail *detail) {
    if (purpose == JWS_RESULTS && key->kind != KEY_EC_P256) {
        return status_fail(detail, STATUS_INVALID, "results are signed with a P-256 key (ES256)");
    }
    if (purpose == JWS_EVENTS && (key->kind != KEY_RSA || key->bits < RSA_BITS_MIN)) {
        return status_fail(detail, STATUS_INVALID,
                           "events are signed with an RSA key of at least %d bits (RS256)",
                           RSA_BITS_MIN);
    }
    if (is_authority(child, key)) {
        return status_fail(detail, STATUS_INVALID, "is an authority's key");
    }
    return is_known(child->jws, key) ? status_fail(detail, STATUS_INVALID, "stands twice")
                                     : STATUS_OK;
}

static enum status load_key(struct child *child, enum jws_purpose purpose, const char *path,
                            struct detail *detail) {
    struct jws_child *jws = child->jws;
    if (jws->num[purpose] == JWS_KEYS_MAX) {
        return status_fail(detail, STATUS_LIMIT, "more than %d keys for %s", JWS_KEYS_MAX,
                           jws_purpose_name(purpose));
    }
    struct jws_child_key *key = &jws->key[purpose][jws->num[purpose]];
    enum status status = child_read_key(&key->key, path, detail);
    if (status != STATUS_OK) {
        return status;
    }
    private_key_public(key->key, &key->public);
    status = check_key(child, purpose, &key->public, detail);
    if (status != STATUS_OK) {
        detail_prefix(detail, "%s", path);
        return status;
    }
    jws->num[purpose]++;
    return jwk_thumbprint(key->kid, &key->public);
}

enum status jws_child_load(struct child *child, const struct jws_options *options,
                           struct detail *detail) {
    child->jws = calloc(1, sizeof *child->jws);
    if (child->jws == NULL) {
        return status_fail(detail, STATUS_MEMORY, "out of memory");
    }
    if (options->issuer != NULL) {
        child->jws->issuer = strdup(options->issuer);
        if (child->jws->issuer == NULL) {
            return status_fail(detail, STATUS_MEMORY, "out of memory");
        }
    }
    for (enum jws_purpose purpose = 0; purpose < NUM_JWS_PURPOSES; purpose++) {
        for (size_t i = 0; i < options->keys[purpose].num; i++) {
            enum status status =
                load_key(child, purpose, options->keys[purpose].key_file[i], detail);
            if (status != STATUS_OK) {
                return status;
            }
        }
    }
    return STATUS_OK;
}

/* --- the child's side: what it signs -------------------------------------------------------- */

static enum status check_result(const struct claims *claims, int64_t now, int64_t iat,
                                struct detail *detail) {
    int64_t exp;
    if (claims_integer(claims, "exp", &exp) != STATUS_OK || exp <= iat ||
        exp - iat > JWS_RESULT_MAX_S) {
        return status_fail(detail, STATUS_INVALID, "a result is good for %d s at most",
                           JWS_RESULT_MAX_S);
    }
    if (iat < now - JWS_SKEW_S) {
        return status_fail(detail, STATUS_INVALID, "a result of the past");
    }
    if (!claims_has_text(claims, "eat_profile") || !claims_has_object(claims, "submods") ||
        claims_find(claims, "events").len != 0) {
        return status_fail(detail, STATUS_INVALID, "these are not the claims of a result");
    }
    return STATUS_OK;
}

/* No `exp` and no `sub`: RFC 8417, section 4.5 and 4.6. */
static enum status check_event(const struct claims *claims, struct detail *detail) {
    if (!claims_has_text(claims, "jti") || !claims_has_object(claims, "events") ||
        claims_find(claims, "exp").len != 0 || claims_find(claims, "sub").len != 0 ||
        claims_find(claims, "eat_profile").len != 0) {
        return status_fail(detail, STATUS_INVALID, "these are not the claims of an event");
    }
    return STATUS_OK;
}

static enum status check_claims(const struct jws_child *jws, enum jws_purpose purpose,
                                struct bytes payload, struct detail *detail) {
    struct claims claims;
    int64_t iat, now = clock_unix();
    if (claims_read(&claims, payload) != STATUS_OK) {
        return status_fail(detail, STATUS_INVALID, "the claims are no compact JSON object");
    }
    if (jws->issuer == NULL || !claims_is_text(&claims, "iss", jws->issuer)) {
        return status_fail(detail, STATUS_INVALID, "iss is not ours");
    }
    if (claims_integer(&claims, "iat", &iat) != STATUS_OK || iat <= 0 || iat > now + JWS_SKEW_S) {
        return status_fail(detail, STATUS_INVALID, "iat is missing, or in the future");
    }
    return purpose == JWS_RESULTS ? check_result(&claims, now, iat, detail)
                                  : check_event(&claims, detail);
}

/* r and s, each as long as the curve (RFC 7518, 3.4). MALFORMED. */
static enum status write_raw(struct writer *w, const struct public_key *key, struct bytes der) {
    struct bytes fields, number[2];
    size_t len = key_curve_len(key->kind);
    if (der_take(&der, DER_SEQUENCE, &fields) != STATUS_OK ||
        der_take_unsigned(&fields, &number[0]) != STATUS_OK ||
        der_take_unsigned(&fields, &number[1]) != STATUS_OK || fields.len != 0) {
        return STATUS_MALFORMED;
    }
    for (size_t i = 0; i < 2; i++) {
        if (number[i].len > len) {
            return STATUS_MALFORMED;
        }
        for (size_t zeros = len - number[i].len; zeros > 0; zeros--) {
            write_u8(w, 0);
        }
        write_bytes(w, number[i]);
    }
    return STATUS_OK;
}

/* The kid and the signature. */
static enum status sign(struct jws_child *jws, enum jws_purpose purpose, struct bytes payload,
                        struct writer *out, struct detail *detail) {
    const struct jws_child_key *key = &jws->key[purpose][0];
    if (jws->num[purpose] == 0) {
        return status_fail(detail, STATUS_NOT_FOUND, "there is no key for %s",
                           jws_purpose_name(purpose));
    }
    if (payload.len > JWS_PAYLOAD_MAX) {
        return status_fail(detail, STATUS_LIMIT, "claims of %zu bytes", payload.len);
    }
    enum status status = check_claims(jws, purpose, payload, detail);
    if (status != STATUS_OK) {
        return status;
    }
    uint8_t signature[KEY_SIGNATURE_MAX];
    struct writer input = writer_of(jws->input, sizeof jws->input);
    struct writer w = writer_of(signature, sizeof signature);
    write_signing_input(&input, purpose, key->kid, payload);
    write_bytes(out, bytes_of(key->kid, KID_LEN));
    status = input.overflow ? STATUS_LIMIT : private_key_sign(key->key, &w, writer_bytes(&input));
    if (status == STATUS_OK && purpose == JWS_RESULTS) {
        status = write_raw(out, &key->public, writer_bytes(&w));
    } else if (status == STATUS_OK) {
        write_bytes(out, writer_bytes(&w));
    }
    return status == STATUS_OK ? STATUS_OK
                               : status_fail(detail, STATUS_INTERNAL, "the key does not sign");
}

enum status jws_child_sign(struct child *child, struct bytes body, struct writer *reply) {
    uint16_t num;
    if (bytes_u16be(&body, &num) != STATUS_OK || num == 0 || num > JWS_BATCH_MAX) {
        return STATUS_MALFORMED;
    }
    write_u16be(reply, num);
    for (uint16_t i = 0; i < num; i++) {
        uint8_t purpose, content[KID_LEN + KEY_SIGNATURE_MAX];
        struct bytes payload;
        struct detail detail = {0};
        struct writer w = writer_of(content, sizeof content);
        if (bytes_u8(&body, &purpose) != STATUS_OK || purpose >= NUM_JWS_PURPOSES ||
            bytes_u16be_prefixed(&body, &payload) != STATUS_OK) {
            return STATUS_MALFORMED;
        }
        enum status status = sign(child->jws, (enum jws_purpose)purpose, payload, &w, &detail);
        write_u8(reply, (uint8_t)status);
        write_prefixed(reply, status == STATUS_OK ? writer_bytes(&w) : bytes_of_text(detail.text));
    }
    return body.len == 0 ? STATUS_OK : STATUS_MALFORMED;
}

enum status jws_child_keys(struct child *child, struct bytes body, struct writer *reply) {
    for (size_t purpose = 0; purpose < NUM_JWS_PURPOSES; purpose++) {
        write_u8(reply, (uint8_t)child->jws->num[purpose]);
        for (size_t i = 0; i < child->jws->num[purpose]; i++) {
            uint8_t spki[KEY_SPKI_MAX];
            struct writer w = writer_of(spki, sizeof spki);
            if (public_key_to_spki(&w, &child->jws->key[purpose][i].public) != STATUS_OK) {
                return STATUS_INTERNAL;
            }
            write_prefixed(reply, writer_bytes(&w));
        }
    }
    return body.len == 0 ? STATUS_OK : STATUS_MALFORMED;
}
