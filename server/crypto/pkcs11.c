#include <wolfssl/options.h>

#include "server/crypto/pkcs11.h"

#include "server/base/file.h"
#include "server/crypto/der.h"
#include "server/crypto/pkcs11_uri.h"
#include "server/crypto/wolf.h"

#include <dlfcn.h>
#include <p11-kit/pkcs11.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wolfssl/wolfcrypt/asn.h>

enum { SLOTS_MAX = 64, PIN_MAX = 256, ATTRIBUTE_MAX = 1024 };

struct pkcs11_key {
    struct pkcs11_uri uri;
    void *module;
    CK_FUNCTION_LIST *p11;
    bool initialized, opened;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE object;
    struct public_key public;
};

/* --- what it says --------------------------------------------------------------------------- */

static const char *rv_name(CK_RV rv, char buffer[static 32]) {
    static const struct {
        CK_RV rv;
        const char *name;
    } names[] = {
        {CKR_PIN_INCORRECT, "CKR_PIN_INCORRECT"},
        {CKR_PIN_LOCKED, "CKR_PIN_LOCKED"},
        {CKR_PIN_EXPIRED, "CKR_PIN_EXPIRED"},
        {CKR_PIN_LEN_RANGE, "CKR_PIN_LEN_RANGE"},
        {CKR_USER_PIN_NOT_INITIALIZED, "CKR_USER_PIN_NOT_INITIALIZED"},
        {CKR_USER_NOT_LOGGED_IN, "CKR_USER_NOT_LOGGED_IN"},
        {CKR_TOKEN_NOT_PRESENT, "CKR_TOKEN_NOT_PRESENT"},
        {CKR_DEVICE_ERROR, "CKR_DEVICE_ERROR"},
        {CKR_DEVICE_REMOVED, "CKR_DEVICE_REMOVED"},
        {CKR_SESSION_HANDLE_INVALID, "CKR_SESSION_HANDLE_INVALID"},
        {CKR_KEY_FUNCTION_NOT_PERMITTED, "CKR_KEY_FUNCTION_NOT_PERMITTED"},
        {CKR_MECHANISM_INVALID, "CKR_MECHANISM_INVALID"},
        {CKR_GENERAL_ERROR, "CKR_GENERAL_ERROR"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].rv == rv) {
            return names[i].name;
        }
    }
    (void)snprintf(buffer, 32, "CKR 0x%lx", (unsigned long)rv);
    return buffer;
}

static enum status failed(struct detail *detail, const char *what, CK_RV rv) {
    char buffer[32];
    enum status status = rv == CKR_PIN_INCORRECT || rv == CKR_PIN_LOCKED || rv == CKR_PIN_EXPIRED ||
                                 rv == CKR_PIN_LEN_RANGE || rv == CKR_USER_PIN_NOT_INITIALIZED
                             ? STATUS_DENIED
                             : STATUS_INTERNAL;
    return status_fail(detail, status, "%s: %s", what, rv_name(rv, buffer));
}

/* --- module, token, session ----------------------------------------------------------------- */

static enum status load_module(struct pkcs11_key *key, struct detail *detail) {
    union { /* ISO C has no conversion of one into the other; POSIX has */
        void *symbol;
        CK_C_GetFunctionList function;
    } get;
    key->module = dlopen(key->uri.module, RTLD_NOW | RTLD_LOCAL);
    if (key->module == NULL) {
        const char *why = dlerror();
        return status_fail(detail, STATUS_NOT_FOUND, "the module cannot be loaded: %s",
                           why == NULL ? "" : why);
    }
    get.symbol = dlsym(key->module, "C_GetFunctionList");
    if (get.symbol == NULL || get.function(&key->p11) != CKR_OK || key->p11 == NULL) {
        return status_fail(detail, STATUS_NOT_FOUND, "%s is no PKCS#11 module", key->uri.module);
    }
    CK_RV rv = key->p11->C_Initialize(NULL);
    key->initialized = rv == CKR_OK;
    return key->initialized || rv == CKR_CRYPTOKI_ALREADY_INITIALIZED
               ? STATUS_OK
               : failed(detail, "the module does not start", rv);
}

/* PKCS#11's texts are filled with blanks. */
static bool same_padded(const unsigned char *padded, size_t size, const char *text) {
    size_t len = strlen(text);
    if (len > size || memcmp(padded, text, len) != 0) {
        return false;
    }
    for (size_t i = len; i < size; i++) {
        if (padded[i] != ' ') {
            return false;
        }
    }
    return true;
}

static bool is_token(const struct pkcs11_key *key, CK_SLOT_ID slot) {
    CK_TOKEN_INFO info;
    const struct pkcs11_uri *uri = &key->uri;
    return key->p11->C_GetTokenInfo(slot, &info) == CKR_OK &&
           (uri->token[0] == '\0' || same_padded(info.label, sizeof info.label, uri->token)) &&
           (uri->serial[0] == '\0' ||
            same_padded(info.serialNumber, sizeof info.serialNumber, uri->serial));
}

static enum status find_slot(const struct pkcs11_key *key, CK_SLOT_ID *out, struct detail *detail) {
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG num = SLOTS_MAX;
    size_t found = 0;
    CK_RV rv = key->p11->C_GetSlotList(CK_TRUE, slots, &num);
    if (rv != CKR_OK) {
        return failed(detail, "the slots cannot be listed", rv);
    }
    for (CK_ULONG i = 0; i < num; i++) {
        if (is_token(key, slots[i])) {
            *out = slots[i];
            found++;
        }
    }
    return found == 1   ? STATUS_OK
           : found == 0 ? status_fail(detail, STATUS_NOT_FOUND, "there is no such token")
                        : status_fail(detail, STATUS_INVALID, "there are %zu such tokens", found);
}

static enum status log_in(struct pkcs11_key *key, struct detail *detail) {
    uint8_t *pin = NULL;
    size_t len = 0, line = 0;
    enum status status = file_read_private(&pin, &len, key->uri.pin_file, PIN_MAX, detail);
    if (status != STATUS_OK) {
        return status;
    }
    while (line < len && pin[line] != '\n' && pin[line] != '\r') {
        line++;
    }
    CK_RV rv = key->p11->C_Login(key->session, CKU_USER, pin, line);
    bytes_wipe(pin, len);
    free(pin);
    return rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN
               ? STATUS_OK
               : failed(detail, "the token does not take the PIN", rv);
}

/* --- the key -------------------------------------------------------------------------------- */

static CK_ULONG put_attribute(CK_ATTRIBUTE *out, CK_ATTRIBUTE_TYPE type, void *value, size_t len) {
    *out = (CK_ATTRIBUTE){.type = type, .pValue = value, .ulValueLen = len};
    return 1;
}

/* The one object of the class that the URI names. */
static enum status find_object(struct pkcs11_key *key, CK_OBJECT_CLASS class, CK_OBJECT_HANDLE *out,
                               struct detail *detail) {
    CK_ATTRIBUTE wanted[3];
    CK_OBJECT_HANDLE found[2];
    CK_ULONG num = 0;
    const char *what = class == CKO_PRIVATE_KEY ? "private key" : "public half of the key";
    CK_ULONG num_wanted = put_attribute(&wanted[0], CKA_CLASS, &class, sizeof class);
    if (key->uri.object[0] != '\0') {
        num_wanted +=
            put_attribute(&wanted[num_wanted], CKA_LABEL, key->uri.object, strlen(key->uri.object));
    }
    if (key->uri.id_len > 0) {
        num_wanted += put_attribute(&wanted[num_wanted], CKA_ID, key->uri.id, key->uri.id_len);
    }
    CK_RV rv = key->p11->C_FindObjectsInit(key->session, wanted, num_wanted);
    if (rv == CKR_OK) {
        rv = key->p11->C_FindObjects(key->session, found, 2, &num);
        (void)key->p11->C_FindObjectsFinal(key->session);
    }
    if (rv != CKR_OK) {
        return failed(detail, "the token's objects cannot be listed", rv);
    }
    if (num != 1) {
        return num == 0 ? status_fail(detail, STATUS_NOT_FOUND, "the token has no such %s", what)
                        : status_fail(detail, STATUS_INVALID, "the token has two such: %s", what);
    }
    *out = found[0];
    return STATUS_OK;
}

/* An empty view: it has none that we could take. */
static struct bytes attribute(const struct pkcs11_key *key, CK_OBJECT_HANDLE object,
                              CK_ATTRIBUTE_TYPE type, uint8_t buffer[static ATTRIBUTE_MAX]) {
    CK_ATTRIBUTE one = {.type = type, .pValue = buffer, .ulValueLen = ATTRIBUTE_MAX};
    CK_RV rv = key->p11->C_GetAttributeValue(key->session, object, &one, 1);
    return rv == CKR_OK && one.ulValueLen <= ATTRIBUTE_MAX ? bytes_of(buffer, one.ulValueLen)
                                                           : bytes_of(NULL, 0);
}

static enum status read_ec(const struct pkcs11_key *key, CK_OBJECT_HANDLE object,
                           struct public_key *out) {
    static const uint8_t p256[] = {0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07};
    static const uint8_t p384[] = {0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x22};
    uint8_t buffer[ATTRIBUTE_MAX], point_buffer[ATTRIBUTE_MAX], form;
    struct bytes curve = attribute(key, object, CKA_EC_PARAMS, buffer), inner;
    struct bytes point = attribute(key, object, CKA_EC_POINT, point_buffer), wrapped = point, x, y;
    struct public_key found = {.kind = bytes_equal(curve, bytes_of(p256, sizeof p256)) ? KEY_EC_P256
                                       : bytes_equal(curve, bytes_of(p384, sizeof p384))
                                           ? KEY_EC_P384
                                           : KEY_NONE};
    size_t len = key_curve_len(found.kind);
    if (found.kind == KEY_NONE) {
        return STATUS_UNSUPPORTED;
    }
    if (der_take(&wrapped, DER_OCTET_STRING, &inner) == STATUS_OK && wrapped.len == 0) {
        point = inner; /* some tokens give the point bare */
    }
    if (bytes_u8(&point, &form) != STATUS_OK || form != 4 ||
        bytes_take(&point, len, &x) != STATUS_OK || bytes_take(&point, len, &y) != STATUS_OK ||
        point.len != 0) {
        return STATUS_INVALID;
    }
    found.bits = (uint16_t)(len * 8);
    memcpy(found.x, x.data, len);
    memcpy(found.y, y.data, len);
    *out = found;
    return STATUS_OK;
}

static enum status read_rsa(const struct pkcs11_key *key, CK_OBJECT_HANDLE object,
                            struct public_key *out) {
    uint8_t buffer[ATTRIBUTE_MAX], exponent_buffer[ATTRIBUTE_MAX];
    struct bytes n = attribute(key, object, CKA_MODULUS, buffer);
    struct bytes e = attribute(key, object, CKA_PUBLIC_EXPONENT, exponent_buffer);
    struct public_key found = {.kind = KEY_RSA};
    if (n.len == 0 || n.len > sizeof found.n || e.len == 0 || e.len > sizeof found.e) {
        return STATUS_UNSUPPORTED;
    }
    memcpy(found.n, n.data, n.len);
    found.n_len = n.len;
    found.bits = (uint16_t)(n.len * 8);
    for (size_t i = 0; i < e.len; i++) {
        found.e = found.e << 8 | e.data[i];
    }
    *out = found;
    return STATUS_OK;
}

static enum status read_public(struct pkcs11_key *key, struct public_key *out,
                               struct detail *detail) {
    CK_OBJECT_HANDLE object = 0;
    uint8_t buffer[ATTRIBUTE_MAX];
    CK_KEY_TYPE type;
    struct bytes kind = attribute(key, key->object, CKA_KEY_TYPE, buffer);
    if (kind.len != sizeof type) {
        return status_fail(detail, STATUS_UNSUPPORTED, "the key does not say of what kind it is");
    }
    memcpy(&type, kind.data, sizeof type);
    enum status status = find_object(key, CKO_PUBLIC_KEY, &object, detail);
    if (status != STATUS_OK) {
        return status;
    }
    status = type == CKK_EC    ? read_ec(key, object, out)
             : type == CKK_RSA ? read_rsa(key, object, out)
                               : STATUS_UNSUPPORTED;
    if (status == STATUS_OK) {
        status = public_key_check(out, detail);
    } else {
        detail_set(detail, "the key is not of P-256, P-384 or RSA");
    }
    return status;
}

/* --- all of it ------------------------------------------------------------------------------ */

static void end_session(struct pkcs11_key *key) {
    if (key->opened) {
        (void)key->p11->C_CloseSession(key->session);
        key->opened = false;
    }
}

static enum status begin_session(struct pkcs11_key *key, struct detail *detail) {
    CK_SLOT_ID slot = 0;
    struct public_key public = {.kind = KEY_NONE};
    enum status status = find_slot(key, &slot, detail);
    if (status != STATUS_OK) {
        return status;
    }
    CK_RV rv = key->p11->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &key->session);
    if (rv != CKR_OK) {
        return failed(detail, "the token gives no session", rv);
    }
    key->opened = true;
    if (key->uri.pin_file[0] != '\0') {
        status = log_in(key, detail);
    }
    if (status == STATUS_OK) {
        status = find_object(key, CKO_PRIVATE_KEY, &key->object, detail);
    }
    if (status == STATUS_OK) {
        status = read_public(key, &public, detail);
    }
    if (status == STATUS_OK && key->public.kind != KEY_NONE &&
        !public_key_equal(&key->public, &public)) {
        return status_fail(detail, STATUS_INVALID, "it is another key than before");
    }
    if (status == STATUS_OK) {
        key->public = public;
    }
    return status;
}

enum status pkcs11_open(struct pkcs11_key **out, const char *uri, struct detail *detail) {
    struct pkcs11_key *key = calloc(1, sizeof *key);
    if (key == NULL) {
        return status_fail(detail, STATUS_MEMORY, "out of memory");
    }
    enum status status = pkcs11_uri_parse(&key->uri, uri, detail);
    if (status == STATUS_OK) {
        status = load_module(key, detail);
        if (status == STATUS_OK) {
            status = begin_session(key, detail);
        }
        if (status != STATUS_OK) {
            detail_prefix(detail, "PKCS#11 token %.40s, key %.40s", key->uri.token,
                          key->uri.object);
        }
    }
    if (status != STATUS_OK) {
        pkcs11_close(key);
        return status;
    }
    *out = key;
    return STATUS_OK;
}

void pkcs11_public(const struct pkcs11_key *key, struct public_key *out) {
    *out = key->public;
}

/* What the mechanism wants: the digest, for RSA in a DigestInfo. */
static bool sign_once(struct pkcs11_key *key, struct bytes digest, uint8_t *out,
                      CK_ULONG *out_len) {
    bool rsa = key->public.kind == KEY_RSA;
    CK_MECHANISM mechanism = {rsa ? CKM_RSA_PKCS : CKM_ECDSA, NULL, 0};
    uint8_t input[DIGEST_MAX + DIGEST_INFO_EXTRA];
    word32 len = wolf_len(digest.len);
    if (rsa) {
        len = wc_EncodeSignature(input, digest.data, len, wc_HashGetOID(WC_HASH_TYPE_SHA256));
    } else {
        memcpy(input, digest.data, digest.len);
    }
    return key->p11->C_SignInit(key->session, &mechanism, key->object) == CKR_OK &&
           key->p11->C_Sign(key->session, input, len, out, out_len) == CKR_OK;
}

/* r and s, each as long as the curve, as ECDSA-Sig-Value. */
static enum status put_ecdsa(struct writer *out, const uint8_t *raw, size_t len) {
    uint8_t der[KEY_SIGNATURE_MAX];
    word32 der_len = sizeof der, half = wolf_len(len / 2);
    if (wc_ecc_rs_raw_to_sig(raw, half, raw + half, half, der, &der_len) != 0) {
        return STATUS_INTERNAL;
    }
    write_bytes(out, bytes_of(der, der_len));
    return out->overflow ? STATUS_LIMIT : STATUS_OK;
}

enum status pkcs11_sign(void *context, struct bytes digest, struct writer *out) {
    struct pkcs11_key *key = context;
    uint8_t raw[KEY_SIGNATURE_MAX];
    CK_ULONG len = sizeof raw;
    if (digest.len > DIGEST_MAX) {
        return STATUS_INTERNAL;
    }
    if (!key->opened || !sign_once(key, digest, raw, &len)) {
        end_session(key);
        len = sizeof raw;
        if (begin_session(key, NULL) != STATUS_OK || !sign_once(key, digest, raw, &len)) {
            return STATUS_INTERNAL;
        }
    }
    if (key->public.kind != KEY_RSA) {
        return len == 2 * key_curve_len(key->public.kind) ? put_ecdsa(out, raw, len)
                                                          : STATUS_INTERNAL;
    }
    write_bytes(out, bytes_of(raw, len));
    return out->overflow ? STATUS_LIMIT : STATUS_OK;
}

void pkcs11_close(struct pkcs11_key *key) {
    if (key == NULL) {
        return;
    }
    end_session(key);
    if (key->initialized) {
        (void)key->p11->C_Finalize(NULL);
    }
    if (key->module != NULL) {
        (void)dlclose(key->module);
    }
    free(key);
}
