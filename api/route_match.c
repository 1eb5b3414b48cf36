#include "api/routes.h"

#include <stdio.h>
#include <string.h>

static const struct {
    unsigned role;
    const char *name;
} roles[] = {{ROLE_ANYONE, "anyone"}, {ROLE_DEVICE, "device"},     {ROLE_PROXY, "proxy"},
             {ROLE_VIEWER, "viewer"}, {ROLE_OPERATOR, "operator"}, {ROLE_AUTHOR, "author"},
             {ROLE_ADMIN, "admin"},   {ROLE_APPROVER, "approver"}};

unsigned role_from_name(const char *name) {
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        if ((roles[i].role & ROLES_READ) != 0 && strcmp(roles[i].name, name) == 0) {
            return roles[i].role;
        }
    }
    return 0;
}

const char *role_name(unsigned role) {
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        if (roles[i].role == role) {
            return roles[i].name;
        }
    }
    return "";
}

const char *http_method_name(enum http_method method) {
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OTHER"};
    return names[method <= HTTP_OTHER ? method : HTTP_OTHER];
}

static bool is_parameter_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
}

enum http_method http_method_from_name(const char *name) {
    enum http_method method = HTTP_GET;
    while (method < HTTP_OTHER && strcmp(http_method_name(method), name) != 0) {
        method++;
    }
    return method;
}

/* The parameter that `path` starts with; 0 when there is none. */
static size_t parameter_len(const char *path) {
    size_t len = 0;
    while (is_parameter_byte(path[len])) {
        len++;
    }
    bool whole = path[len] == '\0' || path[len] == '/';
    return whole && len <= ROUTE_MAX_PARAM ? len : 0;
}

static void add_param(struct route_match *found, const char *path, size_t len) {
    found->param[found->num_params] = path;
    found->param_len[found->num_params++] = len;
}

/* Whether this parameter of a pattern is its last part. */
static bool is_last(const char *parameter) {
    return strchr(parameter, '}')[1] == '\0';
}

static bool path_matches(const struct route *route, const char *path, struct route_match *found) {
    const char *pattern = route->pattern;
    found->num_params = 0;
    while (*pattern != '\0') {
        if (*pattern != '{') {
            if (*pattern++ != *path++) {
                return false;
            }
            continue;
        }
        if (found->num_params == ROUTE_MAX_PARAMS) {
            return false;
        }
        if (route->suffix && is_last(pattern)) {
            add_param(found, path, strlen(path));
            return true;
        }
        size_t len = parameter_len(path);
        if (len == 0) {
            return false;
        }
        add_param(found, path, len);
        path += len;
        pattern = strchr(pattern, '}') + 1;
    }
    return *path == '\0';
}

static bool begins_with(const char *path, const char *start) {
    size_t len = strlen(start);
    return strncmp(path, start, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

void routes_match(struct route_match *out, const struct route_table *table, enum config_plane plane,
                  enum http_method method, const char *path) {
    enum http_method wanted = method == HTTP_HEAD ? HTTP_GET : method;
    *out = (struct route_match){0};
    for (size_t i = 0; i < table->num; i++) {
        const struct route *route = &table->route[i];
        struct route_match found = {.route = route};
        if (route->plane != plane ||
            !(route->any ? begins_with(path, route->pattern) : path_matches(route, path, &found))) {
            continue;
        }
        unsigned methods = out->methods | 1u << route->method;
        if (route->any || route->method == wanted) {
            *out = found;
            out->methods = methods;
            return;
        }
        out->methods = methods;
    }
}

static unsigned roles_of_plane(enum config_plane plane) {
    switch (plane) {
    case PLANE_ENROL:
    case PLANE_PUBLIC:
        return ROLE_ANYONE;
    case PLANE_DEVICE:
        return ROLE_DEVICE;
    case PLANE_PROXY:
        return ROLE_PROXY;
    case PLANE_ADMIN:
        return ROLES_READ;
    case NUM_PLANES:
        break;
    }
    return 0;
}

static bool pattern_is_valid(const char *pattern) {
    size_t params = 0;
    if (pattern == NULL || pattern[0] != '/') {
        return false;
    }
    for (const char *at = strchr(pattern, '{'); at != NULL; at = strchr(at + 1, '{')) {
        const char *end = strchr(at, '}');
        if (end == NULL || at[-1] != '/' || (end[1] != '/' && end[1] != '\0') ||
            ++params > ROUTE_MAX_PARAMS) {
            return false;
        }
    }
    return true;
}

static bool is_suffix(const struct route *route, const char *at) {
    return route->suffix && *at == '{' && is_last(at);
}

/* Whether two patterns take a path in common: segment by segment, a parameter takes any, and a suffix
 * the rest. */
static bool patterns_overlap(const struct route *first, const struct route *second) {
    const char *a = first->pattern, *b = second->pattern;
    for (;;) {
        if (is_suffix(first, a) || is_suffix(second, b)) {
            return true;
        }
        if (*a == '\0' || *b == '\0') {
            return *a == *b;
        }
        if (*a == '{' || *b == '{') {
            a += strcspn(a, "/");
            b += strcspn(b, "/");
        } else if (*a++ != *b++) {
            return false;
        }
    }
}

static bool routes_overlap(const struct route *a, const struct route *b) {
    if (a->plane != b->plane) {
        return false;
    }
    if (a->any || b->any) {
        return (a->any && begins_with(b->pattern, a->pattern)) ||
               (b->any && begins_with(a->pattern, b->pattern));
    }
    return a->method == b->method && patterns_overlap(a, b);
}

static const char *route_fault(const struct route *route) {
    unsigned allowed = roles_of_plane(route->plane);
    if (!pattern_is_valid(route->pattern)) {
        return "the pattern is not valid";
    }
    if (route->handle == NULL) {
        return "it has no handler";
    }
    if (route->roles == 0) {
        return "it states no role";
    }
    if ((route->roles & ~allowed) != 0) {
        return "it states a role of another plane";
    }
    if (route->plane == PLANE_ADMIN && (route->roles & ROLE_ADMIN) == 0) {
        return "administrators may not call it";
    }
    if ((route->body != NULL) !=
        (route->body_rule == BODY_SHAPE || route->body_rule == BODY_ROWS)) {
        return "its body has no shape, or a shape and no body";
    }
    if ((route->media != NULL) != (route->body_rule == BODY_BYTES)) {
        return "its body has no type, or a type and no body";
    }
    if (route->suffix && route->pattern[strlen(route->pattern) - 1] != '}') {
        return "it takes a suffix and has no last parameter";
    }
    if (route->body_rule == BODY_ROWS && route->admit == NULL) {
        return "nobody takes its rows";
    }
    if (route->any && (route->plane != PLANE_PROXY || route->body_rule != BODY_NONE ||
                       route->query != NULL || strchr(route->pattern, '{') != NULL)) {
        return "it takes anything, and reads some of it";
    }
    if (route->two_person != 0 && (route->plane != PLANE_ADMIN || route->method == HTTP_GET)) {
        return "it takes two people, and changes nothing that operators may change";
    }
    return NULL;
}

enum status routes_check(const struct route_table *table, struct detail *detail) {
    for (size_t i = 0; i < table->num; i++) {
        const struct route *a = &table->route[i];
        const char *fault = route_fault(a);
        if (fault != NULL) {
            return status_fail(detail, STATUS_INVALID, "route %s %s: %s",
                               http_method_name(a->method), a->pattern == NULL ? "" : a->pattern,
                               fault);
        }
        for (size_t j = 0; j < i; j++) {
            const struct route *b = &table->route[j];
            if (routes_overlap(a, b)) {
                return status_fail(detail, STATUS_INVALID, "route %s %s stands twice (%s)",
                                   http_method_name(a->method), a->pattern, b->pattern);
            }
        }
    }
    return STATUS_OK;
}
