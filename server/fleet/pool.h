/* Many objects of one size, in large pieces: no header for each, and few entries of the processor's
 * address cache for all. Zeroed when they are taken. One writer; the pool never reads an object that
 * is out. */
#ifndef GATEHOUSE_FLEET_POOL_H
#define GATEHOUSE_FLEET_POOL_H

#include "server/base/status.h"

struct pool { /* zero-initialise, then set size */
    size_t size;
    size_t num; /* ever taken from the pieces: those that came back are among them */
    unsigned char **piece;
    size_t num_pieces;
    void *returned;
};

void *pool_take(struct pool *pool); /* NULL: no memory */
void pool_return(struct pool *pool, void *object);
/* Number `i` of `num`; for pools to which nothing is returned. */
void *pool_at(const struct pool *pool, size_t i);
void pool_cleanup(struct pool *pool);

#endif
