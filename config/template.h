/* The annotated configuration, config/gatehouse.ini, as `gatehouse init` writes it: the same text
 * with some values filled in. Stateless. */
#ifndef GATEHOUSE_CONFIG_TEMPLATE_H
#define GATEHOUSE_CONFIG_TEMPLATE_H

#include "server/base/bytes.h"

/* The file as it was when the gateway was built. */
struct bytes config_template(void);

struct template_value {
    const char *section, *key;
    const char *value; /* NULL: the setting is commented out */
};
/* Writes the text with each of the values in the place of its own line. NOT_FOUND: the text has no
 * line for one of them (which the detail names); LIMIT: the writer overflowed. */
MUST_USE enum status template_fill(struct writer *out, const struct template_value *values,
                                   size_t num, struct detail *detail);

#endif
