/* What the files of learning share. Private to server/appraisal. */
#ifndef GATEHOUSE_APPRAISAL_LEARN_PARTS_H
#define GATEHOUSE_APPRAISAL_LEARN_PARTS_H

#include "server/appraisal/boot_steps.h"
#include "server/appraisal/learn.h"
#include "server/appraisal/rule_text.h"

enum learn_family {
    LEARN_SECURE_BOOT = 1,
    LEARN_FIRMWARE = 2,
    LEARN_BOOT_CHAIN = 4,
    LEARN_COMMAND_LINE = 8,
    LEARN_INITRD = 16,
    LEARN_SBAT = 32,
    LEARN_PCRS = 64
};
const char *learn_family_name(enum learn_family family); /* "secure_boot" */

struct learning {
    struct arena *arena;
    const struct learn_inputs *in;
    enum hash_alg bank;
    size_t *bank_index; /* of each source */
    unsigned devices;   /* in all */
    bool logged;        /* every source has a log; else none has */
    unsigned dropped;   /* enum learn_family: sources do not meet what was learned of it */
    const char *dropped_why[8];
    unsigned learned;    /* enum learn_family */
    bool below_measured; /* some source meets the document, and counts as less than measured */
    struct json_out o;
    struct learned out;
};

/* Distinct values of one thing over all sources, in the order in which they were met. */
struct tally_value {
    struct bytes value;
    const char *label; /* NULL: none */
    unsigned devices;
};
enum { TALLY_MAX = 512 };
struct tally {
    struct tally_value of[TALLY_MAX];
    size_t num;
    bool full; /* there were more */
};
struct tally *tally_new(struct arena *arena); /* NULL on a full arena */
void tally_add(struct tally *tally, struct bytes value, const char *label, unsigned devices);

void learn_ask(struct learning *l, struct learn_question question);
/* The same with the tally's values, as hex or as text. */
void learn_ask_tally(struct learning *l, struct learn_question question, const struct tally *tally,
                     bool text);
void learn_warn(struct learning *l, const char *text); /* NULL: the arena is full */
const struct facts *learn_facts(const struct learning *l, size_t source);
const struct fact_pcr *learn_pcr(const struct learning *l, size_t source, unsigned pcr);
/* In every source the PCR is quoted, and the log accounts for it: extends it, or it is reset. */
bool learn_accounted(const struct learning *l, unsigned pcr);
bool learn_wants(const struct learning *l, enum learn_family family); /* logs, and not dropped */
/* A document may hold it as it is: UTF-8 of 1..max bytes without control characters. */
bool learn_can_say(const char *text, size_t max);
/* A list of digests with their labels, as `any_of` of the document. */
void learn_write_allowed(struct learning *l, const char *name, const struct tally *tally);
/* "differs among the devices: any of these is allowed" */
extern const char learn_why_differs[];

/* Each writes its member of the document, or none, and asks. */
void learn_secure_boot(struct learning *l);
void learn_firmware(struct learning *l);
void learn_boot_chain(struct learning *l);
void learn_command_line(struct learning *l);
void learn_initrd(struct learning *l);
void learn_sbat(struct learning *l);
void learn_others(struct learning *l); /* questions about what no rule can hold */
void learn_pcrs(struct learning *l);   /* last: what no family expresses */

void learn_warnings(struct learning *l);

#endif
