#include "server/fleet/change_pages.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_ARENA_MAX = 64 * 1024, ROWS_ARENA_MAX = 1024 * 1024 };

struct change_text *change_text_new(const struct trust_change_row *row,
                                    const struct model_row *model) {
    struct arena arena;
    arena_init(&arena, TEXT_ARENA_MAX);
    struct bytes text = change_event_text(&arena, row, model);
    struct change_text *out = text.len == 0 ? NULL : malloc(sizeof *out + text.len);
    if (out != NULL) {
        out->seq = row->seq;
        memcpy(out->model, row->model, sizeof out->model);
        out->len = text.len;
        memcpy(out->text, text.data, text.len);
    }
    arena_free(&arena);
    return out;
}

/* --- those that are kept --- */

static void page_free(struct page *page) {
    for (size_t i = 0; page != NULL && i < page->num; i++) {
        free(page->text[i]);
    }
    if (page != NULL) {
        free(page->text);
        free(page);
    }
}

static bool page_has(const struct page *page, const struct page_key *key, uint64_t number,
                     int64_t now_ms) {
    if (page == NULL || page->key.kind != key->kind) {
        return false;
    }
    if (key->kind == PAGE_CHANGES) {
        return page->gone ? page->key.seq == key->seq
                          : page->key.seq <= key->seq && key->seq < page->until;
    }
    return strcmp(page->key.name, key->name) == 0 &&
           (page->number == number || page->built_ms + PAGE_FRESH_MS > now_ms);
}

struct page *page_find(struct page_cache *cache, const struct page_key *key, uint64_t number,
                       int64_t now_ms) {
    struct page *found = NULL;
    for (size_t i = 0; i < PAGES_MAX; i++) {
        if (page_has(cache->page[i], key, number, now_ms) &&
            (found == NULL || cache->page[i]->number > found->number)) {
            found = cache->page[i];
        }
    }
    if (found != NULL) {
        found->used = ++cache->clock;
    }
    return found;
}

void page_keep(struct page_cache *cache, struct page *page, int64_t now_ms) {
    size_t oldest = 0;
    for (size_t i = 0; i < PAGES_MAX && cache->page[oldest] != NULL; i++) {
        if (cache->page[i] == NULL || cache->page[i]->used < cache->page[oldest]->used) {
            oldest = i;
        }
    }
    page_free(cache->page[oldest]);
    cache->page[oldest] = page;
    page->number = ++cache->number;
    page->used = ++cache->clock;
    page->built_ms = now_ms;
}

void pages_clear(struct page_cache *cache) {
    for (size_t i = 0; i < PAGES_MAX; i++) {
        page_free(cache->page[i]);
        cache->page[i] = NULL;
    }
}

/* --- from the store --- */

static enum status add(struct page *page, const struct trust_change_row *row,
                       const struct model_row *model) {
    struct change_text *text = change_text_new(row, model);
    if (text == NULL) {
        return STATUS_MEMORY;
    }
    page->text[page->num++] = text;
    return STATUS_OK;
}

static enum status add_change(struct page *page, struct store_reader *reader,
                              const struct trust_change_row *row) {
    struct model_row model;
    enum status status =
        row->change == TRUST_MODEL ? store_model_get(reader, &model, row->model) : STATUS_NOT_FOUND;
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        return status;
    }
    return add(page, row, status == STATUS_OK ? &model : NULL);
}

static enum status build_changes(struct page *page, struct store_reader *reader,
                                 struct arena *arena) {
    struct trust_change_row *row = NULL;
    size_t num = 0;
    int64_t oldest = 0, newest = 0;
    enum status status = store_read_begin(reader);
    if (status != STATUS_OK) {
        return status;
    }
    status = store_trust_change_ends(reader, &oldest, &newest);
    if (status == STATUS_OK) {
        status = store_trust_change_list(reader, arena, &row, &num, page->key.seq, PAGE_ROWS);
    }
    for (size_t i = 0; i < num && status == STATUS_OK; i++) {
        status = add_change(page, reader, &row[i]);
    }
    store_read_end(reader);
    page->gone = oldest > page->key.seq + 1 || newest <= page->key.seq;
    page->until = num == PAGE_ROWS ? row[num - 1].seq : newest;
    return status;
}

static enum status build_models(struct page *page, struct store_reader *reader,
                                struct arena *arena) {
    struct model_row *row = NULL;
    size_t num = 0;
    enum status status =
        store_model_list(reader, arena, &row, &num, (struct store_page){page->key.name, PAGE_ROWS});
    for (size_t i = 0; i < num && status == STATUS_OK; i++) {
        struct trust_change_row change = {.change = TRUST_MODEL};
        memcpy(change.model, row[i].name, sizeof change.model);
        status = add(page, &change, &row[i]);
    }
    page->end = num < PAGE_ROWS;
    if (!page->end) {
        memcpy(page->last, row[num - 1].name, sizeof row->name);
    }
    return status;
}

static enum status build_credentials(struct page *page, struct store_reader *reader,
                                     struct arena *arena, int64_t now) {
    struct trust_change_row *row = NULL;
    size_t num = 0;
    enum status status = store_trust_credential_list(
        reader, arena, &row, &num, "", now, (struct store_page){page->key.name, PAGE_ROWS});
    for (size_t i = 0; i < num && status == STATUS_OK; i++) {
        status = add(page, &row[i], NULL);
    }
    page->end = num < PAGE_ROWS;
    if (!page->end) {
        memcpy(page->last, row[num - 1].serial, sizeof row->serial);
    }
    return status;
}

enum status page_build(struct page **out, const struct page_key *key, struct store_reader *reader,
                       const struct feed *feed, int64_t now) {
    struct page *page = calloc(1, sizeof *page);
    struct change_text **text = calloc(PAGE_ROWS, sizeof(struct change_text *));
    if (page == NULL || text == NULL) {
        free(text);
        free(page);
        return STATUS_MEMORY;
    }
    page->key = *key;
    page->text = text;
    page->until = feed_newest(feed); /* before it is read */
    struct arena arena;
    arena_init(&arena, ROWS_ARENA_MAX);
    enum status status = key->kind == PAGE_CHANGES  ? build_changes(page, reader, &arena)
                         : key->kind == PAGE_MODELS ? build_models(page, reader, &arena)
                                                    : build_credentials(page, reader, &arena, now);
    arena_free(&arena);
    if (status != STATUS_OK) {
        page_free(page);
        return status;
    }
    *out = page;
    return STATUS_OK;
}
