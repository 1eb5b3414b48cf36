#include "tests/bench/fleet.h"

#include "db/store.h"
#include "server/appraisal/appraisal.h"
#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/base/file.h"
#include "server/credential/profile.h"
#include "server/crypto/random.h"
#include "server/identity/device_id.h"
#include "tests/bench/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DAY = 86400, FILE_MAX = 64 << 20, BATCH = 1000, LOG_MAX = 1 << 17, PCRS = 24 };

static struct detail detail;

static void need(enum status status, const char *what) {
    if (status != STATUS_OK) {
        give_up("%s: %s: %s", what, status_name(status), detail.text);
    }
}

static struct bytes read_file(const char *path) {
    uint8_t *data;
    size_t len;
    need(file_read(&data, &len, path, FILE_MAX, &detail), path);
    return bytes_of(data, len);
}

/* --- what is the same for all ------------------------------------------------------------------ */

static void insert_policy(struct store_writer *writer, int64_t now) {
    static uint8_t log_bytes[LOG_MAX];
    struct soft_tpm tpm;
    struct writer log = writer_of(log_bytes, sizeof log_bytes);
    char json[4096], hex[65];
    soft_tpm_init(&tpm, KEY_EC_P256);
    soft_tpm_boot(&tpm, &log, FLEET_LOG_SIZE);
    int len = snprintf(json, sizeof json,
                       "{\"schema\":\"gatehouse/baseline/1\",\"model\":\"" FLEET_MODEL
                       "\",\"label\":\"bench\",\"bank\":\"sha256\",\"pcrs\":{");
    for (unsigned i = 0, n = 0; i < PCRS; i++) {
        if (FLEET_MASK >> i & 1) {
            hex_encode(hex, bytes_of(tpm.pcr[i], 32));
            len += snprintf(json + len, sizeof json - (size_t)len, "%s\"%u\":[\"%s\"]",
                            n++ > 0 ? "," : "", i, hex);
        }
    }
    (void)snprintf(json + len, sizeof json - (size_t)len, "}}");
    soft_tpm_cleanup(&tpm);

    struct model_row model = {.name = FLEET_MODEL,
                              .pcr_selection = "sha256:0,1,2,3,4,5,6,7,8,9,14",
                              .credential_lifetime_s = 3600,
                              .enrolment = "open",
                              .credential_tier = TIER_MEASURED,
                              .created = now,
                              .updated = now,
                              .version = 1};
    need(store_model_insert(writer, &model), "model");
    struct baseline_row baseline = {.model = FLEET_MODEL,
                                    .label = "bench",
                                    .state = BASELINE_ACTIVE,
                                    .document = bytes_of_text(json),
                                    .created_by = "bench",
                                    .activated_by = "bench",
                                    .created = now,
                                    .updated = now,
                                    .activated = now,
                                    .version = 1};
    id_new(baseline.id, now * 1000);
    digest_compute(HASH_SHA256, baseline.document, baseline.document_sha256);
    need(store_baseline_insert(writer, &baseline), "baseline");
}

/* --- one device -------------------------------------------------------------------------------- */

struct making {
    struct store_writer *writer;
    struct issuer issuer;
    struct private_key *ek_ca;
    const char *trust_domain;
    int64_t now;
    FILE *out;
};

static void issue_identity(const struct making *making, struct writer *der, struct device_row *row,
                           const struct private_key *key) {
    uint8_t spki[KEY_SPKI_MAX];
    char uri[256];
    struct public_key public;
    struct writer w = writer_of(spki, sizeof spki);
    private_key_public(key, &public);
    need(public_key_to_spki(&w, &public), "key");
    (void)snprintf(uri, sizeof uri, "spiffe://%s/identity/%s", making->trust_domain, row->id);
    struct certificate_request request = {.profile = PROFILE_IDENTITY,
                                          .spki = writer_bytes(&w),
                                          .common_name = row->id,
                                          .san_uri = uri,
                                          .not_before = making->now - 60,
                                          .not_after = making->now + 300LL * DAY};
    random_bytes(request.serial, sizeof request.serial);
    request.serial[0] = (uint8_t)((request.serial[0] & 0x7F) | 1);
    need(profile_issue(der, &making->issuer, &request, &detail), "identity certificate");
    digest_compute(HASH_SHA256, writer_bytes(der), row->identity_sha256);
    hex_encode(row->identity_serial, bytes_of(request.serial, sizeof request.serial));
    row->identity_not_after = request.not_after;
}

static void insert_credential(const struct making *making, const struct device_row *device,
                              char serial[static STORE_SERIAL]) {
    uint8_t number[16];
    struct credential_row row = {
        .tier = TIER_MEASURED, .not_before = making->now - 60, .not_after = making->now + DAY};
    random_bytes(number, sizeof number);
    number[0] = (uint8_t)((number[0] & 0x7F) | 1);
    random_bytes(row.sha256, sizeof row.sha256);
    hex_encode(row.serial, bytes_of(number, sizeof number));
    memcpy(row.device_id, device->id, sizeof row.device_id);
    memcpy(row.appraisal_id, device->appraisal_id, sizeof row.appraisal_id);
    need(store_credential_insert(making->writer, &row), "credential");
    memcpy(serial, row.serial, STORE_SERIAL);
}

static void write_device(FILE *out, const struct device_row *row, const char *serial,
                         const struct private_key *key, struct bytes certificate,
                         const struct private_key *ak) {
    struct arena arena;
    char *key_pem, *ak_pem;
    arena_init(&arena, 1 << 16);
    need(private_key_to_pem(&key_pem, key), "key");
    need(private_key_to_pem(&ak_pem, ak), "AK");
    (void)fprintf(out, "%s %s\n%s%s%s", row->id, serial, key_pem,
                  certificate_to_pem(&arena, certificate), ak_pem);
    free(key_pem);
    free(ak_pem);
    arena_free(&arena);
}

static void make_device(const struct making *making) {
    struct soft_tpm tpm;
    struct private_key *key;
    uint8_t ek[1024], ak[1024], ek_certificate[2048], identity[CERTIFICATE_DER_MAX];
    char serial[STORE_SERIAL];
    struct writer e = writer_of(ek, sizeof ek), a = writer_of(ak, sizeof ak),
                  c = writer_of(ek_certificate, sizeof ek_certificate),
                  i = writer_of(identity, sizeof identity);
    soft_tpm_init(&tpm, KEY_EC_P256);
    need(private_key_generate(&key, KEY_EC_P256), "TLS key");
    soft_tpm_ek(&tpm, &e);
    soft_tpm_ak(&tpm, &a);
    soft_tpm_ek_certificate(&tpm, &c, making->ek_ca, making->now);
    struct device_row row = {.model = FLEET_MODEL,
                             .state = DEVICE_ENROLLED,
                             .ek_public = writer_bytes(&e),
                             .ek_certificate = writer_bytes(&c),
                             .ak_public = writer_bytes(&a),
                             .verdict = VERDICT_TRUSTED,
                             .tier = TIER_MEASURED,
                             .enrolled = making->now,
                             .last_seen = making->now,
                             .updated = making->now};
    need(device_id_from_key(row.id, &tpm.ek_public), "device id");
    issue_identity(making, &i, &row, key);
    need(store_device_insert(making->writer, &row), "device");
    insert_credential(making, &row, serial);
    write_device(making->out, &row, serial, key, writer_bytes(&i), tpm.ak);
    private_key_free(key);
    soft_tpm_cleanup(&tpm);
}

void fleet_provision(const char *store_file, const char *authority_key,
                     const char *authority_certificate, const char *trust_domain, size_t num,
                     const char *fleet_file) {
    struct store *store;
    struct private_key *key;
    struct bytes key_pem = read_file(authority_key), pem = read_file(authority_certificate), der[1];
    struct arena arena;
    size_t found;
    uint8_t ca[2048];
    struct writer ek_ca = writer_of(ca, sizeof ca);
    struct making making = {.trust_domain = trust_domain, .now = clock_unix()};
    arena_init(&arena, 1 << 20);
    need(private_key_from_pem(&key, key_pem, &detail), authority_key);
    need(pem_certificates(&arena, der, &found, 1, pem, &detail), authority_certificate);
    making.issuer = (struct issuer){.key = key, .certificate = der[0]};
    soft_ca(&making.ek_ca, &ek_ca, making.now);
    need(store_open(&store, store_file, &detail), store_file);
    need(store_writer_new(&making.writer, store, &detail), "writer");
    making.out = fopen(fleet_file, "we");
    if (making.out == NULL) {
        give_up("cannot write %s", fleet_file);
    }
    need(store_begin(making.writer, &detail), "begin");
    insert_policy(making.writer, making.now);
    for (size_t i = 0; i < num; i++) {
        make_device(&making);
        if (i % BATCH == BATCH - 1) {
            need(store_commit(making.writer, &detail), "commit");
            need(store_begin(making.writer, &detail), "begin");
        }
    }
    need(store_commit(making.writer, &detail), "commit");
    if (fclose(making.out) != 0) {
        give_up("cannot write %s", fleet_file);
    }
    store_writer_free(making.writer);
    store_close(store);
    private_key_free(making.ek_ca);
    private_key_free(key);
    arena_free(&arena);
    free((void *)(uintptr_t)key_pem.data);
    free((void *)(uintptr_t)pem.data);
}

/* --- the file ---------------------------------------------------------------------------------- */

/* One PEM block from *at on. */
static struct bytes take_pem(char **at) {
    char *end = strstr(*at, "-----END");
    char *after = end == NULL ? NULL : strchr(end, '\n');
    if (after == NULL) {
        give_up("the fleet file is damaged");
    }
    struct bytes pem = bytes_of(*at, (size_t)(after + 1 - *at));
    *at = after + 1;
    return pem;
}

static void load_device(struct fleet_device *device, char **at) {
    static uint8_t log_bytes[LOG_MAX];
    struct writer log = writer_of(log_bytes, sizeof log_bytes);
    struct private_key *ak, *key;
    uint8_t csr[1024];
    struct writer w = writer_of(csr, sizeof csr);
    if (sscanf(*at, "%32s %32s", device->id, device->serial) != 2) {
        give_up("the fleet file is damaged");
    }
    *at += 66;
    device->key = take_pem(at);
    device->certificate = take_pem(at);
    need(private_key_from_pem(&ak, take_pem(at), &detail), "AK");
    need(private_key_from_pem(&key, device->key, &detail), "TLS key");
    soft_csr(&w, key);
    private_key_free(key);
    device->csr = malloc(base64_encoded_size(w.len));
    if (device->csr == NULL) {
        give_up("out of memory");
    }
    base64_encode(device->csr, writer_bytes(&w));
    soft_tpm_init(&device->tpm, KEY_EC_P256);
    private_key_free(device->tpm.ak);
    device->tpm.ak = ak;
    private_key_public(ak, &device->tpm.ak_public);
    soft_tpm_boot(&device->tpm, &log, FLEET_LOG_SIZE);
    /* Later than every quote of an earlier run. */
    device->tpm.clock = (uint64_t)clock_unix_ms();
}

void fleet_load(struct fleet *fleet, const char *fleet_file) {
    struct bytes text = read_file(fleet_file);
    *fleet = (struct fleet){.text = (char *)(uintptr_t)text.data};
    char *at = fleet->text;
    for (const char *p = at; (p = strstr(p, "-----END CERTIFICATE")) != NULL; p++) {
        fleet->num++;
    }
    fleet->device = calloc(fleet->num, sizeof *fleet->device);
    if (fleet->num == 0 || fleet->device == NULL) {
        give_up("%s holds no device", fleet_file);
    }
    for (size_t i = 0; i < fleet->num; i++) {
        load_device(&fleet->device[i], &at);
    }
}

void fleet_free(struct fleet *fleet) {
    for (size_t i = 0; i < fleet->num; i++) {
        free(fleet->device[i].csr);
        soft_tpm_cleanup(&fleet->device[i].tpm);
    }
    free(fleet->device);
    free(fleet->text);
}
