/* The audit log as a hash chain. Each entry is one line of canonical JSON, which says the hash of the
 * entry before it; its own hash is SHA-256 over that line:
 *
 *   {"seq":7,"time":"2026-11-23T13:00:00.000Z","actor":"...","action":"...","object":"...",
 *    "before":...,"after":...,"request_id":"...","previous":"<64 hex>"}
 *
 * in one line, hashed without its line end. An exported line is the same with ,"hash":"<64 hex>"
 * put before the last brace: anybody can check it with a line editor and sha256sum. The first
 * entry's previous is 64 zeros. No byte of a line is below 0x20: texts are escaped, and white space
 * in before and after, which are JSON as somebody gave it, is written as blanks.
 *
 * A checkpoint says that the chain up to an entry was there at a time:
 *
 *   {"checkpoint":7,"hash":"<64 hex>","time":"2026-11-23T13:00:00Z","trust_domain":"...",
 *    "authority":"<64 hex>","signature":"<base64>"}
 *
 * in one line after that entry's. The signature is the identity authority's (by SHA-256 of its
 * certificate) over the text of server/credential/checkpoint.h. Where older entries were pruned, an
 * export begins with the checkpoint of the last of them.
 * Thread-safe where the store's handles are. */
#ifndef GATEHOUSE_FLEET_AUDIT_CHAIN_H
#define GATEHOUSE_FLEET_AUDIT_CHAIN_H

#include "db/store.h"
#include "server/base/json_out.h"

enum { AUDIT_HASH_LEN = 32 };

/* Appends in the writer's transaction: gives the row its seq, previous and hash after the last entry
 * that this transaction sees, and stores it. Everything that is audited goes through here. STORAGE,
 * MEMORY. */
MUST_USE enum status audit_append(struct store_writer *writer, const struct audit_row *row,
                                  struct detail *detail);
/* Right after a store was opened for writing: entries that are older than the chain get their hash,
 * and "audit.chain_begin" says how many these were; all in a transaction of its own. Does nothing to
 * a store without such. Where nobody called it, the first audit_append does the same. STORAGE,
 * MEMORY. */
MUST_USE enum status audit_chain_begin(struct store_writer *writer, int64_t now_ms,
                                       struct detail *detail);

/* The hash that the row should have after its `previous`. MEMORY. */
MUST_USE enum status audit_hash(uint8_t out[static AUDIT_HASH_LEN], const struct audit_row *row);
/* The entry with its hash, as a value among others; o->failed as ever. */
void audit_write_object(struct json_out *o, const struct audit_row *row);
/* An exported line, with its line end; o->failed as ever. */
void audit_write_entry(struct json_out *o, const struct audit_row *row);
void audit_write_checkpoint(struct json_out *o, const struct audit_checkpoint_row *row);

/* A part of an export: the lines of at most `limit` entries after `after`, each followed by its
 * checkpoint's. Ends early once there are `max_bytes` or more; the last line is whole. */
struct audit_page {
    int64_t after; /* moves to the last entry written; what was pruned is not looked for */
    unsigned limit;
    size_t max_bytes;
    size_t num;   /* of entries written; 0: there was none after `after` */
    bool skipped; /* entries after `after` were pruned: the lines begin with a checkpoint */
};
/* STORAGE, MEMORY (o->failed is one too). */
MUST_USE enum status audit_export_page(struct json_out *o, struct store_reader *reader,
                                       struct audit_page *page);

#endif
