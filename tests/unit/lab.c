#include "tests/unit/lab.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SLOTS = 16, PATH_SIZE = 512, COMMAND_SIZE = 8192 };

static char folder[64];
static pid_t owner;

static void need(bool good, const char *what) {
    if (!good) {
        (void)fprintf(stderr, "test folder %s: %s\n", folder, what);
        exit(1);
    }
}

static void remove_folder(void) {
    char command[sizeof folder + 16];
    if (getpid() == owner) {
        (void)snprintf(command, sizeof command, "rm -rf %s", folder);
        (void)!system(command);
    }
}

void lab_open(void) {
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(folder, sizeof folder, "%.40s/gatehouse-XXXXXX", tmp != NULL ? tmp : "/tmp");
    need(mkdtemp(folder) != NULL && atexit(remove_folder) == 0, "cannot be made");
    owner = getpid();
}

const char *lab_path(const char *name) {
    static char paths[SLOTS][PATH_SIZE];
    static unsigned next;
    char *path = paths[next++ % SLOTS];
    (void)snprintf(path, PATH_SIZE, name[0] == '/' ? "%s%s" : "%s/%s", name[0] == '/' ? "" : folder,
                   name);
    return path;
}

PRINTF_LIKE(1, 0) static bool run(const char *format, va_list args) {
    char line[COMMAND_SIZE], command[COMMAND_SIZE + 256];
    int len = vsnprintf(line, sizeof line, format, args);
    need(len > 0 && (size_t)len < sizeof line, "a command is too long");
    (void)snprintf(command, sizeof command, "cd %s && exec >log 2>&1 </dev/null && set -e\n%s\n",
                   folder, line);
    return system(command) == 0;
}

bool lab_try(const char *format, ...) {
    va_list args;
    va_start(args, format);
    bool good = run(format, args);
    va_end(args);
    return good;
}

void lab_run(const char *format, ...) {
    va_list args;
    va_start(args, format);
    bool good = run(format, args);
    va_end(args);
    if (!good) {
        (void)fprintf(stderr, "%s\n%s\n", format, (const char *)lab_read("log").data);
        exit(1);
    }
}

struct bytes lab_read(const char *name) {
    static uint8_t slots[SLOTS][LAB_FILE_MAX + 1];
    static unsigned next;
    uint8_t *slot = slots[next++ % SLOTS];
    FILE *file = fopen(lab_path(name), "rb");
    need(file != NULL, name);
    size_t len = fread(slot, 1, LAB_FILE_MAX + 1, file);
    need(ferror(file) == 0 && len <= LAB_FILE_MAX, name);
    (void)fclose(file);
    slot[len] = 0;
    return bytes_of(slot, len);
}

void lab_write(const char *name, struct bytes content) {
    FILE *file = fopen(lab_path(name), "wb");
    need(file != NULL && fwrite(content.data, 1, content.len, file) == content.len &&
             fclose(file) == 0,
         name);
}

bool lab_said(const char *text) {
    return strstr((const char *)lab_read("log").data, text) != NULL;
}

const char *lab_data(void) {
    const char *path = getenv("GATEHOUSE_DATA");
    path = path != NULL ? path : "../shared/data";
    if (access(path, R_OK) != 0) {
        (void)printf("skip - no test data in %s (GATEHOUSE_DATA)\n", path);
        return NULL;
    }
    return path;
}
