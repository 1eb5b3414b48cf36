#include "server/evidence/tpm2/event_types.h"
#include "server/evidence/tpm2/tpm2.h"
#include "tests/unit/evidence_builder.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { MASK = 0x43FF, IMA_MASK = 0x47FF };

static const uint16_t sha256[] = {HASH_SHA256, 0};
static const uint16_t sha384[] = {HASH_SHA384, 0};
static const uint16_t sha1[] = {HASH_SHA1, 0};
static const uint16_t sha1_and_256[] = {HASH_SHA1, HASH_SHA256, 0};
static const uint16_t sha256_and_384[] = {HASH_SHA256, HASH_SHA384, 0};
static const uint16_t every_bank[] = {HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512, 0x12, 0};
static const char nonce_text[] = "0123456789abcdef0123456789abcdef";

/* One device; each test bends what it needs, and asks what the verifier makes of it. */
static struct private_key *ak;
static struct public_key ak_public;
static struct log_builder made;
static struct quote_builder quote;
static uint8_t quote_bytes[1024], signature_bytes[1024], ima_bytes[8192];
static struct writer quote_w, signature_w, ima;
static struct tpm2_evidence evidence;
static struct tpm2_expectation expected;
static struct pcr_selection selection;
static struct facts facts;
static struct arena arena;
static struct detail detail;

static void select_all(const uint16_t *algs, uint32_t mask) {
    memset(&selection, 0, sizeof selection);
    for (; *algs != 0; algs++) {
        selection.bank[selection.num_banks++] =
            (struct pcr_bank_selection){(enum hash_alg) * algs, mask};
    }
}

/* Signs the quote as it stands. */
static void sign(void) {
    quote_w = writer_of(quote_bytes, sizeof quote_bytes);
    signature_w = writer_of(signature_bytes, sizeof signature_bytes);
    quote_write(&quote_w, &quote);
    quote_sign(&signature_w, ak, writer_bytes(&quote_w));
    evidence.quote = writer_bytes(&quote_w);
    evidence.signature = writer_bytes(&signature_w);
}

/* Quotes what the log made of the PCRs. */
static void attest(const uint16_t *algs, uint32_t mask) {
    enum hash_alg hash = ak_public.kind == KEY_EC_P384 ? HASH_SHA384 : HASH_SHA256;
    quote_start(&quote, bytes_of_text(nonce_text), algs, mask, &made, hash);
    select_all(algs, mask);
    evidence.tcg_event_log = log_bytes(&made);
    sign();
}

static void use_ak(enum key_kind kind) {
    private_key_free(ak);
    ck_assert_int_eq(private_key_generate(&ak, kind), STATUS_OK);
    private_key_public(ak, &ak_public);
}

static void start(void) {
    ak = NULL;
    use_ak(KEY_EC_P256);
    memset(&evidence, 0, sizeof evidence);
    memset(&detail, 0, sizeof detail);
    ima = writer_of(ima_bytes, sizeof ima_bytes);
    arena_init(&arena, 1 << 24);
    expected = (struct tpm2_expectation){
        .ak = &ak_public, .nonce = bytes_of_text(nonce_text), .selection = &selection};
    log_small_boot(&made, sha256);
    attest(sha256, MASK);
}

static void end(void) {
    private_key_free(ak);
    log_free(&made);
    arena_free(&arena);
}

static void boot(const uint16_t *log_banks, const uint16_t *quoted, uint32_t mask) {
    log_free(&made);
    log_small_boot(&made, log_banks);
    attest(quoted, mask);
}

/* On anything but VERIFIED the facts are untouched. */
static enum tpm2_failure verify(void) {
    enum tpm2_failure failure = TPM2_MALFORMED;
    struct facts before;
    memset(&facts, 0x5A, sizeof facts);
    before = facts;
    ck_assert_int_eq(tpm2_verify(&facts, &failure, &arena, &evidence, &expected, &detail),
                     STATUS_OK);
    if (failure != TPM2_VERIFIED) {
        ck_assert_mem_eq(&facts, &before, sizeof facts);
        ck_assert_str_ne(detail.text, "");
    }
    return failure;
}

static const uint8_t *pcr_in_log(uint16_t alg, unsigned pcr) {
    return log_pcr(&made, alg, pcr);
}

static void claim(enum hash_alg alg, unsigned pcr, const uint8_t *value) {
    struct fact_bank *bank = NULL;
    for (size_t i = 0; i < evidence.num_claimed; i++) {
        if (evidence.claimed[i].alg == alg) {
            bank = &evidence.claimed[i];
        }
    }
    if (bank == NULL) {
        bank = &evidence.claimed[evidence.num_claimed++];
        bank->alg = alg;
    }
    bank->pcr[pcr].quoted = true;
    memcpy(bank->pcr[pcr].value, value, digest_len(alg));
}

static void claim_all(uint16_t alg, uint32_t mask) {
    for (unsigned i = 0; i < PCR_COUNT; i++) {
        if ((mask >> i & 1) != 0) {
            claim((enum hash_alg)alg, i, pcr_in_log(alg, i));
        }
    }
}

/* --- what verifies ----------------------------------------------------------------------------- */

START_TEST(quote_and_log_of_one_boot_verify) {
    static const enum key_kind kinds[] = {KEY_EC_P256, KEY_EC_P384, KEY_RSA};
    static const uint16_t *const quoted[] = {sha256, sha384, sha256_and_384, sha1_and_256};
    use_ak(kinds[_i % 3]);
    boot(every_bank, quoted[_i / 3], MASK);
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
    ck_assert_uint_eq(facts.num_banks, selection.num_banks);
    for (size_t b = 0; b < facts.num_banks; b++) {
        for (unsigned i = 0; i < PCR_COUNT; i++) {
            ck_assert_int_eq(facts.bank[b].pcr[i].quoted, (MASK >> i & 1) != 0);
            ck_assert_int_eq(facts.bank[b].pcr[i].logged, (MASK >> i & 1) != 0);
            if (facts.bank[b].pcr[i].quoted) {
                ck_assert_mem_eq(facts.bank[b].pcr[i].value,
                                 pcr_in_log((uint16_t)facts.bank[b].alg, i),
                                 digest_len(facts.bank[b].alg));
            }
        }
    }
}
END_TEST

START_TEST(facts_hold_what_the_quote_says_of_the_tpm) {
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
    ck_assert_uint_eq(facts.tpm_clock, 81234);
    ck_assert_uint_eq(facts.tpm_reset_count, 7);
    ck_assert_uint_eq(facts.tpm_restart_count, 1);
    ck_assert(facts.tpm_safe);
    ck_assert_uint_eq(facts.tpm_firmware_version, 0x2019102300163636);
    ck_assert(pcr_selection_equal(&facts.selection, &selection));
    ck_assert_ptr_eq(facts_bank(&facts, HASH_SHA256), &facts.bank[0]);
    ck_assert_ptr_null(facts_bank(&facts, HASH_SHA384));
}
END_TEST

START_TEST(facts_vouch_for_data_only_where_its_hash_was_extended) {
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
    ck_assert(facts.has_log);
    ck_assert_uint_eq(facts.num_events, made.num_events);
    for (size_t i = 0; i < facts.num_events; i++) {
        const struct fact_event *event = &facts.event[i];
        bool extends = event->type != EV_NO_ACTION;
        bool own_data = event->type == EV_S_CRTM_VERSION || event->type == EV_SEPARATOR ||
                        event->type == EV_PLATFORM_CONFIG_FLAGS ||
                        event->type == EV_EFI_VARIABLE_DRIVER_CONFIG ||
                        (event->type == EV_IPL && event->pcr == 8);
        ck_assert_uint_eq(event->index, i);
        ck_assert_int_eq(event->digest_vouched, extends ? VOUCHED_REPLAYED : VOUCHED_CLAIMED);
        ck_assert_int_eq(event->data_vouched, own_data ? VOUCHED_BOUND : VOUCHED_CLAIMED);
        ck_assert_uint_eq(event->digest[0].len, extends ? 32 : 0);
    }
}
END_TEST

START_TEST(facts_do_not_vouch_for_events_of_pcrs_that_were_not_quoted) {
    boot(sha256, sha256, MASK & ~(1u << 4));
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
    for (size_t i = 0; i < facts.num_events; i++) {
        if (facts.event[i].pcr == 4) {
            ck_assert_int_eq(facts.event[i].digest_vouched, VOUCHED_CLAIMED);
            ck_assert_int_eq(facts.event[i].data_vouched, VOUCHED_CLAIMED);
        }
    }
    ck_assert(!facts.bank[0].pcr[4].quoted);
    ck_assert(!facts.bank[0].pcr[4].logged);
}
END_TEST

START_TEST(facts_do_not_vouch_by_sha1) {
    /* PCR 4 in the SHA-1 bank only. */
    boot(sha1_and_256, sha1_and_256, MASK);
    quote.bank[1].mask = MASK & ~(1u << 4);
    uint8_t values[2048];
    struct writer w = writer_of(values, sizeof values);
    for (size_t b = 0; b < 2; b++) {
        for (unsigned i = 0; i < PCR_COUNT; i++) {
            if ((quote.bank[b].mask >> i & 1) != 0) {
                write_bytes(&w, bytes_of(pcr_in_log(quote.bank[b].alg, i), b == 0 ? 20 : 32));
            }
        }
    }
    digest_compute(HASH_SHA256, writer_bytes(&w), quote.digest);
    expected.selection = NULL;
    sign();
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
    for (size_t i = 0; i < facts.num_events; i++) {
        ck_assert_int_eq(facts.event[i].digest_vouched,
                         facts.event[i].type == EV_NO_ACTION || facts.event[i].pcr == 4
                             ? VOUCHED_CLAIMED
                             : VOUCHED_REPLAYED);
    }
}
END_TEST

START_TEST(log_padding_changes_nothing) {
    log_padding(&made, _i == 0 ? 0x00 : 0xFF, 5000);
    evidence.tcg_event_log = log_bytes(&made);
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
    ck_assert_uint_eq(facts.num_events, made.num_events);
}
END_TEST

START_TEST(selection_is_met_whatever_the_order_of_banks) {
    boot(every_bank, sha256_and_384, MASK);
    struct pcr_bank_selection first = selection.bank[0];
    selection.bank[0] = selection.bank[1];
    selection.bank[1] = first;
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
}
END_TEST

/* --- the quote itself -------------------------------------------------------------------------- */

START_TEST(no_bit_of_the_quote_can_be_flipped) {
    for (size_t bit = 0; bit < 8 * quote_w.len; bit++) {
        quote_bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_ne(verify(), TPM2_VERIFIED);
        quote_bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
}
END_TEST

START_TEST(no_bit_of_the_signature_can_be_flipped) {
    static const enum key_kind kinds[] = {KEY_EC_P256, KEY_EC_P384, KEY_RSA};
    use_ak(kinds[_i]);
    attest(sha256, MASK);
    for (size_t bit = 0; bit < 8 * signature_w.len; bit++) {
        signature_bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_ne(verify(), TPM2_VERIFIED);
        signature_bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
}
END_TEST

START_TEST(no_prefix_of_quote_or_signature_verifies) {
    struct bytes whole = evidence.quote;
    for (size_t len = 0; len < whole.len; len++) {
        uint8_t *copy = exact_copy(bytes_of(whole.data, len));
        evidence.quote = bytes_of(copy, len);
        ck_assert_int_eq(verify(), TPM2_MALFORMED);
        free(copy);
    }
    evidence.quote = whole;
    whole = evidence.signature;
    for (size_t len = 0; len < whole.len; len++) {
        uint8_t *copy = exact_copy(bytes_of(whole.data, len));
        evidence.signature = bytes_of(copy, len);
        ck_assert_int_ne(verify(), TPM2_VERIFIED);
        free(copy);
    }
}
END_TEST

START_TEST(bytes_after_quote_or_signature_are_refused) {
    evidence.quote.len++;
    ck_assert_int_eq(verify(), TPM2_MALFORMED);
    evidence.quote.len--;
    evidence.signature.len++;
    ck_assert_int_eq(verify(), TPM2_MALFORMED);
}
END_TEST

START_TEST(quote_of_another_key_is_refused) {
    struct public_key other = ak_public;
    use_ak(KEY_EC_P256);
    expected.ak = &other;
    attest(sha256, MASK);
    ck_assert_int_eq(verify(), TPM2_SIGNATURE_INVALID);
    expected.ak = &ak_public;
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
}
END_TEST

START_TEST(signature_of_another_kind_than_the_key_is_refused) {
    struct public_key other = ak_public;
    use_ak(KEY_RSA);
    attest(sha256, MASK);
    expected.ak = &other;
    enum tpm2_failure failure = verify();
    ck_assert(failure == TPM2_SIGNATURE_UNSUPPORTED || failure == TPM2_SIGNATURE_INVALID);
}
END_TEST

START_TEST(signature_with_sha1_is_refused) {
    signature_bytes[3] = HASH_SHA1;
    ck_assert_int_eq(verify(), TPM2_SIGNATURE_UNSUPPORTED);
}
END_TEST

START_TEST(signature_of_another_scheme_or_hash_than_the_ak_states_is_refused) {
    expected.ak_hash = HASH_SHA384;
    ck_assert_int_eq(verify(), TPM2_SIGNATURE_UNSUPPORTED);
    expected.ak_hash = HASH_SHA256;
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
    expected.ak_scheme = SIGNATURE_RSAPSS;
    ck_assert_int_eq(verify(), TPM2_SIGNATURE_UNSUPPORTED);
    expected.ak_scheme = SIGNATURE_ECDSA;
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
}
END_TEST

START_TEST(what_the_tpm_did_not_generate_is_no_quote) {
    quote.magic = 0xff544348;
    sign();
    ck_assert_int_eq(verify(), TPM2_NOT_A_QUOTE);
}
END_TEST

START_TEST(other_attestations_are_no_quote) {
    static const uint16_t types[] = {0x8014, 0x8015, 0x8016, 0x8017, 0x8019,
                                     0x801A, 0x801C, 0,      0xFFFF};
    quote.type = types[_i];
    sign();
    enum tpm2_failure failure = verify();
    ck_assert(failure == TPM2_NOT_A_QUOTE || failure == TPM2_MALFORMED);
}
END_TEST

/* A TPM2_Certify by the same key is properly signed and carries the nonce. */
START_TEST(certification_is_no_quote) {
    struct writer w = writer_of(quote_bytes, sizeof quote_bytes);
    write_u32be(&w, 0xff544347);
    write_u16be(&w, 0x8017);
    write_u16be(&w, 0);
    write_u16be(&w, 32);
    write_bytes(&w, bytes_of_text(nonce_text));
    for (int i = 0; i < 25; i++) {
        write_u8(&w, 0);
    }
    write_u16be(&w, 0);
    write_u16be(&w, 0);
    signature_w = writer_of(signature_bytes, sizeof signature_bytes);
    quote_sign(&signature_w, ak, writer_bytes(&w));
    evidence.quote = writer_bytes(&w);
    evidence.signature = writer_bytes(&signature_w);
    ck_assert_int_eq(verify(), TPM2_NOT_A_QUOTE);
}
END_TEST

START_TEST(any_other_nonce_is_refused) {
    static const char *const others[] = {"",
                                         "0",
                                         "0123456789abcdef0123456789abcde",
                                         "0123456789abcdef0123456789abcdef0",
                                         "1123456789abcdef0123456789abcdef",
                                         "0123456789abcdef0123456789abcdeg"};
    expected.nonce = bytes_of_text(others[_i]);
    ck_assert_int_eq(verify(), TPM2_NONCE_MISMATCH);
}
END_TEST

START_TEST(absent_nonce_is_never_met) {
    quote.nonce = bytes_of(NULL, 0);
    sign();
    ck_assert_int_eq(verify(), TPM2_NONCE_MISMATCH);
    expected.nonce = bytes_of(NULL, 0);
    ck_assert_int_eq(verify(), TPM2_NONCE_MISMATCH);
}
END_TEST

START_TEST(selection_must_be_the_whole_required_one) {
    /* One PCR more, or one less, anywhere. */
    for (unsigned i = 0; i < PCR_COUNT; i++) {
        selection.bank[0].mask = MASK ^ 1u << i;
        ck_assert_int_eq(verify(), TPM2_SELECTION_MISMATCH);
    }
    select_all(sha384, MASK);
    ck_assert_int_eq(verify(), TPM2_SELECTION_MISMATCH);
    select_all(sha256_and_384, MASK);
    ck_assert_int_eq(verify(), TPM2_SELECTION_MISMATCH);
    select_all(sha256, MASK);
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
}
END_TEST

START_TEST(quote_of_more_banks_than_required_is_refused) {
    boot(every_bank, sha256_and_384, MASK);
    select_all(sha256, MASK);
    ck_assert_int_eq(verify(), TPM2_SELECTION_MISMATCH);
}
END_TEST

START_TEST(quote_of_nothing_is_refused) {
    expected.selection = NULL;
    quote.num_banks = 0;
    sign();
    ck_assert_int_eq(verify(), TPM2_SELECTION_MISMATCH);
    attest(sha256, MASK);
    quote.bank[0].mask = 0;
    sign();
    ck_assert_int_eq(verify(), TPM2_SELECTION_MISMATCH);
}
END_TEST

START_TEST(selection_that_we_cannot_read_is_refused) {
    static const struct {
        uint16_t alg;
        uint8_t size;
        uint32_t mask;
    } bent[] = {{0x12, 3, MASK}, {HASH_SHA256, 4, 1u << 24 | MASK}, {HASH_SHA256, 0, 0}};
    expected.selection = NULL;
    quote.bank[0].alg = bent[_i].alg;
    quote.bank[0].size_of_select = bent[_i].size;
    quote.bank[0].mask = bent[_i].mask;
    sign();
    ck_assert_int_ne(verify(), TPM2_VERIFIED);
}
END_TEST

START_TEST(bank_selected_twice_is_refused) {
    expected.selection = NULL;
    quote.bank[1] = quote.bank[0];
    quote.num_banks = 2;
    sign();
    ck_assert_int_eq(verify(), TPM2_MALFORMED);
}
END_TEST

START_TEST(sha1_alone_is_refused) {
    boot(sha1_and_256, sha1, MASK);
    ck_assert_int_eq(verify(), TPM2_WEAK_BANK);
}
END_TEST

START_TEST(pcr_digest_of_another_size_is_refused) {
    for (size_t len = 0; len <= DIGEST_MAX; len++) {
        quote.digest_len = len;
        sign();
        ck_assert_int_eq(verify() == TPM2_VERIFIED, len == 32);
    }
}
END_TEST

/* --- PCR values -------------------------------------------------------------------------------- */

START_TEST(claimed_values_verify_with_and_without_a_log) {
    claim_all(HASH_SHA256, MASK);
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
    evidence.tcg_event_log = bytes_of(NULL, 0);
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
    ck_assert(!facts.has_log);
    ck_assert(!facts.bank[0].pcr[4].logged);
    ck_assert(facts.bank[0].pcr[4].quoted);
    ck_assert_uint_eq(facts.num_events, 0);
}
END_TEST

START_TEST(claimed_value_that_was_not_quoted_is_refused) {
    claim_all(HASH_SHA256, MASK);
    for (unsigned i = 0; i < PCR_COUNT; i++) {
        if ((MASK >> i & 1) != 0) {
            evidence.claimed[0].pcr[i].value[_i] ^= 0x80;
            ck_assert_int_eq(verify(), TPM2_PCR_DIGEST_MISMATCH);
            evidence.claimed[0].pcr[i].value[_i] ^= 0x80;
        }
    }
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
}
END_TEST

START_TEST(claimed_value_outside_the_signed_selection_is_refused) {
    static const uint8_t zeros[DIGEST_MAX];
    claim_all(HASH_SHA256, MASK);
    claim(HASH_SHA256, 15, zeros);
    ck_assert_int_eq(verify(), TPM2_PCR_DIGEST_MISMATCH);
    evidence.claimed[0].pcr[15].quoted = false;
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
    claim(HASH_SHA384, 0, zeros);
    ck_assert_int_eq(verify(), TPM2_PCR_DIGEST_MISMATCH);
}
END_TEST

START_TEST(claimed_values_swapped_between_pcrs_are_refused) {
    claim_all(HASH_SHA256, MASK);
    memcpy(evidence.claimed[0].pcr[4].value, pcr_in_log(HASH_SHA256, 5), 32);
    memcpy(evidence.claimed[0].pcr[5].value, pcr_in_log(HASH_SHA256, 4), 32);
    ck_assert_int_eq(verify(), TPM2_PCR_DIGEST_MISMATCH);
}
END_TEST

START_TEST(value_that_only_the_device_knows_may_be_claimed_alone) {
    static const uint8_t app[32] = {0xAB, 0xCD};
    boot(sha256, sha256, MASK);
    memcpy(made.pcr[0][23], app, 32);
    attest(sha256, MASK | 1u << 23);
    ck_assert_int_eq(verify(), TPM2_LOG_DOES_NOT_REPLAY);
    claim(HASH_SHA256, 23, app);
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
    ck_assert(facts.bank[0].pcr[23].quoted);
    ck_assert(!facts.bank[0].pcr[23].logged);
    ck_assert_mem_eq(facts.bank[0].pcr[23].value, app, 32);
}
END_TEST

START_TEST(untouched_pcrs_are_at_their_reset_values) {
    boot(sha256, sha256, 0xFFFFFF);
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
    ck_assert(bytes_all(bytes_of(facts.bank[0].pcr[16].value, 32), 0x00));
    ck_assert(bytes_all(bytes_of(facts.bank[0].pcr[17].value, 32), 0xFF));
    ck_assert(bytes_all(bytes_of(facts.bank[0].pcr[22].value, 32), 0xFF));
    ck_assert(bytes_all(bytes_of(facts.bank[0].pcr[23].value, 32), 0x00));
}
END_TEST

START_TEST(quote_without_a_log_needs_values) {
    evidence.tcg_event_log = bytes_of(NULL, 0);
    ck_assert_int_eq(verify(), TPM2_PCR_UNKNOWN);
}
END_TEST

START_TEST(quote_of_reset_pcrs_needs_neither_log_nor_values) {
    quote_start(&quote, bytes_of_text(nonce_text), sha256, 0xFF8000, NULL, HASH_SHA256);
    select_all(sha256, 0xFF8000);
    sign();
    evidence.tcg_event_log = bytes_of(NULL, 0);
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
}
END_TEST

START_TEST(bank_that_the_log_lacks_needs_values) {
    boot(every_bank, sha256_and_384, MASK);
    struct log_builder both = made;
    log_small_boot(&made, sha256);
    evidence.tcg_event_log = log_bytes(&made);
    ck_assert_int_ne(verify(), TPM2_VERIFIED);
    for (unsigned i = 0; i < PCR_COUNT; i++) {
        if ((MASK >> i & 1) != 0) {
            claim(HASH_SHA384, i, log_pcr(&both, HASH_SHA384, i));
        }
    }
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
    ck_assert(facts_bank(&facts, HASH_SHA256)->pcr[4].logged);
    ck_assert(!facts_bank(&facts, HASH_SHA384)->pcr[4].logged);
    log_free(&both);
}
END_TEST

/* --- the log ----------------------------------------------------------------------------------- */

START_TEST(startup_locality_and_hcrtm_verify) {
    static const uint8_t localities[] = {0, 3, 4, 0xFF};
    log_free(&made);
    log_start(&made, every_bank);
    if (localities[_i] == 0xFF) {
        log_hcrtm(&made, "hardware");
    } else {
        log_locality(&made, localities[_i]);
    }
    log_text(&made, 0, EV_S_CRTM_VERSION, "firmware");
    attest(sha256_and_384, MASK);
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
}
END_TEST

START_TEST(startup_locality_cannot_be_changed) {
    log_free(&made);
    log_start(&made, sha256);
    log_locality(&made, 3);
    log_text(&made, 0, EV_S_CRTM_VERSION, "firmware");
    attest(sha256, MASK);
    for (unsigned locality = 0; locality < 256; locality++) {
        made.data[made.data_at[1] + 16] = (uint8_t)locality;
        ck_assert_int_eq(verify(), locality == 3 ? TPM2_VERIFIED : TPM2_LOG_DOES_NOT_REPLAY);
    }
}
END_TEST

/* What rules read of two verified facts is the same. */
static void same_facts(const struct facts *a, const struct facts *b) {
    ck_assert_uint_eq(a->num_banks, b->num_banks);
    ck_assert_uint_eq(a->num_events, b->num_events);
    ck_assert_mem_eq(a->bank, b->bank, sizeof a->bank);
    for (size_t i = 0; i < a->num_events; i++) {
        const struct fact_event *x = &a->event[i], *y = &b->event[i];
        ck_assert_int_eq(x->digest_vouched, y->digest_vouched);
        ck_assert_int_eq(x->data_vouched, y->data_vouched);
        if (x->digest_vouched == VOUCHED_REPLAYED) {
            ck_assert(bytes_equal(x->digest[0], y->digest[0]));
            ck_assert_uint_eq(x->pcr, y->pcr);
        }
        if (x->data_vouched == VOUCHED_BOUND) {
            ck_assert(bytes_equal(x->data, y->data));
        }
    }
}

START_TEST(no_bit_of_the_log_changes_what_a_rule_may_read) {
    log_free(&made);
    log_start(&made, sha256);
    log_locality(&made, 3);
    log_text(&made, 0, EV_S_CRTM_VERSION, "firmware");
    log_text(&made, 4, EV_ACTION, "boot");
    log_event(&made, 4, EV_IPL, bytes_of("loader\0", 7), bytes_of_text("code"));
    log_text(&made, 0, EV_SEPARATOR, "\xFF\xFF\xFF\xFF");
    attest(sha256, MASK);
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
    struct facts whole = facts;
    struct log_builder original = made;
    made.data = exact_copy(log_bytes(&original));
    evidence.tcg_event_log = log_bytes(&made);
    size_t harmless = 0;
    for (size_t bit = 0; bit < 8 * made.len; bit++) {
        made.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (verify() == TPM2_VERIFIED) {
            bool in_digest = false;
            for (size_t i = 1; i < made.num_events; i++) {
                in_digest |= original.digest_at[i] <= bit / 8 &&
                             bit / 8 < original.digest_at[i] + 32 &&
                             i != 1; /* EV_NO_ACTION's digest extends nothing */
            }
            ck_assert(!in_digest);
            /* Data that was bound can lose that, and nothing can gain it. */
            for (size_t i = 0; i < facts.num_events; i++) {
                if (facts.event[i].data_vouched != whole.event[i].data_vouched) {
                    ck_assert_int_eq(facts.event[i].data_vouched, VOUCHED_CLAIMED);
                    facts.event[i].data_vouched = VOUCHED_BOUND;
                    facts.event[i].data = whole.event[i].data;
                }
            }
            same_facts(&facts, &whole);
            harmless++;
        }
        made.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert_uint_gt(harmless, 0);
    log_free(&original);
}
END_TEST

START_TEST(retyped_event_changes_no_fact_but_the_claim) {
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
    struct facts whole = facts;
    for (size_t i = 1; i < made.num_events; i++) {
        uint8_t *type = made.data + made.type_at[i], kept = type[0];
        type[0] = EV_POST_CODE;
        ck_assert_int_eq(verify(), TPM2_VERIFIED);
        same_facts(&facts, &whole);
        type[0] = kept;
    }
}
END_TEST

START_TEST(event_retyped_as_no_action_does_not_replay) {
    for (size_t i = 1; i < made.num_events; i++) {
        uint8_t kept[4];
        memcpy(kept, made.data + made.type_at[i], 4);
        memcpy(made.data + made.type_at[i], "\x03\0\0\0", 4);
        ck_assert_int_eq(verify(), TPM2_LOG_DOES_NOT_REPLAY);
        memcpy(made.data + made.type_at[i], kept, 4);
    }
}
END_TEST

/* Copies events in the given order into a new log. */
static void rebuild(const size_t *order, size_t num) {
    static uint8_t bent[BUILDER_LOG_MAX];
    struct writer w = writer_of(bent, sizeof bent);
    for (size_t i = 0; i < num; i++) {
        size_t stop = order[i] + 1 < made.num_events ? made.start[order[i] + 1] : made.len;
        write_bytes(&w, bytes_of(made.data + made.start[order[i]], stop - made.start[order[i]]));
    }
    evidence.tcg_event_log = writer_bytes(&w);
}

static size_t in_order(size_t *order) {
    for (size_t i = 0; i < made.num_events; i++) {
        order[i] = i;
    }
    return made.num_events;
}

static uint32_t event_pcr(size_t i) {
    return made.data[made.start[i]];
}

START_TEST(dropped_event_does_not_replay) {
    for (size_t gone = 1; gone < made.num_events; gone++) {
        size_t order[BUILDER_EVENTS], num = in_order(order) - 1;
        memmove(order + gone, order + gone + 1, (num - gone) * sizeof *order);
        rebuild(order, num);
        ck_assert_int_eq(verify(), TPM2_LOG_DOES_NOT_REPLAY);
    }
}
END_TEST

START_TEST(inserted_event_does_not_replay) {
    for (size_t twice = 1; twice < made.num_events; twice++) {
        size_t order[BUILDER_EVENTS], num = in_order(order);
        order[num++] = twice;
        rebuild(order, num);
        ck_assert_int_eq(verify(), TPM2_LOG_DOES_NOT_REPLAY);
    }
}
END_TEST

START_TEST(reordered_events_of_one_pcr_do_not_replay) {
    size_t tried = 0;
    for (size_t i = 1; i < made.num_events; i++) {
        for (size_t j = i + 1; j < made.num_events; j++) {
            size_t order[BUILDER_EVENTS], num = in_order(order);
            if (event_pcr(i) != event_pcr(j)) {
                continue;
            }
            order[i] = j;
            order[j] = i;
            rebuild(order, num);
            ck_assert_int_eq(verify(), TPM2_LOG_DOES_NOT_REPLAY);
            tried++;
        }
    }
    ck_assert_uint_gt(tried, 5);
}
END_TEST

START_TEST(event_moved_to_another_pcr_does_not_replay) {
    for (size_t i = 1; i < made.num_events; i++) {
        uint8_t *pcr = made.data + made.start[i], kept = *pcr;
        *pcr = (uint8_t)((kept + 1) % 10);
        ck_assert_int_eq(verify(), TPM2_LOG_DOES_NOT_REPLAY);
        *pcr = kept;
    }
}
END_TEST

START_TEST(log_of_another_boot_does_not_replay_even_with_the_right_values) {
    claim_all(HASH_SHA256, MASK);
    log_text(&made, 4, EV_ACTION, "one more");
    evidence.tcg_event_log = log_bytes(&made);
    ck_assert_int_eq(verify(), TPM2_LOG_DOES_NOT_REPLAY);
    ck_assert_ptr_nonnull(strstr(detail.text, "PCR 4"));
}
END_TEST

START_TEST(log_must_replay_in_every_quoted_bank) {
    boot(every_bank, sha256_and_384, MASK);
    for (size_t i = 1; i < made.num_events; i++) {
        /* The digests: SHA-1 20, SHA-256 32, SHA-384 48 bytes, an algorithm before each. */
        uint8_t *sha384_digest = made.data + made.digest_at[i] + 20 + 2 + 32 + 2;
        sha384_digest[7] ^= 1;
        ck_assert_int_eq(verify(), TPM2_LOG_DOES_NOT_REPLAY);
        sha384_digest[7] ^= 1;
        /* The SHA-512 bank was not quoted. */
        sha384_digest[48 + 2] ^= 1;
        ck_assert_int_eq(verify(), TPM2_VERIFIED);
        sha384_digest[48 + 2] ^= 1;
    }
}
END_TEST

START_TEST(malformed_log_is_refused_by_event_and_byte) {
    made.data[made.start[3] + 8] = 0;
    ck_assert_int_eq(verify(), TPM2_MALFORMED);
    ck_assert_msg(strncmp(detail.text, "tcg_event_log: event 3 at byte ", 31) == 0, "%s",
                  detail.text);
}
END_TEST

START_TEST(old_format_is_no_evidence) {
    uint8_t raw[36] = {4, 0, 0, 0, EV_ACTION};
    raw[28] = 4;
    evidence.tcg_event_log = bytes_of(raw, sizeof raw);
    ck_assert_int_eq(verify(), TPM2_LOG_UNSUPPORTED);
}
END_TEST

/* --- IMA --------------------------------------------------------------------------------------- */

static void extend_ima(const uint16_t *algs, size_t b, struct bytes data, bool padded,
                       const uint8_t template_digest[20], bool violation) {
    uint8_t digest[DIGEST_MAX] = {0};
    size_t len = digest_len((enum hash_alg)algs[b]);
    if (violation) {
        memset(digest, 0xFF, sizeof digest);
    } else if (padded) {
        memcpy(digest, template_digest, 20);
    } else {
        digest_compute((enum hash_alg)algs[b], data, digest);
    }
    digest_compute2((enum hash_alg)algs[b], bytes_of(made.pcr[b][10], len), bytes_of(digest, len),
                    made.pcr[b][10]);
}

/* padded: bit b, as the kernel does where it lacks the bank's algorithm. */
static void ima_entry(uint32_t pcr, const char *name, struct bytes data, unsigned padded,
                      bool violation) {
    uint8_t digest[20] = {0};
    if (!violation) {
        digest_compute(HASH_SHA1, data, digest);
    }
    write_u32le(&ima, pcr);
    write_bytes(&ima, bytes_of(digest, 20));
    write_u32le(&ima, (uint32_t)strlen(name));
    write_bytes(&ima, bytes_of_text(name));
    write_u32le(&ima, (uint32_t)data.len);
    write_bytes(&ima, data);
    ck_assert(!ima.overflow);
    for (size_t b = 0; b < made.num_banks && pcr == 10; b++) {
        extend_ima(made.alg, b, data, (padded >> b & 1) != 0, digest, violation);
    }
    evidence.ima_log = writer_bytes(&ima);
}

static void ima_entries(unsigned num, unsigned padded) {
    for (unsigned i = 0; i < num; i++) {
        uint8_t data[64] = {(uint8_t)i, 9, 9};
        ima_entry(10, "ima-ng", bytes_of(data, 40 + i), padded, false);
    }
}

START_TEST(pcr10_follows_from_the_ima_log) {
    ima_entries(5, 0);
    attest(sha256, IMA_MASK);
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
    ck_assert_mem_eq(facts.bank[0].pcr[10].value, made.pcr[0][10], 32);
    ck_assert(facts.bank[0].pcr[10].quoted);
    ck_assert(!facts.bank[0].pcr[10].logged);
}
END_TEST

START_TEST(ima_log_may_be_longer_than_the_quote) {
    ima_entries(5, 0);
    attest(sha256, IMA_MASK);
    ima_entries(3, 0);
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
    /* Or break off in an entry that the quote does not cover. */
    evidence.ima_log.len--;
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
}
END_TEST

START_TEST(ima_log_shorter_than_the_quote_does_not_replay) {
    ima_entries(5, 0);
    attest(sha256, IMA_MASK);
    for (size_t len = 1; len < ima.len; len++) {
        evidence.ima_log.len = len;
        ck_assert_int_eq(verify(), TPM2_LOG_DOES_NOT_REPLAY);
    }
}
END_TEST

START_TEST(changed_ima_entry_does_not_replay) {
    ima_entries(2, 0);
    attest(sha256, IMA_MASK);
    for (size_t at = 4 + 20 + 4 + 6 + 4; at < 4 + 20 + 4 + 6 + 4 + 40; at++) {
        ima_bytes[at] ^= 4;
        ck_assert_int_eq(verify(), TPM2_LOG_DOES_NOT_REPLAY);
        ima_bytes[at] ^= 4;
    }
}
END_TEST

START_TEST(ima_violation_extends_all_ones) {
    ima_entries(2, 0);
    ima_entry(10, "ima-ng", bytes_of_text("whatever"), 0, true);
    ima_entries(1, 0);
    attest(sha256, IMA_MASK);
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
}
END_TEST

START_TEST(ima_entries_of_other_pcrs_do_not_extend_pcr10) {
    ima_entries(2, 0);
    ima_entry(11, "ima-ng", bytes_of_text("elsewhere"), 0, false);
    ima_entries(1, 0);
    attest(sha256, IMA_MASK);
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
}
END_TEST

START_TEST(first_ima_template_has_its_own_framing) {
    uint8_t fields[20 + 256] = {1, 2, 3}, digest[20];
    memcpy(fields + 20, "/bin/sh", 7);
    digest_compute(HASH_SHA1, bytes_of(fields, sizeof fields), digest);
    write_u32le(&ima, 10);
    write_bytes(&ima, bytes_of(digest, 20));
    write_u32le(&ima, 3);
    write_bytes(&ima, bytes_of_text("ima"));
    write_bytes(&ima, bytes_of(fields, 20));
    write_u32le(&ima, 7);
    write_bytes(&ima, bytes_of_text("/bin/sh"));
    extend_ima(made.alg, 0, bytes_of(fields, sizeof fields), false, digest, false);
    ima_entries(1, 0);
    attest(sha256, IMA_MASK);
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
}
END_TEST

START_TEST(ima_digests_may_be_padded_sha1_in_each_bank) {
    log_free(&made);
    log_small_boot(&made, sha256_and_384);
    ima_entries(4, (unsigned)_i);
    attest(sha256_and_384, IMA_MASK);
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
    ck_assert_mem_eq(facts.bank[1].pcr[10].value, made.pcr[1][10], 48);
}
END_TEST

START_TEST(quoted_pcr10_without_ima_log_is_a_missing_value) {
    ima_entries(1, 0);
    attest(sha256, IMA_MASK);
    evidence.ima_log = bytes_of(NULL, 0);
    ck_assert_int_eq(verify(), TPM2_PCR_UNKNOWN);
    claim(HASH_SHA256, 10, made.pcr[0][10]);
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
}
END_TEST

START_TEST(ima_log_does_not_excuse_another_event_log) {
    ima_entries(3, 0);
    attest(sha256, IMA_MASK);
    log_text(&made, 4, EV_ACTION, "one more");
    evidence.tcg_event_log = log_bytes(&made);
    ck_assert_int_eq(verify(), TPM2_LOG_DOES_NOT_REPLAY);
}
END_TEST

START_TEST(ima_log_leads_to_the_value_given_too) {
    ima_entries(3, 0);
    attest(sha256, IMA_MASK);
    claim(HASH_SHA256, 10, made.pcr[0][10]);
    ck_assert_int_eq(verify(), TPM2_VERIFIED);
    ck_assert(facts.ima.known);
    ck_assert_uint_eq(facts.ima.num_confirmed, 3);
    memset(ima_bytes, 0xEE, ima.len);
    ck_assert_int_eq(verify(), TPM2_LOG_DOES_NOT_REPLAY);
}
END_TEST

START_TEST(ima_log_of_another_pcr_is_refused_by_name) {
    for (unsigned i = 0; i < 3; i++) {
        ima_entry(11, "ima-ng", bytes_of_text("elsewhere"), 0, false);
    }
    log_text(&made, 10, EV_ACTION, "something else extends PCR 10");
    attest(sha256, IMA_MASK);
    evidence.tcg_event_log = bytes_of(NULL, 0);
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        if ((IMA_MASK >> pcr & 1u) != 0) {
            claim(HASH_SHA256, pcr, made.pcr[0][pcr]);
        }
    }
    ck_assert_int_eq(verify(), TPM2_IMA_PCR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(detail.text, "extends PCR 10"));
}
END_TEST

/* --- limits ------------------------------------------------------------------------------------ */

START_TEST(no_memory_is_no_verdict) {
    enum tpm2_failure failure = TPM2_MALFORMED;
    struct arena small;
    struct facts before;
    memset(&facts, 0x5A, sizeof facts);
    before = facts;
    for (size_t cap = 0; cap < sizeof(struct fact_event) * made.num_events; cap += 97) {
        arena_init(&small, cap);
        ck_assert_int_eq(tpm2_verify(&facts, &failure, &small, &evidence, &expected, &detail),
                         STATUS_MEMORY);
        ck_assert_int_eq(failure, TPM2_MALFORMED);
        ck_assert_mem_eq(&facts, &before, sizeof facts);
        arena_free(&small);
    }
}
END_TEST

START_TEST(failures_have_stable_codes) {
    static const char *const codes[] = {"verified",
                                        "evidence_malformed",
                                        "quote_signature_invalid",
                                        "quote_signature_unsupported",
                                        "not_a_quote",
                                        "nonce_mismatch",
                                        "pcr_selection_mismatch",
                                        "weak_pcr_bank",
                                        "pcr_digest_mismatch",
                                        "log_format_unsupported",
                                        "log_does_not_replay",
                                        "pcr_values_missing",
                                        "ima_pcr_unsupported",
                                        "ima_log_too_long",
                                        "ima_log_from_start_wanted"};
    ck_assert_str_eq(tpm2_failure_code((enum tpm2_failure)_i), codes[_i]);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("tpm2");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, start, end);
    tcase_add_loop_test(tests, quote_and_log_of_one_boot_verify, 0, 12);
    tcase_add_test(tests, facts_hold_what_the_quote_says_of_the_tpm);
    tcase_add_test(tests, facts_vouch_for_data_only_where_its_hash_was_extended);
    tcase_add_test(tests, facts_do_not_vouch_for_events_of_pcrs_that_were_not_quoted);
    tcase_add_test(tests, facts_do_not_vouch_by_sha1);
    tcase_add_loop_test(tests, log_padding_changes_nothing, 0, 2);
    tcase_add_test(tests, selection_is_met_whatever_the_order_of_banks);
    tcase_add_test(tests, no_bit_of_the_quote_can_be_flipped);
    tcase_add_loop_test(tests, no_bit_of_the_signature_can_be_flipped, 0, 3);
    tcase_add_test(tests, no_prefix_of_quote_or_signature_verifies);
    tcase_add_test(tests, bytes_after_quote_or_signature_are_refused);
    tcase_add_test(tests, quote_of_another_key_is_refused);
    tcase_add_test(tests, signature_of_another_kind_than_the_key_is_refused);
    tcase_add_test(tests, signature_with_sha1_is_refused);
    tcase_add_test(tests, signature_of_another_scheme_or_hash_than_the_ak_states_is_refused);
    tcase_add_test(tests, what_the_tpm_did_not_generate_is_no_quote);
    tcase_add_loop_test(tests, other_attestations_are_no_quote, 0, 9);
    tcase_add_test(tests, certification_is_no_quote);
    tcase_add_loop_test(tests, any_other_nonce_is_refused, 0, 6);
    tcase_add_test(tests, absent_nonce_is_never_met);
    tcase_add_test(tests, selection_must_be_the_whole_required_one);
    tcase_add_test(tests, quote_of_more_banks_than_required_is_refused);
    tcase_add_test(tests, quote_of_nothing_is_refused);
    tcase_add_loop_test(tests, selection_that_we_cannot_read_is_refused, 0, 3);
    tcase_add_test(tests, bank_selected_twice_is_refused);
    tcase_add_test(tests, sha1_alone_is_refused);
    tcase_add_test(tests, pcr_digest_of_another_size_is_refused);
    tcase_add_test(tests, claimed_values_verify_with_and_without_a_log);
    tcase_add_loop_test(tests, claimed_value_that_was_not_quoted_is_refused, 0, 32);
    tcase_add_test(tests, claimed_value_outside_the_signed_selection_is_refused);
    tcase_add_test(tests, claimed_values_swapped_between_pcrs_are_refused);
    tcase_add_test(tests, value_that_only_the_device_knows_may_be_claimed_alone);
    tcase_add_test(tests, untouched_pcrs_are_at_their_reset_values);
    tcase_add_test(tests, quote_without_a_log_needs_values);
    tcase_add_test(tests, quote_of_reset_pcrs_needs_neither_log_nor_values);
    tcase_add_test(tests, bank_that_the_log_lacks_needs_values);
    tcase_add_loop_test(tests, startup_locality_and_hcrtm_verify, 0, 4);
    tcase_add_test(tests, startup_locality_cannot_be_changed);
    tcase_add_test(tests, no_bit_of_the_log_changes_what_a_rule_may_read);
    tcase_add_test(tests, retyped_event_changes_no_fact_but_the_claim);
    tcase_add_test(tests, event_retyped_as_no_action_does_not_replay);
    tcase_add_test(tests, dropped_event_does_not_replay);
    tcase_add_test(tests, inserted_event_does_not_replay);
    tcase_add_test(tests, reordered_events_of_one_pcr_do_not_replay);
    tcase_add_test(tests, event_moved_to_another_pcr_does_not_replay);
    tcase_add_test(tests, log_of_another_boot_does_not_replay_even_with_the_right_values);
    tcase_add_test(tests, log_must_replay_in_every_quoted_bank);
    tcase_add_test(tests, malformed_log_is_refused_by_event_and_byte);
    tcase_add_test(tests, old_format_is_no_evidence);
    tcase_add_test(tests, pcr10_follows_from_the_ima_log);
    tcase_add_test(tests, ima_log_may_be_longer_than_the_quote);
    tcase_add_test(tests, ima_log_shorter_than_the_quote_does_not_replay);
    tcase_add_test(tests, changed_ima_entry_does_not_replay);
    tcase_add_test(tests, ima_violation_extends_all_ones);
    tcase_add_test(tests, ima_entries_of_other_pcrs_do_not_extend_pcr10);
    tcase_add_test(tests, first_ima_template_has_its_own_framing);
    tcase_add_loop_test(tests, ima_digests_may_be_padded_sha1_in_each_bank, 0, 4);
    tcase_add_test(tests, quoted_pcr10_without_ima_log_is_a_missing_value);
    tcase_add_test(tests, ima_log_does_not_excuse_another_event_log);
    tcase_add_test(tests, ima_log_leads_to_the_value_given_too);
    tcase_add_test(tests, ima_log_of_another_pcr_is_refused_by_name);
    tcase_add_test(tests, no_memory_is_no_verdict);
    tcase_add_loop_test(tests, failures_have_stable_codes, 0, 15);
    Suite *suite = suite_create("evidence: tpm2");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
