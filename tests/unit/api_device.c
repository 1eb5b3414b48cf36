/* Devices in software, as the gateway's clients. */
#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/crypto/x509.h"
#include "tests/unit/api_fixture.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PCRS = 0x43ff }; /* 0-9 and 14 */

void device_init(struct soft_device *d, const char *model) {
    *d = (struct soft_device){0};
    (void)snprintf(d->model, sizeof d->model, "%s", model);
    soft_tpm_init(&d->tpm, KEY_EC_P256);
    ck_assert(private_key_generate(&d->key, KEY_EC_P256) == STATUS_OK);
    d->caller = caller_nobody();
    device_boot(d);
}

void device_cleanup(struct soft_device *d) {
    soft_tpm_cleanup(&d->tpm);
    private_key_free(d->key);
    free(d->blob);
    free(d->secret);
}

void device_boot(struct soft_device *d) {
    struct writer log = writer_of(d->log, sizeof d->log);
    soft_tpm_reset(&d->tpm);
    soft_tpm_boot(&d->tpm, &log, 0);
    ck_assert(!log.overflow);
    d->log_len = log.len;
}

void device_break_boot(struct soft_device *d) {
    struct writer log = writer_of(d->log, sizeof d->log);
    log.len = d->log_len;
    soft_tpm_event(&d->tpm, &log, 4, 0x0d, bytes_of_text("unknown loader"),
                   bytes_of_text("unknown loader"));
    ck_assert(!log.overflow);
    d->log_len = log.len;
}

/* ,"name":"base64" */
static void put_base64(char *out, const char *name, struct bytes value) {
    size_t len = strlen(out);
    len += (size_t)sprintf(out + len, "\"%s\":\"", name);
    base64_encode(out + len, value);
    (void)strcat(out + len, "\"");
}

static struct writer room(void) {
    static _Thread_local uint8_t buffer[4][4096];
    static _Thread_local unsigned next;
    return writer_of(buffer[next++ % 4], sizeof buffer[0]);
}

void device_enrolment_body(struct gateway *g, struct soft_device *d, char *out, bool certificate) {
    struct writer ek = room(), ak = room(), cert = room(), csr = room();
    soft_tpm_ek(&d->tpm, &ek);
    soft_tpm_ak(&d->tpm, &ak);
    soft_tpm_ek_certificate(&d->tpm, &cert, g->ek_ca, clock_unix());
    soft_csr(&csr, d->key);
    (void)sprintf(out, "{\"model\":\"%s\",", d->model);
    put_base64(out, "ek_public", writer_bytes(&ek));
    (void)strcat(out, ",");
    if (certificate) {
        put_base64(out, "ek_certificate", writer_bytes(&cert));
        (void)strcat(out, ",");
    }
    put_base64(out, "ak_public", writer_bytes(&ak));
    if (!d->without_csr) {
        (void)strcat(out, ",");
        put_base64(out, "csr", writer_bytes(&csr));
    }
    (void)strcat(out, "}");
}

struct reply device_enrol(struct gateway *g, struct soft_device *d) {
    static _Thread_local char body[BODY_SIZE];
    struct caller nobody = caller_nobody();
    device_enrolment_body(g, d, body, !d->without_certificate);
    struct reply reply = call(g, &(struct call){.plane = PLANE_ENROL,
                                                .caller = &nobody,
                                                .method = "POST",
                                                .target = "/v1/enrollments",
                                                .body = body});
    if (reply.status == 201) {
        free(d->blob);
        free(d->secret);
        d->blob = strdup(reply_text(&reply, "credential_blob"));
        d->secret = strdup(reply_text(&reply, "encrypted_secret"));
        (void)snprintf(d->nonce, sizeof d->nonce, "%s", reply_text(&reply, "nonce"));
        (void)snprintf(d->enrollment, sizeof d->enrollment, "%s",
                       reply_text(&reply, "enrollment_id"));
        (void)snprintf(d->id, sizeof d->id, "%s", reply_text(&reply, "device_id"));
    }
    return reply;
}

void device_activation_body(struct soft_device *d, char *out) {
    struct arena arena;
    struct bytes blob, secret;
    uint8_t plain[SOFT_SECRET_MAX];
    size_t len = 0;
    arena_init(&arena, 65536);
    ck_assert(base64_decode_arena(&arena, &blob, d->blob, strlen(d->blob), NULL) == STATUS_OK);
    ck_assert(base64_decode_arena(&arena, &secret, d->secret, strlen(d->secret), NULL) ==
              STATUS_OK);
    ck_assert(soft_tpm_activate(&d->tpm, plain, &len, blob, secret));
    (void)strcpy(out, "{");
    put_base64(out, "secret", bytes_of(plain, len));
    if (d->certifies) {
        (void)strcat(out, ",\"key_certification\":");
        device_certification(d, out + strlen(out), d->nonce, SOFT_KEY);
    }
    (void)strcat(out, "}");
    arena_free(&arena);
}

static void take_identity(struct soft_device *d, const char *pem) {
    struct arena arena;
    struct bytes der[4];
    size_t num = 0;
    arena_init(&arena, 65536);
    ck_assert(pem_certificates(&arena, der, &num, 4, bytes_of_text(pem), NULL) == STATUS_OK);
    ck_assert_uint_eq(num, 2);
    d->caller.peer.authenticated = true;
    digest_compute(HASH_SHA256, der[0], d->caller.peer.leaf_sha256);
    arena_free(&arena);
}

struct reply device_activate_with(struct gateway *g, const struct soft_device *d,
                                  const char *body) {
    char target[96];
    struct caller nobody = caller_nobody();
    (void)snprintf(target, sizeof target, "/v1/enrollments/%s/activate", d->enrollment);
    return call(g, &(struct call){.plane = PLANE_ENROL,
                                  .caller = &nobody,
                                  .method = "POST",
                                  .target = target,
                                  .body = body});
}

struct reply device_activate(struct gateway *g, struct soft_device *d) {
    char body[ACTIVATION_BODY];
    device_activation_body(d, body);
    struct reply reply = device_activate_with(g, d, body);
    if (reply.status == 200 && !d->without_csr) {
        take_identity(d, reply_text(&reply, "identity_certificate"));
    }
    return reply;
}

void device_reinstall(struct soft_device *d) {
    private_key_free(d->tpm.ak);
    private_key_free(d->key);
    ck_assert(private_key_generate(&d->tpm.ak, KEY_EC_P256) == STATUS_OK);
    private_key_public(d->tpm.ak, &d->tpm.ak_public);
    ck_assert(private_key_generate(&d->key, KEY_EC_P256) == STATUS_OK);
}

void device_join(struct gateway *g, struct soft_device *d) {
    struct reply reply = device_enrol(g, d);
    expect_status(reply, 201);
    reply_free(&reply);
    reply = device_activate(g, d);
    expect_status(reply, 200);
    reply_free(&reply);
}

void device_challenge(struct gateway *g, struct soft_device *d, char nonce[static 48]) {
    struct reply reply = call(g, &(struct call){.plane = PLANE_DEVICE,
                                                .caller = &d->caller,
                                                .method = "POST",
                                                .target = "/v1/challenges",
                                                .body = "{}"});
    expect_status(reply, 201);
    ck_assert_uint_eq(strlen(reply_text(&reply, "nonce")), 44);
    (void)snprintf(nonce, 48, "%s", reply_text(&reply, "nonce"));
    reply_free(&reply);
}

void device_certification(struct soft_device *d, char *out, const char *nonce,
                          uint32_t attributes) {
    struct arena arena;
    struct bytes raw;
    struct public_key key;
    struct writer info = room(), signature = room(), area = room();
    arena_init(&arena, 4096);
    ck_assert(base64_decode_arena(&arena, &raw, nonce, strlen(nonce), NULL) == STATUS_OK);
    private_key_public(d->key, &key);
    soft_tpm_key(&area, &key, attributes, HASH_SHA256);
    soft_tpm_certify(&d->tpm, &info, &signature, raw, writer_bytes(&area));
    (void)strcpy(out, "{");
    put_base64(out, "certify_info", writer_bytes(&info));
    (void)strcat(out, ",");
    put_base64(out, "signature", writer_bytes(&signature));
    (void)strcat(out, ",");
    put_base64(out, "public", writer_bytes(&area));
    (void)strcat(out, "}");
    arena_free(&arena);
}

void device_evidence_body(struct soft_device *d, char *out, const char *nonce) {
    struct arena arena;
    struct bytes raw;
    struct writer quote = room(), signature = room(), csr = room();
    arena_init(&arena, 4096);
    ck_assert(base64_decode_arena(&arena, &raw, nonce, strlen(nonce), NULL) == STATUS_OK);
    soft_tpm_quote(&d->tpm, &quote, &signature, raw, PCRS);
    soft_csr(&csr, d->key);
    (void)sprintf(out, "{\"nonce\":\"%s\",\"tpm2\":{", nonce);
    put_base64(out, "quote", writer_bytes(&quote));
    (void)strcat(out, ",");
    put_base64(out, "signature", writer_bytes(&signature));
    (void)strcat(out, "},");
    put_base64(out, "tcg_event_log", bytes_of(d->log, d->log_len));
    (void)strcat(out, ",");
    put_base64(out, "csr", writer_bytes(&csr));
    if (d->certifies) {
        (void)strcat(out, ",\"key_certification\":");
        device_certification(d, out + strlen(out), nonce, SOFT_KEY);
    }
    (void)strcat(out, "}");
    arena_free(&arena);
}

struct reply device_send(struct gateway *g, struct soft_device *d, const char *body) {
    return call(g, &(struct call){.plane = PLANE_DEVICE,
                                  .caller = &d->caller,
                                  .method = "POST",
                                  .target = "/v1/evidence",
                                  .body = body});
}

struct reply device_prove(struct gateway *g, struct soft_device *d) {
    static _Thread_local char body[BODY_SIZE];
    char nonce[48];
    device_challenge(g, d, nonce);
    device_evidence_body(d, body, nonce);
    return device_send(g, d, body);
}

void gateway_add_model(struct gateway *g, const char *model) {
    char body[256];
    (void)snprintf(body, sizeof body, "{\"name\":\"%s\",\"pcr_selection\":\"sha256:0-9,14\"}",
                   model);
    expect_admin(g, "author", "POST", "/v1/models", body, 201, NULL);
}

void device_baseline_body(const struct soft_device *d, char *out, const char *label) {
    (void)sprintf(out,
                  "{\"schema\":\"gatehouse/baseline/1\",\"model\":\"%s\",\"label\":\"%s\","
                  "\"bank\":\"sha256\",\"pcrs\":{",
                  d->model, label);
    bool first = true;
    for (unsigned pcr = 0; pcr < SOFT_PCRS; pcr++) {
        if ((PCRS & 1u << pcr) != 0) {
            char hex[65];
            hex_encode(hex, bytes_of(d->tpm.pcr[pcr], 32));
            (void)sprintf(out + strlen(out), "%s\"%u\":[\"%s\"]", first ? "" : ",", pcr, hex);
            first = false;
        }
    }
    (void)strcat(out, "},\"unlisted_pcrs\":\"report\"}");
}

void gateway_add_baseline(struct gateway *g, const struct soft_device *d, char id[static 33]) {
    char body[4096], target[128];
    device_baseline_body(d, body, "as it booted");
    (void)snprintf(target, sizeof target, "/v1/models/%s/baselines", d->model);
    struct reply reply = admin(g, "author", "POST", target, body);
    expect_status(reply, 201);
    (void)snprintf(id, 33, "%s", reply_text(&reply, "id"));
    reply_free(&reply);
    gateway_put_in_force(g, id);
}

void gateway_put_in_force(struct gateway *g, const char *id) {
    static const char *const steps[][2] = {
        {"author", "submit"}, {"approver", "approve"}, {"approver", "activate"}};
    char target[128];
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        (void)snprintf(target, sizeof target, "/v1/baselines/%s/%s", id, steps[i][1]);
        expect_admin(g, steps[i][0], "POST", target, "{}", 200, NULL);
    }
}

void check_decision(struct gateway *g, const char *device_id, const char *decision,
                    const char *reason) {
    char target[96];
    struct caller proxy = caller_proxy();
    (void)snprintf(target, sizeof target, "/v1/decisions/%s", device_id);
    struct reply reply = call(
        g,
        &(struct call){.plane = PLANE_PROXY, .caller = &proxy, .method = "GET", .target = target});
    expect_status(reply, 200);
    ck_assert_str_eq(reply_text(&reply, "device_id"), device_id);
    ck_assert_str_eq(reply_text(&reply, "decision"), decision);
    ck_assert_str_eq(reply_text(&reply, "reason"), reason);
    reply_free(&reply);
}

/* --- what the committer is asked to do by hand --- */

struct errand {
    struct commit commit; /* first */
    struct device_row row;
    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool begun, open, ended;
};

static void tell(struct errand *errand, bool *what) {
    (void)pthread_mutex_lock(&errand->lock);
    *what = true;
    (void)pthread_cond_broadcast(&errand->woken);
    (void)pthread_mutex_unlock(&errand->lock);
}

static void await(struct errand *errand, const bool *what) {
    (void)pthread_mutex_lock(&errand->lock);
    while (!*what) {
        (void)pthread_cond_wait(&errand->woken, &errand->lock);
    }
    (void)pthread_mutex_unlock(&errand->lock);
}

static void end_errand(struct commit *commit) {
    struct errand *errand = (struct errand *)commit;
    tell(errand, &errand->ended);
}

static enum status put_registration(struct commit *commit, struct store_writer *writer,
                                    struct detail *detail) {
    (void)detail;
    return store_device_insert(writer, &((struct errand *)commit)->row);
}

static enum status stand_in_the_way(struct commit *commit, struct store_writer *writer,
                                    struct detail *detail) {
    struct errand *errand = (struct errand *)commit;
    (void)writer;
    (void)detail;
    tell(errand, &errand->begun);
    await(errand, &errand->open);
    return STATUS_OK;
}

static const struct commit_kind registration_kind = {
    .name = "register", .apply = put_registration, .done = end_errand};
static const struct commit_kind gate_kind = {
    .name = "gate", .apply = stand_in_the_way, .done = end_errand};

static struct errand *errand_new(const struct commit_kind *kind) {
    struct errand *errand = malloc(sizeof *errand);
    ck_assert_ptr_nonnull(errand);
    *errand = (struct errand){
        .commit.kind = kind, .lock = PTHREAD_MUTEX_INITIALIZER, .woken = PTHREAD_COND_INITIALIZER};
    return errand;
}

struct gate *gateway_hold(struct gateway *g) {
    struct errand *errand = errand_new(&gate_kind);
    ck_assert_int_eq(committer_submit(g->committer, &errand->commit), STATUS_OK);
    await(errand, &errand->begun);
    return (struct gate *)errand;
}

void gateway_let_go(struct gate *gate) {
    struct errand *errand = (struct errand *)gate;
    tell(errand, &errand->open);
    await(errand, &errand->ended);
    free(errand);
}

void gateway_register(struct gateway *g, struct soft_device *d, const uint8_t *idevid) {
    struct errand *errand = errand_new(&registration_kind);
    uint8_t digest[32];
    ck_assert(public_key_spki_sha256(digest, &d->tpm.ek_public) == STATUS_OK);
    errand->row.state = DEVICE_REGISTERED;
    hex_encode(errand->row.id, bytes_of(digest, 16));
    (void)snprintf(errand->row.model, sizeof errand->row.model, "%s", d->model);
    errand->row.updated = clock_unix();
    if (idevid != NULL) {
        memcpy(errand->row.idevid_sha256, idevid, sizeof errand->row.idevid_sha256);
    }
    ck_assert_int_eq(committer_submit(g->committer, &errand->commit), STATUS_OK);
    await(errand, &errand->ended);
    ck_assert_int_eq(errand->commit.status, STATUS_OK);
    free(errand);
}

json_t *gateway_audit(struct gateway *g, const char *action) {
    struct reply reply = admin(g, "viewer", "GET", "/v1/audit?limit=1000", NULL);
    json_t *entry, *found = NULL, *items = json_object_get(reply.json, "items");
    size_t i;
    expect_status(reply, 200);
    json_array_foreach(items, i, entry) {
        const char *its = json_string_value(json_object_get(entry, "action"));
        found = its != NULL && strcmp(its, action) == 0 ? entry : found;
    }
    json_incref(found);
    reply_free(&reply);
    return found;
}
