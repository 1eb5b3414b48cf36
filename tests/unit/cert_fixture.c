#include "tests/unit/cert_fixture.h"

#include "server/crypto/oid.h"
#include "server/crypto/x509_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 64, SLOT_SIZE = 4096, YEAR = 365 * 86400 };

static void need(bool good, const char *what) {
    if (!good) {
        (void)fprintf(stderr, "certificate for the test: %s\n", what);
        exit(1);
    }
}

static struct bytes keep(struct bytes in) {
    static uint8_t slots[SLOTS][SLOT_SIZE];
    static unsigned next;
    uint8_t *slot = slots[next++ % SLOTS];
    need(in.len <= SLOT_SIZE, "too long");
    memcpy(slot, in.data, in.len);
    return bytes_of(slot, in.len);
}

static struct private_key *keys[CERT_KEYS];

static void free_keys(void) {
    for (size_t i = 0; i < CERT_KEYS; i++) {
        private_key_free(keys[i]);
        keys[i] = NULL;
    }
}

struct private_key *cert_key(size_t i) {
    enum key_kind kind = i == CERT_KEY_RSA    ? KEY_RSA
                         : i == CERT_KEY_P384 ? KEY_EC_P384
                                              : KEY_EC_P256;
    static bool registered;
    if (!registered) {
        registered = true;
        need(atexit(free_keys) == 0, "atexit");
    }
    if (keys[i] == NULL) {
        need(private_key_generate(&keys[i], kind) == STATUS_OK, "no key");
    }
    return keys[i];
}

static struct cert_spec common(const char *subject, size_t key, const char *issuer, size_t signer) {
    return (struct cert_spec){.subject = subject,
                              .issuer = issuer,
                              .key = key,
                              .signer = signer,
                              .not_before = CERT_NOW - YEAR,
                              .not_after = CERT_NOW + YEAR,
                              .ca = -1,
                              .path_len = -1,
                              .key_usage = -1};
}

struct cert_spec cert_ca(const char *subject, size_t key, const char *issuer, size_t signer) {
    struct cert_spec spec = common(subject, key, issuer, signer);
    spec.ca = 1;
    spec.key_usage = 0x06;
    return spec;
}

struct cert_spec cert_leaf(const char *subject, size_t key, const char *issuer, size_t signer) {
    struct cert_spec spec = common(subject, key, issuer, signer);
    spec.key_usage = 0x80;
    return spec;
}

struct bytes cert_extension(struct bytes oid, bool critical, struct bytes value) {
    uint8_t buffer[SLOT_SIZE];
    struct writer w = writer_of(buffer, sizeof buffer);
    x509_write_extension(&w, oid, critical, value);
    need(!w.overflow, "too long an extension");
    return keep(writer_bytes(&w));
}

static void write_name(struct writer *w, const char *common_name) {
    if (common_name == NULL) {
        der_write(w, DER_SEQUENCE, bytes_of(NULL, 0));
    } else {
        x509_write_subject(w, &(struct x509_subject){.common_name = common_name});
    }
}

static void write_attribute(struct writer *w, struct bytes oid, const char *value) {
    size_t pair = der_open(w, DER_SEQUENCE);
    der_write(w, DER_OID, oid);
    der_write(w, DER_UTF8_STRING, bytes_of_text(value));
    der_close(w, pair);
}

struct bytes cert_name_of_two(const char *common_name, const char *organization, bool sorted) {
    uint8_t buffer[512], one[256], two[256];
    struct writer w = writer_of(buffer, sizeof buffer), a = writer_of(one, sizeof one),
                  b = writer_of(two, sizeof two);
    write_attribute(&a, DER_OID_OF(OID_COMMON_NAME), common_name);
    write_attribute(&b, DER_OID_OF("\x55\x04\x0A"), organization);
    bool a_first = memcmp(one, two, a.len < b.len ? a.len : b.len) < 0;
    size_t name = der_open(&w, DER_SEQUENCE), set = der_open(&w, DER_SET);
    write_bytes(&w, writer_bytes(a_first == sorted ? &a : &b));
    write_bytes(&w, writer_bytes(a_first == sorted ? &b : &a));
    der_close(&w, set);
    der_close(&w, name);
    need(!w.overflow && !a.overflow && !b.overflow, "too long a name");
    return keep(writer_bytes(&w));
}

struct bytes cert_oaep_spki(size_t key, struct bytes parameters) {
    uint8_t plain[KEY_SPKI_MAX], buffer[KEY_SPKI_MAX + 256];
    struct writer p = writer_of(plain, sizeof plain), w = writer_of(buffer, sizeof buffer);
    struct public_key public;
    struct bytes fields = {0}, algorithm = {0}, bits = {0}, in;
    private_key_public(cert_key(key), &public);
    need(public_key_to_spki(&p, &public) == STATUS_OK, "no key");
    in = writer_bytes(&p);
    need(der_take(&in, DER_SEQUENCE, &fields) == STATUS_OK &&
             der_take(&fields, DER_SEQUENCE, &algorithm) == STATUS_OK &&
             der_take_bits(&fields, &bits) == STATUS_OK,
         "no SubjectPublicKeyInfo");
    size_t outer = der_open(&w, DER_SEQUENCE), inner = der_open(&w, DER_SEQUENCE);
    der_write(&w, DER_OID, DER_OID_OF(OID_RSA_OAEP));
    write_bytes(&w, parameters);
    der_close(&w, inner);
    der_write_bits(&w, bits);
    der_close(&w, outer);
    need(!w.overflow, "too long a key");
    return keep(writer_bytes(&w));
}

static void write_basic_constraints(struct writer *w, const struct cert_spec *spec) {
    static const uint8_t yes = 0xFF;
    uint8_t buffer[16];
    struct writer value = writer_of(buffer, sizeof buffer);
    if (spec->ca < 0) {
        return;
    }
    size_t mark = der_open(&value, DER_SEQUENCE);
    if (spec->ca == 1) {
        der_write(&value, DER_BOOLEAN, bytes_of(&yes, 1));
    }
    if (spec->path_len >= 0) {
        der_write_u32(&value, (uint32_t)spec->path_len);
    }
    der_close(&value, mark);
    x509_write_extension(w, DER_OID_OF(OID_BASIC_CONSTRAINTS), true, writer_bytes(&value));
}

static void write_key_usage(struct writer *w, int usage) {
    uint8_t buffer[8], bits = (uint8_t)usage;
    struct writer value = writer_of(buffer, sizeof buffer);
    if (usage >= 0) {
        der_write_bits(&value, bytes_of(&bits, 1));
        x509_write_extension(w, DER_OID_OF(OID_KEY_USAGE), true, writer_bytes(&value));
    }
}

static void write_wrapped(struct writer *w, struct bytes oid, bool critical, unsigned outer,
                          unsigned inner, struct bytes content) {
    uint8_t buffer[1024];
    struct writer value = writer_of(buffer, sizeof buffer);
    size_t mark = outer == 0 ? 0 : der_open(&value, outer);
    if (inner == 0) {
        write_bytes(&value, content);
    } else {
        der_write(&value, inner, content);
    }
    if (outer != 0) {
        der_close(&value, mark);
    }
    need(!value.overflow, "too long an extension");
    x509_write_extension(w, oid, critical, writer_bytes(&value));
}

static void write_extensions(struct writer *w, const struct cert_spec *spec) {
    size_t explicit = der_open(w, DER_CONTEXT_CONSTRUCTED | 3), list = der_open(w, DER_SEQUENCE);
    write_basic_constraints(w, spec);
    write_key_usage(w, spec->key_usage);
    if (spec->key_id != NULL) {
        write_wrapped(w, DER_OID_OF(OID_SUBJECT_KEY_ID), false, 0, DER_OCTET_STRING,
                      bytes_of_text(spec->key_id));
    }
    if (spec->authority_id != NULL) {
        write_wrapped(w, DER_OID_OF(OID_AUTHORITY_KEY_ID), false, DER_SEQUENCE, DER_CONTEXT,
                      bytes_of_text(spec->authority_id));
    }
    if (spec->extended_key_usage.len > 0) {
        write_wrapped(w, DER_OID_OF(OID_EXTENDED_KEY_USAGE), false, DER_SEQUENCE, DER_OID,
                      spec->extended_key_usage);
    }
    if (spec->subject_alt_name.len > 0) {
        write_wrapped(w, DER_OID_OF(OID_SUBJECT_ALT_NAME), spec->subject_alt_name_critical,
                      DER_SEQUENCE, 0, spec->subject_alt_name);
    }
    for (size_t i = 0; i < CERT_EXTRAS; i++) {
        write_bytes(w, spec->extra[i]);
    }
    der_close(w, list);
    der_close(w, explicit);
}

static void write_validity(struct writer *w, const struct cert_spec *spec) {
    if (spec->validity.len > 0) {
        write_bytes(w, spec->validity);
        return;
    }
    size_t mark = der_open(w, DER_SEQUENCE);
    der_write_time(w, spec->not_before);
    der_write_time(w, spec->not_after);
    der_close(w, mark);
}

static void write_algorithm(struct writer *w, const struct cert_spec *spec,
                            struct bytes algorithm) {
    if (algorithm.len > 0) {
        write_bytes(w, algorithm);
    } else {
        x509_write_algorithm(w, cert_key(spec->signer));
    }
}

static void write_tbs(struct writer *w, const struct cert_spec *spec) {
    static const uint8_t one = 1;
    struct public_key key;
    size_t tbs = der_open(w, DER_SEQUENCE);
    if (!spec->no_extensions) {
        size_t version = der_open(w, DER_CONTEXT_CONSTRUCTED | 0);
        der_write_u32(w, 2);
        der_close(w, version);
    }
    der_write(w, DER_INTEGER, spec->serial.len > 0 ? spec->serial : bytes_of(&one, 1));
    write_algorithm(w, spec, spec->inner_algorithm);
    if (spec->issuer_name.len > 0) {
        write_bytes(w, spec->issuer_name);
    } else {
        write_name(w, spec->issuer);
    }
    write_validity(w, spec);
    if (spec->subject_name.len > 0) {
        write_bytes(w, spec->subject_name);
    } else {
        write_name(w, spec->subject);
    }
    if (spec->spki.len > 0) {
        write_bytes(w, spec->spki);
    } else {
        private_key_public(cert_key(spec->key), &key);
        need(public_key_to_spki(w, &key) == STATUS_OK, "no key");
    }
    if (!spec->no_extensions) {
        write_extensions(w, spec);
    }
    der_close(w, tbs);
}

struct bytes cert_make(const struct cert_spec *spec) {
    uint8_t tbs_buffer[SLOT_SIZE], buffer[SLOT_SIZE], signature_buffer[KEY_SIGNATURE_MAX];
    struct writer tbs = writer_of(tbs_buffer, sizeof tbs_buffer),
                  w = writer_of(buffer, sizeof buffer);
    struct writer signature = writer_of(signature_buffer, sizeof signature_buffer);
    write_tbs(&tbs, spec);
    need(private_key_sign(cert_key(spec->signer), &signature, writer_bytes(&tbs)) == STATUS_OK,
         "not signed");
    size_t mark = der_open(&w, DER_SEQUENCE);
    write_bytes(&w, writer_bytes(&tbs));
    write_algorithm(&w, spec,
                    spec->outer_algorithm.len > 0 ? spec->outer_algorithm : spec->inner_algorithm);
    der_write_bits(&w, writer_bytes(&signature));
    der_close(&w, mark);
    need(!w.overflow && !tbs.overflow, "too long");
    return keep(writer_bytes(&w));
}

struct bytes cert_pem(struct arena *arena, const struct bytes *der, size_t num) {
    char *all = arena_text(arena, "");
    for (size_t i = 0; i < num; i++) {
        char *one = certificate_to_pem(arena, der[i]);
        need(one != NULL, "no PEM");
        all = arena_printf(arena, "%s%s", all, one);
    }
    need(all != NULL, "no PEM");
    return bytes_of_text(all);
}

struct bytes cert_trusted_pem(struct arena *arena, const struct bytes *der, size_t num) {
    static const char mark[] = "CERTIFICATE-----";
    const char *rest = (const char *)cert_pem(arena, der, num).data;
    char *all = arena_text(arena, "");
    for (const char *at = strstr(rest, mark); at != NULL; at = strstr(rest, mark)) {
        all = arena_printf(arena, "%s%.*sTRUSTED %s", all, (int)(at - rest), rest, mark);
        rest = at + sizeof mark - 1;
    }
    all = arena_printf(arena, "%s%s", all, rest);
    need(all != NULL, "no PEM");
    return bytes_of_text(all);
}

struct bytes cert_exact(struct bytes in) {
    uint8_t *copy = malloc(in.len > 0 ? in.len : 1);
    need(copy != NULL, "no memory");
    if (in.len > 0) {
        memcpy(copy, in.data, in.len);
    }
    return bytes_of(copy, in.len);
}

uint8_t *cert_writable(struct bytes exact) {
    uint8_t *data;
    memcpy(&data, &exact.data, sizeof data);
    return data;
}

void cert_drop(struct bytes in) {
    free(cert_writable(in));
}
