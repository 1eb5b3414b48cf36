/* A disk that fails on command, between SQLite and the real one. Registered as the default, for the
 * whole program. Counts writes, syncs and truncations of database and log; thread-safe. */
#ifndef GATEHOUSE_TESTS_FAULT_VFS_H
#define GATEHOUSE_TESTS_FAULT_VFS_H

#include <stdbool.h>
#include <stdint.h>

enum fault {
    FAULT_NONE,
    FAULT_WRITE,     /* SQLITE_IOERR_WRITE */
    FAULT_FULL,      /* SQLITE_FULL */
    FAULT_SYNC,      /* SQLITE_IOERR_FSYNC; the syncs only are counted */
    FAULT_READ,      /* SQLITE_IOERR_READ; the reads only are counted */
    FAULT_POWER_CUT, /* this write is torn, and nothing works any more */
};

void fault_vfs_register(void);
/* The fault strikes at operation number `after` from now (1: the next) and, when it stays, at every
 * one that follows; FAULT_NONE mends. */
void fault_vfs_set(enum fault fault, uint64_t after, bool stays);
uint64_t fault_vfs_operations(void); /* counted since the last set */
/* After a power cut, with everything closed: of what was written and not synced, a random part is
 * gone from the files, by sectors. Then the disk works again. */
void fault_vfs_restore_power(uint64_t seed);

#endif
