#include "server/credential/crl.h"

#include "server/crypto/der.h"
#include "server/crypto/oid.h"
#include "server/crypto/x509_write.h"

#include <string.h>

enum { UTC_TIME_LEN = 15, GENERALIZED_TIME_LEN = 17, REASON_LEN = 14 };
enum { TAIL_MAX = 128, NUMBER_LEN = 8 };
static const int64_t year_2050 = 2524608000; /* from then on times are GeneralizedTime */

static const struct {
    const char *text;
    enum crl_reason reason;
} reasons[] = {
    {"untrusted", CRL_PRIVILEGE_WITHDRAWN},
    {"reappraised", CRL_PRIVILEGE_WITHDRAWN},
    {"tier_too_low", CRL_PRIVILEGE_WITHDRAWN},
    {"tier_sank", CRL_PRIVILEGE_WITHDRAWN},
    {"quarantined", CRL_PRIVILEGE_WITHDRAWN},
    {"exception_ended", CRL_PRIVILEGE_WITHDRAWN},
    {"exception_began", CRL_SUPERSEDED},
    {"re-enrolled", CRL_SUPERSEDED},
    {"retired", CRL_CESSATION_OF_OPERATION},
    {"key_compromise", CRL_KEY_COMPROMISE},
    {"superseded", CRL_SUPERSEDED},
    {"cessation_of_operation", CRL_CESSATION_OF_OPERATION},
    {"privilege_withdrawn", CRL_PRIVILEGE_WITHDRAWN},
};

bool crl_reason_is_known(unsigned reason) {
    return reason == CRL_UNSPECIFIED || reason == CRL_KEY_COMPROMISE || reason == CRL_SUPERSEDED ||
           reason == CRL_CESSATION_OF_OPERATION || reason == CRL_PRIVILEGE_WITHDRAWN;
}

enum crl_reason crl_reason_of(const char *text) {
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (strcmp(reasons[i].text, text) == 0) {
            return reasons[i].reason;
        }
    }
    return CRL_UNSPECIFIED;
}

/* --- entries (5.1.2.6) -------------------------------------------------------------------------- */

static size_t content_len(const struct crl_entry *entry) {
    size_t zeros = 0;
    while (zeros < PROFILE_SERIAL_LEN - 1 && entry->serial[zeros] == 0) {
        zeros++;
    }
    size_t serial = 2 + PROFILE_SERIAL_LEN - zeros + (entry->serial[zeros] >= 0x80 ? 1 : 0);
    size_t time = entry->revoked < year_2050 ? UTC_TIME_LEN : GENERALIZED_TIME_LEN;
    return serial + time + (entry->reason == CRL_UNSPECIFIED ? 0 : REASON_LEN);
}

size_t crl_entry_len(const struct crl_entry *entry) {
    size_t len = content_len(entry);
    return der_head_len(len) + len;
}

void crl_write_entry(struct writer *w, const struct crl_entry *entry) {
    der_write_head(w, DER_SEQUENCE, content_len(entry));
    der_write_unsigned(w, bytes_of(entry->serial, sizeof entry->serial)); /* userCertificate */
    der_write_time(w, entry->revoked);                                    /* revocationDate */
    if (entry->reason != CRL_UNSPECIFIED) {
        const uint8_t value[] = {DER_ENUMERATED, 1, (uint8_t)entry->reason};
        der_write_head(w, DER_SEQUENCE, REASON_LEN - 2);
        x509_write_extension(w, DER_OID_OF(OID_CRL_REASON), false, bytes_of(value, sizeof value));
    }
}

/* --- around them -------------------------------------------------------------------------------- */

/* version to nextUpdate (5.1.2.1 to 5.1.2.5), and the frame of revokedCertificates when there are any. */
static void write_front(struct writer *w, const struct crl_shape *shape) {
    der_write_u32(w, 1); /* v2 */
    x509_write_algorithm_of(w, shape->kind);
    write_bytes(w, shape->issuer);
    der_write_time(w, shape->this_update);
    der_write_time(w, shape->next_update);
    if (shape->entries_len > 0) {
        der_write_head(w, DER_SEQUENCE, shape->entries_len);
    }
}

/* crlExtensions (5.2): who signed, and which list this is. Neither is critical. */
void crl_write_tail(struct writer *w, const struct crl_shape *shape) {
    uint8_t key_buffer[CRL_KEY_ID_MAX + 4], number_buffer[NUMBER_LEN + 3], digits[NUMBER_LEN];
    struct writer key_id = writer_of(key_buffer, sizeof key_buffer);
    struct writer number = writer_of(number_buffer, sizeof number_buffer);
    struct writer big_endian = writer_of(digits, sizeof digits);
    size_t mark = der_open(&key_id, DER_SEQUENCE);
    der_write(&key_id, DER_CONTEXT | 0, shape->key_id);
    der_close(&key_id, mark);
    write_u64be(&big_endian, shape->number);
    der_write_unsigned(&number, writer_bytes(&big_endian));
    w->overflow |= key_id.overflow;
    size_t explicit = der_open(w, DER_CONTEXT_CONSTRUCTED | 0), list = der_open(w, DER_SEQUENCE);
    x509_write_extension(w, DER_OID_OF(OID_AUTHORITY_KEY_ID), false, writer_bytes(&key_id));
    x509_write_extension(w, DER_OID_OF(OID_CRL_NUMBER), false, writer_bytes(&number));
    der_close(w, list);
    der_close(w, explicit);
}

static size_t content_of_tbs(const struct crl_shape *shape) {
    uint8_t front_buffer[CRL_FRAME_MAX], tail_buffer[TAIL_MAX];
    struct writer front = writer_of(front_buffer, sizeof front_buffer);
    struct writer tail = writer_of(tail_buffer, sizeof tail_buffer);
    write_front(&front, shape);
    crl_write_tail(&tail, shape);
    return front.len + shape->entries_len + tail.len;
}

size_t crl_tbs_len(const struct crl_shape *shape) {
    size_t len = content_of_tbs(shape);
    return der_head_len(len) + len;
}

void crl_write_head(struct writer *w, const struct crl_shape *shape) {
    der_write_head(w, DER_SEQUENCE, content_of_tbs(shape));
    write_front(w, shape);
}
