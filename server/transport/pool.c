/* libmicrohttpd zeroes a connection's whole pool between two requests of it, 150 KiB on a plane that
 * takes large headers: a sixth of what a decision costs. Its own comment says that this is not
 * needed. What it does keep is moved as it would have been. Linked in its place by
 * -Wl,--wrap=MHD_pool_reset; the next request of a connection never sees more of the pool than it
 * has written there. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct MemoryPool;
void *__real_MHD_pool_reset(struct MemoryPool *pool, void *keep, size_t copy_bytes,
                            size_t new_size);
void *__wrap_MHD_pool_reset(struct MemoryPool *pool, void *keep, size_t copy_bytes,
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
