#include "tests/unit/fault_vfs.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR = 512 };

struct file {
    sqlite3_file base;
    char *path;
    sqlite3_file *real;
};

/* A write that no sync has confirmed: what it wrote, and what was there. */
struct pending {
    struct pending *older;
    char *path;
    sqlite3_int64 offset, old_size;
    int len, old_len;
    uint8_t *data, *old; /* data NULL: a truncation to `offset` */
};

static sqlite3_vfs *real_vfs;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static enum fault fault;
static bool stays, dark; /* dark: after a power cut */
static uint64_t strike_at, operations;
static struct pending *newest;

static void *must(void *memory) {
    if (memory == NULL) {
        abort();
    }
    return memory;
}

void fault_vfs_set(enum fault what, uint64_t after, bool for_good) {
    (void)pthread_mutex_lock(&lock);
    fault = what;
    strike_at = after;
    stays = for_good;
    operations = 0;
    (void)pthread_mutex_unlock(&lock);
}

uint64_t fault_vfs_operations(void) {
    (void)pthread_mutex_lock(&lock);
    uint64_t num = operations;
    (void)pthread_mutex_unlock(&lock);
    return num;
}

/* Is this operation struck? Under the lock. */
static bool strikes(bool counts) {
    if (!counts || fault == FAULT_NONE) {
        operations += counts ? 1 : 0;
        return false;
    }
    operations++;
    return operations == strike_at || (stays && operations > strike_at);
}

static sqlite3_file *real_of(sqlite3_file *base) {
    return ((struct file *)base)->real;
}

static int file_close(sqlite3_file *base) {
    struct file *file = (struct file *)base;
    int rc = file->real->pMethods == NULL ? SQLITE_OK : file->real->pMethods->xClose(file->real);
    free(file->path);
    free(file->real);
    return rc;
}

static int file_read(sqlite3_file *base, void *data, int len, sqlite3_int64 offset) {
    (void)pthread_mutex_lock(&lock);
    bool struck = dark || (fault == FAULT_READ && strikes(true));
    (void)pthread_mutex_unlock(&lock);
    return struck ? SQLITE_IOERR_READ
                  : real_of(base)->pMethods->xRead(real_of(base), data, len, offset);
}

static sqlite3_int64 size_of(struct file *file) {
    sqlite3_int64 size = 0;
    if (file->real->pMethods->xFileSize(file->real, &size) != SQLITE_OK) {
        abort();
    }
    return size;
}

/* Remembers what [offset, offset + len) holds before it is overwritten or cut off. */
static void remember(struct file *file, const void *data, int len, sqlite3_int64 offset) {
    struct pending *pending = must(calloc(1, sizeof *pending));
    pending->path = must(strdup(file->path));
    pending->offset = offset;
    pending->old_size = size_of(file);
    pending->len = len;
    if (data != NULL) {
        pending->data = must(malloc((size_t)len + 1));
        memcpy(pending->data, data, (size_t)len);
    }
    sqlite3_int64 end = data == NULL ? pending->old_size : offset + len;
    end = end < pending->old_size ? end : pending->old_size;
    pending->old_len = end > offset ? (int)(end - offset) : 0;
    pending->old = must(malloc((size_t)pending->old_len + 1));
    if (pending->old_len > 0 &&
        file->real->pMethods->xRead(file->real, pending->old, pending->old_len, offset) !=
            SQLITE_OK) {
        abort();
    }
    pending->older = newest;
    newest = pending;
}

static int file_write(sqlite3_file *base, const void *data, int len, sqlite3_int64 offset) {
    struct file *file = (struct file *)base;
    (void)pthread_mutex_lock(&lock);
    bool struck = strikes(fault != FAULT_SYNC && fault != FAULT_READ);
    bool cut = dark || (struck && fault == FAULT_POWER_CUT);
    bool full = fault == FAULT_FULL;
    if (fault == FAULT_POWER_CUT && !dark) {
        remember(file, data, len, offset);
    }
    dark = cut;
    (void)pthread_mutex_unlock(&lock);
    if (cut || struck) {
        return full ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    }
    return file->real->pMethods->xWrite(file->real, data, len, offset);
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size) {
    struct file *file = (struct file *)base;
    (void)pthread_mutex_lock(&lock);
    bool struck = dark || strikes(fault != FAULT_SYNC && fault != FAULT_READ);
    if (fault == FAULT_POWER_CUT && !struck) {
        remember(file, NULL, 0, size);
    }
    dark = dark || (struck && fault == FAULT_POWER_CUT);
    (void)pthread_mutex_unlock(&lock);
    return struck ? SQLITE_IOERR_TRUNCATE : file->real->pMethods->xTruncate(file->real, size);
}

static void forget(struct pending **link) {
    struct pending *pending = *link;
    *link = pending->older;
    free(pending->path);
    free(pending->data);
    free(pending->old);
    free(pending);
}

static int file_sync(sqlite3_file *base, int flags) {
    struct file *file = (struct file *)base;
    (void)pthread_mutex_lock(&lock);
    bool struck = dark || (fault != FAULT_READ && strikes(true));
    bool dies = struck && fault != FAULT_WRITE && fault != FAULT_FULL;
    dark = dark || (struck && fault == FAULT_POWER_CUT);
    for (struct pending **at = &newest; !dies && *at != NULL;) {
        if (strcmp((*at)->path, file->path) == 0) {
            forget(at);
        } else {
            at = &(*at)->older;
        }
    }
    (void)pthread_mutex_unlock(&lock);
    return dies ? SQLITE_IOERR_FSYNC : file->real->pMethods->xSync(file->real, flags);
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size) {
    return real_of(base)->pMethods->xFileSize(real_of(base), size);
}
static int file_lock(sqlite3_file *base, int level) {
    return real_of(base)->pMethods->xLock(real_of(base), level);
}
static int file_unlock(sqlite3_file *base, int level) {
    return real_of(base)->pMethods->xUnlock(real_of(base), level);
}
static int file_reserved(sqlite3_file *base, int *out) {
    return real_of(base)->pMethods->xCheckReservedLock(real_of(base), out);
}
static int file_control(sqlite3_file *base, int op, void *argument) {
    return real_of(base)->pMethods->xFileControl(real_of(base), op, argument);
}
static int file_sector(sqlite3_file *base) {
    (void)base;
    return SECTOR;
}
static int file_device(sqlite3_file *base) {
    (void)base;
    return 0; /* promises nothing: no atomic writes, no safe overwrites */
}
static int file_shm_map(sqlite3_file *base, int region, int size, int extend, void volatile **out) {
    return real_of(base)->pMethods->xShmMap(real_of(base), region, size, extend, out);
}
static int file_shm_lock(sqlite3_file *base, int offset, int n, int flags) {
    return real_of(base)->pMethods->xShmLock(real_of(base), offset, n, flags);
}
static void file_shm_barrier(sqlite3_file *base) {
    real_of(base)->pMethods->xShmBarrier(real_of(base));
}
static int file_shm_unmap(sqlite3_file *base, int delete) {
    return real_of(base)->pMethods->xShmUnmap(real_of(base), delete);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_device,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *base, int flags,
                    int *out_flags) {
    (void)vfs;
    struct file *file = (struct file *)base;
    file->real = must(calloc(1, (size_t)real_vfs->szOsFile));
    file->path = must(strdup(name == NULL ? "" : name));
    int rc = real_vfs->xOpen(real_vfs, name, file->real, flags, out_flags);
    if (rc != SQLITE_OK) {
        free(file->real);
        free(file->path);
        base->pMethods = NULL;
        return rc;
    }
    base->pMethods = &methods;
    return SQLITE_OK;
}

/* Not while it is dark: closing tidies up, which a machine without power does not. */
static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_folder) {
    (void)vfs;
    (void)pthread_mutex_lock(&lock);
    bool refuse = dark;
    (void)pthread_mutex_unlock(&lock);
    return refuse ? SQLITE_IOERR_DELETE : real_vfs->xDelete(real_vfs, name, sync_folder);
}

void fault_vfs_register(void) {
    static sqlite3_vfs vfs;
    if (sqlite3_initialize() != SQLITE_OK) {
        abort();
    }
    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs;
    vfs.zName = "fault";
    vfs.szOsFile = sizeof(struct file);
    vfs.xOpen = vfs_open;
    vfs.xDelete = vfs_delete;
    if (sqlite3_vfs_register(&vfs, 1) != SQLITE_OK) {
        abort();
    }
}

static uint64_t next(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void put_back(const struct pending *p) {
    int fd = open(p->path, O_RDWR | O_CLOEXEC);
    if (fd >= 0 && (pwrite(fd, p->old, (size_t)p->old_len, p->offset) != p->old_len ||
                    ftruncate(fd, p->old_size) != 0)) {
        abort();
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

/* Some of its sectors, or none. */
static void redo(const struct pending *p, uint64_t *seed) {
    int fd = open(p->path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    uint64_t whole = next(seed) % 3; /* 0: nothing, 1: all, 2: some */
    if (p->data == NULL && whole == 1 && ftruncate(fd, p->offset) != 0) {
        abort();
    }
    for (int at = 0; p->data != NULL && whole != 0 && at < p->len; at += SECTOR) {
        int len = p->len - at < SECTOR ? p->len - at : SECTOR;
        if ((whole == 1 || next(seed) % 2 == 0) &&
            pwrite(fd, p->data + at, (size_t)len, p->offset + at) != len) {
            abort();
        }
    }
    (void)close(fd);
}

void fault_vfs_restore_power(uint64_t seed) {
    struct pending *oldest = NULL;
    seed = seed * 2654435761U + 88172645463325252U;
    for (struct pending *at = newest; at != NULL; at = at->older) {
        put_back(at);
    }
    while (newest != NULL) { /* turns the list around */
        struct pending *at = newest;
        newest = at->older;
        at->older = oldest;
        oldest = at;
    }
    while (oldest != NULL) {
        redo(oldest, &seed);
        forget(&oldest);
    }
    dark = false;
    fault_vfs_set(FAULT_NONE, 0, false);
}
