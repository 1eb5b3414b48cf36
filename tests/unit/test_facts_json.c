/* Facts as JSON: what is vouched for and how, and nothing for what is not. */
#include "server/evidence/facts_json.h"
#include "server/evidence/tpm2/event_types.h"
#include "server/evidence/tpm2/tpm2.h"
#include "tests/unit/efi_builder.h"
#include "tests/unit/facts_builder.h"

#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const uint16_t banks[] = {HASH_SHA1, HASH_SHA256, HASH_SHA384, 0};
static const uint16_t sha1[] = {HASH_SHA1, 0};

static struct arena arena;
static struct log_builder made;
static struct facts facts;
static json_t *told;

static void start(void) {
    arena_init(&arena, 1 << 24);
    log_secure_boot(&made, banks);
    told = NULL;
}

static void end(void) {
    log_free(&made);
    arena_free(&arena);
    json_decref(told);
}

static void tell(void) {
    struct json_out o;
    json_out_init(&o, &arena, 4096);
    json_out_object(&o, NULL);
    facts_json(&o, &facts);
    json_out_object_end(&o);
    struct bytes text = json_out_end(&o);
    json_decref(told);
    told = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(told);
}

static json_t *at(json_t *from, const char *path) {
    char name[64];
    while (*path != '\0') {
        size_t len = strcspn(path, ".");
        memcpy(name, path, len);
        name[len] = '\0';
        from = json_is_array(from) ? json_array_get(from, strtoul(name, NULL, 10))
                                   : json_object_get(from, name);
        path += len + (path[len] == '.' ? 1 : 0);
    }
    return from;
}

static void check_text(const char *path, const char *expected) {
    ck_assert_str_eq(json_string_value(at(told, path)), expected);
}

START_TEST(facts_are_told_with_event_and_vouching) {
    facts_of(&facts, &arena, &made);
    facts.tpm_firmware_version = 0x2A;
    tell();
    check_text("tpm.firmware_version", "000000000000002a");
    ck_assert_uint_eq(json_object_size(at(told, "pcrs.sha256")), PCR_COUNT);
    ck_assert(json_is_true(at(told, "secure_boot.enabled")));
    ck_assert_int_eq((int)json_integer_value(at(told, "secure_boot.enabled_event")), 3);
    ck_assert(json_is_null(at(told, "secure_boot.setup_mode")));
    check_text("secure_boot.db.vouched", "bound");
    check_text("secure_boot.db.entries.0.subject", "CN=vendor");
    check_text("secure_boot.dbx.entries.2.kind", "hash");
    check_text("secure_boot.authorities.1.variable", "Shim");
    ck_assert(json_is_null(at(told, "secure_boot.distrusted")));
    check_text("images.0.vouched", "replayed");
    check_text("images.0.claimed_path", "\\shimx64.efi");
    check_text("firmware.version", "1.42");
    check_text("os.command_lines.0.text", "root=/dev/vda1 ro quiet");
    check_text("os.files.2.claimed_name", "/initrd.img");
    check_text("os.sbat.levels.1.component", "shim");
}
END_TEST

START_TEST(what_nothing_vouches_for_is_told_as_claimed_or_null) {
    made.data[made.len - 1] ^= 1; /* PCR 9: a name, which is a claim anyway */
    facts_of(&facts, &arena, &made);
    facts.os.command_line[0].text = FACT_TEXT_UNKNOWN;
    facts.secure_boot.db.known = false;
    facts.secure_boot.authority[0].variable = "";
    facts.secure_boot.distrusted_event = 3;
    facts.secure_boot.distrusted_why = "a debugger was enabled";
    tell();
    check_text("os.command_lines.0.vouched", "claimed");
    ck_assert(json_is_null(at(told, "os.command_lines.0.text")));
    check_text("secure_boot.db.vouched", "claimed");
    ck_assert(json_is_null(at(told, "secure_boot.db.entries")));
    check_text("secure_boot.authorities.0.vouched", "claimed");
    ck_assert(json_is_null(at(told, "secure_boot.authorities.0.key")));
    check_text("secure_boot.distrusted.why", "a debugger was enabled");
}
END_TEST

START_TEST(facts_without_a_log_are_told_as_null) {
    log_free(&made);
    log_start(&made, banks);
    facts_of(&facts, &arena, &made);
    facts.has_log = false;
    tell();
    ck_assert(json_is_null(at(told, "log")));
    ck_assert(json_is_null(at(told, "secure_boot.enabled")));
    ck_assert(json_is_null(at(told, "secure_boot.enabled_event")));
    ck_assert(json_is_null(at(told, "os.sbat")));
    ck_assert(json_is_null(at(told, "firmware.version_hex")));
}
END_TEST

START_TEST(unquoted_facts_are_those_that_a_quote_would_confirm) {
    ck_assert_int_eq(tpm2_unquoted_facts(&facts, &arena, log_bytes(&made), NULL), STATUS_OK);
    ck_assert_uint_eq(facts.num_banks, 2);
    ck_assert_int_eq(facts.secure_boot.enabled, FACT_YES);
    ck_assert_uint_eq(facts.num_images, 3);
    ck_assert_uint_eq(facts.image[0].digest[1].len, 48);
    ck_assert(!facts.bank[0].pcr[16].quoted && facts.bank[0].pcr[7].quoted);
    ck_assert_mem_eq(facts.bank[0].pcr[7].value, log_pcr(&made, HASH_SHA256, 7), 32);
}
END_TEST

START_TEST(sha1_alone_gives_no_unquoted_facts) {
    log_free(&made);
    log_secure_boot(&made, sha1);
    ck_assert_int_eq(tpm2_unquoted_facts(&facts, &arena, log_bytes(&made), NULL),
                     STATUS_UNSUPPORTED);
    ck_assert_int_eq(tpm2_unquoted_facts(&facts, &arena, bytes_of(NULL, 0), NULL),
                     STATUS_TRUNCATED);
}
END_TEST

static Suite *json_suite(void) {
    Suite *suite = suite_create("facts: JSON");
    TCase *tcase = tcase_create("json");
    tcase_add_checked_fixture(tcase, start, end);
    tcase_add_test(tcase, facts_are_told_with_event_and_vouching);
    tcase_add_test(tcase, what_nothing_vouches_for_is_told_as_claimed_or_null);
    tcase_add_test(tcase, facts_without_a_log_are_told_as_null);
    tcase_add_test(tcase, unquoted_facts_are_those_that_a_quote_would_confirm);
    tcase_add_test(tcase, sha1_alone_gives_no_unquoted_facts);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void) {
    SRunner *runner = srunner_create(json_suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
