/* The kernel's command line, its initrd and the SBAT level as learned. */
#include "server/appraisal/learn_parts.h"

#include <string.h>
#include <strings.h>

enum { LINES_MAX = 64, LINE_MAX = 4096, INITRDS_MAX = 512, COMPONENTS_MAX = 64 };

/* --- the command line --- */

/* What names a disk or a machine, and so is another on each device. */
static const char *const own_words[] = {
    "root=UUID=",    "root=PARTUUID=",  "resume=UUID=",         "resume=PARTUUID=",
    "rd.luks.uuid=", "rd.luks.name=",   "luks.uuid=",           "cryptdevice=UUID=",
    "rd.md.uuid=",   "rd.lvm.uuid=",    "systemd.machine_id=",  "systemd.hostname=",
    "ostree=UUID=",  "mount.usr=UUID=", "rd.systemd.hostname=", "boot=UUID=",
};

static size_t own_prefix(const char *word) {
    for (size_t i = 0; i < sizeof own_words / sizeof *own_words; i++) {
        size_t len = strlen(own_words[i]);
        if (strncmp(word, own_words[i], len) == 0) {
            return len;
        }
    }
    return 0;
}

/* The text with `*` for what is a device's own; NULL on a full arena. */
static const char *pattern_of(struct arena *arena, const char *text) {
    char *out = arena_alloc(arena, strlen(text) + 1);
    size_t len = 0;
    bool starts = true;
    while (out != NULL && *text != '\0') {
        size_t own = starts ? own_prefix(text) : 0;
        if (own > 0 && text[own] != '\0' && strchr(" \"", text[own]) == NULL) {
            memcpy(out + len, text, own);
            len += own;
            out[len++] = '*';
            text += own + strcspn(text + own, " \"\t");
            continue;
        }
        starts = *text == ' ';
        out[len++] = *text++;
    }
    return out;
}

static const char *loader_name(enum fact_loader loader) {
    switch (loader) {
    case FACT_LOADER_SYSTEMD_STUB:
        return "systemd_stub";
    case FACT_LOADER_LINUX_STUB:
        return "linux_stub";
    case FACT_LOADER_GRUB:
        break;
    }
    return "grub";
}

static bool measured_by(const struct facts *facts, enum fact_loader loader) {
    for (size_t i = 0; i < facts->os.num_command_lines; i++) {
        if (facts->os.command_line[i].loader == loader) {
            return true;
        }
    }
    return false;
}

/* A loader that every device's log has a command line of. */
static bool choose_loader(const struct learning *l, enum fact_loader *out) {
    static const struct {
        enum fact_loader loader;
        unsigned pcr, other;
    } loaders[] = {{FACT_LOADER_GRUB, 8, 8},
                   {FACT_LOADER_SYSTEMD_STUB, 11, 12},
                   {FACT_LOADER_LINUX_STUB, 9, 9}};
    for (size_t k = 0; k < sizeof loaders / sizeof *loaders; k++) {
        bool all = learn_accounted(l, loaders[k].pcr) && learn_accounted(l, loaders[k].other);
        for (size_t i = 0; i < l->in->num && all; i++) {
            all = measured_by(learn_facts(l, i), loaders[k].loader);
        }
        if (all) {
            *out = loaders[k].loader;
            return true;
        }
    }
    return false;
}

struct lines {
    struct tally *exact, *pattern; /* every text; every pattern, with its devices */
    bool fits;
};

static void take_line(struct learning *l, struct lines *lines, const char *text, unsigned devices) {
    const char *pattern = pattern_of(l->arena, text);
    lines->fits = lines->fits && learn_can_say(text, LINE_MAX);
    if (pattern != NULL) {
        tally_add(lines->exact, bytes_of_text(text), NULL, devices);
        /* A `*` that is meant as one cannot be told apart in a pattern. */
        tally_add(lines->pattern, bytes_of_text(strchr(text, '*') == NULL ? pattern : text), NULL,
                  devices);
    }
}

static bool lines_of(struct learning *l, struct lines *lines) {
    *lines = (struct lines){tally_new(l->arena), tally_new(l->arena), true};
    if (lines->exact == NULL || lines->pattern == NULL) {
        return false;
    }
    for (size_t i = 0; i < l->in->num; i++) {
        const struct fact_os *os = &learn_facts(l, i)->os;
        for (size_t k = 0; k < os->num_command_lines && k < LINES_MAX; k++) {
            const char *text = os->command_line[k].text;
            bool again = false;
            for (size_t j = 0; j < k && !again; j++) {
                again = strcmp(os->command_line[j].text, text) == 0;
            }
            if (!again) {
                take_line(l, lines, text, l->in->source[i].devices);
            }
        }
    }
    lines->fits = lines->fits && lines->pattern->num <= LINES_MAX && !lines->exact->full;
    return true;
}

/* How many texts one pattern stands for. */
static size_t texts_under(struct learning *l, const struct lines *lines, struct bytes pattern,
                          struct bytes *one) {
    size_t num = 0;
    for (size_t i = 0; i < lines->exact->num; i++) {
        struct bytes text = lines->exact->of[i].value;
        const char *made = pattern_of(l->arena, (const char *)text.data);
        if (bytes_equal(text, pattern) ||
            (made != NULL && bytes_equal(bytes_of_text(made), pattern))) {
            *one = text;
            num++;
        }
    }
    return num;
}

static void write_texts(struct learning *l, const char *name, const struct tally *texts) {
    if (texts->num == 0) {
        return;
    }
    json_out_array(&l->o, name);
    for (size_t i = 0; i < texts->num; i++) {
        json_out_text(&l->o, NULL, (const char *)texts->of[i].value.data);
    }
    json_out_array_end(&l->o);
}

static void write_lines(struct learning *l, const struct lines *lines) {
    struct tally *any_of = tally_new(l->arena), *matching = tally_new(l->arena);
    struct learn_question question = {.subject = "kernel_command_line", .pcr = -1, .event = -1};
    bool own = false;
    for (size_t i = 0; any_of != NULL && matching != NULL && i < lines->pattern->num; i++) {
        const struct tally_value *pattern = &lines->pattern->of[i];
        struct bytes one = {NULL, 0};
        if (texts_under(l, lines, pattern->value, &one) > 1) {
            tally_add(matching, pattern->value, NULL, pattern->devices);
        } else {
            own = own || !bytes_equal(one, pattern->value);
            tally_add(any_of, one, NULL, pattern->devices);
        }
    }
    if (any_of == NULL || matching == NULL) {
        return;
    }
    write_texts(l, "any_of", any_of);
    write_texts(l, "matching", matching);
    if (matching->num > 0) {
        question.choice = LEARN_PATTERN;
        question.why = "what names a device's own disk differs: `*` stands for it, and for nothing "
                       "that could be a further argument";
        learn_ask_tally(l, question, matching, true);
    }
    if (any_of->num + matching->num > 1) {
        question.choice = LEARN_ANY_OF;
        question.why = learn_why_differs;
        learn_ask_tally(l, question, lines->pattern, true);
    } else if (own) {
        question.choice = LEARN_PINNED;
        question.why =
            "it names a disk or a machine, which was the same wherever this was learned; "
            "where it is not, list it under `matching` with `*` in its place";
        learn_ask_tally(l, question, any_of, true);
    }
}

void learn_command_line(struct learning *l) {
    enum fact_loader loader = FACT_LOADER_GRUB;
    struct lines lines;
    if (!learn_wants(l, LEARN_COMMAND_LINE) || !lines_of(l, &lines)) {
        return;
    }
    if (!choose_loader(l, &loader) || !lines.fits) {
        learn_ask_tally(l,
                        (struct learn_question){.subject = "kernel_command_line",
                                                .pcr = -1,
                                                .event = -1,
                                                .choice = LEARN_LEFT_OUT,
                                                .why = "not every device proves one, or they are "
                                                       "too many or too long to list"},
                        lines.pattern, true);
        return;
    }
    json_out_object(&l->o, "kernel_command_line");
    write_lines(l, &lines);
    json_out_text(&l->o, "loader", loader_name(loader));
    json_out_object_end(&l->o);
    l->learned |= LEARN_COMMAND_LINE;
}

/* --- initrd --- */

static bool tally_initrds(struct learning *l, struct tally *files) {
    bool all = true;
    for (size_t i = 0; i < l->in->num; i++) {
        const struct fact_os *os = &learn_facts(l, i)->os;
        bool has = false;
        for (size_t k = 0; k < os->num_files; k++) {
            if (os->file[k].is_initrd) {
                tally_add(files, os->file[k].digest[l->bank_index[i]],
                          path_base(l->arena, os->file[k].name), l->in->source[i].devices);
                has = true;
            }
        }
        all = all && has;
    }
    return all;
}

void learn_initrd(struct learning *l) {
    struct tally *files = tally_new(l->arena);
    if (files == NULL || !learn_wants(l, LEARN_INITRD) || !learn_accounted(l, 9)) {
        return;
    }
    bool all = tally_initrds(l, files), few = !files->full && files->num <= INITRDS_MAX;
    struct learn_question question = {.subject = "initrd", .pcr = 9, .event = -1};
    if (files->num > 0 && (!all || !few)) {
        question.choice = LEARN_LEFT_OUT;
        question.why = all ? "they are too many to list" : "some devices measure none";
        learn_ask_tally(l, question, files, false);
    }
    if (files->num == 0 || !all || !few) {
        return;
    }
    json_out_object(&l->o, "initrd");
    learn_write_allowed(l, "any_of", files);
    json_out_object_end(&l->o);
    l->learned |= LEARN_INITRD;
    if (files->num > 1) {
        question.choice = LEARN_ANY_OF;
        question.why = "each of these is allowed: an initrd that a device makes by itself will be "
                       "another after its next update";
        learn_ask_tally(l, question, files, false);
    }
}

/* --- SBAT --- */

/* Only what needs no escape as a member's name. */
static bool is_plain(const char *component) {
    size_t len = strspn(component, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                   "._-");
    return len > 0 && len <= 64 && component[len] == '\0';
}

/* The lowest level that any device has of it; 0: one has none. */
static uint32_t lowest(const struct learning *l, const char *component) {
    uint32_t out = UINT32_MAX;
    for (size_t i = 0; i < l->in->num; i++) {
        const struct fact_os *os = &learn_facts(l, i)->os;
        uint32_t level = 0;
        for (size_t k = 0; k < os->num_sbat && level == 0; k++) {
            level = strcmp(os->sbat[k].component, component) == 0 ? os->sbat[k].level : 0;
        }
        out = level < out ? level : out;
    }
    return out;
}

/* Its first mention: members stand once. */
static bool is_first(const struct fact_os *os, size_t position) {
    for (size_t i = 0; i < position; i++) {
        if (strcmp(os->sbat[i].component, os->sbat[position].component) == 0) {
            return false;
        }
    }
    return true;
}

void learn_sbat(struct learning *l) {
    const struct fact_os *os = &learn_facts(l, 0)->os;
    bool all = learn_wants(l, LEARN_SBAT) && learn_accounted(l, 7);
    size_t num = 0;
    for (size_t i = 0; i < l->in->num; i++) {
        const struct facts *facts = learn_facts(l, i);
        all = all && facts->os.sbat_event != FACT_NO_EVENT &&
              facts->secure_boot.distrusted_why == NULL;
    }
    for (size_t k = 0; all && k < os->num_sbat && num < COMPONENTS_MAX; k++) {
        const char *component = os->sbat[k].component;
        uint32_t level = is_plain(component) && is_first(os, k) ? lowest(l, component) : 0;
        /* The list's own generation says nothing of a component. */
        if (level == 0 || strcmp(component, "sbat") == 0) {
            continue;
        }
        if (num++ == 0) {
            json_out_object(&l->o, "sbat");
            json_out_object(&l->o, "at_least");
        }
        json_out_int(&l->o, component, level);
    }
    if (num > 0) {
        json_out_object_end(&l->o);
        json_out_object_end(&l->o);
        l->learned |= LEARN_SBAT;
    }
}
