/* For tests of rule families: facts filled in by hand, a baseline of a few members, and what its
 * findings say. The bank is SHA-256. A digest is named by the character that all its hex digits are. */
#ifndef GATEHOUSE_TESTS_RULE_FIXTURE_H
#define GATEHOUSE_TESTS_RULE_FIXTURE_H

#include "server/appraisal/appraisal.h"

/* 64 digits each. */
#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define HEX_C "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define HEX_D "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"

extern struct arena rule_arena;
extern struct facts rule_facts;       /* no log, nothing quoted, every event FACT_NO_EVENT */
extern struct appraisal rule_verdict; /* of the last rule_judge */
extern const struct leaked_keys *rule_leaked_keys;

/* A checked fixture. */
void rule_start(void);
void rule_end(void);

/* The PCR is quoted and holds something; the log explains it, or not. */
void rule_quote(unsigned pcr, bool logged);
struct bytes rule_digest(char digit);
/* In a list that is parallel to the facts' banks. */
const struct bytes *rule_digests(char digit);
/* One more event of the log, which extends its PCR; `text` is its data, bound or not. Its index. */
uint32_t rule_event(unsigned pcr, uint32_t type, char digit, const char *text, bool bound);
/* 256 at most, each of its kind. */
struct fact_image *rule_image(enum fact_image_kind kind, char digit);
struct fact_command_line *rule_command_line(enum fact_loader loader, const char *text);
struct fact_file *rule_file(char digit, const char *name, bool is_initrd);

/* Judges by a baseline with these members beside its head ("\"tpm\":{...}"). */
enum verdict rule_judge(const char *members);
/* "code pcr event, ..." of the last one's findings in their order; info ones in brackets. Each of them
 * has a code that is listed, and words. */
const char *rule_told(void);
/* The PCRs that such a baseline reads. */
uint32_t rule_reads(const char *members);
/* Such a baseline is refused with this code, and a detail that begins with this path. */
void rule_refused(const char *members, const char *code, const char *path);

#endif
