#include "server/evidence/ima/follow.h"

#include "server/evidence/ima/decode.h"

#include <string.h>

/* One quoted bank on its way along the log. */
struct run {
    size_t bank;
    enum hash_alg alg;
    size_t len;
    uint8_t start[DIGEST_MAX], value[DIGEST_MAX];
    bool given;          /* `value` is where it has to end */
    bool tries[2];       /* by enum ima_extend: is it possible that the kernel does so? */
    enum ima_extend how; /* what it turned out to be */
    uint8_t *passed[2];  /* every value on the way, when where to end is not known */
};
struct follow {
    const struct ima_following *what;
    struct facts *facts;
    struct arena *arena;
    struct run run[PCR_MAX_BANKS];
    size_t num_runs;
    uint32_t num_entries, num_extends; /* of the whole log; then of what is confirmed */
};

/* --- along the log ------------------------------------------------------------------------------ */

/* How many entries there are, up to where the log breaks off. */
static enum status count(struct follow *f, struct detail *detail) {
    struct ima_log log = ima_log_open(f->what->log);
    struct ima_entry entry;
    enum status status;
    while ((status = ima_log_next(&log, &entry, detail)) == STATUS_OK) {
        f->num_extends += entry.pcr == IMA_PCR ? 1 : 0;
    }
    f->num_entries = log.next_index;
    return status;
}

/* Follows one bank to its end or, when it is known, to the value wanted; *extends is how many
 * extends lead there. */
static bool follow_run(const struct follow *f, struct run *run, enum ima_extend how, uint32_t limit,
                       uint32_t *extends) {
    struct ima_log log = ima_log_open(f->what->log);
    struct ima_entry entry;
    uint8_t value[DIGEST_MAX], digest[DIGEST_MAX], *passed = run->passed[how];
    uint32_t num = 0;
    memcpy(value, run->start, run->len);
    for (;;) {
        if (passed != NULL) {
            memcpy(passed + num * run->len, value, run->len);
        }
        if (run->given && memcmp(value, run->value, run->len) == 0) {
            *extends = num;
            return true;
        }
        if (num == limit) {
            return false;
        }
        do {
            if (ima_log_next(&log, &entry, NULL) != STATUS_OK) {
                return false;
            }
        } while (entry.pcr != IMA_PCR);
        ima_entry_digest(&entry, run->alg, how, digest);
        digest_compute2(run->alg, bytes_of(value, run->len), bytes_of(digest, run->len), value);
        num++;
    }
}

/* Every bank whose value is given has to end after the same entry. */
static bool follow_given(struct follow *f, bool *found, uint32_t *extends) {
    *found = false;
    for (size_t i = 0; i < f->num_runs; i++) {
        struct run *run = &f->run[i];
        uint32_t num = 0;
        bool ends = false;
        if (!run->given) {
            continue;
        }
        for (int how = IMA_HASHED; how <= IMA_PADDED && !ends; how++) {
            if (run->tries[how] && follow_run(f, run, (enum ima_extend)how,
                                              *found ? *extends : f->num_extends, &num)) {
                ends = true;
                run->how = (enum ima_extend)how;
            }
        }
        if (!ends || (*found && num != *extends)) {
            return false;
        }
        *extends = num;
        *found = true;
    }
    return true;
}

/* --- banks whose value is not given ------------------------------------------------------------- */

/* Every value on the way of a run that is extended so; once. */
static enum status pass(struct follow *f, struct run *run, enum ima_extend how, uint32_t limit) {
    uint32_t unused;
    if (run->passed[how] != NULL) {
        return STATUS_OK;
    }
    run->passed[how] = arena_array(f->arena, (size_t)limit + 1, run->len);
    if (run->passed[how] == NULL) {
        return STATUS_MEMORY;
    }
    (void)follow_run(f, run, how, limit, &unused);
    return STATUS_OK;
}

/* Bit i of `padded`: how run i is extended. NOT_FOUND: not possible for one of them. MEMORY. */
static enum status choose(struct follow *f, unsigned padded, uint32_t limit) {
    for (size_t i = 0; i < f->num_runs; i++) {
        struct run *run = &f->run[i];
        enum ima_extend how = (padded >> i & 1u) != 0 ? IMA_PADDED : IMA_HASHED;
        if (run->given ? how == IMA_PADDED : !run->tries[how]) {
            return STATUS_NOT_FOUND;
        }
    }
    for (size_t i = 0; i < f->num_runs; i++) {
        struct run *run = &f->run[i];
        if (run->given) {
            continue;
        }
        run->how = (padded >> i & 1u) != 0 ? IMA_PADDED : IMA_HASHED;
        enum status status = pass(f, run, run->how, limit);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static bool meets_after(struct follow *f, uint32_t extends) {
    for (size_t i = 0; i < f->num_runs; i++) {
        struct run *run = &f->run[i];
        if (!run->given) {
            memcpy(f->facts->bank[run->bank].pcr[IMA_PCR].value,
                   run->passed[run->how] + extends * run->len, run->len);
        }
    }
    return f->what->meets(f->facts, f->what->context);
}

/* From the end: logs are read soon after the quote. */
static enum status search(struct follow *f, enum ima_outcome *outcome, uint32_t from, uint32_t to,
                          uint32_t *extends) {
    unsigned trials = 0;
    for (unsigned padded = 0; padded >> f->num_runs == 0; padded++) {
        enum status status = choose(f, padded, to);
        if (status == STATUS_NOT_FOUND) {
            continue;
        }
        if (status != STATUS_OK) {
            return status;
        }
        for (uint32_t num = to + 1; num-- > from;) {
            if (trials++ == IMA_MAX_TRIALS) {
                *outcome = IMA_TOO_LONG;
                return STATUS_OK;
            }
            if (meets_after(f, num)) {
                *extends = num;
                *outcome = IMA_FOLLOWED;
                return STATUS_OK;
            }
        }
    }
    *outcome = IMA_ASTRAY;
    return STATUS_OK;
}

static bool all_given(const struct follow *f) {
    for (size_t i = 0; i < f->num_runs; i++) {
        if (!f->run[i].given) {
            return false;
        }
    }
    return true;
}

static enum status find_end(struct follow *f, enum ima_outcome *outcome, uint32_t *extends) {
    bool found;
    uint32_t least = f->what->from == 0 ? 1 : 0;
    if (!follow_given(f, &found, extends) || (found && *extends < least) ||
        f->num_extends < least) {
        *outcome = IMA_ASTRAY;
        return STATUS_OK;
    }
    if (all_given(f)) {
        *outcome = f->what->meets(f->facts, f->what->context) ? IMA_FOLLOWED : IMA_ASTRAY;
        return STATUS_OK;
    }
    return search(f, outcome, found ? *extends : least, found ? *extends : f->num_extends, extends);
}

/* --- where it starts ---------------------------------------------------------------------------- */

static const struct fact_ima_bank *kept_bank(const struct fact_ima_position *kept,
                                             enum hash_alg alg) {
    for (size_t i = 0; i < kept->num_banks; i++) {
        if (kept->bank[i].alg == alg) {
            return &kept->bank[i];
        }
    }
    return NULL;
}

static bool start_run(struct follow *f, size_t bank) {
    const struct ima_following *what = f->what;
    struct run *run = &f->run[f->num_runs++];
    *run = (struct run){.bank = bank,
                        .alg = f->facts->bank[bank].alg,
                        .given = (what->given >> bank & 1u) != 0,
                        .tries = {true, f->facts->bank[bank].alg != HASH_SHA1}};
    run->len = digest_len(run->alg);
    memcpy(run->value, f->facts->bank[bank].pcr[IMA_PCR].value, run->len);
    if (what->from == 0) {
        return true;
    }
    const struct fact_ima_bank *kept = kept_bank(what->kept, run->alg);
    if (kept == NULL) {
        return false;
    }
    memcpy(run->start, kept->value, run->len);
    run->tries[kept->padded ? IMA_HASHED : IMA_PADDED] = false;
    return true;
}

/* False: what is kept is not what the log goes on from. */
static bool start(struct follow *f) {
    const struct facts *facts = f->facts;
    const struct fact_ima_position *kept = f->what->kept;
    if (f->what->from != 0 && (kept == NULL || kept->num_entries != f->what->from ||
                               kept->reset_count != facts->tpm_reset_count ||
                               kept->restart_count != facts->tpm_restart_count)) {
        return false;
    }
    for (size_t b = 0; b < facts->num_banks; b++) {
        if (facts->bank[b].pcr[IMA_PCR].quoted && !start_run(f, b)) {
            return false;
        }
    }
    return true;
}

/* --- facts -------------------------------------------------------------------------------------- */

enum fact_flag ima_boot_aggregate(const struct facts *facts, enum hash_alg alg,
                                  const uint8_t *digest) {
    const struct fact_bank *bank = facts_bank(facts, alg);
    uint8_t values[10 * DIGEST_MAX], found[DIGEST_MAX];
    struct writer w = writer_of(values, sizeof values);
    size_t len = digest_len(alg);
    if (bank == NULL || alg == HASH_NONE) {
        return FACT_UNKNOWN;
    }
    for (unsigned pcr = 0; pcr < 10; pcr++) {
        if (!bank->pcr[pcr].quoted) {
            return FACT_UNKNOWN;
        }
        write_bytes(&w, bytes_of(bank->pcr[pcr].value, len));
        if (pcr != 7 && pcr != 9) {
            continue;
        }
        digest_compute(alg, writer_bytes(&w), found);
        if (memcmp(found, digest, len) == 0) {
            return FACT_YES;
        }
    }
    return FACT_NO;
}

static bool take_aggregate(struct fact_ima_position *out, const struct fact_ima_entry *entry) {
    if (entry->violation || !entry->readable || entry->alg == HASH_NONE || entry->verity ||
        !bytes_equal(entry->path, bytes_of_text("boot_aggregate"))) {
        return false;
    }
    out->aggregate_alg = entry->alg;
    memcpy(out->aggregate, entry->digest.data, entry->digest.len);
    return true;
}

static bool is_sha1_only(const struct fact_ima_position *end) {
    for (size_t i = 0; i < end->num_banks; i++) {
        if (end->bank[i].alg != HASH_SHA1 && !end->bank[i].padded) {
            return false;
        }
    }
    return true;
}

static enum fact_flag judge_aggregate(const struct facts *facts,
                                      const struct fact_ima_position *end) {
    return end->aggregate_alg == HASH_NONE
               ? FACT_NO
               : ima_boot_aggregate(facts, end->aggregate_alg, end->aggregate);
}

/* The first template's digest and name stand apart in the log. */
static struct bytes data_of(struct arena *arena, const struct ima_entry *entry) {
    if (entry->file_name.data == NULL) {
        return entry->data;
    }
    size_t len = entry->data.len + entry->file_name.len;
    uint8_t *data = arena_alloc(arena, len);
    if (data == NULL) {
        return bytes_of(NULL, 0);
    }
    struct writer w = writer_of(data, len);
    write_bytes(&w, entry->data);
    write_bytes(&w, entry->file_name);
    return writer_bytes(&w);
}

static void describe(struct fact_ima_entry *out, struct arena *arena, uint32_t from,
                     const struct ima_entry *entry) {
    *out = (struct fact_ima_entry){.index = from + entry->index,
                                   .violation = ima_entry_is_violation(entry)};
    ima_decode(out, entry->template_name, data_of(arena, entry));
}

static void conclude(struct follow *f, struct fact_ima *ima, size_t num_bytes) {
    struct fact_ima_position *end = &ima->end;
    end->reset_count = f->facts->tpm_reset_count;
    end->restart_count = f->facts->tpm_restart_count;
    end->num_entries = ima->num_confirmed;
    end->num_bytes = num_bytes + (ima->first > 0 ? f->what->kept->num_bytes : 0);
    end->num_banks = f->num_runs;
    for (size_t i = 0; i < f->num_runs; i++) {
        const struct run *run = &f->run[i];
        end->bank[i].alg = run->alg;
        end->bank[i].padded = run->how == IMA_PADDED;
        memcpy(end->bank[i].value, f->facts->bank[run->bank].pcr[IMA_PCR].value, run->len);
    }
    if (ima->first > 0) {
        end->aggregate_alg = f->what->kept->aggregate_alg;
        memcpy(end->aggregate, f->what->kept->aggregate, sizeof end->aggregate);
    } else if (ima->num_entries > 0 && ima->entry[0].index == 0) {
        (void)take_aggregate(end, &ima->entry[0]);
    }
    ima->boot_aggregate = judge_aggregate(f->facts, end);
    ima->sha1_only = is_sha1_only(end);
    f->facts->ima = *ima;
}

static enum status fill(struct follow *f, uint32_t extends) {
    struct ima_log log = ima_log_open(f->what->log);
    struct fact_ima ima = {.known = true, .first = f->what->from};
    struct ima_entry entry;
    ima.entry = arena_array(f->arena, extends, sizeof *ima.entry);
    if (ima.entry == NULL) {
        return STATUS_MEMORY;
    }
    while (ima.num_entries < extends) {
        if (ima_log_next(&log, &entry, NULL) != STATUS_OK) {
            return STATUS_INTERNAL; /* it was read a moment ago */
        }
        if (entry.pcr == IMA_PCR) {
            describe(&ima.entry[ima.num_entries++], f->arena, ima.first, &entry);
        }
    }
    ima.num_confirmed = ima.first + log.next_index;
    conclude(f, &ima, log.len - log.rest.len);
    return f->arena->overflow ? STATUS_MEMORY : STATUS_OK;
}

/* --- all of it ---------------------------------------------------------------------------------- */

static void explain(enum ima_outcome outcome, const struct follow *f, struct detail *detail) {
    if (outcome == IMA_TOO_LONG) {
        detail_set(detail,
                   "ima_log: over %d bytes, %d entries or %d values tried: send the values of PCR "
                   "10 as pcrs, or only what is new",
                   IMA_MAX_BYTES, IMA_MAX_ENTRIES, IMA_MAX_TRIALS);
    } else if (outcome == IMA_OTHER_PCR) {
        detail_set(detail, "ima_log: none of its %u entries extends PCR 10",
                   (unsigned)f->num_entries);
    } else if (outcome == IMA_START_WANTED) {
        detail_set(detail,
                   "ima_log_from: %u entries are not what is kept of this boot: send the log from "
                   "its start",
                   (unsigned)f->what->from);
    } else if (outcome == IMA_ASTRAY) {
        detail_set(detail, "ima_log: none of its %u starts leads to the quoted PCR 10",
                   (unsigned)f->num_extends);
    }
}

static enum status follow(struct follow *f, enum ima_outcome *outcome, struct detail *detail) {
    uint32_t extends = 0;
    if (f->what->log.len > IMA_MAX_BYTES) {
        *outcome = IMA_TOO_LONG;
        return STATUS_OK;
    }
    if (!start(f)) {
        *outcome = IMA_START_WANTED;
        return STATUS_OK;
    }
    /* What breaks off, or goes on for too long, may still hold the start that is wanted. */
    bool goes_on = count(f, detail) == STATUS_LIMIT && f->num_entries == IMA_MAX_ENTRIES;
    if (f->num_extends == 0 && f->num_entries > 0 && f->what->from == 0) {
        *outcome = IMA_OTHER_PCR;
        return STATUS_OK;
    }
    enum status status = find_end(f, outcome, &extends);
    if (status == STATUS_OK && *outcome == IMA_FOLLOWED) {
        status = fill(f, extends);
    } else if (status == STATUS_OK && *outcome == IMA_ASTRAY && goes_on) {
        *outcome = IMA_TOO_LONG;
    } else if (status == STATUS_OK && *outcome == IMA_ASTRAY && f->what->from > 0) {
        *outcome = IMA_START_WANTED;
    }
    return status;
}

enum status ima_follow(struct facts *facts, enum ima_outcome *outcome, struct arena *arena,
                       const struct ima_following *what, struct detail *detail) {
    struct follow f = {.what = what, .facts = facts, .arena = arena};
    enum ima_outcome result = IMA_ASTRAY;
    enum status status = follow(&f, &result, detail);
    if (status != STATUS_OK) {
        return status_fail(detail, status, "no memory for ima_log");
    }
    explain(result, &f, detail);
    *outcome = result;
    return STATUS_OK;
}

enum status ima_restore(struct fact_ima *out, struct arena *arena, const struct facts *facts,
                        const struct fact_ima_position *kept, const struct ima_kept_entry *entry,
                        size_t num) {
    struct fact_ima ima = {.known = true, .num_confirmed = kept->num_entries, .end = *kept};
    ima.entry = arena_array(arena, num, sizeof *ima.entry);
    if (ima.entry == NULL) {
        return STATUS_MEMORY;
    }
    for (size_t i = 0; i < num; i++) {
        struct fact_ima_entry *to = &ima.entry[ima.num_entries++];
        *to = (struct fact_ima_entry){.index = FACT_NO_EVENT, .violation = entry[i].violation};
        ima_decode(to, entry[i].template_name, entry[i].data);
    }
    ima.boot_aggregate = judge_aggregate(facts, kept);
    ima.sha1_only = is_sha1_only(kept);
    *out = ima;
    return STATUS_OK;
}
