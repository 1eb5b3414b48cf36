#include "tests/unit/ima_builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const enum hash_alg bank_alg[IMA_BUILDER_BANKS] = {HASH_SHA1, HASH_SHA256, HASH_SHA384,
                                                          HASH_SHA512};

static void require(bool holds) {
    if (!holds) {
        (void)fprintf(stderr, "ima_builder: it does not fit\n");
        abort();
    }
}

void ima_start(struct ima_builder *log) {
    *log = (struct ima_builder){.template_alg = HASH_SHA1};
}

void ima_free(struct ima_builder *log) {
    free(log->data);
    *log = (struct ima_builder){.template_alg = HASH_SHA1};
}

struct bytes ima_bytes(const struct ima_builder *log) {
    return bytes_of(log->data, log->len);
}

const uint8_t *ima_pcr(const struct ima_builder *log, enum hash_alg alg) {
    for (size_t b = 0; b < IMA_BUILDER_BANKS; b++) {
        if (bank_alg[b] == alg) {
            return log->pcr[b];
        }
    }
    abort();
}

static void append(struct ima_builder *log, struct bytes piece) {
    while (log->len + piece.len > log->cap) {
        log->cap = log->cap == 0 ? 65536 : 2 * log->cap;
        log->data = realloc(log->data, log->cap);
        require(log->data != NULL);
    }
    if (piece.len > 0) {
        memcpy(log->data + log->len, piece.data, piece.len);
    }
    log->len += piece.len;
}

static void append_u32(struct ima_builder *log, size_t value) {
    uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                        (uint8_t)(value >> 24)};
    append(log, bytes_of(bytes, 4));
}

static void extend(struct ima_builder *log, struct bytes hashed, bool violation) {
    for (size_t b = 0; b < IMA_BUILDER_BANKS; b++) {
        uint8_t digest[DIGEST_MAX] = {0};
        size_t len = digest_len(bank_alg[b]);
        if (violation) {
            memset(digest, 0xFF, sizeof digest);
        } else {
            digest_compute((log->padded >> b & 1u) != 0 ? HASH_SHA1 : bank_alg[b], hashed, digest);
        }
        digest_compute2(bank_alg[b], bytes_of(log->pcr[b], len), bytes_of(digest, len),
                        log->pcr[b]);
    }
}

static void begin(struct ima_builder *log, uint32_t pcr, const char *name, struct bytes hashed,
                  bool violation) {
    uint8_t digest[DIGEST_MAX] = {0};
    if (!violation) {
        digest_compute(log->template_alg, hashed, digest);
    }
    append_u32(log, pcr);
    append(log, bytes_of(digest, digest_len(log->template_alg)));
    append_u32(log, strlen(name));
    append(log, bytes_of_text(name));
    if (pcr == 10) {
        extend(log, hashed, violation);
    }
    log->num++;
}

void ima_add(struct ima_builder *log, uint32_t pcr, const char *name, struct bytes data,
             bool violation) {
    begin(log, pcr, name, data, violation);
    append_u32(log, data.len);
    append(log, data);
}

void ima_add_first(struct ima_builder *log, const uint8_t digest[static 20], const char *path) {
    uint8_t hashed[20 + 256] = {0};
    require(strlen(path) <= 255);
    memcpy(hashed, digest, 20);
    memcpy(hashed + 20, path, strlen(path));
    begin(log, 10, "ima", bytes_of(hashed, sizeof hashed), false);
    append(log, bytes_of(digest, 20));
    append_u32(log, strlen(path));
    append(log, bytes_of_text(path));
}

void ima_field(struct writer *data, struct bytes field) {
    write_u32le(data, (uint32_t)field.len);
    write_bytes(data, field);
    require(!data->overflow);
}

void ima_digest(struct writer *data, const char *type, enum hash_alg alg, const uint8_t *digest) {
    char name[32];
    size_t len = (size_t)snprintf(name, sizeof name, "%s%s%s:", type == NULL ? "" : type,
                                  type == NULL ? "" : ":", hash_name(alg)) +
                 1;
    write_u32le(data, (uint32_t)(len + digest_len(alg)));
    write_bytes(data, bytes_of(name, len));
    write_bytes(data, bytes_of(digest, digest_len(alg)));
    require(!data->overflow);
}

void ima_name(struct writer *data, const char *name) {
    ima_field(data, bytes_of(name, strlen(name) + 1));
}

void ima_file(struct ima_builder *log, const char *path, const uint8_t digest[static 32],
              struct bytes signature) {
    uint8_t buffer[IMA_BUILDER_DATA];
    struct writer data = writer_of(buffer, sizeof buffer);
    ima_digest(&data, NULL, HASH_SHA256, digest);
    ima_name(&data, path);
    if (signature.data != NULL) {
        ima_field(&data, signature);
    }
    ima_add(log, 10, signature.data != NULL ? "ima-sig" : "ima-ng", writer_bytes(&data), false);
}

void ima_sample(struct ima_builder *log, const char *path) {
    uint8_t digest[32];
    digest_compute(HASH_SHA256, bytes_of_text(path), digest);
    ima_file(log, path, digest, bytes_of(NULL, 0));
}

void ima_aggregate(struct ima_builder *log, const uint8_t (*pcr)[32]) {
    uint8_t digest[32];
    digest_compute(HASH_SHA256, bytes_of(pcr, (size_t)10 * 32), digest);
    ima_file(log, "boot_aggregate", digest, bytes_of(NULL, 0));
}
