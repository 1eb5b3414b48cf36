#include "server/fleet/table.h"

#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/crypto/random.h"
#include "server/fleet/hash.h"
#include "server/fleet/names.h"
#include "server/fleet/pool.h"
#include "server/fleet/rcu.h"

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* How it is kept. A device, once known, stays; what may change about its standing is one word, so
 * that readers see all of it or none. A credential is immutable but for its revocation,
 * whose time is written before its flag; how well its key is guarded, the tier it was given for, who
 * signed it and why it was revoked are bits of its flags. Readers
 * take the word (or the flag) with acquire before they look at anything else: it is written last. */

enum { RAW_ID = 16, RETIRED_MAX = 1024, FIRST_BUCKETS = 1024 };
enum { BUCKETS_MAX = 1 << 24 };
enum { CREDENTIAL_REVOKED = 1, CREDENTIAL_KNOWN = 2, CREDENTIAL_KEY_IN_TPM = 4 };
enum { CREDENTIAL_REASON_SHIFT = 4 };     /* enum crl_reason, in 4 bits */
enum { TRUST_SHIFT = 48 };                /* of the trustworthiness, 16 bits of the standing */
enum { CREDENTIAL_TIER_SHIFT = 8 };       /* the tier that it was given for, in 8 bits */
enum { CREDENTIAL_AUTHORITY_SHIFT = 16 }; /* who signed it: a number of names, in 16 bits */
static const int64_t LEASE_LAPSED =
    -1; /* there was one, before the start; when it ended is not known */

struct credential {
    struct cds_lfht_node by_sha256, by_serial;
    uint8_t sha256[32], serial[RAW_ID];
    struct device *device;
    struct credential *_Atomic next; /* of the device, newest first */
    int64_t not_before, not_after;
    _Atomic uint32_t flags;
    _Atomic uint32_t revoked_at; /* unix seconds, to the year 2106 */
};

struct device {
    struct cds_lfht_node node;
    uint8_t id[RAW_ID];
    _Atomic uint64_t standing; /* trustworthiness << 48 | model << 32 | state << 16 |
                                  verdict << 8 | tier */
    struct credential *_Atomic credentials;
    _Atomic int64_t lease; /* the latest end of a credential of it; 0: never had one */
};

static_assert(offsetof(struct credential, by_sha256) == 0, "of_sha256 casts");
static_assert(offsetof(struct device, node) == 0, "device_of casts");

struct index {
    struct cds_lfht *table;
    uint64_t num, buckets;
};

struct fleet_table {
    struct index devices, by_sha256, by_serial;
    uint64_t seed;
    struct names *models, *authorities;
    struct pool device_pool, credential_pool;
    size_t prune_at; /* the device with which the next fleet_prune goes on */
    struct credential *retired[RETIRED_MAX];
    size_t num_retired;
    _Atomic uint64_t num_devices, num_credentials; /* for fleet_table_size */
};

static uint64_t standing_of(uint32_t model, enum device_state state, enum verdict verdict,
                            enum tier tier) {
    return (uint64_t)model << 32 | ((uint64_t)state & 0xff) << 16 |
           ((uint64_t)verdict & 0xff) << 8 | ((uint64_t)tier & 0xff);
}

static uint32_t model_of(uint64_t standing) {
    return standing >> 32 & 0xffff;
}

static unsigned long hash_of(const struct fleet_table *table, const uint8_t *key) {
    return hash_key(key, table->seed);
}

static struct device *device_of(struct cds_lfht_node *node) {
    return (struct device *)node;
}

static struct credential *of_sha256(struct cds_lfht_node *node) {
    return (struct credential *)node;
}

static struct credential *of_serial(struct cds_lfht_node *node) {
    return (struct credential *)((char *)node - offsetof(struct credential, by_serial));
}

static int match_device(struct cds_lfht_node *node, const void *id) {
    struct device *device = device_of(node);
    (void)atomic_load_explicit(&device->standing, memory_order_acquire);
    return memcmp(device->id, id, RAW_ID) == 0;
}

static int match_sha256(struct cds_lfht_node *node, const void *sha256) {
    struct credential *credential = of_sha256(node);
    (void)atomic_load_explicit(&credential->flags, memory_order_acquire);
    return memcmp(credential->sha256, sha256, sizeof credential->sha256) == 0;
}

static int match_serial(struct cds_lfht_node *node, const void *serial) {
    struct credential *credential = of_serial(node);
    (void)atomic_load_explicit(&credential->flags, memory_order_acquire);
    return memcmp(credential->serial, serial, RAW_ID) == 0;
}

/* Within rcu_begin and rcu_end, all three. NULL: none. */
static struct device *find_device(const struct fleet_table *table, const uint8_t id[RAW_ID]) {
    struct cds_lfht_iter iter;
    cds_lfht_lookup(table->devices.table, hash_of(table, id), match_device, id, &iter);
    struct cds_lfht_node *node = cds_lfht_iter_get_node(&iter);
    return node == NULL ? NULL : device_of(node);
}

static struct credential *find_sha256(const struct fleet_table *table, const uint8_t sha256[32]) {
    struct cds_lfht_iter iter;
    cds_lfht_lookup(table->by_sha256.table, hash_of(table, sha256), match_sha256, sha256, &iter);
    struct cds_lfht_node *node = cds_lfht_iter_get_node(&iter);
    return node == NULL ? NULL : of_sha256(node);
}

static struct credential *find_serial(const struct fleet_table *table,
                                      const uint8_t serial[RAW_ID]) {
    struct cds_lfht_iter iter;
    cds_lfht_lookup(table->by_serial.table, hash_of(table, serial), match_serial, serial, &iter);
    struct cds_lfht_node *node = cds_lfht_iter_get_node(&iter);
    return node == NULL ? NULL : of_serial(node);
}

/* --- deciding --- */

static void take_key_protection(struct decision *out, const struct credential *credential) {
    uint32_t flags = atomic_load_explicit(&credential->flags, memory_order_relaxed);
    out->key_protection = (flags & CREDENTIAL_KEY_IN_TPM) != 0 ? KEY_IN_TPM : KEY_UNPROVEN;
    out->has_credential = true;
}

static enum decision_reason credential_reason(const struct credential *credential, int64_t now) {
    if ((atomic_load_explicit(&credential->flags, memory_order_acquire) & CREDENTIAL_REVOKED) !=
        0) {
        return REASON_CREDENTIAL_REVOKED;
    }
    if (now < credential->not_before) {
        return REASON_NOT_YET_VALID;
    }
    return now < credential->not_after ? REASON_TRUSTED : REASON_LEASE_EXPIRED;
}

static enum decision_reason standing_reason(enum device_state state, enum verdict verdict) {
    switch (state) {
    case DEVICE_ENROLLED:
        break;
    case DEVICE_PENDING_APPROVAL:
        return REASON_PENDING_APPROVAL;
    case DEVICE_RETIRED:
        return REASON_RETIRED;
    case DEVICE_QUARANTINED:
    default:
        return REASON_QUARANTINED;
    }
    switch (verdict) {
    case VERDICT_TRUSTED:
        return REASON_TRUSTED;
    case VERDICT_UNKNOWN:
        return REASON_NOT_APPRAISED;
    case VERDICT_EXPIRED:
        return REASON_LEASE_EXPIRED;
    case VERDICT_UNTRUSTED:
    default:
        return REASON_UNTRUSTED;
    }
}

static void deny_unknown(struct decision *out, enum decision_reason reason) {
    *out = (struct decision){.reason = reason};
}

static void list_credential(struct decision *out, const struct credential *credential) {
    if (out->num_serials < DECISION_MAX_SERIALS) {
        hex_encode(out->serial[out->num_serials++], bytes_of(credential->serial, RAW_ID));
    }
    if (credential->not_after > out->lease_expires) {
        out->lease_expires = credential->not_after;
    }
}

/* Why the device is allowed or not by its credentials; lists those that are valid. */
static enum decision_reason weigh_credentials(struct decision *out, const struct device *device,
                                              int64_t now) {
    const struct credential *newest =
        atomic_load_explicit(&device->credentials, memory_order_acquire);
    for (const struct credential *c = newest; c != NULL;
         c = atomic_load_explicit(&c->next, memory_order_acquire)) {
        if (credential_reason(c, now) == REASON_TRUSTED) {
            if (!out->has_credential) {
                take_key_protection(out, c);
            }
            list_credential(out, c);
        }
    }
    if (out->num_serials > 0) {
        return REASON_TRUSTED;
    }
    int64_t lease = atomic_load_explicit(&device->lease, memory_order_acquire);
    enum decision_reason reason = lease == 0 ? REASON_NO_CREDENTIAL : REASON_LEASE_EXPIRED;
    if (newest != NULL) {
        /* It may have become valid, or another be put, while we looked: it is denied this once. */
        reason = credential_reason(newest, now);
        reason = reason == REASON_TRUSTED ? REASON_LEASE_EXPIRED : reason;
    }
    if (reason == REASON_LEASE_EXPIRED || reason == REASON_NOT_YET_VALID) {
        out->lease_expires = lease == LEASE_LAPSED ? 0 : lease;
    }
    return reason;
}

/* `asked` is NULL when the device itself is asked for. */
static void decide(const struct fleet_table *table, struct decision *out,
                   const struct device *device, const struct credential *asked, int64_t now) {
    uint64_t standing = atomic_load_explicit(&device->standing, memory_order_acquire);
    if ((standing >> 16 & 0xff) == DEVICE_REGISTERED) { /* it was refused, and may come again */
        deny_unknown(out, REASON_UNKNOWN_DEVICE);
        return;
    }
    *out = (struct decision){.tier = (enum tier)(standing & 0xff)};
    hex_encode(out->device_id, bytes_of(device->id, RAW_ID));
    out->trustworthiness = (uint16_t)(standing >> TRUST_SHIFT);
    names_copy(table->models, out->model, sizeof out->model, model_of(standing));
    out->reason = standing_reason((enum device_state)(standing >> 16 & 0xff),
                                  (enum verdict)(standing >> 8 & 0xff));
    if (asked != NULL) {
        take_key_protection(out, asked);
    }
    if (out->reason != REASON_TRUSTED) {
        return;
    }
    if (asked == NULL) {
        out->reason = weigh_credentials(out, device, now);
    } else {
        out->reason = credential_reason(asked, now);
        if (out->reason == REASON_TRUSTED) {
            list_credential(out, asked);
        } else if (out->reason != REASON_CREDENTIAL_REVOKED) {
            out->lease_expires = asked->not_after;
        }
    }
    out->allow = out->reason == REASON_TRUSTED;
}

void fleet_decide_device(const struct fleet_table *table, struct decision *out,
                         const char *device_id, int64_t now) {
    uint8_t id[RAW_ID];
    if (hex_decode(id, sizeof id, device_id) != STATUS_OK) {
        deny_unknown(out, REASON_UNKNOWN_DEVICE);
        return;
    }
    rcu_begin();
    const struct device *device = find_device(table, id);
    if (device == NULL) {
        deny_unknown(out, REASON_UNKNOWN_DEVICE);
    } else {
        decide(table, out, device, NULL, now);
    }
    rcu_end();
}

static void decide_credential(const struct fleet_table *table, struct decision *out,
                              const struct credential *asked, int64_t now) {
    if (asked == NULL) {
        deny_unknown(out, REASON_UNKNOWN_CREDENTIAL);
    } else {
        decide(table, out, asked->device, asked, now);
    }
}

void fleet_decide_certificate(const struct fleet_table *table, struct decision *out,
                              const uint8_t sha256[static 32], int64_t now) {
    rcu_begin();
    decide_credential(table, out, find_sha256(table, sha256), now);
    rcu_end();
}

void fleet_decide_serial(const struct fleet_table *table, struct decision *out, const char *serial,
                         int64_t now) {
    uint8_t raw[RAW_ID];
    if (hex_decode(raw, sizeof raw, serial) != STATUS_OK) {
        deny_unknown(out, REASON_UNKNOWN_CREDENTIAL);
        return;
    }
    rcu_begin();
    decide_credential(table, out, find_serial(table, raw), now);
    rcu_end();
}

bool fleet_credential_standing(const struct fleet_table *table, struct credential_standing *out,
                               const uint8_t serial[static PROFILE_SERIAL_LEN]) {
    static_assert((int)PROFILE_SERIAL_LEN == (int)RAW_ID, "serial numbers are looked up whole");
    rcu_begin();
    const struct credential *credential = find_serial(table, serial);
    if (credential != NULL) {
        uint32_t flags = atomic_load_explicit(&credential->flags, memory_order_acquire);
        *out = (struct credential_standing){.revoked = (flags & CREDENTIAL_REVOKED) != 0,
                                            .not_before = credential->not_before,
                                            .not_after = credential->not_after};
        if (out->revoked) {
            out->revoked_at = atomic_load_explicit(&credential->revoked_at, memory_order_relaxed);
            out->reason = (enum crl_reason)(flags >> CREDENTIAL_REASON_SHIFT & 0xf);
        }
        names_copy(table->authorities, out->authority, sizeof out->authority,
                   flags >> CREDENTIAL_AUTHORITY_SHIFT);
    }
    rcu_end();
    return credential != NULL;
}

/* --- writing --- */

/* Twice the buckets whenever there are half as many entries: chains stay short at any size. */
static void index_grow(struct index *index, uint64_t num) {
    uint64_t buckets = index->buckets;
    while (buckets < 2 * num && buckets < BUCKETS_MAX) {
        buckets *= 2;
    }
    if (buckets != index->buckets) {
        cds_lfht_resize(index->table, buckets);
        index->buckets = buckets;
    }
}

static void index_add(struct index *index, struct cds_lfht_node *node, unsigned long hash) {
    rcu_begin();
    cds_lfht_add(index->table, hash, node);
    rcu_end();
    index_grow(index, ++index->num);
}

static void index_del(struct index *index, struct cds_lfht_node *node) {
    rcu_begin();
    (void)cds_lfht_del(index->table, node);
    rcu_end();
    index->num--;
}

/* The writer is alone: what it finds stays, also after rcu_end. */
static struct device *writer_device(const struct fleet_table *table, const char *hex) {
    uint8_t id[RAW_ID];
    if (hex_decode(id, sizeof id, hex) != STATUS_OK) {
        return NULL;
    }
    rcu_begin();
    struct device *device = find_device(table, id);
    rcu_end();
    return device;
}

enum status fleet_put_device(struct fleet_table *table, const char *device_id, const char *model,
                             enum device_state state, enum verdict verdict, enum tier tier) {
    uint8_t id[RAW_ID];
    if (hex_decode(id, sizeof id, device_id) != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    uint32_t name;
    enum status status = names_intern(table->models, &name, model);
    if (status != STATUS_OK) {
        return status;
    }
    uint64_t standing = standing_of(name, state, verdict, tier);
    struct device *device = writer_device(table, device_id);
    if (device != NULL) {
        uint64_t was = atomic_load(&device->standing);
        bool same = (was & 0xffff) == (standing & 0xffff);
        atomic_store(&device->standing,
                     same ? standing | (was >> TRUST_SHIFT) << TRUST_SHIFT : standing);
        return STATUS_OK;
    }
    device = pool_take(&table->device_pool);
    if (device == NULL) {
        return STATUS_MEMORY;
    }
    memcpy(device->id, id, sizeof id);
    cds_lfht_node_init(&device->node);
    atomic_store(&device->standing, standing);
    index_add(&table->devices, &device->node, hash_of(table, id));
    atomic_fetch_add(&table->num_devices, 1);
    return STATUS_OK;
}

void fleet_put_trustworthiness(struct fleet_table *table, const char *device_id,
                               uint16_t trustworthiness) {
    struct device *device = writer_device(table, device_id);
    if (device != NULL) {
        uint64_t rest = atomic_load(&device->standing) & (((uint64_t)1 << TRUST_SHIFT) - 1);
        atomic_store(&device->standing, (uint64_t)trustworthiness << TRUST_SHIFT | rest);
    }
}

static void free_retired(struct fleet_table *table) {
    if (table->num_retired == 0) {
        return;
    }
    rcu_wait();
    for (size_t i = 0; i < table->num_retired; i++) {
        pool_return(&table->credential_pool, table->retired[i]);
    }
    table->num_retired = 0;
}

/* Takes the credential after `link` out of everything; it is freed once no reader can hold it. */
static void drop_credential(struct fleet_table *table, struct credential *_Atomic *link) {
    struct credential *credential = atomic_load(link);
    atomic_store(link, atomic_load(&credential->next));
    index_del(&table->by_sha256, &credential->by_sha256);
    index_del(&table->by_serial, &credential->by_serial);
    atomic_fetch_sub(&table->num_credentials, 1);
    if (table->num_retired == RETIRED_MAX) {
        free_retired(table);
    }
    table->retired[table->num_retired++] = credential;
}

/* Of the credentials that had ended at `now` the newest `keep` stay, to say why the device is
 * denied. */
static void drop_expired(struct fleet_table *table, struct device *device, int64_t now,
                         unsigned keep) {
    struct credential *_Atomic *link = &device->credentials;
    for (struct credential *c = atomic_load(link); c != NULL; c = atomic_load(link)) {
        if (c->not_after > now) {
            link = &c->next;
        } else if (keep > 0) {
            keep--;
            link = &c->next;
        } else {
            drop_credential(table, link);
        }
    }
}

static void link_credential(struct device *device, struct credential *credential) {
    struct credential *_Atomic *link = &device->credentials;
    struct credential *next = atomic_load(link);
    while (next != NULL && next->not_before > credential->not_before) {
        link = &next->next;
        next = atomic_load(link);
    }
    atomic_store(&credential->next, next);
    if (credential->not_after > atomic_load(&device->lease)) {
        atomic_store(&device->lease, credential->not_after);
    }
    atomic_store(link, credential);
}

static struct credential *writer_credential(const struct fleet_table *table,
                                            const uint8_t serial[RAW_ID]) {
    rcu_begin();
    struct credential *credential = find_serial(table, serial);
    rcu_end();
    return credential;
}

enum status fleet_put_credential(struct fleet_table *table, const struct credential_row *row) {
    uint8_t serial[RAW_ID];
    if (hex_decode(serial, sizeof serial, row->serial) != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    struct device *device = writer_device(table, row->device_id);
    if (device == NULL) {
        return STATUS_NOT_FOUND;
    }
    if (writer_credential(table, serial) != NULL) {
        return STATUS_CONFLICT;
    }
    uint32_t authority;
    enum status status = names_intern(table->authorities, &authority, row->authority);
    if (status != STATUS_OK) {
        return status;
    }
    drop_expired(table, device, row->not_before, 1);
    struct credential *credential = pool_take(&table->credential_pool);
    if (credential == NULL) {
        return STATUS_MEMORY;
    }
    memcpy(credential->serial, serial, sizeof serial);
    memcpy(credential->sha256, row->sha256, sizeof row->sha256);
    credential->device = device;
    credential->not_before = row->not_before;
    credential->not_after = row->not_after;
    cds_lfht_node_init(&credential->by_sha256);
    cds_lfht_node_init(&credential->by_serial);
    atomic_store(&credential->revoked_at, (uint32_t)row->revoked);
    uint32_t reason = row->revoked != 0 ? (uint32_t)crl_reason_of(row->reason) : 0;
    atomic_store(&credential->flags,
                 CREDENTIAL_KNOWN | reason << CREDENTIAL_REASON_SHIFT |
                     authority << CREDENTIAL_AUTHORITY_SHIFT |
                     (row->revoked != 0 ? CREDENTIAL_REVOKED : 0U) |
                     (row->key_protection == KEY_IN_TPM ? CREDENTIAL_KEY_IN_TPM : 0U) |
                     ((uint32_t)row->tier & 0xff) << CREDENTIAL_TIER_SHIFT);
    link_credential(device, credential);
    index_add(&table->by_sha256, &credential->by_sha256, hash_of(table, credential->sha256));
    index_add(&table->by_serial, &credential->by_serial, hash_of(table, serial));
    atomic_fetch_add(&table->num_credentials, 1);
    return STATUS_OK;
}

/* The time stays that of the first. */
static void revoke(struct credential *credential) {
    if ((atomic_load(&credential->flags) & CREDENTIAL_REVOKED) == 0) {
        atomic_store(&credential->revoked_at, (uint32_t)clock_unix());
        (void)atomic_fetch_or(&credential->flags, CREDENTIAL_REVOKED);
    }
}

static void revoke_above(struct device *device, enum tier tier) {
    for (struct credential *c = atomic_load(&device->credentials); c != NULL;
         c = atomic_load(&c->next)) {
        if ((atomic_load(&c->flags) >> CREDENTIAL_TIER_SHIFT & 0xff) > (uint32_t)tier) {
            revoke(c);
        }
    }
}

static void revoke_all_of(struct device *device) {
    for (struct credential *c = atomic_load(&device->credentials); c != NULL;
         c = atomic_load(&c->next)) {
        revoke(c);
    }
}

void fleet_deny_device(struct fleet_table *table, const char *device_id) {
    struct device *device = writer_device(table, device_id);
    if (device == NULL) {
        return;
    }
    uint64_t standing = atomic_load(&device->standing);
    atomic_store(&device->standing,
                 standing_of(model_of(standing), (enum device_state)(standing >> 16 & 0xff),
                             VERDICT_UNTRUSTED, (enum tier)(standing & 0xff)) |
                     standing >> TRUST_SHIFT << TRUST_SHIFT);
    revoke_all_of(device);
}

void fleet_revoke_device(struct fleet_table *table, const char *device_id) {
    struct device *device = writer_device(table, device_id);
    if (device != NULL) {
        revoke_all_of(device);
    }
}

void fleet_revoke_model(struct fleet_table *table, const char *model) {
    uint32_t number = 0;
    bool all = model[0] == '\0';
    if (!all && !names_find(table->models, &number, model)) {
        return;
    }
    for (size_t i = 0; i < table->device_pool.num; i++) {
        struct device *device = pool_at(&table->device_pool, i);
        if (all || model_of(atomic_load(&device->standing)) == number) {
            revoke_all_of(device);
        }
    }
}

void fleet_revoke_above(struct fleet_table *table, const char *device_id, enum tier tier) {
    struct device *device = writer_device(table, device_id);
    if (device != NULL) {
        revoke_above(device, tier);
    }
}

void fleet_revoke_below(struct fleet_table *table, const char *model, enum tier tier) {
    uint32_t number = 0;
    if (!names_find(table->models, &number, model)) {
        return;
    }
    for (size_t i = 0; i < table->device_pool.num; i++) {
        struct device *device = pool_at(&table->device_pool, i);
        uint64_t standing = atomic_load(&device->standing);
        if (model_of(standing) == number && (standing & 0xff) < (uint64_t)tier) {
            revoke_all_of(device);
        }
    }
}

void fleet_revoke_credential(struct fleet_table *table, const char *serial) {
    uint8_t raw[RAW_ID];
    if (hex_decode(raw, sizeof raw, serial) != STATUS_OK) {
        return;
    }
    struct credential *credential = writer_credential(table, raw);
    if (credential != NULL) {
        revoke(credential);
    }
}

void fleet_note_reason(struct fleet_table *table, const char *serial, enum crl_reason reason) {
    uint8_t raw[RAW_ID];
    if (hex_decode(raw, sizeof raw, serial) != STATUS_OK) {
        return;
    }
    struct credential *credential = writer_credential(table, raw);
    if (credential != NULL && (atomic_load(&credential->flags) & CREDENTIAL_REVOKED) != 0) {
        (void)atomic_fetch_or(&credential->flags, (uint32_t)reason << CREDENTIAL_REASON_SHIFT);
    }
}

void fleet_prune(struct fleet_table *table, int64_t now, unsigned limit) {
    size_t num = table->device_pool.num;
    for (size_t i = limit < num ? limit : num; i > 0; i--) {
        table->prune_at = table->prune_at + 1 < num ? table->prune_at + 1 : 0;
        drop_expired(table, pool_at(&table->device_pool, table->prune_at), now - FLEET_REMEMBERS_S,
                     0);
    }
    free_retired(table);
}

struct fleet_size fleet_table_size(const struct fleet_table *table) {
    return (struct fleet_size){
        .devices = atomic_load_explicit(&table->num_devices, memory_order_relaxed),
        .credentials = atomic_load_explicit(&table->num_credentials, memory_order_relaxed),
    };
}

/* --- the whole --- */

static enum status index_new(struct index *index) {
    index->table = cds_lfht_new_flavor(FIRST_BUCKETS, 1, BUCKETS_MAX, 0, &urcu_memb_flavor, NULL);
    index->buckets = FIRST_BUCKETS;
    return index->table == NULL ? STATUS_MEMORY : STATUS_OK;
}

enum status fleet_table_new(struct fleet_table **out) {
    struct fleet_table *table = calloc(1, sizeof *table);
    if (table == NULL) {
        return STATUS_MEMORY;
    }
    table->device_pool.size = sizeof(struct device);
    table->credential_pool.size = sizeof(struct credential);
    random_bytes(&table->seed, sizeof table->seed);
    if (names_new(&table->models) != STATUS_OK || names_new(&table->authorities) != STATUS_OK ||
        index_new(&table->devices) != STATUS_OK || index_new(&table->by_sha256) != STATUS_OK ||
        index_new(&table->by_serial) != STATUS_OK) {
        fleet_table_free(table);
        return STATUS_MEMORY;
    }
    *out = table;
    return STATUS_OK;
}

static void index_free(struct index *index) {
    if (index->table != NULL) {
        (void)cds_lfht_destroy(index->table, NULL);
    }
}

void fleet_table_free(struct fleet_table *table) {
    if (table == NULL) {
        return;
    }
    for (size_t i = 0; i < table->device_pool.num; i++) {
        struct device *device = pool_at(&table->device_pool, i);
        while (atomic_load(&device->credentials) != NULL) {
            drop_credential(table, &device->credentials);
        }
        index_del(&table->devices, &device->node);
    }
    free_retired(table);
    index_free(&table->devices);
    index_free(&table->by_sha256);
    index_free(&table->by_serial);
    names_free(table->models);
    names_free(table->authorities);
    pool_cleanup(&table->device_pool);
    pool_cleanup(&table->credential_pool);
    free(table);
}

struct load {
    struct fleet_table *table;
    enum status status;
};

static bool load_device(void *context, const struct device_row *row) {
    struct load *load = context;
    load->status = fleet_put_device(load->table, row->id, row->model, row->state,
                                    (enum verdict)row->verdict, (enum tier)row->tier);
    if (load->status == STATUS_OK) {
        fleet_put_trustworthiness(load->table, row->id, row->trustworthiness);
    }
    return load->status == STATUS_OK;
}

static bool load_credential(void *context, const struct credential_row *row) {
    struct load *load = context;
    load->status = fleet_put_credential(load->table, row);
    return load->status == STATUS_OK;
}

/* Room for what will come, once and not by doubling under way. */
static enum status expect(struct fleet_table *table, struct store_reader *reader) {
    enum { COUNTS_MAX = 16 << 20 };
    __attribute__((cleanup(arena_free))) struct arena arena;
    arena_init(&arena, COUNTS_MAX);
    struct fleet_count *count;
    size_t num;
    enum status status = store_fleet_counts(reader, &arena, &count, &num);
    uint64_t devices = 0;
    for (size_t i = 0; status == STATUS_OK && i < num; i++) {
        devices += (uint64_t)count[i].num;
    }
    index_grow(&table->devices, devices);
    index_grow(&table->by_sha256, devices);
    index_grow(&table->by_serial, devices);
    return status;
}

/* A device is trusted together with a credential. One that is, and has none that is worth loading,
 * had a lease, and it ended. */
static void mark_lapsed(struct fleet_table *table) {
    for (size_t i = 0; i < table->device_pool.num; i++) {
        struct device *device = pool_at(&table->device_pool, i);
        if (atomic_load(&device->lease) == 0 &&
            (atomic_load(&device->standing) >> 8 & 0xff) == VERDICT_TRUSTED) {
            atomic_store(&device->lease, LEASE_LAPSED);
        }
    }
}

enum status fleet_table_load(struct fleet_table *table, struct store_reader *reader, int64_t now,
                             struct detail *detail) {
    struct load load = {.table = table, .status = STATUS_OK};
    const struct store_visitor visitor = {&load, load_device, load_credential};
    enum status status = expect(table, reader);
    if (status == STATUS_OK) {
        status = store_walk(reader, &visitor, now - FLEET_REMEMBERS_S);
    }
    if (status == STATUS_OK) {
        status = load.status;
    }
    if (status != STATUS_OK) {
        return status_fail(detail, status, "cannot load the fleet from the store: %s",
                           status_name(status));
    }
    mark_lapsed(table);
    return STATUS_OK;
}
