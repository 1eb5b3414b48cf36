#include "server/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum status from_errno(int error) {
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return STATUS_NOT_FOUND;
    case EACCES:
    case EPERM:
        return STATUS_DENIED;
    case EEXIST:
        return STATUS_CONFLICT;
    case ENOMEM:
        return STATUS_MEMORY;
    default:
        return STATUS_INTERNAL;
    }
}

static enum status fail(struct detail *detail, const char *verb, const char *path) {
    int error = errno;
    return status_fail(detail, from_errno(error), "cannot %s %s: %s", verb, path, strerror(error));
}

/* Reads to the end of `fd`, growing *out. errno is set on INTERNAL. */
static enum status read_all(int fd, uint8_t **out, size_t *out_len, size_t max_len) {
    size_t len = 0, cap = 4096;
    uint8_t *data = malloc(cap + 1);
    while (data != NULL) {
        ssize_t n = read(fd, data + len, cap - len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 || len + (size_t)n > max_len) {
            bytes_wipe(data, len);
            free(data);
            return n < 0 ? STATUS_INTERNAL : STATUS_LIMIT;
        }
        if (n == 0) {
            data[len] = 0;
            *out = data;
            *out_len = len;
            return STATUS_OK;
        }
        len += (size_t)n;
        if (len == cap) {
            /* Not realloc: what is read may be a key, and no copy of it is left behind. */
            uint8_t *larger = malloc(2 * cap + 1);
            if (larger != NULL) {
                memcpy(larger, data, len);
            }
            bytes_wipe(data, len);
            free(data);
            data = larger;
            cap *= 2;
        }
    }
    return STATUS_MEMORY;
}

static enum status read_open(int fd, uint8_t **out, size_t *out_len, const char *path,
                             size_t max_len, struct detail *detail) {
    enum status status = read_all(fd, out, out_len, max_len);
    if (status == STATUS_INTERNAL) {
        status = fail(detail, "read", path);
    } else if (status == STATUS_LIMIT) {
        detail_set(detail, "%s is longer than %zu bytes", path, max_len);
    } else if (status == STATUS_MEMORY) {
        detail_set(detail, "no memory to read %s", path);
    }
    return status;
}

enum status file_read(uint8_t **out, size_t *out_len, const char *path, size_t max_len,
                      struct detail *detail) {
    bool standard_input = strcmp(path, "-") == 0;
    int fd = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return fail(detail, "open", path);
    }
    enum status status = read_open(fd, out, out_len, path, max_len, detail);
    if (!standard_input) {
        (void)close(fd);
    }
    return status;
}

/* Of the open file, so that what is checked is what is read. */
static enum status check_private(int fd, const char *path, struct detail *detail) {
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return fail(detail, "examine", path);
    }
    if (!S_ISREG(st.st_mode)) {
        return status_fail(detail, STATUS_DENIED, "%s is not a regular file", path);
    }
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return status_fail(detail, STATUS_DENIED,
                           "%s is open to its group or others (mode %04o): chmod 600 it", path,
                           (unsigned)(st.st_mode & 07777));
    }
    if (st.st_uid != geteuid() && st.st_uid != 0) {
        return status_fail(detail, STATUS_DENIED, "%s belongs to user %u", path,
                           (unsigned)st.st_uid);
    }
    return STATUS_OK;
}

enum status file_read_private(uint8_t **out, size_t *out_len, const char *path, size_t max_len,
                              struct detail *detail) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold us up */
    if (fd < 0) {
        return fail(detail, "open", path);
    }
    enum status status = check_private(fd, path, detail);
    if (status == STATUS_OK) {
        status = read_open(fd, out, out_len, path, max_len, detail);
    }
    (void)close(fd);
    return status;
}

static bool write_all(int fd, struct bytes content) {
    while (content.len > 0) {
        ssize_t n = write(fd, content.data, content.len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        struct bytes written;
        if (n < 0 || bytes_take(&content, (size_t)n, &written) != STATUS_OK) {
            return false;
        }
    }
    return fsync(fd) == 0;
}

enum status file_create(const char *path, unsigned mode, struct bytes content,
                        struct detail *detail) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
    if (fd < 0) {
        return fail(detail, "create", path);
    }
    bool written = fchmod(fd, (mode_t)mode) == 0 && write_all(fd, content);
    enum status status = written ? STATUS_OK : fail(detail, "write", path);
    if (close(fd) != 0 && status == STATUS_OK) {
        status = fail(detail, "write", path);
    }
    if (status != STATUS_OK) {
        (void)unlink(path);
    }
    return status;
}

enum status file_replace(const char *path, unsigned mode, struct bytes content,
                         struct detail *detail) {
    char temporary[4096];
    int len = snprintf(temporary, sizeof temporary, "%s.%ld.new", path, (long)getpid());
    if (len < 0 || (size_t)len >= sizeof temporary) {
        return status_fail(detail, STATUS_LIMIT, "path too long: %s", path);
    }
    /* One that a crash left behind under the same process id, as in a container. */
    (void)unlink(temporary);
    enum status status = file_create(temporary, mode, content, detail);
    if (status != STATUS_OK) {
        return status;
    }
    if (rename(temporary, path) != 0) {
        status = fail(detail, "replace", path);
        (void)unlink(temporary);
    }
    return status;
}
