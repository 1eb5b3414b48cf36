#include "tests/unit/store_fixture.h"

#include "server/base/encoding.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void store_fixture_folder(struct store_fixture *f) {
    *f = (struct store_fixture){0};
    const char *temporary = getenv("TMPDIR");
    (void)snprintf(f->folder, sizeof f->folder, "%.32s/gatehouse-store-XXXXXX",
                   temporary == NULL ? "/tmp" : temporary);
    ck_assert_ptr_nonnull(mkdtemp(f->folder));
    (void)snprintf(f->path, sizeof f->path, "%s/store.db", f->folder);
    arena_init(&f->arena, (size_t)64 << 20);
}

static void must(enum status status, const struct detail *detail) {
    if (status != STATUS_OK) {
        ck_abort_msg("%s: %s", status_name(status), detail->text);
    }
}

void store_fixture_open(struct store_fixture *f, bool write) {
    struct detail detail = {0};
    must(store_open(&f->store, f->path, &detail), &detail);
    must(store_reader_new(&f->reader, f->store, &detail), &detail);
    if (write) {
        must(store_writer_new(&f->writer, f->store, &detail), &detail);
    }
}

void store_fixture_close(struct store_fixture *f) {
    store_writer_free(f->writer);
    store_reader_free(f->reader);
    store_close(f->store);
    f->writer = NULL;
    f->reader = NULL;
    f->store = NULL;
    arena_free(&f->arena);
}

void store_fixture_remove(struct store_fixture *f) {
    store_fixture_close(f);
    DIR *folder = opendir(f->folder);
    ck_assert_ptr_nonnull(folder);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char path[sizeof f->folder + sizeof entry->d_name];
        (void)snprintf(path, sizeof path, "%s/%s", f->folder, entry->d_name);
        (void)unlink(path);
    }
    (void)closedir(folder);
    (void)rmdir(f->folder);
}

void store_fixture_begin(struct store_fixture *f) {
    struct detail detail = {0};
    must(store_begin(f->writer, &detail), &detail);
}

enum status store_fixture_end(struct store_fixture *f, enum status status) {
    if (status != STATUS_OK) {
        store_rollback(f->writer);
        return status;
    }
    return store_commit(f->writer, NULL);
}

void sample_id(char out[static STORE_ID], char kind, unsigned n) {
    uint8_t id[16];
    memset(id, kind, sizeof id);
    struct writer w = writer_of(id, 8);
    write_u32be(&w, (uint32_t)kind);
    write_u32be(&w, n);
    hex_encode(out, bytes_of(id, sizeof id));
}

static void sample_digest(uint8_t out[static 32], char kind, unsigned n) {
    memset(out, kind, 32);
    struct writer w = writer_of(out, 32);
    write_u32be(&w, n * 2654435761U);
    write_u32be(&w, n);
}

struct model_row sample_model(const char *name) {
    struct model_row row = {.description = "a model",
                            .pcr_selection = "sha256:0,7",
                            .credential_lifetime_s = 3600,
                            .enrolment = "open",
                            .credential_tier = 3,
                            .created = 100,
                            .updated = 100};
    (void)snprintf(row.name, sizeof row.name, "%s", name);
    return row;
}

/* Keys of the n-th device, for as long as the program runs. */
static struct bytes sample_key(char kind, unsigned n) {
    enum { NUM = 4096, LEN = 48 };
    static uint8_t keys[2][NUM][LEN];
    uint8_t *key = keys[kind == 'a' ? 1 : 0][n % NUM];
    memset(key, kind, LEN);
    struct writer w = writer_of(key, LEN);
    write_u32be(&w, n);
    return bytes_of(key, LEN);
}

struct device_row sample_device(const char *model, unsigned n) {
    struct device_row row = {.state = DEVICE_ENROLLED,
                             .ek_public = sample_key('e', n),
                             .ak_public = sample_key('a', n),
                             .ek_certificate = bytes_of_text("certificate"),
                             .identity_not_after = 900000,
                             .enrolled = 100,
                             .last_seen = 100,
                             .updated = 100,
                             .note = "as new"};
    sample_id(row.id, 'd', n);
    sample_id(row.identity_serial, 'i', n);
    sample_digest(row.identity_sha256, 'i', n);
    (void)snprintf(row.model, sizeof row.model, "%s", model);
    return row;
}

struct credential_row sample_credential(unsigned n, unsigned device_n) {
    struct credential_row row = {.tier = 3, .not_before = 1000, .not_after = 2000};
    sample_id(row.serial, 'c', n);
    sample_id(row.device_id, 'd', device_n);
    sample_id(row.appraisal_id, 'p', n);
    sample_digest(row.sha256, 'c', n);
    return row;
}

struct baseline_row sample_baseline(const char *model, unsigned n, enum baseline_state state) {
    struct baseline_row row = {.state = state,
                               .label = "fw 1",
                               .document = bytes_of_text("{}"),
                               .created_by = "alice",
                               .created = 100,
                               .updated = 100,
                               .activated = state == BASELINE_ACTIVE ? 200 : 0};
    sample_id(row.id, 'b', n);
    sample_digest(row.document_sha256, 'b', n);
    (void)snprintf(row.model, sizeof row.model, "%s", model);
    return row;
}

struct operator_row sample_operator(const char *name, const char *role) {
    struct operator_row row = {.created = 100, .updated = 100, .num_certificates = 1};
    (void)snprintf(row.name, sizeof row.name, "%s", name);
    (void)snprintf(row.role, sizeof row.role, "%s", role);
    row.certificate[0] = sample_certificate(name);
    return row;
}

struct operator_certificate sample_certificate(const char *seed) {
    struct operator_certificate row = {
        .subject = "CN=sample", .not_after = 5000, .added = 100, .added_by = "host:root"};
    memset(row.sha256, 'o', 32);
    (void)snprintf((char *)row.sha256, 32, "%.30s", seed);
    return row;
}

struct proxy_row sample_proxy(const char *name) {
    struct proxy_row row = {.created = 100, .updated = 100};
    (void)snprintf(row.name, sizeof row.name, "%s", name);
    memset(row.certificate_sha256, 'p', 32);
    (void)snprintf((char *)row.certificate_sha256, 32, "%.30s", name);
    return row;
}
