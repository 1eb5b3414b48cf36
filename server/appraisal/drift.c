#include "server/appraisal/drift_parts.h"

const char *drift_kind_name(enum drift_kind kind) {
    switch (kind) {
    case DRIFT_ADDED:
        return "added";
    case DRIFT_REMOVED:
        return "removed";
    case DRIFT_REPLACED:
        return "replaced";
    case DRIFT_CHANGED:
        break;
    }
    return "changed";
}

void drift_add(struct drifting *d, struct drift_change change) {
    if (d->out.num == DRIFT_MAX_CHANGES) {
        d->out.cut = true;
        return;
    }
    d->out.change[d->out.num++] = change;
}

void drift_explain(struct drifting *d, int side, uint32_t event) {
    if (event < FACTS_MAX_EVENTS) {
        d->explained[side][event] = 1;
    }
}

int drift_event(uint32_t event) {
    return event < FACTS_MAX_EVENTS ? (int)event : -1;
}

/* The first bank of the later boot that the earlier has too; false: none. */
static bool choose_bank(struct drifting *d) {
    const struct facts *before = d->facts[DRIFT_BEFORE], *after = d->facts[DRIFT_AFTER];
    for (size_t i = 0; i < after->num_banks; i++) {
        size_t other = facts_bank_index(before, after->bank[i].alg);
        if (other < before->num_banks) {
            d->bank[DRIFT_BEFORE] = other;
            d->bank[DRIFT_AFTER] = i;
            return true;
        }
    }
    return false;
}

static void compare_log(struct drifting *d) {
    bool now = d->facts[DRIFT_AFTER]->has_log;
    if (d->facts[DRIFT_BEFORE]->has_log != now) {
        drift_add(d, (struct drift_change){
                         .subject = "event_log",
                         .kind = now ? DRIFT_ADDED : DRIFT_REMOVED,
                         .pcr = -1,
                         .event = -1,
                         .text = now ? "event log: the device shows one now, and did not before"
                                     : "event log: the device shows none any more, so that only "
                                       "PCR values can be compared"});
    }
}

static void compare_tpm(struct drifting *d) {
    uint64_t before = d->facts[DRIFT_BEFORE]->tpm_firmware_version,
             after = d->facts[DRIFT_AFTER]->tpm_firmware_version;
    if (before != after) {
        struct drift_change change = {
            .subject = "tpm_firmware", .kind = DRIFT_REPLACED, .pcr = -1, .event = -1};
        change.before = arena_printf(d->arena, "%016llx", (unsigned long long)before);
        change.after = arena_printf(d->arena, "%016llx", (unsigned long long)after);
        change.text = arena_printf(d->arena, "TPM firmware: %016llx became %016llx",
                                   (unsigned long long)before, (unsigned long long)after);
        drift_add(d, change);
    }
}

static void compare_banks(struct drifting *d) {
    drift_add(d, (struct drift_change){.subject = "pcr",
                                       .kind = DRIFT_CHANGED,
                                       .pcr = -1,
                                       .event = -1,
                                       .text = "PCR banks: the boots have none in common, so that "
                                               "nothing in them can be compared"});
}

enum status drift_between(struct drift *out, struct arena *arena, const struct facts *before,
                          const struct facts *after) {
    struct drifting *d = arena_alloc(arena, sizeof *d);
    if (d == NULL) {
        return STATUS_MEMORY;
    }
    d->arena = arena;
    d->facts[DRIFT_BEFORE] = before;
    d->facts[DRIFT_AFTER] = after;
    d->out.change = arena_array(arena, DRIFT_MAX_CHANGES, sizeof *d->out.change);
    if (d->out.change == NULL) {
        return STATUS_MEMORY;
    }
    compare_log(d);
    if (before->num_banks + after->num_banks == 0) {
        compare_tpm(d);
    } else if (!choose_bank(d)) {
        compare_banks(d);
        compare_tpm(d);
    } else {
        if (before->has_log && after->has_log) {
            drift_secure_boot(d);
            drift_firmware(d);
            drift_images(d);
            drift_os(d);
        }
        compare_tpm(d);
        drift_pcrs(d);
    }
    if (arena->overflow) {
        return STATUS_MEMORY;
    }
    *out = d->out;
    return STATUS_OK;
}

static void write_number(struct json_out *o, const char *name, int number) {
    if (number < 0) {
        json_out_text(o, name, NULL);
    } else {
        json_out_int(o, name, number);
    }
}

void drift_write_change(struct json_out *o, const char *name, const struct drift_change *change) {
    json_out_object(o, name);
    json_out_text(o, "subject", change->subject);
    json_out_text(o, "change", drift_kind_name(change->kind));
    json_out_text(o, "before", change->before);
    json_out_text(o, "after", change->after);
    write_number(o, "pcr", change->pcr);
    write_number(o, "event", change->event);
    json_out_text(o, "text", change->text);
    json_out_object_end(o);
}

void drift_write(struct json_out *o, const char *name, const struct drift *drift) {
    json_out_array(o, name);
    for (size_t i = 0; i < drift->num; i++) {
        drift_write_change(o, NULL, &drift->change[i]);
    }
    json_out_array_end(o);
}
