/* What the gateway remembers, as verbs. Implemented by db/sqlite (one node); nothing here is
 * particular to it. A store_reader belongs to one thread and never waits for the writer; the one
 * store_writer belongs to the committer. Rows come back with their blobs in the caller's arena;
 * what goes in is only borrowed. Times are unix seconds unless named _ms. Ids and serials are 32
 * lower-case hex digits, SHA-256 digests raw bytes.
 * Statuses: OK; NOT_FOUND (what cannot be an id names nothing); CONFLICT (a uniqueness, reference
 * or state rule of the row); STORAGE (disk, lock, corruption: try again later, nothing was
 * changed); LIMIT (a cap named by the caller was reached); MALFORMED (an id to be written, or the
 * `after` of a page, that is no id); MEMORY; INTERNAL (a write outside of a transaction). On any
 * but OK the outputs are untouched, and so is the store, once the savepoint or transaction is
 * undone. */
#ifndef GATEHOUSE_DB_STORE_H
#define GATEHOUSE_DB_STORE_H

#include "server/base/arena.h"
#include "server/base/dialect.h"

enum { STORE_ID = 33, STORE_NAME = 65, STORE_SERIAL = 33, STORE_SEGMENT = 64 };
enum { STORE_AUTHORITY = 17 }; /* server/credential/signer.h: 16 hex digits */
enum { STORE_TIERS = 4 }; /* of enum tier, which is written as its number: 0 none .. 3 measured */
enum { STORE_ACTOR = STORE_NAME + 16 }; /* "operator:<name>", "host:<user>", "system" */

struct store;
struct store_reader;
struct store_writer;

/* Opens (and creates, mode 0600) the store, and applies the migrations that it lacks, each in a
 * transaction. CONFLICT, with the reason: somebody else's file, a schema newer than this program, a
 * migration whose checksum differs from the one recorded. Damage that the header and the schema do
 * not show is met by the walk that fills the fleet table, before anybody is served. */
MUST_USE enum status store_open(struct store **out, const char *path, struct detail *detail);
/* An existing store for readers only, also beside a gateway that is using it: nothing is created,
 * locked or migrated. CONFLICT: not a store, or its schema is not that of this version; STORAGE. */
MUST_USE enum status store_open_to_read(struct store **out, const char *path,
                                        struct detail *detail);
void store_close(struct store *store); /* after all readers and the writer; NULL is allowed */
MUST_USE enum status store_reader_new(struct store_reader **out, struct store *store,
                                      struct detail *detail);
void store_reader_free(struct store_reader *reader); /* NULL is allowed */
/* CONFLICT: the store has its writer already, in this process or in another. */
MUST_USE enum status store_writer_new(struct store_writer **out, struct store *store,
                                      struct detail *detail);
void store_writer_free(struct store_writer *writer); /* rolls back; NULL is allowed */

/* All reads in between see the store at one moment. Short: the log cannot shrink meanwhile. */
MUST_USE enum status store_read_begin(struct store_reader *reader);
void store_read_end(struct store_reader *reader);

/* One transaction at a time; in it one savepoint at a time, for each request of a batch.
 * store_commit returns once everything is durable. After STORAGE, or when SQLite gave up the
 * transaction in a verb, everything up to store_rollback fails with STORAGE; a store_commit that
 * fails has rolled back. */
MUST_USE enum status store_begin(struct store_writer *writer, struct detail *detail);
MUST_USE enum status store_commit(struct store_writer *writer, struct detail *detail);
void store_rollback(struct store_writer *writer);
MUST_USE enum status store_savepoint(struct store_writer *writer, struct detail *detail);
MUST_USE enum status store_release(struct store_writer *writer, struct detail *detail);
void store_undo(struct store_writer *writer); /* to the savepoint, and drops it */
/* The writer's own view, including what its transaction has not committed yet: every read verb
 * works on it. */
struct store_reader *store_writer_reader(struct store_writer *writer);
/* Housekeeping of the files, for quiet moments; store_commit does it when it cannot wait. Failure
 * costs nothing but room. */
void store_checkpoint(struct store_writer *writer);

/* Pages: rows after `after` (exclusive; "" or 0 from the start), at most `limit`. */
struct store_page {
    const char *after;
    unsigned limit;
};

/* How well a key is guarded: whether an AK certified that it cannot leave its TPM (TPM2_Certify). */
enum key_protection { KEY_UNPROVEN = 0, KEY_IN_TPM = 1 };
const char *key_protection_name(enum key_protection protection); /* "unproven", "tpm" */

/* --- models --- */
struct model_row {
    char name[STORE_NAME];
    char description[257];
    char pcr_selection[513]; /* "sha256:0,1,..." */
    int64_t credential_lifetime_s;
    char enrolment[17];                 /* "open", "approval", "closed" */
    enum key_protection key_protection; /* at least this, of identity certificate and credential */
    int credential_tier;                /* enum tier: it, or a higher one, earns a credential */
    char segment[STORE_TIERS][STORE_SEGMENT]; /* by enum tier, the label that it gets; "": none */
    int64_t created, updated, version; /* version counts updates: optimistic locking (ETag) */
};
MUST_USE enum status store_model_get(struct store_reader *, struct model_row *out,
                                     const char *name);
MUST_USE enum status store_model_list(struct store_reader *, struct arena *, struct model_row **out,
                                      size_t *num, struct store_page page); /* after: name */
MUST_USE enum status
store_model_insert(struct store_writer *,
                   const struct model_row *row); /* CONFLICT: the name is taken */
MUST_USE enum status store_model_update(
    struct store_writer *,
    const struct model_row *row); /* row->version is the one read; CONFLICT otherwise */
MUST_USE enum status
store_model_delete(struct store_writer *,
                   const char *name); /* CONFLICT: has devices or baselines that are not drafts */

/* Certificates that are trusted for one model only. With one of a purpose or more, these and none
 * else count for it; without any, the EKs are held against the configuration's, and no IDevID is
 * taken. */
enum anchor_purpose {
    ANCHOR_EK = 1, /* roots and intermediates of TPM vendors */
    ANCHOR_IDEVID  /* roots and intermediates of the maker (IEEE 802.1AR) */
};
struct anchor_row {
    char model[STORE_NAME];
    enum anchor_purpose purpose;
    uint8_t sha256[32]; /* of der */
    bool is_anchor;     /* by its own signature, or named as one; else an intermediate */
    struct bytes der;
    char subject[257]; /* one line; cut to fit */
    int64_t not_after, added;
    char added_by[STORE_NAME];
};
/* By SHA-256; page.after is its hex. */
MUST_USE enum status store_anchor_list(struct store_reader *, struct arena *,
                                       struct anchor_row **out, size_t *num, const char *model,
                                       enum anchor_purpose purpose, struct store_page page);
/* Every one of all models, by model and purpose: for the policy. */
MUST_USE enum status store_anchor_all(struct store_reader *, struct arena *,
                                      struct anchor_row **out, size_t *num);
/* CONFLICT: it is there already, or no such model. */
MUST_USE enum status store_anchor_insert(struct store_writer *, const struct anchor_row *row);
MUST_USE enum status store_anchor_delete(struct store_writer *, const char *model,
                                         enum anchor_purpose purpose,
                                         const uint8_t sha256[static 32]);

/* --- platform keys that are known to be leaked, beside those compiled in --- */
struct leaked_key_row {
    uint8_t sha256[32]; /* of the certificate's DER */
    char subject[257];  /* one line; "": not known */
    char source[257];   /* who says so */
    int64_t added;
    char added_by[STORE_NAME];
};
MUST_USE enum status store_leaked_key_list(struct store_reader *, struct arena *,
                                           struct leaked_key_row **out, size_t *num,
                                           struct store_page page); /* by SHA-256; after: its hex */
MUST_USE enum status store_leaked_key_get(struct store_reader *, struct leaked_key_row *out,
                                          const uint8_t sha256[static 32]);
MUST_USE enum status
store_leaked_key_insert(struct store_writer *,
                        const struct leaked_key_row *row); /* CONFLICT: it is there already */
MUST_USE enum status store_leaked_key_delete(struct store_writer *,
                                             const uint8_t sha256[static 32]);

/* --- who may sign a model's baselines, and what they signed --- */
/* A model with one of these or more takes no baseline that none of them signed. */
enum { BASELINE_SIGNER_KEY_MAX = 2048, BASELINE_SIGNATURE_MAX = 32768 };
struct baseline_signer_row {
    char model[STORE_NAME];
    uint8_t key_sha256[32];  /* of public_key */
    char name[129];          /* for people */
    char algorithm[33];      /* server/crypto/detached.h */
    struct bytes public_key; /* DER SubjectPublicKeyInfo */
    int64_t added;
    char added_by[STORE_NAME];
};
MUST_USE enum status store_baseline_signer_list(struct store_reader *, struct arena *,
                                                struct baseline_signer_row **out, size_t *num,
                                                const char *model,
                                                struct store_page page); /* by key; after: hex */
MUST_USE enum status
store_baseline_signer_insert(struct store_writer *,
                             const struct baseline_signer_row *row); /* CONFLICT: there already, or
                                                                        no such model */
MUST_USE enum status store_baseline_signer_delete(struct store_writer *, const char *model,
                                                  const uint8_t key_sha256[static 32]);
struct baseline_signature_row {
    char baseline_id[STORE_ID];
    uint8_t key_sha256[32];
    uint8_t document_sha256[32]; /* of the canonical form that was signed */
    struct bytes signature;
    int64_t added;
    char added_by[STORE_NAME];
};
/* At most one for each of the model's signers. */
MUST_USE enum status store_baseline_signature_list(struct store_reader *, struct arena *,
                                                   struct baseline_signature_row **out, size_t *num,
                                                   const char *baseline_id);
MUST_USE enum status
store_baseline_signature_put(struct store_writer *,
                             const struct baseline_signature_row *row); /* replaces the key's;
                                                                           CONFLICT: no such
                                                                           baseline */

/* --- baselines --- */
enum baseline_state {
    BASELINE_DRAFT = 1,
    BASELINE_SUBMITTED,
    BASELINE_APPROVED,
    BASELINE_ACTIVE,
    BASELINE_DEPRECATED,
    BASELINE_RETIRED,
    BASELINE_REVOKED
};
const char *baseline_state_name(enum baseline_state state);
struct baseline_row {
    char id[STORE_ID];
    char model[STORE_NAME];
    char label[129];
    enum baseline_state state;
    struct bytes document; /* JSON as given */
    uint8_t document_sha256[32];
    char created_by[STORE_NAME], updated_by[STORE_NAME],
        activated_by[STORE_NAME]; /* operators; "" while not; updated_by changed the document */
    int64_t created, updated, activated, retired, version;  /* 0 while not */
    char submitted_by[STORE_NAME], approved_by[STORE_NAME]; /* "" while not */
    int64_t submitted, approved;                            /* 0 while not */
    int64_t activate_at; /* APPROVED: to be activated then; 0: not */
    int64_t grace_until; /* DEPRECATED: accepted before then; 0: until it is retired */
    /* What becomes deprecated, for so long, once this one is in force with its whole fleet. */
    char (*replaces)[STORE_ID];
    size_t num_replaces; /* at most BASELINE_REPLACES_MAX */
    int64_t replace_grace_s;
    char note[257]; /* why a step that was to happen by itself did not; "" otherwise */
};
enum { BASELINE_REPLACES_MAX = 64 };
/* The verbs of models and baselines that change a row want the version that was read, CONFLICT when
 * it is another by now; 1 is the first. */
MUST_USE enum status store_baseline_get(struct store_reader *, struct arena *,
                                        struct baseline_row *out, const char *id);
MUST_USE enum status store_baseline_list(struct store_reader *, struct arena *,
                                         struct baseline_row **out, size_t *num, const char *model,
                                         struct store_page page); /* by id */
/* Every ACTIVE or DEPRECATED one of all models, oldest activation first, without the documents
 * (store_baseline_get has them): for the policy. */
MUST_USE enum status store_baseline_in_force(struct store_reader *, struct arena *,
                                             struct baseline_row **out, size_t *num);
/* Whether the operator wrote or changed the document, ever. */
MUST_USE enum status store_baseline_written_by(struct store_reader *, bool *out, const char *id,
                                               const char *operator_name);
/* The one that has been due longest at `now`, scheduled to be activated or at the end of its grace,
 * without the document. NOT_FOUND: none is. */
MUST_USE enum status store_baseline_due(struct store_reader *, struct arena *,
                                        struct baseline_row *out, int64_t now);
MUST_USE enum status store_baseline_insert(struct store_writer *, const struct baseline_row *row);
MUST_USE enum status store_baseline_update(
    struct store_writer *,
    const struct baseline_row *row); /* all but id, model and created; version as above;
                                          an empty document stays as it is */
MUST_USE enum status store_baseline_delete(struct store_writer *,
                                           const char *id); /* drafts only, else CONFLICT */

/* --- rollouts: how a baseline reaches its fleet ring by ring --- */
enum rollout_state {
    ROLLOUT_SCHEDULED = 1, /* begins when the baseline is activated */
    ROLLOUT_RUNNING,
    ROLLOUT_HALTED,   /* its open ring stays, no other opens */
    ROLLOUT_COMPLETE, /* the baseline counts for everybody */
    ROLLOUT_ENDED     /* the baseline was deprecated, retired or revoked before; the ring stays */
};
const char *rollout_state_name(enum rollout_state state);
enum { ROLLOUT_RINGS_MAX = 17, ROLLOUT_DEVICES_MAX = 256 };
struct rollout_row {
    char baseline_id[STORE_ID];
    enum rollout_state state;
    uint8_t percent[ROLLOUT_RINGS_MAX]; /* ascending, the last 100; 0: the named devices alone */
    size_t num_rings;
    char (*device)[STORE_ID]; /* those named, ascending: in every ring */
    size_t num_devices;
    int64_t ring, opened; /* the one that is open, from 0, and since when */
    int64_t run;          /* counts the times that the counters began anew */
    int64_t max_failure_percent, min_appraisals, min_s;
    int64_t appraised, failed; /* devices, since then */
    char reason[129];          /* why it is halted; "" otherwise */
};
MUST_USE enum status store_rollout_get(struct store_reader *, struct arena *,
                                       struct rollout_row *out, const char *baseline_id);
/* Those that say for whom a baseline in force counts: all but SCHEDULED and COMPLETE. */
MUST_USE enum status store_rollout_in_force(struct store_reader *, struct arena *,
                                            struct rollout_row **out, size_t *num);
/* One whose next ring is to open (or, after the last, is complete), or that is over its bound; see
 * server/fleet/rollout.h. NOT_FOUND: none is. */
MUST_USE enum status store_rollout_due(struct store_reader *, struct arena *,
                                       struct rollout_row *out, int64_t now);
MUST_USE enum status store_rollout_counts(struct store_reader *,
                                          int64_t out[static 6]); /* by state */
/* Anew, or instead of the one that the baseline has. LIMIT: too many rings or devices; CONFLICT: no
 * such baseline. */
MUST_USE enum status store_rollout_put(struct store_writer *, const struct rollout_row *row);
MUST_USE enum status store_rollout_delete(struct store_writer *,
                                          const char *baseline_id); /* OK also without one */
enum rollout_outcome { ROLLOUT_NEITHER, ROLLOUT_PASSED, ROLLOUT_FAILED };
/* A device of the ring was appraised: the counters change by what is different from before. Nothing
 * when the rollout does not run, or `run` is over. */
MUST_USE enum status store_rollout_count(struct store_writer *, const char *baseline_id,
                                         int64_t run, const char *device_id,
                                         enum rollout_outcome outcome);
/* Forgets devices that were seen by rollouts that are over; LIMIT: `limit` of them, and there may be
 * more. */
MUST_USE enum status store_rollout_forget(struct store_writer *, unsigned limit);

/* --- enrolments in progress --- */
enum enrollment_state {
    ENROLLMENT_BEGUN = 1, /* the secret is out */
    ENROLLMENT_PENDING,   /* the secret came back; an operator has to approve the device */
    ENROLLMENT_DONE       /* the certificate was issued; the same call is answered again */
};
struct enrollment_row {
    char id[STORE_ID], device_id[STORE_ID];
    char model[STORE_NAME], address[46];
    enum enrollment_state state;
    uint8_t nonce[32];         /* extraData of a TPM2_Certify of the CSR's key */
    uint8_t secret_sha256[32]; /* of the activation secret; the secret itself is never kept */
    struct bytes ek_public, ak_public;  /* TPM2B_PUBLIC */
    struct bytes ek_certificate;        /* DER */
    struct bytes csr_spki;              /* DER; empty: the device comes with an IDevID */
    enum key_protection key_protection; /* of the CSR's key; once PENDING */
    struct bytes certificate; /* DER of what was issued; once DONE, empty with an IDevID */
    int64_t created, expires;
};
MUST_USE enum status store_enrollment_get(struct store_reader *, struct arena *,
                                          struct enrollment_row *out, const char *id);
/* Removes what has expired at `now`, then inserts: LIMIT when `max` are pending in all, or
 * `max_per_address` from this address. */
MUST_USE enum status store_enrollment_insert(struct store_writer *,
                                             const struct enrollment_row *row, unsigned max,
                                             unsigned max_per_address, int64_t now);
/* state, key_protection, certificate and expires. */
MUST_USE enum status store_enrollment_update(struct store_writer *,
                                             const struct enrollment_row *row);
MUST_USE enum status
store_enrollment_delete(struct store_writer *,
                        const char *id); /* NOT_FOUND when another took it: single use */
/* What else a device has under way, BEGUN or PENDING, but for the enrolment `id` ("": none).
 * What is DONE stays, and says that something came after it. */
MUST_USE enum status store_enrollment_delete_others(struct store_writer *, const char *device_id,
                                                    const char *id);

/* Forgets those that have expired at `now`. */
MUST_USE enum status store_enrollment_prune(struct store_writer *, int64_t now);

/* --- devices --- */
enum device_state {
    DEVICE_ENROLLED = 1,
    DEVICE_PENDING_APPROVAL,
    DEVICE_QUARANTINED,
    DEVICE_RETIRED,
    DEVICE_REGISTERED /* announced by its EK or IDevID; it has not enrolled yet, and has no keys */
};
enum identity_kind { IDENTITY_ISSUED = 0, IDENTITY_IDEVID = 1 };
const char *device_state_name(enum device_state state);
const char *identity_kind_name(enum identity_kind kind); /* "issued", "idevid" */
struct device_row {
    char id[STORE_ID], model[STORE_NAME];
    enum device_state state;
    struct bytes ek_public, ek_certificate, ak_public; /* as enrolled; empty before */
    uint8_t identity_sha256[32]; /* the identity certificate in force; zeros: none */
    char identity_serial[STORE_SERIAL];
    int64_t identity_not_after;
    enum identity_kind identity_kind;
    enum key_protection key_protection; /* of the identity certificate's key */
    uint8_t idevid_sha256[32];   /* the factory certificate bound to the device; zeros: none */
    char idevid_serial[65];      /* its subject's serialNumber; "" without one */
    char registration[STORE_ID]; /* id of the request that announced the device; "": none did */
    bool has_clock;              /* the rest of this group is set by the first verified quote */
    int64_t tpm_clock, tpm_reset_count, tpm_restart_count;
    int verdict, tier;           /* enum verdict, enum tier of the latest appraisal; 0: none */
    uint16_t trustworthiness;    /* likewise (server/appraisal/trustworthiness.h); 0: no claims */
    char appraisal_id[STORE_ID]; /* "" when none */
    int64_t enrolled, last_seen, updated;
    char note[257]; /* an operator's; the reason of a quarantine */
};
struct device_filter { /* "" or 0: any */
    char model[STORE_NAME];
    enum device_state state;
    int verdict; /* -1: any */
    int tier;    /* -1: any */
};
MUST_USE enum status store_device_get(struct store_reader *, struct arena *, struct device_row *out,
                                      const char *id);
/* By the SHA-256 of the identity certificate that is in force. */
MUST_USE enum status store_device_by_identity(struct store_reader *, struct arena *,
                                              struct device_row *out,
                                              const uint8_t sha256[static 32]);
/* Its state alone. */
MUST_USE enum status store_device_state(struct store_reader *, enum device_state *out,
                                        const char *id);
MUST_USE enum status store_device_list(struct store_reader *, struct arena *,
                                       struct device_row **out, size_t *num,
                                       const struct device_filter *filter,
                                       struct store_page page); /* by id */
MUST_USE enum status
store_device_insert(struct store_writer *,
                    const struct device_row *row); /* CONFLICT: id, EK, AK, identity certificate or
                                                      IDevID are known, the AK was given up by
                                                      somebody, or no such model */
MUST_USE enum status store_device_update(
    struct store_writer *,
    const struct device_row *row); /* everything but id and enrolled; CONFLICT as above */
/* A device enrols (from REGISTERED or PENDING_APPROVAL), or does so again: as an update, which also
 * sets `enrolled`, remembers its AK before, if that was another, as one that nobody may ever use again, and forgets
 * verdict, appraisal and clock. CONFLICT: another device has or had this AK, or the device itself
 * had it before. */
MUST_USE enum status store_device_enrol(struct store_writer *, const struct device_row *row);
/* The device that has this AK, or had it once. NOT_FOUND: nobody. */
MUST_USE enum status store_ak_owner(struct store_reader *, char device_id[static STORE_ID],
                                    bool *in_force, struct bytes ak_public);
/* REGISTERED or PENDING_APPROVAL, else CONFLICT. What AKs it had while it was waiting were never in
 * force, and are forgotten with it. */
MUST_USE enum status store_device_delete(struct store_writer *, const char *id);
/* The latest verdict and clock of a device, without rewriting its blobs. Conditional: CONFLICT when
 * the stored clock is ahead of the row's (compare reset_count, then restart_count, then clock;
 * equal is CONFLICT too, for it is the same quote). Sets verdict, tier, trustworthiness,
 * appraisal_id, last_seen.
 * Without has_clock the stored clock is neither compared nor changed. */
MUST_USE enum status store_device_standing(struct store_writer *, const struct device_row *row);
MUST_USE enum status store_device_touch(struct store_writer *, const char *id, int64_t now);

/* --- what devices booted --- */
/* A boot state (server/evidence/tpm2/kept.h) and the event log that explains it, each kept once for
 * all devices; the log in pieces, so that logs share what is the same in them. What no device and no
 * appraisal refers to any more is forgotten in quiet moments. */
struct boot_state_row {
    uint8_t sha256[32]; /* of form */
    struct bytes form;
    uint8_t log_sha256[32]; /* zeros: no log */
};
/* There already: OK, and nothing is written. `piece` are the log's, one after another. */
MUST_USE enum status store_boot_state_put(struct store_writer *, const struct boot_state_row *row,
                                          const struct bytes *piece, size_t num_pieces);
/* And its log, {NULL, 0} without one, unless `log` is NULL. */
MUST_USE enum status store_boot_state_get(struct store_reader *, struct arena *,
                                          struct boot_state_row *out, struct bytes *log,
                                          const uint8_t sha256[static 32]);
/* What one device booted: set by evidence that verifies. */
struct device_boot_row {
    char device_id[STORE_ID];
    uint8_t boot_state[32]; /* the latest */
    uint8_t trusted[32];    /* the latest other one that was trusted; zeros: none. A boot state goes
                               here when the device leaves it and its verdict was trusted */
    int64_t since;          /* when the device was first seen in boot_state */
    uint8_t log_sha256[32]; /* of boot_state's log; zeros: it has none. Not put: given */
};
MUST_USE enum status store_device_boot_get(struct store_reader *, struct device_boot_row *out,
                                           const char *device_id); /* NOT_FOUND: no evidence yet */
/* The boot state was put. */
MUST_USE enum status store_device_boot_put(struct store_writer *,
                                           const struct device_boot_row *row);
/* The log that the device's latest evidence came with, when its SHA-256 is this. NOT_FOUND. */
MUST_USE enum status store_device_log_get(struct store_reader *, struct arena *, struct bytes *out,
                                          const char *device_id,
                                          const uint8_t log_sha256[static 32]);
/* Devices of a model that have facts, by id: what re-appraisal and preview walk through. The row
 * lives for the call only; false stops the walk, which is OK then. */
struct device_boot_view {
    char device_id[STORE_ID];
    enum device_state state;
    int verdict, tier;
    uint8_t boot_state[32];
};
typedef bool store_device_boot_visit(void *context, const struct device_boot_view *row);
MUST_USE enum status store_device_boot_walk(struct store_reader *, const char *model,
                                            struct store_page page, store_device_boot_visit *visit,
                                            void *context);

/* How far a device's IMA log was confirmed in one boot. The entries are pieces, which devices share, and
 * of which a device has a set: those that are the same count once. Their order is not kept. */
enum { STORE_IMA_ENTRIES_MAX = 1 << 17 }; /* of a device */
struct device_ima_row {
    char device_id[STORE_ID];
    int64_t reset_count, restart_count; /* the boot */
    int64_t num_entries;                /* of the log: at least 1 */
    struct bytes position;              /* server/evidence/ima/kept.h; opaque here */
    struct bytes met;                   /* server/fleet/ima_state.h; likewise */
    struct bytes entries;               /* the set; equal ones are equal bytes. Only ever given */
};
MUST_USE enum status store_device_ima_get(struct store_reader *, struct arena *,
                                          struct device_ima_row *out,
                                          const char *device_id); /* NOT_FOUND: nothing is kept */
/* The row, with these entries beside those that it has, `after` in number of the log; 0: in their
 * place. CONFLICT: what is there is of another boot, or not so far. NOT_FOUND: no such device. LIMIT:
 * over STORE_IMA_ENTRIES_MAX. */
MUST_USE enum status store_device_ima_put(struct store_writer *, const struct device_ima_row *row,
                                          int64_t after, const struct bytes *entry, size_t num);
MUST_USE enum status store_device_ima_delete(struct store_writer *, const char *device_id);
/* Every entry of a row that was got. */
MUST_USE enum status store_ima_entries(struct store_reader *, struct arena *, struct bytes **out,
                                       size_t *num, const struct device_ima_row *row);

/* Forgets what nothing refers to any more; `limit` boot states and logs at most, and a like number of
 * pieces looked at. LIMIT: there may be more. */
MUST_USE enum status store_boot_state_forget(struct store_writer *, unsigned limit);

/* --- appraisals --- */
struct appraisal_row {
    char id[STORE_ID], device_id[STORE_ID], model[STORE_NAME];
    char baseline_id[STORE_ID]; /* "" when none was near */
    int verdict, tier;
    char segment[STORE_SEGMENT];        /* what the tier got when this was made; "": none */
    char failure[49];                   /* code of evidence that did not verify; "" otherwise */
    struct bytes findings;              /* JSON array */
    struct bytes facts;                 /* JSON object: what the boot state does not hold */
    uint8_t boot_state[32];             /* zeros: evidence that did not verify, or was before these
                                           were kept */
    enum key_protection key_protection; /* of the key that the evidence asks a credential for */
    char reappraisal_id[STORE_ID]; /* the job that held what was kept against another policy; "": of
                                      evidence as it came in */
    int64_t created_ms;
};
MUST_USE enum status store_appraisal_get(struct store_reader *, struct arena *,
                                         struct appraisal_row *out, const char *id);
MUST_USE enum status store_appraisal_list(struct store_reader *, struct arena *,
                                          struct appraisal_row **out, size_t *num,
                                          const char *device_id,
                                          struct store_page page); /* newest first, by id */
/* Keeps the newest `keep` of the device beside the new one. CONFLICT: its boot state is not the
 * device's latest, or the id is known, or no such device. */
MUST_USE enum status store_appraisal_insert(struct store_writer *, const struct appraisal_row *row,
                                            unsigned keep);

/* --- re-appraisal: a change of policy is held against what devices booted --- */
enum reappraisal_state {
    REAPPRAISAL_QUEUED = 1,
    REAPPRAISAL_RUNNING,
    REAPPRAISAL_DONE,
    REAPPRAISAL_CANCELLED
};
const char *reappraisal_state_name(enum reappraisal_state state); /* "queued", "running", ... */
enum enforcement {
    ENFORCE_LEASE = 1, /* what a device has runs out; what was found is recorded */
    ENFORCE_NOW        /* a device that fails loses its credentials at once */
};
const char *enforcement_name(enum enforcement enforcement); /* "lease", "now" */
struct reappraisal_counts { /* of devices, but for the credentials */
    int64_t judged, changed, now_trusted, now_untrusted, credentials_revoked;
    int64_t superseded;    /* new evidence came in meanwhile: that was judged instead */
    int64_t without_facts; /* nothing is kept of what they booted */
    int64_t damaged;       /* what is kept cannot be read: left as they were */
};
struct reappraisal_row {
    char id[STORE_ID];
    char model[STORE_NAME];     /* "": every model */
    char cause[33];             /* "baseline_revoked", "leaked_key", "request", ... */
    char baseline_id[STORE_ID]; /* "": none */
    enum enforcement enforce;
    enum reappraisal_state state;
    char requested_by[STORE_ACTOR];
    char reason[129];
    int64_t created, started, ended;                 /* 0 while not */
    char cursor_model[STORE_NAME], cursor[STORE_ID]; /* how far it got */
    struct reappraisal_counts counts;
};
struct reappraisal_filter { /* "" or 0: any */
    char model[STORE_NAME];
    enum reappraisal_state state;
};
MUST_USE enum status store_reappraisal_get(struct store_reader *, struct reappraisal_row *out,
                                           const char *id);
/* Newest first, by id. */
MUST_USE enum status store_reappraisal_list(struct store_reader *, struct arena *,
                                            struct reappraisal_row **out, size_t *num,
                                            const struct reappraisal_filter *filter,
                                            struct store_page page);
/* The one to go on with: queued or running, ENFORCE_NOW first, then the oldest. NOT_FOUND: none. */
MUST_USE enum status store_reappraisal_next(struct store_reader *, struct reappraisal_row *out);
/* Forgets what ended 90 days before row->created, then inserts. */
MUST_USE enum status store_reappraisal_insert(struct store_writer *,
                                              const struct reappraisal_row *row);
/* State, times, cursor and counts. CONFLICT: it has ended already. */
MUST_USE enum status store_reappraisal_update(struct store_writer *,
                                              const struct reappraisal_row *row);

/* What a re-appraisal starts from: how a device stands, by what. */
struct device_standing_row {
    char device_id[STORE_ID];
    enum device_state state;
    int verdict, tier;
    uint16_t trustworthiness;
    char appraisal_id[STORE_ID];        /* "": none */
    char baseline_id[STORE_ID];         /* that of the appraisal; "": none */
    enum key_protection key_protection; /* likewise */
    /* What the latest re-appraisal found, where that is of this appraisal; has_found. */
    bool has_found;
    int found_verdict, found_tier;
    char found_baseline_id[STORE_ID];
};
/* Those of a model that were appraised, and are enrolled or quarantined, by id. */
MUST_USE enum status store_standing_list(struct store_reader *, struct arena *,
                                         struct device_standing_row **out, size_t *num,
                                         const char *model, struct store_page page);
MUST_USE enum status store_standing_get(struct store_reader *, struct device_standing_row *out,
                                        const char *device_id);

/* What a re-appraisal found of a device. */
struct device_reappraisal_row {
    char device_id[STORE_ID], job_id[STORE_ID];
    char appraisal_id[STORE_ID];    /* the record of it */
    char of_appraisal_id[STORE_ID]; /* what it is about; it is forgotten with the next evidence */
    char baseline_id[STORE_ID];     /* "": none */
    int verdict, tier;
    uint16_t trustworthiness; /* becomes the device's when it stands; is not read back */
    int64_t created_ms;
};
/* NOT_FOUND: none, or it is about evidence that is not the latest. */
MUST_USE enum status store_device_reappraisal_get(struct store_reader *,
                                                  struct device_reappraisal_row *out,
                                                  const char *device_id);
/* With `stands` the device's verdict, tier and appraisal become those of the row, which is then
 * about itself; its clock and when it was last seen stay. CONFLICT: row->of_appraisal_id is not the
 * device's appraisal any more, or it is neither enrolled nor quarantined. */
MUST_USE enum status store_device_reappraise(struct store_writer *,
                                             const struct device_reappraisal_row *row, bool stands);

/* --- exceptions: one finding that one device may have until it ends --- */
enum { EXCEPTION_FOUND_MAX = 8192, EXCEPTIONS_PER_DEVICE = 8 };
enum exception_state {
    EXCEPTION_PENDING = 1, /* another operator has to approve it */
    EXCEPTION_APPROVED,    /* in force until it ends */
    EXCEPTION_ENDED        /* early, or never approved */
};
struct exception_row {
    char id[STORE_ID], device_id[STORE_ID];
    char appraisal_id[STORE_ID]; /* whose finding it was; may be forgotten since */
    enum exception_state state;
    char code[49], rule[33]; /* of the finding */
    int pcr;                 /* -1: none */
    const char *found;       /* NULL: the finding has none; at most EXCEPTION_FOUND_MAX bytes */
    int64_t until;
    char reason[129];
    char requested_by[STORE_NAME], approved_by[STORE_NAME], ended_by[STORE_NAME]; /* "" while not */
    int64_t created, approved, ended;                                             /* 0 while not */
    bool in_use; /* the latest trusted appraisal of the device needed it */
};
struct exception_filter { /* "" and 0: any */
    char device_id[STORE_ID];
    enum exception_state state;
    int64_t since; /* only those with an end after this */
};
MUST_USE enum status store_exception_get(struct store_reader *, struct arena *,
                                         struct exception_row *out, const char *id);
MUST_USE enum status store_exception_list(struct store_reader *, struct arena *,
                                          struct exception_row **out, size_t *num,
                                          const struct exception_filter *filter,
                                          struct store_page page); /* by id */
/* Every APPROVED one that has not ended at `now`, in no order: for the policy. */
MUST_USE enum status store_exception_in_force(struct store_reader *, struct arena *,
                                              struct exception_row **out, size_t *num, int64_t now);
/* CONFLICT: no such device, or it has one for the same finding, pending or in force at row->created;
 * LIMIT: it has `max` of any. */
MUST_USE enum status store_exception_insert(struct store_writer *, const struct exception_row *row,
                                            unsigned max);
/* State, who and when, in_use. CONFLICT: it is not in the state `from`. */
MUST_USE enum status store_exception_update(struct store_writer *, const struct exception_row *row,
                                            enum exception_state from);
/* Of those of the device that are approved: in use are those whose ids are in the text, no others. */
MUST_USE enum status store_exception_use(struct store_writer *, const char *device_id,
                                         const char *used);

/* Whether a credential that is good at `now` was given by it. */
MUST_USE enum status store_exception_has_given(struct store_reader *, bool *out,
                                               const char *device_id, const char *id, int64_t now);

/* --- access credentials --- */
struct credential_row {
    char serial[STORE_SERIAL]; /* hex, 32 digits */
    char device_id[STORE_ID], appraisal_id[STORE_ID];
    uint8_t sha256[32];              /* of the certificate's DER */
    char authority[STORE_AUTHORITY]; /* who signed it; "": issued before this was kept */
    enum key_protection key_protection;
    int tier; /* enum tier, and the segment that it got: as the certificate has */
    char segment[STORE_SEGMENT]; /* them; "": none */
    /* Ids of the exceptions that it was given by, with a space after each; "": none. */
    char exceptions[EXCEPTIONS_PER_DEVICE * STORE_ID + 1];
    int64_t not_before, not_after;
    int64_t revoked;  /* 0: not */
    char reason[129]; /* of the revocation */
};
struct credential_filter {
    char device_id[STORE_ID]; /* "": any */
    int64_t valid_at;         /* 0: any; else only those not expired and not revoked then */
};
MUST_USE enum status store_credential_get(struct store_reader *, struct credential_row *out,
                                          const char *serial);
MUST_USE enum status store_credential_list(struct store_reader *, struct arena *,
                                           struct credential_row **out, size_t *num,
                                           const struct credential_filter *filter,
                                           struct store_page page); /* by serial */
MUST_USE enum status store_credential_insert(struct store_writer *,
                                             const struct credential_row *row);
/* Of one serial: NOT_FOUND; CONFLICT when it is revoked already. */
MUST_USE enum status store_credential_revoke(struct store_writer *, const char *serial, int64_t now,
                                             const char *reason);
/* Of all that a device has and that are neither revoked nor expired; *num, when not NULL, is how
 * many; none is OK too. */
MUST_USE enum status store_credential_revoke_device(struct store_writer *, const char *device_id,
                                                    int64_t now, const char *reason, size_t *num);
/* Of those of a device that were given for a higher tier than this one; the same otherwise. */
MUST_USE enum status store_credential_revoke_above(struct store_writer *, const char *device_id,
                                                   int tier, int64_t now, const char *reason,
                                                   size_t *num);
/* Of the devices of a model whose latest appraisal came to a lower tier than this one. */
MUST_USE enum status store_credential_revoke_below(struct store_writer *, const char *model,
                                                   int tier, int64_t now, const char *reason,
                                                   size_t *num);
/* Of a whole model, "": of all. Only what is neither revoked nor expired; *num is how many. */
MUST_USE enum status store_credential_revoke_model(struct store_writer *, const char *model,
                                                   int64_t now, const char *reason, size_t *num);
/* What a list of what is revoked is made of. */
struct revoked_row {
    uint8_t serial[(STORE_SERIAL - 1) / 2];
    int64_t revoked;
    char reason[129];
};
/* The row lives for the call only; false stops the walk, which is OK then. */
typedef bool store_revoked_visit(void *context, const struct revoked_row *row);
/* Of the credentials that the authority signed, or of which it is not known who did: every one that is
 * revoked and expires after `expire_after`, by serial. */
MUST_USE enum status store_credential_revoked(struct store_reader *, const char *authority,
                                              int64_t expire_after, store_revoked_visit *visit,
                                              void *context);
/* Forgets credentials that expired before `before`, at most `limit`. LIMIT: that many were
 * forgotten, and there may be more. */
MUST_USE enum status store_credential_prune(struct store_writer *, int64_t before, unsigned limit);

/* --- what relying parties have to know --- */
/* Each change in who may pass, in the order in which it became so. The store writes them by itself, in
 * the transaction of whatever made the change: there is no way to revoke and not to say so. What
 * proxies follow (server/fleet/feed.h) and what is sent to receivers is read from here, so that
 * nothing is lost with the process. Kept for a while, see store_trust_change_forget. */
enum trust_change {
    TRUST_DEVICE = 1, /* its state, verdict or tier is another, or it is gone (state 0) */
    TRUST_CREDENTIAL, /* one was issued */
    TRUST_REVOCATION, /* one was revoked before it expired */
    TRUST_MODEL       /* decisions about every device of a model may be others: ask anew */
};
struct trust_change_row {
    int64_t seq; /* from 1, ascending; never given twice, though some may be missing */
    int64_t time_ms;
    enum trust_change change;
    char device_id[STORE_ID]; /* "": TRUST_MODEL */
    char model[STORE_NAME];
    /* Of the device, as it is with this change; and before, for TRUST_DEVICE. 0: none. */
    enum device_state state, was_state;
    int verdict, tier, was_verdict, was_tier;
    /* Of the credential: TRUST_CREDENTIAL and TRUST_REVOCATION. */
    char serial[STORE_SERIAL];
    uint8_t sha256[32];
    char authority[STORE_AUTHORITY]; /* "": not known */
    char segment[STORE_SEGMENT];
    int64_t not_before, not_after;
    char reason[129]; /* of the revocation */
};
/* After `after_seq`, ascending, at most `limit`. */
MUST_USE enum status store_trust_change_list(struct store_reader *, struct arena *,
                                             struct trust_change_row **out, size_t *num,
                                             int64_t after_seq, unsigned limit);
/* The newest, and the oldest that is kept (newest + 1 when none is: 1 and 0). */
MUST_USE enum status store_trust_change_ends(struct store_reader *, int64_t *oldest,
                                             int64_t *newest);
/* Every credential that is neither revoked nor expired at `now`, as its TRUST_CREDENTIAL would be by
 * now (seq and time 0), of one model or, with "", of all: how things stand, for who begins to
 * follow. By serial. */
MUST_USE enum status store_trust_credential_list(struct store_reader *, struct arena *,
                                                 struct trust_change_row **out, size_t *num,
                                                 const char *model, int64_t now,
                                                 struct store_page page);
/* Forgets the oldest, as far as they are of before `before_ms` and have a seq up to `through_seq`;
 * at most `limit`, and never the newest of all. LIMIT: there may be more. */
MUST_USE enum status store_trust_change_forget(struct store_writer *, int64_t before_ms,
                                               int64_t through_seq, unsigned limit);

/* --- streams of events to receivers --- */
/* Each receiver has a place in the trust changes (`cursor`), and what is behind it is done with. What
 * is to be said about the stream itself waits in notices. The names of events are made from the
 * stream's id and the number of a change or a notice: the same again for what is sent again. */
enum stream_method { STREAM_PUSH = 1, STREAM_POLL, STREAM_WEBHOOK };
enum stream_status { STREAM_ENABLED = 1, STREAM_PAUSED, STREAM_DISABLED };
const char *stream_method_name(enum stream_method method); /* "push", "poll", "webhook" */
const char *stream_status_name(enum stream_status status); /* "enabled", "paused", "disabled" */
enum { STREAM_URL = 1025, STREAM_AUDIENCE = 257, STREAM_SECRET = 1025, STREAM_TEXT = 257 };
struct stream_row {
    char id[STORE_ID];
    char proxy[STORE_NAME]; /* the receiver that manages it itself; "": administrators alone do */
    bool held;              /* not kept, but read: the proxy is disabled */
    char description[STREAM_TEXT];
    enum stream_method method;
    char endpoint_url[STREAM_URL]; /* "": polled */
    char audience[STREAM_AUDIENCE];
    unsigned events;            /* those asked for: server/fleet/signal_event.h */
    char secret[STREAM_SECRET]; /* push: what Authorization says, "" nothing; webhook: the key */
    enum stream_status status;
    char reason[STREAM_TEXT];
    int64_t created, updated, version;
    int64_t cursor; /* the last change that is done with */
    int64_t delivered, refused, dropped;
    int64_t failures, failing_since;      /* since the last success; 0: none */
    int64_t last_delivery, last_error_at; /* 0: none yet */
    int64_t verified;                     /* when a verification was last asked for; 0: never */
    char last_error[STREAM_TEXT];
};
MUST_USE enum status store_stream_get(struct store_reader *, struct stream_row *out,
                                      const char *id);
/* By id; of one proxy, or NULL: all. */
MUST_USE enum status store_stream_list(struct store_reader *, struct arena *,
                                       struct stream_row **out, size_t *num, const char *proxy,
                                       struct store_page page);
/* How many there are, of one proxy, or NULL: all. */
MUST_USE enum status store_stream_count(struct store_reader *, int64_t *out, const char *proxy);
/* CONFLICT: no such proxy. */
MUST_USE enum status store_stream_insert(struct store_writer *, const struct stream_row *row);
/* All but id, proxy, method, created and how far it has got; CONFLICT: row->version is not the one
 * that was read. */
MUST_USE enum status store_stream_update(struct store_writer *, const struct stream_row *row);
/* Status, reason, and how far it has got, from cursor on. */
MUST_USE enum status store_stream_progress(struct store_writer *, const struct stream_row *row);
MUST_USE enum status store_stream_delete(struct store_writer *, const char *id);
/* Where the one that is furthest behind is, of those that are not disabled; INT64_MAX: there is none. */
MUST_USE enum status store_stream_behind(struct store_reader *, int64_t *out);

/* Changes beyond the cursor that a receiver said to have. CONFLICT: it said so before, or there is no
 * such stream. */
MUST_USE enum status store_stream_acknowledge(struct store_writer *, const char *id, int64_t seq);
/* Ascending. */
MUST_USE enum status store_stream_acknowledged(struct store_reader *, struct arena *, int64_t **seq,
                                               size_t *num, const char *id);
/* Forgets those up to `through_seq`. */
MUST_USE enum status store_stream_acknowledge_forget(struct store_writer *, const char *id,
                                                     int64_t through_seq);

enum notice_kind { NOTICE_VERIFICATION = 1, NOTICE_UPDATED };
struct notice_row {
    int64_t num; /* given by the store, ascending; never given twice */
    char stream[STORE_ID];
    enum notice_kind kind;
    enum stream_status status; /* UPDATED */
    char text[STREAM_SECRET];  /* VERIFICATION: the state that was asked for; UPDATED: the reason */
    int64_t created;
};
/* NOT_FOUND or CONFLICT: no such stream. */
MUST_USE enum status store_notice_insert(struct store_writer *, const struct notice_row *row);
/* Of a stream, the oldest first. */
MUST_USE enum status store_notice_list(struct store_reader *, struct arena *,
                                       struct notice_row **out, size_t *num, const char *stream,
                                       unsigned limit);
/* NOT_FOUND: there is none with this number. */
MUST_USE enum status store_notice_delete(struct store_writer *, const char *stream, int64_t num);

/* --- what the fleet table is rebuilt from --- */
struct store_visitor {
    void *context;
    /* False stops the walk, which is OK then. Rows live for the call only; a device's blobs are not
     * filled. Devices come first. */
    bool (*device)(void *context, const struct device_row *row); /* not those only REGISTERED */
    bool (*credential)(
        void *context,
        const struct credential_row *row); /* not expired at `now`; revoked ones too */
};
MUST_USE enum status store_walk(struct store_reader *, const struct store_visitor *visitor,
                                int64_t now);

/* --- registered certificates: operators and proxies --- */
enum { OPERATOR_MAX_CERTIFICATES = 4 };
struct operator_certificate {
    uint8_t sha256[32];         /* of the DER */
    char subject[257];          /* one line, cut to fit; "" when only the digest is known */
    int64_t not_after;          /* 0: not known */
    int64_t added;              /* of equal ones the smaller digest comes first */
    char added_by[STORE_ACTOR]; /* an operator's name, "host:<user>"; "" when that was not kept */
};
struct operator_row {
    char name[STORE_NAME];
    char role[17]; /* viewer, operator, author, approver, admin */
    bool disabled;
    int64_t created, updated;
    struct operator_certificate certificate[OPERATOR_MAX_CERTIFICATES]; /* oldest first */
    size_t num_certificates;                                            /* at least 1 */
};
enum { PROXY_POLICIES_MAX = 16 };
struct proxy_row {
    char name[STORE_NAME];
    enum dialect dialect; /* of the certificates that it hands on */
    uint8_t certificate_sha256[32];
    bool disabled;
    int64_t created, updated;
    char policy[PROXY_POLICIES_MAX][STORE_NAME]; /* that it may ask for; the first is its default */
    size_t num_policies;
};
MUST_USE enum status store_operator_get(struct store_reader *, struct operator_row *out,
                                        const char *name);
MUST_USE enum status store_operator_list(struct store_reader *, struct arena *,
                                         struct operator_row **out, size_t *num,
                                         struct store_page page); /* by name */
/* A put inserts, with the row's certificates; or with `replace` overwrites role, disabled and updated
 * of what has the name. CONFLICT: the name or a certificate is taken, or nobody would be left at
 * row->updated who is an admin, not disabled, and has a certificate that has not expired. */
MUST_USE enum status store_operator_put(struct store_writer *, const struct operator_row *row,
                                        bool replace);
MUST_USE enum status store_operator_delete(struct store_writer *, const char *name,
                                           int64_t now); /* CONFLICT: the last admin, as above */
/* NOT_FOUND: no such operator. CONFLICT: it is registered already, here or with another. LIMIT:
 * the operator has OPERATOR_MAX_CERTIFICATES. */
MUST_USE enum status store_operator_certificate_add(struct store_writer *, const char *name,
                                                    const struct operator_certificate *row);
/* NOT_FOUND: the operator has no such certificate. CONFLICT: its only one, or the last with which
 * an admin may come in, as above. */
MUST_USE enum status store_operator_certificate_delete(struct store_writer *, const char *name,
                                                       const uint8_t sha256[static 32],
                                                       int64_t now);
/* The row's certificate with this digest, or NULL. */
const struct operator_certificate *operator_certificate(const struct operator_row *row,
                                                        const uint8_t sha256[static 32]);
MUST_USE enum status store_proxy_get(struct store_reader *, struct proxy_row *out,
                                     const char *name);
MUST_USE enum status store_proxy_list(struct store_reader *, struct arena *, struct proxy_row **out,
                                      size_t *num, struct store_page page);
/* CONFLICT: the certificate is another's, or there is no such policy. */
MUST_USE enum status store_proxy_put(struct store_writer *, const struct proxy_row *row,
                                     bool replace);
MUST_USE enum status store_proxy_delete(struct store_writer *, const char *name);

/* --- access policies: what a proxy may ask of a device that may pass --- */
enum { ACCESS_POLICY_MODELS_MAX = 64, ACCESS_POLICY_SEGMENTS_MAX = 64 };
struct access_policy_row {
    char name[STORE_NAME];
    char description[257];
    int min_tier;                       /* enum tier: it or a higher one; 0: any */
    enum key_protection key_protection; /* at least this */
    char (*model)[STORE_NAME];          /* one of these; none: any */
    size_t num_models;
    char (*segment)[STORE_SEGMENT]; /* likewise */
    size_t num_segments;
    int64_t created, updated, version; /* as a model's */
};
MUST_USE enum status store_access_policy_get(struct store_reader *, struct arena *,
                                             struct access_policy_row *out, const char *name);
MUST_USE enum status store_access_policy_list(struct store_reader *, struct arena *,
                                              struct access_policy_row **out, size_t *num,
                                              struct store_page page); /* after: name */
/* CONFLICT: the name is taken; LIMIT: more models or segments than the row may have. */
MUST_USE enum status store_access_policy_insert(struct store_writer *,
                                                const struct access_policy_row *row);
/* row->version is the one read; CONFLICT otherwise. */
MUST_USE enum status store_access_policy_update(struct store_writer *,
                                                const struct access_policy_row *row);
MUST_USE enum status store_access_policy_delete(struct store_writer *,
                                                const char *name); /* CONFLICT: a proxy names it */

/* --- requests that wait for a second person --- */
enum approval_state {
    APPROVAL_PENDING = 1, /* until it expires */
    APPROVAL_APPROVED,    /* and carried out, in one transaction */
    APPROVAL_REJECTED
};
struct approval_row {
    char id[STORE_ID];
    enum approval_state state;
    char rule[33]; /* what asks for two people: "bulk_revoke" */
    char method[9], path[513], query[513];
    char proposed_by[STORE_NAME], decided_by[STORE_NAME]; /* operators; "" while not */
    char reason[129];                                     /* of a rejection */
    int64_t created, expires, decided;                    /* 0 while not */
    struct bytes body;
};
MUST_USE enum status store_approval_get(struct store_reader *, struct arena *,
                                        struct approval_row *out, const char *id);
/* Without the bodies; of one state, or 0: all. By id. */
MUST_USE enum status store_approval_list(struct store_reader *, struct arena *,
                                         struct approval_row **out, size_t *num,
                                         enum approval_state state, struct store_page page);
/* Forgets what expired 30 days before row->created, then inserts. LIMIT: `max` are pending then. */
MUST_USE enum status store_approval_insert(struct store_writer *, const struct approval_row *row,
                                           unsigned max);
/* Sets state, decided_by, reason and decided. CONFLICT: it is decided already, or had expired at
 * row->decided. */
MUST_USE enum status store_approval_decide(struct store_writer *, const struct approval_row *row);

/* --- audit --- */
/* A hash chain: server/fleet/audit_chain.h computes the hashes, here they are only kept. Entries
 * and checkpoints never change; only pruning removes any, up to a checkpoint. */
struct audit_checkpoint_row {
    int64_t seq;      /* of the entry that it vouches for */
    uint8_t hash[32]; /* that entry's */
    int64_t time;     /* of the signer's clock, unix seconds */
    char trust_domain[256];
    uint8_t authority[32]; /* SHA-256 of the certificate whose key signed */
    struct bytes signature;
};
struct audit_row {
    int64_t seq; /* from 1, without gaps */
    int64_t time_ms;
    char actor[STORE_ACTOR];    /* "operator:alice", "device:<id>", "host:<user>", "system" */
    char action[49];            /* "baseline.activate", "device.enrol", "credential.revoke", ... */
    char object[129];           /* what it was done to: "baseline:<id>" */
    struct bytes before, after; /* JSON or empty */
    char request_id[STORE_ID];
    uint8_t hash[32];     /* zeros: the entry is older than the chain */
    uint8_t previous[32]; /* the hash of the entry before; zeros: of the first. Not kept: given */
    const struct audit_checkpoint_row *checkpoint; /* of this very entry; NULL: none */
};
struct audit_tip { /* the newest entry */
    int64_t seq;   /* 0: there was none yet */
    bool chained;  /* it has a hash */
    uint8_t hash[32];
};
MUST_USE enum status store_audit_tip(struct store_reader *, struct audit_tip *out);
/* For server/fleet/audit_chain.c alone. CONFLICT: the seq is not the next one. */
MUST_USE enum status store_audit_insert(struct store_writer *, const struct audit_row *row);
/* Of an entry older than the chain. NOT_FOUND; CONFLICT: it has one. */
MUST_USE enum status store_audit_set_hash(struct store_writer *, int64_t seq,
                                          const uint8_t hash[static 32]);
MUST_USE enum status store_audit_list(struct store_reader *, struct arena *, struct audit_row **out,
                                      size_t *num, int64_t after_seq, unsigned limit);
struct audit_filter {   /* "" and 0: any */
    const char *actor;  /* exactly */
    const char *action; /* exactly; ending with a dot: all that begin so */
    const char *object; /* exactly */
    int64_t since_ms;   /* from then on */
    int64_t until_ms;   /* before then */
    bool newest_first; /* else oldest first; by time where since or until is given without object */
    int64_t after_seq; /* goes on after this entry, in that order; 0: from the start */
    unsigned limit;    /* entries found */
    unsigned scan;     /* entries looked at: no request takes long, whatever it asks for */
};
/* What the filter lets through. *next is where to go on (after_seq), 0: there is no more. */
MUST_USE enum status store_audit_find(struct store_reader *, struct arena *, struct audit_row **out,
                                      size_t *num, int64_t *next,
                                      const struct audit_filter *filter);
/* At most `limit` entries after `after_seq`, by seq, without those that were pruned. The row lives
 * for the call only; false stops the walk, which is OK then. */
typedef bool store_audit_visit(void *context, const struct audit_row *row);
MUST_USE enum status store_audit_walk(struct store_reader *, int64_t after_seq, unsigned limit,
                                      store_audit_visit *visit, void *context);
/* CONFLICT: no such entry, or not after the newest checkpoint. */
MUST_USE enum status store_audit_checkpoint_insert(struct store_writer *,
                                                   const struct audit_checkpoint_row *row);
MUST_USE enum status store_audit_checkpoint_get(struct store_reader *, struct arena *,
                                                struct audit_checkpoint_row *out, int64_t seq);
MUST_USE enum status store_audit_checkpoint_list(struct store_reader *, struct arena *,
                                                 struct audit_checkpoint_row **out, size_t *num,
                                                 int64_t after_seq, unsigned limit);
/* The newest checkpoint's seq, and that of the checkpoint which the log begins after; 0: none. */
MUST_USE enum status store_audit_marks(struct store_reader *, int64_t *checkpoint, int64_t *pruned);
/* From now on the log begins after the checkpoint at `through_seq`: nobody reads what was before.
 * CONFLICT: there is none, or the log begins there or later already. */
MUST_USE enum status store_audit_prune(struct store_writer *, int64_t through_seq, int64_t now_ms);
/* Removes entries that were pruned, at most `limit`, and their checkpoints. LIMIT: that many were,
 * and there may be more. */
MUST_USE enum status store_audit_forget(struct store_writer *, unsigned limit);

/* --- counts for /v1/fleet --- */
struct fleet_count {
    char model[STORE_NAME];
    enum device_state state;
    int verdict, tier;
    int64_t num;
    int64_t oldest_seen; /* the smallest last_seen among them */
};
MUST_USE enum status store_fleet_counts(struct store_reader *, struct arena *,
                                        struct fleet_count **out, size_t *num);

#endif
