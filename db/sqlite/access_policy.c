#include "db/sqlite/sqlite.h"

#include <string.h>

/* Names with commas between them, as they are kept: at most 64 names of at most 64 bytes. */
enum { LIST_MAX = 64, LIST_TEXT = LIST_MAX * STORE_NAME + 1 };
_Static_assert((int)ACCESS_POLICY_MODELS_MAX <= (int)LIST_MAX &&
                   (int)ACCESS_POLICY_SEGMENTS_MAX <= (int)LIST_MAX,
               "a list fits its text");
_Static_assert((int)STORE_SEGMENT <= (int)STORE_NAME, "likewise");

/* Of `num` names that are `size` bytes apart. LIMIT: more than `max`. */
static enum status join(char out[static LIST_TEXT], const char *names, size_t size, size_t num,
                        size_t max) {
    size_t len = 0;
    if (num > max) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < num; i++) {
        size_t name_len = strlen(names + i * size);
        if (i > 0) {
            out[len++] = ',';
        }
        memcpy(out + len, names + i * size, name_len);
        len += name_len;
    }
    out[len] = '\0';
    return STATUS_OK;
}

/* The other way round: an array of names, `size` bytes apart, in the arena. STORAGE: it is not what
 * was written. */
static enum status split(struct arena *arena, void **out, size_t *num, struct bytes text,
                         size_t size) {
    size_t count = text.len == 0 ? 0 : 1;
    for (size_t i = 0; i < text.len; i++) {
        count += text.data[i] == ',' ? 1 : 0;
    }
    char *names = arena_array(arena, count, size);
    if (names == NULL) {
        return STATUS_MEMORY;
    }
    if (count > LIST_MAX) {
        return STATUS_STORAGE;
    }
    for (size_t i = 0; i < count; i++) {
        struct bytes name, comma;
        const uint8_t *end = memchr(text.data, ',', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.data);
        if (bytes_take(&text, len, &name) != STATUS_OK || len == 0 || len >= size ||
            (end != NULL && bytes_take(&text, 1, &comma) != STATUS_OK)) {
            return STATUS_STORAGE;
        }
        memcpy(names + i * size, name.data, len);
    }
    *out = names;
    *num = count;
    return STATUS_OK;
}

static enum status read_policy(struct query *q, struct arena *arena, void *out) {
    struct access_policy_row *row = out;
    void *models = NULL, *segments = NULL;
    column_text(q, row->name, sizeof row->name);
    column_text(q, row->description, sizeof row->description);
    row->min_tier = (int)column_int(q);
    row->key_protection = (enum key_protection)column_int(q);
    enum status status =
        split(arena, &models, &row->num_models, column_view(q), sizeof row->model[0]);
    if (status == STATUS_OK) {
        status =
            split(arena, &segments, &row->num_segments, column_view(q), sizeof row->segment[0]);
    }
    row->model = models;
    row->segment = segments;
    row->created = column_int(q);
    row->updated = column_int(q);
    row->version = column_int(q);
    return q->status == STATUS_OK ? status : q->status;
}

enum status store_access_policy_get(struct store_reader *reader, struct arena *arena,
                                    struct access_policy_row *out, const char *name) {
    QUERY q = query_of(of_reader(reader), SQL_ACCESS_POLICY_GET);
    bind_text(&q, name);
    struct access_policy_row row = {0};
    enum status status = query_first(&q);
    if (status == STATUS_OK) {
        status = read_policy(&q, arena, &row);
    }
    if (status == STATUS_OK) {
        *out = row;
    }
    return status;
}

enum status store_access_policy_list(struct store_reader *reader, struct arena *arena,
                                     struct access_policy_row **out, size_t *num,
                                     struct store_page page) {
    QUERY q = query_of(of_reader(reader), SQL_ACCESS_POLICY_LIST);
    bind_text(&q, page.after);
    bind_int(&q, page.limit);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_policy);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

struct lists {
    char models[LIST_TEXT], segments[LIST_TEXT];
};

static enum status join_lists(struct lists *out, const struct access_policy_row *row) {
    enum status status = join(out->models, row->num_models == 0 ? "" : row->model[0],
                              sizeof row->model[0], row->num_models, ACCESS_POLICY_MODELS_MAX);
    return status == STATUS_OK
               ? join(out->segments, row->num_segments == 0 ? "" : row->segment[0],
                      sizeof row->segment[0], row->num_segments, ACCESS_POLICY_SEGMENTS_MAX)
               : status;
}

static void bind_content(struct query *q, const struct access_policy_row *row,
                         const struct lists *lists) {
    bind_text(q, row->name);
    bind_text(q, row->description);
    bind_int(q, row->min_tier);
    bind_int(q, row->key_protection);
    bind_text(q, lists->models);
    bind_text(q, lists->segments);
}

enum status store_access_policy_insert(struct store_writer *writer,
                                       const struct access_policy_row *row) {
    struct lists lists;
    enum status status = join_lists(&lists, row);
    if (status != STATUS_OK) {
        return status;
    }
    QUERY q = query_of(of_writer(writer), SQL_ACCESS_POLICY_INSERT);
    bind_content(&q, row, &lists);
    bind_int(&q, row->created);
    bind_int(&q, row->updated);
    return query_run(&q);
}

static enum status exists(struct store_writer *writer, const char *name) {
    QUERY q = query_of(of_writer(writer), SQL_ACCESS_POLICY_GET);
    bind_text(&q, name);
    return query_first(&q);
}

enum status store_access_policy_update(struct store_writer *writer,
                                       const struct access_policy_row *row) {
    struct lists lists;
    enum status status = exists(writer, row->name);
    if (status == STATUS_OK) {
        status = join_lists(&lists, row);
    }
    if (status != STATUS_OK) {
        return status;
    }
    QUERY q = query_of(of_writer(writer), SQL_ACCESS_POLICY_UPDATE);
    bind_content(&q, row, &lists);
    bind_int(&q, row->updated);
    bind_int(&q, row->version);
    status = query_run_one(&q);
    return status == STATUS_NOT_FOUND ? STATUS_CONFLICT : status;
}

enum status store_access_policy_delete(struct store_writer *writer, const char *name) {
    QUERY q = query_of(of_writer(writer), SQL_ACCESS_POLICY_DELETE);
    bind_text(&q, name);
    return query_run_one(&q);
}
