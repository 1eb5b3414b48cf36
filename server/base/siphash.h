/* SipHash-2-4: a hash for tables whose keys come from outside. Who does not know the key cannot make
 * up inputs that meet. Pure; thread-safe.
 * Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012). */
#ifndef GATEHOUSE_BASE_SIPHASH_H
#define GATEHOUSE_BASE_SIPHASH_H

#include "server/base/bytes.h"

enum { SIPHASH_KEY = 16 };

uint64_t siphash(const uint8_t key[static SIPHASH_KEY], struct bytes in);

#endif
