#include "server/commands/proxy_template.h"

#include <string.h>

/* The assembler puts each file into the program; the build knows that this object depends on them. */
#define EMBED(symbol, file)                                                                        \
    __asm__(".pushsection .rodata\n"                                                               \
            ".balign 8\n"                                                                          \
            ".global " #symbol "_len\n"                                                            \
            ".hidden " #symbol "_len\n" #symbol "_len:\n"                                          \
            ".quad 2f - 1f\n"                                                                      \
            ".global " #symbol "\n"                                                                \
            ".hidden " #symbol "\n" #symbol ":\n"                                                  \
            "1: .incbin \"deploy/proxies/" file "\"\n"                                             \
            "2:\n"                                                                                 \
            ".popsection\n");                                                                      \
    extern const uint64_t symbol##_len;                                                            \
    extern const uint8_t symbol[]

EMBED(proxy_text_nginx, "nginx/gatehouse.conf");
EMBED(proxy_text_haproxy, "haproxy/gatehouse.cfg");
EMBED(proxy_text_lua, "haproxy/gatehouse.lua");
EMBED(proxy_text_caddy, "caddy/gatehouse.caddy");
EMBED(proxy_text_envoy, "envoy/gatehouse.yaml");
EMBED(proxy_text_traefik, "traefik/gatehouse.yaml");
EMBED(proxy_text_static, "traefik/static.yaml");

enum status proxy_template_find(struct bytes *out, const char *name) {
    const struct {
        const char *name;
        const uint8_t *text;
        const uint64_t *len;
    } all[] = {
        {"nginx", proxy_text_nginx, &proxy_text_nginx_len},
        {"haproxy", proxy_text_haproxy, &proxy_text_haproxy_len},
        {"haproxy/lua", proxy_text_lua, &proxy_text_lua_len},
        {"caddy", proxy_text_caddy, &proxy_text_caddy_len},
        {"envoy", proxy_text_envoy, &proxy_text_envoy_len},
        {"traefik", proxy_text_traefik, &proxy_text_traefik_len},
        {"traefik/static", proxy_text_static, &proxy_text_static_len},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(all[i].name, name) == 0) {
            *out = bytes_of(all[i].text, (size_t)*all[i].len);
            return STATUS_OK;
        }
    }
    return STATUS_NOT_FOUND;
}

static struct proxy_value *find(struct bytes name, struct proxy_value *values, size_t num) {
    for (size_t i = 0; i < num; i++) {
        if (bytes_equal(name, bytes_of_text(values[i].name))) {
            values[i].used = true;
            return &values[i];
        }
    }
    return NULL;
}

/* The length of the name that "@name@..." begins with; 0 when it is something else. */
static size_t name_len(struct bytes at) {
    size_t len = 0;
    while (1 + len < at.len &&
           ((at.data[1 + len] >= 'a' && at.data[1 + len] <= 'z') || at.data[1 + len] == '_')) {
        len++;
    }
    return 1 + len < at.len && at.data[1 + len] == '@' ? len : 0;
}

static enum status write_line(struct writer *out, struct bytes line, struct proxy_value *values,
                              size_t num, struct detail *detail) {
    while (line.len > 0) {
        size_t len = line.data[0] == '@' ? name_len(line) : 0;
        struct bytes piece;
        if (bytes_take(&line, len == 0 ? 1 : len + 2, &piece) != STATUS_OK) {
            return STATUS_INTERNAL;
        }
        if (len == 0) {
            write_bytes(out, piece);
            continue;
        }
        struct bytes name = bytes_of(piece.data + 1, len);
        const struct proxy_value *value = find(name, values, num);
        if (value == NULL) {
            return status_fail(detail, STATUS_INTERNAL, "the template's @%.*s@ is not known",
                               (int)len, (const char *)name.data);
        }
        if (value->text == NULL) {
            return status_fail(detail, STATUS_NOT_FOUND, "%s is missing", value->option);
        }
        write_bytes(out, bytes_of_text(value->text));
    }
    write_u8(out, '\n');
    return STATUS_OK;
}

/* Without its newline. */
static struct bytes take_line(struct bytes *rest) {
    const uint8_t *end = memchr(rest->data, '\n', rest->len);
    struct bytes line = *rest, newline;
    size_t len = end == NULL ? rest->len : (size_t)(end - rest->data);
    if (bytes_take(rest, len, &line) != STATUS_OK ||
        (end != NULL && bytes_take(rest, 1, &newline) != STATUS_OK)) {
        *rest = bytes_of(NULL, 0);
    }
    return line;
}

enum status proxy_template_fill(struct writer *out, struct bytes text, struct proxy_value *values,
                                size_t num, struct detail *detail) {
    const struct bytes mark_if = bytes_of_text("#@if "), mark_else = bytes_of_text("#@else"),
                       mark_end = bytes_of_text("#@end");
    bool keeps = true, inside = false;
    while (text.len > 0) {
        struct bytes line = take_line(&text), head = line, mark;
        if (bytes_take(&head, mark_if.len, &mark) == STATUS_OK && bytes_equal(mark, mark_if)) {
            const struct proxy_value *value = find(head, values, num);
            if (value == NULL || inside) {
                return status_fail(detail, STATUS_INTERNAL, "the template's #@if is wrong");
            }
            inside = true;
            keeps = value->text != NULL;
        } else if (inside && bytes_equal(line, mark_else)) {
            keeps = !keeps;
        } else if (inside && bytes_equal(line, mark_end)) {
            inside = false;
            keeps = true;
        } else if (keeps) {
            enum status status = write_line(out, line, values, num, detail);
            if (status != STATUS_OK) {
                return status;
            }
        }
    }
    if (inside) {
        return status_fail(detail, STATUS_INTERNAL, "the template's #@if has no end");
    }
    return out->overflow ? STATUS_LIMIT : STATUS_OK;
}
