/* Drift of the operating system's start: the kernel's command line word by word, the files that its
 * loader read, shim's SBAT level. */
#include "server/appraisal/boot_steps.h"
#include "server/appraisal/drift_parts.h"
#include "server/appraisal/rule_text.h"

#include <string.h>

/* --- the command line --- */

/* The one that a label calls so; else the first; NULL: none. */
static const struct fact_command_line *main_line(const struct facts *facts) {
    const struct fact_command_line *line = facts->os.command_line;
    for (size_t i = 0; i < facts->os.num_command_lines; i++) {
        if (line[i].labelled) {
            return &line[i];
        }
    }
    return facts->os.num_command_lines == 0 ? NULL : line;
}

static struct bytes *words_of(struct arena *arena, size_t *num, const char *text) {
    struct bytes *out = arena_array(arena, strlen(text) / 2 + 1, sizeof *out);
    *num = 0;
    while (out != NULL && *text != '\0') {
        size_t len = strcspn(text, " ");
        if (len > 0) {
            out[(*num)++] = bytes_of(text, len);
        }
        text += len + strspn(text + len, " ");
    }
    return out;
}

static bool same_key(struct bytes a, struct bytes b) {
    const uint8_t *x = memchr(a.data, '=', a.len), *y = memchr(b.data, '=', b.len);
    return x != NULL && y != NULL && x - a.data == y - b.data &&
           memcmp(a.data, b.data, (size_t)(x - a.data)) == 0;
}

enum { WORDS_TOLD = 32 };
struct telling {
    struct arena *arena;
    const char *text;
    size_t num;
};

static void tell(struct telling *t, const char *what, struct bytes word, const char *and_then) {
    if (t->text != NULL && t->num++ == WORDS_TOLD) {
        t->text = arena_printf(t->arena, "%s; and more", t->text);
    } else if (t->text != NULL && t->num <= WORDS_TOLD) {
        t->text = arena_printf(t->arena, "%s%s%s%.*s%s", t->text, *t->text == '\0' ? "" : "; ",
                               what, (int)word.len, (const char *)word.data, and_then);
    }
}

static void tell_words(struct telling *t, const struct bytes *a, const struct bytes *b,
                       const struct drift_gap *gap) {
    size_t i = gap->a_from, j = gap->b_from;
    while (i < gap->a_to || j < gap->b_to) {
        if (i < gap->a_to && j < gap->b_to && same_key(a[i], b[j])) {
            const char *became =
                arena_printf(t->arena, " became %.*s", (int)b[j].len, (const char *)b[j].data);
            tell(t, "", a[i++], became == NULL ? "" : became);
            j++;
        } else if (i < gap->a_to) {
            tell(t, "", a[i++], " was removed");
        } else {
            tell(t, "", b[j++], " was added");
        }
    }
}

static const char *tell_difference(struct arena *arena, const char *before, const char *after) {
    size_t num_a, num_b, num = 0;
    struct bytes *a = words_of(arena, &num_a, before), *b = words_of(arena, &num_b, after);
    struct telling t = {arena, "", 0};
    if (a == NULL || b == NULL) {
        return NULL;
    }
    struct drift_gap *gap = drift_align(arena, &num, a, num_a, b, num_b);
    for (size_t i = 0; gap != NULL && i < num; i++) {
        tell_words(&t, a, b, &gap[i]);
    }
    return t.text == NULL ? NULL
                          : arena_printf(arena, "kernel command line: %s",
                                         *t.text == '\0' ? "only its spaces changed" : t.text);
}

/* What says the same in another event ("linux ..." of GRUB) is the same change. */
static void explain_lines(struct drifting *d, int side, const char *text) {
    const struct facts *facts = d->facts[side];
    for (size_t i = 0; i < facts->os.num_command_lines; i++) {
        if (strcmp(facts->os.command_line[i].text, text) == 0) {
            drift_explain(d, side, facts->os.command_line[i].event);
        }
    }
}

static int pcr_of_event(const struct facts *facts, uint32_t event) {
    for (size_t i = 0; i < facts->num_events; i++) {
        if (facts->event[i].index == event) {
            return (int)facts->event[i].pcr;
        }
    }
    return -1;
}

static void compare_paths(struct drifting *d, const struct fact_command_line *a,
                          const struct fact_command_line *b) {
    if (a->image == NULL || b->image == NULL || strcmp(a->image, b->image) == 0) {
        return;
    }
    explain_lines(d, DRIFT_BEFORE, a->text);
    explain_lines(d, DRIFT_AFTER, b->text);
    drift_add(d, (struct drift_change){
                     .subject = "kernel_path",
                     .kind = DRIFT_REPLACED,
                     .before = a->image,
                     .after = b->image,
                     .pcr = pcr_of_event(d->facts[DRIFT_AFTER], b->event),
                     .event = drift_event(b->event),
                     .text = arena_printf(d->arena, "kernel: it was read from %s, and now from %s",
                                          a->image, b->image)});
}

static void compare_lines(struct drifting *d) {
    const struct fact_command_line *a = main_line(d->facts[DRIFT_BEFORE]),
                                   *b = main_line(d->facts[DRIFT_AFTER]);
    if (a != NULL && b != NULL) {
        compare_paths(d, a, b);
    }
    if (a == NULL ? b == NULL : b != NULL && strcmp(a->text, b->text) == 0) {
        return;
    }
    const struct fact_command_line *one = b != NULL ? b : a;
    struct drift_change change = {
        .subject = "kernel_command_line",
        .kind = a == NULL   ? DRIFT_ADDED
                : b == NULL ? DRIFT_REMOVED
                            : DRIFT_CHANGED,
        .pcr = pcr_of_event(d->facts[b != NULL ? DRIFT_AFTER : DRIFT_BEFORE], one->event),
        .event = drift_event(one->event)};
    if (a != NULL) {
        change.before = a->text;
        explain_lines(d, DRIFT_BEFORE, a->text);
    }
    if (b != NULL) {
        change.after = b->text;
        explain_lines(d, DRIFT_AFTER, b->text);
    }
    change.text = a == NULL   ? arena_printf(d->arena,
                                             "kernel command line: \"%s\" was measured, and "
                                               "none before",
                                             b->text)
                  : b == NULL ? "kernel command line: none was measured any more"
                              : tell_difference(d->arena, a->text, b->text);
    drift_add(d, change);
}

/* --- files --- */

struct files {
    const struct fact_file **file;
    struct bytes *digest;
    size_t num;
};

static bool files_of(struct drifting *d, struct files *out, int side, bool initrd) {
    const struct fact_os *os = &d->facts[side]->os;
    out->file = arena_array(d->arena, os->num_files, sizeof *out->file);
    out->digest = arena_array(d->arena, os->num_files, sizeof *out->digest);
    out->num = 0;
    for (size_t i = 0; out->digest != NULL && out->file != NULL && i < os->num_files; i++) {
        if (os->file[i].is_initrd == initrd) {
            out->file[out->num] = &os->file[i];
            out->digest[out->num++] = os->file[i].digest[d->bank[side]];
        }
    }
    return out->file != NULL && out->digest != NULL;
}

static void add_file(struct drifting *d, const struct files *a, size_t i, const struct files *b,
                     size_t j, bool had, bool has) {
    const struct fact_file *one = has ? b->file[j] : a->file[i];
    const char *subject = one->is_initrd ? "initrd" : "file";
    struct drift_change change = {.subject = subject,
                                  .kind = !had   ? DRIFT_ADDED
                                          : !has ? DRIFT_REMOVED
                                                 : DRIFT_REPLACED,
                                  .pcr = (int)one->pcr,
                                  .event = drift_event(one->event)};
    if (had) {
        change.before = hex_text(d->arena, a->digest[i]);
        drift_explain(d, DRIFT_BEFORE, a->file[i]->event);
    }
    if (has) {
        change.after = hex_text(d->arena, b->digest[j]);
        drift_explain(d, DRIFT_AFTER, b->file[j]->event);
    }
    const char *name = one->name == NULL ? "without a name" : one->name;
    change.text = !had ? arena_printf(d->arena, "%s: %s was read, and not before", subject, name)
                  : !has
                      ? arena_printf(d->arena, "%s: %s was not read again", subject, name)
                      : arena_printf(d->arena, "%s: %s (%s) became %s (%s)", subject,
                                     a->file[i]->name == NULL ? "without a name" : a->file[i]->name,
                                     digest_short(d->arena, a->digest[i]), name,
                                     digest_short(d->arena, b->digest[j]));
    drift_add(d, change);
}

static void compare_files(struct drifting *d, bool initrd) {
    struct files a, b;
    size_t num = 0;
    if (!files_of(d, &a, DRIFT_BEFORE, initrd) || !files_of(d, &b, DRIFT_AFTER, initrd)) {
        return;
    }
    struct drift_gap *gap = drift_align(d->arena, &num, a.digest, a.num, b.digest, b.num);
    for (size_t k = 0; gap != NULL && k < num; k++) {
        size_t i = gap[k].a_from, j = gap[k].b_from;
        while ((i < gap[k].a_to || j < gap[k].b_to) && !d->out.cut) {
            bool had = i < gap[k].a_to, has = j < gap[k].b_to;
            add_file(d, &a, i, &b, j, had, has);
            i += had ? 1 : 0;
            j += has ? 1 : 0;
        }
    }
}

/* --- SBAT --- */

static const struct fact_sbat_level *level_of(const struct fact_os *os, const char *component) {
    for (size_t i = 0; i < os->num_sbat; i++) {
        if (strcmp(os->sbat[i].component, component) == 0) {
            return &os->sbat[i];
        }
    }
    return NULL;
}

static void compare_level(struct drifting *d, const struct fact_sbat_level *a,
                          const struct fact_sbat_level *b) {
    if (a != NULL && b != NULL && a->level == b->level) {
        return;
    }
    const struct fact_sbat_level *either = b != NULL ? b : a;
    uint32_t event = d->facts[b != NULL ? DRIFT_AFTER : DRIFT_BEFORE]->os.sbat_event;
    struct drift_change change = {.subject = "sbat",
                                  .kind = a == NULL   ? DRIFT_ADDED
                                          : b == NULL ? DRIFT_REMOVED
                                                      : DRIFT_CHANGED,
                                  .pcr = 7,
                                  .event = drift_event(event)};
    change.before = a == NULL ? NULL : arena_printf(d->arena, "%u", (unsigned)a->level);
    change.after = b == NULL ? NULL : arena_printf(d->arena, "%u", (unsigned)b->level);
    const char *component = either->component;
    change.text = a == NULL ? arena_printf(d->arena, "SBAT: %s %s is demanded, and was not before",
                                           component, change.after)
                  : b == NULL ? arena_printf(d->arena, "SBAT: %s %s is not demanded any more",
                                             component, change.before)
                              : arena_printf(d->arena, "SBAT: the level of %s was %s, and is %s",
                                             component, change.before, change.after);
    drift_explain(d, DRIFT_BEFORE, d->facts[DRIFT_BEFORE]->os.sbat_event);
    drift_explain(d, DRIFT_AFTER, d->facts[DRIFT_AFTER]->os.sbat_event);
    drift_add(d, change);
}

static void compare_sbat(struct drifting *d) {
    const struct fact_os *a = &d->facts[DRIFT_BEFORE]->os, *b = &d->facts[DRIFT_AFTER]->os;
    for (size_t i = 0; i < a->num_sbat && !d->out.cut; i++) {
        compare_level(d, &a->sbat[i], level_of(b, a->sbat[i].component));
    }
    for (size_t i = 0; i < b->num_sbat && !d->out.cut; i++) {
        if (level_of(a, b->sbat[i].component) == NULL) {
            compare_level(d, NULL, &b->sbat[i]);
        }
    }
}

void drift_os(struct drifting *d) {
    compare_lines(d);
    compare_files(d, true);
    compare_files(d, false);
    compare_sbat(d);
}
