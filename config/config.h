/* The configuration: an INI file read and validated once into a constant struct, with overrides
 * from the environment (GATEHOUSE_SECTION_KEY). Every mistake names file, line and key. */
#ifndef GATEHOUSE_CONFIG_H
#define GATEHOUSE_CONFIG_H

#include "config/value.h"
#include "server/base/arena.h"
#include "server/base/dialect.h"
#include "server/base/log.h"

enum config_plane { PLANE_ENROL, PLANE_DEVICE, PLANE_PROXY, PLANE_ADMIN, PLANE_PUBLIC, NUM_PLANES };
enum {
    CONFIG_MAX_LISTEN = 4,
    CONFIG_MAX_EK_TRUST = 32,
    CONFIG_MAX_FILES = 8,
    CONFIG_MAX_NETWORKS = 32
};
enum { CONFIG_MAX_UNIX_POLICIES = 16, CONFIG_NAME = 65 }; /* as STORE_NAME: 64 bytes, terminated */

/* What two people have to agree on: bits of config_listener.two_person. */
enum two_person {
    TWO_PERSON_BASELINE_APPROVAL = 1, /* whoever wrote a baseline does not activate it, as admin */
    TWO_PERSON_BULK_REVOKE = 2,
    TWO_PERSON_TRUST_BUNDLE = 4, /* the trust anchors of models */
    TWO_PERSON_AUDIT_PRUNE = 8
};
/* "bulk_revoke"; of a single one. */
const char *config_two_person_name(enum two_person rule);

struct config_files { /* a list, in the order written */
    const char *file[CONFIG_MAX_FILES];
    size_t num;
};

struct config_listener {                   /* [enrol] [device] [proxy] [admin] [public] */
    bool enabled;                          /* has at least one listen address */
    const char *listen[CONFIG_MAX_LISTEN]; /* "127.0.0.1:8443", "unix:/run/gatehouse/proxy.sock";
                                              NULL ends */
    unsigned unix_mode;                    /* octal in the file: 0660 */
    const char *certificate, *key;         /* PEM files; not for public */
    const char *anchors;                   /* PEM file: who may connect; device, proxy, admin */
    size_t body_max;                       /* bytes: device 4 MiB, others 256 KiB */
    size_t header_max;                     /* bytes: proxy 96 KiB, others 16 KiB */
    unsigned connections, connections_per_ip;
    unsigned handshake_ms, header_ms, body_ms,
        idle_ms;         /* written in seconds in the file, "10" or "0.5" */
    unsigned two_person; /* enum two_person; admin */
    const char *url;     /* public: where others reach it; NULL: nowhere that can be named */
    /* proxy: who asks over its Unix socket; as db/store.h's proxy_row says of a registered one */
    enum dialect unix_dialect;
    char unix_policy[CONFIG_MAX_UNIX_POLICIES][CONFIG_NAME];
    size_t num_unix_policies;
};

struct config {
    /* [gateway] */
    const char *trust_domain; /* "gatehouse.example" */
    unsigned workers;         /* 0: one a core */
    bool tls12;
    unsigned drain_ms; /* how long a shutdown waits for requests in progress */
    /* [log] */
    enum log_level log_level;
    enum log_form log_form;
    const char *log_file; /* NULL: standard error */
    /* [store] */
    const char *store_path; /* SQLite file */
    /* [signer] */
    const char *identity_key, *identity_certificate, *access_key,
        *access_certificate;        /* PEM files */
    const char *access_authorities; /* the list of epochs (server/credential/epochs.h); NULL, or
                                        not there: access_key and access_certificate are all */
    int64_t identity_lifetime_s;    /* default 365 days, at most 400 */
    /* Of statements (server/credential/jws.h): the first of each list signs, all are published. */
    struct config_files results_keys, events_keys;
    const char *issuer; /* `iss` of all; default https://TRUST_DOMAIN. Never NULL once loaded */
    /* [enrolment] */
    const char *ek_trust[CONFIG_MAX_EK_TRUST]; /* PEM files, one bundle of all, for the models
                                                  without EK anchors of their own */
    size_t num_ek_trust;
    unsigned enrolment_pending_max;       /* in all; default 10000 */
    unsigned enrolment_pending_per_ip;    /* default 8 */
    unsigned enrolment_per_ip_per_minute; /* default 30 */
    unsigned enrolment_expiry_s;          /* default 600 */
    unsigned enrolment_approval_expiry_s; /* default 7 days */
    /* [appraisal] */
    const char *leaked_keys; /* a file (server/appraisal/leaked_keys.h); NULL: none */
    /* [signals] */
    const char
        *signals_url;  /* of the proxy plane, as receivers of events reach it; NULL: `issuer` */
    bool signals_http; /* receivers may be at http:// URLs */
    struct network signals_networks[CONFIG_MAX_NETWORKS]; /* where receivers may be besides */
    size_t num_signals_networks;
    const char *signals_ca; /* PEM file: who receivers are verified against; NULL: the system's */
    unsigned signals_timeout_ms;    /* default 10 s */
    unsigned signals_pause_after_s; /* default a day */
    /* [challenges] */
    unsigned challenge_expiry_s; /* default 300 */
    unsigned challenge_max;      /* outstanding in all; default 1000000 */
    /* [crl] */
    unsigned crl_lifetime_s; /* default 1 h; made anew at half of it */
    unsigned crl_max_age_s;  /* default 60: how long a cache may keep one without asking */
    /* [ocsp] */
    unsigned ocsp_lifetime_s; /* default 600: from thisUpdate to nextUpdate, at most */
    /* planes */
    struct config_listener plane[NUM_PLANES];

    struct arena arena; /* owns every string */
};

const char *config_plane_name(enum config_plane plane); /* "enrol" */

/* Checks `text` as if it stood in the file `path`, with the overrides of `environment`
 * ("NAME=value", NULL ends; NULL: none). Relative file names are taken from the file's folder. An
 * override is named GATEHOUSE_SECTION_KEY; one that names no setting is a mistake, but what
 * Kubernetes sets for a service of our name (..._SERVICE_HOST, ..._PORT) is left alone. On failure
 * *out is untouched and the detail is the first mistake, "FILE:LINE: section.key: what is wrong" or
 * "VARIABLE: section.key: what is wrong"; all of them are appended to `all`, one a line, when it is
 * not NULL. MALFORMED, MEMORY. */
MUST_USE enum status config_parse(struct config **out, const char *path, struct bytes text,
                                  char *const *environment, struct writer *all,
                                  struct detail *detail);
/* The same with what `path` holds. Also NOT_FOUND, DENIED, LIMIT, INTERNAL. */
MUST_USE enum status config_load(struct config **out, const char *path, char *const *environment,
                                 struct writer *all, struct detail *detail);
void config_free(struct config *config); /* NULL is allowed */

#endif
