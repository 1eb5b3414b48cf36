#include "server/base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BLOCK = 4096 };

struct arena_block {
    struct arena_block *next;
    size_t used, cap;
    alignas(max_align_t) uint8_t data[];
};

void arena_init(struct arena *arena, size_t cap) {
    /* No sum of a block's header and what fits under the cap wraps. */
    *arena = (struct arena){.cap = cap < SIZE_MAX / 2 ? cap : SIZE_MAX / 2};
}

void arena_free(struct arena *arena) {
    if (arena == NULL) {
        return;
    }
    for (struct arena_block *block = arena->blocks; block != NULL;) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
    arena_init(arena, arena->cap);
}

static struct arena_block *add_block(struct arena *arena, size_t len) {
    size_t cap = len > ARENA_BLOCK ? len : ARENA_BLOCK;
    struct arena_block *block = calloc(1, sizeof *block + cap);
    if (block == NULL) {
        return NULL;
    }
    block->cap = cap;
    /* A block made for one large piece goes behind the one that is being filled. */
    if (arena->blocks != NULL && len > ARENA_BLOCK) {
        block->next = arena->blocks->next;
        arena->blocks->next = block;
    } else {
        block->next = arena->blocks;
        arena->blocks = block;
    }
    return block;
}

void *arena_alloc(struct arena *arena, size_t len) {
    enum { UNIT = alignof(max_align_t) };
    size_t left = arena->cap - arena->used, need = 0;
    if (len <= left) {
        need = len == 0 ? UNIT : len + (UNIT - len % UNIT) % UNIT;
    }
    if (arena->overflow || need == 0 || need > left) {
        arena->overflow = true;
        return NULL;
    }
    struct arena_block *block = arena->blocks;
    if (block == NULL || need > block->cap - block->used) {
        block = add_block(arena, need);
    }
    if (block == NULL) {
        arena->overflow = true;
        return NULL;
    }
    void *out = block->data + block->used;
    block->used += need;
    arena->used += need;
    return out;
}

void *arena_array(struct arena *arena, size_t num, size_t size) {
    size_t len;
    if (__builtin_mul_overflow(num, size, &len)) {
        arena->overflow = true;
        return NULL;
    }
    return arena_alloc(arena, len);
}

char *arena_text_n(struct arena *arena, const char *text, size_t len) {
    if (len == SIZE_MAX) {
        arena->overflow = true;
        return NULL;
    }
    char *out = arena_alloc(arena, len + 1);
    if (out != NULL && len > 0) {
        memcpy(out, text, len);
    }
    return out;
}

char *arena_text(struct arena *arena, const char *text) {
    return text == NULL ? NULL : arena_text_n(arena, text, strlen(text));
}

char *arena_printf(struct arena *arena, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    char *out = len < 0 ? NULL : arena_alloc(arena, (size_t)len + 1);
    if (out != NULL) {
        (void)vsnprintf(out, (size_t)len + 1, format, again);
    }
    va_end(again);
    va_end(args);
    return out;
}

struct bytes arena_bytes(struct arena *arena, struct bytes in) {
    uint8_t *copy = arena_alloc(arena, in.len);
    if (copy == NULL) {
        return (struct bytes){NULL, 0};
    }
    if (in.len > 0) {
        memcpy(copy, in.data, in.len);
    }
    return (struct bytes){copy, in.len};
}
