#include "server/credential/profile.h"

#include "server/base/encoding.h"
#include "server/credential/profile_revocation.h"
#include "server/crypto/der.h"
#include "server/crypto/oid.h"
#include "server/crypto/x509_write.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR };
enum { AUTHORITY_RAW_ID_LEN = 8 };
enum { COMMON_NAME_MAX = 64, DNS_NAME_MAX = 253, TRUST_DOMAIN_MAX = 128, DEVICE_ID_LEN = 32 };
/* keyUsage, first byte: bit 0 is the most significant. */
enum { USAGE_DIGITAL_SIGNATURE = 0x80, USAGE_CERT_SIGN = 0x04, USAGE_CRL_SIGN = 0x02 };
enum { SAN_DNS = DER_CONTEXT | 2, SAN_URI = DER_CONTEXT | 6, SAN_ADDRESS = DER_CONTEXT | 7 };

/* What sets one profile apart from another. */
struct rules {
    const char *name;
    const char *extended_usage; /* an encoded OID; NULL for authorities */
    size_t extended_usage_len;
    const char *uri_path; /* between trust domain and device id; NULL: no SAN URI */
    int64_t lifetime_min, lifetime_max;
    uint8_t usage;
    bool is_ca, has_host_names, is_responder;
};

static const struct rules profiles[] = {
    [PROFILE_IDENTITY] = {.name = "identity",
                          .extended_usage = OID_CLIENT_AUTH,
                          .extended_usage_len = sizeof OID_CLIENT_AUTH - 1,
                          .uri_path = "/identity/",
                          .lifetime_min = 5 * MINUTE,
                          .lifetime_max = 400 * (int64_t)DAY,
                          .usage = USAGE_DIGITAL_SIGNATURE},
    [PROFILE_ACCESS] = {.name = "access",
                        .extended_usage = OID_CLIENT_AUTH,
                        .extended_usage_len = sizeof OID_CLIENT_AUTH - 1,
                        .uri_path = "/device/",
                        .lifetime_min = 5 * MINUTE,
                        .lifetime_max = 24 * HOUR,
                        .usage = USAGE_DIGITAL_SIGNATURE},
    [PROFILE_CA] = {.name = "ca",
                    .lifetime_min = HOUR,
                    .lifetime_max = 20 * 366 * (int64_t)DAY,
                    .usage = USAGE_CERT_SIGN | USAGE_CRL_SIGN,
                    .is_ca = true},
    [PROFILE_SERVER] = {.name = "server",
                        .extended_usage = OID_SERVER_AUTH,
                        .extended_usage_len = sizeof OID_SERVER_AUTH - 1,
                        .lifetime_min = 5 * MINUTE,
                        .lifetime_max = 825 * (int64_t)DAY,
                        .usage = USAGE_DIGITAL_SIGNATURE,
                        .has_host_names = true},
    [PROFILE_CLIENT] = {.name = "client",
                        .extended_usage = OID_CLIENT_AUTH,
                        .extended_usage_len = sizeof OID_CLIENT_AUTH - 1,
                        .lifetime_min = 5 * MINUTE,
                        .lifetime_max = 825 * (int64_t)DAY,
                        .usage = USAGE_DIGITAL_SIGNATURE},
    [PROFILE_OCSP] = {.name = "ocsp",
                      .extended_usage = OID_OCSP_SIGNING,
                      .extended_usage_len = sizeof OID_OCSP_SIGNING - 1,
                      .lifetime_min = MINUTE,
                      .lifetime_max = 8 * (int64_t)DAY,
                      .usage = USAGE_DIGITAL_SIGNATURE,
                      .is_responder = true},
};
enum { NUM_PROFILES = sizeof profiles / sizeof profiles[0] };

const char *profile_name(enum profile profile) {
    return (size_t)profile < NUM_PROFILES ? profiles[profile].name : "unknown";
}

/* --- names ---------------------------------------------------------------------------------- */

static bool only_of(const char *text, size_t len, const char *alphabet) {
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\0' || strchr(alphabet, text[i]) == NULL) {
            return false;
        }
    }
    return true;
}

enum status profile_san_uri(char out[static X509_SAN_URI_MAX], enum profile profile,
                            const char *trust_domain, const char *device_id,
                            struct detail *detail) {
    size_t domain_len = strnlen(trust_domain, TRUST_DOMAIN_MAX + 1);
    if ((size_t)profile >= NUM_PROFILES || profiles[profile].uri_path == NULL) {
        return status_fail(detail, STATUS_INVALID, "no SAN URI belongs to the profile %s",
                           profile_name(profile));
    }
    if (domain_len == 0 || domain_len > TRUST_DOMAIN_MAX ||
        !only_of(trust_domain, domain_len, "abcdefghijklmnopqrstuvwxyz0123456789-._")) {
        return status_fail(detail, STATUS_INVALID,
                           "the trust domain is not of [a-z0-9._-], at most %d", TRUST_DOMAIN_MAX);
    }
    if (strnlen(device_id, DEVICE_ID_LEN + 1) != DEVICE_ID_LEN ||
        !only_of(device_id, DEVICE_ID_LEN, "0123456789abcdef")) {
        return status_fail(detail, STATUS_INVALID, "the device id is not 32 lower-case hex digits");
    }
    (void)snprintf(out, X509_SAN_URI_MAX, "spiffe://%s%s%s", trust_domain,
                   profiles[profile].uri_path, device_id);
    return STATUS_OK;
}

/* Takes the URI apart, builds the one that its parts must give, and compares. */
static enum status check_san_uri(const struct certificate_request *request, struct detail *detail) {
    static const char scheme[] = "spiffe://";
    char domain[TRUST_DOMAIN_MAX + 1], expected[X509_SAN_URI_MAX];
    const struct rules *rules = &profiles[request->profile];
    if (rules->uri_path == NULL) {
        return request->san_uri == NULL
                   ? STATUS_OK
                   : status_fail(detail, STATUS_INVALID, "a SAN URI is not for it");
    }
    if (request->san_uri == NULL || strncmp(request->san_uri, scheme, sizeof scheme - 1) != 0) {
        return status_fail(detail, STATUS_INVALID, "its SAN URI is missing, or no spiffe URI");
    }
    const char *rest = request->san_uri + sizeof scheme - 1;
    size_t domain_len = strcspn(rest, "/");
    size_t path_len = strlen(rules->uri_path);
    if (domain_len >= sizeof domain || strncmp(rest + domain_len, rules->uri_path, path_len) != 0) {
        return status_fail(detail, STATUS_INVALID,
                           "its SAN URI is not spiffe://<trust domain>%s<device id>",
                           rules->uri_path);
    }
    memcpy(domain, rest, domain_len);
    domain[domain_len] = '\0';
    enum status status =
        profile_san_uri(expected, request->profile, domain, rest + domain_len + path_len, detail);
    if (status == STATUS_OK && strcmp(expected, request->san_uri) != 0) {
        return status_fail(detail, STATUS_INVALID, "its SAN URI is not in the one form");
    }
    return status;
}

bool profile_tier_is_known(const char *tier) {
    static const char *const tiers[] = {"measured", "verified_boot", "identified"};
    for (size_t i = 0; i < sizeof tiers / sizeof tiers[0]; i++) {
        if (strcmp(tiers[i], tier) == 0) {
            return true;
        }
    }
    return false;
}

bool profile_segment_is_valid(const char *segment) {
    size_t len = strnlen(segment, SEGMENT_MAX + 1);
    return len > 0 && len <= SEGMENT_MAX &&
           only_of(segment, len, "abcdefghijklmnopqrstuvwxyz0123456789-._");
}

/* What an access credential was given for stands in it; in no other. */
static enum status check_standing(const struct certificate_request *request,
                                  struct detail *detail) {
    if (request->profile != PROFILE_ACCESS) {
        return request->tier == NULL && request->segment == NULL
                   ? STATUS_OK
                   : status_fail(detail, STATUS_INVALID, "tier and segment are not for it");
    }
    if (request->tier == NULL || !profile_tier_is_known(request->tier)) {
        return status_fail(detail, STATUS_INVALID, "its tier is none that earns it");
    }
    if (request->segment != NULL && !profile_segment_is_valid(request->segment)) {
        return status_fail(detail, STATUS_INVALID, "its segment is not of [a-z0-9._-], at most %d",
                           SEGMENT_MAX);
    }
    return STATUS_OK;
}

/* UTF-8 (RFC 3629) without control characters: the length of the sequence at `text`, or 0. */
static size_t utf8_sequence(const unsigned char *text) {
    static const struct {
        uint8_t lead_min, lead_max, second_min, second_max, len;
    } forms[] = {{0x20, 0x7E, 0, 0, 1},       {0xC2, 0xC2, 0xA0, 0xBF, 2},
                 {0xC3, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
                 {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3},
                 {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
                 {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4}};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (text[0] < forms[i].lead_min || text[0] > forms[i].lead_max) {
            continue;
        }
        if (forms[i].len > 1 && (text[1] < forms[i].second_min || text[1] > forms[i].second_max)) {
            return 0;
        }
        for (size_t k = 2; k < forms[i].len; k++) {
            if ((text[k] & 0xC0) != 0x80) {
                return 0;
            }
        }
        return forms[i].len;
    }
    return 0;
}

static enum status check_common_name(const char *name, struct detail *detail) {
    size_t len = name == NULL ? 0 : strnlen(name, COMMON_NAME_MAX + 1), step;
    if (len == 0 || len > COMMON_NAME_MAX) {
        return status_fail(detail, STATUS_INVALID, "its common name is not of 1 to %d bytes",
                           COMMON_NAME_MAX);
    }
    for (size_t i = 0; i < len; i += step) {
        step = utf8_sequence((const unsigned char *)name + i);
        if (step == 0) {
            return status_fail(detail, STATUS_INVALID, "its common name is not printable UTF-8");
        }
    }
    return STATUS_OK;
}

/* Letters, digits and hyphens in labels of 1 to 63 (RFC 5890 LDH); "*" only as the first label. */
static bool is_dns_name(const char *name) {
    const char *rest = strncmp(name, "*.", 2) == 0 ? name + 2 : name;
    if (strnlen(name, DNS_NAME_MAX + 1) > DNS_NAME_MAX) {
        return false;
    }
    for (;;) {
        size_t len = strcspn(rest, ".");
        if (len == 0 || len > 63 || rest[0] == '-' || rest[len - 1] == '-' ||
            !only_of(rest, len,
                     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")) {
            return false;
        }
        if (rest[len] == '\0') {
            return true;
        }
        rest += len + 1;
    }
}

static size_t read_address(uint8_t out[static 16], const char *text) {
    if (inet_pton(AF_INET, text, out) == 1) {
        return 4;
    }
    return inet_pton(AF_INET6, text, out) == 1 ? 16 : 0;
}

static enum status check_host_names(const struct certificate_request *request,
                                    struct detail *detail) {
    const struct rules *rules = &profiles[request->profile];
    uint8_t address[16];
    size_t num = 0;
    while (num < PROFILE_MAX_SANS && request->san[num] != NULL) {
        if (read_address(address, request->san[num]) == 0 && !is_dns_name(request->san[num])) {
            return status_fail(detail, STATUS_INVALID,
                               "'%.64s' is neither a DNS name nor an address", request->san[num]);
        }
        num++;
    }
    if (rules->has_host_names != (num > 0)) {
        return status_fail(detail, STATUS_INVALID,
                           rules->has_host_names ? "it needs a DNS name or an address"
                                                 : "host names are not for it");
    }
    return STATUS_OK;
}

/* --- the other rules ------------------------------------------------------------------------ */

static enum status check_lifetime(const struct certificate_request *request,
                                  const struct certificate *issuer, struct detail *detail) {
    static const int64_t year_9999 = 253402300799;
    const struct rules *rules = &profiles[request->profile];
    if (request->not_before < 0 || request->not_after > year_9999 ||
        request->not_after <= request->not_before) {
        return status_fail(detail, STATUS_INVALID, "its validity is no interval of our calendar");
    }
    int64_t lifetime = request->not_after - request->not_before;
    if (lifetime < rules->lifetime_min || lifetime > rules->lifetime_max) {
        return status_fail(detail, STATUS_INVALID, "a lifetime of %lld s: %lld to %lld are issued",
                           (long long)lifetime, (long long)rules->lifetime_min,
                           (long long)rules->lifetime_max);
    }
    if (!rules->is_ca && request->not_after > issuer->not_after) {
        return status_fail(detail, STATUS_INVALID, "it would outlive its issuer");
    }
    return STATUS_OK;
}

static enum status check_key(const struct certificate_request *request, struct public_key *key,
                             struct detail *detail) {
    const struct rules *rules = &profiles[request->profile];
    if (public_key_from_spki(key, request->spki, detail) != STATUS_OK) {
        detail_prefix(detail, "its key");
        return STATUS_INVALID;
    }
    bool ec = key->kind == KEY_EC_P256 || key->kind == KEY_EC_P384;
    if (!ec && (rules->is_ca || (key->kind != KEY_RSA && key->kind != KEY_ED25519))) {
        return status_fail(detail, STATUS_INVALID, "a key of kind %s is not for it",
                           key_kind_name(key->kind));
    }
    return STATUS_OK;
}

/* The issuer's key is P-256 or P-384. A CA signs itself, others are signed by a CA that owns it. */
static enum status check_issuer(const struct issuer *issuer,
                                const struct certificate_request *request,
                                const struct public_key *subject, struct certificate *certificate,
                                struct detail *detail) {
    struct public_key key;
    private_key_public(issuer->key, &key);
    if (key.kind != KEY_EC_P256 && key.kind != KEY_EC_P384) {
        return status_fail(detail, STATUS_INVALID, "an authority's key of kind %s is not taken",
                           key_kind_name(key.kind));
    }
    if (profiles[request->profile].is_ca) {
        return issuer->certificate.len == 0 && public_key_equal(subject, &key)
                   ? STATUS_OK
                   : status_fail(detail, STATUS_INVALID, "an authority is signed by itself only");
    }
    if (certificate_parse(certificate, issuer->certificate, detail) != STATUS_OK) {
        detail_prefix(detail, "its issuer");
        return STATUS_INVALID;
    }
    if (!certificate->is_ca || certificate->subject_key_id_len == 0) {
        return status_fail(detail, STATUS_INVALID, "its issuer is no authority");
    }
    if (!public_key_equal(&certificate->key, &key)) {
        return status_fail(detail, STATUS_INVALID, "its issuer's key and certificate do not match");
    }
    return STATUS_OK;
}

/* The configuration has looked at it; here it is kept from being something else than text of a URL. */
static enum status check_url(const struct certificate_request *request, struct detail *detail) {
    const char *url = request->public_url;
    if (url == NULL) {
        return STATUS_OK;
    }
    size_t len = strnlen(url, PROFILE_URL_MAX + 1);
    if (request->profile != PROFILE_ACCESS || len > PROFILE_URL_MAX ||
        (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) ||
        !only_of(url, len,
                 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/[].-_~")) {
        return status_fail(detail, STATUS_INVALID, "the public URL is not for it, or none");
    }
    return STATUS_OK;
}

static enum status check(const struct issuer *issuer, const struct certificate_request *request,
                         struct public_key *key, struct certificate *authority,
                         struct detail *detail) {
    enum status status = check_key(request, key, detail);
    if (status == STATUS_OK) {
        status = check_issuer(issuer, request, key, authority, detail);
    }
    if (status == STATUS_OK) {
        status = check_lifetime(request, authority, detail);
    }
    if (status == STATUS_OK) {
        status = check_common_name(request->common_name, detail);
    }
    if (status == STATUS_OK) {
        status = check_san_uri(request, detail);
    }
    if (status == STATUS_OK) {
        status = check_standing(request, detail);
    }
    if (status == STATUS_OK) {
        status = check_url(request, detail);
    }
    return status == STATUS_OK ? check_host_names(request, detail) : status;
}

/* --- writing -------------------------------------------------------------------------------- */

static void write_basic_constraints(struct writer *w) {
    static const uint8_t value[] = {0x30, 0x06, 0x01, 0x01,
                                    0xFF, 0x02, 0x01, 0x00}; /* cA TRUE, pathLen 0 */
    x509_write_extension(w, DER_OID_OF(OID_BASIC_CONSTRAINTS), true, bytes_of(value, sizeof value));
}

static void write_key_usage(struct writer *w, uint8_t usage) {
    uint8_t unused = 0; /* DER: trailing zero bits are cut off */
    while ((usage >> unused & 1) == 0) {
        unused++;
    }
    const uint8_t value[] = {DER_BIT_STRING, 2, unused, usage};
    x509_write_extension(w, DER_OID_OF(OID_KEY_USAGE), true, bytes_of(value, sizeof value));
}

static void write_extended_key_usage(struct writer *w, const struct rules *rules) {
    uint8_t buffer[16];
    struct writer value = writer_of(buffer, sizeof buffer);
    size_t mark = der_open(&value, DER_SEQUENCE);
    der_write(&value, DER_OID, bytes_of(rules->extended_usage, rules->extended_usage_len));
    der_close(&value, mark);
    x509_write_extension(w, DER_OID_OF(OID_EXTENDED_KEY_USAGE), false, writer_bytes(&value));
}

/* Nobody asks whether the responder's own certificate is revoked: it does not live long. */
static void write_no_check(struct writer *w) {
    static const uint8_t value[] = {DER_NULL, 0};
    x509_write_extension(w, DER_OID_OF(OID_OCSP_NOCHECK), false, bytes_of(value, sizeof value));
}

static void write_subject_alt_name(struct writer *w, const struct certificate_request *request) {
    uint8_t buffer[CERTIFICATE_DER_MAX], address[16];
    struct writer value = writer_of(buffer, sizeof buffer);
    size_t mark = der_open(&value, DER_SEQUENCE);
    if (request->san_uri != NULL) {
        der_write(&value, SAN_URI, bytes_of_text(request->san_uri));
    }
    for (size_t i = 0; i < PROFILE_MAX_SANS && request->san[i] != NULL; i++) {
        size_t address_len = read_address(address, request->san[i]);
        if (address_len > 0) {
            der_write(&value, SAN_ADDRESS, bytes_of(address, address_len));
        } else {
            der_write(&value, SAN_DNS, bytes_of_text(request->san[i]));
        }
    }
    der_close(&value, mark);
    w->overflow |= value.overflow;
    x509_write_extension(w, DER_OID_OF(OID_SUBJECT_ALT_NAME), false, writer_bytes(&value));
}

static void write_subject_key_id(struct writer *w, struct bytes id) {
    uint8_t buffer[X509_KEY_ID_LEN + 2];
    struct writer value = writer_of(buffer, sizeof buffer);
    der_write(&value, DER_OCTET_STRING, id);
    x509_write_extension(w, DER_OID_OF(OID_SUBJECT_KEY_ID), false, writer_bytes(&value));
}

static void write_authority_key_id(struct writer *w, struct bytes id) {
    uint8_t buffer[sizeof((struct certificate *)0)->subject_key_id + 4];
    struct writer value = writer_of(buffer, sizeof buffer);
    size_t mark = der_open(&value, DER_SEQUENCE);
    der_write(&value, DER_CONTEXT | 0, id);
    der_close(&value, mark);
    x509_write_extension(w, DER_OID_OF(OID_AUTHORITY_KEY_ID), false, writer_bytes(&value));
}

/* Of a credential: where it is told that it is revoked. */
static void write_revocation(struct writer *w, const struct certificate_request *request,
                             const struct private_key *signer) {
    struct public_key key;
    uint8_t sha256[32];
    char id[2 * AUTHORITY_RAW_ID_LEN + 1];
    private_key_public(signer, &key);
    w->overflow |= public_key_spki_sha256(sha256, &key) != STATUS_OK;
    hex_encode(id, bytes_of(sha256, AUTHORITY_RAW_ID_LEN));
    profile_write_revocation(w, request->public_url, id);
}

static void write_extensions(struct writer *w, const struct certificate_request *request,
                             const struct private_key *signer, struct bytes subject_id,
                             struct bytes authority_id) {
    const struct rules *rules = &profiles[request->profile];
    size_t explicit = der_open(w, DER_CONTEXT_CONSTRUCTED | 3), list = der_open(w, DER_SEQUENCE);
    if (rules->is_ca) {
        write_basic_constraints(w);
    }
    write_key_usage(w, rules->usage);
    if (rules->extended_usage != NULL) {
        write_extended_key_usage(w, rules);
    }
    if (rules->is_responder) {
        write_no_check(w);
    }
    if (request->san_uri != NULL || rules->has_host_names) {
        write_subject_alt_name(w, request);
    }
    write_subject_key_id(w, subject_id);
    write_authority_key_id(w, authority_id);
    if (request->profile == PROFILE_ACCESS) {
        write_revocation(w, request, signer);
    }
    der_close(w, list);
    der_close(w, explicit);
}

static enum status write_tbs(struct writer *w, const struct private_key *signer,
                             const struct certificate_request *request,
                             const struct public_key *key, const struct certificate *authority,
                             struct detail *detail) {
    uint8_t serial[PROFILE_SERIAL_LEN], subject_id[X509_KEY_ID_LEN], spki_buffer[KEY_SPKI_MAX];
    struct writer spki = writer_of(spki_buffer, sizeof spki_buffer);
    bool is_ca = profiles[request->profile].is_ca;
    const struct x509_subject subject = {request->segment, request->tier, request->common_name};
    memcpy(serial, request->serial, sizeof serial);
    serial[0] &= 0x7F;
    if (bytes_all(bytes_of(serial, sizeof serial), 0)) {
        return status_fail(detail, STATUS_INVALID, "its serial number is zero");
    }
    if (public_key_to_spki(&spki, key) != STATUS_OK ||
        x509_key_id(subject_id, writer_bytes(&spki)) != STATUS_OK) {
        return status_fail(detail, STATUS_INTERNAL, "its key cannot be written");
    }
    struct bytes own_id = bytes_of(subject_id, sizeof subject_id);
    size_t tbs = der_open(w, DER_SEQUENCE), version = der_open(w, DER_CONTEXT_CONSTRUCTED | 0);
    der_write_u32(w, 2); /* v3 */
    der_close(w, version);
    der_write_unsigned(w, bytes_of(serial, sizeof serial));
    x509_write_algorithm(w, signer);
    if (is_ca) {
        x509_write_subject(w, &subject);
    } else {
        write_bytes(w, authority->subject_name);
    }
    size_t validity = der_open(w, DER_SEQUENCE);
    der_write_time(w, request->not_before);
    der_write_time(w, request->not_after);
    der_close(w, validity);
    x509_write_subject(w, &subject);
    write_bytes(w, writer_bytes(&spki));
    write_extensions(w, request, signer, own_id,
                     is_ca ? own_id
                           : bytes_of(authority->subject_key_id, authority->subject_key_id_len));
    der_close(w, tbs);
    return w->overflow ? status_fail(detail, STATUS_LIMIT, "it would be too long") : STATUS_OK;
}

enum status profile_issue(struct writer *out, const struct issuer *issuer,
                          const struct certificate_request *request, struct detail *detail) {
    struct public_key key;
    struct certificate authority = {0};
    uint8_t tbs_buffer[CERTIFICATE_DER_MAX], buffer[CERTIFICATE_DER_MAX];
    struct writer tbs = writer_of(tbs_buffer, sizeof tbs_buffer),
                  whole = writer_of(buffer, sizeof buffer);
    if ((size_t)request->profile >= NUM_PROFILES) {
        return status_fail(detail, STATUS_INVALID, "no such profile");
    }
    enum status status = check(issuer, request, &key, &authority, detail);
    if (status == STATUS_OK) {
        status = write_tbs(&tbs, issuer->key, request, &key, &authority, detail);
    }
    if (status != STATUS_OK) {
        detail_prefix(detail, "profile %s", profile_name(request->profile));
        return status;
    }
    status = x509_write_signed(&whole, issuer->key, writer_bytes(&tbs));
    if (status != STATUS_OK) {
        return status_fail(detail, status, "profile %s: the certificate cannot be signed",
                           profile_name(request->profile));
    }
    write_bytes(out, writer_bytes(&whole));
    return out->overflow ? status_fail(detail, STATUS_LIMIT, "no room for the certificate")
                         : STATUS_OK;
}
