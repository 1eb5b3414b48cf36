/* libmicrohttpd zeroes what it gives back of a connection's memory: all of it between two requests,
 * half of it before each answer. On a plane that takes large headers these are 150 and 75 KiB, a
 * sixth of what a decision costs. Its own comment says that this is not needed, and small pools
 * come from malloc as they are. Linked in the place of its functions by -Wl,--wrap; what a request
 * of a connection has not written there, it does not read either. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* How libmicrohttpd's pool begins. Nothing relies on it that was not found to hold in the very pool:
 * see is_last. */
struct MemoryPool {
    uint8_t *memory;
    size_t size, pos, end; /* free: what lies between pos and end */
};
enum { ALIGNMENT = 2 * sizeof(void *) };

size_t MHD_pool_get_free(struct MemoryPool *pool);
void *__real_MHD_pool_reset(struct MemoryPool *pool, void *keep, size_t copy_bytes,
                            size_t new_size);
void *__wrap_MHD_pool_reset(struct MemoryPool *pool, void *keep, size_t copy_bytes,
                            size_t new_size);
void *__real_MHD_pool_reallocate(struct MemoryPool *pool, void *old, size_t old_size,
                                 size_t new_size);
void *__wrap_MHD_pool_reallocate(struct MemoryPool *pool, void *old, size_t old_size,
                                 size_t new_size);

void *__wrap_MHD_pool_reset(struct MemoryPool *pool, void *keep, size_t copy_bytes,
                            size_t new_size) {
    /* It zeroes what lies behind copy_bytes: nothing. It moves nothing without `keep`. */
    void *memory = __real_MHD_pool_reset(pool, NULL, SIZE_MAX, new_size);
    if (keep != NULL && keep != memory && copy_bytes > 0) {
        memmove(memory, keep, copy_bytes);
    }
    return memory;
}

static size_t aligned(size_t len) {
    return (len + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* The block is the one that the free memory follows, and the pool looks as we think it does. Its start may
 * have moved on: what was read of a request is no longer in it. */
static bool is_last(struct MemoryPool *pool, const void *block, size_t len) {
    uintptr_t start = (uintptr_t)pool->memory, at = (uintptr_t)block;
    return block != NULL && at >= start && pool->pos <= pool->end && pool->end <= pool->size &&
           at - start <= pool->pos && len <= pool->pos - (at - start) &&
           aligned(at - start + len) == pool->pos &&
           MHD_pool_get_free(pool) == pool->end - pool->pos;
}

void *__wrap_MHD_pool_reallocate(struct MemoryPool *pool, void *old, size_t old_size,
                                 size_t new_size) {
    if (new_size < old_size && is_last(pool, old, old_size)) {
        pool->pos = aligned((size_t)((uintptr_t)old - (uintptr_t)pool->memory) + new_size);
        return old;
    }
    return __real_MHD_pool_reallocate(pool, old, old_size, new_size);
}
