#include "api/http.h"

bool http_add_header(struct http_exchange *x, const char *name, const char *value) {
    if (x->num_headers == HTTP_MAX_HEADERS_OUT || name == NULL || value == NULL) {
        return false;
    }
    x->header[x->num_headers++] = (struct http_header){.name = name, .value = value};
    return true;
}
