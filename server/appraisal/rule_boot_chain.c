/* boot_chain: the images that ran (PCR 4), these in this order and nothing between.
 * [{"name": "shim", "any_of": [{"label": "15.8", "sha256": "<hex>"}]}, ...], digests as Authenticode has
 * them. An image that is loaded again directly after itself runs nothing new: GRUB checks a kernel
 * through shim and then starts it as an EFI application, which measures it twice. */
#include "server/appraisal/rule_text.h"

enum { BOOT_PCR = 4, MAX_STEPS = 32, NAME_MAX_LEN = 64 };

struct step {
    const char *name;
    struct allowed any_of;
};
struct boot_chain {
    struct step *step;
    size_t num;
};

/* --- reading ------------------------------------------------------------------------------------ */

static enum status read_step(struct compiling *c, const struct place *at, struct step *out) {
    static const char *const known[] = {"name", "any_of", NULL};
    struct place name = place_member(at, "name"), any_of = place_member(at, "any_of");
    enum status status = read_object(c, at, known);
    if (status == STATUS_OK) {
        status = read_text(c, &name, &out->name, NAME_MAX_LEN);
    }
    return status == STATUS_OK ? read_allowed(c, &any_of, &out->any_of, c->baseline->bank) : status;
}

static enum status compile(struct compiling *c, const struct place *at, const void **out) {
    struct boot_chain *rules = arena_alloc(&c->baseline->arena, sizeof *rules);
    if (rules == NULL) {
        return STATUS_MEMORY;
    }
    enum status status = read_list(c, at, &rules->num, MAX_STEPS);
    if (status == STATUS_OK) {
        rules->step = arena_array(&c->baseline->arena, rules->num, sizeof *rules->step);
        status = rules->step == NULL ? STATUS_MEMORY : STATUS_OK;
    }
    for (size_t i = 0; i < rules->num && status == STATUS_OK; i++) {
        struct place element = place_element(at, i);
        status = read_step(c, &element, &rules->step[i]);
    }
    *out = rules;
    return status;
}

/* --- findings ----------------------------------------------------------------------------------- */

static struct bytes digest_of(const struct judging *j, const struct fact_image *image) {
    return image->digest[j->bank_index];
}

static struct finding *deny(struct judging *j, const char *code, const struct fact_image *image) {
    struct finding *finding = judging_add(j, code, SEVERITY_DENY);
    if (finding != NULL) {
        finding->pcr = BOOT_PCR;
        finding->event = image == NULL ? -1 : (int)image->event;
    }
    return finding;
}

/* "5f21ff2c... (\vmlinuz, as the log says)": paths are claims. */
static const char *image_name(struct judging *j, const struct fact_image *image) {
    const char *hex =
        hex_text(j->arena, bytes_of(digest_of(j, image).data, digest_of(j, image).len > 4 ? 4 : 0));
    const char *path = image->path == NULL ? "" : shown_text(j->arena, image->path);
    if (hex == NULL || path == NULL) {
        return NULL;
    }
    return path[0] == '\0' ? arena_printf(j->arena, "%s...", hex)
                           : arena_printf(j->arena, "%s... (%s, as the log says)", hex, path);
}

static void deny_other(struct judging *j, const struct step *step, const struct fact_image *image) {
    struct finding *finding = deny(j, "image_not_allowed", image);
    if (finding != NULL) {
        finding->expected =
            arena_printf(j->arena, "%s: %s", step->name, allowed_text(j->arena, &step->any_of));
        finding->found =
            arena_printf(j->arena, "%s: %s", step->name, hex_text(j->arena, digest_of(j, image)));
        finding->remediation = arena_printf(
            j->arena, "%s: %s is not among %s: update the device, or approve this image.",
            step->name, image_name(j, image), allowed_names(j->arena, &step->any_of));
    }
}

/* `step` NULL: behind the last one. */
static void deny_extra(struct judging *j, const struct step *step, const struct fact_image *image) {
    struct finding *finding = deny(j, "image_unexpected", image);
    if (finding != NULL) {
        const char *where =
            step == NULL ? "after the last one" : arena_printf(j->arena, "before %s", step->name);
        finding->expected = arena_printf(j->arena, "no other image %s", where);
        finding->found =
            arena_printf(j->arena, "%s %s", hex_text(j->arena, digest_of(j, image)), where);
        finding->remediation =
            arena_printf(j->arena,
                         "%s ran %s of the boot chain, where the baseline has nothing: find out "
                         "what started it, or approve it as a step.",
                         image_name(j, image), where);
    }
}

static void deny_missing(struct judging *j, const struct step *step) {
    struct finding *finding = deny(j, "image_missing", NULL);
    if (finding != NULL) {
        finding->expected =
            arena_printf(j->arena, "%s: %s", step->name, allowed_text(j->arena, &step->any_of));
        finding->found = arena_printf(j->arena, "no %s", step->name);
        finding->remediation =
            arena_printf(j->arena,
                         "%s did not run: restore the boot loader's configuration, or approve a "
                         "baseline without this step.",
                         step->name);
    }
}

/* --- judging ------------------------------------------------------------------------------------ */

/* Bit s: step s allows it. */
static uint64_t allowing(const struct boot_chain *rules, struct bytes digest) {
    uint64_t mask = 0;
    for (size_t s = 0; s < rules->num; s++) {
        mask |= allowed_has(&rules->step[s].any_of, digest) ? UINT64_C(1) << s : 0;
    }
    return mask;
}

static const struct fact_image *next_image(const struct facts *facts, size_t *at) {
    while (*at < facts->num_images) {
        const struct fact_image *image = &facts->image[(*at)++];
        if (image->kind == FACT_IMAGE_BOOT) {
            return image;
        }
    }
    return NULL;
}

static bool same_again(struct bytes digest, struct bytes last) {
    return digest.len > 0 && bytes_equal(digest, last);
}

/* The image fits nowhere. Says so in the words that need the least change, and how many steps count as
 * done: the image stands before the step that is due, or steps before its own are missing, or it stands
 * in the place of the one that is due. */
static size_t deny_image(struct judging *j, const struct boot_chain *rules, size_t due,
                         const struct fact_image *image, size_t rest) {
    struct bytes digest = digest_of(j, image);
    const struct fact_image *after;
    if (due == rules->num) {
        deny_extra(j, NULL, image);
        return due;
    }
    do {
        after = next_image(j->facts, &rest);
    } while (after != NULL && same_again(digest_of(j, after), digest));
    if (after != NULL && allowed_has(&rules->step[due].any_of, digest_of(j, after))) {
        deny_extra(j, &rules->step[due], image);
        return due;
    }
    uint64_t later = allowing(rules, digest) >> due;
    if (later == 0) {
        deny_other(j, &rules->step[due], image);
        return due + 1;
    }
    for (; (later & 1) == 0; later >>= 1) {
        deny_missing(j, &rules->step[due++]);
    }
    return due + 1;
}

static size_t highest(uint64_t mask) {
    size_t bit = 0;
    while ((mask >>= 1) != 0) {
        bit++;
    }
    return bit;
}

static void judge(struct judging *j, const void *rules) {
    const struct boot_chain *chain = rules;
    const struct fact_image *image;
    uint64_t done = 1; /* bit n: the images so far are those of the first n steps */
    struct bytes last = {NULL, 0};
    if (!judging_logged(j, BOOT_PCR)) {
        return;
    }
    for (size_t at = 0; (image = next_image(j->facts, &at)) != NULL;) {
        struct bytes digest = digest_of(j, image);
        uint64_t next =
            (done & allowing(chain, digest)) << 1 | (same_again(digest, last) ? done : 0);
        done = next != 0 ? next : UINT64_C(1) << deny_image(j, chain, highest(done), image, at);
        last = digest;
    }
    for (size_t s = highest(done); s < chain->num; s++) {
        deny_missing(j, &chain->step[s]);
    }
}

/* All that PCR 4 holds is an image, or a text or separator that specifications put there. */
static uint32_t boot_pcr(const void *rules) {
    (void)rules;
    return 1u << BOOT_PCR;
}

const struct rule_family rule_boot_chain = {.name = "boot_chain",
                                            .compile = compile,
                                            .judge = judge,
                                            .reads = boot_pcr,
                                            .covers = boot_pcr};
