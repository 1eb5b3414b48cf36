/* A whole gateway in this process, without its transport: real store, committer, signer, fleet
 * table and routes in a folder of its own. Exchanges are made by hand. Failures of the fixture
 * itself fail the test that runs. */
#ifndef GATEHOUSE_TESTS_API_FIXTURE_H
#define GATEHOUSE_TESTS_API_FIXTURE_H

#include "api/api.h"
#include "tests/unit/openapi_reader.h"
#include "tests/unit/soft_tpm.h"

#include <jansson.h>

enum { CHECKPOINT_ENTRIES = 20 }; /* so many audit entries are signed soon */

struct gateway {
    char folder[64];
    struct log log; /* everything, into the folder's file "log" */
    struct config config;
    char anchors[96]; /* where the admin plane's would be; a test writes the file */
    struct store *store;
    struct signer *signer;
    struct fleet_table *table;
    struct policy_holder *policy;
    struct feed *feed;
    struct change_streams *changes;
    struct challenges *challenges;
    struct committer *committer;
    struct reappraisals *reappraisals;
    struct previews *previews;
    struct ocsp_responder *ocsp;
    struct crl_publisher *crl;
    struct signals *signals; /* receivers at 127.0.0.0/8 over http; tokens by gateway_token */
    struct statements *statements;
    struct ek_trust *ek_trust;
    struct private_key *ek_ca;
    uint8_t ek_ca_der[2048];
    size_t ek_ca_len;
    bool without_results; /* there is no key to sign them with */
    struct api *api;
    struct openapi
        *contract; /* every answer is held against it; one thread at a time. NULL: none is */
    void *worker[NUM_PLANES];
    int64_t pace_us;          /* how much later each request seems to come than the one before */
    _Atomic int64_t later_us; /* the sum so far */
};

/* A gateway with an operator of every role (named after it), the proxy "edge" and no model. */
void gateway_start(struct gateway *g);
/* The same, without a key for events or for results, or with streams that are paused at their first failure. */
enum gateway_kind {
    GATEWAY_USUAL,
    GATEWAY_WITHOUT_EVENTS,
    GATEWAY_WITHOUT_RESULTS,
    GATEWAY_IMPATIENT
};
void gateway_start_as(struct gateway *g, enum gateway_kind kind);
void gateway_stop(struct gateway *g);
/* The same gateway as another worker thread sees it, on that very thread; and its end. */
struct gateway *gateway_worker(const struct gateway *g);
void gateway_worker_end(struct gateway *mine);
/* What was logged so far, terminated; the caller frees it. */
char *gateway_log(const struct gateway *g);
/* Makes every write to the store fail, or lets them work again. */
void gateway_break_store(struct gateway *g, bool broken);

/* The claims of a token that the gateway made, which nobody signed: {"iss":...}. The caller frees it. */
json_t *gateway_token(const char *token);

struct caller {
    struct http_peer peer;
};
struct caller caller_nobody(void);
struct caller caller_local(void);
struct caller caller_certificate(const char *seed); /* the one registered with this seed */
struct caller caller_operator(const char *role);
struct caller caller_proxy(void); /* "edge" */
void certificate_sha256_of(uint8_t out[static 32], const char *seed);

enum { REPLY_HEADERS = 2048 };
struct reply {
    unsigned status;
    char content_type[64];
    char headers[REPLY_HEADERS]; /* "Name: value\n"... */
    char *text;                  /* terminated */
    size_t len;
    json_t *json; /* NULL when it is none */
};
void reply_free(struct reply *reply);
/* "" when there is no such header, or member. */
const char *reply_header(const struct reply *reply, const char *name);
const char *reply_text(const struct reply *reply, const char *member);

struct call {
    enum config_plane plane;
    const struct caller *caller;
    const char *method, *target; /* "/path?query" */
    const char *body;            /* NULL: none */
    size_t body_len;             /* 0: strlen */
    size_t piece;                /* of a body that is taken as it comes; 0: all at once */
    bool breaks_off;             /* it is never whole */
    unsigned beside;          /* so many of the same wait for their bodies meanwhile; at most 8 */
    const char *content_type; /* NULL: application/json with a body; "": none */
    const char *if_match;
    const char *accept;         /* NULL: none */
    const char *if_none_match;  /* likewise */
    const char *const *headers; /* more of them, "Name: value" each, up to a NULL; NULL: none */
    const char *last_event_id;
    const char *until; /* a stream is read until this has come, or it ends; NULL: to its end */
};
/* The caller frees the reply. Nothing but `status` is checked when it is not 0. */
struct reply call(struct gateway *g, const struct call *what);
/* The same in two steps: as far as it goes before it has to wait, and the rest. The caller, its path and its
 * body are borrowed until then. */
struct exchange;
struct exchange *call_start(struct gateway *g, const struct call *what);
struct reply call_finish(struct gateway *g, struct exchange *exchange);
/* What is submitted in between waits, and then comes as one batch, in the order of submission. */
struct gate;
struct gate *gateway_hold(struct gateway *g);
void gateway_let_go(struct gate *gate);
struct reply admin(struct gateway *g, const char *role, const char *method, const char *target,
                   const char *body);
/* One request whose answer must have this status, and code when it is not NULL. */
void expect(struct gateway *g, const struct call *what, unsigned status, const char *code);
void expect_admin(struct gateway *g, const char *role, const char *method, const char *target,
                  const char *body, unsigned status, const char *code);
#define expect_status(reply, wanted)                                                               \
    ck_assert_msg((reply).status == (wanted), "status %u: %s", (reply).status,                     \
                  (reply).text == NULL ? "" : (reply).text)
void check_code(const struct reply *reply, unsigned status, const char *code);

/* --- devices --- */

struct soft_device {
    struct soft_tpm tpm;
    struct private_key *key; /* of the identity, and of its credentials */
    char model[65];
    char id[33];
    struct caller caller;
    bool certifies; /* its key lies in its TPM, and its AK says so */
    char enrollment[33];
    char *blob, *secret;                   /* base64, as the gateway answered */
    char nonce[48];                        /* likewise */
    bool without_certificate, without_csr; /* how it enrols */
    uint8_t log[65536];
    size_t log_len;
};
/* Boots: PCRs and log agree. */
void device_init(struct soft_device *d, const char *model);
void device_cleanup(struct soft_device *d);
void device_boot(struct soft_device *d);
/* It loads what no baseline knows; PCRs and log still agree. */
void device_break_boot(struct soft_device *d);

enum { BODY_SIZE = 256 * 1024 };
/* The body of POST /v1/enrollments; `certificate` false: without the EK's. */
void device_enrolment_body(struct gateway *g, struct soft_device *d, char *out, bool certificate);
struct reply device_enrol(struct gateway *g, struct soft_device *d);
/* {"secret":...} out of what the gateway answered; at most ACTIVATION_BODY with a certification. */
enum { ACTIVATION_BODY = 8192 };
void device_activation_body(struct soft_device *d, char *out);
struct reply device_activate(struct gateway *g, struct soft_device *d);
/* With this body. */
struct reply device_activate_with(struct gateway *g, const struct soft_device *d, const char *body);
/* Another AK and another key; the same EK. */
void device_reinstall(struct soft_device *d);
/* Both, and the device's certificate becomes its caller's. */
void device_join(struct gateway *g, struct soft_device *d);

/* A nonce; 44 characters of base64. */
void device_challenge(struct gateway *g, struct soft_device *d, char nonce[static 48]);
/* {"certify_info":...} for the device's key with these attributes, by its AK over this base64. */
void device_certification(struct soft_device *d, char *out, const char *nonce, uint32_t attributes);
/* The body of POST /v1/evidence for PCRs 0-9 and 14; with a key_certification when it certifies. */
void device_evidence_body(struct soft_device *d, char *out, const char *nonce);
struct reply device_send(struct gateway *g, struct soft_device *d, const char *body);
/* Challenge, quote, evidence. */
struct reply device_prove(struct gateway *g, struct soft_device *d);

/* What is announced of a device before it enrols; `idevid` NULL: no factory certificate. */
void gateway_register(struct gateway *g, struct soft_device *d, const uint8_t *idevid);
/* The latest audit entry of this action, or NULL; the caller frees it with json_decref. */
json_t *gateway_audit(struct gateway *g, const char *action);
/* A model, and a baseline that is just what the device booted, in force. */
void gateway_add_model(struct gateway *g, const char *model);
void gateway_add_baseline(struct gateway *g, const struct soft_device *d, char id[static 33]);
/* A draft: submitted, approved, activated. */
void gateway_put_in_force(struct gateway *g, const char *id);
void device_baseline_body(const struct soft_device *d, char *out, const char *label);

/* "allow" or "deny", and the reason, as a proxy sees it. */
void check_decision(struct gateway *g, const char *device_id, const char *decision,
                    const char *reason);

#endif
