#include "server/fleet/signal_event.h"

#include "server/appraisal/appraisal.h"
#include "server/base/encoding.h"
#include "server/base/json_out.h"
#include "server/crypto/digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CAEP "https://schemas.openid.net/secevent/caep/event-type/"
#define SSF  "https://schemas.openid.net/secevent/ssf/event-type/"

static const struct {
    enum signal_event event;
    const char *uri, *name;
} kinds[] = {{SIGNAL_COMPLIANCE, CAEP "device-compliance-change", "device"},
             {SIGNAL_CREDENTIAL, CAEP "credential-change", "credential"},
             {SIGNAL_MODEL, "", "model"}};
enum { NUM_KINDS = sizeof kinds / sizeof kinds[0], CLAIMS_HINT = 1024 };

const char *signal_event_uri(enum signal_event event) {
    for (size_t i = 0; i < NUM_KINDS; i++) {
        if (kinds[i].event == event) {
            return kinds[i].uri;
        }
    }
    return "";
}

const char *signal_event_name(enum signal_event event) {
    for (size_t i = 0; i < NUM_KINDS; i++) {
        if (kinds[i].event == event) {
            return kinds[i].name;
        }
    }
    return "";
}

unsigned signal_event_from_uri(const char *uri) {
    for (size_t i = 0; i < NUM_KINDS; i++) {
        if (kinds[i].uri[0] != '\0' && strcmp(kinds[i].uri, uri) == 0) {
            return kinds[i].event;
        }
    }
    return 0;
}

unsigned signal_event_from_name(const char *name) {
    for (size_t i = 0; i < NUM_KINDS; i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            return kinds[i].event;
        }
    }
    return 0;
}

/* --- names --- */

void signal_jti(char out[static SIGNAL_JTI], const char *stream, int64_t seq) {
    (void)snprintf(out, SIGNAL_JTI, "%.32s.%" PRId64, stream, seq);
}

void signal_notice_jti(char out[static SIGNAL_JTI], const char *stream, int64_t num) {
    (void)snprintf(out, SIGNAL_JTI, "%.32s.n%" PRId64, stream, num);
}

bool signal_jti_read(const char *jti, const char *stream, bool *is_notice, int64_t *number) {
    size_t len = strlen(stream);
    if (strncmp(jti, stream, len) != 0 || jti[len] != '.') {
        return false;
    }
    const char *digits = jti + len + 1;
    bool notice = digits[0] == 'n';
    digits += notice ? 1 : 0;
    int64_t value = 0;
    size_t num = 0;
    for (; digits[num] >= '0' && digits[num] <= '9' && num < 18; num++) {
        value = value * 10 + (digits[num] - '0');
    }
    if (num == 0 || digits[num] != '\0' || digits[0] == '0') {
        return false;
    }
    *is_notice = notice;
    *number = value;
    return true;
}

/* --- what concerns whom --- */

static bool is_compliant(enum device_state state, int verdict) {
    return state == DEVICE_ENROLLED && verdict == VERDICT_TRUSTED;
}

static enum signal_event event_of(const struct trust_change_row *change) {
    return change->change == TRUST_DEVICE  ? SIGNAL_COMPLIANCE
           : change->change == TRUST_MODEL ? SIGNAL_MODEL
                                           : SIGNAL_CREDENTIAL;
}

bool signal_concerns(const struct stream_row *stream, const struct trust_change_row *change) {
    enum signal_event event = event_of(change);
    if ((stream->events & event) == 0) {
        return false;
    }
    if (stream->method == STREAM_WEBHOOK) {
        return true;
    }
    return event == SIGNAL_CREDENTIAL ||
           (event == SIGNAL_COMPLIANCE && is_compliant(change->state, change->verdict) !=
                                              is_compliant(change->was_state, change->was_verdict));
}

/* --- tokens --- */

static const char *state_name(enum device_state state) {
    return state == 0 ? "unknown" : device_state_name(state);
}

static void begin_claims(struct json_out *o, const char *issuer, const struct stream_row *stream,
                         const char *jti, int64_t now) {
    json_out_object(o, NULL);
    json_out_text(o, "iss", issuer);
    json_out_text(o, "jti", jti);
    json_out_int(o, "iat", now);
    json_out_text(o, "aud", stream->audience);
}

static void write_opaque(struct json_out *o, const char *name, const char *id) {
    json_out_object(o, name);
    json_out_text(o, "format", "opaque");
    json_out_text(o, "id", id);
    json_out_object_end(o);
}

static void write_reason(struct json_out *o, const char *text) {
    json_out_object(o, "reason_admin");
    json_out_text(o, "en", text);
    json_out_object_end(o);
}

static const char *status_of(bool compliant) {
    return compliant ? "compliant" : "not-compliant";
}

/* Section 3.4 of CAEP. */
static void write_compliance(struct json_out *o, const struct trust_change_row *c) {
    char why[128];
    bool by_state = c->state != c->was_state;
    if (by_state) {
        (void)snprintf(why, sizeof why, "the device is %s, and was %s", state_name(c->state),
                       state_name(c->was_state));
    } else {
        (void)snprintf(why, sizeof why, "the device's verdict is %s, and was %s",
                       verdict_name((enum verdict)c->verdict),
                       verdict_name((enum verdict)c->was_verdict));
    }
    json_out_text(o, "previous_status", status_of(is_compliant(c->was_state, c->was_verdict)));
    json_out_text(o, "current_status", status_of(is_compliant(c->state, c->verdict)));
    json_out_text(o, "initiating_entity", by_state ? "admin" : "policy");
    write_reason(o, why);
}

/* Section 3.3 of CAEP. The certificate's digest is ours: it is what many look it up by. */
static void write_credential(struct json_out *o, const struct trust_change_row *c) {
    json_out_text(o, "credential_type", "x509");
    json_out_text(o, "change_type", c->change == TRUST_CREDENTIAL ? "create" : "revoke");
    json_out_text(o, "x509_serial", c->serial);
    json_out_hex(o, "x509_sha256", bytes_of(c->sha256, 32));
    if (c->change == TRUST_REVOCATION && c->reason[0] != '\0') {
        write_reason(o, c->reason);
    }
}

struct bytes signal_claims(struct arena *arena, const char *issuer, const struct stream_row *stream,
                           const struct trust_change_row *change, int64_t now) {
    char jti[SIGNAL_JTI];
    struct json_out o;
    enum signal_event event = event_of(change);
    signal_jti(jti, stream->id, change->seq);
    json_out_init(&o, arena, CLAIMS_HINT);
    begin_claims(&o, issuer, stream, jti, now);
    json_out_object(&o, "sub_id");
    json_out_text(&o, "format", "complex");
    write_opaque(&o, "device", change->device_id);
    json_out_object_end(&o);
    json_out_object(&o, "events");
    json_out_object(&o, signal_event_uri(event));
    if (event == SIGNAL_COMPLIANCE) {
        write_compliance(&o, change);
    } else {
        write_credential(&o, change);
    }
    json_out_int(&o, "event_timestamp", change->time_ms / 1000);
    json_out_object_end(&o);
    json_out_object_end(&o);
    json_out_object_end(&o);
    return json_out_end(&o);
}

/* Sections 8.1.4.1 and 8.1.5 of the SSF. */
struct bytes signal_notice_claims(struct arena *arena, const char *issuer,
                                  const struct stream_row *stream, const struct notice_row *notice,
                                  int64_t now) {
    char jti[SIGNAL_JTI];
    struct json_out o;
    bool verification = notice->kind == NOTICE_VERIFICATION;
    signal_notice_jti(jti, stream->id, notice->num);
    json_out_init(&o, arena, CLAIMS_HINT);
    begin_claims(&o, issuer, stream, jti, now);
    write_opaque(&o, "sub_id", stream->id);
    json_out_object(&o, "events");
    json_out_object(&o, verification ? SSF "verification" : SSF "stream-updated");
    if (!verification) {
        json_out_text(&o, "status", stream_status_name(notice->status));
    }
    if (notice->text[0] != '\0') {
        json_out_text(&o, verification ? "state" : "reason", notice->text);
    }
    json_out_object_end(&o);
    json_out_object_end(&o);
    json_out_object_end(&o);
    return json_out_end(&o);
}

/* --- webhooks --- */

static void begin_webhook(struct json_out *o, const struct stream_row *stream, const char *jti,
                          const char *type, int64_t time_ms) {
    json_out_object(o, NULL);
    json_out_text(o, "id", jti);
    json_out_text(o, "type", type);
    json_out_time_ms(o, "time", time_ms);
    json_out_text(o, "stream", stream->id);
}

static void write_device(struct json_out *o, const struct trust_change_row *c) {
    json_out_text(o, "state", c->state == 0 ? NULL : device_state_name(c->state));
    json_out_text(o, "verdict", verdict_name((enum verdict)c->verdict));
    json_out_text(o, "tier", tier_name((enum tier)c->tier));
    json_out_bool(o, "compliant", is_compliant(c->state, c->verdict));
    if (c->change == TRUST_DEVICE) {
        json_out_text(o, "previous_state",
                      c->was_state == 0 ? NULL : device_state_name(c->was_state));
        json_out_text(o, "previous_verdict", verdict_name((enum verdict)c->was_verdict));
        json_out_text(o, "previous_tier", tier_name((enum tier)c->was_tier));
        json_out_bool(o, "previous_compliant", is_compliant(c->was_state, c->was_verdict));
    }
}

static void write_certificate(struct json_out *o, const struct trust_change_row *c) {
    json_out_text(o, "serial", c->serial);
    json_out_hex(o, "certificate_sha256", bytes_of(c->sha256, 32));
    json_out_text_or_null(o, "segment", c->segment);
    json_out_time(o, "not_before", c->not_before);
    json_out_time(o, "not_after", c->not_after);
    if (c->change == TRUST_REVOCATION) {
        json_out_text(o, "reason", c->reason);
    }
}

struct bytes signal_webhook(struct arena *arena, const struct stream_row *stream,
                            const struct trust_change_row *change) {
    static const char *const types[] = {[TRUST_DEVICE] = "device.changed",
                                        [TRUST_CREDENTIAL] = "credential.issued",
                                        [TRUST_REVOCATION] = "credential.revoked",
                                        [TRUST_MODEL] = "model.changed"};
    char jti[SIGNAL_JTI];
    struct json_out o;
    signal_jti(jti, stream->id, change->seq);
    json_out_init(&o, arena, CLAIMS_HINT);
    begin_webhook(&o, stream, jti, types[change->change], change->time_ms);
    json_out_int(&o, "seq", change->seq);
    json_out_text(&o, "model", change->model);
    if (change->change != TRUST_MODEL) {
        json_out_text(&o, "device_id", change->device_id);
        write_device(&o, change);
    }
    if (event_of(change) == SIGNAL_CREDENTIAL) {
        write_certificate(&o, change);
    }
    json_out_object_end(&o);
    return json_out_end(&o);
}

struct bytes signal_notice_webhook(struct arena *arena, const struct stream_row *stream,
                                   const struct notice_row *notice) {
    char jti[SIGNAL_JTI];
    struct json_out o;
    bool verification = notice->kind == NOTICE_VERIFICATION;
    signal_notice_jti(jti, stream->id, notice->num);
    json_out_init(&o, arena, CLAIMS_HINT);
    begin_webhook(&o, stream, jti, verification ? "stream.verification" : "stream.updated",
                  notice->created * 1000);
    if (!verification) {
        json_out_text(&o, "status", stream_status_name(notice->status));
    }
    json_out_text_or_null(&o, verification ? "state" : "reason", notice->text);
    json_out_object_end(&o);
    return json_out_end(&o);
}

char *signal_webhook_signature(struct arena *arena, const char *secret, int64_t now,
                               struct bytes body) {
    uint8_t mac[32];
    char hex[2 * sizeof mac + 1];
    char prefix[24];
    int len = snprintf(prefix, sizeof prefix, "%" PRId64 ".", now);
    size_t size = (size_t)len + body.len;
    uint8_t *message = arena_alloc(arena, size);
    if (message == NULL) {
        return NULL;
    }
    struct writer out = writer_of(message, size);
    write_bytes(&out, bytes_of(prefix, (size_t)len));
    write_bytes(&out, body);
    hmac_compute(HASH_SHA256, bytes_of_text(secret), writer_bytes(&out), mac);
    hex_encode(hex, bytes_of(mac, sizeof mac));
    return arena_printf(arena, "t=%" PRId64 ",v1=%s", now, hex);
}
