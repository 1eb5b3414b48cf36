#include "server/credential/epochs.h"

#include "server/base/clock.h"
#include "server/base/file.h"

#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_LEN = 2048, NUM_FIELDS = 5 };
static const char heading[] = "gatehouse access authorities 1";
static const char uri_scheme[] = "pkcs11:";

/* --- states --------------------------------------------------------------------------------- */

const char *epoch_state_name(enum epoch_state state) {
    static const char *const names[] = {"coming", "signing", "past", "retired"};
    return names[state];
}

enum epoch_state epochs_state(const struct epochs *epochs, size_t i, int64_t now) {
    const struct epoch *epoch = &epochs->epoch[i];
    if (epoch->retires != 0 && now >= epoch->retires) {
        return EPOCH_RETIRED;
    }
    if (now < epoch->signs) {
        return EPOCH_COMING;
    }
    bool followed = i + 1 < epochs->num && now >= epochs->epoch[i + 1].signs;
    return followed ? EPOCH_PAST : EPOCH_SIGNING;
}

int64_t epochs_next_change(const struct epochs *epochs, int64_t now) {
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < epochs->num; i++) {
        const int64_t times[] = {epochs->epoch[i].signs, epochs->epoch[i].retires};
        for (size_t t = 0; t < 2; t++) {
            if (times[t] > now && times[t] < next) {
                next = times[t];
            }
        }
    }
    return next;
}

bool epoch_key_is_uri(const char *key) {
    return strncmp(key, uri_scheme, sizeof uri_scheme - 1) == 0;
}

/* --- rules ---------------------------------------------------------------------------------- */

static enum status check_one(const struct epochs *epochs, size_t i, struct detail *detail) {
    const struct epoch *epoch = &epochs->epoch[i];
    const struct epoch *next = i + 1 < epochs->num ? &epochs->epoch[i + 1] : NULL;
    if (epoch->published <= 0 || epoch->published > epoch->signs) {
        return status_fail(detail, STATUS_INVALID, "epoch %zu signs before it is published", i + 1);
    }
    if (next == NULL && epoch->retires != 0) {
        return status_fail(detail, STATUS_INVALID,
                           "the newest epoch is retired and none comes after it");
    }
    if (next != NULL && next->signs <= epoch->signs) {
        return status_fail(detail, STATUS_INVALID, "epoch %zu does not sign after epoch %zu", i + 2,
                           i + 1);
    }
    if (next != NULL && epoch->retires < next->signs) {
        return status_fail(detail, STATUS_INVALID, "epoch %zu is retired before epoch %zu signs",
                           i + 1, i + 2);
    }
    for (size_t j = 0; j < i; j++) {
        if (strcmp(epoch->key, epochs->epoch[j].key) == 0 ||
            strcmp(epoch->certificate, epochs->epoch[j].certificate) == 0) {
            return status_fail(detail, STATUS_INVALID,
                               "epochs %zu and %zu share a key or a certificate", j + 1, i + 1);
        }
    }
    return STATUS_OK;
}

enum status epochs_check(const struct epochs *epochs, struct detail *detail) {
    if (epochs->num == 0 || epochs->num > EPOCHS_MAX) {
        return status_fail(detail, STATUS_INVALID, "%zu epochs: there must be 1 to %d", epochs->num,
                           EPOCHS_MAX);
    }
    enum status status = STATUS_OK;
    for (size_t i = 0; i < epochs->num && status == STATUS_OK; i++) {
        status = check_one(epochs, i, detail);
    }
    return status;
}

/* --- reading -------------------------------------------------------------------------------- */

static const char *open_name(struct arena *arena, const char *name, const char *folder) {
    bool whole = name[0] == '/' || epoch_key_is_uri(name);
    return arena_printf(arena, "%s%s", whole ? "" : folder, name);
}

static bool take_time(int64_t *out, const char *text, bool may_lack) {
    if (may_lack && strcmp(text, "-") == 0) {
        *out = 0;
        return true;
    }
    return rfc3339_parse(out, text) == STATUS_OK && *out > 0;
}

/* Takes `line`, which is terminated, apart. */
static enum status parse_epoch(struct epoch *out, struct arena *arena, char *line,
                               const char *folder, struct detail *detail) {
    const char *field[NUM_FIELDS];
    size_t num = 0;
    char *rest = NULL;
    for (char *at = strtok_r(line, " \t", &rest); at != NULL; at = strtok_r(NULL, " \t", &rest)) {
        if (num == NUM_FIELDS) {
            num++;
            break;
        }
        field[num++] = at;
    }
    if (num != NUM_FIELDS) {
        return status_fail(detail, STATUS_MALFORMED,
                           "must be key, certificate, published, signs and retires");
    }
    struct epoch epoch = {.key = open_name(arena, field[0], folder)};
    if (epoch_key_is_uri(field[1])) {
        return status_fail(detail, STATUS_MALFORMED, "the certificate must be a file");
    }
    epoch.certificate = open_name(arena, field[1], folder);
    if (!take_time(&epoch.published, field[2], false) ||
        !take_time(&epoch.signs, field[3], false) || !take_time(&epoch.retires, field[4], true)) {
        return status_fail(detail, STATUS_MALFORMED,
                           "a time must be as in 2026-11-23T10:00:00Z (or -, for retires)");
    }
    *out = epoch;
    return arena->overflow ? status_fail(detail, STATUS_MEMORY, "out of memory") : STATUS_OK;
}

static enum status parse_line(struct epochs *out, struct arena *arena, char *line, size_t number,
                              const char *folder, struct detail *detail) {
    for (const char *c = line; *c != '\0'; c++) {
        if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f) {
            return status_fail(detail, STATUS_MALFORMED, "holds a control character");
        }
    }
    if (number == 1) {
        return strcmp(line, heading) == 0
                   ? STATUS_OK
                   : status_fail(detail, STATUS_MALFORMED, "is not \"%s\"", heading);
    }
    if (line[0] == '#' || line[strspn(line, " \t")] == '\0') {
        return STATUS_OK;
    }
    if (out->num == EPOCHS_MAX) {
        return status_fail(detail, STATUS_MALFORMED, "more than %d epochs", EPOCHS_MAX);
    }
    enum status status = parse_epoch(&out->epoch[out->num], arena, line, folder, detail);
    out->num += status == STATUS_OK;
    return status;
}

enum status epochs_parse(struct epochs *out, struct arena *arena, struct bytes text,
                         const char *folder, struct detail *detail) {
    struct epochs epochs = {.num = 0};
    for (size_t number = 1; text.len > 0 || number == 1; number++) {
        const uint8_t *end = text.len == 0 ? NULL : memchr(text.data, '\n', text.len);
        struct bytes line, newline;
        if (end == NULL || (size_t)(end - text.data) > LINE_MAX_LEN ||
            bytes_take(&text, (size_t)(end - text.data), &line) != STATUS_OK ||
            bytes_take(&text, 1, &newline) != STATUS_OK) {
            return status_fail(detail, STATUS_MALFORMED, "line %zu: is cut off, or too long",
                               number);
        }
        if (line.len > 0 && memchr(line.data, 0, line.len) != NULL) {
            return status_fail(detail, STATUS_MALFORMED, "line %zu: holds a zero byte", number);
        }
        char *copy = arena_text_n(arena, (const char *)line.data, line.len);
        enum status status = copy == NULL
                                 ? status_fail(detail, STATUS_MEMORY, "out of memory")
                                 : parse_line(&epochs, arena, copy, number, folder, detail);
        if (status != STATUS_OK) {
            detail_prefix(detail, "line %zu", number);
            return status;
        }
    }
    enum status status = epochs_check(&epochs, detail);
    if (status == STATUS_OK) {
        *out = epochs;
    }
    return status;
}

const char *epochs_folder(struct arena *arena, const char *path) {
    const char *slash = strrchr(path, '/');
    return arena_text_n(arena, path, slash == NULL ? 0 : (size_t)(slash - path) + 1);
}

enum status epochs_read(struct epochs *out, struct arena *arena, const char *path,
                        struct detail *detail) {
    uint8_t *text;
    size_t len;
    enum status status = file_read(&text, &len, path, EPOCHS_FILE_MAX, detail);
    if (status != STATUS_OK) {
        return status;
    }
    const char *folder = epochs_folder(arena, path);
    status = folder == NULL ? status_fail(detail, STATUS_MEMORY, "out of memory")
                            : epochs_parse(out, arena, bytes_of(text, len), folder, detail);
    if (status != STATUS_OK) {
        detail_prefix(detail, "%s", path);
    }
    free(text);
    return status;
}

/* --- writing -------------------------------------------------------------------------------- */

static enum status write_name(struct writer *out, const char *name, const char *folder,
                              struct detail *detail) {
    size_t len = strlen(folder);
    const char *bare = len > 0 && strncmp(name, folder, len) == 0 ? name + len : name;
    if (bare[0] == '\0' || bare[0] == '#') {
        return status_fail(detail, STATUS_INVALID, "\"%.80s\" cannot stand in the list", name);
    }
    for (const char *c = bare; *c != '\0'; c++) {
        if ((unsigned char)*c <= 0x20 || *c == 0x7f) {
            return status_fail(detail, STATUS_INVALID,
                               "\"%.80s\" cannot stand in the list: it holds a blank", name);
        }
    }
    write_bytes(out, bytes_of_text(bare));
    write_bytes(out, bytes_of_text(" "));
    return STATUS_OK;
}

static void write_time(struct writer *out, int64_t time, const char *end) {
    char text[RFC3339_SIZE] = "-";
    if (time != 0) {
        rfc3339_format(text, time);
    }
    write_bytes(out, bytes_of_text(text));
    write_bytes(out, bytes_of_text(end));
}

enum status epochs_write(struct writer *out, const struct epochs *epochs, const char *folder,
                         struct detail *detail) {
    enum status status = epochs_check(epochs, detail);
    write_bytes(out, bytes_of_text(heading));
    write_bytes(out, bytes_of_text("\n# key  certificate  published  signs  retires\n"));
    for (size_t i = 0; i < epochs->num && status == STATUS_OK; i++) {
        const struct epoch *epoch = &epochs->epoch[i];
        status = write_name(out, epoch->key, folder, detail);
        if (status == STATUS_OK) {
            status = write_name(out, epoch->certificate, folder, detail);
        }
        write_time(out, epoch->published, " ");
        write_time(out, epoch->signs, " ");
        write_time(out, epoch->retires, "\n");
    }
    return status == STATUS_OK && out->overflow
               ? status_fail(detail, STATUS_LIMIT, "the list of epochs is too long")
               : status;
}
