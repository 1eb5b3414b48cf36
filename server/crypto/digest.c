#include <wolfssl/options.h>

#include "server/crypto/digest.h"
#include "server/crypto/wolf.h"

#include <stdlib.h>
#include <string.h>

struct hash {
    enum hash_alg alg;
    enum wc_HashType type;
    size_t len;
    const char *name;
};

static const struct hash hashes[] = {
    {HASH_SHA1, WC_HASH_TYPE_SHA, 20, "sha1"},
    {HASH_SHA256, WC_HASH_TYPE_SHA256, 32, "sha256"},
    {HASH_SHA384, WC_HASH_TYPE_SHA384, 48, "sha384"},
    {HASH_SHA512, WC_HASH_TYPE_SHA512, 64, "sha512"},
};
enum { NUM_HASHES = sizeof hashes / sizeof hashes[0] };

static const struct hash *find(enum hash_alg alg) {
    for (size_t i = 0; i < NUM_HASHES; i++) {
        if (hashes[i].alg == alg) {
            return &hashes[i];
        }
    }
    return NULL;
}

size_t digest_len(enum hash_alg alg) {
    const struct hash *hash = find(alg);
    return hash == NULL ? 0 : hash->len;
}

const char *hash_name(enum hash_alg alg) {
    const struct hash *hash = find(alg);
    return hash == NULL ? "none" : hash->name;
}

enum hash_alg hash_from_name(const char *name) {
    for (size_t i = 0; i < NUM_HASHES; i++) {
        if (strcmp(hashes[i].name, name) == 0) {
            return hashes[i].alg;
        }
    }
    return HASH_NONE;
}

enum wc_HashType wolf_hash(enum hash_alg alg) {
    const struct hash *hash = find(alg);
    return hash == NULL ? WC_HASH_TYPE_NONE : hash->type;
}

void wolf_require(int result) {
    if (result != 0) {
        abort();
    }
}

word32 wolf_len(size_t len) {
    if (len > INT32_MAX) {
        abort();
    }
    return (word32)len;
}

void digest_compute(enum hash_alg alg, struct bytes in, uint8_t *out) {
    digest_compute2(alg, in, bytes_of(NULL, 0), out);
}

void digest_compute2(enum hash_alg alg, struct bytes a, struct bytes b, uint8_t *out) {
    enum wc_HashType type = wolf_hash(alg);
    wc_HashAlg hash;
    wolf_require(wc_HashInit(&hash, type));
    if (a.len > 0) {
        wolf_require(wc_HashUpdate(&hash, type, a.data, wolf_len(a.len)));
    }
    if (b.len > 0) {
        wolf_require(wc_HashUpdate(&hash, type, b.data, wolf_len(b.len)));
    }
    wolf_require(wc_HashFinal(&hash, type, out));
    (void)wc_HashFree(&hash, type);
}

struct digest_stream {
    enum wc_HashType type;
    wc_HashAlg hash;
};

enum status digest_stream_new(struct digest_stream **out, enum hash_alg alg) {
    struct digest_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        return STATUS_MEMORY;
    }
    stream->type = wolf_hash(alg);
    wolf_require(wc_HashInit(&stream->hash, stream->type));
    *out = stream;
    return STATUS_OK;
}

void digest_stream_add(struct digest_stream *stream, struct bytes in) {
    if (in.len > 0) {
        wolf_require(wc_HashUpdate(&stream->hash, stream->type, in.data, wolf_len(in.len)));
    }
}

void digest_stream_end(struct digest_stream *stream, uint8_t *out) {
    wolf_require(wc_HashFinal(&stream->hash, stream->type, out));
    digest_stream_free(stream);
}

void digest_stream_free(struct digest_stream *stream) {
    if (stream != NULL) {
        (void)wc_HashFree(&stream->hash, stream->type);
        free(stream);
    }
}

void hmac_compute(enum hash_alg alg, struct bytes key, struct bytes in, uint8_t *out) {
    Hmac hmac;
    wolf_require(wc_HmacInit(&hmac, NULL, INVALID_DEVID));
    wolf_require(wc_HmacSetKey(&hmac, (int)wolf_hash(alg), key.data, wolf_len(key.len)));
    if (in.len > 0) {
        wolf_require(wc_HmacUpdate(&hmac, in.data, wolf_len(in.len)));
    }
    wolf_require(wc_HmacFinal(&hmac, out));
    wc_HmacFree(&hmac);
    bytes_wipe(&hmac, sizeof hmac);
}
