/* Which form of an answer a client wants: the Accept header (RFC 9110, section 12.5.1). Pure. */
#ifndef GATEHOUSE_API_ACCEPT_H
#define GATEHOUSE_API_ACCEPT_H

#include <stddef.h>

struct media_offer {
    const char *type; /* "application/json", lower-case */
    /* The one parameter that a range may ask for, besides q; NULL: none. */
    const char *parameter, *value;
};
/* The index of the offer that is wanted most; of equal ones the first. `accept` NULL: anything goes. A
 * range that cannot be read counts for nothing. `num`: none is acceptable. */
size_t accept_choose(const char *accept, const struct media_offer *offer, size_t num);

#endif
