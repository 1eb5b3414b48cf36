/* Memory for the life of one request: many small allocations, one release, a cap on the sum. Once
 * an allocation did not fit, `overflow` stays true and every later call returns NULL, so that a
 * function may check once at its end. Not thread-safe: one owner at a time. */
#ifndef GATEHOUSE_BASE_ARENA_H
#define GATEHOUSE_BASE_ARENA_H

#include "server/base/bytes.h"

struct arena_block;

/* Caller-allocated; arena_init before use, arena_free after. */
struct arena {
    struct arena_block *blocks;
    size_t used, cap; /* bytes taken in all, each piece rounded up to its alignment; their limit */
    bool overflow;    /* sticky: the cap, or malloc, refused */
};

void arena_init(struct arena *arena, size_t cap);
/* Releases everything; the arena may be used again from empty. NULL is allowed. */
void arena_free(struct arena *arena);

/* Aligned for any object, zeroed. NULL on overflow. len 0 gives a valid pointer. */
void *arena_alloc(struct arena *arena, size_t len);
/* num * size without wrapping. */
void *arena_array(struct arena *arena, size_t num, size_t size);
/* Terminated copies; NULL on overflow. arena_text(arena, NULL) is NULL. */
char *arena_text(struct arena *arena, const char *text);
char *arena_text_n(struct arena *arena, const char *text, size_t len);
char *arena_printf(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);
/* A copy; {NULL, 0} on overflow (look at arena->overflow). */
struct bytes arena_bytes(struct arena *arena, struct bytes in);

#endif
