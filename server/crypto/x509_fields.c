#include "server/crypto/x509_fields.h"

#include "server/crypto/der.h"
#include "server/crypto/oid.h"

#include <string.h>

enum { EXTENSIONS_MAX = 32, SERIAL_CONTENT_MAX = 21, OIDS_MAX = 64, NAMES_MAX = 64 };
/* Bits 6, 5 and 0, counted from the most significant one. */
enum { KEY_USAGE_CRL_SIGN = 0x02, KEY_USAGE_CERT_SIGN = 0x04, KEY_USAGE_DIGITAL_SIGNATURE = 0x80 };
enum { VERSION_3 = 2 };

static enum status read_basic_constraints(struct x509_fields *out, struct bytes value) {
    struct bytes fields;
    if (der_take(&value, DER_SEQUENCE, &fields) != STATUS_OK || value.len != 0) {
        return STATUS_MALFORMED;
    }
    if (fields.len > 0 && fields.data[0] == DER_BOOLEAN &&
        der_take_boolean(&fields, &out->is_ca) != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    if (fields.len > 0) {
        out->has_path_len = true;
        if (der_take_u32(&fields, &out->path_len) != STATUS_OK) {
            return STATUS_MALFORMED;
        }
    }
    return fields.len == 0 ? STATUS_OK : STATUS_MALFORMED;
}

static enum status read_key_usage(struct x509_fields *out, struct bytes value) {
    struct bytes bits;
    uint8_t unused, first;
    if (der_take(&value, DER_BIT_STRING, &bits) != STATUS_OK || value.len != 0 ||
        bytes_u8(&bits, &unused) != STATUS_OK || unused > 7 ||
        bytes_u8(&bits, &first) != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    out->has_key_usage = true;
    out->may_sign_certificates = (first & KEY_USAGE_CERT_SIGN) != 0;
    out->may_sign = (first & KEY_USAGE_DIGITAL_SIGNATURE) != 0;
    out->may_sign_lists = (first & KEY_USAGE_CRL_SIGN) != 0;
    return STATUS_OK;
}

static enum status read_extended_key_usage(struct x509_fields *out, struct bytes value) {
    struct bytes oids, oid;
    if (der_take(&value, DER_SEQUENCE, &oids) != STATUS_OK || value.len != 0 || oids.len == 0) {
        return STATUS_MALFORMED;
    }
    out->extended_key_usage = oids;
    for (int i = 0; oids.len > 0; i++) {
        if (i == OIDS_MAX || der_take(&oids, DER_OID, &oid) != STATUS_OK) {
            return STATUS_MALFORMED;
        }
    }
    return STATUS_OK;
}

static enum status read_subject_alt_name(struct x509_fields *out, struct bytes value) {
    struct bytes names, name;
    unsigned tag;
    if (der_take(&value, DER_SEQUENCE, &names) != STATUS_OK || value.len != 0 || names.len == 0) {
        return STATUS_MALFORMED;
    }
    out->subject_alt_name = names;
    for (int i = 0; names.len > 0; i++) {
        if (i == NAMES_MAX || der_any(&names, &tag, &name) != STATUS_OK) {
            return STATUS_MALFORMED;
        }
    }
    return STATUS_OK;
}

static enum status read_subject_key_id(struct x509_fields *out, struct bytes value) {
    if (der_take(&value, DER_OCTET_STRING, &out->subject_key_id) != STATUS_OK || value.len != 0) {
        return STATUS_MALFORMED;
    }
    return STATUS_OK;
}

static enum status read_authority_key_id(struct x509_fields *out, struct bytes value) {
    struct bytes fields;
    bool present;
    if (der_take(&value, DER_SEQUENCE, &fields) != STATUS_OK || value.len != 0) {
        return STATUS_MALFORMED;
    }
    return der_take_optional(&fields, DER_CONTEXT | 0, &present, &out->authority_key_id);
}

/* Present is enough: issuers that have it are refused. */
static enum status read_name_constraints(struct x509_fields *out, struct bytes value) {
    (void)value;
    out->has_name_constraints = true;
    return STATUS_OK;
}

/* We require no policy, so any will do (RFC 5280 6.1.1 c, with policyConstraints refused when
 * critical). */
static enum status read_policies(struct x509_fields *out, struct bytes value) {
    struct bytes policies;
    (void)out;
    return der_take(&value, DER_SEQUENCE, &policies) == STATUS_OK && value.len == 0
               ? STATUS_OK
               : STATUS_MALFORMED;
}

struct extension {
    const char *oid;
    size_t oid_len;
    const char *name;
    enum status (*read)(struct x509_fields *out, struct bytes value);
};

#define EXTENSION(oid, name, read) {oid, sizeof(oid) - 1, name, read}
static const struct extension extensions[] = {
    EXTENSION(OID_BASIC_CONSTRAINTS, "basicConstraints", read_basic_constraints),
    EXTENSION(OID_KEY_USAGE, "keyUsage", read_key_usage),
    EXTENSION(OID_EXTENDED_KEY_USAGE, "extKeyUsage", read_extended_key_usage),
    EXTENSION(OID_SUBJECT_ALT_NAME, "subjectAltName", read_subject_alt_name),
    EXTENSION(OID_SUBJECT_KEY_ID, "subjectKeyIdentifier", read_subject_key_id),
    EXTENSION(OID_AUTHORITY_KEY_ID, "authorityKeyIdentifier", read_authority_key_id),
    EXTENSION(OID_NAME_CONSTRAINTS, "nameConstraints", read_name_constraints),
    EXTENSION(OID_CERTIFICATE_POLICIES, "certificatePolicies", read_policies),
};
enum { NUM_EXTENSIONS = sizeof extensions / sizeof extensions[0] };

/* Extension ::= SEQUENCE { extnID, critical DEFAULT FALSE, extnValue OCTET STRING } */
static enum status read_extension(struct x509_fields *out, struct bytes *in, struct bytes *oid,
                                  struct detail *detail) {
    struct bytes fields, value;
    bool critical = false;
    if (der_take(in, DER_SEQUENCE, &fields) != STATUS_OK ||
        der_take(&fields, DER_OID, oid) != STATUS_OK ||
        (fields.len > 0 && fields.data[0] == DER_BOOLEAN &&
         der_take_boolean(&fields, &critical) != STATUS_OK) ||
        der_take(&fields, DER_OCTET_STRING, &value) != STATUS_OK || fields.len != 0) {
        return status_fail(detail, STATUS_MALFORMED, "an extension is malformed");
    }
    for (size_t i = 0; i < NUM_EXTENSIONS; i++) {
        const struct extension *known = &extensions[i];
        if (!bytes_equal(*oid, bytes_of(known->oid, known->oid_len))) {
            continue;
        }
        if (known->read(out, value) != STATUS_OK) {
            return status_fail(detail, STATUS_MALFORMED, "the extension %s is malformed",
                               known->name);
        }
        out->subject_alt_name_critical |= critical && known->read == read_subject_alt_name;
        return STATUS_OK;
    }
    if (critical && out->unknown_critical.len == 0) {
        out->unknown_critical = *oid;
    }
    return STATUS_OK;
}

static enum status read_extensions(struct x509_fields *out, struct bytes explicit,
                                   struct detail *detail) {
    struct bytes list, seen[EXTENSIONS_MAX];
    if (der_take(&explicit, DER_SEQUENCE, &list) != STATUS_OK || explicit.len != 0 ||
        list.len == 0) {
        return status_fail(detail, STATUS_MALFORMED, "the extensions are malformed");
    }
    for (size_t num = 0; list.len > 0; num++) {
        if (num == EXTENSIONS_MAX) {
            return status_fail(detail, STATUS_LIMIT, "more than %d extensions", EXTENSIONS_MAX);
        }
        enum status status = read_extension(out, &list, &seen[num], detail);
        if (status != STATUS_OK) {
            return status;
        }
        for (size_t i = 0; i < num; i++) {
            if (bytes_equal(seen[i], seen[num])) {
                return status_fail(detail, STATUS_MALFORMED, "an extension occurs twice");
            }
        }
    }
    return STATUS_OK;
}

static enum status read_version(struct bytes *tbs, uint32_t *version) {
    struct bytes explicit;
    bool present;
    *version = 0;
    if (der_take_optional(tbs, DER_CONTEXT_CONSTRUCTED | 0, &present, &explicit) != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    if (!present) {
        return STATUS_OK;
    }
    return der_take_u32(&explicit, version) == STATUS_OK && explicit.len == 0 &&
                   *version <= VERSION_3
               ? STATUS_OK
               : STATUS_MALFORMED;
}

static enum status read_validity(struct x509_fields *out, struct bytes *tbs) {
    struct bytes fields;
    if (der_take(tbs, DER_SEQUENCE, &fields) != STATUS_OK ||
        der_take_time(&fields, &out->not_before) != STATUS_OK ||
        der_take_time(&fields, &out->not_after) != STATUS_OK || fields.len != 0) {
        return STATUS_MALFORMED;
    }
    return STATUS_OK;
}

static void note_departure(struct x509_fields *out, const char *what) {
    if (out->departure == NULL) {
        out->departure = what;
    }
}

static void check_serial(struct x509_fields *out) {
    struct bytes s = out->serial;
    if (s.data[0] >= 0x80) {
        note_departure(out, "its serial number is negative");
    } else if (s.len > 1 && s.data[0] == 0 && s.data[1] < 0x80) {
        note_departure(out, "its serial number is not in its shortest form");
    }
}

/* X.690 11.6: the shorter one as if zero bytes followed. No element is a prefix of another but
 * where the two are the same. */
static bool is_sorted(struct bytes before, struct bytes after) {
    size_t len = before.len < after.len ? before.len : after.len;
    int order = memcmp(before.data, after.data, len);
    return order < 0 || (order == 0 && before.len <= after.len);
}

/* RelativeDistinguishedName ::= SET OF SEQUENCE. Other trouble in a name is none of ours: it is
 * compared as bytes. */
static void check_name(struct x509_fields *out, struct bytes name) {
    struct bytes sets, set;
    if (der_take(&name, DER_SEQUENCE, &sets) != STATUS_OK) {
        return;
    }
    while (sets.len > 0 && der_take(&sets, DER_SET, &set) == STATUS_OK) {
        struct bytes before = {NULL, 0}, pair;
        while (set.len > 0 && der_take_whole(&set, DER_SEQUENCE, &pair) == STATUS_OK) {
            if (before.len > 0 && !is_sorted(before, pair)) {
                note_departure(out, "a SET in a name is not sorted");
            }
            before = pair;
        }
    }
}

static enum status read_tbs(struct x509_fields *out, struct bytes whole, struct detail *detail) {
    struct bytes tbs, algorithm, unique_id, explicit;
    uint32_t version;
    bool present;
    if (der_take(&whole, DER_SEQUENCE, &tbs) != STATUS_OK ||
        read_version(&tbs, &version) != STATUS_OK) {
        return status_fail(detail, STATUS_MALFORMED, "the certificate's version is malformed");
    }
    if (der_take(&tbs, DER_INTEGER, &out->serial) != STATUS_OK || out->serial.len == 0 ||
        out->serial.len > SERIAL_CONTENT_MAX) {
        return status_fail(detail, STATUS_MALFORMED,
                           "the serial number is malformed or over 20 bytes");
    }
    check_serial(out);
    if (der_take_whole(&tbs, DER_SEQUENCE, &algorithm) != STATUS_OK ||
        !bytes_equal(algorithm, out->signature_algorithm)) {
        return status_fail(detail, STATUS_MALFORMED, "the two signature algorithms differ");
    }
    if (der_take_whole(&tbs, DER_SEQUENCE, &out->issuer) != STATUS_OK ||
        read_validity(out, &tbs) != STATUS_OK ||
        der_take_whole(&tbs, DER_SEQUENCE, &out->subject) != STATUS_OK) {
        return status_fail(detail, STATUS_MALFORMED, "issuer, validity or subject is malformed");
    }
    check_name(out, out->issuer);
    check_name(out, out->subject);
    if (der_take_whole(&tbs, DER_SEQUENCE, &out->spki) != STATUS_OK ||
        der_take_optional(&tbs, DER_CONTEXT | 1, &present, &unique_id) != STATUS_OK ||
        der_take_optional(&tbs, DER_CONTEXT | 2, &present, &unique_id) != STATUS_OK ||
        der_take_optional(&tbs, DER_CONTEXT_CONSTRUCTED | 3, &present, &explicit) != STATUS_OK ||
        tbs.len != 0 || (present && version != VERSION_3)) {
        return status_fail(detail, STATUS_MALFORMED, "the certificate's end is malformed");
    }
    return present ? read_extensions(out, explicit, detail) : STATUS_OK;
}

enum status x509_read(struct x509_fields *out, struct bytes der, struct detail *detail) {
    struct x509_fields found = {.der = der};
    struct bytes fields;
    enum status status = der_take(&der, DER_SEQUENCE, &fields);
    if (status != STATUS_OK) {
        return status_fail(detail, status, "not one DER SEQUENCE");
    }
    if (der.len != 0) {
        return status_fail(detail, STATUS_MALFORMED, "%zu bytes follow the certificate", der.len);
    }
    if (der_take_whole(&fields, DER_SEQUENCE, &found.tbs) != STATUS_OK ||
        der_take_whole(&fields, DER_SEQUENCE, &found.signature_algorithm) != STATUS_OK ||
        der_take_bits(&fields, &found.signature) != STATUS_OK || fields.len != 0) {
        return status_fail(detail, STATUS_MALFORMED, "the certificate is malformed");
    }
    status = read_tbs(&found, found.tbs, detail);
    if (status == STATUS_OK) {
        *out = found;
    }
    return status;
}

/* Whether each element of `a` stands in `b` as often. */
static bool same_elements(struct bytes a, struct bytes b) {
    struct bytes rest = a, wanted, other;
    for (int i = 0; rest.len > 0; i++) {
        if (i == NAMES_MAX || der_take_whole(&rest, DER_SEQUENCE, &wanted) != STATUS_OK) {
            return false;
        }
        size_t in_a = 0, in_b = 0;
        for (struct bytes all = a; der_take_whole(&all, DER_SEQUENCE, &other) == STATUS_OK;) {
            in_a += bytes_equal(wanted, other);
        }
        for (struct bytes all = b; der_take_whole(&all, DER_SEQUENCE, &other) == STATUS_OK;) {
            in_b += bytes_equal(wanted, other);
        }
        if (in_a != in_b) {
            return false;
        }
    }
    return true;
}

bool x509_name_equal(struct bytes a, struct bytes b, bool any_order) {
    struct bytes sets_a, sets_b, set_a, set_b;
    if (bytes_equal(a, b) || !any_order || a.len != b.len) {
        return bytes_equal(a, b);
    }
    if (der_take(&a, DER_SEQUENCE, &sets_a) != STATUS_OK ||
        der_take(&b, DER_SEQUENCE, &sets_b) != STATUS_OK) {
        return false;
    }
    while (sets_a.len > 0) {
        if (der_take(&sets_a, DER_SET, &set_a) != STATUS_OK ||
            der_take(&sets_b, DER_SET, &set_b) != STATUS_OK || set_a.len != set_b.len ||
            !same_elements(set_a, set_b)) {
            return false;
        }
    }
    return sets_b.len == 0;
}

struct attribute {
    const char *oid;
    const char *name;
};

static const struct attribute attributes[] = {
    {"2.5.4.3", "CN"},
    {"2.5.4.5", "serialNumber"},
    {"2.5.4.6", "C"},
    {"2.5.4.7", "L"},
    {"2.5.4.8", "ST"},
    {"2.5.4.10", "O"},
    {"2.5.4.11", "OU"},
    {"2.5.4.12", "title"},
    {"0.9.2342.19200300.100.1.25", "DC"},
    {"1.2.840.113549.1.9.1", "emailAddress"},
};

static void append(char *out, size_t cap, const char *text) {
    size_t used = strlen(out);
    for (; *text != '\0' && used + 1 < cap; text++) {
        out[used++] = *text;
    }
    out[used] = '\0';
}

static void append_value(char *out, size_t cap, unsigned tag, struct bytes value) {
    char one[3] = {0};
    for (size_t i = tag == DER_BMP_STRING ? 1 : 0; i < value.len;
         i += tag == DER_BMP_STRING ? 2 : 1) {
        char c = (char)value.data[i];
        bool special = c == ',' || c == '+' || c == '\\' || c == '=';
        one[0] = special ? '\\' : c < 0x20 || c > 0x7E ? '?' : c;
        one[1] = special ? c : '\0';
        append(out, cap, one);
    }
}

/* Name ::= SEQUENCE OF SET OF SEQUENCE { type OID, value ANY } */
void x509_name_text(char *out, size_t cap, struct bytes name) {
    struct bytes sets, set, pair, oid, value;
    unsigned tag;
    out[0] = '\0';
    if (der_take(&name, DER_SEQUENCE, &sets) != STATUS_OK) {
        return;
    }
    while (sets.len > 0 && der_take(&sets, DER_SET, &set) == STATUS_OK) {
        const char *separator = out[0] == '\0' ? "" : ", ";
        while (set.len > 0 && der_take(&set, DER_SEQUENCE, &pair) == STATUS_OK) {
            if (der_take(&pair, DER_OID, &oid) != STATUS_OK ||
                der_any(&pair, &tag, &value) != STATUS_OK) {
                return;
            }
            char text[64];
            der_oid_text(text, sizeof text, oid);
            const char *label = text;
            for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++) {
                label = strcmp(attributes[i].oid, text) == 0 ? attributes[i].name : label;
            }
            append(out, cap, separator);
            append(out, cap, label);
            append(out, cap, "=");
            append_value(out, cap, tag, value);
            separator = " + ";
        }
    }
}
