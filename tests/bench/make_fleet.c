/* make_fleet STORE N [list]: a new store with N enrolled, trusted devices of eight models, one
 * access credential each (valid from an hour ago, for 30 days), and an appraisal each. With `list`
 * it prints a line for each device: id, serial, SHA-256 of the certificate.
 *
 * Ids and serials are spread evenly and ascend, so that the indexes are filled from left to right;
 * real ones are as even, in no order. */
#include "db/store.h"
#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/crypto/digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODELS = 8, BATCH = 20000, KEY_LEN = 90, CERTIFICATE_LEN = 700 };

struct device_seed {
    char id[STORE_ID], serial[STORE_SERIAL], appraisal[STORE_ID];
    uint8_t certificate_sha256[32], identity_sha256[32], key[2 * KEY_LEN + CERTIFICATE_LEN];
};

static void derive(uint8_t out[static 32], const char *what, uint64_t i) {
    char text[64];
    int len = snprintf(text, sizeof text, "%s %llu", what, (unsigned long long)i);
    digest_compute(HASH_SHA256, bytes_of(text, (size_t)len), out);
}

/* Digests, but for their first eight bytes, which count up through all there are. */
static void spread(uint8_t out[static 32], const char *what, uint64_t i, uint64_t num) {
    derive(out, what, i);
    struct writer w = writer_of(out, 8);
    write_u64be(&w, i * (UINT64_MAX / num));
}

static void spread_id(char out[static STORE_ID], const char *what, uint64_t i, uint64_t num) {
    uint8_t id[32];
    spread(id, what, i, num);
    hex_encode(out, bytes_of(id, 16));
}

static void seed(struct device_seed *out, uint64_t i, uint64_t num) {
    uint8_t tail[32];
    spread_id(out->id, "device", i, num);
    spread_id(out->serial, "serial", i, num);
    spread_id(out->appraisal, "appraisal", i, num);
    spread(out->identity_sha256, "identity", i, num);
    derive(out->certificate_sha256, "certificate", i);
    memset(out->key, 0x5a, sizeof out->key);
    spread(tail, "ek", i, num);
    memcpy(out->key + KEY_LEN - 16, tail, 16);
    spread(tail, "ak", i, num);
    memcpy(out->key + 2 * KEY_LEN - 16, tail, 16);
}

static void model_name(char out[static STORE_NAME], uint64_t i) {
    (void)snprintf(out, STORE_NAME, "bench-%llu", (unsigned long long)(i % MODELS));
}

static enum status add_device(struct store_writer *writer, const struct device_seed *from,
                              uint64_t i, int64_t now) {
    struct device_row device = {.state = DEVICE_ENROLLED,
                                .ek_public = bytes_of(from->key, KEY_LEN),
                                .ak_public = bytes_of(from->key + KEY_LEN, KEY_LEN),
                                .ek_certificate =
                                    bytes_of(from->key + 2 * (size_t)KEY_LEN, CERTIFICATE_LEN),
                                .identity_not_after = now + 31536000,
                                .has_clock = true,
                                .tpm_clock = 1000,
                                .verdict = 1,
                                .tier = 3,
                                .enrolled = now - 86400,
                                .last_seen = now - 3600,
                                .updated = now - 3600};
    memcpy(device.id, from->id, sizeof device.id);
    memcpy(device.identity_serial, from->serial, sizeof device.identity_serial);
    memcpy(device.appraisal_id, from->appraisal, sizeof device.appraisal_id);
    memcpy(device.identity_sha256, from->identity_sha256, sizeof device.identity_sha256);
    model_name(device.model, i);
    return store_device_insert(writer, &device);
}

static enum status add_rest(struct store_writer *writer, const struct device_seed *from, uint64_t i,
                            int64_t now) {
    struct appraisal_row appraisal = {.verdict = 1,
                                      .tier = 3,
                                      .findings = bytes_of_text("[]"),
                                      .facts = bytes_of_text("{}"),
                                      .created_ms = (now - 3600) * 1000};
    memcpy(appraisal.id, from->appraisal, sizeof appraisal.id);
    memcpy(appraisal.device_id, from->id, sizeof appraisal.device_id);
    model_name(appraisal.model, i);
    enum status status = store_appraisal_insert(writer, &appraisal, 0);
    if (status != STATUS_OK) {
        return status;
    }
    struct credential_row credential = {
        .tier = 3, .not_before = now - 3600, .not_after = now + 30 * 86400};
    memcpy(credential.serial, from->serial, sizeof credential.serial);
    memcpy(credential.device_id, from->id, sizeof credential.device_id);
    memcpy(credential.appraisal_id, from->appraisal, sizeof credential.appraisal_id);
    memcpy(credential.sha256, from->certificate_sha256, sizeof credential.sha256);
    return store_credential_insert(writer, &credential);
}

static void print_line(const struct device_seed *from) {
    char sha256[65];
    hex_encode(sha256, bytes_of(from->certificate_sha256, 32));
    (void)printf("%s %s %s\n", from->id, from->serial, sha256);
}

static enum status add_models(struct store_writer *writer, int64_t now, struct detail *detail) {
    enum status status = store_begin(writer, detail);
    for (uint64_t i = 0; i < MODELS && status == STATUS_OK; i++) {
        struct model_row model = {.pcr_selection = "sha256:0-9,14",
                                  .credential_lifetime_s = 3600,
                                  .enrolment = "open",
                                  .credential_tier = 3,
                                  .created = now,
                                  .updated = now};
        model_name(model.name, i);
        status = store_model_insert(writer, &model);
    }
    return status == STATUS_OK ? store_commit(writer, detail) : status;
}

static enum status fill(struct store_writer *writer, uint64_t num, bool list,
                        struct detail *detail) {
    int64_t now = clock_unix();
    enum status status = add_models(writer, now, detail);
    for (uint64_t i = 0; i < num && status == STATUS_OK;) {
        status = store_begin(writer, detail);
        for (uint64_t end = i + BATCH; i < num && i < end && status == STATUS_OK; i++) {
            struct device_seed from;
            seed(&from, i, num);
            status = add_device(writer, &from, i, now);
            if (status == STATUS_OK) {
                status = add_rest(writer, &from, i, now);
            }
            if (list) {
                print_line(&from);
            }
        }
        if (status == STATUS_OK) {
            status = store_commit(writer, detail);
        }
    }
    return status;
}

int main(int argc, char **argv) {
    uint64_t num = argc < 3 ? 0 : strtoull(argv[2], NULL, 10);
    if (num == 0) {
        (void)fprintf(stderr, "usage: make_fleet STORE N [list]\n");
        return 2;
    }
    struct detail detail = {0};
    struct store *store = NULL;
    struct store_writer *writer = NULL;
    int64_t began = clock_monotonic_ms();
    enum status status = store_open(&store, argv[1], &detail);
    if (status == STATUS_OK) {
        status = store_writer_new(&writer, store, &detail);
    }
    if (status == STATUS_OK) {
        status = fill(writer, num, argc > 3, &detail);
    }
    if (status != STATUS_OK) {
        (void)fprintf(stderr, "make_fleet: %s: %s\n", status_name(status), detail.text);
    } else {
        (void)fprintf(stderr, "make_fleet: %llu devices in %lld ms\n", (unsigned long long)num,
                      (long long)(clock_monotonic_ms() - began));
    }
    store_writer_free(writer);
    store_close(store);
    return status == STATUS_OK ? 0 : 1;
}
