/* PCRs as learned: those whose contents no family expresses and that stay the same; and questions
 * about all that differs by its nature. */
#include "server/appraisal/learn_parts.h"
#include "server/appraisal/pcr_names.h"
#include "server/evidence/tpm2/event_types.h"

#include <inttypes.h>
#include <string.h>

enum { ANY_OF_MAX = 8, IMA_PCR = 10 };

/* The families that express a PCR, and what it is that differs from device to device. */
static const struct {
    unsigned families;  /* one of them learned: the PCR is not demanded */
    const char *nature; /* NULL: it stays the same until an update */
} plan[PCR_COUNT] = {
    [1] = {0, "boot order, serial numbers and MAC addresses are in it"},
    [4] = {LEARN_BOOT_CHAIN, NULL},
    [5] = {0, "the disk's partition table is in it, with a GUID of its own"},
    [6] = {0, "the manufacturer puts in it what it likes, such as wake events"},
    [7] = {LEARN_SECURE_BOOT, NULL},
    [8] = {LEARN_COMMAND_LINE, NULL},
    [9] = {LEARN_INITRD, NULL},
    [10] = {0, "IMA extends it with every file that is run"},
    [11] = {0, "systemd extends it as the start goes on"},
    [12] = {LEARN_COMMAND_LINE, NULL},
    [15] = {0, "the machine's identity is in it"},
    [16] = {0, "it is for debugging"},
    [17] = {0, "it belongs to a dynamic launch"},
    [18] = {0, "it belongs to a dynamic launch"},
    [19] = {0, "it belongs to a dynamic launch"},
    [20] = {0, "it belongs to a dynamic launch"},
    [21] = {0, "it belongs to a dynamic launch"},
    [22] = {0, "it belongs to a dynamic launch"},
    [23] = {0, "applications extend it"},
};

/* NULL: some source does not quote it, or nothing was ever measured into it. */
static struct tally *values_of(struct learning *l, unsigned pcr) {
    struct tally *tally = tally_new(l->arena);
    bool extended = false;
    for (size_t i = 0; tally != NULL && i < l->in->num; i++) {
        const struct fact_pcr *value = learn_pcr(l, i, pcr);
        struct bytes bytes = bytes_of(value->value, digest_len(l->bank));
        if (!value->quoted) {
            return NULL;
        }
        extended = extended || !pcr_is_reset(pcr, bytes);
        tally_add(tally, bytes, NULL, l->in->source[i].devices);
    }
    return extended ? tally : NULL;
}

static void ask_pcr(struct learning *l, unsigned pcr, const struct tally *values,
                    enum learn_choice choice, const char *why) {
    learn_ask_tally(l,
                    (struct learn_question){.subject = "pcr",
                                            .pcr = (int)pcr,
                                            .event = -1,
                                            .choice = choice,
                                            .why = arena_printf(l->arena, "PCR %u (%s): %s", pcr,
                                                                pcr_meaning(pcr), why)},
                    values, false);
}

static void write_values(struct learning *l, unsigned pcr, const struct tally *values) {
    if ((l->learned & LEARN_PCRS) == 0) {
        json_out_object(&l->o, "pcrs");
        l->learned |= LEARN_PCRS;
    }
    json_out_array(&l->o, arena_printf(l->arena, "%u", pcr));
    for (size_t i = 0; i < values->num; i++) {
        json_out_hex(&l->o, NULL, values->of[i].value);
    }
    json_out_array_end(&l->o);
}

static void take_pcr(struct learning *l, unsigned pcr) {
    struct tally *values = values_of(l, pcr);
    if (values == NULL || (plan[pcr].families & l->learned) != 0) {
        return;
    }
    if (pcr == IMA_PCR) { /* not even its value stays in what is kept of a boot */
        memset(values, 0, sizeof *values);
    }
    if (plan[pcr].nature != NULL) {
        ask_pcr(l, pcr, values, LEARN_LEFT_OUT, plan[pcr].nature);
    } else if (values->num > ANY_OF_MAX || values->full) {
        ask_pcr(l, pcr, values, LEARN_LEFT_OUT, "the devices have too many different values");
    } else {
        write_values(l, pcr, values);
        if (values->num > 1) {
            ask_pcr(l, pcr, values, LEARN_ANY_OF,
                    "no rule expresses what is in it: each value found is allowed");
        } else if (plan[pcr].families != 0) {
            ask_pcr(l, pcr, values, LEARN_PINNED,
                    "no component of it could be learned: its whole value is demanded");
        }
    }
}

void learn_pcrs(struct learning *l) {
    if ((l->dropped & LEARN_PCRS) != 0) {
        return;
    }
    /* PCR 0 is a matter of the firmware's version, and was asked about there. */
    for (unsigned pcr = 1; pcr < PCR_COUNT && !l->arena->overflow; pcr++) {
        take_pcr(l, pcr);
    }
    if ((l->learned & LEARN_PCRS) != 0) {
        json_out_object_end(&l->o);
    }
}

/* --- what differs by nature, event by event --- */

static const struct {
    uint32_t type, pcr;
    const char *subject, *why;
} own_events[] = {
    {EV_EFI_VARIABLE_BOOT, 1, "boot_order",
     "boot order and boot entries change with disks and by hand"},
    {EV_EFI_VARIABLE_BOOT2, 1, "boot_order",
     "boot order and boot entries change with disks and by hand"},
    {EV_EFI_HANDOFF_TABLES, 1, "handoff_tables",
     "SMBIOS tables hold serial numbers and an asset tag"},
    {EV_EFI_HANDOFF_TABLES2, 1, "handoff_tables",
     "SMBIOS tables hold serial numbers and an asset tag"},
    {EV_EFI_GPT_EVENT, 5, "partition_table", "each disk has a GUID of its own"},
    {EV_EFI_GPT_EVENT2, 5, "partition_table", "each disk has a GUID of its own"},
};

/* The first event of that kind; NULL: none. */
static const struct fact_event *first_event(const struct facts *facts, uint32_t type,
                                            uint32_t pcr) {
    for (size_t i = 0; i < facts->num_events; i++) {
        const struct fact_event *event = &facts->event[i];
        if (event->type == type && event->pcr == pcr && event->digest_vouched >= VOUCHED_REPLAYED) {
            return event;
        }
    }
    return NULL;
}

static void ask_about_events(struct learning *l, size_t kind) {
    struct tally *tally = tally_new(l->arena);
    int index = -1;
    for (size_t i = 0; tally != NULL && i < l->in->num; i++) {
        const struct fact_event *event =
            first_event(learn_facts(l, i), own_events[kind].type, own_events[kind].pcr);
        if (event != NULL && event->digest[l->bank_index[i]].len > 0) {
            tally_add(tally, event->digest[l->bank_index[i]], NULL, l->in->source[i].devices);
            index = index < 0 ? (int)event->index : index;
        }
    }
    if (tally != NULL && tally->num > 0) {
        learn_ask_tally(l,
                        (struct learn_question){.subject = own_events[kind].subject,
                                                .pcr = (int)own_events[kind].pcr,
                                                .event = index,
                                                .choice = LEARN_LEFT_OUT,
                                                .why = own_events[kind].why},
                        tally, false);
    }
}

static void ask_about_ima(struct learning *l) {
    struct tally *tally = tally_new(l->arena);
    for (size_t i = 0; tally != NULL && i < l->in->num; i++) {
        const struct fact_ima *ima = &learn_facts(l, i)->ima;
        if (ima->known) {
            const char *text = arena_printf(l->arena, "%u entries", ima->num_confirmed);
            tally_add(tally, bytes_of_text(text == NULL ? "" : text), NULL,
                      l->in->source[i].devices);
        }
    }
    if (tally != NULL && tally->num > 0) {
        learn_ask_tally(l,
                        (struct learn_question){
                            .subject = "ima",
                            .pcr = IMA_PCR,
                            .event = -1,
                            .choice = LEARN_LEFT_OUT,
                            .why = "which files may run is no matter of what ran once: write the "
                                   "rule, with the keys that sign files, by hand"},
                        tally, true);
    }
}

static void ask_about_tpm(struct learning *l) {
    struct tally *tally = tally_new(l->arena);
    for (size_t i = 0; tally != NULL && i < l->in->num; i++) {
        const char *text =
            arena_printf(l->arena, "%016" PRIx64, learn_facts(l, i)->tpm_firmware_version);
        tally_add(tally, bytes_of_text(text == NULL ? "" : text), NULL, l->in->source[i].devices);
    }
    if (tally != NULL) {
        learn_ask_tally(l,
                        (struct learn_question){
                            .subject = "tpm",
                            .pcr = -1,
                            .event = -1,
                            .choice = LEARN_LEFT_OUT,
                            .why = "a TPM keeps working with older firmware: demand the vendor's "
                                   "fixed version (tpm.firmware_at_least) where there is one"},
                        tally, true);
    }
}

void learn_others(struct learning *l) {
    for (size_t kind = 0; kind < sizeof own_events / sizeof *own_events; kind++) {
        ask_about_events(l, kind);
    }
    ask_about_ima(l);
    ask_about_tpm(l);
}
