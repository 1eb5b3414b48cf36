/* Certificate dialects: how an access-control proxy hands on the certificate of its client, in which
 * request header and encoding. Every proxy speaks exactly one (api/proxy/client_certificate.h reads
 * them). Pure. */
#ifndef GATEHOUSE_BASE_DIALECT_H
#define GATEHOUSE_BASE_DIALECT_H

#include <stdbool.h>

enum dialect {
    DIALECT_NONE, /* it hands on nothing, and may not use /v1/authorize */
    DIALECT_NGINX,
    DIALECT_ENVOY_XFCC,
    DIALECT_TRAEFIK,
    DIALECT_CADDY,
    DIALECT_RFC9440,
    DIALECT_FINGERPRINT,
    NUM_DIALECTS
};
enum { DIALECT_NAME = 17 }; /* bytes of the longest name, terminated */

/* "none", "nginx", "envoy_xfcc", ...; NULL ends the list, in the order of the enum. */
extern const char *const dialect_names[NUM_DIALECTS + 1];
/* False, and *out untouched: there is no such dialect. */
bool dialect_from_name(enum dialect *out, const char *name);

#endif
