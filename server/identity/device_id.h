/* Who a device is: the hardware root key says so, and nobody else can. */
#ifndef GATEHOUSE_IDENTITY_DEVICE_ID_H
#define GATEHOUSE_IDENTITY_DEVICE_ID_H

#include "server/crypto/key.h"

enum { DEVICE_ID_SIZE = 33 };

/* The first 32 hex digits of SHA-256 over the EK's SubjectPublicKeyInfo. */
MUST_USE enum status device_id_from_key(char out[static DEVICE_ID_SIZE],
                                        const struct public_key *ek);
/* 32 lower-case hex digits. */
bool device_id_is_valid(const char *text);

#endif
