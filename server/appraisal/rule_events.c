/* events: what PCRs of one's choice hold, event by event.
 * [{"pcr": 5, "type": "EV_EFI_GPT_EVENT", "any_of": ["<hex>"]}, ...]
 *
 * An event's type is the log's word alone, so that the rule accounts for all of a PCR that it names:
 * every event there has to be of a listed type with one of the digests listed for it, or one of the
 * firmware's constants whose data the digest covers (a separator, or one of the announcements below);
 * and each entry has to be met at least once. A wrong type thus only ever adds a denial. */
#include "server/appraisal/rule_text.h"

#include "server/evidence/tpm2/event_types.h"

enum { ENTRIES_MAX = 256, TYPE_NAME_MAX = 64 };

struct entry {
    uint32_t pcr, type;
    const char *type_name;
    struct allowed any_of;
};
struct events {
    struct entry *entry;
    size_t num;
    uint32_t pcrs; /* that entries name */
};

/* --- reading ------------------------------------------------------------------------------------ */

static enum status read_entry(struct compiling *c, const struct place *at, struct entry *out) {
    static const char *const known[] = {"pcr", "type", "any_of", NULL};
    struct place pcr = place_member(at, "pcr"), type = place_member(at, "type"),
                 any_of = place_member(at, "any_of");
    enum status status = read_object(c, at, known);
    if (status == STATUS_OK) {
        status = read_number(c, &pcr, &out->pcr, 0, PCR_COUNT - 1);
    }
    if (status == STATUS_OK) {
        status = read_text(c, &type, &out->type_name, TYPE_NAME_MAX);
    }
    if (status == STATUS_OK &&
        (!tcg_event_type_from_name(&out->type, out->type_name) || out->type == EV_NO_ACTION)) {
        return place_refuse(c, &type, "it is no type of event that extends a PCR");
    }
    return status == STATUS_OK ? read_allowed(c, &any_of, &out->any_of, c->baseline->bank) : status;
}

static enum status compile(struct compiling *c, const struct place *at, const void **out) {
    struct events *rules = arena_alloc(&c->baseline->arena, sizeof *rules);
    if (rules == NULL) {
        return STATUS_MEMORY;
    }
    enum status status = read_list(c, at, &rules->num, ENTRIES_MAX);
    if (status == STATUS_OK) {
        rules->entry = arena_array(&c->baseline->arena, rules->num, sizeof *rules->entry);
        status = rules->entry == NULL ? STATUS_MEMORY : STATUS_OK;
    }
    for (size_t i = 0; i < rules->num && status == STATUS_OK; i++) {
        struct place element = place_element(at, i);
        status = read_entry(c, &element, &rules->entry[i]);
        rules->pcrs |= 1u << rules->entry[i].pcr;
    }
    *out = rules;
    return status;
}

/* --- judging ------------------------------------------------------------------------------------ */

/* TCG PC Client Platform Firmware Profile 1.06, 10.4.1 (EV_SEPARATOR without an error) and 10.4.4
 * (EV_EFI_ACTION of an ordinary start). */
static bool is_constant(const struct fact_event *event) {
    static const char *const action[] = {"Calling EFI Application from Boot Option",
                                         "Returning from EFI Application from Boot Option",
                                         "Exit Boot Services Invocation",
                                         "Exit Boot Services Returned with Success"};
    struct bytes data = event->data;
    if (event->data_vouched != VOUCHED_BOUND || event->bound.len != data.len) {
        return false;
    }
    if (data.len == 4) {
        return bytes_all(data, 0x00) || bytes_all(data, 0xFF);
    }
    for (size_t i = 0; i < sizeof action / sizeof *action; i++) {
        if (bytes_equal(data, bytes_of_text(action[i]))) {
            return true;
        }
    }
    return false;
}

/* True when it meets an entry, which is marked then. */
static bool meets(const struct events *rules, const struct fact_event *event, struct bytes digest,
                  bool met[static ENTRIES_MAX]) {
    bool found = false;
    for (size_t i = 0; i < rules->num; i++) {
        const struct entry *entry = &rules->entry[i];
        if (entry->pcr == event->pcr && entry->type == event->type &&
            allowed_has(&entry->any_of, digest)) {
            met[i] = found = true;
        }
    }
    return found;
}

static void deny_event(struct judging *j, const struct events *rules,
                       const struct fact_event *event, struct bytes digest) {
    struct finding *finding = judging_add(j, "event_not_allowed", SEVERITY_DENY);
    if (finding == NULL) {
        return;
    }
    const char *name = tcg_event_type_name(event->type), *expected = NULL;
    for (size_t i = 0; i < rules->num && expected == NULL; i++) {
        const struct entry *entry = &rules->entry[i];
        if (entry->pcr == event->pcr && entry->type == event->type) {
            expected = allowed_text(j->arena, &entry->any_of);
        }
    }
    if (name == NULL) {
        name = arena_printf(j->arena, "type 0x%08x", event->type);
    }
    finding->pcr = (int)event->pcr;
    finding->event = (int)event->index;
    finding->expected = expected;
    finding->found = arena_printf(j->arena, "%s %s", name, hex_text(j->arena, digest));
    finding->remediation = arena_printf(
        j->arena,
        "The baseline accounts for all of PCR %u, and this event (%s, as the log says) is not "
        "in it: find out what changed, or add its digest to the baseline's events.",
        event->pcr, name);
}

static void deny_missing(struct judging *j, const struct entry *entry) {
    struct finding *finding = judging_add(j, "event_missing", SEVERITY_DENY);
    if (finding != NULL) {
        finding->pcr = (int)entry->pcr;
        finding->expected = arena_printf(j->arena, "%s %s", entry->type_name,
                                         allowed_text(j->arena, &entry->any_of));
        finding->found = arena_printf(j->arena, "no such %s", entry->type_name);
        finding->remediation =
            arena_printf(j->arena,
                         "PCR %u has no %s with a digest that the baseline lists: find out what "
                         "changed, or take the entry out of the baseline's events.",
                         entry->pcr, entry->type_name);
    }
}

static void judge(struct judging *j, const void *rules) {
    const struct events *events = rules;
    bool met[ENTRIES_MAX] = {false};
    uint32_t logged = 0;
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        bool wanted = (events->pcrs >> pcr & 1u) != 0;
        logged |= wanted && judging_logged(j, pcr) ? 1u << pcr : 0;
    }
    for (size_t i = 0; logged != 0 && i < j->facts->num_events; i++) {
        const struct fact_event *event = &j->facts->event[i];
        if (event->pcr >= PCR_COUNT || (logged >> event->pcr & 1u) == 0) {
            continue;
        }
        struct bytes digest = event->digest[j->bank_index];
        if (digest.len > 0 && !meets(events, event, digest, met) && !is_constant(event)) {
            deny_event(j, events, event, digest);
        }
    }
    for (size_t i = 0; i < events->num; i++) {
        if (!met[i] && (logged >> events->entry[i].pcr & 1u) != 0) {
            deny_missing(j, &events->entry[i]);
        }
    }
}

static uint32_t named(const void *rules) {
    const struct events *events = rules;
    return events->pcrs;
}

const struct rule_family rule_events = {
    .name = "events", .compile = compile, .judge = judge, .reads = named, .covers = named};
