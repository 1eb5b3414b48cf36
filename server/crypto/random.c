#include "server/crypto/random.h"

#include "server/base/encoding.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void random_bytes(void *out, size_t len) {
    uint8_t *at = out;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno != EINTR) {
            abort();
        }
        if (got > 0) {
            at += got;
            len -= (size_t)got;
        }
    }
}

void id_new(char out[static ID_SIZE], int64_t unix_ms) {
    uint8_t id[16], tail[10];
    uint64_t ms = (uint64_t)unix_ms;
    random_bytes(tail, sizeof tail);
    struct writer w = writer_of(id, sizeof id);
    write_u16be(&w, (uint16_t)(ms >> 32));
    write_u32be(&w, (uint32_t)ms);
    write_bytes(&w, bytes_of(tail, sizeof tail));
    hex_encode(out, writer_bytes(&w));
}
