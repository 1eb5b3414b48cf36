#include "server/commands/folder.h"

#include "server/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum status refuse(const char *verb, const char *path, struct detail *detail) {
    enum status status = errno == ENOENT                     ? STATUS_NOT_FOUND
                         : errno == EACCES || errno == EPERM ? STATUS_DENIED
                         : errno == EEXIST                   ? STATUS_CONFLICT
                                                             : STATUS_INTERNAL;
    return status_fail(detail, status, "cannot %s %s: %s", verb, path, strerror(errno));
}

/* A folder that a file system keeps in its root does not count. */
static enum status expect_empty(const char *path, struct detail *detail) {
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return refuse("open", path, detail);
    }
    enum status status = STATUS_OK;
    const struct dirent *entry;
    while (status == STATUS_OK && (entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strcmp(name, "lost+found") != 0) {
            status = status_fail(detail, STATUS_CONFLICT, "%s is not empty: it has %s", path, name);
        }
    }
    (void)closedir(dir);
    return status;
}

enum status folder_open(struct folder *out, const char *path, struct detail *detail) {
    struct folder folder = {.existed = false};
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    arena_init(&folder.arena, (size_t)1 << 20);
    folder.path = arena_text_n(&folder.arena, path, len);
    if (folder.path == NULL) {
        return STATUS_MEMORY;
    }
    enum status status = STATUS_OK;
    struct stat st;
    if (mkdir(folder.path, 0700) != 0) {
        folder.existed = errno == EEXIST;
        status = folder.existed ? expect_empty(folder.path, detail)
                                : refuse("make", folder.path, detail);
    }
    if (status == STATUS_OK && folder.existed) {
        folder.old_mode = stat(folder.path, &st) == 0 ? st.st_mode & 07777 : 0;
        status =
            chmod(folder.path, 0700) == 0 ? STATUS_OK : refuse("take over", folder.path, detail);
    }
    if (status != STATUS_OK) {
        arena_free(&folder.arena);
        return status;
    }
    *out = folder;
    return STATUS_OK;
}

const char *folder_path(struct folder *folder, const char *name) {
    return arena_printf(&folder->arena, "%s/%s", folder->path, name);
}

static enum status remember(struct folder *folder, const char *path, bool is_folder,
                            struct detail *detail) {
    if (path == NULL || folder->num_made == FOLDER_MAX_MADE) {
        return status_fail(detail, STATUS_MEMORY, "no memory for what is made");
    }
    folder->made[folder->num_made].path = path;
    folder->made[folder->num_made++].is_folder = is_folder;
    return STATUS_OK;
}

enum status folder_add_folder(struct folder *folder, const char *name, struct detail *detail) {
    const char *path = folder_path(folder, name);
    enum status status = remember(folder, path, true, detail);
    if (status == STATUS_OK && mkdir(path, 0700) != 0) {
        folder->num_made--;
        status = refuse("make", path, detail);
    }
    return status;
}

enum status folder_add_file(struct folder *folder, const char *name, unsigned mode,
                            struct bytes content, struct detail *detail) {
    const char *path = folder_path(folder, name);
    enum status status = remember(folder, path, false, detail);
    if (status == STATUS_OK) {
        status = file_create(path, mode, content, detail);
        if (status != STATUS_OK) {
            folder->num_made--; /* file_create leaves nothing, and what was there is not ours */
        }
    }
    return status;
}

enum status folder_expect(struct folder *folder, const char *path, struct detail *detail) {
    return remember(folder, path, false, detail);
}

void folder_undo(struct folder *folder) {
    while (folder->num_made > 0) {
        folder->num_made--;
        const char *path = folder->made[folder->num_made].path;
        (void)(folder->made[folder->num_made].is_folder ? rmdir(path) : unlink(path));
    }
    if (folder->existed) {
        (void)chmod(folder->path, (mode_t)folder->old_mode);
    } else {
        (void)rmdir(folder->path);
    }
    folder_close(folder);
}

void folder_close(struct folder *folder) {
    arena_free(&folder->arena);
}
