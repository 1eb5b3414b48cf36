#include "server/credential/signer_crl.h"

#include "server/base/encoding.h"
#include "server/credential/signer_crl_wire.h"
#include "server/credential/signer_exchange.h"
#include "server/crypto/der.h"
#include "server/crypto/x509_write.h"

#include <stdlib.h>
#include <string.h>

enum { OUTER_HEAD_MAX = 6, AFTER_TBS_MAX = KEY_SIGNATURE_MAX + 64 };

struct making {
    struct signer *signer;
    const struct crl_job *job;
    struct certificate authority;
    struct crl_shape shape;
    struct writer out; /* the TBSCertList, behind room for the list's own head */
    struct detail *detail;
};

/* --- what is said ------------------------------------------------------------------------------- */

static struct writer *open_step(struct signer *signer, enum crl_step step) {
    struct writer *w = signer_answers_begin(signer, SIGNER_CRL);
    write_u8(w, (uint8_t)step);
    return w;
}

/* Sends what was opened. `out` gets what the child answers with, when it is not NULL. */
static enum status say(struct signer *signer, struct writer *out, struct detail *detail) {
    struct bytes body, content;
    enum status answered;
    enum status status = signer_answers_exchange(signer, SIGNER_CRL_REPLY, &body, detail);
    if (status == STATUS_OK &&
        (signer_answer_read(&body, &answered, &content) != STATUS_OK || body.len != 0)) {
        status = signer_answers_malformed(signer, detail);
    } else if (status == STATUS_OK && answered != STATUS_OK) {
        status = status_fail(detail, answered, "revocation list: %.*s", (int)content.len,
                             (const char *)content.data);
    } else if (status == STATUS_OK && out != NULL) {
        write_bytes(out, content);
    }
    signer_answers_end(signer);
    return status;
}

static enum status begin(const struct making *m) {
    uint8_t id[AUTHORITY_RAW_ID];
    if (hex_decode(id, sizeof id, m->job->authority) != STATUS_OK) {
        return STATUS_INTERNAL; /* it was found by it */
    }
    struct writer *w = open_step(m->signer, CRL_BEGIN);
    write_bytes(w, bytes_of(id, sizeof id));
    write_u64be(w, (uint64_t)m->job->this_update);
    write_u64be(w, (uint64_t)m->job->next_update);
    write_u64be(w, m->job->number);
    write_u32be(w, (uint32_t)m->job->num);
    write_u32be(w, (uint32_t)m->shape.entries_len);
    return say(m->signer, NULL, m->detail);
}

/* A piece of the entries, to the child and into our own copy. */
static enum status add(struct making *m, size_t first, size_t num) {
    struct writer *w = open_step(m->signer, CRL_ENTRIES);
    write_u64be(w, m->job->number);
    write_u16be(w, (uint16_t)num);
    for (size_t i = first; i < first + num; i++) {
        const struct crl_entry *entry = &m->job->entry[i];
        write_bytes(w, bytes_of(entry->serial, sizeof entry->serial));
        write_u64be(w, (uint64_t)entry->revoked);
        write_u8(w, (uint8_t)entry->reason);
    }
    enum status status = say(m->signer, NULL, m->detail);
    for (size_t i = first; status == STATUS_OK && i < first + num; i++) {
        crl_write_entry(&m->out, &m->job->entry[i]);
    }
    return status;
}

static enum status end(const struct making *m, struct writer *signature) {
    struct writer *w = open_step(m->signer, CRL_END);
    write_u64be(w, m->job->number);
    return say(m->signer, signature, m->detail);
}

/* --- the list ----------------------------------------------------------------------------------- */

/* The child has signed the same bytes that we have. */
static enum status hold(const struct making *m, struct bytes signature) {
    enum hash_alg alg = m->authority.key.kind == KEY_EC_P384 ? HASH_SHA384 : HASH_SHA256;
    enum status status =
        signature_verify_der(&m->authority.key, alg, signature, writer_bytes(&m->out), NULL);
    return status == STATUS_OK ? STATUS_OK
                               : status_fail(m->detail, STATUS_INTERNAL,
                                             "revocation list: the signature does not hold");
}

static enum status sign(struct making *m, struct writer *signature) {
    crl_write_head(&m->out, &m->shape);
    enum status status = begin(m);
    for (size_t i = 0; i < m->job->num && status == STATUS_OK; i += CRL_PIECE) {
        size_t left = m->job->num - i;
        status = add(m, i, left < CRL_PIECE ? left : CRL_PIECE);
    }
    if (status == STATUS_OK) {
        status = end(m, signature);
    }
    crl_write_tail(&m->out, &m->shape);
    if (status == STATUS_OK && (m->out.overflow || m->out.len != crl_tbs_len(&m->shape))) {
        return STATUS_INTERNAL;
    }
    return status == STATUS_OK ? hold(m, writer_bytes(signature)) : status;
}

/* CertificateList (RFC 5280 5.1.1): the head comes in front of what `whole` holds behind its room. */
static void close_list(struct making *m, struct bytes signature, uint8_t *whole, size_t *len) {
    struct writer head = writer_of(whole, OUTER_HEAD_MAX);
    x509_write_algorithm_of(&m->out, m->shape.kind);
    der_write_bits(&m->out, signature);
    der_write_head(&head, DER_SEQUENCE, m->out.len);
    memmove(whole + head.len, whole + OUTER_HEAD_MAX, m->out.len);
    *len = head.len + m->out.len;
}

static enum status find_authority(struct making *m) {
    const struct signer_authority *all;
    size_t num = signer_authorities(m->signer, &all), i = 0;
    while (i < num && strcmp(all[i].id, m->job->authority) != 0) {
        i++;
    }
    if (i == num) {
        return status_fail(m->detail, STATUS_NOT_FOUND, "no authority %s", m->job->authority);
    }
    enum status status = certificate_parse(&m->authority, all[i].certificate, m->detail);
    if (status != STATUS_OK) {
        return status;
    }
    m->shape = (struct crl_shape){
        .issuer = m->authority.subject_name,
        .kind = m->authority.key.kind,
        .this_update = m->job->this_update,
        .next_update = m->job->next_update,
        .number = m->job->number,
    };
    return STATUS_OK;
}

enum status signer_crl(struct signer *signer, struct crl_job *job, struct detail *detail) {
    struct making m = {.signer = signer, .job = job, .detail = detail};
    uint8_t buffer[KEY_SIGNATURE_MAX];
    struct writer signature = writer_of(buffer, sizeof buffer);
    job->der = NULL;
    job->der_len = 0;
    if (job->num > CRL_ENTRIES_MAX) {
        return status_fail(detail, STATUS_LIMIT, "a revocation list of %zu entries", job->num);
    }
    enum status status = find_authority(&m);
    if (status != STATUS_OK) {
        return status;
    }
    m.shape.key_id = bytes_of(m.authority.subject_key_id, m.authority.subject_key_id_len);
    for (size_t i = 0; i < job->num; i++) {
        m.shape.entries_len += crl_entry_len(&job->entry[i]);
    }
    size_t room = crl_tbs_len(&m.shape) + AFTER_TBS_MAX;
    uint8_t *whole = malloc(OUTER_HEAD_MAX + room);
    if (whole == NULL) {
        return status_fail(detail, STATUS_MEMORY, "no memory for a revocation list");
    }
    m.out = writer_of(whole + OUTER_HEAD_MAX, room);
    status = sign(&m, &signature);
    if (status != STATUS_OK) {
        free(whole);
        return status;
    }
    close_list(&m, writer_bytes(&signature), whole, &job->der_len);
    job->der = whole;
    return STATUS_OK;
}
