/* Learns a baseline from what devices booted. What all of them share becomes rules of the families
 * that express it; what differs, or differs by nature, becomes a question: what was found, what was
 * chosen, and why. An administrator reads both before anybody approves. Pure; thread-safe; the same
 * sources in the same order give the same document.
 *
 * The document compiles, and accepts every source but those whose keys are known to be leaked: these
 * it refuses, and a warning says so. Nothing is learned from claims; names of steps and labels are
 * taken from them. */
#ifndef GATEHOUSE_APPRAISAL_LEARN_H
#define GATEHOUSE_APPRAISAL_LEARN_H

#include "server/appraisal/appraisal.h"
#include "server/base/json_out.h"

enum learn_choice {
    LEARN_LEFT_OUT, /* the baseline says nothing of it */
    LEARN_ANY_OF,   /* every value found is allowed */
    LEARN_PATTERN,  /* what differs is `*` */
    LEARN_PINNED    /* the value found is demanded, though it may not be the same everywhere */
};
const char *learn_choice_name(enum learn_choice choice); /* "left_out", "any_of", ... */

struct learn_question {
    const char *subject; /* "boot_order", "pcr", or a family: "initrd" */
    int pcr, event;      /* -1: none; the event is the first source's */
    const char **value;  /* "6.1.0-27 (5f21...): 3 devices"; at most LEARN_VALUES_SHOWN */
    size_t num_values;
    size_t num_more; /* values that are not shown */
    enum learn_choice choice;
    const char *why;
};
enum { LEARN_VALUES_SHOWN = 16, LEARN_MAX_QUESTIONS = 64, LEARN_MAX_WARNINGS = 64 };

/* Facts, and how many devices booted just so. */
struct learn_source {
    const struct facts *facts;
    const char *name; /* of one of them: a device's id, a file */
    unsigned devices; /* at least 1 */
};
enum { LEARN_MAX_SOURCES = 512 };
struct learn_inputs {
    const struct learn_source *source; /* 1..LEARN_MAX_SOURCES */
    size_t num;
    const char *model, *label;             /* label "": none */
    const struct leaked_keys *leaked_keys; /* beside those compiled in; NULL: none */
};
struct learned {
    struct bytes document; /* JSON, arena */
    struct learn_question *question;
    size_t num_questions;
    const char **warning; /* sentences */
    size_t num_warnings;
};
/* INVALID, with the reason: no baseline fits these sources (some have a log and some have none, no
 * bank in common, nothing that could be demanded). LIMIT: the document gets too large. MEMORY. */
MUST_USE enum status learn_baseline(struct learned *out, struct arena *arena,
                                    const struct learn_inputs *inputs, struct detail *detail);
/* [{"subject","pcr","event","values":[...],"more","choice","why"}, ...] */
void learn_write_questions(struct json_out *o, const char *name, const struct learned *learned);

#endif
