/* The body that carries evidence. What is taken is complete and lies in the arena; what it decodes to can be verified, and does not
 * under a key of which nobody has the private half. */
#include "api/device/evidence_body.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

static void hold(bool claim) {
    if (!claim) {
        abort();
    }
}

static void touch(struct bytes in) {
    for (size_t i = 0; i < in.len; i++) {
        sink = (uint8_t)(sink ^ in.data[i]);
    }
}

static const struct public_key p256 = {.kind = KEY_EC_P256,
                                       .bits = 256,
                                       .x = {[31] = 5},
                                       .y = {0x45, 0x92, 0x43, 0xb9, 0xaa, 0x58, 0x18, 0x06,
                                             0xfe, 0x91, 0x3b, 0xce, 0x99, 0x81, 0x7a, 0xde,
                                             0x11, 0xca, 0x50, 0x3c, 0x64, 0xd9, 0xa3, 0xc5,
                                             0x33, 0x41, 0x5c, 0x08, 0x32, 0x48, 0xfb, 0xcc}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct facts facts;
    struct evidence_body body;
    struct arena arena;
    struct detail detail = {0};
    const char *code = NULL;
    enum tpm2_failure failure = TPM2_VERIFIED;
    arena_init(&arena, 8 << 20);
    enum status status = evidence_body_parse(&body, &arena, bytes_of(data, size), &code, &detail);
    if (status != STATUS_OK) {
        hold(status == STATUS_MEMORY || (code != NULL && detail.text[0] != '\0'));
    } else {
        hold(body.nonce.len >= 1 && body.nonce.len <= EVIDENCE_NONCE_MAX);
        hold(body.tpm2.quote.len > 0 && body.tpm2.signature.len > 0);
        hold(body.tpm2.num_claimed <= PCR_MAX_BANKS);
        touch(body.nonce);
        touch(body.tpm2.quote);
        touch(body.tpm2.signature);
        touch(body.tpm2.tcg_event_log);
        touch(body.tpm2.ima_log);
        touch(body.csr);
        struct tpm_public ak = {.key = p256};
        hold(key_certification_check(&body.key_certification, &ak, body.nonce, &p256, &detail) !=
             STATUS_OK);
        struct tpm2_expectation expected = {.ak = &p256, .nonce = body.nonce};
        hold(tpm2_verify(&facts, &failure, &arena, &body.tpm2, &expected, &detail) == STATUS_OK);
        hold(failure != TPM2_VERIFIED);
    }
    arena_free(&arena);
    return 0;
}
