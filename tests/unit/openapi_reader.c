#include "tests/unit/openapi_reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool add_line(struct openapi *doc, const char *text, bool *in_text, int *text_indent) {
    int indent = (int)strspn(text, " ");
    size_t len = strcspn(text, "\n");
    bool empty = (size_t)indent == len;
    if (*in_text && (empty || indent > *text_indent)) {
        return true; /* a block of prose */
    }
    *in_text = false;
    if (empty || text[indent] == '#') {
        return true;
    }
    if (indent % 2 != 0 || memchr(text, '\t', len) != NULL || doc->num == OPENAPI_MAX_LINES) {
        (void)fprintf(stderr, "openapi: not of our subset: %s", text);
        return false;
    }
    if (len > 1 && text[len - 1] == '|') {
        *in_text = true;
        *text_indent = indent;
    }
    doc->line[doc->num].indent = indent;
    doc->line[doc->num].text = strndup(text + indent, len - (size_t)indent);
    return doc->line[doc->num++].text != NULL;
}

struct openapi *openapi_load(const char *path) {
    struct openapi *doc = calloc(1, sizeof *doc);
    FILE *file = fopen(path, "r");
    char text[1024];
    bool good = doc != NULL && file != NULL, in_text = false;
    int text_indent = 0;
    if (good) {
        doc->line[doc->num].text = strdup("document:"); /* node 0 */
        doc->line[doc->num++].indent = -2;
    }
    while (good && fgets(text, sizeof text, file) != NULL) {
        good = add_line(doc, text, &in_text, &text_indent);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    if (!good) {
        openapi_free(doc);
        return NULL;
    }
    return doc;
}

void openapi_free(struct openapi *doc) {
    for (size_t i = 0; doc != NULL && i < doc->num; i++) {
        free(doc->line[i].text);
    }
    free(doc);
}

size_t openapi_next(const struct openapi *doc, size_t node, size_t after) {
    int indent = doc->line[node].indent + 2;
    for (size_t i = (after == 0 ? node : after) + 1; i < doc->num; i++) {
        if (doc->line[i].indent < indent) {
            return 0;
        }
        if (doc->line[i].indent == indent) {
            return i;
        }
    }
    return 0;
}

static void copy(char *out, const char *text, size_t len) {
    if (len >= 2 && (text[0] == '\'' || text[0] == '"') && text[len - 1] == text[0]) {
        text++;
        len -= 2;
    }
    (void)snprintf(out, OPENAPI_TEXT, "%.*s", (int)len, text);
}

/* The length of a key: up to the colon that ends it. */
static size_t key_len(const char *text) {
    const char *end = strstr(text, ": ");
    size_t len = strlen(text);
    return end != NULL ? (size_t)(end - text) : len > 0 && text[len - 1] == ':' ? len - 1 : len;
}

void openapi_key(const struct openapi *doc, size_t node, char out[static OPENAPI_TEXT]) {
    const char *text = doc->line[node].text;
    text += strncmp(text, "- ", 2) == 0 ? 2 : 0;
    copy(out, text, key_len(text));
}

void openapi_value(const struct openapi *doc, size_t node, char out[static OPENAPI_TEXT]) {
    const char *text = doc->line[node].text;
    bool item = strncmp(text, "- ", 2) == 0;
    text += item ? 2 : 0;
    size_t len = key_len(text);
    if (text[len] == ':') {
        text += len + 1;
        text += *text == ' ';
    } else if (!item) {
        text += len;
    }
    copy(out, text, strlen(text));
}

size_t openapi_member(const struct openapi *doc, size_t node, const char *key) {
    char name[OPENAPI_TEXT];
    for (size_t i = openapi_next(doc, node, 0); i != 0; i = openapi_next(doc, node, i)) {
        openapi_key(doc, i, name);
        if (strcmp(name, key) == 0) {
            return i;
        }
    }
    return 0;
}

size_t openapi_path(const struct openapi *doc, size_t node, ...) {
    va_list keys;
    va_start(keys, node);
    for (const char *key = va_arg(keys, const char *); key != NULL;
         key = va_arg(keys, const char *)) {
        node = openapi_member(doc, node, key);
        if (node == 0) {
            break;
        }
    }
    va_end(keys);
    return node;
}

bool openapi_lists(const struct openapi *doc, size_t node, const char *name) {
    char list[1024];
    const char *text = strchr(doc->line[node].text, '[');
    (void)snprintf(list, sizeof list, "%s", text == NULL ? "" : text);
    for (char *one = strtok(list, "[], "); one != NULL; one = strtok(NULL, "[], ")) {
        if (strcmp(one, name) == 0) {
            return true;
        }
    }
    return false;
}

size_t openapi_list_size(const struct openapi *doc, size_t node) {
    char list[1024];
    size_t num = 0;
    const char *text = strchr(doc->line[node].text, '[');
    (void)snprintf(list, sizeof list, "%s", text == NULL ? "" : text);
    for (char *one = strtok(list, "[], "); one != NULL; one = strtok(NULL, "[], ")) {
        num++;
    }
    return num;
}

size_t openapi_resolve(const struct openapi *doc, const char *reference) {
    char rest[OPENAPI_TEXT];
    size_t node = 0;
    if (strncmp(reference, "#/", 2) != 0) {
        return 0;
    }
    (void)snprintf(rest, sizeof rest, "%s", reference + 2);
    for (char *key = strtok(rest, "/"); key != NULL; key = strtok(NULL, "/")) {
        node = openapi_member(doc, node, key);
        if (node == 0) {
            return 0;
        }
    }
    return node;
}
