/* A request is refused and nothing touched, or all that was read of it lies within it and within its
 * limits. */
#include "server/credential/ocsp_request.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds) {
        abort();
    }
}

/* Within the input, and every byte of it can be read. */
static unsigned look(struct bytes in, const uint8_t *data, size_t size) {
    unsigned sum = 0;
    require(in.len <= size && in.data >= data && in.data + in.len <= data + size);
    for (size_t i = 0; i < in.len; i++) {
        sum += in.data[i];
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ocsp_request request, untouched;
    struct detail detail = {0};
    volatile unsigned sum = 0;
    memset(&request, 0xA5, sizeof request);
    untouched = request;
    enum status status = ocsp_request_read(&request, bytes_of(data, size), &detail);
    if (status != STATUS_OK) {
        require(status == STATUS_TRUNCATED || status == STATUS_MALFORMED || status == STATUS_LIMIT);
        require(detail.text[0] != '\0');
        require(memcmp(&request, &untouched, sizeof request) == 0);
        return 0;
    }
    require(size <= OCSP_REQUEST_MAX && data[0] == 0x30);
    require(request.num_certs > 0 && request.num_certs <= OCSP_CERTS_MAX);
    require(request.nonce.len <= OCSP_NONCE_MAX);
    if (request.nonce.len > 0) {
        sum += look(request.nonce, data, size);
    }
    for (size_t i = 0; i < request.num_certs; i++) {
        const struct ocsp_cert_id *cert = &request.cert[i];
        require(cert->serial.len > 0 && cert->serial.len <= OCSP_SERIAL_MAX);
        require(cert->serial.len == 1 || cert->serial.data[0] != 0);
        require(cert->alg == HASH_NONE || (cert->issuer_name_hash.len == digest_len(cert->alg) &&
                                           cert->issuer_key_hash.len == digest_len(cert->alg)));
        sum += look(cert->serial, data, size) + look(cert->issuer_name_hash, data, size) +
               look(cert->issuer_key_hash, data, size);
    }
    return 0;
}
