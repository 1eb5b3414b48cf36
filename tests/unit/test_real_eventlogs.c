/* Event logs of real firmware against what independent tools, and often the TPM itself, say of them. */
#include "server/commands/commands.h"
#include "tests/unit/real_data.h"
#include "tests/unit/run_command.h"

#include <check.h>
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOGS_MAX = 200 };

static char *names[LOGS_MAX]; /* without the extension */
static int num_names;
static char path[600];
static json_t *known, *told;
static char complaint[1024];

/* `gatehouse inspect`, its output and its complaint. */
static int inspect(const char *file) {
    const char *argv[] = {"inspect", file, NULL};
    struct command_run run;
    run_command(&run, command_inspect, argv, NULL);
    told = json_loads(run.out, JSON_REJECT_DUPLICATES, NULL);
    (void)snprintf(complaint, sizeof complaint, "%s", run.err);
    int status = run.status;
    command_run_free(&run);
    return status;
}

static void load(int i) {
    (void)snprintf(path, sizeof path, "%s/eventlogs/%s.json", real_data(), names[i]);
    known = json_load_file(path, 0, NULL);
    ck_assert_ptr_nonnull(known);
    (void)snprintf(path, sizeof path, "%s/eventlogs/%s.bin", real_data(), names[i]);
}

static void forget(void) {
    json_decref(known);
    json_decref(told);
    known = told = NULL;
}

static void count_types(json_t *counts) {
    size_t i;
    json_t *event;
    json_array_foreach(json_object_get(told, "events"), i, event) {
        const char *type = json_string_value(json_object_get(event, "type"));
        char key[64];
        if (strncmp(type, "EV_", 3) == 0) {
            (void)snprintf(key, sizeof key, "%s", type + 3);
        } else {
            (void)snprintf(key, sizeof key, "0x%lx", strtoul(type, NULL, 16));
        }
        json_int_t count = json_integer_value(json_object_get(counts, key));
        (void)json_object_set_new(counts, key, json_integer(count + 1));
    }
}

static json_int_t startup_locality(void) {
    size_t i;
    json_t *event;
    json_array_foreach(json_object_get(told, "events"), i, event) {
        json_t *locality = json_object_get(json_object_get(event, "data"), "startup_locality");
        if (locality != NULL) {
            return json_integer_value(locality);
        }
    }
    return 0;
}

static int count_mismatches(void) {
    size_t i;
    int num = 0;
    json_t *event;
    json_array_foreach(json_object_get(told, "events"), i, event) {
        num += json_is_false(json_object_get(event, "digest_matches_data"));
    }
    return num;
}

static void check_secure_boot(json_t *facts) {
    const char *state = json_string_value(json_object_get(facts, "SecureBoot"));
    json_t *enabled = json_object_get(json_object_get(told, "secure_boot"), "enabled");
    if (state != NULL && strcmp(state, "01") == 0) {
        ck_assert(json_is_true(enabled));
    } else if (state != NULL && strcmp(state, "00") == 0) {
        ck_assert(json_is_false(enabled));
    } else {
        ck_assert(json_is_null(enabled));
    }
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(facts, "authority"), i, name) {
        json_t *authorities = json_object_get(json_object_get(told, "secure_boot"), "authorities");
        json_t *found = json_object_get(json_array_get(authorities, i), "variable");
        ck_assert_str_eq(json_string_value(found), json_string_value(name));
    }
}

START_TEST(inspect_agrees_with_each_real_log) {
    load(_i);
    int status = inspect(path);
    ck_assert_msg(told != NULL, "%s: what was printed is no JSON", names[_i]);
    if (json_is_string(json_object_get(known, "error"))) {
        unsigned index, at;
        ck_assert_int_eq(status, EXIT_FAILURE);
        ck_assert_int_eq(sscanf(complaint, "gatehouse inspect: event %u at byte %u: ", &index, &at),
                         2);
        ck_assert_ptr_eq(strchr(complaint, '\n'), complaint + strlen(complaint) - 1);
    } else {
        json_t *counts = json_object(), *facts = json_object_get(known, "facts");
        const char *mismatch = json_string_value(json_object_get(facts, "data_digest_mismatch"));
        count_types(counts);
        ck_assert_msg(status == EXIT_SUCCESS, "%s: %s", names[_i], complaint);
        ck_assert(json_equal(json_object_get(told, "pcrs"), json_object_get(known, "pcrs")));
        ck_assert(json_equal(json_object_get(told, "banks"), json_object_get(known, "banks")));
        ck_assert(json_equal(counts, json_object_get(known, "num_events_by_type")));
        ck_assert_int_eq((int)json_array_size(json_object_get(told, "events")),
                         (int)json_integer_value(json_object_get(known, "num_events")));
        ck_assert_int_eq((int)startup_locality(),
                         (int)json_integer_value(json_object_get(known, "startup_locality")));
        ck_assert_int_eq(count_mismatches(), (int)strtol(mismatch, NULL, 10));
        check_secure_boot(facts);
        json_decref(counts);
    }
    forget();
}
END_TEST

/* Cut anywhere, a real log is told up to there, and the rest is complained of. */
START_TEST(inspect_tells_what_comes_before_the_fault) {
    struct arena arena;
    arena_init(&arena, 1 << 26);
    load(_i);
    struct bytes whole = real_file(&arena, "eventlogs/%s.bin", names[_i]);
    for (size_t cut = 1; cut < 4 && whole.len > 2000; cut++) {
        char file[] = "/tmp/gatehouse-test-XXXXXX";
        int fd = mkstemp(file);
        ck_assert_int_ge(fd, 0);
        size_t len = whole.len * cut / 4 + cut;
        ck_assert_int_eq((int)write(fd, whole.data, len), (int)len);
        (void)close(fd);
        int status = inspect(file);
        (void)unlink(file);
        ck_assert_ptr_nonnull(told);
        if (status != EXIT_SUCCESS) {
            unsigned index;
            ck_assert_int_eq(sscanf(complaint, "gatehouse inspect: event %u at byte ", &index), 1);
            ck_assert_uint_eq(json_array_size(json_object_get(told, "events")), index);
        }
        json_decref(told);
        told = NULL;
    }
    forget();
    arena_free(&arena);
}
END_TEST

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void list_logs(void) {
    struct dirent **entry;
    if (real_data() == NULL) {
        return;
    }
    (void)snprintf(path, sizeof path, "%s/eventlogs", real_data());
    int num = scandir(path, &entry, NULL, by_name);
    for (int i = 0; i < num; i++) {
        char *dot = strrchr(entry[i]->d_name, '.');
        if (dot != NULL && strcmp(dot, ".json") == 0 && num_names < LOGS_MAX) {
            names[num_names++] = strndup(entry[i]->d_name, (size_t)(dot - entry[i]->d_name));
        }
        free(entry[i]);
    }
    if (num >= 0) {
        free(entry);
    }
}

START_TEST(real_logs_are_optional) {
    ck_assert_int_ge(num_names, 0);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("real event logs");
    list_logs();
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, real_logs_are_optional);
    tcase_add_loop_test(tests, inspect_agrees_with_each_real_log, 0, num_names);
    tcase_add_loop_test(tests, inspect_tells_what_comes_before_the_fault, 0, num_names);
    Suite *suite = suite_create("evidence: real event logs");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    for (int i = 0; i < num_names; i++) {
        free(names[i]);
    }
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
