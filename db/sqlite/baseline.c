#include "db/sqlite/sqlite.h"

#include "server/base/encoding.h"

enum { ID_LEN = (STORE_ID - 1) / 2 };

static void read_replaces(struct query *q, struct arena *arena, struct baseline_row *row) {
    struct bytes ids = column_view(q);
    size_t num = ids.len / ID_LEN;
    row->replaces = num == 0 ? NULL : arena_array(arena, num, sizeof *row->replaces);
    if (num > 0 && row->replaces == NULL) {
        q->status = q->status == STATUS_OK ? STATUS_MEMORY : q->status;
        return;
    }
    for (size_t i = 0; i < num; i++) {
        hex_encode(row->replaces[i], bytes_of(ids.data + i * ID_LEN, ID_LEN));
    }
    row->num_replaces = num;
}

/* As they are kept: one after another. LIMIT: too many; MALFORMED: one is no id. */
static enum status pack_replaces(uint8_t out[static BASELINE_REPLACES_MAX * ID_LEN],
                                 const struct baseline_row *row) {
    if (row->num_replaces > BASELINE_REPLACES_MAX) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < row->num_replaces; i++) {
        if (hex_decode(out + i * ID_LEN, ID_LEN, row->replaces[i]) != STATUS_OK) {
            return STATUS_MALFORMED;
        }
    }
    return STATUS_OK;
}

/* All but the document. */
static enum status read_head(struct query *q, struct arena *arena, void *out) {
    struct baseline_row *row = out;
    column_id(q, row->id);
    column_text(q, row->model, sizeof row->model);
    column_text(q, row->label, sizeof row->label);
    row->state = (enum baseline_state)column_int(q);
    column_sha256(q, row->document_sha256);
    column_text(q, row->created_by, sizeof row->created_by);
    column_text(q, row->updated_by, sizeof row->updated_by);
    column_text(q, row->activated_by, sizeof row->activated_by);
    row->created = column_int(q);
    row->updated = column_int(q);
    row->activated = column_int(q);
    row->retired = column_int(q);
    row->version = column_int(q);
    column_text(q, row->submitted_by, sizeof row->submitted_by);
    column_text(q, row->approved_by, sizeof row->approved_by);
    row->submitted = column_int(q);
    row->approved = column_int(q);
    row->activate_at = column_int(q);
    row->grace_until = column_int(q);
    row->replace_grace_s = column_int(q);
    column_text(q, row->note, sizeof row->note);
    read_replaces(q, arena, row);
    return q->status;
}

static enum status read_baseline(struct query *q, struct arena *arena, void *out) {
    struct baseline_row *row = out;
    if (read_head(q, arena, out) == STATUS_OK) {
        row->document = column_bytes(q, arena);
    }
    return q->status;
}

enum status store_baseline_get(struct store_reader *reader, struct arena *arena,
                               struct baseline_row *out, const char *id) {
    QUERY q = query_of(of_reader(reader), SQL_BASELINE_GET);
    bind_id(&q, id);
    struct baseline_row row = {0};
    enum status status = query_first(&q);
    if (status == STATUS_OK) {
        status = read_baseline(&q, arena, &row);
    }
    if (status == STATUS_OK) {
        *out = row;
    }
    return status;
}

enum status store_baseline_list(struct store_reader *reader, struct arena *arena,
                                struct baseline_row **out, size_t *num, const char *model,
                                struct store_page page) {
    QUERY q = query_of(of_reader(reader), SQL_BASELINE_LIST);
    bind_text(&q, model);
    bind_after(&q, page.after);
    bind_int(&q, page.limit);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_baseline);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

enum status store_baseline_in_force(struct store_reader *reader, struct arena *arena,
                                    struct baseline_row **out, size_t *num) {
    QUERY q = query_of(of_reader(reader), SQL_BASELINE_IN_FORCE);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_head);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

static enum status due(struct store_reader *reader, struct arena *arena, struct baseline_row *out,
                       enum statement statement, int64_t now) {
    QUERY q = query_of(of_reader(reader), statement);
    bind_int(&q, now);
    enum status status = query_first(&q);
    return status == STATUS_OK ? read_head(&q, arena, out) : status;
}

enum status store_baseline_due(struct store_reader *reader, struct arena *arena,
                               struct baseline_row *out, int64_t now) {
    struct baseline_row activation = {0}, grace = {0};
    enum status first = due(reader, arena, &activation, SQL_BASELINE_DUE_ACTIVATION, now);
    if (first != STATUS_OK && first != STATUS_NOT_FOUND) {
        return first;
    }
    enum status second = due(reader, arena, &grace, SQL_BASELINE_DUE_GRACE, now);
    if (second != STATUS_OK && second != STATUS_NOT_FOUND) {
        return second;
    }
    if (first == STATUS_OK &&
        (second != STATUS_OK || activation.activate_at <= grace.grace_until)) {
        *out = activation;
        return STATUS_OK;
    }
    if (second == STATUS_OK) {
        *out = grace;
    }
    return second;
}

enum status store_baseline_written_by(struct store_reader *reader, bool *out, const char *id,
                                      const char *operator_name) {
    QUERY q = query_of(of_reader(reader), SQL_BASELINE_WRITER_IS);
    bind_id(&q, id);
    bind_text(&q, operator_name);
    enum status status = query_first(&q);
    if (status == STATUS_OK || status == STATUS_NOT_FOUND) {
        *out = status == STATUS_OK;
        status = STATUS_OK;
    }
    return status;
}

static enum status put_writer(struct store_writer *writer, const char *id,
                              const char *operator_name) {
    QUERY q = query_of(of_writer(writer), SQL_BASELINE_WRITER_PUT);
    if (operator_name[0] == '\0') {
        return STATUS_OK;
    }
    bind_id(&q, id);
    bind_text(&q, operator_name);
    return query_run(&q);
}

static void bind_life(struct query *q, const struct baseline_row *row, const uint8_t *replaces) {
    bind_text(q, row->submitted_by);
    bind_text(q, row->approved_by);
    bind_int(q, row->submitted);
    bind_int(q, row->approved);
    bind_int(q, row->activate_at);
    bind_int(q, row->grace_until);
    bind_int(q, row->replace_grace_s);
    bind_text(q, row->note);
    bind_blob(q, bytes_of(replaces, row->num_replaces * ID_LEN));
}

static enum status insert(struct store_writer *writer, const struct baseline_row *row) {
    uint8_t replaces[BASELINE_REPLACES_MAX * ID_LEN];
    enum status status = pack_replaces(replaces, row);
    if (status != STATUS_OK) {
        return status;
    }
    QUERY q = query_of(of_writer(writer), SQL_BASELINE_INSERT);
    bind_id(&q, row->id);
    bind_text(&q, row->model);
    bind_text(&q, row->label);
    bind_int(&q, row->state);
    bind_sha256(&q, row->document_sha256);
    bind_text(&q, row->created_by);
    bind_text(&q, row->updated_by);
    bind_text(&q, row->activated_by);
    bind_int(&q, row->created);
    bind_int(&q, row->updated);
    bind_int(&q, row->activated);
    bind_int(&q, row->retired);
    bind_life(&q, row, replaces);
    bind_blob(&q, row->document);
    return query_run(&q);
}

enum status store_baseline_insert(struct store_writer *writer, const struct baseline_row *row) {
    enum status status = insert(writer, row);
    return status == STATUS_OK ? put_writer(writer, row->id, row->created_by) : status;
}

static enum status baseline_state(struct store_writer *writer, enum baseline_state *out,
                                  const char *id) {
    QUERY q = query_of(of_writer(writer), SQL_BASELINE_STATE);
    bind_id(&q, id);
    enum status status = query_first(&q);
    if (status == STATUS_OK) {
        *out = (enum baseline_state)column_int(&q);
    }
    return status;
}

static enum status update(struct store_writer *writer, const struct baseline_row *row) {
    uint8_t replaces[BASELINE_REPLACES_MAX * ID_LEN];
    enum status status = pack_replaces(replaces, row);
    if (status != STATUS_OK) {
        return status;
    }
    QUERY q = query_of(of_writer(writer), SQL_BASELINE_UPDATE);
    bind_id(&q, row->id);
    bind_int(&q, row->version);
    bind_text(&q, row->label);
    bind_int(&q, row->state);
    bind_sha256(&q, row->document_sha256);
    bind_text(&q, row->updated_by);
    bind_text(&q, row->activated_by);
    bind_int(&q, row->updated);
    bind_int(&q, row->activated);
    bind_int(&q, row->retired);
    bind_life(&q, row, replaces);
    status = query_run_one(&q);
    return status == STATUS_NOT_FOUND ? STATUS_CONFLICT : status;
}

static enum status set_document(struct store_writer *writer, const struct baseline_row *row) {
    QUERY q = query_of(of_writer(writer), SQL_BASELINE_SET_DOCUMENT);
    bind_id(&q, row->id);
    bind_blob(&q, row->document);
    return query_run_one(&q);
}

enum status store_baseline_update(struct store_writer *writer, const struct baseline_row *row) {
    enum baseline_state state;
    enum status status = baseline_state(writer, &state, row->id);
    if (status == STATUS_OK) {
        status = update(writer, row);
    }
    if (status == STATUS_OK && row->document.len > 0) {
        status = set_document(writer, row);
    }
    return status == STATUS_OK ? put_writer(writer, row->id, row->updated_by) : status;
}

enum status store_baseline_delete(struct store_writer *writer, const char *id) {
    enum baseline_state state;
    enum status status = baseline_state(writer, &state, id);
    if (status != STATUS_OK) {
        return status;
    }
    QUERY q = query_of(of_writer(writer), SQL_BASELINE_DELETE);
    bind_id(&q, id);
    status = query_run_one(&q);
    return status == STATUS_NOT_FOUND ? STATUS_CONFLICT : status;
}
