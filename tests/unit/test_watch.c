/* gatehouse watch: how events are read, what is made of them, and the files that proxies read. */
#include "server/base/file.h"
#include "server/commands/event_source.h"
#include "server/commands/watch_exec.h"
#include "server/commands/watch_map.h"
#include "server/commands/watch_state.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- events ----------------------------------------------------------------------------------- */

static struct event_source source;
static char heard[8192]; /* "name|id|data;" each */
static int take_at_most;

static bool hear(void *context, const char *name, const char *id, const char *data) {
    size_t len = strlen(heard);
    ck_assert_ptr_null(context);
    (void)snprintf(heard + len, sizeof heard - len, "%s|%s|%s;", name, id, data);
    return --take_at_most != 0;
}

static void begin(void) {
    source = (struct event_source){.event = hear};
    heard[0] = '\0';
    take_at_most = 1000;
}

static enum status say(const char *text) {
    return event_source_take(&source, bytes_of_text(text));
}

START_TEST(events_are_read_in_pieces_of_any_size) {
    static const char text[] =
        ":\n\nretry: 2000\n\nid: 1\nevent: device\ndata: {\"a\":1}\n\n"
        "id: 2\n\nevent: x\r\ndata:a\r\ndata: b\r\n\r\ndata\n\nid\ndata:c\r\r";
    for (size_t size = 1; size < sizeof text; size++) {
        begin();
        for (size_t at = 0; at < sizeof text - 1; at += size) {
            size_t len = sizeof text - 1 - at < size ? sizeof text - 1 - at : size;
            uint8_t *piece = malloc(len); /* of its very size */
            memcpy(piece, text + at, len);
            ck_assert_int_eq(event_source_take(&source, bytes_of(piece, len)), STATUS_OK);
            free(piece);
        }
        ck_assert_str_eq(heard, "device|1|{\"a\":1};x|2|a\nb;message|2|;message||c;");
    }
}
END_TEST

START_TEST(what_is_no_event_is_nothing) {
    static const char *const nothing[] = {"\n\n\n",      ": data: x\n\n", "event: device\n\n",
                                          "dat: x\n\n",  "datax: y\n\n",  " data: x\n\n",
                                          "DATA: x\n\n", "id: 9\n\n",     "data: x\n"};
    for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++) {
        begin();
        ck_assert_int_eq(say(nothing[i]), STATUS_OK);
        ck_assert_str_eq(heard, "");
    }
}
END_TEST

START_TEST(an_id_alone_counts_and_half_an_event_does_not) {
    begin();
    ck_assert_int_eq(say("id: 7\n\nid: 8\nevent: device\ndata: cut off"), STATUS_OK);
    ck_assert_str_eq(source.id, "7");
    event_source_restart(&source);
    ck_assert_int_eq(say("data: whole\n\n"), STATUS_OK);
    ck_assert_str_eq(heard, "message|7|whole;");
}
END_TEST

START_TEST(a_mark_in_front_is_no_part_of_the_first_line) {
    begin();
    ck_assert_int_eq(say("\xef\xbb\xbf"
                         "data: x\n\n\xef\xbb\xbf"
                         "data: y\n\n"),
                     STATUS_OK);
    ck_assert_str_eq(heard, "message||x;");
}
END_TEST

START_TEST(what_is_too_long_is_refused) {
    static const char *const fields[] = {"data: ", "event: ", "id: "};
    static char text[EVENT_SOURCE_LINE + 64];
    for (size_t i = 0; i < 3; i++) {
        size_t len = i == 0 ? EVENT_SOURCE_LINE + 1 : 40;
        begin();
        memset(text, 'x', len);
        for (size_t k = 0; fields[i][k] != '\0'; k++) {
            text[k] = fields[i][k];
        }
        memcpy(text + len, "\n\n", 3);
        ck_assert_int_eq(say(text), STATUS_LIMIT);
        ck_assert_str_eq(heard, "");
    }
    begin();
    memset(text, 'x', EVENT_SOURCE_LINE / 2);
    memcpy(text, "data: ", 6);
    memcpy(text + EVENT_SOURCE_LINE / 2, "\n", 2);
    ck_assert_int_eq(say(text), STATUS_OK);
    ck_assert_int_eq(say(text), STATUS_OK);
    ck_assert_int_eq(say(text), STATUS_LIMIT); /* an event of many lines */
}
END_TEST

START_TEST(an_id_with_a_zero_in_it_is_none) {
    begin();
    ck_assert_int_eq(event_source_take(&source, bytes_of("id: 1\0002\ndata: x\n\n", 18)),
                     STATUS_OK);
    ck_assert_str_eq(heard, "message||x;");
}
END_TEST

START_TEST(who_has_heard_enough_hears_no_more) {
    begin();
    take_at_most = 1;
    ck_assert_int_eq(say("data: x\n\ndata: y\n\n"), STATUS_END);
    ck_assert_str_eq(heard, "message||x;");
}
END_TEST

/* --- who may pass ----------------------------------------------------------------------------- */

#define TIMES "\"not_before\":\"1970-01-01T00:16:40Z\",\"not_after\":\"1970-01-01T00:33:20Z\""
enum { NOW = 1500 }; /* of 1000 to 2000 */

static struct watch_state *state;
static bool changed;

static enum status event(const char *name, const char *data) {
    changed = false;
    return watch_state_take(state, name, data, &changed);
}

static void must_event(const char *name, const char *data) {
    ck_assert_int_eq(event(name, data), STATUS_OK);
}

static const char *standing(int n, const char *device_state, const char *verdict,
                            const char *tier) {
    static char text[256];
    (void)snprintf(text, sizeof text,
                   "\"device_id\":\"%032x\",\"model\":\"edge\",\"state\":%s,\"verdict\":\"%s\","
                   "\"tier\":\"%s\"",
                   n, device_state, verdict, tier);
    return text;
}

static void say_device(int n, const char *device_state, const char *verdict, const char *tier) {
    char text[512];
    (void)snprintf(text, sizeof text, "{\"seq\":1,%s}", standing(n, device_state, verdict, tier));
    must_event("device", text);
}

static enum status say_credential(const char *name, int n) {
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "{%s,\"serial\":\"%032x\",\"certificate_sha256\":\"%064x\"," TIMES "}",
                   standing(n, "\"enrolled\"", "trusted", "measured"), n, n);
    return event(name, text);
}

static void say_model(const char *tier) {
    char text[256];
    (void)snprintf(text, sizeof text,
                   "{\"model\":\"edge\",\"credential_tier\":%s,\"segments\":{\"identified\":null,"
                   "\"verified_boot\":\"lan\",\"measured\":\"core\"}}",
                   tier);
    must_event("model", text);
}

static char listed[4096];

static void list_entry(void *context, const struct watch_entry *entry) {
    size_t len = strlen(listed);
    (void)context;
    (void)snprintf(listed + len, sizeof listed - len, "%s:%s:%s ", entry->serial + 31, entry->tier,
                   entry->segment);
}

static int64_t check_list(int64_t now, const char *wanted) {
    listed[0] = '\0';
    int64_t next = watch_state_list(state, now, list_entry, NULL);
    ck_assert_str_eq(listed, wanted);
    return next;
}

static void open_state(void) {
    ck_assert_int_eq(watch_state_new(&state), STATUS_OK);
    ck_assert_int_eq(watch_state_gather(state), STATUS_OK);
    say_model("\"measured\"");
    for (int n = 1; n <= 3; n++) {
        ck_assert_int_eq(say_credential("credential", n), STATUS_OK);
        ck_assert(!changed); /* before it is whole */
    }
    ck_assert(!watch_state_is_whole(state));
    (void)check_list(NOW, "");
    must_event("snapshot", "{\"seq\":9,\"credentials\":3}");
    ck_assert(changed);
    ck_assert(watch_state_is_whole(state));
}

static void close_state(void) {
    watch_state_free(state);
}

#define ALL "1:measured:core 2:measured:core 3:measured:core "

START_TEST(what_a_snapshot_says_may_pass_until_it_ends) {
    ck_assert_int_eq(check_list(NOW, ALL), 2000);
    ck_assert_int_eq(check_list(1999, ALL), 2000);
    ck_assert_int_eq(check_list(2000, ""), INT64_MAX);
    ck_assert_int_eq(check_list(NOW, ""), INT64_MAX); /* it is forgotten */
}
END_TEST

START_TEST(what_has_not_begun_may_not_pass) {
    ck_assert_int_eq(check_list(999, ""), 1000);
    ck_assert_int_eq(check_list(1000, ALL), 2000);
}
END_TEST

START_TEST(what_is_revoked_may_not_pass) {
    ck_assert_int_eq(say_credential("revocation", 2), STATUS_OK);
    ck_assert(changed);
    (void)check_list(NOW, "1:measured:core 3:measured:core ");
    ck_assert_int_eq(say_credential("revocation", 2), STATUS_OK); /* told twice */
    ck_assert(!changed);
    ck_assert_int_eq(say_credential("revocation", 7), STATUS_OK); /* of one that is not known */
    ck_assert(!changed);
}
END_TEST

START_TEST(what_is_issued_may_pass) {
    ck_assert_int_eq(say_credential("credential", 4), STATUS_OK);
    ck_assert(changed);
    (void)check_list(NOW, ALL "4:measured:core ");
    ck_assert_int_eq(say_credential("credential", 4), STATUS_OK);
    ck_assert(!changed);
}
END_TEST

START_TEST(a_device_that_does_not_stand_may_not_pass_until_it_does) {
    static const char *const states[] = {"\"quarantined\"", "\"retired\"", "\"pending_approval\"",
                                         "null"};
    for (size_t i = 0; i < 4; i++) {
        say_device(1, states[i], "trusted", "measured");
        ck_assert(changed);
        (void)check_list(NOW, "2:measured:core 3:measured:core ");
        say_device(1, "\"enrolled\"", "trusted", "measured");
        ck_assert(changed);
        (void)check_list(NOW, ALL);
    }
    static const char *const verdicts[] = {"untrusted", "unknown", "inconclusive"};
    for (size_t i = 0; i < 3; i++) {
        say_device(2, "\"enrolled\"", verdicts[i], "measured");
        (void)check_list(NOW, "1:measured:core 3:measured:core ");
    }
}
END_TEST

START_TEST(a_tier_that_is_too_low_may_not_pass) {
    say_device(3, "\"enrolled\"", "trusted", "verified_boot");
    (void)check_list(NOW, "1:measured:core 2:measured:core ");
    say_model("\"verified_boot\"");
    ck_assert(changed);
    (void)check_list(NOW, "1:measured:core 2:measured:core 3:verified_boot:lan ");
    say_model("null"); /* the model is gone */
    (void)check_list(NOW, "");
}
END_TEST

START_TEST(a_model_that_is_not_known_lets_nobody_in) {
    char text[1024];
    (void)snprintf(
        text, sizeof text,
        "{\"device_id\":\"%032x\",\"model\":\"other\",\"state\":\"enrolled\",\"verdict\":"
        "\"trusted\",\"tier\":\"measured\",\"serial\":\"%032x\",\"certificate_sha256\":"
        "\"%064x\"," TIMES "}",
        9, 9, 9);
    must_event("credential", text);
    (void)check_list(NOW, ALL);
}
END_TEST

START_TEST(a_new_snapshot_takes_the_place_of_all_once_it_is_whole) {
    ck_assert_int_eq(watch_state_gather(state), STATUS_OK);
    say_model("\"measured\"");
    ck_assert_int_eq(say_credential("credential", 5), STATUS_OK);
    (void)check_list(NOW, ALL);                             /* what was known counts meanwhile */
    ck_assert_int_eq(watch_state_gather(state), STATUS_OK); /* it was cut off */
    say_model("\"measured\"");
    ck_assert_int_eq(say_credential("credential", 6), STATUS_OK);
    must_event("snapshot", "{\"seq\":9,\"credentials\":1}");
    (void)check_list(NOW, "6:measured:core ");
}
END_TEST

START_TEST(a_device_without_credentials_is_not_kept) {
    say_device(40, "\"enrolled\"", "trusted", "measured");
    ck_assert(!changed);
    for (int n = 1; n <= 3; n++) {
        ck_assert_int_eq(say_credential("revocation", n), STATUS_OK);
    }
    say_device(1, "\"quarantined\"", "trusted", "measured");
    ck_assert(!changed);
    (void)check_list(NOW, "");
}
END_TEST

START_TEST(what_is_not_as_it_should_be_is_refused) {
    static const char *const bad[][2] = {
        {"device", ""},
        {"device", "{"},
        {"device", "[]"},
        {"device", "{}"},
        {"device", "{\"model\":\"edge\",\"model\":\"edge\"}"},
        {"device", "{\"device_id\":\"../"
                   "1\",\"model\":\"edge\",\"state\":\"enrolled\",\"verdict\":\"trusted\","
                   "\"tier\":\"measured\"}"},
        {"device",
         "{\"device_id\":\"00000000000000000000000000000001\",\"model\":\"edge\",\"state\":1,"
         "\"verdict\":\"trusted\",\"tier\":\"measured\"}"},
        {"device", "{\"device_id\":\"00000000000000000000000000000001\",\"model\":\"edge\","
                   "\"state\":\"enrolled\","
                   "\"verdict\":\"trusted\",\"tier\":\"golden\"}"},
        {"model", "{\"model\":\"edge\"}"},
        {"model", "{\"model\":\"edge\",\"credential_tier\":\"golden\"}"},
        {"model", "{\"model\":\"\",\"credential_tier\":\"measured\"}"},
        {"model",
         "{\"model\":\"edge\",\"credential_tier\":\"measured\",\"segments\":{\"measured\":1}}"},
        {"revocation", "{\"serial\":\"x\"}"},
        {"snapshot", "{\"seq\":1,\"credentials\":0}"}, /* none was asked for */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_msg(event(bad[i][0], bad[i][1]) == STATUS_MALFORMED, "%s", bad[i][1]);
        ck_assert(!changed);
    }
    (void)check_list(NOW, ALL);
}
END_TEST

START_TEST(a_credential_does_not_become_another_devices) {
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "{%s,\"serial\":\"%032x\",\"certificate_sha256\":\"%064x\"," TIMES "}",
                   standing(2, "\"enrolled\"", "trusted", "measured"), 1, 1);
    ck_assert_int_eq(event("credential", text), STATUS_MALFORMED);
    ck_assert(!changed);
    say_device(2, "\"quarantined\"", "trusted", "measured");
    (void)check_list(NOW, "1:measured:core 3:measured:core ");
    (void)check_list(2000, "");
}
END_TEST

static const char whole[] =
    "{\"device_id\":\"00000000000000000000000000000009\",\"model\":\"edge\",\"state\":\"enrolled\","
    "\"verdict\":\"trusted\",\"tier\":\"measured\",\"serial\":\"00000000000000000000000000000009\","
    "\"certificate_sha256\":"
    "\"0000000000000000000000000000000000000000000000000000000000000009\"," TIMES "}";

/* Nothing that reaches a proxy's file is taken as it comes. */
START_TEST(a_credential_of_which_a_byte_is_off_is_refused) {
    static const char *const values[] = {
        "0000000000000000000000000000000000000000000000000000000000000009", "serial\":\"00",
        "1970-01-01T00:33:20Z", "measured\",\"s"};
    for (size_t i = 0; i < 4; i++) {
        char text[sizeof whole];
        memcpy(text, whole, sizeof whole);
        char *at = strstr(text, values[i]);
        ck_assert_ptr_nonnull(at);
        at[i == 1 ? 9 : 0] = i == 1 ? ';' : '\n';
        ck_assert_int_eq(event("credential", text), STATUS_MALFORMED);
    }
    (void)check_list(NOW, ALL);
    must_event("credential", whole);
}
END_TEST

/* --- files ------------------------------------------------------------------------------------ */

static char folder[64], path[96];

static void open_folder(void) {
    open_state();
    (void)snprintf(folder, sizeof folder, "/tmp/gatehouse-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/map", folder);
}

static void close_folder(void) {
    (void)unlink(path);
    ck_assert_int_eq(rmdir(folder), 0); /* no half-written file is left */
    close_state();
}

static bool write_map(struct watch_map *map, struct watch_state *from, size_t num_wanted) {
    struct detail detail = {0};
    bool did = false;
    size_t num = 99;
    int64_t next;
    ck_assert_int_eq(watch_map_write(map, from, NOW, &did, &num, &next, &detail), STATUS_OK);
    ck_assert_uint_eq(num, num_wanted);
    ck_assert_int_eq(next, from == NULL ? INT64_MAX : 2000);
    return did;
}

static void check_file(const char *wanted) {
    uint8_t *text;
    size_t len;
    struct detail detail = {0};
    ck_assert_int_eq(file_read(&text, &len, path, 65536, &detail), STATUS_OK);
    ck_assert_str_eq((const char *)text, wanted);
    free(text);
}

START_TEST(a_file_says_who_may_pass_as_the_proxy_reads_it) {
    static const enum watch_map_form forms[] = {WATCH_MAP_HAPROXY, WATCH_MAP_NGINX};
    char wanted[512];
    struct watch_map map = {.form = forms[_i], .path = path};
    for (int n = 1; n <= 2; n++) {
        ck_assert_int_eq(say_credential("revocation", n), STATUS_OK);
    }
    ck_assert_int_eq(say_credential("credential", 0xabc), STATUS_OK);
    ck_assert(write_map(&map, state, 2));
    (void)snprintf(wanted, sizeof wanted,
                   _i == 0 ? "%064x measured\n%064x measured\n"
                           : "%032X measured;\n%032X measured;\n",
                   3, 0xabc);
    check_file(wanted);
    ck_assert(!write_map(&map, state, 2)); /* the same again is not written */
    ck_assert(write_map(&map, NULL, 0));   /* nobody */
    check_file("");
    ck_assert(!write_map(&map, NULL, 0));
    ck_assert(write_map(&map, state, 2));
    check_file(wanted);
}
END_TEST

START_TEST(a_file_that_was_there_is_replaced_even_by_nobody) {
    struct detail detail = {0};
    struct watch_map map = {.form = WATCH_MAP_HAPROXY, .path = path};
    ck_assert_int_eq(file_replace(path, 0644, bytes_of_text("left over\n"), &detail), STATUS_OK);
    ck_assert(write_map(&map, NULL, 0));
    check_file("");
}
END_TEST

START_TEST(a_file_that_cannot_be_written_stays_and_is_tried_again) {
    struct watch_map map = {.form = WATCH_MAP_HAPROXY, .path = "/nowhere/at/all"};
    struct detail detail = {0};
    bool did = false;
    size_t num = 99;
    int64_t next;
    ck_assert_int_ne(watch_map_write(&map, state, NOW, &did, &num, &next, &detail), STATUS_OK);
    ck_assert(!did);
    ck_assert_uint_eq(num, 99);
    ck_assert_str_ne(detail.text, "");
    map.path = path;
    ck_assert(write_map(&map, state, 3));
}
END_TEST

/* --- commands --------------------------------------------------------------------------------- */

START_TEST(a_command_gets_the_event_and_its_variables) {
    char command[256];
    struct detail detail = {0};
    (void)snprintf(command, sizeof command,
                   "{ cat; printf '%%s|%%s|' \"$GATEHOUSE_EVENT\" \"$GATEHOUSE_SERIAL\"; } >%s",
                   path);
    const struct watch_variable variable[] = {{"GATEHOUSE_EVENT", "a; $(false) `x`"},
                                              {"GATEHOUSE_SERIAL", NULL}};
    ck_assert_int_eq(watch_exec(command, "{\"a\":1}\n", variable, 2, &detail), STATUS_OK);
    check_file("{\"a\":1}\na; $(false) `x`||");
}
END_TEST

START_TEST(a_command_that_fails_says_how) {
    struct detail detail = {0};
    ck_assert_int_eq(watch_exec("exit 7", "", NULL, 0, &detail), STATUS_INVALID);
    ck_assert_str_eq(detail.text, "the command ended with status 7");
    ck_assert_int_eq(watch_exec("kill -9 $$", "", NULL, 0, &detail), STATUS_INVALID);
    ck_assert_str_eq(detail.text, "the command was ended by signal 9");
    ck_assert_int_eq(watch_exec("/nowhere/at/all", "", NULL, 0, &detail), STATUS_INVALID);
}
END_TEST

START_TEST(a_command_that_does_not_read_is_no_harm) {
    struct detail detail = {0};
    size_t len = 1 << 20; /* more than a pipe holds */
    char *text = malloc(len + 1);
    memset(text, 'x', len);
    text[len] = '\0';
    (void)signal(SIGPIPE, SIG_IGN);
    ck_assert_int_eq(watch_exec("exit 0", text, NULL, 0, &detail), STATUS_OK);
    ck_assert_int_eq(watch_exec("exec <&-; exit 0", text, NULL, 0, &detail), STATUS_OK);
    free(text);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("commands: watch");
    TCase *events = tcase_create("events");
    tcase_add_test(events, events_are_read_in_pieces_of_any_size);
    tcase_add_test(events, what_is_no_event_is_nothing);
    tcase_add_test(events, an_id_alone_counts_and_half_an_event_does_not);
    tcase_add_test(events, a_mark_in_front_is_no_part_of_the_first_line);
    tcase_add_test(events, what_is_too_long_is_refused);
    tcase_add_test(events, an_id_with_a_zero_in_it_is_none);
    tcase_add_test(events, who_has_heard_enough_hears_no_more);
    suite_add_tcase(suite, events);
    TCase *who = tcase_create("who may pass");
    tcase_add_checked_fixture(who, open_state, close_state);
    tcase_add_test(who, what_a_snapshot_says_may_pass_until_it_ends);
    tcase_add_test(who, what_has_not_begun_may_not_pass);
    tcase_add_test(who, what_is_revoked_may_not_pass);
    tcase_add_test(who, what_is_issued_may_pass);
    tcase_add_test(who, a_device_that_does_not_stand_may_not_pass_until_it_does);
    tcase_add_test(who, a_tier_that_is_too_low_may_not_pass);
    tcase_add_test(who, a_model_that_is_not_known_lets_nobody_in);
    tcase_add_test(who, a_new_snapshot_takes_the_place_of_all_once_it_is_whole);
    tcase_add_test(who, a_device_without_credentials_is_not_kept);
    tcase_add_test(who, what_is_not_as_it_should_be_is_refused);
    tcase_add_test(who, a_credential_of_which_a_byte_is_off_is_refused);
    tcase_add_test(who, a_credential_does_not_become_another_devices);
    suite_add_tcase(suite, who);
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, open_folder, close_folder);
    tcase_add_loop_test(files, a_file_says_who_may_pass_as_the_proxy_reads_it, 0, 2);
    tcase_add_test(files, a_file_that_was_there_is_replaced_even_by_nobody);
    tcase_add_test(files, a_file_that_cannot_be_written_stays_and_is_tried_again);
    tcase_add_test(files, a_command_gets_the_event_and_its_variables);
    tcase_add_test(files, a_command_that_fails_says_how);
    tcase_add_test(files, a_command_that_does_not_read_is_no_harm);
    suite_add_tcase(suite, files);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
