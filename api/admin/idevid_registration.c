#include "api/admin/idevid_registration.h"

#include "api/idevid.h"
#include "server/base/encoding.h"
#include "server/identity/enrolment.h"

#include <string.h>

enum { CHAIN_MAX = X509_CHAIN_MAX };

static bool refuse(struct request *r, const char *field, const struct detail *detail) {
    (void)problem_detail(r->x, PROBLEM_INVALID_FIELD, "%s: %s", field, detail->text);
    return false;
}

static bool read_chain(struct request *r, struct bytes chain[CHAIN_MAX], size_t *num,
                       const char *pem) {
    struct detail detail = {0};
    return pem_certificates(r->x->arena, chain, num, CHAIN_MAX, bytes_of_text(pem), &detail) ==
                   STATUS_OK
               ? true
               : refuse(r, "idevid_certificate", &detail);
}

bool idevid_registration_key(struct request *r, char out[static 65],
                             const struct idevid_registration *in) {
    struct bytes chain[CHAIN_MAX];
    struct certificate certificate;
    struct detail detail = {0};
    uint8_t digest[32];
    size_t num = 0;
    if (!read_chain(r, chain, &num, in->certificate)) {
        return false;
    }
    if (certificate_parse(&certificate, chain[0], &detail) != STATUS_OK) {
        return refuse(r, "idevid_certificate", &detail);
    }
    if (public_key_spki_sha256(digest, &certificate.key) != STATUS_OK) {
        detail_set(&detail, "its key is of a kind that is not taken");
        return refuse(r, "idevid_certificate", &detail);
    }
    hex_encode(out, bytes_of(digest, sizeof digest));
    return true;
}

/* The maker's manifest says that this AK is in the device; or says of none. */
static bool read_ak(struct request *r, struct device_row *row, const char *base64) {
    struct tpm_public ak;
    struct detail detail = {0};
    if (base64 == NULL) {
        return true; /* whether its model takes such a device is seen when it is written */
    }
    if (base64_decode_arena(r->x->arena, &row->ak_public, base64, strlen(base64), &detail) !=
            STATUS_OK ||
        tpm_public_parse(&ak, row->ak_public, &detail) != STATUS_OK) {
        return refuse(r, "ak_public", &detail);
    }
    if (ak_check(&ak, &detail) != STATUS_OK) {
        (void)problem_detail(r->x, PROBLEM_AK_UNACCEPTABLE, "%s", detail.text);
        return false;
    }
    return true;
}

static void use_at_once(struct device_row *row, const struct idevid *idevid) {
    row->state = DEVICE_ENROLLED;
    row->enrolled = row->updated;
    row->identity_kind = IDENTITY_IDEVID;
    row->identity_not_after = idevid->not_after;
    memcpy(row->identity_sha256, idevid->sha256, sizeof row->identity_sha256);
}

bool idevid_registration_fill(struct request *r, struct device_row *row,
                              const struct idevid_registration *in, bool alone) {
    struct bytes chain[CHAIN_MAX];
    struct idevid idevid;
    struct detail detail = {0};
    size_t num = 0;
    if (!alone && in->ak_public != NULL) {
        detail_set(&detail, "a device with an EK shows its AK when it enrols");
        return refuse(r, "ak_public", &detail);
    }
    if (!read_chain(r, chain, &num, in->certificate)) {
        return false;
    }
    enum status status =
        idevid_of_model(&idevid, r->api, row->model, chain, num, row->updated, &detail);
    if (status != STATUS_OK) {
        (void)problem_detail(
            r->x, status == STATUS_NOT_FOUND ? PROBLEM_UNKNOWN_MODEL : PROBLEM_IDEVID_UNTRUSTED,
            "%s", detail.text);
        return false;
    }
    memcpy(row->idevid_sha256, idevid.sha256, sizeof row->idevid_sha256);
    text_copy(row->idevid_serial, sizeof row->idevid_serial, idevid.serial);
    if (!alone) {
        return true;
    }
    use_at_once(row, &idevid);
    return read_ak(r, row, in->ak_public);
}
