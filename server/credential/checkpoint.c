#include "server/credential/checkpoint.h"

#include "server/base/clock.h"
#include "server/base/encoding.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum status checkpoint_text(struct writer *out, const struct checkpoint *c) {
    char hash[2 * CHECKPOINT_HASH_LEN + 1], time[RFC3339_SIZE], seq[24];
    if (c->trust_domain[0] == '\0' || strchr(c->trust_domain, '\n') != NULL || c->seq < 1 ||
        c->time < 0) {
        return STATUS_INVALID;
    }
    hex_encode(hash, bytes_of(c->hash, sizeof c->hash));
    rfc3339_format(time, c->time);
    (void)snprintf(seq, sizeof seq, "%" PRId64, c->seq);
    const char *const line[] = {"gatehouse audit checkpoint 1", c->trust_domain, seq, hash, time};
    for (size_t i = 0; i < sizeof line / sizeof line[0]; i++) {
        write_bytes(out, bytes_of_text(line[i]));
        write_u8(out, '\n');
    }
    return out->overflow ? STATUS_LIMIT : STATUS_OK;
}

static enum hash_alg hash_with(enum key_kind kind) {
    return kind == KEY_EC_P384 ? HASH_SHA384 : kind == KEY_ED25519 ? HASH_NONE : HASH_SHA256;
}

enum status checkpoint_verify(const struct checkpoint *checkpoint, const struct public_key *key,
                              struct bytes signature, struct detail *detail) {
    uint8_t text[CHECKPOINT_TEXT_MAX];
    struct writer w = writer_of(text, sizeof text);
    enum status status = checkpoint_text(&w, checkpoint);
    if (status != STATUS_OK) {
        return status_fail(detail, STATUS_INVALID, "no such checkpoint can be signed");
    }
    return signature_verify_der(key, hash_with(key->kind), signature, writer_bytes(&w), detail);
}
