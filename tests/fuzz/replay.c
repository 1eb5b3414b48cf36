/* Replays inputs through a fuzz target without a fuzzer: each file named, each file in a folder named,
 * and always the empty input; of each input, every prefix too (of a long one, a few dozen of them).
 * Each is copied to memory of exactly its size, so that tools which watch memory see the first byte
 * read past it. Ends with a summary in Check's words; an input counts once, prefixes and all. */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

static unsigned int num_done, num_unread;

enum { EVERY_PREFIX_BELOW = 2048, NUM_PREFIXES = 48, INPUT_MAX = 64 << 20 };

static bool replay_prefix(const uint8_t *data, size_t len) {
    uint8_t *exact = len <= INPUT_MAX ? malloc(len > 0 ? len : 1) : NULL;
    if (exact == NULL) {
        return false;
    }
    memcpy(exact, data, len);
    (void)LLVMFuzzerTestOneInput(exact, len);
    free(exact);
    return true;
}

static void replay(const uint8_t *data, size_t size) {
    size_t step = size <= EVERY_PREFIX_BELOW ? 1 : size / NUM_PREFIXES;
    bool done = replay_prefix(data, size);
    for (size_t len = 0; len < size && done; len += step) {
        done = replay_prefix(data, len);
    }
    *(done ? &num_done : &num_unread) += 1;
}

static bool read_exact(const char *path, size_t size, uint8_t *out) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return false;
    }
    bool whole = fread(out, 1, size, file) == size;
    return fclose(file) == 0 && whole;
}

static void replay_file(const char *path, size_t size) {
    uint8_t *data = size <= INPUT_MAX ? malloc(size > 0 ? size : 1) : NULL;
    if (data == NULL || !read_exact(path, size, data)) {
        fprintf(stderr, "%s: cannot be read\n", path);
        num_unread++;
    } else {
        replay(data, size);
    }
    free(data);
}

static void replay_path(const char *path);

static void replay_folder(const char *path) {
    struct dirent **entries;
    int num_entries = scandir(path, &entries, NULL, alphasort);
    if (num_entries < 0) {
        perror(path);
        num_unread++;
        return;
    }
    for (int i = 0; i < num_entries; i++) {
        char *below = NULL;
        if (entries[i]->d_name[0] != '.' &&
            asprintf(&below, "%s/%s", path, entries[i]->d_name) > 0) {
            replay_path(below);
            free(below);
        }
        free(entries[i]);
    }
    free(entries);
}

static void replay_path(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0) {
        perror(path);
        num_unread++;
    } else if (S_ISDIR(st.st_mode)) {
        replay_folder(path);
    } else {
        replay_file(path, (size_t)st.st_size);
    }
}

int main(int argc, char **argv) {
    if (LLVMFuzzerInitialize != NULL) {
        (void)LLVMFuzzerInitialize(&argc, &argv);
    }
    replay((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++) {
        replay_path(argv[i]);
    }
    unsigned int total = num_done + num_unread;
    printf("%u%%: Checks: %u, Failures: 0, Errors: %u\n", num_done * 100 / total, total,
           num_unread);
    return num_unread == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
