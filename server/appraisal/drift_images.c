/* Drift of what ran: boot loaders, kernels, drivers, and the firmware's own volumes. */
#include "server/appraisal/boot_steps.h"
#include "server/appraisal/drift_parts.h"
#include "server/appraisal/rule_text.h"

#include <string.h>

/* --- images --- */

struct chain {
    struct boot_step *step;
    size_t num;
    struct bytes *digest;
};

static bool chain_of(struct drifting *d, struct chain *out, int side, enum fact_image_kind kind) {
    if (boot_steps(&out->step, &out->num, d->arena, d->facts[side], kind) != STATUS_OK) {
        return false;
    }
    out->digest = arena_array(d->arena, out->num, sizeof *out->digest);
    for (size_t i = 0; out->digest != NULL && i < out->num; i++) {
        out->digest[i] = out->step[i].image->digest[d->bank[side]];
    }
    return out->digest != NULL;
}

static const char *image_words(struct arena *arena, const struct chain *chain, size_t i) {
    const char *digest = digest_short(arena, chain->digest[i]), *label = chain->step[i].label;
    return label == NULL ? digest : arena_printf(arena, "%s (%s)", label, digest);
}

/* A kernel that is loaded twice is one change. */
static bool told(const struct chain *a, const struct chain *b, const struct drift_gap *gap,
                 size_t k) {
    for (size_t i = 0; i < k; i++) {
        if (bytes_equal(a->digest[gap->a_from + i], a->digest[gap->a_from + k]) &&
            bytes_equal(b->digest[gap->b_from + i], b->digest[gap->b_from + k])) {
            return true;
        }
    }
    return false;
}

static void add_replaced(struct drifting *d, const struct chain *a, size_t i, const struct chain *b,
                         size_t j) {
    const char *before = image_words(d->arena, a, i), *after = image_words(d->arena, b, j);
    drift_add(d, (struct drift_change){.subject = b->step[j].name,
                                       .kind = DRIFT_REPLACED,
                                       .before = hex_text(d->arena, a->digest[i]),
                                       .after = hex_text(d->arena, b->digest[j]),
                                       .pcr = b->step[j].image->kind == FACT_IMAGE_BOOT ? 4 : 2,
                                       .event = drift_event(b->step[j].image->event),
                                       .text = arena_printf(d->arena, "%s: %s became %s",
                                                            b->step[j].name, before, after)});
}

static void add_one(struct drifting *d, const struct chain *chain, size_t i, bool added) {
    const char *digest = hex_text(d->arena, chain->digest[i]);
    drift_add(d,
              (struct drift_change){
                  .subject = chain->step[i].name,
                  .kind = added ? DRIFT_ADDED : DRIFT_REMOVED,
                  .before = added ? NULL : digest,
                  .after = added ? digest : NULL,
                  .pcr = chain->step[i].image->kind == FACT_IMAGE_BOOT ? 4 : 2,
                  .event = drift_event(chain->step[i].image->event),
                  .text = arena_printf(d->arena, "%s: %s %s", chain->step[i].name,
                                       image_words(d->arena, chain, i),
                                       added ? "ran, and did not before" : "did not run again")});
}

static void tell_gap(struct drifting *d, const struct chain *a, const struct chain *b,
                     const struct drift_gap *gap) {
    size_t num_a = gap->a_to - gap->a_from, num_b = gap->b_to - gap->b_from;
    size_t pairs = num_a < num_b ? num_a : num_b;
    for (size_t k = 0; k < pairs && !d->out.cut; k++) {
        if (!told(a, b, gap, k)) {
            add_replaced(d, a, gap->a_from + k, b, gap->b_from + k);
        }
    }
    for (size_t k = pairs; k < num_a && !d->out.cut; k++) {
        add_one(d, a, gap->a_from + k, false);
    }
    for (size_t k = pairs; k < num_b && !d->out.cut; k++) {
        add_one(d, b, gap->b_from + k, true);
    }
    for (size_t i = gap->a_from; i < gap->a_to; i++) {
        drift_explain(d, DRIFT_BEFORE, a->step[i].image->event);
    }
    for (size_t j = gap->b_from; j < gap->b_to; j++) {
        drift_explain(d, DRIFT_AFTER, b->step[j].image->event);
    }
}

static void compare_chain(struct drifting *d, enum fact_image_kind kind) {
    struct chain a, b;
    size_t num = 0;
    if (!chain_of(d, &a, DRIFT_BEFORE, kind) || !chain_of(d, &b, DRIFT_AFTER, kind)) {
        return;
    }
    struct drift_gap *gap = drift_align(d->arena, &num, a.digest, a.num, b.digest, b.num);
    for (size_t i = 0; gap != NULL && i < num; i++) {
        tell_gap(d, &a, &b, &gap[i]);
    }
}

void drift_images(struct drifting *d) {
    compare_chain(d, FACT_IMAGE_DRIVER);
    compare_chain(d, FACT_IMAGE_BOOT);
}

/* --- the firmware --- */

static const char *version_words(struct arena *arena, const struct fact_firmware *firmware) {
    return firmware->version_event == FACT_NO_EVENT ? NULL
           : firmware->version != NULL              ? firmware->version
                                                    : hex_text(arena, firmware->version_bytes);
}

static void compare_version(struct drifting *d) {
    const struct fact_firmware *a = &d->facts[DRIFT_BEFORE]->firmware,
                               *b = &d->facts[DRIFT_AFTER]->firmware;
    bool had = a->version_event != FACT_NO_EVENT, has = b->version_event != FACT_NO_EVENT;
    if (had == has && bytes_equal(a->version_bytes, b->version_bytes)) {
        return;
    }
    struct drift_change change = {.subject = "firmware_version",
                                  .kind = !had   ? DRIFT_ADDED
                                          : !has ? DRIFT_REMOVED
                                                 : DRIFT_REPLACED,
                                  .pcr = 0,
                                  .event = drift_event(has ? b->version_event : a->version_event)};
    change.before = version_words(d->arena, a);
    change.after = version_words(d->arena, b);
    change.text = arena_printf(d->arena, "firmware version: %s became %s",
                               change.before == NULL ? "none" : change.before,
                               change.after == NULL ? "none" : change.after);
    drift_explain(d, DRIFT_BEFORE, a->version_event);
    drift_explain(d, DRIFT_AFTER, b->version_event);
    drift_add(d, change);
}

static const char *blob_words(struct arena *arena, const struct fact_blob *blob) {
    return blob->description != NULL
               ? arena_printf(arena, "\"%s\"", blob->description)
               : arena_printf(arena, "at 0x%llx", (unsigned long long)blob->base);
}

static void add_blob(struct drifting *d, const struct fact_blob *before,
                     const struct fact_blob *after) {
    const struct fact_blob *one = after != NULL ? after : before;
    if (one == NULL) {
        return;
    }
    struct drift_change change = {.subject = "firmware",
                                  .kind = before == NULL  ? DRIFT_ADDED
                                          : after == NULL ? DRIFT_REMOVED
                                                          : DRIFT_REPLACED,
                                  .pcr = 0,
                                  .event = drift_event(one->event)};
    if (before != NULL) {
        change.before = hex_text(d->arena, before->digest[d->bank[DRIFT_BEFORE]]);
        drift_explain(d, DRIFT_BEFORE, before->event);
    }
    if (after != NULL) {
        change.after = hex_text(d->arena, after->digest[d->bank[DRIFT_AFTER]]);
        drift_explain(d, DRIFT_AFTER, after->event);
    }
    change.text = arena_printf(d->arena, "firmware: the volume %s %s", blob_words(d->arena, one),
                               before == NULL  ? "is new"
                               : after == NULL ? "is gone"
                                               : "has other contents");
    drift_add(d, change);
}

static struct bytes *blob_digests(struct drifting *d, int side) {
    const struct fact_firmware *firmware = &d->facts[side]->firmware;
    struct bytes *out = arena_array(d->arena, firmware->num_blobs, sizeof *out);
    for (size_t i = 0; out != NULL && i < firmware->num_blobs; i++) {
        out[i] = firmware->blob[i].digest[d->bank[side]];
    }
    return out;
}

void drift_firmware(struct drifting *d) {
    const struct fact_firmware *a = &d->facts[DRIFT_BEFORE]->firmware,
                               *b = &d->facts[DRIFT_AFTER]->firmware;
    struct bytes *before = blob_digests(d, DRIFT_BEFORE), *after = blob_digests(d, DRIFT_AFTER);
    size_t num = 0;
    compare_version(d);
    if (before == NULL || after == NULL) {
        return;
    }
    struct drift_gap *gap = drift_align(d->arena, &num, before, a->num_blobs, after, b->num_blobs);
    for (size_t i = 0; gap != NULL && i < num; i++) {
        size_t x = gap[i].a_from, y = gap[i].b_from;
        while ((x < gap[i].a_to || y < gap[i].b_to) && !d->out.cut) {
            add_blob(d, x < gap[i].a_to ? &a->blob[x] : NULL, y < gap[i].b_to ? &b->blob[y] : NULL);
            x += x < gap[i].a_to ? 1 : 0;
            y += y < gap[i].b_to ? 1 : 0;
        }
    }
}
