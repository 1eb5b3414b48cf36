/* initrd: the initial file systems that a kernel was given. {"any_of": ["<hex>"]}, hashes of whole
 * files. Each file that the log calls an initrd has to be among them, and there has to be one. Which
 * of the files in PCR 9 are initrds is the log's word; a baseline that leaves nothing to it lists
 * all files of PCR 9 in `events`. */
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

static void deny_file(struct judging *j, const struct allowed *allowed,
                      const struct fact_file *file) {
    struct finding *finding = judging_add(j, "initrd_not_allowed", SEVERITY_DENY);
    if (finding == NULL) {
        return;
    }
    const char *name = file->name == NULL ? "an initrd" : shown_text(j->arena, file->name);
    finding->pcr = (int)file->pcr;
    finding->event = (int)file->event;
    finding->expected = allowed_text(j->arena, allowed);
    finding->found = hex_text(j->arena, file->digest[j->bank_index]);
    finding->remediation =
        arena_printf(j->arena,
                     "%s, as the log calls it, is %s and not among %s: update the device, or "
                     "approve this file.",
                     name, finding->found, allowed_names(j->arena, allowed));
}

static void judge(struct judging *j, const void *rules) {
    const struct allowed *allowed = rules;
    const struct fact_os *os = &j->facts->os;
    bool measured = false;
    if (!judging_logged(j, FILES_PCR)) {
        return;
    }
    for (size_t i = 0; i < os->num_files; i++) {
        if (!os->file[i].is_initrd) {
            continue;
        }
        measured = true;
        if (!allowed_has(allowed, os->file[i].digest[j->bank_index])) {
            deny_file(j, allowed, &os->file[i]);
        }
    }
    struct finding *finding = measured ? NULL : judging_add(j, "initrd_missing", SEVERITY_DENY);
    if (finding != NULL) {
        finding->pcr = FILES_PCR;
        finding->expected = allowed_text(j->arena, allowed);
        finding->remediation = "No initrd was measured: check how the kernel was started.";
    }
}

static uint32_t reads(const void *rules) {
    (void)rules;
    return 1u << FILES_PCR;
}

const struct rule_family rule_initrd = {
    .name = "initrd", .compile = compile, .judge = judge, .reads = reads};
