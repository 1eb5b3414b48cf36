/* Event logs and their pieces. */
#include "db/sqlite/boot.h"

#include <stdlib.h>
#include <string.h>

/* --- runs of numbers --- */

enum status piece_runs_next(struct piece_runs *runs, struct piece_run *out) {
    enum { RUN_LONGEST = 1 << 24 };
    struct piece_runs after = *runs;
    uint64_t step, num;
    if (after.rest.len == 0) {
        return STATUS_END;
    }
    if (read_varint(&after.rest, &step) != STATUS_OK ||
        read_varint(&after.rest, &num) != STATUS_OK) {
        return STATUS_STORAGE;
    }
    int64_t by = (int64_t)(step >> 1);
    int64_t first = (step & 1) != 0 ? after.end - by - 1 : after.end + by;
    if (first < 1 || num < 1 || num > RUN_LONGEST || first > INT64_MAX / 2) {
        return STATUS_STORAGE;
    }
    after.end = first + (int64_t)num;
    *runs = after;
    *out = (struct piece_run){first, (int64_t)num};
    return STATUS_OK;
}

void piece_run_write(struct writer *w, int64_t *end, const struct piece_run *run) {
    int64_t by = run->first - *end;
    if (run->num > 0) {
        write_varint(w, by < 0 ? (uint64_t)(-by - 1) << 1 | 1 : (uint64_t)by << 1);
        write_varint(w, (uint64_t)run->num);
        *end = run->first + run->num;
    }
}

/* --- pieces --- */

static enum status load_key(struct connection *c) {
    if (c->has_piece_key) {
        return STATUS_OK;
    }
    QUERY q = query_of(c, SQL_LOG_PIECE_KEY);
    enum status status = query_first(&q);
    if (status != STATUS_OK) {
        return status == STATUS_NOT_FOUND ? STATUS_STORAGE : status;
    }
    struct bytes key = column_view(&q);
    if (q.status != STATUS_OK || key.len != sizeof c->piece_key) {
        return q.status == STATUS_OK ? STATUS_STORAGE : q.status;
    }
    memcpy(c->piece_key, key.data, key.len);
    c->has_piece_key = true;
    return STATUS_OK;
}

static int64_t hash_of(const struct connection *c, struct bytes piece) {
    uint64_t hash = siphash(c->piece_key, piece);
    int64_t number;
    memcpy(&number, &hash, sizeof number);
    return number;
}

static enum status find_piece(struct connection *c, int64_t *out, int64_t hash,
                              struct bytes piece) {
    QUERY q = query_of(c, SQL_LOG_PIECE_FIND);
    bind_int(&q, hash);
    enum status status;
    while ((status = query_step(&q)) == STATUS_OK) {
        int64_t num = column_int(&q);
        bool same = bytes_equal(column_view(&q), piece);
        if (q.status != STATUS_OK) {
            return q.status;
        }
        if (same) {
            *out = num;
            return STATUS_OK;
        }
    }
    return status == STATUS_END ? STATUS_NOT_FOUND : status;
}

static enum status put_packed(struct connection *c, int64_t *out, struct bytes packed) {
    int64_t hash = hash_of(c, packed);
    enum status status = find_piece(c, out, hash, packed);
    if (status != STATUS_NOT_FOUND) {
        return status;
    }
    QUERY q = query_of(c, SQL_LOG_PIECE_INSERT);
    bind_int(&q, hash);
    bind_blob(&q, packed);
    status = query_run(&q);
    if (status == STATUS_OK) {
        *out = query_inserted(&q);
    }
    return status;
}

static enum status put_piece(struct connection *c, int64_t *out, struct bytes piece) {
    uint8_t here[1024], *there = NULL;
    if (piece.len > SIZE_MAX / 2 - PIECE_PACK_MAX) {
        return STATUS_MEMORY;
    }
    size_t room = 2 * piece.len + PIECE_PACK_MAX;
    if (room > sizeof here && (there = malloc(room)) == NULL) {
        return STATUS_MEMORY;
    }
    struct writer w = writer_of(there == NULL ? here : there, room);
    piece_pack(&w, piece);
    enum status status = w.overflow ? STATUS_INTERNAL : put_packed(c, out, writer_bytes(&w));
    free(there);
    return status;
}

enum status log_piece_put(struct store_writer *writer, int64_t *out, struct bytes piece) {
    enum status status = load_key(of_writer(writer));
    if (status == STATUS_OK) {
        status = put_piece(of_writer(writer), out, piece);
    }
    if (status == STATUS_OK) {
        piece_sweep_mark(&writer->sweep, (struct piece_run){*out, 1});
    }
    return status;
}

/* --- logs --- */

static enum status put_pieces(struct store_writer *writer, struct writer *w, int64_t *size,
                              const struct bytes *piece, size_t num) {
    struct piece_run run = {0, 0};
    int64_t end = 0;
    *size = 0;
    for (size_t i = 0; i < num; i++) {
        int64_t at = 0;
        enum status status = put_piece(of_writer(writer), &at, piece[i]);
        if (status != STATUS_OK) {
            return status;
        }
        if (run.num > 0 && at == run.first + run.num) {
            run.num++;
        } else {
            piece_run_write(w, &end, &run);
            run = (struct piece_run){at, 1};
        }
        piece_sweep_mark(&writer->sweep, (struct piece_run){at, 1});
        *size += (int64_t)piece[i].len;
    }
    piece_run_write(w, &end, &run);
    return w->overflow ? STATUS_INTERNAL : STATUS_OK;
}

static enum status find_log(struct connection *c, int64_t *out, const uint8_t sha256[static 32]) {
    QUERY q = query_of(c, SQL_BOOT_LOG_FIND);
    bind_sha256(&q, sha256);
    enum status status = query_first(&q);
    if (status == STATUS_OK) {
        *out = column_int(&q);
    }
    return status;
}

static enum status insert_log(struct store_writer *writer, int64_t *out,
                              const uint8_t sha256[static 32], const struct bytes *piece,
                              size_t num, struct writer *w) {
    int64_t size;
    enum status status = put_pieces(writer, w, &size, piece, num);
    if (status != STATUS_OK) {
        return status;
    }
    QUERY q = query_of(of_writer(writer), SQL_BOOT_LOG_INSERT);
    bind_sha256(&q, sha256);
    bind_int(&q, size);
    bind_blob(&q, writer_bytes(w));
    status = query_run(&q);
    if (status == STATUS_OK) {
        *out = query_inserted(&q);
    }
    return status;
}

enum status boot_log_put(struct store_writer *writer, int64_t *out, const uint8_t sha256[static 32],
                         const struct bytes *piece, size_t num) {
    enum status status = load_key(of_writer(writer));
    if (status == STATUS_OK) {
        status = find_log(of_writer(writer), out, sha256);
    }
    if (status != STATUS_NOT_FOUND) {
        return status;
    }
    size_t room = num * PIECE_RUN_MAX + 1;
    uint8_t *runs = num > SIZE_MAX / PIECE_RUN_MAX - 1 ? NULL : malloc(room);
    if (runs == NULL) {
        return STATUS_MEMORY;
    }
    struct writer w = writer_of(runs, room);
    status = insert_log(writer, out, sha256, piece, num, &w);
    free(runs);
    return status;
}

static enum status join_run(struct connection *c, struct writer *w, struct piece_run run) {
    QUERY q = query_of(c, SQL_LOG_PIECES);
    bind_int(&q, run.first);
    bind_int(&q, run.first + run.num - 1);
    enum status status;
    int64_t num = 0;
    while ((status = query_step(&q)) == STATUS_OK) {
        int64_t hash = column_int(&q);
        struct bytes piece = column_view(&q);
        if (q.status != STATUS_OK) {
            return q.status;
        }
        if (hash_of(c, piece) != hash || piece_unpack(w, piece) != STATUS_OK) {
            return STATUS_STORAGE;
        }
        num++;
    }
    return status != STATUS_END ? status : num == run.num ? STATUS_OK : STATUS_STORAGE;
}

enum status boot_log_join(struct store_reader *reader, struct arena *arena, struct bytes *out,
                          struct bytes runs, int64_t size) {
    enum { LOG_LARGEST = 64 << 20 };
    struct piece_runs left = {runs, 0};
    struct piece_run run;
    enum status status = load_key(of_reader(reader));
    if (status != STATUS_OK || size < 0 || size > LOG_LARGEST) {
        return status == STATUS_OK ? STATUS_STORAGE : status;
    }
    uint8_t *log = arena_alloc(arena, (size_t)size);
    if (log == NULL) {
        return STATUS_MEMORY;
    }
    struct writer w = writer_of(log, (size_t)size);
    while ((status = piece_runs_next(&left, &run)) == STATUS_OK) {
        status = join_run(of_reader(reader), &w, run);
        if (status != STATUS_OK) {
            return status;
        }
    }
    if (status != STATUS_END || w.overflow || w.len != (size_t)size) {
        return STATUS_STORAGE;
    }
    *out = size == 0 ? (struct bytes){NULL, 0} : writer_bytes(&w);
    return STATUS_OK;
}
