/* The configurations of deploy/proxies, which are parts of the program, and how values come into them.
 * Pure and stateless.
 *
 * A template is the proxy's own text. "@name@" (lower-case letters and underscores) stands for a value.
 * Lines "#@if name", "#@else" and "#@end" keep what is between them according to whether the value is
 * there; they do not nest. */
#ifndef GATEHOUSE_COMMANDS_PROXY_TEMPLATE_H
#define GATEHOUSE_COMMANDS_PROXY_TEMPLATE_H

#include "server/base/bytes.h"

#include <stdbool.h>

/* The text that is called so, as it was when the program was built: "nginx", "haproxy", "haproxy/lua",
 * "caddy", "envoy", "traefik", "traefik/static". NOT_FOUND. */
MUST_USE enum status proxy_template_find(struct bytes *out, const char *name);

struct proxy_value {
    const char *name;
    const char *option; /* where it comes from, for the detail: "--server-name" */
    const char *text;   /* NULL: there is none */
    bool used;          /* written: the template asked for it, or for whether it is there */
};
/* Writes the template. NOT_FOUND: it wants a value that is not there, and the detail says "--option is
 * missing"; LIMIT: the writer overflowed; INTERNAL: the template itself is wrong. */
MUST_USE enum status proxy_template_fill(struct writer *out, struct bytes text,
                                         struct proxy_value *values, size_t num,
                                         struct detail *detail);

#endif
