/* Quotes and their signatures: two bytes of length, the quote, the rest is the signature. What is taken is canonical and within its
 * bounds; and no input verifies under a key of which nobody has the private half. */
#include "server/evidence/tpm2/tpm2.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hold(bool claim) {
    if (!claim) {
        abort();
    }
}

/* Points with small x, found by counting: whoever knew their logarithms would have broken the curves. */
static const struct public_key p256 = {.kind = KEY_EC_P256,
                                       .bits = 256,
                                       .x = {[31] = 5},
                                       .y = {0x45, 0x92, 0x43, 0xb9, 0xaa, 0x58, 0x18, 0x06,
                                             0xfe, 0x91, 0x3b, 0xce, 0x99, 0x81, 0x7a, 0xde,
                                             0x11, 0xca, 0x50, 0x3c, 0x64, 0xd9, 0xa3, 0xc5,
                                             0x33, 0x41, 0x5c, 0x08, 0x32, 0x48, 0xfb, 0xcc}};

static void check_selection(const struct pcr_selection *selection) {
    struct pcr_selection again;
    char text[PCR_SELECTION_TEXT];
    hold(selection->num_banks <= PCR_MAX_BANKS);
    for (size_t i = 0; i < selection->num_banks; i++) {
        hold(selection->bank[i].mask != 0 && selection->bank[i].mask >> PCR_COUNT == 0);
        hold(digest_len(selection->bank[i].bank) > 0);
    }
    pcr_selection_format(text, selection);
    if (selection->num_banks > 0) {
        hold(pcr_selection_parse(&again, text, NULL) == STATUS_OK);
        hold(pcr_selection_equal(&again, selection));
    }
}

static void check_attest(struct bytes quote) {
    struct tpm_attest attest;
    struct detail detail = {0};
    if (tpm_attest_parse(&attest, quote, &detail) != STATUS_OK) {
        hold(detail.text[0] != '\0');
        return;
    }
    hold(attest.extra_data_len <= sizeof attest.extra_data);
    hold(attest.qualified_signer_len <= sizeof attest.qualified_signer);
    hold(attest.quote.pcr_digest_len <= sizeof attest.quote.pcr_digest);
    check_selection(&attest.quote.selection);
}

static void check_signature(struct bytes raw) {
    struct tpm_signature signature;
    if (tpm_signature_parse(&signature, raw, NULL) == STATUS_OK) {
        hold(signature.signature.scheme != SIGNATURE_NONE);
        hold(digest_len(signature.signature.hash) > 0);
        hold(signature.signature.r.len <= KEY_SIGNATURE_MAX &&
             signature.signature.s.len <= KEY_EC_MAX);
        hold((signature.signature.s.len == 0) || signature.signature.scheme == SIGNATURE_ECDSA);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes in = bytes_of(data, size), quote;
    struct facts facts;
    struct arena arena;
    struct detail detail = {0};
    enum tpm2_failure failure = TPM2_VERIFIED;
    if (bytes_u16be_prefixed(&in, &quote) != STATUS_OK) {
        return 0;
    }
    check_attest(quote);
    check_signature(in);
    struct tpm2_evidence evidence = {.quote = quote, .signature = in};
    struct tpm2_expectation expected = {.ak = &p256, .nonce = bytes_of_text("nonce")};
    arena_init(&arena, 1 << 20);
    hold(tpm2_verify(&facts, &failure, &arena, &evidence, &expected, &detail) == STATUS_OK);
    hold(failure != TPM2_VERIFIED && detail.text[0] != '\0');
    arena_free(&arena);
    return 0;
}
