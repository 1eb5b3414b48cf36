/* JSON Schema, as far as api/openapi.yaml uses it for answers. */
#include "tests/unit/openapi_reader.h"

#include <regex.h>
#include <stdio.h>
#include <string.h>

static bool say(char *why, const char *where, const char *what) {
    (void)snprintf(why, OPENAPI_TEXT, "%.120s: %.120s", where, what);
    return false;
}

static bool type_allows(const struct openapi *doc, size_t type, const char *name) {
    char value[OPENAPI_TEXT], quoted[32];
    openapi_value(doc, type, value);
    (void)snprintf(quoted, sizeof quoted, "'%s'", name);
    return strcmp(value, name) == 0 || openapi_lists(doc, type, name) ||
           openapi_lists(doc, type, quoted);
}

static const char *type_of(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "object";
    case JSON_ARRAY:
        return "array";
    case JSON_STRING:
        return "string";
    case JSON_INTEGER:
        return "integer";
    case JSON_REAL:
        return "number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "boolean";
    default:
        return "null";
    }
}

static bool text_holds(const struct openapi *doc, size_t schema, const char *text,
                       const char *where, char *why) {
    char pattern[OPENAPI_TEXT];
    size_t enumeration = openapi_member(doc, schema, "enum");
    size_t expression = openapi_member(doc, schema, "pattern");
    if (enumeration != 0 && !openapi_lists(doc, enumeration, text)) {
        return say(why, where, "not one of the values listed");
    }
    if (expression != 0) {
        regex_t compiled;
        openapi_value(doc, expression, pattern);
        if (regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB) != 0) {
            return say(why, where, "a pattern that is none");
        }
        bool fits = regexec(&compiled, text, 0, NULL, 0) == 0;
        regfree(&compiled);
        return fits || say(why, where, "not of the pattern");
    }
    return true;
}

static bool holds(const struct openapi *doc, size_t schema, const json_t *value, const char *where,
                  char *why);

static bool object_holds(const struct openapi *doc, size_t schema, const json_t *value,
                         const char *where, char *why) {
    size_t properties = openapi_member(doc, schema, "properties");
    size_t required = openapi_member(doc, schema, "required");
    size_t found = 0;
    if (properties == 0) {
        return true;
    }
    for (size_t p = openapi_next(doc, properties, 0); p != 0;
         p = openapi_next(doc, properties, p)) {
        char key[OPENAPI_TEXT], path[OPENAPI_TEXT];
        openapi_key(doc, p, key);
        const json_t *one = json_object_get(value, key);
        (void)snprintf(path, sizeof path, "%.100s.%.100s", where, key);
        if (one == NULL) {
            if (required != 0 && openapi_lists(doc, required, key)) {
                return say(why, path, "missing");
            }
            continue;
        }
        found++;
        if (!holds(doc, p, one, path, why)) {
            return false;
        }
    }
    return found == json_object_size(value) || say(why, where, "more members than listed");
}

static bool array_holds(const struct openapi *doc, size_t schema, const json_t *value,
                        const char *where, char *why) {
    size_t items = openapi_member(doc, schema, "items"), i;
    json_t *one;
    json_array_foreach(value, i, one) {
        if (items != 0 && !holds(doc, items, one, where, why)) {
            return false;
        }
    }
    return true;
}

static bool holds(const struct openapi *doc, size_t schema, const json_t *value, const char *where,
                  char *why) {
    char reference[OPENAPI_TEXT];
    size_t ref = openapi_member(doc, schema, "$ref");
    if (ref != 0) {
        openapi_value(doc, ref, reference);
        schema = openapi_resolve(doc, reference);
    }
    if (schema == 0) {
        return say(why, where, "a reference that leads nowhere");
    }
    size_t type = openapi_member(doc, schema, "type");
    if (type != 0 && !type_allows(doc, type, type_of(value))) {
        return say(why, where, "of another type");
    }
    if (json_is_string(value)) {
        return text_holds(doc, schema, json_string_value(value), where, why);
    }
    if (json_is_array(value)) {
        return array_holds(doc, schema, value, where, why);
    }
    return !json_is_object(value) || object_holds(doc, schema, value, where, why);
}

bool openapi_holds(const struct openapi *doc, size_t schema, const json_t *value,
                   char why[static OPENAPI_TEXT]) {
    return holds(doc, schema, value, "", why);
}
