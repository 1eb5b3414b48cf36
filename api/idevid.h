/* Devices that come with their factory certificate (IEEE 802.1AR) instead of one that we issued. */
#ifndef GATEHOUSE_API_IDEVID_H
#define GATEHOUSE_API_IDEVID_H

#include "api/request.h"
#include "server/identity/idevid.h"

/* The device plane's vouch (api/http.h): the leaf is in force as the identity of a device that is
 * not retired, and leads to the anchors that its model has now. */
bool idevid_vouch(void *plane, void *worker, const struct bytes *chain, size_t num);
/* The same of the peer of a request, for `device`, that was found by the leaf: what was vouched for
 * at the handshake may have lost its anchors since. */
bool idevid_holds(struct api *api, const struct device_row *device, const struct http_peer *peer);
/* Who it is, is all that is known of the device and ever was: it has no keys of a TPM, and never gave
 * a quote. Nobody who has, or had, is such a device. */
bool idevid_is_all(const struct device_row *device);
/* Against the anchors that `model` has now. NOT_FOUND: no such model. INVALID: the certificate does
 * not hold, or the model takes none. */
MUST_USE enum status idevid_of_model(struct idevid *out, struct api *api, const char *model,
                                     const struct bytes *chain, size_t num, int64_t now,
                                     struct detail *detail);

#endif
