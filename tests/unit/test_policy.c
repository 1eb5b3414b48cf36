/* concurrent */
/* The policy: snapshots that hold together, and an old one that stays when a new one cannot be. */
#include "server/crypto/digest.h"
#include "server/fleet/policy.h"
#include "server/fleet/table.h"
#include "tests/unit/cert_fixture.h"
#include "tests/unit/fault_vfs.h"
#include "tests/unit/store_fixture.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct store_fixture f;
static struct policy_holder *holder;
static struct detail detail;

static void open_policy(void) {
    fault_vfs_register();
    fleet_thread_enter();
    store_fixture_folder(&f);
    store_fixture_open(&f, true);
    ck_assert_int_eq(policy_holder_new(&holder), STATUS_OK);
}

static void close_policy(void) {
    policy_holder_free(holder);
    store_fixture_remove(&f);
    fleet_thread_leave();
}

static enum status reload(void) {
    detail = (struct detail){0};
    return policy_reload(holder, f.reader, &detail);
}

static void put_model(const char *name, const char *selection) {
    struct model_row row = sample_model(name);
    (void)snprintf(row.pcr_selection, sizeof row.pcr_selection, "%s", selection);
    ck_assert_int_eq(store_fixture_write(&f, store_model_insert(f.writer, &row)), STATUS_OK);
}

/* `inside` is the model that the document itself names. */
static struct baseline_row make_baseline(unsigned n, const char *model, const char *inside,
                                         enum baseline_state state, int64_t activated) {
    static char document[64][512];
    struct baseline_row row = sample_baseline(model, n, state);
    (void)snprintf(document[n % 64], sizeof document[0],
                   "{\"schema\":\"gatehouse/baseline/1\",\"model\":\"%s\",\"label\":\"number "
                   "%u\",\"bank\":\"sha256\",\"pcrs\":{\"0\":[\"" HEX "\"]}}",
                   inside, n);
    row.document = bytes_of_text(document[n % 64]);
    digest_compute(HASH_SHA256, row.document, row.document_sha256);
    row.activated = activated;
    return row;
}

static void put_baseline(unsigned n, const char *model, enum baseline_state state,
                         int64_t activated) {
    struct baseline_row row = make_baseline(n, model, model, state, activated);
    ck_assert_int_eq(store_fixture_write(&f, store_baseline_insert(f.writer, &row)), STATUS_OK);
}

static void set_state(unsigned n, enum baseline_state state, int64_t version) {
    struct baseline_row row;
    char id[STORE_ID];
    sample_id(id, 'b', n);
    ck_assert_int_eq(store_baseline_get(f.reader, &f.arena, &row, id), STATUS_OK);
    ck_assert_int_eq(row.version, version);
    row.state = state;
    ck_assert_int_eq(store_fixture_write(&f, store_baseline_update(f.writer, &row)), STATUS_OK);
}

START_TEST(there_is_no_policy_before_the_first_reload) {
    ck_assert_ptr_null(policy_read_begin(holder));
    policy_read_end(holder);
}
END_TEST

START_TEST(an_empty_policy_knows_nobody) {
    static const uint8_t nobody[32] = {1};
    ck_assert_int_eq(reload(), STATUS_OK);
    const struct policy *policy = policy_read_begin(holder);
    ck_assert_ptr_nonnull(policy);
    ck_assert_ptr_null(policy_model(policy, "edge"));
    ck_assert_ptr_null(policy_model(policy, ""));
    ck_assert_ptr_null(policy_operator(policy, nobody));
    ck_assert_ptr_null(policy_proxy(policy, nobody));
    policy_read_end(holder);
}
END_TEST

START_TEST(models_have_their_baselines_in_force_oldest_first) {
    put_model("edge", "sha256:0,7");
    put_model("core", "sha256:0-9,14");
    put_model("bare", "sha256:0");
    put_baseline(1, "edge", BASELINE_ACTIVE, 300);
    put_baseline(2, "edge", BASELINE_DEPRECATED, 200);
    put_baseline(3, "core", BASELINE_ACTIVE, 100);
    put_baseline(4, "edge", BASELINE_DRAFT, 0);
    put_baseline(5, "edge", BASELINE_REVOKED, 50);
    put_baseline(6, "bare", BASELINE_RETIRED, 50);
    put_baseline(7, "bare", BASELINE_APPROVED, 50);
    put_baseline(8, "bare", BASELINE_SUBMITTED, 50);
    ck_assert_int_eq(reload(), STATUS_OK);
    const struct policy *policy = policy_read_begin(holder);
    const struct policy_model *edge = policy_model(policy, "edge");
    ck_assert_uint_eq(edge->num_baselines, 2);
    ck_assert_str_eq(baseline_label(edge->baseline[0]), "number 2");
    ck_assert_str_eq(baseline_label(edge->baseline[1]), "number 1");
    char id[STORE_ID];
    sample_id(id, 'b', 1);
    ck_assert_str_eq(edge->baseline_id[1], id);
    ck_assert_uint_eq(edge->selection.bank[0].mask, 0x81);
    ck_assert_uint_eq(policy_model(policy, "core")->num_baselines, 1);
    ck_assert_uint_eq(policy_model(policy, "bare")->num_baselines, 0);
    ck_assert_ptr_null(policy_model(policy, "edgy"));
    policy_read_end(holder);
}
END_TEST

START_TEST(operators_and_proxies_are_found_by_certificate) {
    static const char *const names[] = {"alice", "zoe", "bob", "mia", "carol"};
    for (int i = 0; i < 5; i++) {
        struct operator_row op = sample_operator(names[i], "admin");
        op.disabled = i == 2;
        struct proxy_row proxy = sample_proxy(names[i]);
        ck_assert_int_eq(store_fixture_write(&f, store_operator_put(f.writer, &op, false)),
                         STATUS_OK);
        ck_assert_int_eq(store_fixture_write(&f, store_proxy_put(f.writer, &proxy, false)),
                         STATUS_OK);
    }
    ck_assert_int_eq(reload(), STATUS_OK);
    const struct policy *policy = policy_read_begin(holder);
    for (int i = 0; i < 5; i++) {
        struct operator_row row = sample_operator(names[i], "");
        const struct operator_row *found = policy_operator(policy, row.certificate[0].sha256);
        ck_assert_str_eq(found->name, names[i]);
        ck_assert_int_eq(found->disabled, i == 2);
        ck_assert_ptr_null(policy_proxy(policy, row.certificate[0].sha256));
        struct proxy_row proxy = sample_proxy(names[i]);
        ck_assert_str_eq(policy_proxy(policy, proxy.certificate_sha256)->name, names[i]);
        row.certificate[0].sha256[31] ^= 1;
        ck_assert_ptr_null(policy_operator(policy, row.certificate[0].sha256));
    }
    policy_read_end(holder);
}
END_TEST

START_TEST(access_policies_are_found_by_name) {
    static const char *const names[] = {"lab", "office", "Floor", "z"};
    static char models[2][STORE_NAME] = {"edge", "core"};
    for (int i = 0; i < 4; i++) {
        struct access_policy_row row = {.min_tier = i, .model = models, .num_models = 2};
        (void)strcpy(row.name, names[i]);
        ck_assert_int_eq(store_fixture_write(&f, store_access_policy_insert(f.writer, &row)),
                         STATUS_OK);
    }
    ck_assert_int_eq(reload(), STATUS_OK);
    const struct policy *policy = policy_read_begin(holder);
    for (int i = 0; i < 4; i++) {
        const struct access_policy_row *found = policy_access(policy, names[i]);
        ck_assert_ptr_nonnull(found);
        ck_assert_int_eq(found->min_tier, i);
        ck_assert_uint_eq(found->num_models, 2);
        ck_assert_str_eq(found->model[1], "core");
    }
    ck_assert_ptr_null(policy_access(policy, "floor"));
    ck_assert_ptr_null(policy_access(policy, ""));
    policy_read_end(holder);
}
END_TEST

START_TEST(an_operator_is_found_by_any_of_the_certificates) {
    static const char *const seeds[] = {"zz", "aa", "mm"};
    struct operator_row op = sample_operator("alice", "admin");
    ck_assert_int_eq(store_fixture_write(&f, store_operator_put(f.writer, &op, false)), STATUS_OK);
    for (size_t i = 0; i < 3; i++) {
        struct operator_certificate row = sample_certificate(seeds[i]);
        ck_assert_int_eq(
            store_fixture_write(&f, store_operator_certificate_add(f.writer, "alice", &row)),
            STATUS_OK);
    }
    ck_assert_int_eq(reload(), STATUS_OK);
    const struct policy *policy = policy_read_begin(holder);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_str_eq(policy_operator(policy, sample_certificate(seeds[i]).sha256)->name,
                         "alice");
    }
    policy_read_end(holder);
    ck_assert_int_eq(
        store_fixture_write(&f, store_operator_certificate_delete(
                                    f.writer, "alice", sample_certificate("aa").sha256, 100)),
        STATUS_OK);
    ck_assert_int_eq(reload(), STATUS_OK);
    policy = policy_read_begin(holder);
    ck_assert_ptr_null(policy_operator(policy, sample_certificate("aa").sha256));
    ck_assert_ptr_nonnull(policy_operator(policy, sample_certificate("mm").sha256));
    policy_read_end(holder);
}
END_TEST

START_TEST(an_unchanged_baseline_is_not_compiled_again) {
    put_model("edge", "sha256:0");
    put_baseline(1, "edge", BASELINE_ACTIVE, 100);
    put_baseline(2, "edge", BASELINE_ACTIVE, 200);
    ck_assert_int_eq(reload(), STATUS_OK);
    const struct baseline *first = policy_model(policy_read_begin(holder), "edge")->baseline[0];
    policy_read_end(holder);
    set_state(2, BASELINE_RETIRED, 1);
    put_baseline(3, "edge", BASELINE_ACTIVE, 300);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(reload(), STATUS_OK);
    }
    const struct policy_model *edge = policy_model(policy_read_begin(holder), "edge");
    ck_assert_uint_eq(edge->num_baselines, 2);
    ck_assert_ptr_eq(edge->baseline[0], first);
    ck_assert_str_eq(baseline_label(edge->baseline[1]), "number 3");
    policy_read_end(holder);
}
END_TEST

START_TEST(a_baseline_whose_document_changed_is_compiled_anew) {
    put_model("edge", "sha256:0");
    put_baseline(1, "edge", BASELINE_ACTIVE, 100);
    ck_assert_int_eq(reload(), STATUS_OK);
    struct baseline_row row = make_baseline(2, "edge", "edge", BASELINE_ACTIVE, 100);
    sample_id(row.id, 'b', 1);
    row.version = 1;
    ck_assert_int_eq(store_fixture_write(&f, store_baseline_update(f.writer, &row)), STATUS_OK);
    ck_assert_int_eq(reload(), STATUS_OK);
    const struct policy_model *edge = policy_model(policy_read_begin(holder), "edge");
    ck_assert_str_eq(baseline_label(edge->baseline[0]), "number 2");
    policy_read_end(holder);
}
END_TEST

/* --- anchors --- */

static struct bytes put_anchor(const char *model, enum anchor_purpose purpose, const char *name,
                               size_t key) {
    struct cert_spec spec = cert_ca(name, key, name, key);
    struct anchor_row row = {
        .purpose = purpose, .is_anchor = true, .subject = "s", .added_by = "alice"};
    row.der = cert_make(&spec);
    (void)snprintf(row.model, sizeof row.model, "%s", model);
    digest_compute(HASH_SHA256, row.der, row.sha256);
    ck_assert_int_eq(store_fixture_write(&f, store_anchor_insert(f.writer, &row)), STATUS_OK);
    return row.der;
}

static void drop_anchor(const char *model, enum anchor_purpose purpose, struct bytes der) {
    uint8_t digest[32];
    digest_compute(HASH_SHA256, der, digest);
    ck_assert_int_eq(store_fixture_write(&f, store_anchor_delete(f.writer, model, purpose, digest)),
                     STATUS_OK);
}

/* Of the policy in force; for comparing only. */
static struct policy_model model_now(const char *name) {
    struct policy_model model = *policy_model(policy_read_begin(holder), name);
    policy_read_end(holder);
    return model;
}

START_TEST(models_have_the_anchors_that_are_theirs) {
    put_model("bare", "sha256:0");
    put_model("core", "sha256:0");
    put_model("edge", "sha256:0");
    (void)put_anchor("edge", ANCHOR_EK, "a", 0);
    (void)put_anchor("edge", ANCHOR_EK, "b", 1);
    (void)put_anchor("edge", ANCHOR_IDEVID, "c", 2);
    (void)put_anchor("core", ANCHOR_IDEVID, "a", 0);
    ck_assert_int_eq(reload(), STATUS_OK);
    ck_assert_uint_eq(trust_bundle_count(model_now("edge").ek_bundle), 2);
    ck_assert_uint_eq(trust_bundle_count(model_now("edge").idevid_bundle), 1);
    ck_assert_ptr_null(model_now("core").ek_bundle);
    ck_assert_uint_eq(trust_bundle_count(model_now("core").idevid_bundle), 1);
    ck_assert_ptr_null(model_now("bare").ek_bundle);
    ck_assert_ptr_null(model_now("bare").idevid_bundle);
}
END_TEST

START_TEST(unchanged_anchors_are_not_compiled_again_and_changed_ones_are) {
    put_model("core", "sha256:0");
    put_model("edge", "sha256:0");
    struct bytes first = put_anchor("edge", ANCHOR_EK, "a", 0);
    (void)put_anchor("edge", ANCHOR_IDEVID, "c", 2);
    ck_assert_int_eq(reload(), STATUS_OK);
    struct policy_model before = model_now("edge");
    (void)put_anchor("core", ANCHOR_EK, "a", 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(reload(), STATUS_OK);
    }
    ck_assert_ptr_eq(model_now("edge").ek_bundle, before.ek_bundle);
    ck_assert_ptr_eq(model_now("edge").idevid_bundle, before.idevid_bundle);
    (void)put_anchor("edge", ANCHOR_EK, "b", 1);
    ck_assert_int_eq(reload(), STATUS_OK);
    ck_assert_uint_eq(trust_bundle_count(model_now("edge").ek_bundle), 2);
    ck_assert_ptr_eq(model_now("edge").idevid_bundle, before.idevid_bundle);
    drop_anchor("edge", ANCHOR_EK, first);
    ck_assert_int_eq(reload(), STATUS_OK);
    ck_assert_uint_eq(trust_bundle_count(model_now("edge").ek_bundle), 1);
}
END_TEST

/* What cannot be put in force leaves what is. */
static void stays(enum status wanted, const char *words) {
    enum status status = reload();
    ck_assert_str_eq(status_name(status), status_name(wanted));
    ck_assert_msg(strstr(detail.text, words) != NULL, "\"%s\" lacks \"%s\"", detail.text, words);
    const struct policy *policy = policy_read_begin(holder);
    ck_assert_ptr_nonnull(policy_model(policy, "edge"));
    ck_assert_uint_eq(policy_model(policy, "edge")->num_baselines, 1);
    ck_assert_ptr_null(policy_model(policy, "new"));
    policy_read_end(holder);
}

static void open_with_one(void) {
    open_policy();
    put_model("edge", "sha256:0");
    put_baseline(1, "edge", BASELINE_ACTIVE, 100);
    ck_assert_int_eq(reload(), STATUS_OK);
    put_model("new", "sha256:0");
}

START_TEST(a_baseline_that_does_not_compile_leaves_the_old_policy) {
    struct baseline_row row = make_baseline(2, "new", "new", BASELINE_ACTIVE, 200);
    row.document = bytes_of_text("{\"schema\":\"gatehouse/baseline/1\"}");
    ck_assert_int_eq(store_fixture_write(&f, store_baseline_insert(f.writer, &row)), STATUS_OK);
    stays(STATUS_MALFORMED, row.id);
    set_state(2, BASELINE_REVOKED, 1);
    ck_assert_int_eq(reload(), STATUS_OK);
}
END_TEST

START_TEST(a_baseline_for_another_model_leaves_the_old_policy) {
    struct baseline_row row = make_baseline(2, "edge", "new", BASELINE_ACTIVE, 200);
    ck_assert_int_eq(store_fixture_write(&f, store_baseline_insert(f.writer, &row)), STATUS_OK);
    stays(STATUS_INVALID, "model edge");
}
END_TEST

START_TEST(a_model_without_a_selection_leaves_the_old_policy) {
    put_model("odd", "sha256:99");
    stays(STATUS_MALFORMED, "model odd");
}
END_TEST

START_TEST(anchors_that_do_not_compile_leave_the_old_policy) {
    struct anchor_row row = {.model = "new", .purpose = ANCHOR_EK, .added_by = "alice"};
    row.der = bytes_of_text("no certificate");
    ck_assert_int_eq(store_fixture_write(&f, store_anchor_insert(f.writer, &row)), STATUS_OK);
    enum status status = reload();
    ck_assert(status == STATUS_MALFORMED || status == STATUS_TRUNCATED);
    stays(status, "anchors of model new");
}
END_TEST

START_TEST(an_unreadable_store_leaves_the_old_policy) {
    store_fixture_close(&f);
    store_fixture_open(&f, true);
    unsigned failed = 0;
    for (uint64_t after = 1; after < 100; after++) {
        fault_vfs_set(FAULT_READ, after, false);
        struct store_reader *reader;
        if (store_reader_new(&reader, f.store, NULL) != STATUS_OK) {
            fault_vfs_set(FAULT_NONE, 0, false);
            continue;
        }
        detail = (struct detail){0};
        enum status status = policy_reload(holder, reader, &detail);
        bool struck = fault_vfs_operations() >= after;
        fault_vfs_set(FAULT_NONE, 0, false);
        store_reader_free(reader);
        if (status == STATUS_OK) {
            ck_assert(!struck);
            break;
        }
        failed++;
        ck_assert_int_eq(status, STATUS_STORAGE);
        ck_assert_str_ne(detail.text, "");
        ck_assert_ptr_null(policy_model(policy_read_begin(holder), "new"));
        policy_read_end(holder);
    }
    ck_assert_uint_gt(failed, 0);
}
END_TEST

/* --- many threads --- */

static _Atomic bool stop;

static void *read_policy(void *context) {
    (void)context;
    fleet_thread_enter();
    while (!atomic_load(&stop)) {
        const struct policy *policy = policy_read_begin(holder);
        const struct policy_model *edge = policy_model(policy, "edge");
        ck_assert_ptr_nonnull(edge);
        for (size_t i = 0; i < edge->num_baselines; i++) {
            char id[STORE_ID];
            unsigned n;
            ck_assert_int_eq(sscanf(baseline_label(edge->baseline[i]), "number %u", &n), 1);
            sample_id(id, 'b', n);
            ck_assert_str_eq(edge->baseline_id[i], id);
        }
        policy_read_end(holder);
    }
    fleet_thread_leave();
    return NULL;
}

START_TEST(readers_keep_the_snapshot_they_hold) {
    pthread_t reader[3];
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(pthread_create(&reader[i], NULL, read_policy, NULL), 0);
    }
    for (unsigned n = 2; n < 40; n++) {
        put_baseline(n, "edge", BASELINE_ACTIVE, 100 + n);
        ck_assert_int_eq(reload(), STATUS_OK);
        set_state(n - 1, BASELINE_RETIRED, 1);
        ck_assert_int_eq(reload(), STATUS_OK);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(pthread_join(reader[i], NULL), 0);
    }
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("policy");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, open_policy, close_policy);
    tcase_add_test(tests, there_is_no_policy_before_the_first_reload);
    tcase_add_test(tests, an_empty_policy_knows_nobody);
    tcase_add_test(tests, models_have_their_baselines_in_force_oldest_first);
    tcase_add_test(tests, operators_and_proxies_are_found_by_certificate);
    tcase_add_test(tests, access_policies_are_found_by_name);
    tcase_add_test(tests, an_operator_is_found_by_any_of_the_certificates);
    tcase_add_test(tests, an_unchanged_baseline_is_not_compiled_again);
    tcase_add_test(tests, a_baseline_whose_document_changed_is_compiled_anew);
    tcase_add_test(tests, models_have_the_anchors_that_are_theirs);
    tcase_add_test(tests, unchanged_anchors_are_not_compiled_again_and_changed_ones_are);
    TCase *one = tcase_create("a policy in force");
    tcase_set_timeout(one, 60);
    tcase_add_checked_fixture(one, open_with_one, close_policy);
    tcase_add_test(one, a_baseline_that_does_not_compile_leaves_the_old_policy);
    tcase_add_test(one, a_baseline_for_another_model_leaves_the_old_policy);
    tcase_add_test(one, a_model_without_a_selection_leaves_the_old_policy);
    tcase_add_test(one, anchors_that_do_not_compile_leave_the_old_policy);
    tcase_add_test(one, an_unreadable_store_leaves_the_old_policy);
    tcase_add_test(one, readers_keep_the_snapshot_they_hold);
    Suite *suite = suite_create("fleet: policy");
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, one);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
