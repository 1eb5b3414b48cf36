/* The child's side of revocation lists. */
#include "server/base/clock.h"
#include "server/credential/crl.h"
#include "server/credential/signer_crl_wire.h"

#include <stdlib.h>
#include <string.h>

/* Ours and the gateway's clock are one; a list may have waited for its turn. */
enum { LATE_MAX_S = 600, AHEAD_MAX_MS = 1000 };

struct crl_build { /* the list that is being signed */
    uint8_t authority[AUTHORITY_RAW_ID];
    struct crl_shape shape;
    uint8_t issuer[CERTIFICATE_DER_MAX], key_id[CRL_KEY_ID_MAX];
    uint8_t last[PROFILE_SERIAL_LEN]; /* zeros: there was none yet */
    size_t entries_left, bytes_left;
    struct digest_stream *digest; /* NULL: none is being signed */
};

static void drop(struct child *child) {
    if (child->crl != NULL) {
        digest_stream_free(child->crl->digest);
        child->crl->digest = NULL;
    }
}

static struct authority *authority_of(struct child *child,
                                      const uint8_t id[static AUTHORITY_RAW_ID]) {
    for (size_t i = 0; i < child->num_authorities; i++) {
        if (child->authority[i].profile == PROFILE_ACCESS &&
            memcmp(child->authority[i].id, id, AUTHORITY_RAW_ID) == 0) {
            return &child->authority[i];
        }
    }
    return NULL;
}

/* --- begin -------------------------------------------------------------------------------------- */

static enum status check_updates(const struct crl_shape *shape, struct detail *detail) {
    int64_t now = clock_unix();
    if (shape->this_update > now || shape->this_update < now - LATE_MAX_S) {
        return status_fail(detail, STATUS_INVALID, "this update is not of the last %d s",
                           LATE_MAX_S);
    }
    if (shape->next_update - shape->this_update < CRL_LIFETIME_MIN_S ||
        shape->next_update - shape->this_update > CRL_LIFETIME_MAX_S) {
        return status_fail(detail, STATUS_INVALID, "a list for %lld s: %d to %d are signed",
                           (long long)(shape->next_update - shape->this_update), CRL_LIFETIME_MIN_S,
                           CRL_LIFETIME_MAX_S);
    }
    return STATUS_OK;
}

static enum status check_number(const struct authority *authority, uint64_t number,
                                struct detail *detail) {
    if (number <= authority->crl_number) {
        return status_fail(detail, STATUS_INVALID, "number %llu after number %llu",
                           (unsigned long long)number, (unsigned long long)authority->crl_number);
    }
    /* Or those to come would not be taken; the next one is, after the clock was set back too. */
    if (number > (uint64_t)clock_unix_ms() + AHEAD_MAX_MS && number != authority->crl_number + 1) {
        return status_fail(detail, STATUS_INVALID, "number %llu is ahead of the clock",
                           (unsigned long long)number);
    }
    return STATUS_OK;
}

static enum status check_size(const struct crl_build *build, struct detail *detail) {
    if (build->entries_left > CRL_ENTRIES_MAX ||
        build->bytes_left > build->entries_left * CRL_ENTRY_MAX) {
        return status_fail(detail, STATUS_INVALID, "%zu entries of %zu bytes", build->entries_left,
                           build->bytes_left);
    }
    return STATUS_OK;
}

/* Who signs, out of its certificate. */
static enum status take_issuer(struct crl_build *build, const struct authority *authority,
                               struct detail *detail) {
    struct certificate certificate;
    if (certificate_parse(&certificate, bytes_of(authority->der, authority->der_len), detail) !=
        STATUS_OK) {
        return STATUS_INTERNAL;
    }
    if (!certificate.signs_lists) {
        return status_fail(detail, STATUS_INVALID, "the authority's keyUsage lacks cRLSign");
    }
    if (certificate.subject_key_id_len == 0) {
        return status_fail(detail, STATUS_INVALID, "the authority has no SubjectKeyIdentifier");
    }
    memcpy(build->issuer, certificate.subject_name.data, certificate.subject_name.len);
    memcpy(build->key_id, certificate.subject_key_id, certificate.subject_key_id_len);
    build->shape.issuer = bytes_of(build->issuer, certificate.subject_name.len);
    build->shape.key_id = bytes_of(build->key_id, certificate.subject_key_id_len);
    build->shape.kind = certificate.key.kind;
    return STATUS_OK;
}

static void add_head(struct crl_build *build) {
    uint8_t buffer[CRL_FRAME_MAX];
    struct writer w = writer_of(buffer, sizeof buffer);
    crl_write_head(&w, &build->shape);
    digest_stream_add(build->digest, writer_bytes(&w));
}

static enum status begin(struct child *child, struct crl_build *build, struct detail *detail) {
    const struct authority *authority = authority_of(child, build->authority);
    if (authority == NULL) {
        return status_fail(detail, STATUS_INVALID, "no such authority of credentials");
    }
    enum status status = check_updates(&build->shape, detail);
    if (status == STATUS_OK) {
        status = check_number(authority, build->shape.number, detail);
    }
    if (status == STATUS_OK) {
        status = check_size(build, detail);
    }
    if (status == STATUS_OK) {
        status = take_issuer(build, authority, detail);
    }
    if (status == STATUS_OK &&
        digest_stream_new(&build->digest, private_key_hash(authority->key)) != STATUS_OK) {
        status = status_fail(detail, STATUS_INTERNAL, "out of memory");
    }
    if (status == STATUS_OK) {
        add_head(build);
    }
    return status;
}

static enum status answer_begin(struct child *child, struct bytes body, struct detail *detail) {
    struct bytes id;
    uint64_t this_update, next_update, number;
    uint32_t num, len;
    if (bytes_take(&body, AUTHORITY_RAW_ID, &id) != STATUS_OK ||
        bytes_u64be(&body, &this_update) != STATUS_OK ||
        bytes_u64be(&body, &next_update) != STATUS_OK || bytes_u64be(&body, &number) != STATUS_OK ||
        bytes_u32be(&body, &num) != STATUS_OK || bytes_u32be(&body, &len) != STATUS_OK ||
        body.len != 0 || this_update > INT64_MAX / 2 || next_update > INT64_MAX / 2) {
        return STATUS_MALFORMED;
    }
    drop(child);
    if (child->crl == NULL) {
        child->crl = calloc(1, sizeof *child->crl);
    }
    struct crl_build *build = child->crl;
    if (build == NULL) {
        return status_fail(detail, STATUS_INTERNAL, "out of memory");
    }
    *build = (struct crl_build){.shape = {.this_update = (int64_t)this_update,
                                          .next_update = (int64_t)next_update,
                                          .number = number,
                                          .entries_len = len},
                                .entries_left = num,
                                .bytes_left = len};
    memcpy(build->authority, id.data, id.len);
    return begin(child, build, detail);
}

/* --- entries ------------------------------------------------------------------------------------ */

static enum status check_entry(const struct crl_build *build, const struct crl_entry *entry,
                               unsigned reason, int64_t now, struct detail *detail) {
    if (build->entries_left == 0 || crl_entry_len(entry) > build->bytes_left) {
        return status_fail(detail, STATUS_INVALID, "more entries than were announced");
    }
    if (memcmp(entry->serial, build->last, sizeof build->last) <= 0) {
        return status_fail(detail, STATUS_INVALID, "a serial number that is zero, or out of order");
    }
    if (entry->revoked < 0 || entry->revoked > now) {
        return status_fail(detail, STATUS_INVALID, "a revocation that is not of the past");
    }
    return crl_reason_is_known(reason)
               ? STATUS_OK
               : status_fail(detail, STATUS_INVALID, "reason %u is not stated", reason);
}

static enum status take_entry(struct crl_build *build, struct bytes *body, int64_t now,
                              struct detail *detail) {
    uint8_t buffer[CRL_ENTRY_MAX], reason;
    struct writer w = writer_of(buffer, sizeof buffer);
    struct crl_entry entry = {0};
    struct bytes serial;
    uint64_t revoked;
    if (bytes_take(body, sizeof entry.serial, &serial) != STATUS_OK ||
        bytes_u64be(body, &revoked) != STATUS_OK || bytes_u8(body, &reason) != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    memcpy(entry.serial, serial.data, serial.len);
    entry.revoked = revoked > INT64_MAX ? -1 : (int64_t)revoked;
    entry.reason = (enum crl_reason)reason;
    enum status status = check_entry(build, &entry, reason, now, detail);
    if (status != STATUS_OK) {
        return status;
    }
    crl_write_entry(&w, &entry);
    digest_stream_add(build->digest, writer_bytes(&w));
    memcpy(build->last, entry.serial, sizeof build->last);
    build->entries_left--;
    build->bytes_left -= w.len;
    return STATUS_OK;
}

/* The list with this number, which is being signed. */
static enum status resume(const struct child *child, struct bytes *body, struct detail *detail) {
    uint64_t number;
    if (bytes_u64be(body, &number) != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    bool is_it =
        child->crl != NULL && child->crl->digest != NULL && child->crl->shape.number == number;
    return is_it ? STATUS_OK : status_fail(detail, STATUS_INVALID, "no such list is being signed");
}

static enum status answer_entries(struct child *child, struct bytes body, struct detail *detail) {
    uint16_t num;
    enum status status = resume(child, &body, detail);
    if (status != STATUS_OK) {
        return status;
    }
    if (bytes_u16be(&body, &num) != STATUS_OK || num == 0 || num > CRL_PIECE) {
        return STATUS_MALFORMED;
    }
    int64_t now = clock_unix();
    for (uint16_t i = 0; i < num && status == STATUS_OK; i++) {
        status = take_entry(child->crl, &body, now, detail);
    }
    return status == STATUS_OK && body.len != 0 ? STATUS_MALFORMED : status;
}

/* --- end ---------------------------------------------------------------------------------------- */

static enum status answer_end(struct child *child, struct bytes body, struct writer *signature,
                              struct detail *detail) {
    uint8_t tail[CRL_FRAME_MAX], digest[DIGEST_MAX];
    struct writer w = writer_of(tail, sizeof tail);
    enum status status = resume(child, &body, detail);
    if (status != STATUS_OK || body.len != 0) {
        return status != STATUS_OK ? status : STATUS_MALFORMED;
    }
    struct crl_build *build = child->crl;
    struct authority *authority = authority_of(child, build->authority);
    if (build->entries_left != 0 || build->bytes_left != 0) {
        return status_fail(detail, STATUS_INVALID, "less entries than were announced");
    }
    if (authority == NULL) {
        return status_fail(detail, STATUS_INVALID, "no such authority of credentials");
    }
    status = check_number(authority, build->shape.number, detail);
    if (status != STATUS_OK) {
        return status;
    }
    crl_write_tail(&w, &build->shape);
    digest_stream_add(build->digest, writer_bytes(&w));
    digest_stream_end(build->digest, digest);
    build->digest = NULL;
    struct bytes hashed = bytes_of(digest, digest_len(private_key_hash(authority->key)));
    if (private_key_sign_digest(authority->key, signature, hashed) != STATUS_OK) {
        return status_fail(detail, STATUS_INTERNAL, "the key does not sign");
    }
    authority->crl_number = build->shape.number;
    return STATUS_OK;
}

enum status signer_crl_answer(struct child *child, struct bytes body, struct writer *reply) {
    uint8_t buffer[KEY_SIGNATURE_MAX], step;
    struct writer signature = writer_of(buffer, sizeof buffer);
    struct detail detail = {0};
    enum status status = bytes_u8(&body, &step) == STATUS_OK ? STATUS_OK : STATUS_MALFORMED;
    if (status == STATUS_OK) {
        status = step == CRL_BEGIN     ? answer_begin(child, body, &detail)
                 : step == CRL_ENTRIES ? answer_entries(child, body, &detail)
                 : step == CRL_END     ? answer_end(child, body, &signature, &detail)
                                       : STATUS_MALFORMED;
    }
    if (status == STATUS_MALFORMED) {
        return status;
    }
    if (status != STATUS_OK) {
        drop(child);
    }
    signer_answer_write(reply, status, writer_bytes(&signature), detail.text);
    return STATUS_OK;
}
