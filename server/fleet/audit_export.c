#include "server/fleet/audit_chain.h"

enum { CHECKPOINT_ARENA = 16384 };

struct export {
    struct json_out *o;
    struct audit_page *page;
    size_t start;
};

static bool write_row(void *context, const struct audit_row *row) {
    struct export *e = context;
    audit_write_entry(e->o, row);
    if (row->checkpoint != NULL) {
        audit_write_checkpoint(e->o, row->checkpoint);
    }
    e->page->after = row->seq;
    e->page->num++;
    return !e->o->failed && e->o->len - e->start < e->page->max_bytes;
}

static enum status write_beginning(struct json_out *o, struct store_reader *reader, int64_t seq) {
    struct audit_checkpoint_row row;
    struct arena arena;
    arena_init(&arena, CHECKPOINT_ARENA);
    enum status status = store_audit_checkpoint_get(reader, &arena, &row, seq);
    if (status == STATUS_OK) {
        audit_write_checkpoint(o, &row);
    }
    arena_free(&arena);
    return status == STATUS_NOT_FOUND ? STATUS_STORAGE : status; /* the table's rules keep it */
}

static enum status write_page(struct export *e, struct store_reader *reader) {
    int64_t newest, pruned, after = e->page->after;
    enum status status = store_audit_marks(reader, &newest, &pruned);
    e->page->skipped = status == STATUS_OK && after < pruned;
    if (e->page->skipped) {
        status = write_beginning(e->o, reader, pruned);
    }
    if (status == STATUS_OK) {
        status = store_audit_walk(reader, after, e->page->limit, write_row, e);
    }
    return status == STATUS_OK && e->o->failed ? STATUS_MEMORY : status;
}

enum status audit_export_page(struct json_out *o, struct store_reader *reader,
                              struct audit_page *page) {
    struct export e = {.o = o, .page = page, .start = o->len};
    page->num = 0;
    enum status status = store_read_begin(reader);
    if (status == STATUS_OK) {
        status = write_page(&e, reader);
        store_read_end(reader);
    }
    return status;
}
