/* kernel_command_line: what kernels were told. {"any_of": ["ro quiet"], "matching": ["ro root=UUID=*"],
 * "loader": "grub"}. Every command line in the log has to be one of these, whatever it is labelled, and
 * the stated loader has to have measured one: "grub" (PCR 8, which is the default; a command line is
 * without the kernel's path), "systemd_stub" (PCRs 11 and 12) or "linux_stub" (PCR 9).
 *
 * In `matching`, `*` stands for any number of characters of one word: never for white space or a quote,
 * so that it lets no further argument in. Everything else stands for itself. */
#include "server/appraisal/rule_text.h"

#include <string.h>

enum {
    PATTERNS_MAX = 256,
    PATTERN_MAX =
        4096, /* as long as any architecture's COMMAND_LINE_SIZE; longer ones match nothing */
    PATTERNS_SHOWN = 8
};

struct patterns {
    const char **text;
    size_t num;
};
struct command_line {
    struct patterns any_of, matching;
    enum fact_loader loader;
    uint32_t pcrs; /* in which it measures */
};

/* --- reading ------------------------------------------------------------------------------------ */

static const struct loader {
    const char *name;
    enum fact_loader loader;
    uint32_t pcrs;
} loaders[] = {{"grub", FACT_LOADER_GRUB, 1u << 8},
               {"systemd_stub", FACT_LOADER_SYSTEMD_STUB, 1u << 11 | 1u << 12},
               {"linux_stub", FACT_LOADER_LINUX_STUB, 1u << 9}};

static enum status read_loader(struct compiling *c, const struct place *at,
                               struct command_line *rules) {
    const char *name = at->json == NULL ? loaders[0].name : json_string_value(at->json);
    for (size_t i = 0; name != NULL && i < sizeof loaders / sizeof *loaders; i++) {
        if (strcmp(name, loaders[i].name) == 0) {
            rules->loader = loaders[i].loader;
            rules->pcrs = loaders[i].pcrs;
            return STATUS_OK;
        }
    }
    return place_refuse(c, at, "it is none of \"grub\", \"systemd_stub\", \"linux_stub\"");
}

static enum status read_patterns(struct compiling *c, const struct place *at,
                                 struct patterns *out) {
    size_t num = 0;
    if (at->json == NULL) {
        return STATUS_OK;
    }
    enum status status = read_list(c, at, &num, PATTERNS_MAX);
    if (status != STATUS_OK) {
        return status;
    }
    out->text = arena_array(&c->baseline->arena, num, sizeof *out->text);
    if (out->text == NULL) {
        return STATUS_MEMORY;
    }
    for (; out->num < num && status == STATUS_OK; out->num++) {
        struct place element = place_element(at, out->num);
        status = read_text(c, &element, &out->text[out->num], PATTERN_MAX);
    }
    return status;
}

static enum status compile(struct compiling *c, const struct place *at, const void **out) {
    static const char *const known[] = {"any_of", "matching", "loader", NULL};
    struct place any_of = place_member(at, "any_of"), matching = place_member(at, "matching"),
                 loader = place_member(at, "loader");
    struct command_line *rules = arena_alloc(&c->baseline->arena, sizeof *rules);
    if (rules == NULL) {
        return STATUS_MEMORY;
    }
    enum status status = read_object(c, at, known);
    if (status == STATUS_OK) {
        status = read_patterns(c, &any_of, &rules->any_of);
    }
    if (status == STATUS_OK) {
        status = read_patterns(c, &matching, &rules->matching);
    }
    if (status == STATUS_OK) {
        status = read_loader(c, &loader, rules);
    }
    if (status == STATUS_OK && rules->any_of.num + rules->matching.num == 0) {
        return place_refuse(c, at, "it demands nothing");
    }
    *out = rules;
    return status;
}

/* --- matching ----------------------------------------------------------------------------------- */

/* What the kernel splits arguments at (0xA0 too: lib/ctype.c), and what joins words again. */
static bool ends_word(char character) {
    unsigned char byte = (unsigned char)character;
    return byte <= ' ' || byte == '"' || byte == 0x7F || byte == 0xA0;
}

/* The shortest run for each `*`, and longer ones for the last one seen: enough, since no run may hold
 * what another has to stop at. */
static bool matches(const char *pattern, const char *text) {
    const char *star = NULL, *from = NULL;
    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            from = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star != NULL && !ends_word(*from)) {
            pattern = star + 1;
            text = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

static bool is_allowed(const struct command_line *rules, const char *text) {
    for (size_t i = 0; i < rules->any_of.num; i++) {
        if (strcmp(rules->any_of.text[i], text) == 0) {
            return true;
        }
    }
    if (strlen(text) > PATTERN_MAX) {
        return false;
    }
    for (size_t i = 0; i < rules->matching.num; i++) {
        if (matches(rules->matching.text[i], text)) {
            return true;
        }
    }
    return false;
}

/* --- judging ------------------------------------------------------------------------------------ */

static const char *expected_text(struct arena *arena, const struct command_line *rules) {
    const char *text = "";
    size_t num = rules->any_of.num + rules->matching.num;
    size_t shown = num < PATTERNS_SHOWN ? num : PATTERNS_SHOWN;
    for (size_t i = 0; i < shown; i++) {
        bool exact = i < rules->any_of.num;
        const char *one =
            exact ? rules->any_of.text[i] : rules->matching.text[i - rules->any_of.num];
        text = joined_text(arena, text, ", ",
                           arena_printf(arena, exact ? "\"%s\"" : "matching \"%s\"", one));
    }
    return shown < num ? arena_printf(arena, "one of: %s and %zu more", text, num - shown)
                       : arena_printf(arena, "one of: %s", text);
}

/* *expected is put in words once for all lines. */
static void judge_line(struct judging *j, const char **expected, const struct command_line *rules,
                       const struct fact_command_line *line) {
    if (strcmp(line->text, FACT_TEXT_UNKNOWN) == 0) {
        judging_unbound(j, line->event, "a command line");
        return;
    }
    if (is_allowed(rules, line->text)) {
        return;
    }
    struct finding *finding = judging_add(j, "command_line_not_allowed", SEVERITY_DENY);
    if (finding != NULL) {
        finding->pcr = facts_event_pcr(j->facts, line->event);
        finding->event = (int)line->event;
        *expected = *expected != NULL ? *expected : expected_text(j->arena, rules);
        finding->expected = *expected;
        finding->found = arena_printf(j->arena, "\"%s\"", shown_text(j->arena, line->text));
        finding->remediation =
            arena_printf(j->arena,
                         "A kernel was given %s: restore the boot loader's configuration, or "
                         "approve this command line.",
                         finding->found);
    }
}

static void judge(struct judging *j, const void *rules) {
    const struct command_line *wanted = rules;
    const struct fact_os *os = &j->facts->os;
    const char *expected = NULL;
    bool measured = false;
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        if ((wanted->pcrs >> pcr & 1u) != 0 && !judging_logged(j, pcr)) {
            return;
        }
    }
    for (size_t i = 0; i < os->num_command_lines; i++) {
        measured = measured || os->command_line[i].loader == wanted->loader;
        judge_line(j, &expected, wanted, &os->command_line[i]);
    }
    struct finding *finding =
        measured ? NULL : judging_add(j, "command_line_missing", SEVERITY_DENY);
    if (finding != NULL) {
        finding->expected = expected_text(j->arena, wanted);
        finding->remediation =
            "The loader that the baseline names measured no command line: check how the kernel "
            "was started, and that the baseline's `loader` is the device's.";
    }
}

static uint32_t reads(const void *rules) {
    const struct command_line *wanted = rules;
    return wanted->pcrs;
}

/* The PCRs hold other things that the loader did, too. */
const struct rule_family rule_kernel_command_line = {
    .name = "kernel_command_line", .compile = compile, .judge = judge, .reads = reads};
