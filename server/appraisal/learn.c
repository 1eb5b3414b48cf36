#include "server/appraisal/learn_parts.h"

#include "server/base/encoding.h"

#include <string.h>

const char learn_why_differs[] = "the devices differ here: each value found is allowed";

const char *learn_choice_name(enum learn_choice choice) {
    switch (choice) {
    case LEARN_ANY_OF:
        return "any_of";
    case LEARN_PATTERN:
        return "pattern";
    case LEARN_PINNED:
        return "pinned";
    case LEARN_LEFT_OUT:
        break;
    }
    return "left_out";
}

static const char *const family_names[] = {
    "secure_boot", "firmware", "boot_chain", "kernel_command_line", "initrd", "sbat", "pcrs"};
enum { NUM_FAMILIES = sizeof family_names / sizeof *family_names };

const char *learn_family_name(enum learn_family family) {
    size_t i = 0;
    while (i + 1 < NUM_FAMILIES && (unsigned)family >> i != 1) {
        i++;
    }
    return family_names[i];
}

/* --- values --- */

struct tally *tally_new(struct arena *arena) {
    return arena_alloc(arena, sizeof(struct tally));
}

void tally_add(struct tally *tally, struct bytes value, const char *label, unsigned devices) {
    for (size_t i = 0; i < tally->num; i++) {
        if (bytes_equal(tally->of[i].value, value)) {
            tally->of[i].devices += devices;
            return;
        }
    }
    if (tally->num == TALLY_MAX) {
        tally->full = true;
        return;
    }
    tally->of[tally->num++] = (struct tally_value){value, label, devices};
}

/* --- questions and warnings --- */

void learn_ask(struct learning *l, struct learn_question question) {
    if (l->out.num_questions < LEARN_MAX_QUESTIONS) {
        l->out.question[l->out.num_questions++] = question;
    }
}

static const char *value_words(struct learning *l, const struct tally_value *value, bool text) {
    const char *shown =
        !text ? hex_text(l->arena, value->value)
              : shown_text(l->arena, arena_text_n(l->arena, (const char *)value->value.data,
                                                  value->value.len));
    if (shown != NULL && value->label != NULL) {
        shown = arena_printf(l->arena, "%s (%s)", value->label, shown);
    }
    return shown == NULL ? NULL
                         : arena_printf(l->arena, "%s: %u device%s", shown, value->devices,
                                        value->devices == 1 ? "" : "s");
}

void learn_ask_tally(struct learning *l, struct learn_question question, const struct tally *tally,
                     bool text) {
    size_t shown = tally->num < LEARN_VALUES_SHOWN ? tally->num : LEARN_VALUES_SHOWN;
    question.value = arena_array(l->arena, shown, sizeof *question.value);
    for (size_t i = 0; question.value != NULL && i < shown; i++) {
        question.value[question.num_values++] = value_words(l, &tally->of[i], text);
    }
    question.num_more = tally->num - shown;
    learn_ask(l, question);
}

void learn_warn(struct learning *l, const char *text) {
    if (text != NULL && l->out.num_warnings < LEARN_MAX_WARNINGS) {
        l->out.warning[l->out.num_warnings++] = text;
    }
}

static void write_number(struct json_out *o, const char *name, int number) {
    if (number < 0) {
        json_out_text(o, name, NULL);
    } else {
        json_out_int(o, name, number);
    }
}

void learn_write_questions(struct json_out *o, const char *name, const struct learned *learned) {
    json_out_array(o, name);
    for (size_t i = 0; i < learned->num_questions; i++) {
        const struct learn_question *question = &learned->question[i];
        json_out_object(o, NULL);
        json_out_text(o, "subject", question->subject);
        write_number(o, "pcr", question->pcr);
        write_number(o, "event", question->event);
        json_out_array(o, "values");
        for (size_t v = 0; v < question->num_values; v++) {
            json_out_text(o, NULL, question->value[v]);
        }
        json_out_array_end(o);
        json_out_int(o, "more", (int64_t)question->num_more);
        json_out_text(o, "choice", learn_choice_name(question->choice));
        json_out_text(o, "why", question->why);
        json_out_object_end(o);
    }
    json_out_array_end(o);
}

/* --- sources --- */

const struct facts *learn_facts(const struct learning *l, size_t source) {
    return l->in->source[source].facts;
}

const struct fact_pcr *learn_pcr(const struct learning *l, size_t source, unsigned pcr) {
    return &learn_facts(l, source)->bank[l->bank_index[source]].pcr[pcr];
}

bool learn_accounted(const struct learning *l, unsigned pcr) {
    for (size_t i = 0; i < l->in->num; i++) {
        const struct fact_pcr *value = learn_pcr(l, i, pcr);
        bool reset = pcr_is_reset(pcr, bytes_of(value->value, digest_len(l->bank)));
        if (!value->quoted || (!value->logged && !reset)) {
            return false;
        }
    }
    return true;
}

bool learn_wants(const struct learning *l, enum learn_family family) {
    return l->logged && (l->dropped & family) == 0;
}

bool learn_can_say(const char *text, size_t max) {
    size_t len = strnlen(text, max + 1);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F) {
            return false;
        }
    }
    return len > 0 && len <= max && utf8_is_valid(bytes_of(text, len));
}

void learn_write_allowed(struct learning *l, const char *name, const struct tally *tally) {
    json_out_array(&l->o, name);
    for (size_t i = 0; i < tally->num; i++) {
        const struct tally_value *value = &tally->of[i];
        if (value->label == NULL) {
            json_out_hex(&l->o, NULL, value->value);
            continue;
        }
        json_out_object(&l->o, NULL);
        json_out_text(&l->o, "label", value->label);
        json_out_hex(&l->o, hash_name(value->value.len == 32 ? HASH_SHA256 : l->bank),
                     value->value);
        json_out_object_end(&l->o);
    }
    json_out_array_end(&l->o);
}

static bool has_bank(const struct learning *l, enum hash_alg alg) {
    for (size_t i = 0; i < l->in->num; i++) {
        if (facts_bank(learn_facts(l, i), alg) == NULL) {
            return false;
        }
    }
    return true;
}

static enum status choose_bank(struct learning *l, struct detail *detail) {
    static const enum hash_alg banks[] = {HASH_SHA256, HASH_SHA384, HASH_SHA512};
    for (size_t b = 0; b < sizeof banks / sizeof *banks; b++) {
        if (!has_bank(l, banks[b])) {
            continue;
        }
        l->bank = banks[b];
        l->bank_index = arena_array(l->arena, l->in->num, sizeof *l->bank_index);
        for (size_t i = 0; l->bank_index != NULL && i < l->in->num; i++) {
            l->bank_index[i] = facts_bank_index(learn_facts(l, i), banks[b]);
        }
        return l->bank_index == NULL ? STATUS_MEMORY : STATUS_OK;
    }
    return status_fail(detail, STATUS_INVALID,
                       "the devices quote no PCR bank in common that a baseline may name: "
                       "learn them separately");
}

static enum status look_at_logs(struct learning *l, struct detail *detail) {
    size_t with = l->in->num, without = l->in->num;
    for (size_t i = l->in->num; i-- > 0;) {
        *(learn_facts(l, i)->has_log ? &with : &without) = i;
        l->devices += l->in->source[i].devices;
    }
    if (with < l->in->num && without < l->in->num) {
        return status_fail(detail, STATUS_INVALID,
                           "%.64s has an event log and %.64s has none: learn devices without a log "
                           "separately",
                           l->in->source[with].name, l->in->source[without].name);
    }
    l->logged = with < l->in->num;
    return STATUS_OK;
}

/* --- the document --- */

static void write_document(struct learning *l) {
    json_out_init(&l->o, l->arena, 8192);
    json_out_object(&l->o, NULL);
    json_out_text(&l->o, "schema", "gatehouse/baseline/1");
    json_out_text(&l->o, "model", l->in->model);
    if (l->in->label[0] != '\0') {
        json_out_text(&l->o, "label", l->in->label);
    }
    json_out_text(&l->o, "bank", hash_name(l->bank));
    learn_secure_boot(l);
    learn_firmware(l);
    learn_boot_chain(l);
    learn_command_line(l);
    learn_initrd(l);
    learn_sbat(l);
    learn_pcrs(l);
    learn_others(l);
    json_out_text(&l->o, "unlisted_pcrs", "report");
    json_out_object_end(&l->o);
    l->out.document = json_out_end(&l->o);
}

static void ask_about_dropped(struct learning *l) {
    for (size_t i = 0; i < NUM_FAMILIES; i++) {
        if ((l->dropped >> i & 1) != 0) {
            learn_ask(l, (struct learn_question){.subject = family_names[i],
                                                 .pcr = -1,
                                                 .event = -1,
                                                 .choice = LEARN_LEFT_OUT,
                                                 .why = l->dropped_why[i]});
        }
    }
}

static enum status write_once(struct learning *l) {
    l->learned = 0;
    l->out = (struct learned){
        .question = arena_array(l->arena, LEARN_MAX_QUESTIONS, sizeof *l->out.question),
        .warning = arena_array(l->arena, LEARN_MAX_WARNINGS, sizeof *l->out.warning)};
    if (l->out.question == NULL || l->out.warning == NULL) {
        return STATUS_MEMORY;
    }
    ask_about_dropped(l);
    write_document(l);
    return l->arena->overflow ? STATUS_MEMORY : STATUS_OK;
}

/* --- holding it against its sources --- */

/* False: it is no family of ours. */
static bool drop(struct learning *l, const char *family, const char *why) {
    for (size_t i = 0; i < NUM_FAMILIES; i++) {
        if (strcmp(family_names[i], family) == 0) {
            l->dropped |= 1u << i;
            l->dropped_why[i] = why;
            return true;
        }
    }
    return false;
}

/* What the document demands and this source does not meet is no rule for them. */
static enum status hold_against(struct learning *l, const struct baseline *baseline, size_t source,
                                struct detail *detail) {
    struct appraisal appraisal;
    struct arena work;
    const struct appraisal_inputs inputs = {
        .baseline = &baseline, .num_baselines = 1, .leaked_keys = l->in->leaked_keys};
    arena_init(&work, 4 << 20);
    enum status status = appraise(&appraisal, &work, learn_facts(l, source), &inputs);
    for (size_t i = 0; status == STATUS_OK && i < appraisal.num_findings; i++) {
        const struct finding *finding = &appraisal.finding[i];
        if (finding->severity == SEVERITY_DENY && strcmp(finding->code, "leaked_key") != 0 &&
            !drop(l, finding->rule,
                  arena_printf(l->arena, "%s does not meet what would have to be demanded (%s)",
                               l->in->source[source].name, finding->code))) {
            status = status_fail(detail, STATUS_INVALID, "no baseline accepts %.64s: %s",
                                 l->in->source[source].name, finding->code);
        }
    }
    l->below_measured =
        l->below_measured || (status == STATUS_OK && appraisal.verdict == VERDICT_TRUSTED &&
                              appraisal.tier < TIER_MEASURED);
    arena_free(&work);
    return status;
}

static enum status check_document(struct learning *l, struct detail *detail) {
    struct baseline *baseline = NULL;
    if (l->out.document.len > BASELINE_MAX_BYTES) {
        return status_fail(detail, STATUS_LIMIT,
                           "the baseline would be over %d bytes: learn fewer devices at a time",
                           BASELINE_MAX_BYTES);
    }
    enum status status = baseline_compile(&baseline, l->out.document, NULL, detail);
    if (status != STATUS_OK) {
        return status == STATUS_MALFORMED ? STATUS_INVALID : status;
    }
    l->below_measured = false;
    for (size_t i = 0; i < l->in->num && status == STATUS_OK; i++) {
        status = hold_against(l, baseline, i, detail);
    }
    baseline_free(baseline);
    return status;
}

enum status learn_baseline(struct learned *out, struct arena *arena,
                           const struct learn_inputs *inputs, struct detail *detail) {
    struct learning l = {.arena = arena, .in = inputs};
    enum status status = look_at_logs(&l, detail);
    if (status == STATUS_OK) {
        status = choose_bank(&l, detail);
    }
    /* Each round drops a family at least. */
    for (unsigned before = ~0u; status == STATUS_OK && before != l.dropped;) {
        before = l.dropped;
        status = write_once(&l);
        if (status == STATUS_OK && l.learned == 0) {
            return status_fail(detail, STATUS_INVALID,
                               "the devices share nothing that a baseline could demand");
        }
        if (status == STATUS_OK) {
            status = check_document(&l, detail);
        }
    }
    if (status == STATUS_OK) {
        learn_warnings(&l);
        status = arena->overflow ? STATUS_MEMORY : STATUS_OK;
    }
    if (status == STATUS_OK) {
        *out = l.out;
    }
    return status;
}
