#include "tests/unit/rule_fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define RULES(members)  "\"secure_boot\":{" members "}"
#define LIST(name, hex) "\"" name "\":[\"" hex "\"]"
#define ALL                                                                                        \
    RULES("\"required\":true,\"refuse_leaked_keys\":true," LIST("platform_key", HEX_A) "," LIST(   \
        "key_exchange_keys", HEX_B) "," LIST("db", HEX_C) "," LIST("dbx_includes",                 \
                                                                   HEX_D) "," LIST("authorities",  \
                                                                                   HEX_C))

static struct fact_secure_boot *boot;

static struct fact_keys keys(const char *digits, enum fact_key_kind kind) {
    struct fact_keys out = {.known = true, .num = strlen(digits)};
    out.event = rule_event(7, 0x80000001, '1', "", true);
    out.key = arena_array(&rule_arena, out.num, sizeof *out.key);
    for (size_t i = 0; i < out.num; i++) {
        out.key[i].kind = kind;
        memcpy(out.key[i].sha256, rule_digest(digits[i]).data, 32);
    }
    return out;
}

/* Events: 0 SecureBoot, 1 PK, 2 KEK, 3 db, 4 dbx, 5 authority. */
static void measured(void) {
    boot = &rule_facts.secure_boot;
    rule_quote(7, true);
    boot->enabled = FACT_YES;
    boot->enabled_event = rule_event(7, 0x80000001, '1', "", true);
    boot->platform_key = keys("a", FACT_KEY_CERTIFICATE);
    boot->key_exchange_keys = keys("b", FACT_KEY_CERTIFICATE);
    boot->db = keys("c", FACT_KEY_CERTIFICATE);
    boot->dbx = keys("1d2", FACT_KEY_HASH);
    boot->authority = arena_alloc(&rule_arena, sizeof *boot->authority);
    boot->num_authorities = 1;
    boot->authority[0] = (struct fact_authority){.event = rule_event(7, 0x800000E0, '1', "", true),
                                                 .variable = "db"};
    boot->authority[0].key = boot->db.key[0];
}

static void expect(const char *rules, const char *told) {
    ck_assert_int_eq(rule_judge(rules), VERDICT_UNTRUSTED);
    const char *text = rule_told(), *unlisted = strstr(text, ", [pcr_unlisted 7 -1]");
    ck_assert_str_eq(
        unlisted == NULL ? text : arena_text_n(&rule_arena, text, (size_t)(unlisted - text)), told);
}

START_TEST(secure_boot_with_the_listed_keys_is_trusted) {
    measured();
    ck_assert_int_eq(rule_judge(ALL), VERDICT_TRUSTED);
    ck_assert_str_eq(rule_told(), "[pcr_unlisted 7 -1]");
    ck_assert_uint_eq(rule_reads(ALL), 1u << 7);
}
END_TEST

START_TEST(secure_boot_off_is_refused) {
    measured();
    boot->enabled = FACT_NO;
    expect(ALL, "secure_boot_off 7 0");
    ck_assert_str_eq(rule_verdict.finding[0].found, "off");
}
END_TEST

START_TEST(secure_boot_of_which_nothing_is_known_is_refused) {
    measured();
    boot->enabled = FACT_UNKNOWN;
    expect(ALL, "data_not_bound 7 0");
    boot->enabled_event = FACT_NO_EVENT;
    expect(ALL, "secure_boot_variable_missing 7 -1");
    ck_assert_str_eq(rule_verdict.finding[0].found, "no SecureBoot");
}
END_TEST

START_TEST(secure_boot_in_setup_or_audit_mode_is_refused) {
    measured();
    boot->setup_mode = boot->audit_mode = FACT_NO;
    ck_assert_int_eq(rule_judge(ALL), VERDICT_TRUSTED);
    boot->setup_mode = boot->audit_mode = FACT_YES;
    expect(ALL, "secure_boot_setup_mode 7 -1, secure_boot_audit_mode 7 -1");
}
END_TEST

START_TEST(secure_boot_may_be_off_where_it_is_not_required) {
    measured();
    boot->enabled = FACT_NO;
    ck_assert_int_eq(rule_judge(RULES(LIST("platform_key", HEX_A))), VERDICT_TRUSTED);
    ck_assert_int_eq(rule_judge(RULES("\"required\":false," LIST("platform_key", HEX_A))),
                     VERDICT_TRUSTED);
}
END_TEST

START_TEST(settings_that_are_not_to_be_believed_are_refused_whatever_is_demanded) {
    measured();
    boot->distrusted_event = 3;
    boot->distrusted_why = "a debugger was there";
    expect(RULES(LIST("platform_key", HEX_A)), "secure_boot_distrusted 7 3");
    ck_assert_str_eq(rule_verdict.finding[0].found, "a debugger was there");
    boot->distrusted_event = FACT_NO_EVENT;
    expect(ALL, "secure_boot_distrusted 7 -1");
}
END_TEST

START_TEST(keys_that_are_not_listed_are_named_with_their_variable) {
    measured();
    boot->platform_key.key[0].sha256[0] ^= 1;
    boot->key_exchange_keys = keys("b3", FACT_KEY_CERTIFICATE);
    boot->db = keys("c4", FACT_KEY_HASH);
    boot->platform_key.key[0].subject = "CN=own\x7f";
    expect(ALL, "platform_key_not_allowed 7 1, key_exchange_key_not_allowed 7 6, "
                "db_entry_not_allowed 7 7");
    ck_assert_str_eq(rule_verdict.finding[0].expected, "one of: " HEX_A);
    ck_assert_str_eq(rule_verdict.finding[0].found,
                     "abaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa "
                     "(CN=own\\x7f)");
}
END_TEST

START_TEST(fewer_keys_than_listed_are_trusted_but_none_is_not) {
    measured();
    static const char two[] = RULES("\"db\":[\"" HEX_B "\",\"" HEX_C "\"]");
    ck_assert_int_eq(rule_judge(two), VERDICT_TRUSTED);
    boot->db.num = 0;
    expect(two, "secure_boot_variable_missing 7 -1");
    boot->platform_key.num = 0;
    expect(RULES(LIST("platform_key", HEX_A)), "secure_boot_variable_missing 7 -1");
}
END_TEST

START_TEST(variables_that_were_not_measured_or_whose_data_are_not_bound_are_refused) {
    measured();
    boot->platform_key.known = boot->key_exchange_keys.known = false;
    boot->db.known = boot->dbx.known = false;
    boot->db.event = boot->dbx.event = FACT_NO_EVENT;
    expect(ALL, "data_not_bound 7 1, data_not_bound 7 2, secure_boot_variable_missing 7 -1, "
                "secure_boot_variable_missing 7 -1");
    expect(RULES("\"refuse_leaked_keys\":true"),
           "data_not_bound 7 1, data_not_bound 7 2, secure_boot_variable_missing 7 -1");
}
END_TEST

START_TEST(dbx_may_have_more_but_not_less_than_listed) {
    measured();
    static const char three[] =
        RULES("\"dbx_includes\":[\"" HEX_D "\",\"" HEX_A "\",\"" HEX_B "\",\"" HEX_D "\"]");
    expect(three, "dbx_entry_missing 7 4");
    ck_assert_str_eq(rule_verdict.finding[0].expected, HEX_A ", " HEX_B);
    ck_assert_ptr_nonnull(strstr(rule_verdict.finding[0].found, "2 of 3 missing (SHA-256 "));
    boot->dbx = keys("adb1", FACT_KEY_HASH);
    ck_assert_int_eq(rule_judge(three), VERDICT_TRUSTED);
    boot->dbx = keys("", FACT_KEY_HASH);
    expect(three, "dbx_entry_missing 7 7");
}
END_TEST

START_TEST(dbx_that_lacks_other_entries_is_another_finding) {
    measured();
    boot->dbx = keys("ab", FACT_KEY_HASH);
    expect(RULES("\"dbx_includes\":[\"" HEX_C "\",\"" HEX_D "\"]"), "dbx_entry_missing 7 6");
    const char *first = rule_verdict.finding[0].found;
    expect(RULES("\"dbx_includes\":[\"" HEX_C "\",\"" HEX_A
                 "\",\"2222222222222222222222222222222222222222222222222222222222222222\"]"),
           "dbx_entry_missing 7 6");
    ck_assert_str_ne(rule_verdict.finding[0].found, first);
}
END_TEST

START_TEST(authority_whose_data_are_not_bound_is_refused_by_its_event) {
    measured();
    boot->authority[0].variable = "";
    expect(ALL, "data_not_bound 7 5");
    ck_assert_int_eq(rule_judge(RULES("\"required\":true")), VERDICT_TRUSTED);
}
END_TEST

START_TEST(authority_that_is_not_listed_is_named) {
    measured();
    boot->authority[0].key.sha256[0] ^= 1;
    expect(ALL, "authority_not_allowed 7 5");
    ck_assert_int_eq(rule_judge(RULES("\"required\":true")), VERDICT_TRUSTED);
}
END_TEST

static const struct leaked_key leaked = {.sha256 = {0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA,
                                                    0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA,
                                                    0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA,
                                                    0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA},
                                         .subject = "CN=DO NOT TRUST",
                                         .source = "a leak"};
static const struct leaked_keys leaks = {.key = &leaked, .num = 1};

START_TEST(leaked_key_is_refused_in_each_variable_even_when_it_is_listed) {
    measured();
    rule_leaked_keys = &leaks;
    boot->key_exchange_keys = keys("ba", FACT_KEY_CERTIFICATE);
    boot->db = keys("a", FACT_KEY_CERTIFICATE);
    expect(RULES("\"refuse_leaked_keys\":true," LIST("platform_key", HEX_A)),
           "leaked_key 7 1, leaked_key 7 6, leaked_key 7 7");
    ck_assert_ptr_nonnull(strstr(rule_verdict.finding[0].remediation, "a leak"));
    ck_assert_ptr_nonnull(strstr(rule_verdict.finding[2].remediation, "db"));
}
END_TEST

START_TEST(leaked_key_is_not_looked_for_where_that_is_not_demanded) {
    measured();
    rule_leaked_keys = &leaks;
    ck_assert_int_eq(rule_judge(RULES(LIST("platform_key", HEX_A))), VERDICT_TRUSTED);
    ck_assert_int_eq(rule_judge(RULES("\"refuse_leaked_keys\":false," LIST("platform_key", HEX_A))),
                     VERDICT_TRUSTED);
}
END_TEST

START_TEST(hash_that_equals_a_leaked_certificates_is_no_key) {
    measured();
    rule_leaked_keys = &leaks;
    boot->platform_key = keys("b", FACT_KEY_CERTIFICATE);
    boot->db = keys("a", FACT_KEY_HASH);
    ck_assert_int_eq(rule_judge(RULES("\"refuse_leaked_keys\":true")), VERDICT_TRUSTED);
}
END_TEST

START_TEST(secure_boot_without_a_log_is_refused) {
    measured();
    rule_facts.bank[0].pcr[7].logged = false;
    expect(ALL, "log_missing 7 -1");
    rule_facts.bank[0].pcr[7].quoted = false;
    expect(ALL, "pcr_not_quoted 7 -1");
}
END_TEST

START_TEST(secure_boot_of_a_pcr_that_nothing_was_measured_into_is_refused) {
    rule_quote(7, false);
    memset(rule_facts.bank[0].pcr[7].value, 0, 32);
    expect(RULES("\"required\":true"), "secure_boot_variable_missing 7 -1");
}
END_TEST

/* --- documents --------------------------------------------------------------------------------- */

static const struct {
    const char *members, *code, *path;
} wrong[] = {
    {"\"secure_boot\":{}", "invalid_baseline", "secure_boot"},
    {"\"secure_boot\":true", "invalid_baseline", "secure_boot"},
    {"\"secure_boot\":{\"required\":false}", "invalid_baseline", "secure_boot"},
    {"\"secure_boot\":{\"required\":false,\"refuse_leaked_keys\":false}", "invalid_baseline",
     "secure_boot"},
    {"\"secure_boot\":{\"required\":\"yes\"}", "invalid_baseline", "secure_boot.required"},
    {"\"secure_boot\":{\"refuse_leaked_keys\":1}", "invalid_baseline",
     "secure_boot.refuse_leaked_keys"},
    {"\"secure_boot\":{\"platform_key\":\"" HEX_A "\"}", "invalid_baseline",
     "secure_boot.platform_key"},
    {"\"secure_boot\":{\"db\":[]}", "invalid_baseline", "secure_boot.db"},
    {"\"secure_boot\":{\"db\":[\"" HEX_A "\",\"" HEX_B "\",\"x\"]}", "invalid_baseline",
     "secure_boot.db[2]"},
    {"\"secure_boot\":{\"key_exchange_keys\":[null]}", "invalid_baseline",
     "secure_boot.key_exchange_keys[0]"},
    {"\"secure_boot\":{\"dbx_includes\":[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]}",
     "invalid_baseline", "secure_boot.dbx_includes[0]"},
    {"\"secure_boot\":{\"required\":true,\"pk\":[\"" HEX_A "\"]}", "unknown_field",
     "secure_boot.pk"},
    {"\"secure_boot\":{\"required\":true,\"dbx\":[\"" HEX_A "\"]}", "unknown_field",
     "secure_boot.dbx"},
};

START_TEST(secure_boot_with_anything_wrong_is_refused_by_field) {
    rule_refused(wrong[_i].members, wrong[_i].code, wrong[_i].path);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("secure_boot");
    Suite *suite = suite_create("rules: secure_boot");
    tcase_add_checked_fixture(tests, rule_start, rule_end);
    tcase_add_test(tests, secure_boot_with_the_listed_keys_is_trusted);
    tcase_add_test(tests, secure_boot_off_is_refused);
    tcase_add_test(tests, secure_boot_of_which_nothing_is_known_is_refused);
    tcase_add_test(tests, secure_boot_in_setup_or_audit_mode_is_refused);
    tcase_add_test(tests, secure_boot_may_be_off_where_it_is_not_required);
    tcase_add_test(tests, settings_that_are_not_to_be_believed_are_refused_whatever_is_demanded);
    tcase_add_test(tests, keys_that_are_not_listed_are_named_with_their_variable);
    tcase_add_test(tests, fewer_keys_than_listed_are_trusted_but_none_is_not);
    tcase_add_test(tests, variables_that_were_not_measured_or_whose_data_are_not_bound_are_refused);
    tcase_add_test(tests, dbx_may_have_more_but_not_less_than_listed);
    tcase_add_test(tests, dbx_that_lacks_other_entries_is_another_finding);
    tcase_add_test(tests, authority_whose_data_are_not_bound_is_refused_by_its_event);
    tcase_add_test(tests, authority_that_is_not_listed_is_named);
    tcase_add_test(tests, leaked_key_is_refused_in_each_variable_even_when_it_is_listed);
    tcase_add_test(tests, leaked_key_is_not_looked_for_where_that_is_not_demanded);
    tcase_add_test(tests, hash_that_equals_a_leaked_certificates_is_no_key);
    tcase_add_test(tests, secure_boot_without_a_log_is_refused);
    tcase_add_test(tests, secure_boot_of_a_pcr_that_nothing_was_measured_into_is_refused);
    tcase_add_loop_test(tests, secure_boot_with_anything_wrong_is_refused_by_field, 0,
                        (int)(sizeof wrong / sizeof *wrong));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
