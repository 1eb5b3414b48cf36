/* Unpredictable bytes from the kernel (getrandom). Never fails: without randomness the process
 * ends. Thread-safe. */
#ifndef GATEHOUSE_CRYPTO_RANDOM_H
#define GATEHOUSE_CRYPTO_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *out, size_t len);

enum { ID_SIZE = 33 };
/* A new object id, 32 hex digits: 48 bits of milliseconds, then 80 random bits (so that new rows of
 * an index lie together). */
void id_new(char out[static ID_SIZE], int64_t unix_ms);

#endif
