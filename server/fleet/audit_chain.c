#include "server/fleet/audit_chain.h"

#include "server/crypto/digest.h"

#include <stdio.h>
#include <string.h>

/* An entry's texts and JSON are a request's at most, some of it escaped. */
enum { LINE_HINT = 1024, LINE_MAX_BYTES = 64 << 20, BEGIN_ROWS = 256 };

static struct bytes hash_of(const uint8_t hash[static AUDIT_HASH_LEN]) {
    return bytes_of(hash, AUDIT_HASH_LEN);
}

/* Between the tokens of JSON only white space is below 0x20, and in its strings nothing is. */
static void blank_controls(char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        text[i] = (unsigned char)text[i] < 0x20 ? ' ' : text[i];
    }
}

/* Everything up to the last brace. */
static void write_hashed_part(struct json_out *o, const struct audit_row *row) {
    size_t start = o->len;
    json_out_object(o, NULL);
    json_out_int(o, "seq", row->seq);
    json_out_time_ms(o, "time", row->time_ms);
    json_out_text(o, "actor", row->actor);
    json_out_text(o, "action", row->action);
    json_out_text(o, "object", row->object);
    json_out_raw(o, "before", row->before);
    json_out_raw(o, "after", row->after);
    json_out_text(o, "request_id", row->request_id);
    json_out_hex(o, "previous", hash_of(row->previous));
    if (!o->failed) {
        blank_controls(o->text + start, o->len - start);
    }
}

static void end_line(struct json_out *o) {
    o->comma = false;
    json_out_raw(o, NULL, bytes_of_text("\n"));
    o->comma = false;
}

void audit_write_object(struct json_out *o, const struct audit_row *row) {
    write_hashed_part(o, row);
    json_out_hex(o, "hash", hash_of(row->hash));
    json_out_object_end(o);
}

void audit_write_entry(struct json_out *o, const struct audit_row *row) {
    audit_write_object(o, row);
    end_line(o);
}

void audit_write_checkpoint(struct json_out *o, const struct audit_checkpoint_row *row) {
    json_out_object(o, NULL);
    json_out_int(o, "checkpoint", row->seq);
    json_out_hex(o, "hash", hash_of(row->hash));
    json_out_time(o, "time", row->time);
    json_out_text(o, "trust_domain", row->trust_domain);
    json_out_hex(o, "authority", bytes_of(row->authority, sizeof row->authority));
    json_out_base64(o, "signature", row->signature);
    json_out_object_end(o);
    end_line(o);
}

enum status audit_hash(uint8_t out[static AUDIT_HASH_LEN], const struct audit_row *row) {
    struct arena arena;
    struct json_out o;
    arena_init(&arena, LINE_MAX_BYTES);
    json_out_init(&o, &arena, LINE_HINT + row->before.len + row->after.len);
    write_hashed_part(&o, row);
    struct bytes line = json_out_end(&o);
    if (line.len > 0) {
        digest_compute2(HASH_SHA256, line, bytes_of_text("}"), out);
    }
    arena_free(&arena);
    return line.len > 0 ? STATUS_OK : STATUS_MEMORY;
}

/* `tip` becomes the new entry. */
static enum status append_after(struct store_writer *writer, struct audit_tip *tip,
                                const struct audit_row *row) {
    struct audit_row entry = *row;
    entry.seq = tip->seq + 1;
    memcpy(entry.previous, tip->hash, sizeof entry.previous);
    enum status status = audit_hash(entry.hash, &entry);
    if (status == STATUS_OK) {
        status = store_audit_insert(writer, &entry);
    }
    if (status == STATUS_OK) {
        tip->seq = entry.seq;
        tip->chained = true;
        memcpy(tip->hash, entry.hash, sizeof tip->hash);
    }
    /* A rule of the table that is broken here is our own mistake. */
    return status == STATUS_CONFLICT ? STATUS_INTERNAL : status;
}

/* --- stores from before the chain --- */

/* Some rows; *after moves on. */
static enum status chain_some(struct store_writer *writer, uint8_t previous[static AUDIT_HASH_LEN],
                              int64_t *after, size_t *num) {
    struct arena arena;
    struct audit_row *rows = NULL;
    arena_init(&arena, LINE_MAX_BYTES);
    enum status status =
        store_audit_list(store_writer_reader(writer), &arena, &rows, num, *after, BEGIN_ROWS);
    for (size_t i = 0; status == STATUS_OK && i < *num; i++) {
        memcpy(rows[i].previous, previous, AUDIT_HASH_LEN);
        status = audit_hash(previous, &rows[i]);
        if (status == STATUS_OK) {
            status = store_audit_set_hash(writer, rows[i].seq, previous);
        }
        *after = rows[i].seq;
    }
    arena_free(&arena);
    return status;
}

/* In the transaction that is under way; `tip` becomes the entry that says so. */
static enum status chain_all(struct store_writer *writer, struct audit_tip *tip, int64_t now_ms) {
    int64_t after = 0;
    size_t num = 0;
    char said[48];
    enum status status;
    memset(tip->hash, 0, sizeof tip->hash);
    do {
        status = chain_some(writer, tip->hash, &after, &num);
    } while (status == STATUS_OK && num > 0);
    if (status != STATUS_OK) {
        return status;
    }
    struct audit_row row = {.time_ms = now_ms,
                            .actor = "system",
                            .action = "audit.chain_begin",
                            .object = "audit:chain"};
    (void)snprintf(said, sizeof said, "{\"entries\":%lld}", (long long)after);
    row.after = bytes_of_text(said);
    return append_after(writer, tip, &row);
}

enum status audit_chain_begin(struct store_writer *writer, int64_t now_ms, struct detail *detail) {
    struct audit_tip tip;
    enum status status = store_audit_tip(store_writer_reader(writer), &tip);
    if (status == STATUS_OK && (tip.seq == 0 || tip.chained)) {
        return STATUS_OK;
    }
    if (status == STATUS_OK) {
        status = store_begin(writer, detail);
    }
    if (status == STATUS_OK) {
        status = chain_all(writer, &tip, now_ms);
        if (status == STATUS_OK) {
            status = store_commit(writer, detail);
        }
        store_rollback(writer);
    }
    if (status != STATUS_OK) {
        detail_prefix(detail, "cannot chain the audit log");
    }
    return status;
}

/* --- appending --- */

enum status audit_append(struct store_writer *writer, const struct audit_row *row,
                         struct detail *detail) {
    struct audit_tip tip;
    enum status status = store_audit_tip(store_writer_reader(writer), &tip);
    if (status != STATUS_OK) {
        return status_fail(detail, status, "cannot read the end of the audit log");
    }
    if (tip.seq > 0 && !tip.chained) {
        status = chain_all(writer, &tip, row->time_ms);
        if (status != STATUS_OK) {
            return status_fail(detail, status, "cannot chain the audit log");
        }
    }
    status = append_after(writer, &tip, row);
    if (status != STATUS_OK) {
        return status_fail(detail, status, "cannot append to the audit log");
    }
    return STATUS_OK;
}
