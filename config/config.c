#include "config/config.h"

#include "config/report.h"
#include "server/base/file.h"

#include <ctype.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIG_FILE_MAX = 1 << 20, CONFIG_ARENA = 4 << 20 };

const char *config_plane_name(enum config_plane plane) {
    static const char *const names[NUM_PLANES] = {[PLANE_ENROL] = "enrol",
                                                  [PLANE_DEVICE] = "device",
                                                  [PLANE_PROXY] = "proxy",
                                                  [PLANE_ADMIN] = "admin",
                                                  [PLANE_PUBLIC] = "public"};
    return names[plane];
}

struct place *report_place(struct report *report, const struct section *section,
                           const struct setting *setting) {
    return &report->place[section - config_sections][setting - section->setting];
}

static void append(struct writer *all, const char *text) {
    if (all != NULL) {
        write_bytes(all, bytes_of_text(text));
    }
}

void report_mistake(struct report *report, struct place place, const char *format, ...) {
    struct detail mistake = {0}, where = {0};
    va_list args;
    va_start(args, format);
    (void)vsnprintf(mistake.text, sizeof mistake.text, format, args);
    va_end(args);
    if (place.variable != NULL) {
        detail_set(&where, "%s: ", place.variable);
    } else if (place.line > 0) {
        detail_set(&where, "%s:%u: ", report->file, place.line);
    } else {
        detail_set(&where, "%s: ", report->file);
    }
    append(report->all, where.text);
    append(report->all, mistake.text);
    append(report->all, "\n");
    if (report->num++ == 0) {
        detail_set(report->first, "%s%s", where.text, mistake.text);
    }
}

/* One load. */
struct loader {
    struct config *config;
    struct report *report;
    const char *folder; /* "" or ending with a slash */
    struct bytes rest;  /* of the file */
    struct bytes line;  /* the one that inih reads now, without its end */
    struct place here;  /* of it */
    bool understood;    /* a key and a value were found in it */
};

static void assign(struct loader *loader, const struct section *section,
                   const struct setting *setting, const char *value) {
    struct detail detail = {0};
    enum status status =
        setting_assign(loader->config, section, setting, value, loader->folder, &detail);
    if (status == STATUS_MEMORY) {
        loader->report->no_memory = true;
    } else if (status != STATUS_OK) {
        report_mistake(loader->report, loader->here, "%s.%s: %s", section->name, setting->key,
                       detail.text);
        report_place(loader->report, section, setting)->wrong = true;
    }
}

/* inih cuts comments off a line, but not off one that goes on with the line before. */
static void assign_line(struct loader *loader, const struct section *section,
                        const struct setting *setting, const char *value, bool goes_on) {
    char text[512];
    int len = snprintf(text, sizeof text, "%s", value);
    if (!goes_on || len < 0 || (size_t)len >= sizeof text) {
        assign(loader, section, setting, value);
        return;
    }
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (text[i] == ';' && (i == 0 || isspace((unsigned char)text[i - 1]) != 0)) {
            text[i] = '\0';
            break;
        }
    }
    assign(loader, section, setting, text);
}

/* inih: one key and value, or one more line of the value before. */
static int take_pair(void *context, const char *section_name, const char *key, const char *value) {
    struct loader *loader = context;
    struct report *report = loader->report;
    loader->understood = true;
    bool goes_on = loader->line.len > 0 && isspace(loader->line.data[0]) != 0;
    const struct section *section = section_find(section_name);
    if (section_name[0] == '\0') {
        report_mistake(report, loader->here, "%.60s: stands before any section", key);
        return 1;
    }
    if (section == NULL) {
        return 1; /* reported with its heading */
    }
    const struct setting *setting = setting_find(section, key);
    if (setting == NULL) {
        report_mistake(report, loader->here, "%s.%.60s: there is no such setting", section->name,
                       key);
        return 1;
    }
    struct place *place = report_place(report, section, setting);
    if (goes_on && !setting_is_list(setting)) {
        report_mistake(report, loader->here, "%s.%s: takes one line", section->name, key);
        return 1;
    }
    if (!goes_on && place->line != 0) {
        report_mistake(report, loader->here, "%s.%s: is set already in line %u", section->name, key,
                       place->line);
        return 1;
    }
    if (!goes_on) {
        *place = loader->here;
        setting_clear(loader->config, section, setting);
    }
    assign_line(loader, section, setting, value, goes_on);
    return 1;
}

/* The text without white space around it. */
static struct bytes trimmed(struct bytes text) {
    struct bytes gone;
    while (text.len > 0 && isspace(text.data[0]) != 0 && bytes_take(&text, 1, &gone) == STATUS_OK) {
    }
    while (text.len > 0 && isspace(text.data[text.len - 1]) != 0) {
        text.len--;
    }
    return text;
}

static void check_heading(struct loader *loader, struct bytes line) {
    char name[64];
    const uint8_t *end = memchr(line.data, ']', line.len);
    size_t len = end == NULL ? 0 : (size_t)(end - line.data) - 1;
    if (end == NULL || len >= sizeof name) {
        report_mistake(loader->report, loader->here, "this is not a section such as [gateway]");
        return;
    }
    memcpy(name, line.data + 1, len);
    name[len] = '\0';
    struct bytes behind = trimmed(bytes_of(end + 1, line.len - len - 2));
    if (section_find(name) == NULL) {
        report_mistake(loader->report, loader->here, "[%s]: there is no such section", name);
    } else if (behind.len > 0 && behind.data[0] != ';' && behind.data[0] != '#') {
        report_mistake(loader->report, loader->here, "[%s]: something stands behind the section",
                       name);
    }
}

/* What inih made nothing of, it skips or tells of once: each line is looked at here. */
static void check_line(struct loader *loader) {
    struct bytes line = trimmed(loader->line);
    if (loader->understood || line.len == 0 || line.data[0] == ';' || line.data[0] == '#') {
        return;
    }
    if (line.data[0] == '[') {
        check_heading(loader, line);
    } else {
        report_mistake(loader->report, loader->here, "this is not \"key = value\"");
    }
}

/* inih: the next line into text[0..size), as fgets. One that does not fit is a mistake. */
static char *give_line(char *text, int size, void *context) {
    struct loader *loader = context;
    struct bytes ignored;
    check_line(loader);
    loader->understood = false;
    loader->line = (struct bytes){NULL, 0};
    if (loader->rest.len == 0 || size < 2) {
        return NULL;
    }
    const uint8_t *end = memchr(loader->rest.data, '\n', loader->rest.len);
    size_t len = end == NULL ? loader->rest.len : (size_t)(end - loader->rest.data);
    loader->here.line++;
    struct bytes line;
    if (bytes_take(&loader->rest, len, &line) != STATUS_OK ||
        (end != NULL && bytes_take(&loader->rest, 1, &ignored) != STATUS_OK)) {
        return NULL;
    }
    text[0] = '\0';
    if (line.len > 0 && memchr(line.data, '\0', line.len) != NULL) {
        report_mistake(loader->report, loader->here, "holds a zero byte");
    } else if (line.len > (size_t)size - 3) {
        report_mistake(loader->report, loader->here, "is longer than %d bytes", size - 3);
    } else {
        loader->line = line;
        if (line.len > 0) {
            memcpy(text, line.data, line.len);
        }
        text[line.len] = '\0';
    }
    return text;
}

static void read_file_text(struct loader *loader, struct bytes text) {
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf}; /* UTF-8 says that it is UTF-8 */
    struct bytes front = text, ignored;
    if (bytes_take(&front, sizeof mark, &ignored) == STATUS_OK &&
        bytes_equal(ignored, bytes_of(mark, sizeof mark))) {
        text = front;
    }
    loader->rest = text;
    if (ini_parse_stream(give_line, loader, take_pair, loader) == -2) {
        loader->report->no_memory = true;
    }
    check_line(loader);
    loader->line = (struct bytes){NULL, 0};
}

/* Whether NAME of the environment (without our prefix) says `section`_`key`. */
static bool names_setting(const char *name, size_t len, const char *section, const char *key) {
    size_t section_len = strlen(section);
    if (len != section_len + 1 + strlen(key)) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        char c = i < section_len ? section[i] : i == section_len ? '_' : key[i - section_len - 1];
        if (name[i] != (char)toupper((unsigned char)c)) {
            return false;
        }
    }
    return true;
}

/* What Kubernetes sets in each container for each service: X_SERVICE_HOST, X_PORT_8443_TCP, ... */
static bool from_kubernetes(const char *name) {
    const char *port = strstr(name, "_PORT");
    return strstr(name, "_SERVICE_HOST") != NULL || strstr(name, "SERVICE_HOST") == name ||
           strncmp(name, "SERVICE_PORT", 12) == 0 || strstr(name, "_SERVICE_PORT") != NULL ||
           strncmp(name, "PORT", 4) == 0 ||
           (port != NULL &&
            (port[5] == '\0' || (port[5] == '_' && isdigit((unsigned char)port[6]))));
}

static void apply_variable(struct loader *loader, const char *variable, const char *name,
                           size_t name_len, const char *value) {
    loader->here = (struct place){.variable = variable};
    for (size_t i = 0; i < NUM_SECTIONS; i++) {
        const struct section *section = &config_sections[i];
        for (size_t j = 0; j < section->num; j++) {
            const struct setting *setting = setting_find(section, section->setting[j].key);
            if (setting != NULL && names_setting(name, name_len, section->name, setting->key)) {
                *report_place(loader->report, section, setting) = loader->here;
                setting_clear(loader->config, section, setting);
                assign(loader, section, setting, value);
                return;
            }
        }
    }
    report_mistake(loader->report, loader->here, "names no setting");
}

static void apply_environment(struct loader *loader, char *const *environment) {
    static const char prefix[] = "GATEHOUSE_";
    for (; environment != NULL && *environment != NULL; environment++) {
        const char *equals = strchr(*environment, '=');
        if (equals == NULL || strncmp(*environment, prefix, sizeof prefix - 1) != 0) {
            continue;
        }
        const char *variable =
            arena_text_n(&loader->config->arena, *environment, (size_t)(equals - *environment));
        if (variable == NULL) {
            loader->report->no_memory = true;
            return;
        }
        const char *name = variable + sizeof prefix - 1;
        if (!from_kubernetes(name)) {
            apply_variable(loader, variable, name, strlen(name), equals + 1);
        }
    }
}

enum status config_parse(struct config **out, const char *path, struct bytes text,
                         char *const *environment, struct writer *all, struct detail *detail) {
    struct config *config = calloc(1, sizeof *config);
    if (config == NULL) {
        return status_fail(detail, STATUS_MEMORY, "no memory for the configuration");
    }
    arena_init(&config->arena, CONFIG_ARENA);
    settings_default(config);
    const char *slash = strrchr(path, '/');
    const char *folder =
        arena_text_n(&config->arena, path, slash == NULL ? 0 : (size_t)(slash - path) + 1);
    struct report report = {.file = path, .all = all, .first = detail};
    struct loader loader = {.config = config, .report = &report, .folder = folder};
    if (folder != NULL) {
        read_file_text(&loader, text);
        apply_environment(&loader, environment);
        if (config->issuer == NULL && config->trust_domain != NULL) {
            config->issuer = arena_printf(&config->arena, "https://%s", config->trust_domain);
        }
        config_check(config, &report);
    }
    if (report.no_memory || config->arena.overflow) {
        config_free(config);
        return status_fail(detail, STATUS_MEMORY, "no memory for the configuration");
    }
    if (report.num > 0) {
        config_free(config);
        return STATUS_MALFORMED;
    }
    *out = config;
    return STATUS_OK;
}

enum status config_load(struct config **out, const char *path, char *const *environment,
                        struct writer *all, struct detail *detail) {
    uint8_t *text = NULL;
    size_t len = 0;
    struct detail cause = {0};
    enum status status = file_read(&text, &len, path, CONFIG_FILE_MAX, &cause);
    if (status != STATUS_OK) {
        append(all, cause.text);
        append(all, "\n");
        return status_fail(detail, status, "%s", cause.text);
    }
    status = config_parse(out, path, bytes_of(text, len), environment, all, detail);
    free(text);
    return status;
}

void config_free(struct config *config) {
    if (config != NULL) {
        arena_free(&config->arena);
        free(config);
    }
}
