#include "server/fleet/trust_log.h"

enum { PIECE = 128, PUBLISHED_MAX = 2048, ARENA_MAX = 1024 * 1024 };

enum status trust_log_begin(struct feed *feed, struct store_reader *reader) {
    int64_t oldest, newest;
    enum status status = store_trust_change_ends(reader, &oldest, &newest);
    if (status == STATUS_OK) {
        feed_publish(feed, NULL, 0, newest);
    }
    return status;
}

static void note_reasons(struct fleet_table *table, const struct trust_change_row *row,
                         size_t num) {
    for (size_t i = 0; table != NULL && i < num; i++) {
        if (row[i].change == TRUST_REVOCATION) {
            fleet_note_reason(table, row[i].serial, crl_reason_of(row[i].reason));
        }
    }
}

/* *more: there may be. */
static enum status publish_piece(struct feed *feed, struct fleet_table *table,
                                 struct store_reader *reader, bool *more) {
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    struct trust_change_row *row = NULL;
    size_t num = 0;
    enum status status =
        store_trust_change_list(reader, &arena, &row, &num, feed_newest(feed), PIECE);
    if (status == STATUS_OK && num != 0) {
        note_reasons(table, row, num);
        feed_publish(feed, row, num, 0);
    }
    *more = num == PIECE;
    arena_free(&arena);
    return status;
}

enum status trust_log_publish(struct feed *feed, struct fleet_table *table,
                              struct store_reader *reader) {
    bool more = true;
    enum status status = STATUS_OK;
    for (unsigned num = 0; status == STATUS_OK && more && num < PUBLISHED_MAX; num += PIECE) {
        status = publish_piece(feed, table, reader, &more);
    }
    /* A whole model was revoked, or the like: everybody reads that from the store, in pieces. */
    return status == STATUS_OK && more ? trust_log_begin(feed, reader) : status;
}

/* The first that is not to go, however old it is: the newest, and what a stream has yet to be told. */
static enum status needed_from(struct store_reader *reader, int64_t *out, int64_t newest) {
    int64_t behind;
    enum status status = store_stream_behind(reader, &behind);
    if (status == STATUS_OK) {
        *out = behind < newest ? behind + 1 : newest;
    }
    return status;
}

enum status trust_log_forget(struct store_writer *writer, int64_t now_ms, unsigned limit) {
    int64_t oldest, newest, needed;
    struct store_reader *reader = store_writer_reader(writer);
    enum status status = store_trust_change_ends(reader, &oldest, &newest);
    if (status == STATUS_OK) {
        status = needed_from(reader, &needed, newest);
    }
    if (status != STATUS_OK) {
        return status;
    }
    int64_t through = needed - 1;
    int64_t surplus = newest - TRUST_LOG_KEEP_ROWS; /* of these nothing is kept for anybody */
    enum status by_age = store_trust_change_forget(
        writer, now_ms - (int64_t)TRUST_LOG_KEEP_S * 1000, through, limit);
    if (by_age != STATUS_OK && by_age != STATUS_LIMIT) {
        return by_age;
    }
    enum status by_number = store_trust_change_forget(writer, INT64_MAX, surplus, limit);
    return by_number == STATUS_OK ? by_age : by_number;
}
