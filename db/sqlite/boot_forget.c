/* What nothing refers to any more goes: boot states and logs by their counts, pieces by a walk. */
#include "db/sqlite/boot.h"

#include <stdlib.h>

void piece_sweep_restart(struct piece_sweep *sweep) {
    bool wanted = sweep->wanted || sweep->phase != SWEEP_REST;
    free(sweep->marks);
    *sweep = (struct piece_sweep){.wanted = wanted};
}

void piece_sweep_mark(struct piece_sweep *sweep, struct piece_run run) {
    if (sweep->phase == SWEEP_REST) {
        return;
    }
    for (int64_t num = run.first; num < run.first + run.num && num <= sweep->last; num++) {
        sweep->marks[num / 8] |= (uint8_t)(1U << num % 8);
    }
}

static bool is_marked(const struct piece_sweep *sweep, int64_t num) {
    return (sweep->marks[num / 8] >> num % 8 & 1) != 0;
}

/* A number of log_piece, or 0. */
static enum status one_piece(struct connection *c, int64_t *out, enum statement statement,
                             int64_t after) {
    QUERY q = query_of(c, statement);
    if (statement == SQL_LOG_PIECE_NEXT) {
        bind_int(&q, after);
    }
    enum status status = query_step(&q);
    *out = status == STATUS_OK ? column_int(&q) : 0;
    return status == STATUS_END ? STATUS_OK : status;
}

static enum status begin_sweep(struct store_writer *writer) {
    struct piece_sweep *sweep = &writer->sweep;
    int64_t last = 0;
    enum status status = one_piece(of_writer(writer), &last, SQL_LOG_PIECE_LAST, 0);
    if (status != STATUS_OK) {
        return status;
    }
    uint8_t *marks = calloc((size_t)(last / 8) + 1, 1);
    if (marks == NULL) {
        return STATUS_OK; /* another time */
    }
    *sweep = (struct piece_sweep){.phase = SWEEP_MARK, .last = last, .marks = marks};
    return STATUS_OK;
}

static enum status mark_log(struct piece_sweep *sweep, struct bytes pieces) {
    struct piece_runs runs = {pieces, 0};
    struct piece_run run;
    enum status status;
    while ((status = piece_runs_next(&runs, &run)) == STATUS_OK) {
        piece_sweep_mark(sweep, run);
    }
    return status == STATUS_END ? STATUS_OK : status;
}

/* Of logs, and then of devices' IMA logs. */
static enum status mark_some(struct store_writer *writer, unsigned limit) {
    struct piece_sweep *sweep = &writer->sweep;
    QUERY q = query_of(of_writer(writer),
                       sweep->phase == SWEEP_MARK ? SQL_BOOT_LOG_WALK : SQL_DEVICE_IMA_WALK);
    bind_int(&q, sweep->at);
    bind_int(&q, limit);
    unsigned num = 0;
    enum status status;
    while ((status = query_step(&q)) == STATUS_OK) {
        sweep->at = column_int(&q);
        status = mark_log(sweep, column_view(&q));
        if (status != STATUS_OK || q.status != STATUS_OK) {
            return status == STATUS_OK ? q.status : status;
        }
        num++;
    }
    if (status == STATUS_END && num < limit) {
        sweep->phase = sweep->phase == SWEEP_MARK ? SWEEP_MARK_IMA : SWEEP_REMOVE;
        sweep->at = 0;
    }
    return status == STATUS_END ? STATUS_OK : status;
}

/* Removes the piece, or goes on to before the next one when it is gone. */
static enum status remove_piece(struct store_writer *writer, int64_t num) {
    QUERY q = query_of(of_writer(writer), SQL_LOG_PIECE_DELETE);
    bind_int(&q, num);
    enum status status = query_run(&q);
    if (status != STATUS_OK || query_changes(&q) > 0) {
        return status;
    }
    int64_t next = 0;
    status = one_piece(of_writer(writer), &next, SQL_LOG_PIECE_NEXT, num);
    if (status == STATUS_OK) {
        writer->sweep.at = next == 0 ? writer->sweep.last : next - 1;
    }
    return status;
}

static enum status remove_some(struct store_writer *writer, unsigned limit) {
    enum { LOOKED_AT = 64 }; /* marks are cheaper to look at than rows */
    struct piece_sweep *sweep = &writer->sweep;
    uint64_t looks = (uint64_t)limit * LOOKED_AT;
    for (unsigned removals = 0; removals < limit && looks > 0 && sweep->at < sweep->last; looks--) {
        int64_t num = ++sweep->at;
        if (!is_marked(sweep, num)) {
            enum status status = remove_piece(writer, num);
            if (status != STATUS_OK) {
                return status;
            }
            removals++;
        }
    }
    if (sweep->at >= sweep->last) {
        free(sweep->marks);
        *sweep = (struct piece_sweep){.wanted = sweep->wanted};
    }
    return STATUS_OK;
}

static enum status sweep_some(struct store_writer *writer, unsigned limit) {
    switch (writer->sweep.phase) {
    case SWEEP_REST:
        return writer->sweep.wanted ? begin_sweep(writer) : STATUS_OK;
    case SWEEP_MARK:
    case SWEEP_MARK_IMA:
        return mark_some(writer, limit);
    default:
        return remove_some(writer, limit);
    }
}

static enum status forget_rows(struct store_writer *writer, enum statement statement,
                               unsigned limit, int64_t *num) {
    QUERY q = query_of(of_writer(writer), statement);
    bind_int(&q, limit);
    enum status status = query_run(&q);
    *num = status == STATUS_OK ? query_changes(&q) : 0;
    return status;
}

enum status store_boot_state_forget(struct store_writer *writer, unsigned limit) {
    struct piece_sweep *sweep = &writer->sweep;
    int64_t states = 0, logs = 0;
    enum status status = forget_rows(writer, SQL_BOOT_STATE_FORGET, limit, &states);
    if (status == STATUS_OK) {
        status = forget_rows(writer, SQL_BOOT_LOG_FORGET, limit, &logs);
    }
    sweep->wanted = sweep->wanted || logs > 0;
    if (status == STATUS_OK) {
        status = sweep_some(writer, limit);
    }
    bool more = states >= (int64_t)limit || logs >= (int64_t)limit || sweep->phase != SWEEP_REST;
    return status == STATUS_OK && more ? STATUS_LIMIT : status;
}
