#include "server/fleet/rejudge.h"

#include "server/appraisal/trustworthiness.h"
#include "server/crypto/digest.h"
#include "server/evidence/tpm2/kept.h"
#include "server/fleet/ima_state.h"
#include "server/fleet/standing.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FACTS_SLOTS = 256, JUDGEMENT_SLOTS = 8192, JUDGEMENTS_MAX = JUDGEMENT_SLOTS * 3 / 4 };
enum { FACTS_MAX = 64 << 20, ALL_FACTS_MAX = 128 << 20, JUDGEMENTS_BYTES_MAX = 64 << 20 };
enum { APPRAISAL_BYTES_MAX = 16 << 20, IMA_BYTES_MAX = 128 << 20, KEY_LEN = 32 };

/* What one boot state says; a place is found by the state's digest, and taken over when another
 * comes to it. */
struct kept_facts {
    bool taken, damaged;
    uint8_t boot_state[32];
    struct arena arena;
    struct facts facts;
    struct detail why; /* damaged */
};

struct slot {
    bool taken;
    uint8_t key[KEY_LEN];
    struct judgement judgement;
};

struct rejudge {
    struct rejudge_options options;
    struct kept_facts *facts[FACTS_SLOTS]; /* NULL: never used */
    size_t facts_bytes;                    /* of all their arenas */
    struct slot *slot;                     /* open addressing; emptied when it fills up */
    size_t num_slots;
    struct arena judgements; /* what the slots point to */
    struct arena scratch;    /* of one appraisal */
    struct arena ima;        /* what IMA measured, of one device */
    struct judgement alone;  /* the latest that is not remembered */
    struct rejudge_counters counters;
};

enum status rejudge_new(struct rejudge **out, const struct rejudge_options *options) {
    struct rejudge *rejudge = calloc(1, sizeof *rejudge);
    struct slot *slot = calloc(JUDGEMENT_SLOTS, sizeof *slot);
    if (rejudge == NULL || slot == NULL) {
        free(rejudge);
        free(slot);
        return STATUS_MEMORY;
    }
    rejudge->options = *options;
    rejudge->slot = slot;
    arena_init(&rejudge->judgements, JUDGEMENTS_BYTES_MAX);
    arena_init(&rejudge->scratch, APPRAISAL_BYTES_MAX);
    arena_init(&rejudge->ima, IMA_BYTES_MAX);
    *out = rejudge;
    return STATUS_OK;
}

static void forget_facts(struct rejudge *rejudge) {
    for (size_t i = 0; i < FACTS_SLOTS; i++) {
        if (rejudge->facts[i] != NULL) {
            arena_free(&rejudge->facts[i]->arena);
            free(rejudge->facts[i]);
            rejudge->facts[i] = NULL;
        }
    }
    rejudge->facts_bytes = 0;
}

static void forget_judgements(struct rejudge *rejudge) {
    for (size_t i = 0; i < JUDGEMENT_SLOTS; i++) {
        rejudge->slot[i].taken = false;
    }
    rejudge->num_slots = 0;
    arena_free(&rejudge->judgements);
}

void rejudge_forget(struct rejudge *rejudge) {
    forget_facts(rejudge);
    forget_judgements(rejudge);
}

void rejudge_free(struct rejudge *rejudge) {
    if (rejudge == NULL) {
        return;
    }
    forget_facts(rejudge);
    arena_free(&rejudge->judgements);
    arena_free(&rejudge->scratch);
    arena_free(&rejudge->ima);
    free(rejudge->slot);
    free(rejudge);
}

struct rejudge_counters rejudge_count(const struct rejudge *rejudge) {
    return rejudge->counters;
}

struct question {
    const char *model;
    const struct device_standing_row *device;
    const struct judgement_draft *draft;
    int64_t now;
    const uint8_t *boot_state; /* NULL: none */
    bool looked_for_ima;       /* whether has_ima says anything yet */
    bool has_ima;              /* of the boot that the device is in */
    uint8_t ima_key[KEY_LEN];
};

/* --- what applies to a device --------------------------------------------------------------- */

struct applying {
    uint64_t generation;
    const struct leaked_keys *leaked_keys;
    const struct model_row *model;
    bool demands_ima; /* one of the baselines does */
    const struct baseline *baseline[BASELINE_MAX_PER_MODEL + 1];
    const char *id[BASELINE_MAX_PER_MODEL + 1];
    size_t num;
    const struct exception_row *exception[EXCEPTIONS_PER_DEVICE];
    size_t num_exceptions;
};

/* Those that the device's credentials were given by; a draft is tried with all of them. One that was
 * not needed yet only counts with the next evidence, whose credential ends with it. */
static void find_exceptions(struct applying *out, const struct policy *policy,
                            const char *device_id, const struct judgement_draft *draft,
                            int64_t now) {
    const struct exception_row *row[EXCEPTIONS_PER_DEVICE];
    size_t num = exceptions_find(policy_exceptions(policy), device_id, now, row);
    out->num_exceptions = 0;
    for (size_t i = 0; i < num; i++) {
        if (row[i]->in_use || draft != NULL) {
            out->exception[out->num_exceptions++] = row[i];
        }
    }
}

static bool is_replaced(const struct judgement_draft *draft, const char *id) {
    bool replaced = draft->alone || strcmp(id, draft->id) == 0;
    for (size_t i = 0; i < draft->num_replaces && !replaced; i++) {
        replaced = strcmp(id, draft->replaces[i]) == 0;
    }
    return replaced;
}

static void add_draft(struct applying *out, const struct judgement_draft *draft) {
    size_t kept = 0;
    for (size_t i = 0; i < out->num; i++) {
        if (!is_replaced(draft, out->id[i])) {
            out->baseline[kept] = out->baseline[i];
            out->id[kept++] = out->id[i];
        }
    }
    out->baseline[kept] = draft->baseline;
    out->id[kept++] = draft->id;
    out->num = kept;
}

/* Its pointers are good as long as the snapshot is held. False: no such model. */
static bool find_applying(struct applying *out, const struct policy *policy, const char *name,
                          const char *device_id, const struct judgement_draft *draft, int64_t now) {
    const struct policy_model *model = policy_model(policy, name);
    if (model == NULL) {
        return false;
    }
    out->generation = policy_generation(policy);
    out->leaked_keys = policy_leaked_keys(policy);
    out->model = &model->row;
    out->num = policy_baselines(model, device_id, now, out->baseline, out->id);
    if (draft != NULL) {
        add_draft(out, draft);
    }
    find_exceptions(out, policy, device_id, draft, now);
    out->demands_ima = false;
    for (size_t i = 0; i < out->num; i++) {
        out->demands_ima = out->demands_ima || baseline_demands_ima(out->baseline[i]);
    }
    return true;
}

/* Devices with equal keys are judged alike. */
static void make_key(uint8_t key[static KEY_LEN], const struct applying *applying,
                     const struct question *q) {
    uint8_t text[64 + KEY_LEN + STORE_NAME +
                 (BASELINE_MAX_PER_MODEL + 1 + EXCEPTIONS_PER_DEVICE) * STORE_ID];
    struct writer w = writer_of(text, sizeof text);
    write_u64be(&w, applying->generation);
    write_bytes(&w, bytes_of(q->boot_state, 32));
    if (applying->demands_ima) {
        write_bytes(&w, bytes_of(q->ima_key, sizeof q->ima_key));
    }
    write_bytes(&w, bytes_of(q->model, strlen(q->model) + 1));
    for (size_t i = 0; i < applying->num; i++) {
        write_bytes(&w, bytes_of(applying->id[i], STORE_ID - 1));
    }
    write_u8(&w, '/');
    for (size_t i = 0; i < applying->num_exceptions; i++) {
        write_bytes(&w, bytes_of(applying->exception[i]->id, STORE_ID - 1));
    }
    digest_compute(HASH_SHA256, writer_bytes(&w), key);
}

/* --- remembering ---------------------------------------------------------------------------- */

/* The one that has the key, or the free one where it belongs. */
static struct slot *find_slot(struct rejudge *rejudge, const uint8_t key[static KEY_LEN]) {
    size_t at = ((size_t)key[0] << 8 | key[1]) % JUDGEMENT_SLOTS;
    while (rejudge->slot[at].taken && memcmp(rejudge->slot[at].key, key, KEY_LEN) != 0) {
        at = (at + 1) % JUDGEMENT_SLOTS;
    }
    return &rejudge->slot[at];
}

static void digest_cause(struct judgement_cause *cause) {
    uint8_t digest[32], pcr[4];
    const char *texts[3] = {cause->code, cause->rule, cause->found == NULL ? "" : cause->found};
    struct writer w = writer_of(pcr, sizeof pcr);
    write_u32be(&w, (uint32_t)cause->pcr);
    digest_compute(HASH_SHA256, bytes_of(pcr, sizeof pcr), digest);
    for (size_t i = 0; i < 3; i++) {
        digest_compute2(HASH_SHA256, bytes_of(digest, sizeof digest),
                        bytes_of(texts[i], strlen(texts[i])), digest);
    }
    memcpy(cause->digest, digest, sizeof cause->digest);
}

static void take_causes(struct judgement *out, struct arena *arena,
                        const struct appraisal *appraisal) {
    struct judgement_cause *cause = arena_array(arena, appraisal->num_findings, sizeof *cause);
    for (size_t i = 0; i < appraisal->num_findings && cause != NULL; i++) {
        const struct finding *f = &appraisal->finding[i];
        if (f->severity != SEVERITY_DENY) {
            continue;
        }
        struct judgement_cause *c = &cause[out->num_causes++];
        *c = (struct judgement_cause){.code = arena_text(arena, f->code),
                                      .rule = arena_text(arena, f->rule),
                                      .pcr = f->pcr,
                                      .expected = arena_text(arena, f->expected),
                                      .found = arena_text(arena, f->found),
                                      .remediation = arena_text(arena, f->remediation)};
        if (!arena->overflow) {
            digest_cause(c);
        }
    }
    out->cause = cause;
}

/* What the model makes of it. */
static void take_tier(struct judgement *out, const struct model_row *model) {
    out->earns = out->verdict == VERDICT_TRUSTED && tier_earns(model, out->tier);
    (void)snprintf(out->segment, sizeof out->segment, "%s",
                   out->earns ? tier_segment(model, out->tier) : "");
}

/* Into memory of the judgements. MEMORY: it is full. */
static enum status take_appraisal(struct judgement *out, struct rejudge *rejudge,
                                  const struct appraisal *appraisal,
                                  const struct applying *applying) {
    struct arena *arena = &rejudge->judgements;
    *out = (struct judgement){.basis = JUDGED_FACTS,
                              .verdict = appraisal->verdict,
                              .tier = appraisal->tier,
                              .trustworthiness = trustworthiness_of(appraisal),
                              .generation = applying->generation};
    if (appraisal->baseline < applying->num) {
        memcpy(out->baseline_id, applying->id[appraisal->baseline], STORE_ID);
    }
    take_tier(out, applying->model);
    out->findings = findings_json(arena, appraisal->finding, appraisal->num_findings);
    take_causes(out, arena, appraisal);
    return arena->overflow ? STATUS_MEMORY : STATUS_OK;
}

/* --- facts ---------------------------------------------------------------------------------- */

static enum status read_facts(struct rejudge *rejudge, struct kept_facts *kept, bool give_up) {
    struct boot_state_row row;
    struct bytes log;
    enum status status =
        store_boot_state_get(rejudge->options.reader, &kept->arena, &row, &log, kept->boot_state);
    if (status == STATUS_OK) {
        rejudge->counters.facts_made++;
        status = boot_state_facts(&kept->facts, &kept->arena, row.form, log, &kept->why);
    } else {
        detail_set(&kept->why, "it cannot be read: %s", status_name(status));
    }
    bool again = status == STATUS_STORAGE || status == STATUS_MEMORY;
    kept->damaged = status != STATUS_OK && (give_up || !again);
    return kept->damaged ? STATUS_OK : status;
}

/* MEMORY and STORAGE leave nothing behind. */
static enum status find_facts(struct rejudge *rejudge, const struct kept_facts **out,
                              const uint8_t boot_state[static 32], bool give_up) {
    struct kept_facts **place = &rejudge->facts[boot_state[0] % FACTS_SLOTS], *kept = *place;
    if (kept != NULL && kept->taken && memcmp(kept->boot_state, boot_state, 32) == 0) {
        *out = kept;
        return STATUS_OK;
    }
    if (rejudge->facts_bytes > ALL_FACTS_MAX) {
        forget_facts(rejudge);
        kept = NULL;
    }
    if (kept == NULL) {
        kept = *place = calloc(1, sizeof *kept);
        if (kept == NULL) {
            return STATUS_MEMORY;
        }
        arena_init(&kept->arena, FACTS_MAX);
    }
    rejudge->facts_bytes -= kept->arena.used;
    arena_free(&kept->arena);
    kept->taken = false;
    memcpy(kept->boot_state, boot_state, 32);
    enum status status = read_facts(rejudge, kept, give_up);
    if (status != STATUS_OK || kept->damaged) {
        arena_free(&kept->arena);
    }
    rejudge->facts_bytes += kept->arena.used;
    kept->taken = status == STATUS_OK;
    *out = kept;
    return status;
}

/* --- judging -------------------------------------------------------------------------------- */

static enum status appraise_into(struct judgement *out, struct rejudge *rejudge,
                                 const struct applying *applying, const struct facts *facts) {
    struct appraisal appraisal = {0};
    struct appraisal_exception exception[EXCEPTIONS_PER_DEVICE];
    const struct appraisal_inputs inputs = {.baseline = applying->baseline,
                                            .num_baselines = applying->num,
                                            .leaked_keys = applying->leaked_keys,
                                            .exception = exception,
                                            .num_exceptions = applying->num_exceptions};
    for (size_t i = 0; i < applying->num_exceptions; i++) {
        exception[i] = exception_view(applying->exception[i]);
    }
    rejudge->counters.appraisals++;
    enum status status = appraise(&appraisal, &rejudge->scratch, facts, &inputs);
    if (status == STATUS_OK && appraisal.verdict == VERDICT_TRUSTED &&
        !tier_earns(applying->model, appraisal.tier)) {
        tier_add_finding(&appraisal, &rejudge->scratch,
                         (enum tier)applying->model->credential_tier);
        status = rejudge->scratch.overflow ? STATUS_MEMORY : STATUS_OK;
    }
    if (status == STATUS_OK) {
        status = take_appraisal(out, rejudge, &appraisal, applying);
    }
    arena_free(&rejudge->scratch);
    return status;
}

/* When the memory of the judgements is full, it is emptied, and this one is the first of the next. */
static enum status judge_facts(struct rejudge *rejudge, const struct judgement **out,
                               const uint8_t key[static KEY_LEN], const struct applying *applying,
                               const struct question *q, const struct facts *facts) {
    if (rejudge->num_slots >= JUDGEMENTS_MAX) {
        forget_judgements(rejudge);
    }
    struct judgement judgement;
    enum status status = appraise_into(&judgement, rejudge, applying, facts);
    if (status == STATUS_MEMORY && rejudge->num_slots > 0) {
        forget_judgements(rejudge);
        status = appraise_into(&judgement, rejudge, applying, facts);
    }
    if (status != STATUS_OK) {
        forget_judgements(rejudge);
        return status;
    }
    memcpy(judgement.boot_state, q->boot_state, sizeof judgement.boot_state);
    struct slot *slot = find_slot(rejudge, key);
    *slot = (struct slot){.taken = true, .judgement = judgement};
    memcpy(slot->key, key, KEY_LEN);
    rejudge->num_slots++;
    *out = &slot->judgement;
    return STATUS_OK;
}

/* Nothing is kept of what it booted, or not enough: by an older version, or it shows nothing. It stands as it did as
 * long as what admitted it is in force. */
static void judge_without(struct judgement *out, const struct device_standing_row *device,
                          const struct applying *applying) {
    static const struct judgement_cause cause = {
        .code = "no_facts",
        .rule = "evidence",
        .pcr = -1,
        .found = "nothing is kept of what the device booted",
        .remediation = "The baseline that admitted the device is not in force for it any more: it "
                       "has to attest again."};
    static const char findings[] =
        "[{\"code\":\"no_facts\",\"rule\":\"evidence\",\"pcr\":null,\"event\":null,"
        "\"expected\":null,\"found\":\"nothing is kept of what the device booted\","
        "\"severity\":\"deny\",\"remediation\":\"The baseline that admitted the device is not in "
        "force for it any more: it has to attest again.\",\"exception\":null}]";
    bool applies = device->verdict != VERDICT_TRUSTED || device->baseline_id[0] == '\0';
    for (size_t i = 0; i < applying->num && !applies; i++) {
        applies = strcmp(applying->id[i], device->baseline_id) == 0;
    }
    *out =
        (struct judgement){.basis = JUDGED_WITHOUT_FACTS,
                           .verdict = applies ? (enum verdict)device->verdict : VERDICT_UNTRUSTED,
                           .tier = applies ? (enum tier)device->tier : TIER_NONE,
                           .trustworthiness = applies ? device->trustworthiness : 0,
                           .findings = bytes_of_text(applies ? "[]" : findings),
                           .cause = &cause,
                           .num_causes = applies ? 0 : 1,
                           .generation = applying->generation};
    memcpy(out->baseline_id, device->baseline_id, sizeof out->baseline_id);
    take_tier(out, applying->model);
}

/* With the snapshot held. END: it takes facts, TRUNCATED: what IMA measured, which are not at hand. */
static enum status judge_held(struct rejudge *rejudge, const struct judgement **out,
                              const struct applying *applying, const struct question *q,
                              const struct facts *facts) {
    uint8_t key[KEY_LEN];
    if (q->boot_state != NULL && applying->demands_ima && !q->looked_for_ima) {
        return STATUS_TRUNCATED;
    }
    if (q->boot_state == NULL || (applying->demands_ima && !q->has_ima)) {
        judge_without(&rejudge->alone, q->device, applying);
        *out = &rejudge->alone;
        return STATUS_OK;
    }
    make_key(key, applying, q);
    const struct slot *slot = find_slot(rejudge, key);
    if (slot->taken) {
        rejudge->counters.shared++;
        *out = &slot->judgement;
        return STATUS_OK;
    }
    return facts == NULL ? STATUS_END : judge_facts(rejudge, out, key, applying, q, facts);
}

static enum status judge_once(struct rejudge *rejudge, const struct judgement **out,
                              const struct question *q, const struct facts *facts) {
    struct applying applying;
    enum status status = STATUS_NOT_FOUND;
    const struct policy *policy = policy_read_begin(rejudge->options.policy);
    if (find_applying(&applying, policy, q->model, q->device->device_id, q->draft, q->now)) {
        status = judge_held(rejudge, out, &applying, q, facts);
    }
    policy_read_end(rejudge->options.policy);
    return status;
}

static enum status judge_damaged(struct rejudge *rejudge, const struct judgement **out,
                                 const struct question *q, const char *why, struct detail *detail) {
    rejudge->alone = (struct judgement){.basis = JUDGED_DAMAGED};
    memcpy(rejudge->alone.boot_state, q->boot_state, sizeof rejudge->alone.boot_state);
    detail_set(detail, "%s", why);
    *out = &rejudge->alone;
    return STATUS_OK;
}

/* What is kept of IMA's log, when it is of the boot that the device is in. */
static enum status look_for_ima(struct rejudge *rejudge, struct question *q,
                                struct device_row *device) {
    struct ima_state state;
    struct store_reader *reader = rejudge->options.reader;
    enum status status = store_device_get(reader, &rejudge->ima, device, q->device->device_id);
    if (status == STATUS_OK) {
        status = ima_state_get(&state, &rejudge->ima, reader, device->id);
    }
    q->looked_for_ima = status == STATUS_OK || status == STATUS_NOT_FOUND;
    q->has_ima = status == STATUS_OK && device->has_clock &&
                 state.row.reset_count == device->tpm_reset_count &&
                 state.row.restart_count == device->tpm_restart_count;
    if (q->has_ima) {
        ima_state_key(q->ima_key, &state);
    }
    return q->looked_for_ima ? STATUS_OK : status;
}

static enum status judge_with_facts(struct rejudge *rejudge, const struct judgement **out,
                                    const struct question *q, const struct device_row *device,
                                    bool give_up, struct detail *detail) {
    const struct kept_facts *kept;
    assert(q->boot_state != NULL); /* without one it is judged without facts */
    enum status status = find_facts(rejudge, &kept, q->boot_state, give_up);
    if (status != STATUS_OK) {
        return status;
    }
    if (kept->damaged) {
        return judge_damaged(rejudge, out, q, kept->why.text, detail);
    }
    if (!q->has_ima) {
        return judge_once(rejudge, out, q, &kept->facts);
    }
    struct facts facts = kept->facts;
    status = ima_state_restore(&facts, &rejudge->ima, rejudge->options.reader, device);
    if (status != STATUS_OK) {
        return give_up ? judge_damaged(rejudge, out, q, "what IMA measured cannot be read", detail)
                       : status;
    }
    return judge_once(rejudge, out, q, &facts);
}

enum status rejudge_device(struct rejudge *rejudge, const struct judgement **out, const char *model,
                           const struct device_standing_row *device,
                           const struct judgement_draft *draft, int64_t now, bool give_up,
                           struct detail *detail) {
    struct device_boot_row boot;
    struct device_row row = {0};
    struct question q = {.model = model, .device = device, .draft = draft, .now = now};
    enum status status = store_device_boot_get(rejudge->options.reader, &boot, device->device_id);
    if (status == STATUS_OK) {
        q.boot_state = boot.boot_state;
    } else if (status != STATUS_NOT_FOUND) {
        return status;
    }
    status = judge_once(rejudge, out, &q, NULL);
    /* What follows is not with the snapshot held: the committer would wait for the disk. */
    if (status == STATUS_TRUNCATED) {
        status = look_for_ima(rejudge, &q, &row);
        status = status == STATUS_OK ? judge_once(rejudge, out, &q, NULL) : status;
    }
    if (status == STATUS_END) {
        status = judge_with_facts(rejudge, out, &q, &row, give_up, detail);
    }
    arena_free(&rejudge->ima);
    return status == STATUS_TRUNCATED ? STATUS_BUSY : status; /* the policy changed under way */
}
