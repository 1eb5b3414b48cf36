#include "server/commands/audit.h"

#include "server/commands/commands.h"
#include "server/commands/load_config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGE_ENTRIES = 4096, PAGE_BYTES = 1 << 20, PAGE_ARENA = 256 << 20 };

/* --- the store ------------------------------------------------------------------------------ */

static bool complain(const struct detail *detail) {
    fprintf(stderr, "gatehouse audit: %s\n", detail->text);
    return false;
}

bool audit_store_open(struct audit_store *out, const char *config_file, const char *file) {
    struct config *config = NULL;
    struct detail detail = {0};
    *out = (struct audit_store){0};
    if (config_file != NULL && commands_load_config(&config, config_file) != STATUS_OK) {
        return false;
    }
    const char *path = config != NULL ? config->store_path : file;
    enum status status = store_open_to_read(&out->store, path, &detail);
    if (status == STATUS_OK) {
        status = store_reader_new(&out->reader, out->store, &detail);
    }
    config_free(config);
    if (status != STATUS_OK) {
        audit_store_close(out);
        return complain(&detail);
    }
    return true;
}

void audit_store_close(struct audit_store *store) {
    store_reader_free(store->reader);
    store_close(store->store);
    *store = (struct audit_store){0};
}

static enum status require_chain(struct audit_store *store, struct detail *detail) {
    struct audit_tip tip;
    enum status status = store_audit_tip(store->reader, &tip);
    if (status == STATUS_OK && tip.seq > 0 && !tip.chained) {
        return status_fail(detail, STATUS_CONFLICT,
                           "the entries are older than the chain: start the gateway once");
    }
    return status;
}

static enum status read_page(struct audit_store *store, struct audit_page *page, audit_take *take,
                             void *context, bool *more, struct detail *detail) {
    struct arena arena;
    struct json_out o;
    int64_t after = page->after;
    arena_init(&arena, PAGE_ARENA);
    json_out_init(&o, &arena, PAGE_BYTES + PAGE_BYTES / 4);
    enum status status = audit_export_page(&o, store->reader, page);
    if (status != STATUS_OK) {
        detail_set(detail, "the audit log cannot be read after entry %lld: %s", (long long)after,
                   status_name(status));
    } else if (after > 0 && page->skipped) {
        status = status_fail(detail, STATUS_CONFLICT, "entries after %lld were pruned",
                             (long long)after);
    } else {
        *more = take(context, json_out_end(&o)) && page->num > 0;
    }
    arena_free(&arena);
    return status;
}

enum status audit_store_read(struct audit_store *store, int64_t after, audit_take *take,
                             void *context, struct detail *detail) {
    struct audit_page page = {.after = after, .limit = PAGE_ENTRIES, .max_bytes = PAGE_BYTES};
    bool more = true;
    enum status status = require_chain(store, detail);
    while (status == STATUS_OK && more) {
        status = read_page(store, &page, take, context, &more, detail);
    }
    return status;
}

bool audit_read_seq(const char *text, int64_t *out) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    *out = value;
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
}

/* --- export --------------------------------------------------------------------------------- */

struct export_options {
    const char *config, *store, *out;
    int64_t after;
};

static bool parse_export(struct export_options *o, int argc, char **argv) {
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        const char **text = strcmp(argv[i], "--config") == 0  ? &o->config
                            : strcmp(argv[i], "--store") == 0 ? &o->store
                            : strcmp(argv[i], "--out") == 0   ? &o->out
                                                              : NULL;
        bool is_after = strcmp(argv[i], "--after") == 0;
        if (value == NULL || (text == NULL && !is_after) || (text != NULL && *text != NULL) ||
            (is_after && !audit_read_seq(value, &o->after))) {
            return false;
        }
        if (text != NULL) {
            *text = value;
        }
    }
    return (o->config == NULL) != (o->store == NULL);
}

struct output {
    FILE *file;
    bool failed;
};

static bool write_lines(void *context, struct bytes lines) {
    struct output *output = context;
    output->failed = lines.len > 0 && fwrite(lines.data, lines.len, 1, output->file) != 1;
    return !output->failed;
}

/* Never over a file that is there. */
static FILE *create(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (file == NULL) {
        fprintf(stderr, "gatehouse audit: cannot create %s: %s\n", path, strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
    }
    return file;
}

/* Closes it too; what is not whole does not stay. */
static bool end_output(struct output *output, const char *path, bool good) {
    bool written = fflush(output->file) == 0 && !output->failed &&
                   (path == NULL || fsync(fileno(output->file)) == 0);
    if (!written) {
        fprintf(stderr, "gatehouse audit: the export could not be written: %s\n", strerror(errno));
    }
    if (path != NULL) {
        (void)fclose(output->file);
        if (!written || !good) {
            (void)unlink(path);
        }
    }
    return written && good;
}

static int export(int argc, char **argv) {
    struct export_options options = {0};
    struct audit_store store;
    struct detail detail = {0};
    if (!parse_export(&options, argc, argv)) {
        return EXIT_USAGE;
    }
    if (!audit_store_open(&store, options.config, options.store)) {
        return EXIT_FAILURE;
    }
    struct output output = {.file = options.out == NULL ? stdout : create(options.out)};
    bool good = false;
    if (output.file != NULL) {
        enum status status = audit_store_read(&store, options.after, write_lines, &output, &detail);
        good = status == STATUS_OK || complain(&detail);
        good = end_output(&output, options.out, good);
    }
    audit_store_close(&store);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int command_audit(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "export") == 0) {
        return export(argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "verify") == 0) {
        return audit_verify(argc - 1, argv + 1);
    }
    return EXIT_USAGE;
}
