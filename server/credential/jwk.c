#include "server/credential/jwk.h"

#include "server/base/encoding.h"

#include <string.h>

enum { EXPONENT_LEN = 4, MEMBER_MAX = (KEY_RSA_MAX + 2) / 3 * 4 };
/* {"e":"AQAB","kty":"RSA","n":"..."} */
enum { THUMBPRINT_INPUT_MAX = 2 * MEMBER_MAX + 64 };

const char *jws_purpose_name(enum jws_purpose purpose) {
    return purpose == JWS_RESULTS ? "results" : "events";
}

const char *jws_algorithm(enum jws_purpose purpose) {
    return purpose == JWS_RESULTS ? "ES256" : "RS256";
}

/* Big-endian, without leading zeros (RFC 7518, 6.3.1). */
static struct bytes exponent_of(uint8_t buffer[static EXPONENT_LEN], uint32_t e) {
    struct writer w = writer_of(buffer, EXPONENT_LEN);
    struct bytes zero, out;
    write_u32be(&w, e);
    out = writer_bytes(&w);
    while (out.len > 1 && out.data[0] == 0 && bytes_take(&out, 1, &zero) == STATUS_OK) {
    }
    return out;
}

static void put(struct writer *w, const char *text) {
    write_bytes(w, bytes_of_text(text));
}

enum status jwk_thumbprint(char out[static JWS_KID_SIZE], const struct public_key *key) {
    uint8_t input[THUMBPRINT_INPUT_MAX], exponent[EXPONENT_LEN], sha256[32];
    struct writer w = writer_of(input, sizeof input), text = writer_of(out, JWS_KID_SIZE);
    if (key->kind == KEY_EC_P256) {
        put(&w, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"");
        base64url_write(&w, bytes_of(key->x, key_curve_len(key->kind)));
        put(&w, "\",\"y\":\"");
        base64url_write(&w, bytes_of(key->y, key_curve_len(key->kind)));
    } else if (key->kind == KEY_RSA) {
        put(&w, "{\"e\":\"");
        base64url_write(&w, exponent_of(exponent, key->e));
        put(&w, "\",\"kty\":\"RSA\",\"n\":\"");
        base64url_write(&w, bytes_of(key->n, key->n_len));
    } else {
        return STATUS_UNSUPPORTED;
    }
    put(&w, "\"}");
    if (w.overflow) {
        return STATUS_UNSUPPORTED;
    }
    digest_compute(HASH_SHA256, writer_bytes(&w), sha256);
    base64url_write(&text, bytes_of(sha256, sizeof sha256));
    write_u8(&text, 0);
    return STATUS_OK;
}

static void write_member(struct json_out *o, const char *name, struct bytes value) {
    char text[MEMBER_MAX + 1];
    struct writer w = writer_of(text, sizeof text);
    base64url_write(&w, value);
    write_u8(&w, 0);
    json_out_text(o, name, text);
}

static void write_key(struct json_out *o, const struct jws_key *key, enum jws_purpose purpose) {
    const struct public_key *public = &key->key;
    uint8_t exponent[EXPONENT_LEN];
    json_out_object(o, NULL);
    if (public->kind == KEY_EC_P256) {
        json_out_text(o, "kty", "EC");
        json_out_text(o, "crv", "P-256");
        write_member(o, "x", bytes_of(public->x, key_curve_len(public->kind)));
        write_member(o, "y", bytes_of(public->y, key_curve_len(public->kind)));
    } else {
        json_out_text(o, "kty", "RSA");
        write_member(o, "n", bytes_of(public->n, public->n_len));
        write_member(o, "e", exponent_of(exponent, public->e));
    }
    json_out_text(o, "use", "sig");
    json_out_text(o, "alg", jws_algorithm(purpose));
    json_out_text(o, "kid", key->kid);
    json_out_object_end(o);
}

void jwks_write(struct json_out *o, const struct jws_keys *keys) {
    json_out_object(o, NULL);
    json_out_array(o, "keys");
    for (enum jws_purpose purpose = 0; purpose < NUM_JWS_PURPOSES; purpose++) {
        for (size_t i = 0; i < keys->num[purpose]; i++) {
            write_key(o, &keys->key[purpose][i], purpose);
        }
    }
    json_out_array_end(o);
    json_out_object_end(o);
}
