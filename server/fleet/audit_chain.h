/* The audit log as a hash chain: each entry is one line of canonical JSON that holds the hash of the
 * entry before it, and its own hash is SHA-256 over that line:
 *
 *   {"seq":7,"time":"...","actor":"...","action":"...","object":"...","before":...,"after":...,
 *    "request_id":"...","previous":"<64 hex>"}            hashed without its line end
 *
 * An exported line is the same with ,"hash":"<64 hex>" put before the last brace: anybody can check
 * it with a line editor and sha256sum. The first entry's previous is 64 zeros. A checkpoint says
 * "entry SEQ has hash HASH at TIME", signed by the identity authority over a text that no
 * certificate can begin with. Thread-safe where the store's handles are. */
#ifndef GATEHOUSE_FLEET_AUDIT_CHAIN_H
#define GATEHOUSE_FLEET_AUDIT_CHAIN_H

#include "db/store.h"

enum { AUDIT_HASH_LEN = 32 };

/* Appends in the writer's transaction: gives the row its seq and hash after the last entry that this
 * transaction sees, and stores it. Everything that is audited goes through here. STORAGE, MEMORY. */
MUST_USE enum status audit_append(struct store_writer *writer, const struct audit_row *row,
                                  struct detail *detail);

#endif
