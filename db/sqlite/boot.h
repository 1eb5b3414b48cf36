/* How boot states, event logs and their pieces look inside. A log is a list of pieces, kept as runs
 * of numbers that follow each other: two varints a run, how far its first piece is from where the run
 * before ended (zigzag), and how many there are. */
#ifndef GATEHOUSE_DB_SQLITE_BOOT_H
#define GATEHOUSE_DB_SQLITE_BOOT_H

#include "db/sqlite/sqlite.h"

void write_varint(struct writer *w, uint64_t value);
MUST_USE enum status read_varint(struct bytes *in, uint64_t *out); /* STORAGE */
enum { PIECE_PACK_MAX = 20 };
/* A piece as it is kept: equal pieces give equal bytes, at most twice as many and PIECE_PACK_MAX. */
void piece_pack(struct writer *w, struct bytes piece);
/* STORAGE: it was not packed so, or does not fit. */
MUST_USE enum status piece_unpack(struct writer *w, struct bytes packed);
/* The same into the arena. STORAGE; MEMORY. */
MUST_USE enum status piece_copy(struct bytes *out, struct arena *arena, struct bytes packed);

struct piece_run {
    int64_t first, num; /* at least 1 each */
};
struct piece_runs { /* being read */
    struct bytes rest;
    int64_t end; /* the number behind the run before */
};
/* END behind the last. STORAGE: it is damaged. */
MUST_USE enum status piece_runs_next(struct piece_runs *runs, struct piece_run *out);

enum { PIECE_RUN_MAX = 20 }; /* bytes of one */
/* Behind the runs before, which end at *end; nothing for a run of none. */
void piece_run_write(struct writer *w, int64_t *end, const struct piece_run *run);
/* The piece's number, put there when it was not; it stays while a sweep is under way. */
MUST_USE enum status log_piece_put(struct store_writer *writer, int64_t *out, struct bytes piece);

/* 0: NULL. */
void bind_num_or_null(struct query *q, int64_t num);
/* The number of the boot state that the device is in, when its SHA-256 is this, else CONFLICT. 0 for
 * zeros. */
MUST_USE enum status device_boot_now(struct store_writer *writer, int64_t *out,
                                     const char *device_id, const uint8_t boot_state[static 32]);
/* The log with this SHA-256, put there when it was not. */
MUST_USE enum status boot_log_put(struct store_writer *writer, int64_t *out,
                                  const uint8_t sha256[static 32], const struct bytes *piece,
                                  size_t num);
/* The pieces of the runs, one after another. STORAGE: they are not `size` bytes, or not what was
 * kept. */
MUST_USE enum status boot_log_join(struct store_reader *reader, struct arena *arena,
                                   struct bytes *out, struct bytes runs, int64_t size);
/* A log that is put holds this piece: it stays. */
void piece_sweep_mark(struct piece_sweep *sweep, struct piece_run run);
void piece_sweep_restart(struct piece_sweep *sweep);

#endif
