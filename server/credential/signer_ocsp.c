#include "server/credential/signer_ocsp.h"

#include "server/base/encoding.h"
#include "server/credential/signer_child.h"
#include "server/credential/signer_exchange.h"
#include "server/crypto/random.h"

#include <stdlib.h>
#include <string.h>

/* What the two say (signer_wire.h):
 *
 *   ocsp        u16 number of responses, each: 8 bytes id of the authority, u8+nonce, u8 number of
 *               answers, each: u8 hash, u8 status, u64 revoked at, u8 reason, u64 next update,
 *               u8+serial
 *   ocsp reply  u64 produced at, u16 number, the same, each: u8 status, u16+DER when OK, u16+text
 *               otherwise */

enum { WIRE_SHA1 = 1, WIRE_SHA256 = 2 };
enum { DELEGATE_LIFETIME_S = 3 * 86400 };
enum { DELEGATE_BACKDATED_S = 3600 }; /* for clocks that are behind ours */

/* --- the gateway's side --------------------------------------------------------------------- */

static void write_short(struct writer *w, const uint8_t *data, size_t len) {
    write_u8(w, (uint8_t)len);
    write_bytes(w, bytes_of(data, len));
}

static void write_job(struct writer *w, const struct ocsp_job *job) {
    uint8_t id[AUTHORITY_RAW_ID] = {0};
    if (hex_decode(id, sizeof id, job->authority) != STATUS_OK) {
        memset(id, 0, sizeof id); /* nobody's: the child says so */
    }
    write_bytes(w, bytes_of(id, sizeof id));
    write_short(w, job->nonce, job->nonce_len);
    write_u8(w, (uint8_t)job->num_answers);
    for (size_t i = 0; i < job->num_answers; i++) {
        const struct ocsp_answer *answer = &job->answer[i];
        write_u8(w, answer->alg == HASH_SHA1     ? WIRE_SHA1
                    : answer->alg == HASH_SHA256 ? WIRE_SHA256
                                                 : 0);
        write_u8(w, (uint8_t)answer->status);
        write_u64be(w, (uint64_t)answer->revoked_at);
        write_u8(w, answer->reason);
        write_u64be(w, (uint64_t)answer->next_update);
        write_short(w, answer->serial, answer->serial_len);
    }
}

/* False when it is malformed. */
static bool read_reply_of(struct bytes *body, struct ocsp_job *job, size_t index,
                          struct detail *refused) {
    uint8_t status;
    struct bytes content;
    if (bytes_u8(body, &status) != STATUS_OK || status > STATUS_INTERNAL ||
        bytes_u16be_prefixed(body, &content) != STATUS_OK) {
        return false;
    }
    if (status == STATUS_OK) {
        if (content.len == 0 || content.len > sizeof job->der) {
            return false;
        }
        memcpy(job->der, content.data, content.len);
        job->der_len = content.len;
    } else if (refused->text[0] == '\0') {
        detail_set(refused, "response %zu: %.*s", index, (int)content.len,
                   (const char *)content.data);
    }
    job->status = (enum status)status;
    return true;
}

static bool read_reply(struct bytes body, struct ocsp_job *const *jobs, size_t num,
                       struct detail *detail) {
    struct detail refused = {0};
    uint64_t produced_at;
    uint16_t answered;
    if (bytes_u64be(&body, &produced_at) != STATUS_OK || produced_at > INT64_MAX ||
        bytes_u16be(&body, &answered) != STATUS_OK || answered != num) {
        return false;
    }
    for (size_t i = 0; i < num; i++) {
        if (!read_reply_of(&body, jobs[i], i, &refused)) {
            return false;
        }
        jobs[i]->produced_at = (int64_t)produced_at;
    }
    if (refused.text[0] != '\0') {
        detail_set(detail, "%s", refused.text);
    }
    return body.len == 0;
}

enum status signer_ocsp(struct signer *signer, struct ocsp_job *const *jobs, size_t num,
                        struct detail *detail) {
    struct bytes body;
    if (num == 0 || num > SIGNER_OCSP_MAX) {
        return status_fail(detail, STATUS_LIMIT, "%zu OCSP responses at once", num);
    }
    for (size_t i = 0; i < num; i++) {
        jobs[i]->status = STATUS_INTERNAL;
        jobs[i]->der_len = 0;
        if (jobs[i]->num_answers > OCSP_CERTS_MAX || jobs[i]->nonce_len > OCSP_NONCE_MAX) {
            return status_fail(detail, STATUS_LIMIT, "an OCSP response of %zu answers",
                               jobs[i]->num_answers);
        }
    }
    struct writer *w = signer_answers_begin(signer, SIGNER_OCSP);
    write_u16be(w, (uint16_t)num);
    for (size_t i = 0; i < num; i++) {
        write_job(w, jobs[i]);
    }
    enum status status = signer_answers_exchange(signer, SIGNER_OCSP_REPLY, &body, detail);
    if (status == STATUS_OK && !read_reply(body, jobs, num, detail)) {
        status = signer_answers_malformed(signer, detail);
    }
    signer_answers_end(signer);
    return status;
}

/* --- the child's side ----------------------------------------------------------------------- */

struct delegate { /* the certificate for our key by one authority; der_len 0: a free place */
    uint8_t authority[AUTHORITY_RAW_ID];
    struct ocsp_issuer issuer;
    int64_t not_before, not_after;
    int64_t renewed; /* when it is: half way to its end */
    uint8_t der[CERTIFICATE_DER_MAX];
    size_t der_len;
};

struct child_ocsp {
    struct private_key *key;
    uint8_t spki[KEY_SPKI_MAX];
    size_t spki_len;
    struct delegate delegate[SIGNER_AUTHORITIES_MAX];
};

enum status child_ocsp_new(struct child_ocsp **out, struct detail *detail) {
    struct child_ocsp *ocsp = calloc(1, sizeof *ocsp);
    struct public_key key;
    if (ocsp == NULL || private_key_generate(&ocsp->key, KEY_EC_P256) != STATUS_OK) {
        free(ocsp);
        return status_fail(detail, STATUS_INTERNAL, "no key for OCSP answers");
    }
    struct writer spki = writer_of(ocsp->spki, sizeof ocsp->spki);
    private_key_public(ocsp->key, &key);
    if (public_key_to_spki(&spki, &key) != STATUS_OK) {
        private_key_free(ocsp->key);
        free(ocsp);
        return status_fail(detail, STATUS_INTERNAL, "the key for OCSP answers has no SPKI");
    }
    ocsp->spki_len = spki.len;
    *out = ocsp;
    return STATUS_OK;
}

/* Where the authority's certificate for us is, or has room: there is a place for each authority, and
 * one that is no more leaves its own. */
static struct delegate *place_of(const struct child *child, const struct authority *authority) {
    struct delegate *room = NULL;
    for (size_t i = 0; i < SIGNER_AUTHORITIES_MAX; i++) {
        struct delegate *delegate = &child->ocsp->delegate[i];
        if (delegate->der_len > 0 &&
            memcmp(delegate->authority, authority->id, AUTHORITY_RAW_ID) == 0) {
            return delegate;
        }
        if (delegate->der_len == 0 || child_authority_by_id(child, delegate->authority) == NULL) {
            room = delegate;
        }
    }
    return room;
}

static enum status issue_delegate(const struct child *child, const struct authority *authority,
                                  struct delegate *out, int64_t now, struct detail *detail) {
    struct delegate delegate = {0};
    struct issuer issuer = authority_issuer(authority);
    struct certificate parsed;
    struct writer der = writer_of(delegate.der, sizeof delegate.der);
    enum status status = certificate_parse(&parsed, issuer.certificate, detail);
    if (status == STATUS_OK) {
        status = ocsp_issuer_of(&delegate.issuer, issuer.certificate, detail);
    }
    if (status != STATUS_OK) {
        return status;
    }
    delegate.not_before = now - DELEGATE_BACKDATED_S;
    if (delegate.not_before < parsed.not_before) {
        delegate.not_before = parsed.not_before;
    }
    delegate.not_after = now + DELEGATE_LIFETIME_S;
    if (delegate.not_after > parsed.not_after) {
        delegate.not_after = parsed.not_after;
    }
    if (now < delegate.not_before || now >= delegate.not_after) {
        return status_fail(detail, STATUS_INVALID, "the authority is not valid now");
    }
    struct certificate_request request = {.profile = PROFILE_OCSP,
                                          .spki =
                                              bytes_of(child->ocsp->spki, child->ocsp->spki_len),
                                          .common_name = "Gatehouse OCSP responder",
                                          .not_before = delegate.not_before,
                                          .not_after = delegate.not_after};
    random_bytes(request.serial, sizeof request.serial);
    status = profile_issue(&der, &issuer, &request, detail);
    if (status != STATUS_OK) {
        return status;
    }
    delegate.renewed = now + (delegate.not_after - now) / 2;
    memcpy(delegate.authority, authority->id, sizeof delegate.authority);
    delegate.der_len = der.len;
    *out = delegate;
    return STATUS_OK;
}

/* A certificate that is valid now. */
static enum status delegate_of(const struct child *child, const struct authority *authority,
                               const struct delegate **out, int64_t now, struct detail *detail) {
    struct delegate *delegate = place_of(child, authority);
    if (delegate == NULL) {
        return status_fail(detail, STATUS_LIMIT, "no place for the responder's certificate");
    }
    bool ours =
        delegate->der_len > 0 && memcmp(delegate->authority, authority->id, AUTHORITY_RAW_ID) == 0;
    bool lasts = ours && now >= delegate->not_before && now < delegate->not_after;
    if (!lasts || now >= delegate->renewed) {
        enum status status = issue_delegate(child, authority, delegate, now, detail);
        if (status != STATUS_OK && !lasts) {
            return status;
        }
    }
    *out = delegate;
    return STATUS_OK;
}

static enum status read_short(struct bytes *in, struct bytes *out, size_t max) {
    uint8_t len;
    enum status status = bytes_u8(in, &len);
    if (status != STATUS_OK) {
        return status;
    }
    return len > max ? STATUS_LIMIT : bytes_take(in, len, out);
}

static enum status read_answer(struct bytes *in, struct ocsp_answer *out) {
    uint8_t hash = 0, what = 0;
    uint64_t revoked_at = 0, next_update = 0;
    struct bytes serial;
    if (bytes_u8(in, &hash) != STATUS_OK || bytes_u8(in, &what) != STATUS_OK ||
        bytes_u64be(in, &revoked_at) != STATUS_OK || bytes_u8(in, &out->reason) != STATUS_OK ||
        bytes_u64be(in, &next_update) != STATUS_OK ||
        read_short(in, &serial, sizeof out->serial) != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    out->alg = hash == WIRE_SHA1 ? HASH_SHA1 : hash == WIRE_SHA256 ? HASH_SHA256 : HASH_NONE;
    out->status = (enum ocsp_status)what;
    out->revoked_at = (int64_t)revoked_at;
    out->next_update = (int64_t)next_update;
    out->serial_len = (uint8_t)serial.len;
    if (serial.len > 0) {
        memcpy(out->serial, serial.data, serial.len);
    }
    return STATUS_OK;
}

struct asked { /* one response that the child is asked for */
    struct bytes authority, nonce;
    struct ocsp_answer answer[OCSP_CERTS_MAX];
    size_t num_answers;
};

static enum status read_asked(struct bytes *in, struct asked *out) {
    uint8_t num;
    if (bytes_take(in, AUTHORITY_RAW_ID, &out->authority) != STATUS_OK ||
        read_short(in, &out->nonce, OCSP_NONCE_MAX) != STATUS_OK ||
        bytes_u8(in, &num) != STATUS_OK || num > OCSP_CERTS_MAX) {
        return STATUS_MALFORMED;
    }
    for (uint8_t i = 0; i < num; i++) {
        if (read_answer(in, &out->answer[i]) != STATUS_OK) {
            return STATUS_MALFORMED;
        }
    }
    out->num_answers = num;
    return STATUS_OK;
}

/* Whatever the parent sends is checked here again; the rest of it by ocsp_response_write. */
static enum status respond(const struct child *child, const struct asked *asked, struct writer *out,
                           int64_t now, struct detail *detail) {
    const struct authority *authority = child_authority_by_id(child, asked->authority.data);
    const struct delegate *delegate;
    if (authority == NULL || authority->profile != PROFILE_ACCESS) {
        return status_fail(detail, STATUS_NOT_FOUND, "no access authority has this id");
    }
    enum status status = delegate_of(child, authority, &delegate, now, detail);
    if (status != STATUS_OK) {
        return status;
    }
    for (size_t i = 0; i < asked->num_answers; i++) {
        int64_t next_update = asked->answer[i].next_update;
        if (next_update > delegate->not_after || next_update > now + SIGNER_OCSP_VALIDITY_MAX_S) {
            return status_fail(detail, STATUS_INVALID, "an answer for too long");
        }
    }
    const struct ocsp_response response = {.issuer = &delegate->issuer,
                                           .answer = asked->answer,
                                           .num_answers = asked->num_answers,
                                           .produced_at = now,
                                           .nonce = asked->nonce,
                                           .key = child->ocsp->key,
                                           .certificate =
                                               bytes_of(delegate->der, delegate->der_len)};
    return ocsp_response_write(out, &response, detail);
}

enum status child_ocsp_answer(struct child *child, struct bytes body, struct writer *reply) {
    uint16_t num;
    int64_t now = child->now;
    if (bytes_u16be(&body, &num) != STATUS_OK || num == 0 || num > SIGNER_OCSP_MAX) {
        return STATUS_MALFORMED;
    }
    write_u64be(reply, (uint64_t)now);
    write_u16be(reply, num);
    for (uint16_t i = 0; i < num; i++) {
        struct asked asked = {0};
        struct detail detail = {0};
        uint8_t der[OCSP_RESPONSE_MAX];
        struct writer w = writer_of(der, sizeof der);
        if (read_asked(&body, &asked) != STATUS_OK) {
            return STATUS_MALFORMED;
        }
        enum status status = respond(child, &asked, &w, now, &detail);
        struct bytes content = status == STATUS_OK ? writer_bytes(&w) : bytes_of_text(detail.text);
        write_u8(reply, (uint8_t)status);
        write_u16be(reply, (uint16_t)content.len);
        write_bytes(reply, content);
    }
    return body.len == 0 ? STATUS_OK : STATUS_MALFORMED;
}
