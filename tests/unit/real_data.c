#include "tests/unit/real_data.h"

#include "server/base/file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

const char *real_data(void) {
    struct stat st;
    const char *folder = getenv("GATEHOUSE_DATA");
    folder = folder != NULL ? folder : "../shared/data";
    if (stat(folder, &st) == 0 && S_ISDIR(st.st_mode)) {
        return folder;
    }
    printf("skip - no data of real machines: %s is not there (GATEHOUSE_DATA says where)\n",
           folder);
    return NULL;
}

struct bytes real_file(struct arena *arena, const char *format, ...) {
    char name[256], path[600];
    uint8_t *data = NULL;
    size_t len = 0;
    const char *folder = getenv("GATEHOUSE_DATA");
    va_list args;
    va_start(args, format);
    (void)vsnprintf(name, sizeof name, format, args);
    va_end(args);
    (void)snprintf(path, sizeof path, "%s/%s", folder != NULL ? folder : "../shared/data", name);
    if (file_read(&data, &len, path, 1 << 24, NULL) != STATUS_OK) {
        return bytes_of(NULL, 0);
    }
    struct bytes copy = arena_bytes(arena, bytes_of(data, len));
    free(data);
    return copy;
}
