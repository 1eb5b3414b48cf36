/* ima: every file that IMA measured is listed with its digest, signed by a listed key, or ignored. An
 * entry's number is a claim until PCR 10 leads past it, and then all before it is as well. */
#include "server/appraisal/rule_ima.h"

#include "server/evidence/ima/signature.h"

#include <stdio.h>
#include <string.h>

enum { IMA_PCR_INDEX = 10 };

/* --- one entry ---------------------------------------------------------------------------------- */

enum outcome { ALLOWED, VIOLATION, UNREADABLE, MISMATCH, UNLISTED, BAD_SIGNATURE };

static const struct ima_file *find_file(const struct ima_rules *rules, struct bytes path) {
    if (rules->num_slots == 0) {
        return NULL;
    }
    size_t mask = rules->num_slots - 1;
    uint64_t hash = ima_path_hash(path);
    for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
        const struct ima_file *file = &rules->slot[i];
        if (file->path.data == NULL) {
            return NULL;
        }
        if (file->hash == hash && bytes_equal(file->path, path)) {
            return file;
        }
    }
}

static bool has_digest(const struct ima_file *file, const struct fact_ima_entry *entry) {
    for (size_t i = 0; i < file->num_digests; i++) {
        const struct ima_digest *digest = &file->digest[i];
        if (digest->alg == entry->alg && digest->verity == entry->verity &&
            bytes_equal(digest->digest, entry->digest)) {
            return true;
        }
    }
    return false;
}

/* '*' is any bytes; the last one is all that is ever tried anew. */
static bool matches(struct bytes glob, struct bytes text) {
    size_t g = 0, t = 0, star = SIZE_MAX, from = 0;
    while (t < text.len) {
        if (g < glob.len && glob.data[g] == '*') {
            star = g++;
            from = t;
        } else if (g < glob.len && glob.data[g] == text.data[t]) {
            g++;
            t++;
        } else if (star != SIZE_MAX) {
            g = star + 1;
            t = ++from;
        } else {
            return false;
        }
    }
    while (g < glob.len && glob.data[g] == '*') {
        g++;
    }
    return g == glob.len;
}

static bool is_ignored(const struct ima_rules *rules, struct bytes path) {
    for (size_t i = 0; i < rules->num_ignored && path.len > 0; i++) {
        if (matches(rules->ignore[i], path)) {
            return true;
        }
    }
    return false;
}

/* Is it signed by a listed key? *by_listed: it says so, at least. */
static bool is_signed(const struct ima_rules *rules, const struct fact_ima_entry *entry,
                      bool *by_listed) {
    struct ima_signature signature;
    *by_listed = false;
    if (rules->num_signers == 0 || ima_signature_read(&signature, entry->signature) != STATUS_OK) {
        return false;
    }
    for (size_t i = 0; i < rules->num_signers; i++) {
        const struct ima_signer *signer = &rules->signer[i];
        if (signer->key_id != signature.key_id) {
            continue;
        }
        *by_listed = true;
        if (ima_signature_verify(&signature, &signer->key, entry) == STATUS_OK) {
            return true;
        }
    }
    return false;
}

/* Entry 0, which is judged on its own, and what kexec wrote again. */
static bool is_aggregate(const struct fact_ima *ima, const struct fact_ima_entry *entry) {
    return ima->end.aggregate_alg != HASH_NONE && entry->alg == ima->end.aggregate_alg &&
           !entry->verity && bytes_equal(entry->path, bytes_of_text("boot_aggregate")) &&
           memcmp(entry->digest.data, ima->end.aggregate, entry->digest.len) == 0;
}

static enum outcome judge_entry(const struct ima_rules *rules, const struct fact_ima *ima,
                                const struct fact_ima_entry *entry) {
    bool by_listed;
    if (entry->violation) {
        return rules->report_violations ? ALLOWED : VIOLATION;
    }
    if (!entry->readable) {
        return UNREADABLE;
    }
    const struct ima_file *file = find_file(rules, entry->path);
    if ((file != NULL && has_digest(file, entry)) || is_aggregate(ima, entry) ||
        is_signed(rules, entry, &by_listed) || is_ignored(rules, entry->path)) {
        return ALLOWED;
    }
    if (file != NULL) {
        return MISMATCH;
    }
    return by_listed ? BAD_SIGNATURE : UNLISTED;
}

/* --- all of them -------------------------------------------------------------------------------- */

static void note(struct ima_judgement *out, const struct fact_ima_entry *entry) {
    if (out->num_shown < IMA_SHOWN_MAX) {
        out->shown[out->num_shown++] = entry;
    }
}

static void judge_all(struct ima_judgement *out, const struct ima_rules *rules,
                      const struct fact_ima *ima, const struct ima_judgement *earlier) {
    *out = (struct ima_judgement){.judged = true};
    if (earlier != NULL) {
        *out = *earlier;
    }
    for (size_t i = 0; i < ima->num_entries; i++) {
        if (judge_entry(rules, ima, &ima->entry[i]) != ALLOWED) {
            out->num_denied++;
            note(out, &ima->entry[i]);
        }
    }
}

/* The baseline's place among those tried. */
static size_t place_of(const struct judging *j) {
    size_t i = 0;
    while (i < j->inputs->num_baselines && j->inputs->baseline[i] != j->baseline) {
        i++;
    }
    return i;
}

/* Counting and describing share it. False: earlier entries were never judged by this baseline. */
static bool judgement_of(struct judging *j, const struct ima_rules *rules,
                         struct ima_judgement *out) {
    const struct fact_ima *ima = &j->facts->ima;
    const struct ima_judgement *earlier = NULL;
    size_t place = place_of(j);
    bool among = place < j->inputs->num_baselines;
    if (among && j->inputs->ima_judged != NULL && j->inputs->ima_judged[place].judged) {
        *out = j->inputs->ima_judged[place];
        return true;
    }
    if (ima->first > 0) {
        earlier = among && j->inputs->ima_earlier != NULL ? &j->inputs->ima_earlier[place] : NULL;
        if (earlier == NULL || !earlier->judged) {
            return false;
        }
    }
    judge_all(out, rules, ima, earlier);
    if (among && j->inputs->ima_judged != NULL) {
        j->inputs->ima_judged[place] = *out;
    }
    return true;
}

/* --- findings ----------------------------------------------------------------------------------- */

static struct finding *add(struct judging *j, const struct ima_rules *rules, const char *code) {
    struct finding *finding = judging_add(j, code, rules->report ? SEVERITY_INFO : SEVERITY_DENY);
    if (finding != NULL) {
        finding->pcr = IMA_PCR_INDEX;
    }
    return finding;
}

static void say(struct judging *j, const struct ima_rules *rules, const char *code,
                const char *expected, const char *remediation) {
    struct finding *finding = add(j, rules, code);
    if (finding != NULL) {
        finding->expected = expected;
        finding->remediation = remediation;
    }
}

static const char *view_text(struct arena *arena, struct bytes view) {
    const char *text = arena_text_n(arena, (const char *)view.data, view.len);
    return text == NULL ? NULL : shown_text(arena, text);
}

/* "/usr/bin/agent sha256:<hex>, signed by key 0beb6a13" */
static const char *found_text(struct arena *arena, const struct fact_ima_entry *entry) {
    struct ima_signature signature;
    if (entry->violation || !entry->readable) {
        const char *hex = hex_text(
            arena, bytes_of(entry->data.data, entry->data.len < 64 ? entry->data.len : 64));
        return arena_printf(arena, "%s entry %s", view_text(arena, entry->template_name), hex);
    }
    const char *path = view_text(arena, entry->path), *hex = hex_text(arena, entry->digest);
    const char *alg = view_text(arena, entry->alg_name);
    if (path == NULL || hex == NULL || alg == NULL) {
        return NULL;
    }
    const char *text =
        entry->digest.len == 0
            ? path
            : arena_printf(arena, "%s %s%s:%s", path, entry->verity ? "verity:" : "", alg, hex);
    if (text == NULL || ima_signature_read(&signature, entry->signature) != STATUS_OK) {
        return text;
    }
    return arena_printf(arena, "%s, signed by key %08x", text, (unsigned)signature.key_id);
}

static const char *expected_text(struct arena *arena, const struct ima_file *file) {
    enum { SHOWN = 8 };
    const char *text = NULL;
    size_t shown = file->num_digests < SHOWN ? file->num_digests : SHOWN;
    for (size_t i = 0; i < shown; i++) {
        const struct ima_digest *digest = &file->digest[i];
        const char *hex = hex_text(arena, digest->digest);
        if (hex == NULL) {
            return NULL;
        }
        text = joined_text(arena, text, ", ",
                           arena_printf(arena, "%s%s:%s", digest->verity ? "verity:" : "",
                                        hash_name(digest->alg), hex));
    }
    if (shown < file->num_digests && text != NULL) {
        return arena_printf(arena, "one of: %s and %zu more", text, file->num_digests - shown);
    }
    return text == NULL ? NULL : arena_printf(arena, "one of: %s", text);
}

static void describe_entry(struct judging *j, const struct ima_rules *rules,
                           const struct fact_ima_entry *entry) {
    static const struct {
        const char *code, *remediation;
    } say_of[] = {
        [ALLOWED] = {"ima_file_unlisted", NULL},
        [VIOLATION] =
            {"ima_violation",
             "A file was opened for writing while it was measured, so that nobody knows "
             "what was read: find out who writes to it (the name in the log is not vouched "
             "for), or set the baseline's ima.violations to \"report\"."},
        [UNREADABLE] = {"ima_entry_unreadable",
                        "PCR 10 confirms this entry, but its data are not what its template says: "
                        "look at the device's ima_binary_runtime_measurements; a custom template "
                        "must name its fields in its format."},
        [MISMATCH] = {"ima_digest_mismatch",
                      "The file is not as the baseline lists it: restore or update it and boot the "
                      "device anew, or approve a baseline that lists the digest found."},
        [UNLISTED] = {"ima_file_unlisted",
                      "The file is neither listed, nor signed by a listed key, nor ignored: remove "
                      "it and boot the device anew, or approve a baseline that lists it."},
        [BAD_SIGNATURE] = {"ima_signature_invalid",
                           "The file names a listed key, but its signature is not that key's: "
                           "restore the file and boot the device anew."},
    };
    enum outcome outcome = judge_entry(rules, &j->facts->ima, entry);
    struct finding *finding = add(j, rules, say_of[outcome].code);
    if (finding == NULL) {
        return;
    }
    finding->event = entry->index == FACT_NO_EVENT ? -1 : (int)entry->index;
    finding->found = found_text(j->arena, entry);
    finding->remediation = say_of[outcome].remediation;
    if (outcome == MISMATCH) {
        finding->expected = expected_text(j->arena, find_file(rules, entry->path));
    }
}

static void describe_rest(struct judging *j, const struct ima_rules *rules, uint32_t num) {
    struct finding *finding = add(j, rules, "ima_more_entries");
    if (finding != NULL) {
        finding->found = arena_printf(j->arena, "%u more", (unsigned)num);
        finding->remediation =
            "Entries beyond those shown are not allowed either: mend those first, "
            "or learn the baseline anew from a clean device.";
    }
}

static void judge_entries(struct judging *j, const struct ima_rules *rules) {
    struct ima_judgement judgement;
    if (!judgement_of(j, rules, &judgement)) {
        say(j, rules, "ima_entries_unjudged", NULL,
            "Entries that were confirmed earlier in this boot are not known any more: the device "
            "sends its log from the start.");
        return;
    }
    for (uint32_t i = 0; i < judgement.num_shown; i++) {
        describe_entry(j, rules, judgement.shown[i]);
    }
    if (judgement.num_denied > judgement.num_shown) {
        describe_rest(j, rules, judgement.num_denied - judgement.num_shown);
    }
}

static void judge_aggregate(struct judging *j, const struct ima_rules *rules) {
    if (!rules->needs_aggregate || j->facts->ima.boot_aggregate == FACT_YES) {
        return;
    }
    if (j->facts->ima.boot_aggregate == FACT_NO) {
        say(j, rules, "ima_boot_aggregate_mismatch", "the hash of the quoted PCRs 0-9, or 0-7",
            "IMA's log does not begin with the state that the quote shows, so that it is of "
            "another "
            "boot or of a kernel that did not see the TPM: boot the device anew.");
    } else {
        say(j, rules, "ima_boot_aggregate_unknown", "PCRs 0-9 quoted in the aggregate's algorithm",
            "Add PCRs 0-9 of the bank that the aggregate is of to the model's PCR selection, or "
            "set "
            "the baseline's ima.boot_aggregate to false.");
    }
}

static void judge_violations(struct judging *j, const struct ima_rules *rules) {
    const struct fact_ima *ima = &j->facts->ima;
    size_t num = 0;
    for (size_t i = 0; i < ima->num_entries && rules->report_violations; i++) {
        num += ima->entry[i].violation ? 1 : 0;
    }
    struct finding *finding = num == 0 ? NULL : judging_add(j, "ima_violation", SEVERITY_INFO);
    if (finding != NULL) {
        finding->pcr = IMA_PCR_INDEX;
        finding->found = arena_printf(j->arena, "%zu violations", num);
        finding->remediation = "Files were opened for writing while they were measured.";
    }
}

static void judge(struct judging *j, const void *of) {
    const struct ima_rules *rules = of;
    const struct fact_ima *ima = &j->facts->ima;
    if (!judging_quoted(j, IMA_PCR_INDEX)) {
        return; /* also when the rest is only reported: no quote is no evidence */
    }
    if (!ima->known) {
        say(j, rules, "ima_log_missing", "an IMA log that leads to the quoted PCR 10",
            "Send ima_log with the evidence, and have the model quote PCR 10.");
        return;
    }
    if (ima->sha1_only) {
        struct finding *finding =
            judging_add(j, "ima_sha1_only",
                        rules->report || rules->report_sha1 ? SEVERITY_INFO : SEVERITY_DENY);
        if (finding != NULL) {
            finding->pcr = IMA_PCR_INDEX;
            finding->remediation = "The kernel extends every quoted bank by SHA-1 template "
                                   "digests, of which collisions "
                                   "can be made: use Linux 5.8 or newer with the bank's algorithm "
                                   "built in, or set the "
                                   "baseline's ima.sha1_template_digests to \"report\".";
        }
    }
    judge_aggregate(j, rules);
    judge_entries(j, rules);
    judge_violations(j, rules);
}

static uint32_t reads(const void *of) {
    (void)of;
    return 1u << IMA_PCR_INDEX;
}

/* What is only reported accounts for nothing. */
static uint32_t covers(const void *of) {
    const struct ima_rules *rules = of;
    return rules->report ? 0 : 1u << IMA_PCR_INDEX;
}

const struct rule_family rule_ima = {
    .name = "ima", .compile = ima_rules_read, .judge = judge, .reads = reads, .covers = covers};

bool baseline_judges_ima(const struct baseline *baseline) {
    for (size_t i = 0; i < num_rule_families; i++) {
        if (rule_families[i] == &rule_ima) {
            return baseline->rules[i] != NULL;
        }
    }
    return false;
}
