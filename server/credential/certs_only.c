#include "server/credential/certs_only.h"

#include "server/crypto/der.h"
#include "server/crypto/oid.h"

enum { VERSION = 1 };

enum status certs_only_write(struct writer *out, const struct bytes *certificate, size_t num) {
    if (num == 0) {
        return STATUS_INVALID;
    }
    size_t content_info = der_open(out, DER_SEQUENCE);
    der_write(out, DER_OID, DER_OID_OF(OID_CMS_SIGNED_DATA));
    size_t explicit = der_open(out, DER_CONTEXT_CONSTRUCTED);
    size_t signed_data = der_open(out, DER_SEQUENCE);
    der_write_u32(out, VERSION);
    der_close(out, der_open(out, DER_SET)); /* digestAlgorithms: none */
    size_t encapsulated = der_open(out, DER_SEQUENCE);
    der_write(out, DER_OID, DER_OID_OF(OID_CMS_DATA)); /* and no content */
    der_close(out, encapsulated);
    size_t certificates = der_open(out, DER_CONTEXT_CONSTRUCTED);
    for (size_t i = 0; i < num; i++) {
        write_bytes(out, certificate[i]);
    }
    der_close(out, certificates);
    der_close(out, der_open(out, DER_SET)); /* signerInfos: none */
    der_close(out, signed_data);
    der_close(out, explicit);
    der_close(out, content_info);
    return out->overflow ? STATUS_LIMIT : STATUS_OK;
}
