#include "config/template.h"

#include <string.h>

/* The assembler puts the file into the program; the build knows that this object depends on it. */
__asm__(".pushsection .rodata\n"
        ".balign 8\n"
        ".global config_template_len\n"
        ".hidden config_template_len\n"
        "config_template_len:\n"
        ".quad 2f - 1f\n"
        ".global config_template_text\n"
        ".hidden config_template_text\n"
        "config_template_text:\n"
        "1: .incbin \"config/gatehouse.ini\"\n"
        "2:\n"
        ".popsection\n");

extern const uint64_t config_template_len;
extern const uint8_t config_template_text[];

enum { MAX_VALUES = 32 };

struct bytes config_template(void) {
    return bytes_of(config_template_text, (size_t)config_template_len);
}

static bool begins(struct bytes line, const char *text) {
    size_t len = strlen(text);
    return line.len >= len && memcmp(line.data, text, len) == 0;
}

/* Whether the line is "key = ...", or the same commented out. */
static bool sets(struct bytes line, const char *key) {
    size_t len = strlen(key);
    struct bytes hash;
    if (begins(line, "#") && bytes_take(&line, 1, &hash) != STATUS_OK) {
        return false;
    }
    return begins(line, key) && line.len > len + 2 && memcmp(line.data + len, " = ", 3) == 0;
}

static void put(struct writer *out, const char *text) {
    write_bytes(out, bytes_of_text(text));
}

static void write_line(struct writer *out, struct bytes line, const struct template_value *value) {
    if (value == NULL) {
        write_bytes(out, line);
    } else if (value->value == NULL) {
        put(out, begins(line, "#") ? "" : "#");
        write_bytes(out, line);
    } else {
        put(out, value->key);
        put(out, " = ");
        put(out, value->value);
    }
    put(out, "\n");
}

enum status template_fill(struct writer *out, const struct template_value *values, size_t num,
                          struct detail *detail) {
    struct bytes rest = config_template();
    char section[32] = "";
    bool used[MAX_VALUES] = {false};
    if (num > MAX_VALUES) {
        return status_fail(detail, STATUS_LIMIT, "more than %d values", MAX_VALUES);
    }
    while (rest.len > 0) {
        const uint8_t *end = memchr(rest.data, '\n', rest.len);
        struct bytes line, newline;
        size_t len = end == NULL ? rest.len : (size_t)(end - rest.data);
        if (bytes_take(&rest, len, &line) != STATUS_OK ||
            (end != NULL && bytes_take(&rest, 1, &newline) != STATUS_OK)) {
            return STATUS_INTERNAL;
        }
        if (begins(line, "[") && line.len - 1 < sizeof section) {
            memcpy(section, line.data + 1, line.len - 2);
            section[line.len - 2] = '\0';
        }
        const struct template_value *found = NULL;
        for (size_t i = 0; i < num; i++) {
            if (!used[i] && strcmp(section, values[i].section) == 0 && sets(line, values[i].key)) {
                used[i] = true;
                found = &values[i];
                break;
            }
        }
        write_line(out, line, found);
    }
    for (size_t i = 0; i < num; i++) {
        if (!used[i]) {
            return status_fail(detail, STATUS_NOT_FOUND, "no line for %s.%s", values[i].section,
                               values[i].key);
        }
    }
    return out->overflow ? STATUS_LIMIT : STATUS_OK;
}
