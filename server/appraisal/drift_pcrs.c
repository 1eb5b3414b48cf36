/* Drift that no component explains: PCR by PCR, with the events that differ. */
#include "server/appraisal/boot_steps.h"
#include "server/appraisal/drift_parts.h"
#include "server/appraisal/pcr_names.h"
#include "server/appraisal/rule_text.h"
#include "server/evidence/tpm2/event_types.h"

enum { IMA_PCR = 10, FIRST_IMA_COVERS = 0x3FF };

/* The events that make up one PCR, in order. */
struct extends {
    const struct fact_event **event;
    struct bytes *digest;
    size_t num;
};

static bool extends_of(struct drifting *d, struct extends *out, int side, unsigned pcr) {
    const struct facts *facts = d->facts[side];
    size_t num = 0;
    for (size_t i = 0; i < facts->num_events; i++) {
        num += facts->event[i].pcr == pcr ? 1 : 0;
    }
    *out = (struct extends){.event = arena_array(d->arena, num, sizeof *out->event),
                            .digest = arena_array(d->arena, num, sizeof *out->digest)};
    for (size_t i = 0; out->event != NULL && out->digest != NULL && i < facts->num_events; i++) {
        const struct fact_event *event = &facts->event[i];
        if (event->pcr == pcr && event->digest_vouched >= VOUCHED_REPLAYED &&
            event->digest[d->bank[side]].len > 0) {
            out->event[out->num] = event;
            out->digest[out->num++] = event->digest[d->bank[side]];
        }
    }
    return out->event != NULL && out->digest != NULL;
}

struct residue {
    size_t num;                     /* events that differ and that no change names */
    const struct fact_event *first; /* of them; of the later boot where there is one */
    bool explained;                 /* some that differ are named */
};

static void note(struct drifting *d, struct residue *out, int side,
                 const struct fact_event *event) {
    if (event->index < FACTS_MAX_EVENTS && d->explained[side][event->index] != 0) {
        out->explained = true;
        return;
    }
    out->num++;
    if (out->first == NULL) {
        out->first = event;
    }
}

static struct residue residue_of(struct drifting *d, unsigned pcr) {
    struct residue out = {0};
    struct extends a, b;
    size_t num = 0;
    if (!d->facts[DRIFT_BEFORE]->has_log || !d->facts[DRIFT_AFTER]->has_log) {
        return out;
    }
    if (!extends_of(d, &a, DRIFT_BEFORE, pcr) || !extends_of(d, &b, DRIFT_AFTER, pcr)) {
        return out;
    }
    struct drift_gap *gap = drift_align(d->arena, &num, a.digest, a.num, b.digest, b.num);
    for (size_t k = 0; gap != NULL && k < num; k++) {
        for (size_t j = gap[k].b_from; j < gap[k].b_to; j++) {
            note(d, &out, DRIFT_AFTER, b.event[j]);
        }
        for (size_t i = gap[k].a_from; i < gap[k].a_to; i++) {
            note(d, &out, DRIFT_BEFORE, a.event[i]);
        }
    }
    return out;
}

static const char *residue_words(struct arena *arena, unsigned pcr, const struct residue *residue) {
    if (residue->first == NULL) {
        return arena_printf(arena,
                            "PCR %u (%s) has another value, which no event explains: check %s", pcr,
                            pcr_meaning(pcr), pcr_suspect(pcr));
    }
    const char *type = tcg_event_type_name(residue->first->type);
    return arena_printf(arena,
                        "PCR %u (%s): %zu event%s, the first of them event %u (%s): check %s", pcr,
                        pcr_meaning(pcr), residue->num, residue->num == 1 ? " differs" : "s differ",
                        (unsigned)residue->first->index, type == NULL ? "of no known type" : type,
                        pcr_suspect(pcr));
}

static void compare_value(struct drifting *d, unsigned pcr, const struct fact_pcr *a,
                          const struct fact_pcr *b, size_t len) {
    struct residue residue = residue_of(d, pcr);
    if (residue.num == 0 && residue.explained) {
        return;
    }
    drift_add(d, (struct drift_change){
                     .subject = "pcr",
                     .kind = DRIFT_CHANGED,
                     .before = hex_text(d->arena, bytes_of(a->value, len)),
                     .after = hex_text(d->arena, bytes_of(b->value, len)),
                     .pcr = (int)pcr,
                     .event = residue.first == NULL ? -1 : drift_event(residue.first->index),
                     .text = residue_words(d->arena, pcr, &residue)});
}

static void compare_quoted(struct drifting *d, unsigned pcr, bool has) {
    drift_add(d, (struct drift_change){.subject = "pcr",
                                       .kind = has ? DRIFT_ADDED : DRIFT_REMOVED,
                                       .pcr = (int)pcr,
                                       .event = -1,
                                       .text = arena_printf(d->arena, "PCR %u (%s) %s", pcr,
                                                            pcr_meaning(pcr),
                                                            has ? "is quoted, and was not before"
                                                                : "is not quoted any more")});
}

void drift_pcrs(struct drifting *d) {
    const struct fact_bank *a = &d->facts[DRIFT_BEFORE]->bank[d->bank[DRIFT_BEFORE]],
                           *b = &d->facts[DRIFT_AFTER]->bank[d->bank[DRIFT_AFTER]];
    size_t len = digest_len(a->alg);
    /* A value that IMA's log explains is not kept; what stands for it is no TPM's (kept.h). */
    bool ima = d->facts[DRIFT_BEFORE]->ima.known || d->facts[DRIFT_AFTER]->ima.known ||
               bytes_all(bytes_of(a->pcr[IMA_PCR].value, len), 0xFF) ||
               bytes_all(bytes_of(b->pcr[IMA_PCR].value, len), 0xFF);
    uint32_t differ = 0;
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        bool both = a->pcr[pcr].quoted && b->pcr[pcr].quoted;
        if (both &&
            !bytes_equal(bytes_of(a->pcr[pcr].value, len), bytes_of(b->pcr[pcr].value, len))) {
            differ |= 1u << pcr;
        }
    }
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        /* IMA's log explains its own, and its first entry is a hash of PCRs 0-9. */
        if (pcr == IMA_PCR && (ima || (differ & FIRST_IMA_COVERS) != 0)) {
            continue;
        }
        if ((differ >> pcr & 1) != 0) {
            compare_value(d, pcr, &a->pcr[pcr], &b->pcr[pcr], len);
        } else if (pcr != IMA_PCR && a->pcr[pcr].quoted != b->pcr[pcr].quoted) {
            compare_quoted(d, pcr, b->pcr[pcr].quoted);
        }
    }
}
