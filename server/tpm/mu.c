#include "server/tpm/mu.h"

#include <stdlib.h>

/* Before main, so while there is one thread; an operator's own TSS2_LOG is kept. */
__attribute__((constructor)) void tpm_mu_quiet(void) {
    (void)setenv("TSS2_LOG", "all+none", 0);
}

enum hash_alg tpm_hash(uint16_t alg) {
    return digest_len((enum hash_alg)alg) > 0 ? (enum hash_alg)alg : HASH_NONE;
}
