#include "server/identity/device_id.h"

#include "server/base/encoding.h"

#include <string.h>

enum status device_id_from_key(char out[static DEVICE_ID_SIZE], const struct public_key *ek) {
    uint8_t digest[32];
    enum status status = public_key_spki_sha256(digest, ek);
    if (status == STATUS_OK) {
        hex_encode(out, bytes_of(digest, (DEVICE_ID_SIZE - 1) / 2));
    }
    return status;
}

bool device_id_is_valid(const char *text) {
    uint8_t digest[(DEVICE_ID_SIZE - 1) / 2];
    return strlen(text) == DEVICE_ID_SIZE - 1 &&
           hex_decode(digest, sizeof digest, text) == STATUS_OK;
}
