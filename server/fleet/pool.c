#include "server/fleet/pool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PIECE = 2 << 20 }; /* a huge page, where the kernel has these */

static int add_piece(struct pool *pool) {
    size_t larger = (pool->num_pieces + 1) * sizeof *pool->piece;
    unsigned char **list = realloc(pool->piece, larger);
    if (list == NULL) {
        return 0;
    }
    pool->piece = list;
    unsigned char *piece = aligned_alloc(PIECE, PIECE);
    if (piece == NULL) {
        return 0;
    }
    (void)madvise(piece, PIECE, MADV_HUGEPAGE); /* a wish */
    pool->piece[pool->num_pieces++] = piece;
    return 1;
}

void *pool_at(const struct pool *pool, size_t i) {
    size_t each = PIECE / pool->size;
    return pool->piece[i / each] + i % each * pool->size;
}

void *pool_take(struct pool *pool) {
    void *object = pool->returned;
    if (object != NULL) {
        memcpy(&pool->returned, object, sizeof pool->returned);
    } else if (pool->num < pool->num_pieces * (PIECE / pool->size) || add_piece(pool)) {
        object = pool_at(pool, pool->num++);
    } else {
        return NULL;
    }
    memset(object, 0, pool->size);
    return object;
}

void pool_return(struct pool *pool, void *object) {
    memset(object, 0xa5, pool->size);
    memcpy(object, &pool->returned, sizeof pool->returned);
    pool->returned = object;
}

void pool_cleanup(struct pool *pool) {
    for (size_t i = 0; i < pool->num_pieces; i++) {
        free(pool->piece[i]);
    }
    free(pool->piece);
    *pool = (struct pool){.size = pool->size};
}
