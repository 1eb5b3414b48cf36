/* The project's own vectors, tests/vectors: event logs by our generator, quotes by a software TPM. */
#include "api/device/evidence_body.h"
#include "server/base/encoding.h"
#include "server/base/file.h"
#include "server/evidence/tpm2/replay.h"
#include "server/identity/enrolment.h"
#include "tests/unit/evidence_builder.h"

#include <check.h>
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VECTORS_MAX = 200 };
enum family { LOGS_VALID, LOGS_INVALID, QUOTES_VALID, QUOTES_INVALID, NUM_FAMILIES };
static const char *const folders[] = {"eventlog/valid", "eventlog/invalid", "tpm2/valid",
                                      "tpm2/invalid"};
static char *names[NUM_FAMILIES][VECTORS_MAX];
static int num_names[NUM_FAMILIES];

static struct arena arena;
static json_t *vector;
static struct detail detail;

static const char *text_of(const char *key) {
    const char *text = json_string_value(json_object_get(vector, key));
    ck_assert_ptr_nonnull(text);
    return text;
}

static void load(enum family family, int i) {
    const char *path =
        arena_printf(&arena, "tests/vectors/%s/%s.json", folders[family], names[family][i]);
    vector = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(vector);
    ck_assert_str_ne(text_of("note"), "");
}

static struct bytes load_log(enum family family, int i) {
    uint8_t *raw = NULL;
    size_t len = 0;
    const char *path =
        arena_printf(&arena, "tests/vectors/%s/%s.bin", folders[family], names[family][i]);
    ck_assert_int_eq(file_read(&raw, &len, path, 1 << 20, &detail), STATUS_OK);
    struct bytes copy = arena_bytes(&arena, bytes_of(raw, len));
    free(raw);
    return copy;
}

static void start(void) {
    arena_init(&arena, 1 << 24);
    memset(&detail, 0, sizeof detail);
}

static void end(void) {
    json_decref(vector);
    arena_free(&arena);
}

static enum status replay_log(struct tcg_replay *out, uint32_t *num, struct bytes raw) {
    static const enum hash_alg banks[] = {HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512};
    struct tcg_eventlog log;
    struct tcg_event event;
    enum status status = tcg_eventlog_open(&log, raw, &detail);
    if (status != STATUS_OK) {
        return status;
    }
    tcg_replay_start(out, &log, banks, 4);
    while ((status = tcg_eventlog_next(&log, &event, &detail)) == STATUS_OK) {
        tcg_replay_event(out, &event);
    }
    *num = log.next_index;
    return status;
}

START_TEST(valid_log_replays_to_its_values) {
    struct tcg_replay replay;
    uint32_t num;
    load(LOGS_VALID, _i);
    ck_assert_int_eq(replay_log(&replay, &num, load_log(LOGS_VALID, _i)), STATUS_END);
    ck_assert_int_eq((int)num, (int)json_integer_value(json_object_get(vector, "num_events")));
    json_t *banks = json_object_get(vector, "pcrs");
    ck_assert_uint_eq(replay.num_banks, json_object_size(banks));
    for (size_t b = 0; b < replay.num_banks; b++) {
        json_t *values = json_object_get(banks, hash_name(replay.bank[b].alg));
        for (unsigned i = 0; i < PCR_COUNT; i++) {
            char key[12], hex[2 * DIGEST_MAX + 1];
            (void)snprintf(key, sizeof key, "%u", i);
            const char *expected = json_string_value(json_object_get(values, key));
            hex_encode(hex, bytes_of(replay.bank[b].value[i], digest_len(replay.bank[b].alg)));
            ck_assert_int_eq((replay.bank[b].touched >> i & 1) != 0, expected != NULL);
            ck_assert(expected == NULL || strcmp(hex, expected) == 0);
        }
    }
}
END_TEST

START_TEST(invalid_log_is_refused_at_its_event) {
    struct tcg_replay replay;
    uint32_t num;
    load(LOGS_INVALID, _i);
    ck_assert_int_ne(replay_log(&replay, &num, load_log(LOGS_INVALID, _i)), STATUS_END);
    const char *where = text_of("error");
    ck_assert_msg(strncmp(detail.text, where, strlen(where)) == 0, "%s: %s",
                  names[LOGS_INVALID][_i], detail.text);
}
END_TEST

struct quoted {
    struct evidence_body body;
    struct tpm_public ak;
    struct pcr_selection selection;
    struct tpm2_expectation expected;
};

static void load_quote(struct quoted *out, enum family family, int i) {
    struct bytes ak;
    load(family, i);
    char *body = json_dumps(json_object_get(vector, "evidence"), 0);
    ck_assert_int_eq(evidence_body_parse(&out->body, &arena, bytes_of_text(body), NULL, &detail),
                     STATUS_OK);
    free(body);
    ck_assert_int_eq(
        base64_decode_arena(&arena, &ak, text_of("ak"), strlen(text_of("ak")), &detail), STATUS_OK);
    ck_assert_int_eq(tpm_public_parse(&out->ak, ak, &detail), STATUS_OK);
    ck_assert_int_eq(pcr_selection_parse(&out->selection, text_of("selection"), &detail),
                     STATUS_OK);
    out->expected = (struct tpm2_expectation){.ak = &out->ak.key,
                                              .ak_hash = out->ak.scheme_hash,
                                              .ak_scheme = out->ak.scheme,
                                              .selection = &out->selection};
    ck_assert_int_eq(hex_decode_arena(&arena, &out->expected.nonce, text_of("nonce")), STATUS_OK);
}

static enum tpm2_failure verify(const struct quoted *quoted) {
    static struct facts facts;
    enum tpm2_failure failure = TPM2_MALFORMED;
    ck_assert_int_eq(
        tpm2_verify(&facts, &failure, &arena, &quoted->body.tpm2, &quoted->expected, &detail),
        STATUS_OK);
    return failure;
}

START_TEST(valid_quote_verifies) {
    struct quoted quoted;
    load_quote(&quoted, QUOTES_VALID, _i);
    ck_assert_int_eq(ak_check(&quoted.ak, &detail), STATUS_OK);
    enum tpm2_failure failure = verify(&quoted);
    ck_assert_msg(failure == TPM2_VERIFIED, "%s: %s: %s", names[QUOTES_VALID][_i],
                  tpm2_failure_code(failure), detail.text);
}
END_TEST

/* Of quote and signature each bit; with every kind of key and scheme that there is. */
START_TEST(valid_quote_with_any_bit_flipped_does_not_verify) {
    struct quoted quoted;
    load_quote(&quoted, QUOTES_VALID, _i);
    struct bytes *part[] = {&quoted.body.tpm2.quote, &quoted.body.tpm2.signature};
    for (size_t p = 0; p < 2; p++) {
        uint8_t *copy = exact_copy(*part[p]);
        part[p]->data = copy;
        for (size_t bit = 0; bit < 8 * part[p]->len; bit++) {
            copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
            ck_assert_int_ne(verify(&quoted), TPM2_VERIFIED);
            copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        part[p]->data = arena_bytes(&arena, *part[p]).data;
        free(copy);
    }
    ck_assert_int_eq(verify(&quoted), TPM2_VERIFIED);
}
END_TEST

START_TEST(invalid_quote_is_refused_by_its_code) {
    struct quoted quoted;
    load_quote(&quoted, QUOTES_INVALID, _i);
    ck_assert_msg(strcmp(tpm2_failure_code(verify(&quoted)), text_of("failure")) == 0, "%s: %s",
                  names[QUOTES_INVALID][_i], detail.text);
}
END_TEST

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void list(enum family family) {
    char path[64];
    struct dirent **entry;
    (void)snprintf(path, sizeof path, "tests/vectors/%s", folders[family]);
    int num = scandir(path, &entry, NULL, by_name);
    for (int i = 0; i < num; i++) {
        const char *dot = strrchr(entry[i]->d_name, '.');
        if (dot != NULL && strcmp(dot, ".json") == 0 && num_names[family] < VECTORS_MAX) {
            names[family][num_names[family]++] =
                strndup(entry[i]->d_name, (size_t)(dot - entry[i]->d_name));
        }
        free(entry[i]);
    }
    if (num >= 0) {
        free(entry);
    }
}

START_TEST(vectors_are_there) {
    ck_assert_int_ge(num_names[LOGS_VALID], 11);
    ck_assert_int_ge(num_names[LOGS_INVALID], 17);
    ck_assert_int_ge(num_names[QUOTES_VALID], 14);
    ck_assert_int_ge(num_names[QUOTES_INVALID], 21);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("vectors");
    for (int family = 0; family < NUM_FAMILIES; family++) {
        list((enum family)family);
    }
    tcase_set_timeout(tests, 110);
    tcase_add_checked_fixture(tests, start, end);
    tcase_add_test(tests, vectors_are_there);
    tcase_add_loop_test(tests, valid_log_replays_to_its_values, 0, num_names[LOGS_VALID]);
    tcase_add_loop_test(tests, invalid_log_is_refused_at_its_event, 0, num_names[LOGS_INVALID]);
    tcase_add_loop_test(tests, valid_quote_verifies, 0, num_names[QUOTES_VALID]);
    tcase_add_loop_test(tests, valid_quote_with_any_bit_flipped_does_not_verify, 0,
                        num_names[QUOTES_VALID]);
    tcase_add_loop_test(tests, invalid_quote_is_refused_by_its_code, 0, num_names[QUOTES_INVALID]);
    Suite *suite = suite_create("evidence: vectors");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    for (int family = 0; family < NUM_FAMILIES; family++) {
        for (int i = 0; i < num_names[family]; i++) {
            free(names[family][i]);
        }
    }
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
