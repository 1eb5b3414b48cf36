/* Pieces of what streams of changes read from the store: changes after a seq, or a part of a snapshot,
 * written as events, kept for a moment for whoever is at the same place. Internal to change_stream.c,
 * whose lock is held for all but page_build. */
#ifndef GATEHOUSE_FLEET_CHANGE_PAGES_H
#define GATEHOUSE_FLEET_CHANGE_PAGES_H

#include "server/fleet/change_event.h"
#include "server/fleet/feed.h"

#include <stdbool.h>

struct change_text { /* one event; malloc'ed */
    int64_t seq;
    char model[STORE_NAME];
    size_t len;
    char text[]; /* not terminated */
};
/* `model` as in change_event.h. NULL: memory ran out. */
struct change_text *change_text_new(const struct trust_change_row *row,
                                    const struct model_row *model);

enum page_kind { PAGE_CHANGES, PAGE_MODELS, PAGE_CREDENTIALS };
struct page_key { /* what it begins after */
    enum page_kind kind;
    int64_t seq;           /* PAGE_CHANGES */
    char name[STORE_NAME]; /* the others: a model's name, or a serial; "": the first */
};
struct page {
    struct page_key key;
    uint64_t number; /* its own */
    int64_t built_ms, used;
    int64_t until;         /* PAGE_CHANGES: all up to this seq are in it, or before it. Else: what
                              changed after this seq may not be in it */
    char last[STORE_NAME]; /* where the next begins */
    bool end;              /* nothing comes after it; not of PAGE_CHANGES */
    bool gone;             /* what comes after key.seq is not kept any more */
    struct change_text **text;
    size_t num;
};

enum { PAGES_MAX = 64, PAGE_ROWS = 128, PAGE_FRESH_MS = 2000 };
struct page_cache {
    struct page *page[PAGES_MAX]; /* NULL: free */
    uint64_t number;
    int64_t clock; /* of uses */
};

/* The one that has what comes after `key`; of a snapshot one that is fresh at `now_ms`, or has this
 * number. NULL: none. */
struct page *page_find(struct page_cache *cache, const struct page_key *key, uint64_t number,
                       int64_t now_ms);
/* Takes it over, in place of the one that was not used for longest. */
void page_keep(struct page_cache *cache, struct page *page, int64_t now_ms);
void pages_clear(struct page_cache *cache);

/* Reads it from the store: without the lock, takes milliseconds. `feed` began before. STORAGE,
 * MEMORY. */
MUST_USE enum status page_build(struct page **out, const struct page_key *key,
                                struct store_reader *reader, const struct feed *feed, int64_t now);

#endif
