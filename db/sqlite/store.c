#include "db/sqlite/boot.h"
#include "db/sqlite/migrate.h"
#include "server/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* A commit that leaves this much in the write-ahead log brings it over into the file at once, quiet
 * or not: 32 MiB of pages. */
enum { WAL_PAGES_MAX = 8192 };

static enum status fail_errno(struct detail *detail, const char *verb, const char *path) {
    int error = errno;
    return status_fail(detail, error == ENOMEM ? STATUS_MEMORY : STATUS_STORAGE, "cannot %s %s: %s",
                       verb, path, strerror(error));
}

/* A new name in a folder is durable once the folder is. */
static enum status sync_folder(const char *path, struct detail *detail) {
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL   ? strdup(".")
                   : slash == path ? strdup("/")
                                   : strndup(path, (size_t)(slash - path));
    if (folder == NULL) {
        return status_fail(detail, STATUS_MEMORY, "no memory to open %s", path);
    }
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum status status =
        fd >= 0 && fsync(fd) == 0 ? STATUS_OK : fail_errno(detail, "sync the folder", folder);
    if (fd >= 0) {
        (void)close(fd);
    }
    free(folder);
    return status;
}

/* SQLite gives its log and index the mode of the file, so that nobody else reads these either. */
static enum status create_file(const char *path, struct detail *detail) {
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno == EEXIST ? STATUS_OK : fail_errno(detail, "create", path);
    }
    if (close(fd) != 0) {
        return fail_errno(detail, "create", path);
    }
    return sync_folder(path, detail);
}

enum status store_open(struct store **out, const char *path, struct detail *detail) {
    if (sqlite3_threadsafe() == 0) {
        return status_fail(detail, STATUS_INTERNAL, "this SQLite was built without threads");
    }
    /* Counting every allocation takes a lock that all threads share. Too late once SQLite is in use,
     * and no harm then. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    enum status status = create_file(path, detail);
    if (status != STATUS_OK) {
        return status;
    }
    struct store *store = calloc(1, sizeof *store);
    char *copy = strdup(path);
    if (store == NULL || copy == NULL) {
        free(store);
        free(copy);
        return status_fail(detail, STATUS_MEMORY, "no memory to open %s", path);
    }
    store->path = copy;
    status = connection_open(&store->keeper, path, ACCESS_WRITE, detail);
    if (status == STATUS_OK) {
        status = migrate(store->keeper, migrations, num_migrations, clock_unix(), detail);
    }
    if (status != STATUS_OK) {
        store_close(store);
        return status;
    }
    (void)sqlite3_db_release_memory(store->keeper);
    *out = store;
    return STATUS_OK;
}

enum status store_open_to_read(struct store **out, const char *path, struct detail *detail) {
    sqlite3 *db = NULL;
    enum status status = connection_open(&db, path, ACCESS_READ, detail);
    if (status == STATUS_OK) {
        status = migrate_check(db, migrations, num_migrations, detail);
        (void)sqlite3_close(db);
    }
    if (status != STATUS_OK) {
        return status;
    }
    struct store *store = calloc(1, sizeof *store);
    char *copy = strdup(path);
    if (store == NULL || copy == NULL) {
        free(store);
        free(copy);
        return status_fail(detail, STATUS_MEMORY, "no memory to open %s", path);
    }
    store->path = copy;
    *out = store;
    return STATUS_OK;
}

void store_close(struct store *store) {
    if (store == NULL) {
        return;
    }
    (void)sqlite3_close(store->keeper);
    free(store->path);
    free(store);
}

enum status store_reader_new(struct store_reader **out, struct store *store,
                             struct detail *detail) {
    struct store_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        return status_fail(detail, STATUS_MEMORY, "no memory for a reader of the store");
    }
    enum status status = connection_init(&reader->connection, store->path, ACCESS_READ, detail);
    if (status != STATUS_OK) {
        free(reader);
        return status;
    }
    *out = reader;
    return STATUS_OK;
}

void store_reader_free(struct store_reader *reader) {
    if (reader != NULL) {
        connection_cleanup(&reader->connection);
        free(reader);
    }
}

/* Two gateways on one file would each decide from a memory of their own. A lock on the database
 * itself would be lost with the first descriptor of it that closes, so there is a file beside it.
 */
static enum status take_lock(int *out, const char *store_path, struct detail *detail) {
    char *path = NULL;
    if (asprintf(&path, "%s.lock", store_path) < 0) {
        return status_fail(detail, STATUS_MEMORY, "no memory to lock %s", store_path);
    }
    enum status status = STATUS_OK;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        status = fail_errno(detail, "open", path);
    } else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        status = errno == EWOULDBLOCK ? status_fail(detail, STATUS_CONFLICT,
                                                    "%s is in use by another gateway", store_path)
                                      : fail_errno(detail, "lock", path);
        (void)close(fd);
    } else {
        *out = fd;
    }
    free(path);
    return status;
}

static int count_wal(void *context, sqlite3 *db, const char *name, int pages) {
    struct store_writer *writer = context;
    (void)db;
    (void)name;
    writer->wal_pages = pages;
    return SQLITE_OK;
}

enum status store_writer_new(struct store_writer **out, struct store *store,
                             struct detail *detail) {
    struct store_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL) {
        return status_fail(detail, STATUS_MEMORY, "no memory for the writer of the store");
    }
    enum status status = take_lock(&writer->lock, store->path, detail);
    if (status != STATUS_OK) {
        free(writer);
        return status;
    }
    struct connection *connection = of_writer(writer);
    status = connection_init(connection, store->path, ACCESS_WRITE, detail);
    if (status != STATUS_OK) {
        (void)close(writer->lock);
        free(writer);
        return status;
    }
    (void)sqlite3_wal_hook(connection->db, count_wal, writer);
    writer->sweep.wanted = true; /* what was under way when the last writer ended */
    *out = writer;
    return STATUS_OK;
}

void store_writer_free(struct store_writer *writer) {
    if (writer != NULL) {
        store_rollback(writer);
        connection_cleanup(&writer->reader.connection);
        piece_sweep_restart(&writer->sweep);
        (void)close(writer->lock);
        free(writer);
    }
}

struct store_reader *store_writer_reader(struct store_writer *writer) {
    return &writer->reader;
}

/* Runs one of the statements that frame transactions. */
static enum status frame(struct connection *c, enum statement statement, struct detail *detail,
                         const char *what) {
    if (c->failed) {
        return status_fail(detail, STATUS_STORAGE, "%s: the transaction has failed", what);
    }
    int rc = sqlite3_step(c->stmt[statement]);
    (void)sqlite3_reset(c->stmt[statement]);
    if (rc == SQLITE_DONE) {
        return STATUS_OK;
    }
    enum status status = fail_sqlite(c->db, rc, detail, what);
    return status == STATUS_MEMORY ? STATUS_MEMORY : STATUS_STORAGE;
}

enum status store_begin(struct store_writer *writer, struct detail *detail) {
    struct connection *c = of_writer(writer);
    if (c->in_transaction) {
        return status_fail(detail, STATUS_INTERNAL, "a transaction in a transaction");
    }
    enum status status = frame(c, SQL_BEGIN, detail, "cannot begin a transaction");
    c->in_transaction = status == STATUS_OK;
    return status;
}

enum status store_commit(struct store_writer *writer, struct detail *detail) {
    struct connection *c = of_writer(writer);
    if (!c->in_transaction) {
        return status_fail(detail, STATUS_INTERNAL, "a commit without a transaction");
    }
    enum status status = frame(c, SQL_COMMIT, detail, "cannot commit");
    if (status != STATUS_OK) {
        store_rollback(writer);
        return status;
    }
    c->in_transaction = false;
    if (writer->wal_pages >= WAL_PAGES_MAX) {
        store_checkpoint(writer);
    }
    return STATUS_OK;
}

void store_rollback(struct store_writer *writer) {
    struct connection *c = of_writer(writer);
    if (c->in_transaction && sqlite3_get_autocommit(c->db) == 0) {
        (void)sqlite3_step(c->stmt[SQL_ROLLBACK]);
        (void)sqlite3_reset(c->stmt[SQL_ROLLBACK]);
    }
    if (c->in_transaction) {
        piece_sweep_restart(&writer->sweep); /* what it removed is there again */
    }
    c->in_transaction = c->failed = false;
}

enum status store_savepoint(struct store_writer *writer, struct detail *detail) {
    return frame(of_writer(writer), SQL_SAVEPOINT, detail, "cannot set a savepoint");
}

enum status store_release(struct store_writer *writer, struct detail *detail) {
    return frame(of_writer(writer), SQL_RELEASE, detail, "cannot release a savepoint");
}

void store_undo(struct store_writer *writer) {
    struct connection *c = of_writer(writer);
    if (frame(c, SQL_UNDO, NULL, "") != STATUS_OK || frame(c, SQL_RELEASE, NULL, "") != STATUS_OK) {
        c->failed = c->in_transaction; /* what it did can only be undone with all the rest */
    }
}

enum status store_read_begin(struct store_reader *reader) {
    struct connection *c = of_reader(reader);
    return c->in_transaction ? STATUS_OK : frame(c, SQL_BEGIN_READ, NULL, "");
}

void store_read_end(struct store_reader *reader) {
    struct connection *c = of_reader(reader);
    if (!c->in_transaction && sqlite3_get_autocommit(c->db) == 0) {
        (void)sqlite3_step(c->stmt[SQL_ROLLBACK]);
        (void)sqlite3_reset(c->stmt[SQL_ROLLBACK]);
    }
}

void store_checkpoint(struct store_writer *writer) {
    struct connection *c = of_writer(writer);
    if (c->in_transaction || writer->wal_pages == 0) {
        return;
    }
    int in_log = 0, done = 0;
    int rc = sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log, &done);
    if (rc == SQLITE_OK && in_log == done) {
        writer->wal_pages = 0;
    }
}

enum status rows_read(struct query *q, struct arena *arena, void **rows, size_t *num, size_t size,
                      read_row *read) {
    char *row = NULL;
    size_t have = 0, room = 0;
    enum status status;
    while ((status = query_step(q)) == STATUS_OK) {
        if (have == room) {
            size_t larger = room == 0 ? 8 : 2 * room;
            char *copy = arena_array(arena, larger, size);
            if (copy == NULL) {
                return STATUS_MEMORY;
            }
            if (have > 0) {
                memcpy(copy, row, have * size);
            }
            row = copy;
            room = larger;
        }
        status = read(q, arena, row + have * size);
        if (status != STATUS_OK) {
            return status;
        }
        have++;
    }
    if (status != STATUS_END) {
        return status;
    }
    *rows = row;
    *num = have;
    return STATUS_OK;
}
