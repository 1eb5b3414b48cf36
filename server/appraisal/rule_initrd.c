/* initrd: the initial file systems that a kernel was given. {"any_of": ["<hex>"]}, hashes of whole
 * files. Each file that the log calls an initrd has to be among them, as many of them as GRUB's
 * commands name have to be there, and one at least. Which of the files in PCR 9 they are is the log's
 * word; a baseline that leaves nothing to it lists all files of PCR 9 in `events`. */
#include "server/appraisal/rule_text.h"

enum { FILES_PCR = 9 };

static enum status compile(struct compiling *c, const struct place *at, const void **out) {
    static const char *const known[] = {"any_of", NULL};
    struct place any_of = place_member(at, "any_of");
    struct allowed *rules = arena_alloc(&c->baseline->arena, sizeof *rules);
    if (rules == NULL) {
        return STATUS_MEMORY;
    }
    enum status status = read_object(c, at, known);
    *out = rules;
    return status == STATUS_OK ? read_allowed(c, &any_of, rules, c->baseline->bank) : status;
}

static const char *name_of(struct judging *j, const struct fact_file *file) {
    return file->name == NULL ? "an initrd" : shown_text(j->arena, file->name);
}

static struct finding *deny(struct judging *j, const char *code, const struct allowed *allowed,
                            const struct fact_file *file) {
    struct finding *finding = judging_add(j, code, SEVERITY_DENY);
    if (finding != NULL) {
        finding->pcr = file == NULL ? FILES_PCR : (int)file->pcr;
        finding->event = file == NULL ? -1 : (int)file->event;
        finding->expected = allowed_text(j->arena, allowed);
    }
    return finding;
}

static void judge_file(struct judging *j, const struct allowed *allowed,
                       const struct fact_file *file) {
    struct bytes digest = file->digest[j->bank_index];
    struct finding *finding;
    if (allowed_has(allowed, digest)) {
        return;
    }
    if (digest.len == 0) { /* a command named it, and no event can be it */
        finding = deny(j, "initrd_missing", allowed, file);
        if (finding != NULL) {
            finding->found = arena_printf(j->arena, "no event of %s", name_of(j, file));
            finding->remediation = "The boot loader was told to load this file, and nothing says "
                                   "what was in it: find out who changed the log.";
        }
        return;
    }
    finding = deny(j, "initrd_not_allowed", allowed, file);
    if (finding != NULL) {
        finding->found = hex_text(j->arena, digest);
        finding->remediation =
            arena_printf(j->arena,
                         "%s, as the log calls it, is %s and not among %s: update the device, or "
                         "approve this file.",
                         name_of(j, file), finding->found, allowed_names(j->arena, allowed));
    }
}

static void judge(struct judging *j, const void *rules) {
    const struct allowed *allowed = rules;
    const struct fact_os *os = &j->facts->os;
    bool measured = false;
    if (!judging_logged(j, FILES_PCR)) {
        return;
    }
    for (size_t i = 0; i < os->num_files; i++) {
        if (os->file[i].is_initrd) {
            measured = true;
            judge_file(j, allowed, &os->file[i]);
        }
    }
    struct finding *finding = measured ? NULL : deny(j, "initrd_missing", allowed, NULL);
    if (finding != NULL) {
        finding->remediation = "No initrd was measured: check how the kernel was started.";
    }
}

static uint32_t reads(const void *rules) {
    (void)rules;
    return 1u << FILES_PCR;
}

const struct rule_family rule_initrd = {
    .name = "initrd", .compile = compile, .judge = judge, .reads = reads};
