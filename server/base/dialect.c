#include "server/base/dialect.h"

#include <string.h>

const char *const dialect_names[NUM_DIALECTS + 1] = {[DIALECT_NONE] = "none",
                                                     [DIALECT_NGINX] = "nginx",
                                                     [DIALECT_ENVOY_XFCC] = "envoy_xfcc",
                                                     [DIALECT_TRAEFIK] = "traefik",
                                                     [DIALECT_CADDY] = "caddy",
                                                     [DIALECT_RFC9440] = "rfc9440",
                                                     [DIALECT_FINGERPRINT] = "fingerprint"};

bool dialect_from_name(enum dialect *out, const char *name) {
    for (enum dialect dialect = DIALECT_NONE; dialect < NUM_DIALECTS; dialect++) {
        if (strcmp(dialect_names[dialect], name) == 0) {
            *out = dialect;
            return true;
        }
    }
    return false;
}
