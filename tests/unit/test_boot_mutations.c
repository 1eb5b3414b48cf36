/* What whoever sends an event log may do to it without the TPM: change any event's type, data or place, leave
 * events out, repeat them, put two into one. Whatever does not replay to the quoted values is refused; and what
 * still does never makes a boot pass that the baseline does not allow. Held for a boot of the project's own
 * making, and for real ones. */
#include "server/base/encoding.h"
#include "server/evidence/tpm2/event_types.h"
#include "server/evidence/tpm2/tpm2.h"
#include "server/tpm/public.h"
#include "tests/unit/component_baseline.h"
#include "tests/unit/log_editor.h"
#include "tests/unit/real_data.h"
#include "tests/unit/soft_tpm.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BASELINES = 32, LOG_SIZE = 1 << 17 };

static struct arena arena, work, edits; /* of the test; of one verification; of one edited log */
static struct soft_tpm tpm;
static struct tpm_public ak;
static struct tpm2_evidence evidence;
static struct tpm2_expectation expected;
static struct pcr_selection selection;
static struct log_editor original, edited;
static struct facts facts;
static struct appraisal appraisal;
static struct baseline *baseline[MOST_BASELINES]; /* what the boot at hand must never pass */
static char name[MOST_BASELINES][64];
static size_t num_baselines;

/* --- boots ------------------------------------------------------------------------------------- */

static void open_log(void) {
    editor_open(&original, evidence.tcg_event_log);
}

static void load_own(void) {
    static uint8_t log[LOG_SIZE], attest[512], signature[600], nonce[32] = {1};
    struct writer l = writer_of(log, sizeof log), a = writer_of(attest, sizeof attest),
                  s = writer_of(signature, sizeof signature);
    selection = (struct pcr_selection){.bank = {{HASH_SHA256, 0xFFFF}}, .num_banks = 1};
    soft_tpm_init(&tpm, KEY_EC_P256);
    soft_tpm_boot(&tpm, &l, 0);
    soft_tpm_quote(&tpm, &a, &s, bytes_of(nonce, sizeof nonce), 0xFFFF);
    memset(&evidence, 0, sizeof evidence);
    evidence.quote = writer_bytes(&a);
    evidence.signature = writer_bytes(&s);
    evidence.tcg_event_log = writer_bytes(&l);
    evidence.num_claimed = 1;
    evidence.claimed[0].alg = HASH_SHA256;
    for (unsigned i = 0; i < 16; i++) {
        evidence.claimed[0].pcr[i].quoted = true;
        memcpy(evidence.claimed[0].pcr[i].value, tpm.pcr[i], 32);
    }
    expected = (struct tpm2_expectation){
        .ak = &tpm.ak_public, .nonce = bytes_of(nonce, sizeof nonce), .selection = &selection};
    open_log();
}

static void load_real(const char *folder) {
    struct detail detail = {0};
    struct bytes hex = real_file(&arena, "measured-boot/%s/nonce.hex", folder);
    struct bytes public = real_file(&arena, "measured-boot/%s/ak_ecc.tpm2b_public", folder);
    struct bytes pcrs = real_file(&arena, "measured-boot/%s/pcrs.raw", folder);
    memset(&evidence, 0, sizeof evidence);
    evidence.quote = real_file(&arena, "measured-boot/%s/quote_ecc.msg", folder);
    evidence.signature = real_file(&arena, "measured-boot/%s/quote_ecc.sig", folder);
    evidence.tcg_event_log = real_file(&arena, "measured-boot/%s/binary_bios_measurements", folder);
    evidence.num_claimed = 1;
    evidence.claimed[0].alg = HASH_SHA256;
    for (unsigned i = 0; i < 16; i++) {
        evidence.claimed[0].pcr[i].quoted = true;
        memcpy(evidence.claimed[0].pcr[i].value, pcrs.data + 32 * i, 32);
    }
    ck_assert_int_eq(tpm_public_parse(&ak, public, &detail), STATUS_OK);
    expected = (struct tpm2_expectation){
        .ak = &ak.key, .ak_hash = ak.scheme_hash, .ak_scheme = ak.scheme, .selection = &selection};
    selection = (struct pcr_selection){.bank = {{HASH_SHA256, 0xFFFF}}, .num_banks = 1};
    ck_assert_int_eq(
        hex_decode_arena(&arena, &expected.nonce,
                         arena_text_n(&arena, (const char *)hex.data, 2 * (hex.len / 2))),
        STATUS_OK);
    open_log();
}

/* Boots that can be loaded; the first is the project's own. */
static const char *const boots[] = {NULL, "A1-secureboot-good"};

static void load(int boot) {
    if (boots[boot] == NULL) {
        load_own();
    } else {
        load_real(boots[boot]);
    }
}

static void start(void) {
    arena_init(&arena, 1 << 26);
    arena_init(&work, 1 << 25);
    arena_init(&edits, 1 << 25);
    memset(&tpm, 0, sizeof tpm);
    num_baselines = 0;
}

static void end(void) {
    for (size_t i = 0; i < num_baselines; i++) {
        baseline_free(baseline[i]);
    }
    if (tpm.ak != NULL) {
        soft_tpm_cleanup(&tpm);
    }
    arena_free(&arena);
    arena_free(&work);
    arena_free(&edits);
}

/* --- judging ----------------------------------------------------------------------------------- */

/* Whether evidence with this log verifies; then `facts` are what it tells. */
static bool verifies(const struct log_editor *log) {
    struct detail detail = {0};
    enum tpm2_failure failure = TPM2_MALFORMED;
    struct tpm2_evidence sent = evidence;
    arena_free(&work);
    sent.tcg_event_log = editor_write(log, &work);
    ck_assert_int_eq(tpm2_verify(&facts, &failure, &work, &sent, &expected, &detail), STATUS_OK);
    return failure == TPM2_VERIFIED;
}

static enum verdict judge(const struct baseline *by) {
    const struct appraisal_inputs inputs = {.baseline = &by, .num_baselines = 1};
    ck_assert_int_eq(appraise(&appraisal, &work, &facts, &inputs), STATUS_OK);
    return appraisal.verdict;
}

static void add_baseline(json_t *document, const char *what) {
    ck_assert_uint_lt(num_baselines, MOST_BASELINES);
    baseline[num_baselines] = compile_document(document);
    (void)snprintf(name[num_baselines], sizeof name[0], "%s", what);
    num_baselines++;
}

static json_t *document_with(const json_t *document, const char *family, json_t *rules) {
    json_t *out =
        json_pack("{s:O,s:O,s:O}", "schema", json_object_get(document, "schema"), "model",
                  json_object_get(document, "model"), "bank", json_object_get(document, "bank"));
    json_object_set(out, family, rules);
    return out;
}

/* Every digest, text and number of the value becomes another one. */
static json_t *spoiled(const json_t *value) {
    json_t *out, *one;
    const char *key;
    size_t i;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        out = json_object();
        json_object_foreach((json_t *)(uintptr_t)value, key, one) {
            bool plain =
                strcmp(key, "name") == 0 || strcmp(key, "type") == 0 || strcmp(key, "pcr") == 0;
            json_object_set_new(out, key, plain ? json_deep_copy(one) : spoiled(one));
        }
        return out;
    case JSON_ARRAY:
        out = json_array();
        json_array_foreach(value, i, one) {
            json_array_append_new(out, spoiled(one));
        }
        return out;
    case JSON_STRING:
        if (json_string_length(value) == 64) {
            return json_sprintf("%c%s", json_string_value(value)[0] == '0' ? '1' : '0',
                                json_string_value(value) + 1);
        }
        return json_sprintf("%s init=/bin/sh", json_string_value(value));
    case JSON_INTEGER:
        return json_integer(json_integer_value(value) + 1);
    default:
        return json_deep_copy(value);
    }
}

/* Of each family that the log tells about, one demand alone that the boot does not meet. */
static void add_unmet(const json_t *document) {
    static const char *const families[] = {"firmware", "boot_chain", "kernel_command_line",
                                           "initrd",   "sbat",       "events"};
    json_t *secure_boot = json_object_get(document, "secure_boot"), *list;
    const char *key;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        json_t *rules = json_object_get(document, families[i]);
        if (rules == NULL) {
            continue;
        }
        json_t *bad = spoiled(rules), *one = document_with(document, families[i], bad);
        add_baseline(one, families[i]);
        json_decref(one);
        json_decref(bad);
    }
    json_object_foreach(secure_boot, key, list) {
        if (json_array_size(list) > 0) {
            json_t *bad = spoiled(list), *rules = json_pack("{s:o}", key, bad);
            json_t *one = document_with(document, "secure_boot", rules);
            add_baseline(one, key);
            json_decref(one);
            json_decref(rules);
        }
    }
}

/* --- mutations --------------------------------------------------------------------------------- */

static const uint32_t types[] = {EV_NO_ACTION,
                                 EV_SEPARATOR,
                                 EV_POST_CODE,
                                 EV_ACTION,
                                 EV_EVENT_TAG,
                                 EV_S_CRTM_VERSION,
                                 EV_IPL,
                                 EV_EFI_VARIABLE_DRIVER_CONFIG,
                                 EV_EFI_VARIABLE_BOOT,
                                 EV_EFI_VARIABLE_AUTHORITY,
                                 EV_EFI_BOOT_SERVICES_APPLICATION,
                                 EV_EFI_BOOT_SERVICES_DRIVER,
                                 EV_EFI_GPT_EVENT,
                                 EV_EFI_ACTION,
                                 EV_EFI_PLATFORM_FIRMWARE_BLOB,
                                 0x12345678};
static const char *const labels[] = {"",
                                     "grub_cmd: ", "kernel_cmdline: ", "x: ", "kernel_cmdline "};
enum {
    NUM_TYPES = sizeof types / sizeof *types,
    NUM_LABELS = sizeof labels / sizeof *labels,
    RETYPE = 0,
    RELABEL = RETYPE + NUM_TYPES,
    OTHER_DATA = RELABEL + NUM_LABELS, /* that of the next event */
    FLIP_DATA,                         /* a bit of the first byte, of the middle one, of the last */
    FLIP_DATA_2,
    FLIP_DATA_3,
    NO_DATA,
    MORE_DATA,
    SWAP,
    DROP,
    DUPLICATE,
    MERGE,
    FLIP_DIGEST,
    OTHER_PCR,
    NUM_MUTATIONS
};

static struct bytes joined(struct bytes a, struct bytes b) {
    uint8_t *data = arena_alloc(&edits, a.len + b.len);
    struct writer w = writer_of(data, a.len + b.len);
    write_bytes(&w, a);
    write_bytes(&w, b);
    return writer_bytes(&w);
}

static struct bytes flipped(struct bytes in, size_t at) {
    struct bytes out = arena_bytes(&edits, in);
    if (at < out.len) {
        uint8_t *data = (uint8_t *)(uintptr_t)out.data;
        data[at] ^= 1;
    }
    return out;
}

/* GRUB's text behind its label. */
static struct bytes without_label(struct bytes data) {
    const char *colon = data.len == 0 ? NULL : memmem(data.data, data.len, ": ", 2);
    struct bytes label;
    if (colon != NULL) {
        ck_assert_int_eq(bytes_take(&data, (size_t)(colon + 2 - (const char *)data.data), &label),
                         STATUS_OK);
    }
    return data;
}

/* Where the SHA-256 digest ends in the list of them. */
static size_t end_of_sha256(struct bytes digests) {
    size_t at = 4;
    while (digests.data[at] != HASH_SHA256) {
        at += 2 + digest_len((enum hash_alg)digests.data[at]);
    }
    return at + 2 + 32;
}

static void begin_edit(void) {
    arena_free(&edits);
    edited = original;
}

/* False when there is no such mutation of event i. */
static bool mutate(struct log_editor *log, size_t i, int kind) {
    struct edited_event *event = &log->event[i];
    bool last = i + 1 == log->num;
    if (kind < RELABEL) {
        bool same = event->type == types[kind];
        event->type = types[kind];
        return !same;
    }
    if (kind < OTHER_DATA) {
        event->data = joined(bytes_of_text(labels[kind - RELABEL]), without_label(event->data));
        return event->type == EV_IPL;
    }
    switch (kind) {
    case OTHER_DATA:
        event->data = last ? event->data : log->event[i + 1].data;
        return !last;
    case FLIP_DATA:
    case FLIP_DATA_2:
    case FLIP_DATA_3:
        event->data = flipped(event->data, (event->data.len > 0 ? event->data.len - 1 : 0) *
                                               (size_t)(kind - FLIP_DATA) / 2);
        return event->data.len > 0;
    case NO_DATA:
        event->data = bytes_of(NULL, 0);
        return true;
    case MORE_DATA:
        event->data = joined(event->data, bytes_of_text(" init=/bin/sh"));
        return true;
    case SWAP:
        if (!last) {
            editor_swap(log, i, i + 1);
        }
        return !last;
    case DROP:
        editor_drop(log, i);
        return true;
    case DUPLICATE:
        editor_insert(log, i, *event);
        return true;
    case MERGE:
        if (!last) {
            event->data = joined(event->data, log->event[i + 1].data);
            editor_drop(log, i + 1);
        }
        return !last;
    case FLIP_DIGEST:
        event->digests = flipped(event->digests, end_of_sha256(event->digests) - 1);
        return true;
    default:
        event->pcr = (event->pcr + 1) % 16;
        return true;
    }
}

/* Extends its PCR alone: without it the log says nothing of that PCR. */
static bool is_alone(const struct log_editor *log, size_t i) {
    size_t num = 0;
    for (size_t k = 0; k < log->num; k++) {
        num += log->event[k].type != EV_NO_ACTION && log->event[k].pcr == log->event[i].pcr;
    }
    return num == 1;
}

/* Whether no replay can lead to the quoted values any more. */
static bool breaks_replay(size_t i, int kind) {
    const struct edited_event *event = &original.event[i], *next = &original.event[i + 1];
    bool last = i + 1 == original.num;
    if (event->type == EV_NO_ACTION) {
        return false;
    }
    switch (kind) {
    case RETYPE: /* to EV_NO_ACTION, which extends nothing */
    case DROP:
        return !is_alone(&original, i);
    case MERGE:
        return !last && next->type != EV_NO_ACTION && !is_alone(&original, i + 1);
    case SWAP:
        return !last && next->pcr == event->pcr && next->type != EV_NO_ACTION &&
               !bytes_equal(next->digests, event->digests);
    case DUPLICATE:
    case FLIP_DIGEST:
    case OTHER_PCR:
        return true;
    default:
        return false;
    }
}

/* --- claims ------------------------------------------------------------------------------------ */

/* The baseline that the boot at hand meets. */
static struct baseline *met_baseline(json_t **document) {
    ck_assert(verifies(&original));
    *document = component_baseline(&facts);
    struct baseline *met = compile_document(*document);
    ck_assert_msg(judge(met) == VERDICT_TRUSTED, "%s: expected %s, found %s",
                  appraisal.finding[0].code, appraisal.finding[0].expected,
                  appraisal.finding[0].found);
    return met;
}

START_TEST(every_mutation_that_changes_what_is_extended_is_refused) {
    size_t refused = 0;
    load(_i);
    ck_assert(verifies(&original));
    for (size_t i = 0; i < original.num; i++) {
        for (int kind = 0; kind < NUM_MUTATIONS; kind++) {
            begin_edit();
            if (mutate(&edited, i, kind) && breaks_replay(i, kind)) {
                ck_assert_msg(!verifies(&edited), "event %zu, mutation %d", i + 1, kind);
                refused++;
            }
        }
    }
    ck_assert_uint_gt(refused, 4 * original.num);
}
END_TEST

START_TEST(no_mutation_makes_a_boot_pass_what_it_does_not_meet) {
    json_t *document;
    size_t held = 0;
    load(_i);
    baseline_free(met_baseline(&document));
    add_unmet(document);
    json_decref(document);
    ck_assert_uint_ge(num_baselines, 9);
    for (size_t i = 0; i < original.num; i++) {
        for (int kind = 0; kind < NUM_MUTATIONS; kind++) {
            begin_edit();
            if (!mutate(&edited, i, kind) || !verifies(&edited)) {
                continue;
            }
            held++;
            for (size_t b = 0; b < num_baselines; b++) {
                ck_assert_msg(judge(baseline[b]) != VERDICT_TRUSTED, "event %zu, mutation %d: %s",
                              i + 1, kind, name[b]);
            }
        }
    }
    ck_assert_uint_gt(held, 10 * original.num);
}
END_TEST

static uint32_t seed;
static uint32_t any(size_t below) {
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)((seed >> 8) % below);
}

START_TEST(no_mutations_together_make_a_boot_pass_what_it_does_not_meet) {
    json_t *document;
    size_t held = 0;
    seed = 7;
    load(_i);
    baseline_free(met_baseline(&document));
    add_unmet(document);
    json_decref(document);
    for (unsigned round = 0; round < 3000; round++) {
        begin_edit();
        for (unsigned n = 1 + any(6); n > 0; n--) {
            (void)mutate(&edited, any(edited.num), (int)any(DROP));
        }
        if (verifies(&edited)) {
            held++;
            for (size_t b = 0; b < num_baselines; b++) {
                ck_assert_msg(judge(baseline[b]) != VERDICT_TRUSTED, "round %u: %s", round,
                              name[b]);
            }
        }
    }
    ck_assert_uint_gt(held, 1000);
}
END_TEST

/* Behind a mutation of one event, denials name it; or nothing, where something is missing. */
static void check_names(size_t i, int kind) {
    uint32_t pcr = original.event[i].pcr;
    bool two = kind == SWAP || kind == MERGE; /* it is about the next event, too */
    for (size_t f = 0; f < appraisal.num_findings; f++) {
        const struct finding *finding = &appraisal.finding[f];
        if (finding->severity != SEVERITY_DENY) {
            continue;
        }
        bool names = finding->event == (int)i + 1 || (two && finding->event == (int)i + 2);
        bool missing = finding->event == -1;
        /* A file's name is GRUB's word in PCR 8: without it, the command that loads it is named. */
        bool command = pcr == 9 && strcmp(finding->rule, "initrd") == 0;
        ck_assert_msg(names || missing || command, "event %zu, mutation %d: %s of event %d", i + 1,
                      kind, finding->code, finding->event);
        ck_assert_msg(finding->pcr == -1 || finding->pcr == (int)pcr || command || two,
                      "event %zu, mutation %d: %s of PCR %d", i + 1, kind, finding->code,
                      finding->pcr);
    }
}

START_TEST(denials_after_a_mutation_name_its_event) {
    json_t *document;
    size_t denied = 0;
    load(_i);
    struct baseline *met = met_baseline(&document);
    json_decref(document);
    for (size_t i = 0; i < original.num; i++) {
        for (int kind = 0; kind < NUM_MUTATIONS; kind++) {
            begin_edit();
            if (mutate(&edited, i, kind) && verifies(&edited) && judge(met) != VERDICT_TRUSTED) {
                denied++;
                check_names(i, kind);
            }
        }
    }
    ck_assert_uint_gt(denied, original.num);
    baseline_free(met);
}
END_TEST

/* The same for boots that are not as the first one's baseline says. */
static const char *const others[] = {"C-cmdline-changed", "D1-kernel-generic", "E1-own-test-pk"};

START_TEST(no_mutations_make_another_real_boot_pass) {
    json_t *document;
    size_t held = 0;
    seed = 11;
    load_real("A1-secureboot-good");
    struct baseline *met = met_baseline(&document);
    json_decref(document);
    load_real(others[_i]);
    for (unsigned round = 0; round < 4000; round++) {
        size_t single = round / NUM_MUTATIONS;
        begin_edit();
        if (single < original.num) {
            (void)mutate(&edited, single, (int)(round % NUM_MUTATIONS));
        } else {
            for (unsigned n = 2 + any(6); n > 0; n--) {
                (void)mutate(&edited, any(edited.num), (int)any(DROP));
            }
        }
        if (verifies(&edited)) {
            held++;
            ck_assert_msg(judge(met) != VERDICT_TRUSTED, "round %u", round);
        }
    }
    ck_assert_uint_gt(held, 1000);
    baseline_free(met);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("mutations");
    Suite *suite = suite_create("rules: mutated boots");
    int real = real_data() == NULL ? 1 : (int)(sizeof boots / sizeof *boots);
    tcase_set_timeout(tests, 110);
    tcase_add_checked_fixture(tests, start, end);
    tcase_add_loop_test(tests, every_mutation_that_changes_what_is_extended_is_refused, 0, real);
    tcase_add_loop_test(tests, no_mutation_makes_a_boot_pass_what_it_does_not_meet, 0, real);
    tcase_add_loop_test(tests, no_mutations_together_make_a_boot_pass_what_it_does_not_meet, 0,
                        real);
    tcase_add_loop_test(tests, denials_after_a_mutation_name_its_event, 0, real);
    if (real > 1) {
        tcase_add_loop_test(tests, no_mutations_make_another_real_boot_pass, 0,
                            (int)(sizeof others / sizeof *others));
    }
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
