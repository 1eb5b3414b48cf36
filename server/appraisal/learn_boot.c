/* The firmware and the images as learned. */
#include "server/appraisal/learn_parts.h"

#include <string.h>

enum {
    FIRMWARE_PCR = 0,
    BOOT_PCR = 4,
    VERSIONS_MAX = 32, /* with as many values each, what a baseline lists */
    VALUES_LISTED = 8,
    VERSION_MAX = 256,
    STEPS_MAX = 32,
    STABLE_AT = 2 /* boots that agree, before a value of PCR 0 counts as one that stays */
};

/* --- firmware --- */

/* Empty: none that a document could name. */
static struct bytes version_of(const struct facts *facts) {
    const char *version = facts->firmware.version;
    return version != NULL && learn_can_say(version, VERSION_MAX) ? bytes_of_text(version)
                                                                  : bytes_of(NULL, 0);
}

/* The values of PCR 0 under one version. */
static struct tally *values_under(struct learning *l, struct bytes version) {
    struct tally *tally = tally_new(l->arena);
    for (size_t i = 0; tally != NULL && i < l->in->num; i++) {
        if (bytes_equal(version_of(learn_facts(l, i)), version)) {
            tally_add(tally, bytes_of(learn_pcr(l, i, FIRMWARE_PCR)->value, digest_len(l->bank)),
                      NULL, l->in->source[i].devices);
        }
    }
    return tally;
}

/* Without a value of PCR 0 nothing that meets the baseline counts as measured: few different ones are
 * all listed. */
static bool lists_values(const struct tally *values) {
    return values->num <= VALUES_LISTED && !values->full;
}

static void ask_pcr0(struct learning *l, const struct tally *values) {
    struct learn_question question = {.subject = "firmware", .pcr = FIRMWARE_PCR, .event = -1};
    if (!lists_values(values)) {
        question.choice = LEARN_LEFT_OUT;
        question.why = "the same firmware leads to too many values of PCR 0 to list them: devices "
                       "that meet the baseline do not count as measured";
    } else if (values->num > 1) {
        question.choice = LEARN_ANY_OF;
        question.why = "the same firmware leads to different values of PCR 0: each value found is "
                       "allowed, and others may come";
    } else if (values->of[0].devices < STABLE_AT) {
        question.choice = LEARN_PINNED;
        question.why = "one boot does not tell whether PCR 0 stays the same: with some firmware it "
                       "does not; learn from two devices or more";
    } else {
        return;
    }
    learn_ask_tally(l, question, values, false);
}

static void write_entry(struct learning *l, struct bytes version, const struct bytes *pcr0) {
    json_out_object(&l->o, NULL);
    if (version.len > 0) {
        json_out_text(&l->o, "version",
                      arena_text_n(l->arena, (const char *)version.data, version.len));
    }
    if (pcr0 != NULL) {
        json_out_hex(&l->o, "pcr0", *pcr0);
    }
    json_out_object_end(&l->o);
}

static void write_version(struct learning *l, struct bytes version, const struct tally *values) {
    if (!lists_values(values)) {
        write_entry(l, version, NULL);
        return;
    }
    for (size_t i = 0; i < values->num; i++) {
        write_entry(l, version, &values->of[i].value);
    }
}

/* Every version is text, or has values that can be listed. */
static bool expressible(struct learning *l, const struct tally *versions) {
    bool logged = l->logged && learn_accounted(l, FIRMWARE_PCR);
    for (size_t v = 0; v < versions->num; v++) {
        struct bytes version = versions->of[v].value;
        const struct tally *values = values_under(l, version);
        if (values == NULL || ((version.len == 0 || !logged) && !lists_values(values))) {
            return false;
        }
    }
    return versions->num > 0 && versions->num <= VERSIONS_MAX;
}

void learn_firmware(struct learning *l) {
    struct tally *versions = tally_new(l->arena);
    if (versions == NULL || (l->dropped & LEARN_FIRMWARE) != 0) {
        return;
    }
    for (size_t i = 0; i < l->in->num; i++) {
        if (!learn_pcr(l, i, FIRMWARE_PCR)->quoted) {
            return;
        }
        tally_add(versions, version_of(learn_facts(l, i)), NULL, l->in->source[i].devices);
    }
    bool write = expressible(l, versions);
    if (write) {
        json_out_object(&l->o, "firmware");
        json_out_array(&l->o, "any_of");
    }
    for (size_t v = 0; v < versions->num && v < VERSIONS_MAX; v++) {
        const struct tally *values = values_under(l, versions->of[v].value);
        if (values == NULL) {
            return;
        }
        ask_pcr0(l, values);
        if (write) {
            write_version(l, versions->of[v].value, values);
        }
    }
    if (write) {
        json_out_array_end(&l->o);
        json_out_object_end(&l->o);
        l->learned |= LEARN_FIRMWARE;
    }
    if (write && versions->num > 1) {
        learn_ask_tally(l,
                        (struct learn_question){.subject = "firmware_version",
                                                .pcr = FIRMWARE_PCR,
                                                .event = -1,
                                                .choice = LEARN_ANY_OF,
                                                .why = learn_why_differs},
                        versions, true);
    }
}

/* --- the boot chain --- */

/* What one source ran, without what is loaded again directly after itself. */
struct chain {
    struct boot_step *step;
    size_t num;
};

static struct bytes digest_at(const struct learning *l, size_t source,
                              const struct boot_step *step) {
    return step->image->digest[l->bank_index[source]];
}

static bool chain_of(struct learning *l, struct chain *out, size_t source) {
    if (boot_steps(&out->step, &out->num, l->arena, learn_facts(l, source), FACT_IMAGE_BOOT) !=
        STATUS_OK) {
        return false;
    }
    size_t kept = 0;
    for (size_t i = 0; i < out->num; i++) {
        if (kept > 0 && bytes_equal(digest_at(l, source, &out->step[kept - 1]),
                                    digest_at(l, source, &out->step[i]))) {
            continue;
        }
        if (kept != i) {
            out->step[kept] = out->step[i];
        }
        kept++;
    }
    out->num = kept;
    return true;
}

static const char *chain_words(struct learning *l, const struct chain *chain) {
    const char *text = "";
    for (size_t i = 0; i < chain->num && i < STEPS_MAX; i++) {
        text = joined_text(l->arena, text, ", ", chain->step[i].name);
    }
    return chain->num == 0 ? "no image" : text;
}

/* The same steps by name, everywhere. */
static bool same_structure(struct learning *l, struct chain *chains, struct tally *structures) {
    for (size_t i = 0; i < l->in->num; i++) {
        if (!chain_of(l, &chains[i], i)) {
            return false;
        }
        const char *words = chain_words(l, &chains[i]);
        tally_add(structures, bytes_of_text(words == NULL ? "" : words), NULL,
                  l->in->source[i].devices);
    }
    return structures->num == 1 && chains[0].num > 0 && chains[0].num <= STEPS_MAX;
}

static void write_step(struct learning *l, const struct chain *chains, size_t step) {
    struct tally *images = tally_new(l->arena);
    for (size_t i = 0; images != NULL && i < l->in->num; i++) {
        const struct boot_step *one = &chains[i].step[step];
        tally_add(images, digest_at(l, i, one), one->label, l->in->source[i].devices);
    }
    if (images == NULL) {
        return;
    }
    json_out_object(&l->o, NULL);
    json_out_text(&l->o, "name", chains[0].step[step].name);
    learn_write_allowed(l, "any_of", images);
    json_out_object_end(&l->o);
    if (images->num > 1) {
        learn_ask_tally(
            l,
            (struct learn_question){.subject = arena_text(l->arena, chains[0].step[step].name),
                                    .pcr = BOOT_PCR,
                                    .event = (int)chains[0].step[step].image->event,
                                    .choice = LEARN_ANY_OF,
                                    .why = learn_why_differs},
            images, false);
    }
}

void learn_boot_chain(struct learning *l) {
    struct chain *chains = arena_array(l->arena, l->in->num, sizeof *chains);
    struct tally *structures = tally_new(l->arena);
    if (chains == NULL || structures == NULL || !learn_wants(l, LEARN_BOOT_CHAIN) ||
        !learn_accounted(l, BOOT_PCR)) {
        return;
    }
    if (!same_structure(l, chains, structures)) {
        learn_ask_tally(l,
                        (struct learn_question){.subject = "boot_chain",
                                                .pcr = BOOT_PCR,
                                                .event = -1,
                                                .choice = LEARN_LEFT_OUT,
                                                .why = "the devices boot in different steps, or in "
                                                       "none: learn those that are alike together"},
                        structures, true);
        return;
    }
    json_out_array(&l->o, "boot_chain");
    for (size_t step = 0; step < chains[0].num; step++) {
        write_step(l, chains, step);
    }
    json_out_array_end(&l->o);
    l->learned |= LEARN_BOOT_CHAIN;
}
