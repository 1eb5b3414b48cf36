/* Reads api/openapi.yaml, which keeps to a plain subset of YAML: two spaces a level, one key a line,
 * lists of names in brackets on one line. A node is the number of its line; 0 is the document. */
#ifndef GATEHOUSE_TESTS_OPENAPI_READER_H
#define GATEHOUSE_TESTS_OPENAPI_READER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { OPENAPI_MAX_LINES = 10000, OPENAPI_TEXT = 256 };

struct openapi_line {
    int indent;
    char *text; /* without indent */
};
struct openapi {
    struct openapi_line line[OPENAPI_MAX_LINES];
    size_t num;
};

/* NULL when the file cannot be read or is not of that subset; then it says why on stderr. */
struct openapi *openapi_load(const char *path);
void openapi_free(struct openapi *doc);

/* The member `key` of a node; 0: none. Quotes around keys are no part of them. */
size_t openapi_member(const struct openapi *doc, size_t node, const char *key);
/* Members, or items, one after the other: `after` 0 for the first; 0 at the end. */
size_t openapi_next(const struct openapi *doc, size_t node, size_t after);
/* The key of a member; the scalar after its colon, or of an item, without quotes. */
void openapi_key(const struct openapi *doc, size_t node, char out[static OPENAPI_TEXT]);
void openapi_value(const struct openapi *doc, size_t node, char out[static OPENAPI_TEXT]);
/* Whether "[a, b]" of the node has the name; and how many it has. */
bool openapi_lists(const struct openapi *doc, size_t node, const char *name);
size_t openapi_list_size(const struct openapi *doc, size_t node);
/* What "#/components/schemas/X" leads to; 0: nothing. */
size_t openapi_resolve(const struct openapi *doc, const char *reference);
/* Whether the value is what the schema says: type, enum, pattern, required members, no others. Else
 * `why` says where it is not. */
bool openapi_holds(const struct openapi *doc, size_t schema, const json_t *value,
                   char why[static OPENAPI_TEXT]);
/* A chain of members: openapi_path(doc, node, "a", "b", NULL). */
size_t openapi_path(const struct openapi *doc, size_t node, ...);

#endif
