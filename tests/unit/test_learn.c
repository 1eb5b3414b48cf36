/* Learning: the document compiles, accepts what it was learned from, and refuses what is altered. */
#include "server/appraisal/learn.h"
#include "tests/unit/hand_facts.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SOURCES = 12 };

static struct arena arena;
static struct detail detail;
static struct learned learned;
static struct learn_source source[SOURCES];
static struct learn_inputs inputs;
static struct baseline *baseline;
static json_t *document;
static struct appraisal appraisal;

static void start(void) {
    arena_init(&arena, 1 << 28);
    memset(&detail, 0, sizeof detail);
    inputs = (struct learn_inputs){.source = source, .model = "edge", .label = "learned"};
}

static void stop(void) {
    baseline_free(baseline);
    baseline = NULL;
    json_decref(document);
    document = NULL;
    arena_free(&arena);
}

static void take(const struct hand *hand) {
    ck_assert_uint_lt(inputs.num, SOURCES);
    source[inputs.num].facts = hand_facts(&arena, hand);
    source[inputs.num].name = arena_printf(&arena, "device-%zu", inputs.num + 1);
    source[inputs.num++].devices = 1;
}

static void judge(const struct facts *facts) {
    const struct baseline *const one[] = {baseline};
    const struct appraisal_inputs against = {
        .baseline = one, .num_baselines = 1, .leaked_keys = inputs.leaked_keys};
    ck_assert_int_eq(appraise(&appraisal, &arena, facts, &against), STATUS_OK);
}

static void compile_it(void) {
    json_error_t error;
    baseline_free(baseline);
    baseline = NULL;
    ck_assert_msg(baseline_compile(&baseline, learned.document, NULL, &detail) == STATUS_OK, "%s",
                  detail.text);
    json_decref(document);
    document = json_loadb((const char *)learned.document.data, learned.document.len, 0, &error);
    ck_assert_ptr_nonnull(document);
}

/* Learns from what was taken, and sees that all of it is accepted. */
static void learn(void) {
    ck_assert_msg(learn_baseline(&learned, &arena, &inputs, &detail) == STATUS_OK, "%s",
                  detail.text);
    compile_it();
    for (size_t i = 0; i < inputs.num; i++) {
        judge(source[i].facts);
        ck_assert_msg(appraisal.verdict == VERDICT_TRUSTED, "source %zu: %s", i,
                      appraisal.num_findings > 0 ? appraisal.finding[0].code : "");
    }
}

static void learn_usual(void) {
    take(&hand_usual);
    learn();
}

static void learn_two(const struct hand *other) {
    take(&hand_usual);
    take(other);
    learn();
}

static void expect_refused(const struct hand *hand, const char *rule, const char *code) {
    judge(hand_facts(&arena, hand));
    ck_assert_int_eq(appraisal.verdict, VERDICT_UNTRUSTED);
    for (size_t i = 0; i < appraisal.num_findings; i++) {
        const struct finding *finding = &appraisal.finding[i];
        if (finding->severity == SEVERITY_DENY && strcmp(finding->rule, rule) == 0 &&
            strcmp(finding->code, code) == 0) {
            return;
        }
    }
    ck_abort_msg("no %s of %s, but %s of %s", code, rule, appraisal.finding[0].code,
                 appraisal.finding[0].rule);
}

static void expect_accepted(const struct hand *hand) {
    judge(hand_facts(&arena, hand));
    ck_assert_msg(appraisal.verdict == VERDICT_TRUSTED, "%s of %s: %s", appraisal.finding[0].code,
                  appraisal.finding[0].rule, appraisal.finding[0].remediation);
}

/* The question about a subject (and PCR, unless -1); NULL: none. */
static const struct learn_question *question(const char *subject, int pcr) {
    for (size_t i = 0; i < learned.num_questions; i++) {
        if (strcmp(learned.question[i].subject, subject) == 0 &&
            (pcr < 0 || learned.question[i].pcr == pcr)) {
            return &learned.question[i];
        }
    }
    return NULL;
}

static void expect_question(const char *subject, int pcr, enum learn_choice choice) {
    const struct learn_question *found = question(subject, pcr);
    ck_assert_msg(found != NULL, "no question about %s", subject);
    ck_assert_str_eq(learn_choice_name(found->choice), learn_choice_name(choice));
    ck_assert_ptr_nonnull(found->why);
}

static bool warned(const char *part) {
    for (size_t i = 0; i < learned.num_warnings; i++) {
        if (strstr(learned.warning[i], part) != NULL) {
            return true;
        }
    }
    return false;
}

static void expect_refusal(const char *part) {
    struct learned untouched = {.num_warnings = 77};
    ck_assert_int_eq(learn_baseline(&untouched, &arena, &inputs, &detail), STATUS_INVALID);
    ck_assert_msg(strstr(detail.text, part) != NULL, "%s", detail.text);
    ck_assert_uint_eq(untouched.num_warnings, 77);
}

/* --- one boot --- */

START_TEST(one_boot_gives_rules_of_every_family_that_expresses_it) {
    static const char *const members[] = {
        "schema",      "model",    "label",      "bank",
        "secure_boot", "firmware", "boot_chain", "kernel_command_line",
        "initrd",      "sbat",     "pcrs",       "unlisted_pcrs"};
    learn_usual();
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        ck_assert_msg(json_object_get(document, members[i]) != NULL, "%s", members[i]);
    }
    ck_assert_uint_eq(json_object_size(document), sizeof members / sizeof *members);
    ck_assert_str_eq(json_string_value(json_object_get(document, "unlisted_pcrs")), "report");
    ck_assert(json_is_true(
        json_object_get(json_object_get(document, "secure_boot"), "refuse_leaked_keys")));
    ck_assert_uint_eq(learned.num_warnings, 0);
}
END_TEST

START_TEST(steps_of_the_boot_chain_are_named_and_a_repeated_image_is_one) {
    static const char *const names[] = {"shim", "grub", "kernel"};
    learn_usual();
    json_t *chain = json_object_get(document, "boot_chain");
    ck_assert_uint_eq(json_array_size(chain), 3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_str_eq(json_string_value(json_object_get(json_array_get(chain, i), "name")),
                         names[i]);
    }
    json_t *kernel = json_array_get(json_object_get(json_array_get(chain, 2), "any_of"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(kernel, "label")), "6.1.0-27-amd64");
    ck_assert_str_eq(json_string_value(json_object_get(kernel, "sha256")),
                     hand_hex(&arena, "kernel 27"));
}
END_TEST

START_TEST(what_is_learned_refuses_every_alteration_for_the_right_reason) {
    struct hand hand = hand_usual;
    learn_usual();
    hand.secure_boot_off = true;
    expect_refused(&hand, "secure_boot", "secure_boot_off");
    hand = hand_usual;
    hand.platform_key = "CN=Other";
    expect_refused(&hand, "secure_boot", "platform_key_not_allowed");
    hand = hand_usual;
    hand.key_exchange_key = "CN=Other";
    expect_refused(&hand, "secure_boot", "key_exchange_key_not_allowed");
    hand = hand_usual;
    hand.db[1] = "CN=Other";
    expect_refused(&hand, "secure_boot", "db_entry_not_allowed");
    hand = hand_usual;
    hand.dbx[1] = NULL;
    expect_refused(&hand, "secure_boot", "dbx_entry_missing");
    hand = hand_usual;
    hand.db[0] = "CN=Third party db";
    hand.db[1] = "CN=Maker db";
    expect_refused(&hand, "secure_boot", "authority_not_allowed");
    hand = hand_usual;
    hand.version = "1.41";
    expect_refused(&hand, "firmware", "firmware_not_allowed");
    hand = hand_usual;
    hand.kernel = "other";
    expect_refused(&hand, "boot_chain", "image_not_allowed");
    hand = hand_usual;
    hand.extra_image = "tool";
    expect_refused(&hand, "boot_chain", "image_unexpected");
    hand = hand_usual;
    hand.grub = NULL;
    expect_refused(&hand, "boot_chain", "image_missing");
    hand = hand_usual;
    hand.command_line = "ro quiet root=UUID=1111 init=/bin/sh";
    expect_refused(&hand, "kernel_command_line", "command_line_not_allowed");
    hand = hand_usual;
    hand.initrd = "other";
    expect_refused(&hand, "initrd", "initrd_not_allowed");
    hand = hand_usual;
    hand.sbat_shim = 3;
    expect_refused(&hand, "sbat", "sbat_level_too_low");
    hand = hand_usual;
    hand.mok = "a MOK";
    expect_refused(&hand, "pcrs", "pcr_mismatch");
    hand = hand_usual;
    hand.driver = "option ROM";
    expect_refused(&hand, "pcrs", "pcr_mismatch");
    hand = hand_usual;
    hand.no_log = true;
    expect_refused(&hand, "secure_boot", "log_missing");
}
END_TEST

START_TEST(what_differs_by_nature_is_a_question_even_with_one_sample) {
    struct hand hand = hand_usual;
    learn_usual();
    expect_question("boot_order", 1, LEARN_LEFT_OUT);
    ck_assert_int_gt(question("boot_order", 1)->event, 0);
    expect_question("partition_table", 5, LEARN_LEFT_OUT);
    expect_question("pcr", 1, LEARN_LEFT_OUT);
    expect_question("pcr", 5, LEARN_LEFT_OUT);
    expect_question("tpm", -1, LEARN_LEFT_OUT);
    hand.boot_order = "0002,0001";
    hand.gpt = "disk 2";
    hand.tpm_firmware = 3;
    expect_accepted(&hand);
}
END_TEST

START_TEST(a_disk_that_the_command_line_names_is_pinned_and_asked_about) {
    learn_usual();
    expect_question("kernel_command_line", -1, LEARN_PINNED);
}
END_TEST

START_TEST(pcr_0_of_one_boot_is_pinned_and_asked_about) {
    struct hand hand = hand_usual;
    hand.firmware = "other code of the same version";
    learn_usual();
    expect_question("firmware", 0, LEARN_PINNED);
    expect_refused(&hand, "firmware", "firmware_not_allowed");
    inputs.num = 0;
    learn_two(&hand_usual);
    ck_assert_ptr_null(question("firmware", 0));
    expect_refused(&hand, "firmware", "firmware_not_allowed");
}
END_TEST

START_TEST(values_of_pcr_0_that_vary_are_all_listed_and_asked_about) {
    struct hand hand = hand_usual;
    hand.firmware = "other code of the same version";
    take(&hand_usual);
    learn_two(&hand);
    expect_question("firmware", 0, LEARN_ANY_OF);
    hand.firmware = "a third";
    expect_refused(&hand, "firmware", "firmware_not_allowed");
}
END_TEST

START_TEST(too_many_values_of_pcr_0_are_left_out_with_a_warning) {
    struct hand hand = hand_usual;
    for (unsigned i = 0; i < 9; i++) {
        hand.firmware = arena_printf(&arena, "code %u", i);
        take(&hand);
    }
    learn();
    expect_question("firmware", 0, LEARN_LEFT_OUT);
    ck_assert(warned("do not count as measured"));
    hand.firmware = "code 99";
    expect_accepted(&hand);
    hand.version = "1.41";
    expect_refused(&hand, "firmware", "firmware_not_allowed");
}
END_TEST

START_TEST(firmware_without_a_version_is_known_by_its_value) {
    struct hand hand = hand_usual;
    hand.version = NULL;
    take(&hand);
    learn();
    hand.firmware = "other";
    expect_refused(&hand, "firmware", "firmware_not_allowed");
}
END_TEST

/* --- several --- */

START_TEST(alternatives_in_the_fleet_are_any_of_with_labels) {
    struct hand hand = hand_usual;
    hand.kernel = "kernel 28";
    hand.kernel_path = "/vmlinuz-6.1.0-28-amd64";
    hand.initrd = "initrd 28";
    learn_two(&hand);
    expect_question("kernel", 4, LEARN_ANY_OF);
    ck_assert_uint_eq(question("kernel", 4)->num_values, 2);
    ck_assert_ptr_nonnull(strstr(question("kernel", 4)->value[1], "6.1.0-28-amd64 ("));
    ck_assert_ptr_nonnull(strstr(question("kernel", 4)->value[1], ": 1 device"));
    expect_question("initrd", 9, LEARN_ANY_OF);
    hand.kernel = "kernel 29";
    expect_refused(&hand, "boot_chain", "image_not_allowed");
}
END_TEST

START_TEST(disks_that_differ_become_a_pattern_that_lets_no_argument_in) {
    struct hand hand = hand_usual;
    hand.command_line = "ro quiet root=UUID=2222";
    learn_two(&hand);
    expect_question("kernel_command_line", -1, LEARN_PATTERN);
    json_t *line = json_object_get(document, "kernel_command_line");
    ck_assert_ptr_null(json_object_get(line, "any_of"));
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(line, "matching"), 0)),
                     "ro quiet root=UUID=*");
    hand.command_line = "ro quiet root=UUID=3333";
    expect_accepted(&hand);
    hand.command_line = "ro quiet root=UUID=3333 init=/bin/sh";
    expect_refused(&hand, "kernel_command_line", "command_line_not_allowed");
    hand.command_line = "ro root=UUID=3333";
    expect_refused(&hand, "kernel_command_line", "command_line_not_allowed");
}
END_TEST

START_TEST(other_words_that_differ_are_listed_and_not_made_a_pattern) {
    struct hand hand = hand_usual;
    hand.command_line = "ro quiet root=UUID=1111 role=edge";
    learn_two(&hand);
    expect_question("kernel_command_line", -1, LEARN_ANY_OF);
    ck_assert_ptr_null(
        json_object_get(json_object_get(document, "kernel_command_line"), "matching"));
    hand.command_line = "ro quiet root=UUID=1111 role=core";
    expect_refused(&hand, "kernel_command_line", "command_line_not_allowed");
}
END_TEST

START_TEST(a_star_in_a_command_line_is_never_taken_for_a_pattern) {
    struct hand hand = hand_usual, other = hand_usual;
    hand.command_line = "ro root=UUID=1 dyndbg=*";
    other.command_line = "ro root=UUID=2 dyndbg=*";
    take(&hand);
    learn_two(&other);
    hand.command_line = "ro root=UUID=1 dyndbg=everything";
    expect_refused(&hand, "kernel_command_line", "command_line_not_allowed");
}
END_TEST

START_TEST(revocations_that_not_all_have_are_not_demanded) {
    struct hand hand = hand_usual;
    hand.dbx[1] = "bad image 3";
    learn_two(&hand);
    ck_assert_uint_eq(
        json_array_size(json_object_get(json_object_get(document, "secure_boot"), "dbx_includes")),
        1);
    expect_question("dbx_includes", 7, LEARN_LEFT_OUT);
    hand.dbx[0] = "bad image 3";
    hand.dbx[1] = NULL;
    expect_refused(&hand, "secure_boot", "dbx_entry_missing");
}
END_TEST

START_TEST(keys_that_differ_are_all_allowed_and_asked_about) {
    struct hand hand = hand_usual;
    hand.db[2] = "CN=Option ROMs";
    learn_two(&hand);
    expect_question("db", 7, LEARN_ANY_OF);
    hand.db[2] = "CN=Stranger";
    expect_refused(&hand, "secure_boot", "db_entry_not_allowed");
}
END_TEST

START_TEST(the_lowest_sbat_level_is_demanded) {
    struct hand hand = hand_usual;
    hand.sbat_shim = 5;
    learn_two(&hand);
    hand.sbat_shim = 4;
    expect_accepted(&hand);
    hand.sbat_shim = 3;
    expect_refused(&hand, "sbat", "sbat_level_too_low");
}
END_TEST

START_TEST(devices_that_boot_in_different_steps_get_no_boot_chain_but_their_pcr_4) {
    struct hand hand = hand_usual;
    hand.extra_image = "tool";
    learn_two(&hand);
    ck_assert_ptr_null(json_object_get(document, "boot_chain"));
    expect_question("boot_chain", 4, LEARN_LEFT_OUT);
    ck_assert_ptr_nonnull(strstr(question("boot_chain", 4)->value[0], "shim, grub, kernel"));
    expect_question("pcr", 4, LEARN_ANY_OF);
    hand.extra_image = "another tool";
    expect_refused(&hand, "pcrs", "pcr_mismatch");
}
END_TEST

START_TEST(boots_that_differ_in_an_unexplained_pcr_are_any_of) {
    struct hand hand = hand_usual;
    hand.mok = "a MOK";
    learn_two(&hand);
    expect_question("pcr", 14, LEARN_ANY_OF);
    hand.mok = "another MOK";
    expect_refused(&hand, "pcrs", "pcr_mismatch");
}
END_TEST

/* --- what is suspicious, and what cannot be learned --- */

START_TEST(secure_boot_that_is_off_is_learned_with_a_warning) {
    struct hand hand = hand_usual;
    hand.secure_boot_off = true;
    take(&hand);
    learn();
    ck_assert(warned("device-1: Secure Boot is off"));
    ck_assert_ptr_null(json_object_get(document, "secure_boot"));
    expect_question("secure_boot", 7, LEARN_LEFT_OUT);
    expect_question("pcr", 7, LEARN_PINNED);
}
END_TEST

START_TEST(setup_mode_test_keys_and_open_command_lines_are_warned_of) {
    struct hand hand = hand_usual;
    hand.setup_mode = true;
    hand.platform_key = "CN=DO NOT TRUST - AMI Test PK";
    hand.command_line = "ro init=/bin/sh quiet";
    take(&hand);
    learn();
    ck_assert(warned("setup mode"));
    ck_assert(warned("named like one for testing"));
    ck_assert(warned("init=/bin/"));
}
END_TEST

START_TEST(a_leaked_key_is_warned_of_and_stays_refused) {
    struct leaked_key key = {.subject = "", .source = "a test"};
    struct leaked_keys keys = {&key, 1};
    take(&hand_usual);
    memcpy(key.sha256, source[0].facts->secure_boot.platform_key.key[0].sha256, 32);
    inputs.leaked_keys = &keys;
    ck_assert_int_eq(learn_baseline(&learned, &arena, &inputs, &detail), STATUS_OK);
    compile_it();
    ck_assert(warned("device-1: its platform key is a key whose private half is public (a test)"));
    ck_assert(json_is_true(
        json_object_get(json_object_get(document, "secure_boot"), "refuse_leaked_keys")));
    expect_refused(&hand_usual, "secure_boot", "leaked_key");
}
END_TEST

START_TEST(many_devices_with_one_flaw_are_one_warning) {
    struct hand hand = hand_usual;
    hand.secure_boot_off = true;
    take(&hand);
    source[0].devices = 40;
    learn_two(&hand);
    ck_assert(warned("device-1 and 40 more: Secure Boot is off"));
}
END_TEST

START_TEST(a_device_without_a_log_gives_pcr_values_alone) {
    struct hand hand = hand_usual;
    hand.no_log = true;
    take(&hand);
    learn();
    ck_assert(warned("no event log"));
    ck_assert_uint_eq(json_object_size(document), 7);
    ck_assert_ptr_nonnull(json_object_get(json_object_get(document, "pcrs"), "4"));
    ck_assert_ptr_null(json_object_get(json_object_get(document, "pcrs"), "1"));
    hand.kernel = "other";
    expect_refused(&hand, "pcrs", "pcr_mismatch");
}
END_TEST

START_TEST(devices_with_and_without_a_log_are_not_learned_together) {
    struct hand hand = hand_usual;
    hand.no_log = true;
    take(&hand_usual);
    take(&hand);
    expect_refusal("learn devices without a log separately");
}
END_TEST

START_TEST(devices_without_a_common_bank_are_not_learned_together) {
    take(&hand_usual);
    take(&hand_usual);
    struct facts *facts = hand_facts(&arena, &hand_usual);
    facts->bank[0].alg = HASH_SHA384;
    source[1].facts = facts;
    expect_refusal("no PCR bank in common");
    facts->bank[0].alg = HASH_SHA1;
    inputs.source = &source[1];
    inputs.num = 1;
    expect_refusal("no PCR bank in common");
}
END_TEST

START_TEST(nothing_quoted_gives_nothing_to_learn) {
    struct hand hand = hand_usual;
    hand.not_quoted = ~0u;
    take(&hand);
    expect_refusal("share nothing");
}
END_TEST

START_TEST(settings_that_are_not_to_be_believed_are_not_learned) {
    take(&hand_usual);
    struct facts *facts = hand_facts(&arena, &hand_usual);
    facts->secure_boot.distrusted_why = "a debugger was attached";
    facts->secure_boot.distrusted_event = 3;
    source[0].facts = facts;
    learn();
    ck_assert_ptr_null(json_object_get(document, "secure_boot"));
    ck_assert_ptr_null(json_object_get(document, "sbat"));
    ck_assert(warned("a debugger was attached"));
}
END_TEST

START_TEST(what_admitted_images_is_demanded_only_where_it_is_proven) {
    take(&hand_usual);
    struct facts *facts = hand_facts(&arena, &hand_usual);
    facts->secure_boot.authority[0].variable = "";
    memset(&facts->secure_boot.authority[0].key, 0, sizeof facts->secure_boot.authority[0].key);
    source[0].facts = facts;
    learn();
    ck_assert_ptr_nonnull(json_object_get(document, "secure_boot"));
    ck_assert_ptr_null(json_object_get(json_object_get(document, "secure_boot"), "authorities"));
    expect_question("authorities", 7, LEARN_LEFT_OUT);
}
END_TEST

START_TEST(a_command_line_that_the_log_does_not_prove_is_not_learned) {
    struct hand hand = hand_usual;
    hand.command_line = FACT_TEXT_UNKNOWN;
    take(&hand);
    learn();
    ck_assert_ptr_null(json_object_get(document, "kernel_command_line"));
    expect_question("kernel_command_line", -1, LEARN_LEFT_OUT);
    expect_question("pcr", 8, LEARN_PINNED);
}
END_TEST

START_TEST(texts_from_a_log_cannot_break_the_document) {
    struct hand hand = hand_usual;
    hand.command_line = "ro \"quoted\" \\ \x80\xFF back";
    hand.platform_key = "CN=\"}],\x01\xC3";
    hand.version = "1.42\x01\xFF";
    hand.kernel_path = "/vmlinuz-\"\x01";
    take(&hand);
    learn();
}
END_TEST

START_TEST(a_full_arena_learns_nothing) {
    take(&hand_usual);
    for (size_t cap = 1024; cap < 4 << 20; cap = cap * 3 / 2) {
        struct arena small;
        struct learned out = {.num_warnings = 77};
        arena_init(&small, cap);
        enum status status = learn_baseline(&out, &small, &inputs, &detail);
        ck_assert(status == STATUS_OK || status == STATUS_MEMORY);
        ck_assert(status == STATUS_OK || out.num_warnings == 77);
        arena_free(&small);
    }
}
END_TEST

START_TEST(the_same_sources_give_the_same_document) {
    struct hand hand = hand_usual;
    hand.kernel = "kernel 28";
    learn_two(&hand);
    struct bytes first = learned.document;
    learn();
    ck_assert(bytes_equal(first, learned.document));
}
END_TEST

START_TEST(questions_are_written_as_json) {
    struct json_out o;
    json_error_t error;
    struct hand hand = hand_usual;
    hand.kernel = "kernel 28";
    learn_two(&hand);
    json_out_init(&o, &arena, 4096);
    learn_write_questions(&o, NULL, &learned);
    struct bytes text = json_out_end(&o);
    json_t *list = json_loadb((const char *)text.data, text.len, 0, &error);
    ck_assert_uint_eq(json_array_size(list), learned.num_questions);
    for (size_t i = 0; i < learned.num_questions; i++) {
        json_t *one = json_array_get(list, i);
        ck_assert_uint_eq(json_object_size(one), 7);
        ck_assert_str_ne(json_string_value(json_object_get(one, "why")), "");
    }
    json_decref(list);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("learn");
    TCase *tests = tcase_create("learn");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, start, stop);
    tcase_add_test(tests, one_boot_gives_rules_of_every_family_that_expresses_it);
    tcase_add_test(tests, steps_of_the_boot_chain_are_named_and_a_repeated_image_is_one);
    tcase_add_test(tests, what_is_learned_refuses_every_alteration_for_the_right_reason);
    tcase_add_test(tests, what_differs_by_nature_is_a_question_even_with_one_sample);
    tcase_add_test(tests, a_disk_that_the_command_line_names_is_pinned_and_asked_about);
    tcase_add_test(tests, pcr_0_of_one_boot_is_pinned_and_asked_about);
    tcase_add_test(tests, values_of_pcr_0_that_vary_are_all_listed_and_asked_about);
    tcase_add_test(tests, too_many_values_of_pcr_0_are_left_out_with_a_warning);
    tcase_add_test(tests, firmware_without_a_version_is_known_by_its_value);
    tcase_add_test(tests, alternatives_in_the_fleet_are_any_of_with_labels);
    tcase_add_test(tests, disks_that_differ_become_a_pattern_that_lets_no_argument_in);
    tcase_add_test(tests, other_words_that_differ_are_listed_and_not_made_a_pattern);
    tcase_add_test(tests, a_star_in_a_command_line_is_never_taken_for_a_pattern);
    tcase_add_test(tests, revocations_that_not_all_have_are_not_demanded);
    tcase_add_test(tests, keys_that_differ_are_all_allowed_and_asked_about);
    tcase_add_test(tests, the_lowest_sbat_level_is_demanded);
    tcase_add_test(tests, devices_that_boot_in_different_steps_get_no_boot_chain_but_their_pcr_4);
    tcase_add_test(tests, boots_that_differ_in_an_unexplained_pcr_are_any_of);
    tcase_add_test(tests, secure_boot_that_is_off_is_learned_with_a_warning);
    tcase_add_test(tests, setup_mode_test_keys_and_open_command_lines_are_warned_of);
    tcase_add_test(tests, a_leaked_key_is_warned_of_and_stays_refused);
    tcase_add_test(tests, many_devices_with_one_flaw_are_one_warning);
    tcase_add_test(tests, a_device_without_a_log_gives_pcr_values_alone);
    tcase_add_test(tests, devices_with_and_without_a_log_are_not_learned_together);
    tcase_add_test(tests, devices_without_a_common_bank_are_not_learned_together);
    tcase_add_test(tests, nothing_quoted_gives_nothing_to_learn);
    tcase_add_test(tests, settings_that_are_not_to_be_believed_are_not_learned);
    tcase_add_test(tests, what_admitted_images_is_demanded_only_where_it_is_proven);
    tcase_add_test(tests, a_command_line_that_the_log_does_not_prove_is_not_learned);
    tcase_add_test(tests, texts_from_a_log_cannot_break_the_document);
    tcase_add_test(tests, a_full_arena_learns_nothing);
    tcase_add_test(tests, the_same_sources_give_the_same_document);
    tcase_add_test(tests, questions_are_written_as_json);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
