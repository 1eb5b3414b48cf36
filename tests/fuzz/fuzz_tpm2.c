/* What comes behind a good signature: the log, the IMA log and the claimed values. A key of our own signs a quote over the PCRs that
 * the input names, with values that the input's log leads to. Whatever else the input holds: what verifies is consistent.
 * Input: three bytes of mask; flags (1: claim values, 2: spoil pcrDigest, 4: two banks); four bytes of length, little-endian, and the
 * event log; the rest is the IMA log. */
#include "server/crypto/der.h"
#include "server/evidence/tpm2/event_types.h"
#include "server/evidence/tpm2/replay.h"
#include "server/evidence/tpm2/tpm2.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const enum hash_alg banks[] = {HASH_SHA256, HASH_SHA384};
static struct private_key *ak;
static struct public_key ak_public;
static struct tcg_replay replay;
static volatile uint8_t sink;

static void hold(bool claim) {
    if (!claim) {
        abort();
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    hold(private_key_generate(&ak, KEY_EC_P256) == STATUS_OK);
    private_key_public(ak, &ak_public);
    return 0;
}

static void touch(struct bytes in) {
    for (size_t i = 0; i < in.len; i++) {
        sink = (uint8_t)(sink ^ in.data[i]);
    }
}

/* The values that the log leads to, as far as it can be read; reset values without one. */
static void run_log(struct bytes raw) {
    struct tcg_eventlog log;
    struct tcg_event event;
    memset(&replay, 0, sizeof replay);
    if (tcg_eventlog_open(&log, raw, NULL) == STATUS_OK) {
        tcg_replay_start(&replay, &log, banks, 2);
        while (tcg_eventlog_next(&log, &event, NULL) == STATUS_OK) {
            tcg_replay_event(&replay, &event);
        }
    }
}

static void value_of(uint8_t out[static DIGEST_MAX], enum hash_alg alg, unsigned pcr) {
    const struct tcg_replay_bank *bank = tcg_replay_bank(&replay, alg);
    memset(out, pcr_reset_byte(pcr), DIGEST_MAX);
    if (bank != NULL) {
        memcpy(out, bank->value[pcr], digest_len(alg));
    }
}

static void write_quote(struct writer *out, uint32_t mask, size_t num_banks, bool spoil) {
    uint8_t values[2 * PCR_COUNT * DIGEST_MAX], value[DIGEST_MAX], digest[DIGEST_MAX];
    struct writer v = writer_of(values, sizeof values);
    write_u32be(out, 0xff544347);
    write_u16be(out, 0x8018);
    write_u16be(out, 0);
    write_u16be(out, 5);
    write_bytes(out, bytes_of_text("nonce"));
    for (int i = 0; i < 25; i++) {
        write_u8(out, 1);
    }
    write_u32be(out, (uint32_t)num_banks);
    for (size_t b = 0; b < num_banks; b++) {
        write_u16be(out, (uint16_t)banks[b]);
        write_u8(out, 3);
        for (unsigned i = 0; i < 3; i++) {
            write_u8(out, (uint8_t)(mask >> (8 * i)));
        }
        for (unsigned i = 0; i < PCR_COUNT; i++) {
            if ((mask >> i & 1) != 0) {
                value_of(value, banks[b], i);
                write_bytes(&v, bytes_of(value, digest_len(banks[b])));
            }
        }
    }
    digest_compute(HASH_SHA256, writer_bytes(&v), digest);
    digest[0] = (uint8_t)(digest[0] ^ (spoil ? 1 : 0));
    write_u16be(out, 32);
    write_bytes(out, bytes_of(digest, 32));
}

static void write_signature(struct writer *out, struct bytes quote) {
    uint8_t der_bytes[128];
    struct writer der = writer_of(der_bytes, sizeof der_bytes);
    hold(private_key_sign(ak, &der, quote) == STATUS_OK);
    struct bytes in = writer_bytes(&der), pair, number;
    hold(der_take(&in, DER_SEQUENCE, &pair) == STATUS_OK);
    write_u16be(out, 0x0018);
    write_u16be(out, HASH_SHA256);
    for (int i = 0; i < 2; i++) {
        hold(der_take_unsigned(&pair, &number) == STATUS_OK);
        write_u16be(out, (uint16_t)number.len);
        write_bytes(out, number);
    }
}

static void claim_values(struct tpm2_evidence *evidence, uint32_t mask, size_t num_banks) {
    evidence->num_claimed = num_banks;
    for (size_t b = 0; b < num_banks; b++) {
        evidence->claimed[b].alg = banks[b];
        for (unsigned i = 0; i < PCR_COUNT; i++) {
            evidence->claimed[b].pcr[i].quoted = (mask >> i & 1) != 0;
            value_of(evidence->claimed[b].pcr[i].value, banks[b], i);
        }
    }
}

static void check_facts(const struct facts *facts, uint32_t mask) {
    for (size_t b = 0; b < facts->num_banks; b++) {
        const struct tcg_replay_bank *bank = tcg_replay_bank(&replay, facts->bank[b].alg);
        for (unsigned i = 0; i < PCR_COUNT; i++) {
            const struct fact_pcr *pcr = &facts->bank[b].pcr[i];
            hold(pcr->quoted == ((mask >> i & 1) != 0));
            hold(!pcr->logged || (pcr->quoted && bank != NULL));
            hold(!pcr->logged ||
                 memcmp(pcr->value, bank->value[i], digest_len(facts->bank[b].alg)) == 0);
        }
    }
    for (size_t i = 0; i < facts->num_events; i++) {
        const struct fact_event *event = &facts->event[i];
        hold(event->index == i);
        hold(event->digest_vouched != VOUCHED_REPLAYED ||
             (event->type != EV_NO_ACTION && (mask >> event->pcr & 1) != 0));
        hold(event->data_vouched != VOUCHED_BOUND || event->digest_vouched == VOUCHED_REPLAYED);
        touch(event->data);
        for (size_t b = 0; b < facts->num_banks; b++) {
            touch(event->digest[b]);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct facts facts;
    uint8_t quote_bytes[256], signature_bytes[128];
    struct writer quote = writer_of(quote_bytes, sizeof quote_bytes),
                  signature = writer_of(signature_bytes, sizeof signature_bytes);
    struct bytes in = bytes_of(data, size), log;
    struct tpm2_evidence evidence = {0};
    struct arena arena;
    struct detail detail = {0};
    enum tpm2_failure failure = TPM2_MALFORMED;
    uint32_t head;
    if (bytes_u32le(&in, &head) != STATUS_OK || bytes_u32le_prefixed(&in, &log) != STATUS_OK) {
        return 0;
    }
    uint32_t mask = head & 0xFFFFFF;
    size_t num_banks = (head >> 26 & 1) != 0 ? 2 : 1;
    bool spoil = (head >> 25 & 1) != 0;
    run_log(log);
    write_quote(&quote, mask, num_banks, spoil);
    write_signature(&signature, writer_bytes(&quote));
    hold(!quote.overflow && !signature.overflow);
    evidence.quote = writer_bytes(&quote);
    evidence.signature = writer_bytes(&signature);
    evidence.tcg_event_log = log;
    evidence.ima_log = in;
    if ((head >> 24 & 1) != 0) {
        claim_values(&evidence, mask, num_banks);
    }
    struct tpm2_expectation expected = {.ak = &ak_public, .nonce = bytes_of_text("nonce")};
    arena_init(&arena, 8 << 20);
    hold(tpm2_verify(&facts, &failure, &arena, &evidence, &expected, &detail) == STATUS_OK);
    hold(failure != TPM2_SIGNATURE_INVALID && failure != TPM2_NONCE_MISMATCH);
    if (failure == TPM2_VERIFIED) {
        hold(!spoil && mask != 0);
        check_facts(&facts, mask);
    } else {
        hold(detail.text[0] != '\0');
    }
    arena_free(&arena);
    return 0;
}
