/* Reading a baseline document: each value is read at its place, so that a refusal names it
 * ("secure_boot.db[2]: it is not 64 lower-case hex digits"). Private to server/appraisal. Every
 * reader: OK; MALFORMED with the detail set, and the code when it is not "invalid_baseline"; MEMORY.
 * What they write lies in the baseline's arena. */
#ifndef GATEHOUSE_APPRAISAL_RULE_READ_H
#define GATEHOUSE_APPRAISAL_RULE_READ_H

#include "server/appraisal/rule.h"

#include <jansson.h>

enum { ALLOWED_MAX = 1024, LABEL_MAX = 256 };

struct place {
    const struct place *in; /* NULL: the document itself */
    const char *name;       /* of a member; NULL: element `index` of a list */
    size_t index;
    json_t *json; /* NULL: there is no such member */
};
struct place place_member(const struct place *in, const char *name);
struct place place_element(const struct place *in, size_t index);
MUST_USE enum status place_refuse(struct compiling *c, const struct place *at, const char *format,
                                  ...) PRINTF_LIKE(3, 4);

/* An object with one member at least, all of them among `known`, which NULL ends. Where members have
 * names of their own `known` is NULL. */
MUST_USE enum status read_object(struct compiling *c, const struct place *at,
                                 const char *const *known);
/* A list of 1..max elements. */
MUST_USE enum status read_list(struct compiling *c, const struct place *at, size_t *num,
                               size_t max);
/* A text of 1..max bytes without control characters. */
MUST_USE enum status read_text(struct compiling *c, const struct place *at, const char **out,
                               size_t max);
MUST_USE enum status read_flag(struct compiling *c, const struct place *at, bool *out);
/* A whole number of min..max, in decimal digits: an element or member, or a member's name. */
MUST_USE enum status read_number(struct compiling *c, const struct place *at, uint32_t *out,
                                 uint32_t min, uint32_t max);

/* Digests of one algorithm that something may have, each with a label or without. */
struct allowed_digest {
    struct bytes digest;
    const char *label; /* NULL: none */
};
struct allowed {
    struct allowed_digest *of; /* as the document lists them */
    size_t num;                /* 0: nothing was read */
    uint32_t *sorted;          /* their indices by digest; of equal ones the first */
    size_t num_distinct;
};
/* A list of 1..ALLOWED_MAX; each is "<hex>" or {"label": text, "<alg>": "<hex>"}. */
MUST_USE enum status read_allowed(struct compiling *c, const struct place *at, struct allowed *out,
                                  enum hash_alg alg);
/* One such digest. */
MUST_USE enum status read_one(struct compiling *c, const struct place *at, struct allowed *out,
                              enum hash_alg alg);
/* Its index, of equal ones the first; allowed->num: it is not among them. */
size_t allowed_find(const struct allowed *allowed, struct bytes digest);
bool allowed_has(const struct allowed *allowed, struct bytes digest);

#endif
