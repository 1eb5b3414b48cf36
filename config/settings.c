#include "config/settings.h"

#include "config/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define KIB    ((int64_t)1024)
#define MIB    (1024 * KIB)
#define SECOND ((int64_t)1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

enum {
    ON_UNIX = 1U << PLANE_PROXY | 1U << PLANE_PUBLIC,
    ON_MUTUAL = 1U << PLANE_DEVICE | 1U << PLANE_PROXY | 1U << PLANE_ADMIN,
    ON_TLS = ON_MUTUAL | 1U << PLANE_ENROL,
    ON_ALL = ON_TLS | 1U << PLANE_PUBLIC,
    ON_ADMIN = 1U << PLANE_ADMIN,
    ON_PUBLIC = 1U << PLANE_PUBLIC,
    ON_PROXY = 1U << PLANE_PROXY
};

#define FIELD(f)       offsetof(struct config, f)
#define PLANE_FIELD(f) offsetof(struct config_listener, f)

static const struct setting gateway[] = {
    {"trust_domain", SETTING_TRUST_DOMAIN, FIELD(trust_domain), 0, 0, 0},
    {"workers", SETTING_COUNT, FIELD(workers), 0, 256, 0},
    {"tls12", SETTING_YES_NO, FIELD(tls12), 0, 0, 0},
    {"drain", SETTING_MS, FIELD(drain_ms), 0, 10 * MINUTE, 0},
};
static const struct setting logging[] = {
    {"level", SETTING_LEVEL, FIELD(log_level), 0, 0, 0},
    {"form", SETTING_FORM, FIELD(log_form), 0, 0, 0},
    {"file", SETTING_FILE, FIELD(log_file), 0, 0, 0},
};
static const struct setting store[] = {
    {"path", SETTING_FILE, FIELD(store_path), 0, 0, 0},
};
static const struct setting signer[] = {
    {"identity_key", SETTING_FILE, FIELD(identity_key), 0, 0, 0},
    {"identity_certificate", SETTING_FILE, FIELD(identity_certificate), 0, 0, 0},
    {"access_key", SETTING_KEY, FIELD(access_key), 0, 0, 0},
    {"access_certificate", SETTING_FILE, FIELD(access_certificate), 0, 0, 0},
    {"access_authorities", SETTING_FILE, FIELD(access_authorities), 0, 0, 0},
    {"identity_lifetime", SETTING_LIFETIME, FIELD(identity_lifetime_s), HOUR, 400 * DAY, 0},
    {"results_keys", SETTING_FILES, FIELD(results_keys), 0, 0, 0},
    {"events_keys", SETTING_FILES, FIELD(events_keys), 0, 0, 0},
    {"issuer", SETTING_URL, FIELD(issuer), 0, 0, 0},
};
static const struct setting enrolment[] = {
    {"ek_trust", SETTING_EK_TRUST, FIELD(ek_trust), 0, 0, 0},
    {"pending_max", SETTING_COUNT, FIELD(enrolment_pending_max), 1, 1000000, 0},
    {"pending_per_ip", SETTING_COUNT, FIELD(enrolment_pending_per_ip), 1, 1000000, 0},
    {"per_ip_per_minute", SETTING_COUNT, FIELD(enrolment_per_ip_per_minute), 1, 1000000, 0},
    {"expiry", SETTING_SECONDS, FIELD(enrolment_expiry_s), 10 * SECOND, DAY, 0},
    {"approval_expiry", SETTING_SECONDS, FIELD(enrolment_approval_expiry_s), MINUTE, 90 * DAY, 0},
};
static const struct setting appraisal[] = {
    {"leaked_keys", SETTING_FILE, FIELD(leaked_keys), 0, 0, 0},
};
static const struct setting signals[] = {
    {"url", SETTING_URL, FIELD(signals_url), 0, 0, 0},
    {"http", SETTING_YES_NO, FIELD(signals_http), 0, 0, 0},
    {"allow_receivers", SETTING_NETWORKS, FIELD(signals_networks), 0, 0, 0},
    {"ca", SETTING_FILE, FIELD(signals_ca), 0, 0, 0},
    {"timeout", SETTING_MS, FIELD(signals_timeout_ms), 100, 2 * MINUTE, 0},
    {"pause_after", SETTING_SECONDS, FIELD(signals_pause_after_s), SECOND, 30 * DAY, 0},
};
static const struct setting challenges[] = {
    {"expiry", SETTING_SECONDS, FIELD(challenge_expiry_s), 5 * SECOND, HOUR, 0},
    {"max", SETTING_COUNT, FIELD(challenge_max), 1, 100000000, 0},
};
static const struct setting crl[] = {
    {"lifetime", SETTING_SECONDS, FIELD(crl_lifetime_s), MINUTE, DAY, 0},
    {"max_age", SETTING_SECONDS, FIELD(crl_max_age_s), 0, DAY, 0},
};
static const struct setting ocsp[] = {
    {"lifetime", SETTING_SECONDS, FIELD(ocsp_lifetime_s), MINUTE, DAY, 0},
};
static const struct setting plane[] = {
    {"listen", SETTING_LISTEN, PLANE_FIELD(listen), 0, 0, ON_ALL},
    {"unix_mode", SETTING_MODE, PLANE_FIELD(unix_mode), 0, 0, ON_UNIX},
    {"unix_dialect", SETTING_DIALECT, PLANE_FIELD(unix_dialect), 0, 0, ON_PROXY},
    {"unix_policies", SETTING_POLICIES, PLANE_FIELD(unix_policy), 0, 0, ON_PROXY},
    {"certificate", SETTING_FILE, PLANE_FIELD(certificate), 0, 0, ON_TLS},
    {"key", SETTING_FILE, PLANE_FIELD(key), 0, 0, ON_TLS},
    {"anchors", SETTING_FILE, PLANE_FIELD(anchors), 0, 0, ON_MUTUAL},
    {"body_max", SETTING_SIZE, PLANE_FIELD(body_max), KIB, 64 * MIB, ON_ALL},
    {"header_max", SETTING_SIZE, PLANE_FIELD(header_max), 4 * KIB, MIB, ON_ALL},
    {"connections", SETTING_COUNT, PLANE_FIELD(connections), 1, 1000000, ON_ALL},
    {"connections_per_ip", SETTING_COUNT, PLANE_FIELD(connections_per_ip), 0, 1000000, ON_ALL},
    {"handshake_timeout", SETTING_MS, PLANE_FIELD(handshake_ms), 100, 5 * MINUTE, ON_TLS},
    {"header_timeout", SETTING_MS, PLANE_FIELD(header_ms), 100, 5 * MINUTE, ON_ALL},
    {"body_timeout", SETTING_MS, PLANE_FIELD(body_ms), 100, 30 * MINUTE, ON_ALL},
    {"idle_timeout", SETTING_MS, PLANE_FIELD(idle_ms), 100, DAY, ON_ALL},
    {"two_person", SETTING_TWO_PERSON, PLANE_FIELD(two_person), 0, 0, ON_ADMIN},
    {"url", SETTING_URL, PLANE_FIELD(url), 0, 0, ON_PUBLIC},
};

#define NUM(table) (sizeof(table) / sizeof(table)[0])

_Static_assert(NUM(plane) <= MAX_SETTINGS, "MAX_SETTINGS holds the longest section");

const struct section config_sections[NUM_SECTIONS] = {
    {"gateway", gateway, NUM(gateway), -1},
    {"log", logging, NUM(logging), -1},
    {"store", store, NUM(store), -1},
    {"signer", signer, NUM(signer), -1},
    {"enrolment", enrolment, NUM(enrolment), -1},
    {"appraisal", appraisal, NUM(appraisal), -1},
    {"signals", signals, NUM(signals), -1},
    {"challenges", challenges, NUM(challenges), -1},
    {"crl", crl, NUM(crl), -1},
    {"ocsp", ocsp, NUM(ocsp), -1},
    {"enrol", plane, NUM(plane), PLANE_ENROL},
    {"device", plane, NUM(plane), PLANE_DEVICE},
    {"proxy", plane, NUM(plane), PLANE_PROXY},
    {"admin", plane, NUM(plane), PLANE_ADMIN},
    {"public", plane, NUM(plane), PLANE_PUBLIC},
};

const struct section *section_find(const char *name) {
    for (size_t i = 0; i < NUM_SECTIONS; i++) {
        if (strcmp(config_sections[i].name, name) == 0) {
            return &config_sections[i];
        }
    }
    return NULL;
}

const struct setting *setting_find(const struct section *section, const char *key) {
    for (size_t i = 0; i < section->num; i++) {
        const struct setting *setting = &section->setting[i];
        bool here = section->plane < 0 || (setting->planes >> section->plane & 1U) != 0;
        if (here && strcmp(setting->key, key) == 0) {
            return setting;
        }
    }
    return NULL;
}

void settings_default(struct config *config) {
    static const struct config_listener usual = {.unix_mode = 0660,
                                                 .body_max = 256 * KIB,
                                                 .header_max = 16 * KIB,
                                                 .handshake_ms = 10 * SECOND,
                                                 .header_ms = 10 * SECOND,
                                                 .body_ms = 30 * SECOND,
                                                 .idle_ms = MINUTE};
    static const struct {
        unsigned connections, per_ip;
    } caps[NUM_PLANES] = {[PLANE_ENROL] = {1024, 16},
                          [PLANE_DEVICE] = {16384, 256},
                          [PLANE_PROXY] = {4096, 1024},
                          [PLANE_ADMIN] = {256, 64},
                          [PLANE_PUBLIC] = {1024, 64}};
    config->drain_ms = 10 * SECOND;
    config->log_level = LOG_INFO;
    config->log_form = LOG_JSON;
    config->identity_lifetime_s = 365 * DAY / SECOND;
    config->enrolment_pending_max = 10000;
    config->enrolment_pending_per_ip = 8;
    config->enrolment_per_ip_per_minute = 30;
    config->enrolment_expiry_s = 600;
    config->enrolment_approval_expiry_s = 7 * 86400;
    config->signals_timeout_ms = 10 * SECOND;
    config->signals_pause_after_s = 86400;
    config->challenge_expiry_s = 300;
    config->challenge_max = 1000000;
    config->crl_lifetime_s = 3600;
    config->crl_max_age_s = 60;
    config->ocsp_lifetime_s = 600;
    for (int i = 0; i < NUM_PLANES; i++) {
        config->plane[i] = usual;
        config->plane[i].connections = caps[i].connections;
        config->plane[i].connections_per_ip = caps[i].per_ip;
    }
    config->plane[PLANE_ADMIN].two_person = TWO_PERSON_BASELINE_APPROVAL;
    config->plane[PLANE_DEVICE].body_max = 4 * MIB;
    config->plane[PLANE_ADMIN].body_max = 4 * MIB; /* baselines that list files */
    config->plane[PLANE_PROXY].header_max = 96 * KIB;
    config->plane[PLANE_PROXY].idle_ms = 5 * MINUTE;
}

/* Where the setting's value goes. */
static void *target_of(struct config *config, const struct section *section,
                       const struct setting *setting) {
    uint8_t *base =
        section->plane < 0 ? (uint8_t *)config : (uint8_t *)&config->plane[section->plane];
    return base + setting->offset;
}

static enum status file_name(struct config *config, const char **out, const char *text,
                             const char *folder) {
    const char *path = NULL;
    if (text[0] != '\0') {
        path = arena_printf(&config->arena, "%s%s", text[0] == '/' ? "" : folder, text);
        if (path == NULL) {
            return STATUS_MEMORY;
        }
    }
    *out = path;
    return STATUS_OK;
}

static enum status add_listen(struct config *config, const struct section *section,
                              const char *text, const char *folder, struct detail *detail) {
    struct config_listener *listener = &config->plane[section->plane];
    size_t num = 0;
    while (num < CONFIG_MAX_LISTEN && listener->listen[num] != NULL) {
        num++;
    }
    if (num == CONFIG_MAX_LISTEN) {
        return status_fail(detail, STATUS_MALFORMED, "more than %d addresses", CONFIG_MAX_LISTEN);
    }
    struct address address;
    enum status status = value_address(&address, text, detail);
    if (status != STATUS_OK) {
        return status;
    }
    const char *full = arena_text(&config->arena, text);
    if (address.family == ADDRESS_UNIX) {
        if ((ON_UNIX >> section->plane & 1U) == 0) {
            return status_fail(detail, STATUS_MALFORMED,
                               "a Unix socket cannot tell who is at the other end: only proxy and "
                               "public have one");
        }
        full = arena_printf(&config->arena, "unix:%s%s", address.path[0] == '/' ? "" : folder,
                            address.path);
        status = full == NULL ? STATUS_MEMORY : value_address(&address, full, detail);
    }
    if (full == NULL || status != STATUS_OK) {
        return full == NULL ? STATUS_MEMORY : status;
    }
    listener->listen[num] = full;
    listener->enabled = true;
    return STATUS_OK;
}

static enum status add_ek_trust(struct config *config, const char *text, const char *folder,
                                struct detail *detail) {
    if (config->num_ek_trust == CONFIG_MAX_EK_TRUST) {
        return status_fail(detail, STATUS_MALFORMED, "more than %d files", CONFIG_MAX_EK_TRUST);
    }
    enum status status = file_name(config, &config->ek_trust[config->num_ek_trust], text, folder);
    if (status == STATUS_OK) {
        config->num_ek_trust++;
    }
    return status;
}

static enum status add_file(struct config *config, struct config_files *files, const char *text,
                            const char *folder, struct detail *detail) {
    if (files->num == CONFIG_MAX_FILES) {
        return status_fail(detail, STATUS_MALFORMED, "more than %d files", CONFIG_MAX_FILES);
    }
    enum status status = file_name(config, &files->file[files->num], text, folder);
    files->num += status == STATUS_OK ? 1 : 0;
    return status;
}

static enum status add_network(struct config *config, const char *text, struct detail *detail) {
    if (config->num_signals_networks == CONFIG_MAX_NETWORKS) {
        return status_fail(detail, STATUS_MALFORMED, "more than %d networks", CONFIG_MAX_NETWORKS);
    }
    enum status status =
        value_network(&config->signals_networks[config->num_signals_networks], text, detail);
    config->num_signals_networks += status == STATUS_OK ? 1 : 0;
    return status;
}

static const char *const two_person_names[] = {"baseline_approval", "bulk_revoke", "trust_bundle",
                                               "audit_prune", NULL};

const char *config_two_person_name(enum two_person rule) {
    size_t i = 0;
    while (two_person_names[i + 1] != NULL && (unsigned)rule != 1U << i) {
        i++;
    }
    return two_person_names[i];
}

static enum status add_two_person(struct config *config, const struct section *section,
                                  const char *text, struct detail *detail) {
    int64_t at = 0;
    enum status status = value_word(&at, text, two_person_names, detail);
    if (status == STATUS_OK) {
        config->plane[section->plane].two_person |= 1U << (unsigned)at;
    }
    return status;
}

static enum status add_policy(struct config *config, const struct section *section,
                              const char *text, struct detail *detail) {
    struct config_listener *listener = &config->plane[section->plane];
    enum status status = value_name(text, CONFIG_NAME - 1, detail);
    if (status != STATUS_OK) {
        return status;
    }
    for (size_t i = 0; i < listener->num_unix_policies; i++) {
        if (strcmp(listener->unix_policy[i], text) == 0) {
            return status_fail(detail, STATUS_MALFORMED, "%s stands twice", text);
        }
    }
    if (listener->num_unix_policies == CONFIG_MAX_UNIX_POLICIES) {
        return status_fail(detail, STATUS_MALFORMED, "more than %d policies",
                           CONFIG_MAX_UNIX_POLICIES);
    }
    memcpy(listener->unix_policy[listener->num_unix_policies++], text, strlen(text) + 1);
    return STATUS_OK;
}

static enum status add_element(struct config *config, const struct section *section,
                               const struct setting *setting, const char *element,
                               const char *folder, struct detail *detail) {
    switch (setting->kind) {
    case SETTING_LISTEN:
        return add_listen(config, section, element, folder, detail);
    case SETTING_TWO_PERSON:
        return add_two_person(config, section, element, detail);
    case SETTING_POLICIES:
        return add_policy(config, section, element, detail);
    case SETTING_FILES:
        return add_file(config, target_of(config, section, setting), element, folder, detail);
    case SETTING_NETWORKS:
        return add_network(config, element, detail);
    default:
        return add_ek_trust(config, element, folder, detail);
    }
}

/* Each element of "a, b, c"; a comma may end the text, so that a list may go on in the next line. */
static enum status add_elements(struct config *config, const struct section *section,
                                const struct setting *setting, const char *text, const char *folder,
                                struct detail *detail) {
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        const char *next = text[len] == ',' ? text + len + 1 : text + len;
        size_t blank = strspn(text, " \t");
        text += blank < len ? blank : len;
        len -= blank < len ? blank : len;
        while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t')) {
            len--;
        }
        const char *element = arena_text_n(&config->arena, text, len);
        if (element == NULL) {
            return STATUS_MEMORY;
        }
        if (len == 0) {
            return status_fail(detail, STATUS_MALFORMED, "nothing stands before a comma");
        }
        enum status status = add_element(config, section, setting, element, folder, detail);
        if (status != STATUS_OK) {
            return status;
        }
        text = next + strspn(next, " \t");
    }
    return STATUS_OK;
}

bool setting_is_list(const struct setting *setting) {
    return setting->kind == SETTING_LISTEN || setting->kind == SETTING_EK_TRUST ||
           setting->kind == SETTING_NETWORKS || setting->kind == SETTING_FILES ||
           setting->kind == SETTING_TWO_PERSON || setting->kind == SETTING_POLICIES;
}

void setting_clear(struct config *config, const struct section *section,
                   const struct setting *setting) {
    if (setting->kind == SETTING_EK_TRUST) {
        config->num_ek_trust = 0;
    } else if (setting->kind == SETTING_FILES) {
        struct config_files *files = target_of(config, section, setting);
        files->num = 0;
    } else if (setting->kind == SETTING_NETWORKS) {
        config->num_signals_networks = 0;
    } else if (setting->kind == SETTING_LISTEN) {
        memset(config->plane[section->plane].listen, 0, sizeof config->plane[0].listen);
        config->plane[section->plane].enabled = false;
    } else if (setting->kind == SETTING_TWO_PERSON) {
        config->plane[section->plane].two_person = 0;
    } else if (setting->kind == SETTING_POLICIES) {
        config->plane[section->plane].num_unix_policies = 0;
    }
}

/* In the largest unit that it is a whole number of. */
static void write_time(char *out, size_t size, int64_t ms) {
    static const struct {
        int64_t ms;
        const char *name;
    } units[] = {{DAY, "d"}, {HOUR, "h"}, {MINUTE, "m"}, {SECOND, "s"}};
    for (size_t i = 0; i < NUM(units); i++) {
        if (ms % units[i].ms == 0 && (ms > 0 || units[i].ms == SECOND)) {
            (void)snprintf(out, size, "%" PRId64 " %s", ms / units[i].ms, units[i].name);
            return;
        }
    }
    (void)snprintf(out, size, "%" PRId64 " ms", ms);
}

static enum status out_of_range(const struct setting *setting, int64_t value,
                                struct detail *detail) {
    bool time = setting->kind == SETTING_MS || setting->kind == SETTING_SECONDS ||
                setting->kind == SETTING_LIFETIME;
    if (time) {
        char min[32], max[32], is[32];
        write_time(min, sizeof min, setting->min);
        write_time(max, sizeof max, setting->max);
        write_time(is, sizeof is, value);
        return status_fail(detail, STATUS_MALFORMED, "must be %s to %s, not %s", min, max, is);
    }
    return status_fail(detail, STATUS_MALFORMED,
                       "must be %" PRId64 " to %" PRId64 "%s, not %" PRId64, setting->min,
                       setting->max, setting->kind == SETTING_SIZE ? " bytes" : "", value);
}

static enum status read_number(int64_t *out, const struct setting *setting, const char *text,
                               struct detail *detail) {
    static const char *const levels[] = {"debug", "info", "warning", "error", NULL};
    static const char *const forms[] = {"json", "text", NULL};
    int64_t value = 0;
    enum status status;
    switch (setting->kind) {
    case SETTING_COUNT:
        status = value_count(&value, text, detail);
        break;
    case SETTING_SIZE:
        status = value_size(&value, text, detail);
        break;
    case SETTING_MS:
    case SETTING_SECONDS:
    case SETTING_LIFETIME:
        status = value_duration(&value, text, detail);
        break;
    case SETTING_MODE:
        return value_mode(out, text, detail);
    case SETTING_YES_NO:
        return value_yes_no(out, text, detail);
    case SETTING_LEVEL:
        return value_word(out, text, levels, detail);
    case SETTING_DIALECT:
        return value_word(out, text, dialect_names, detail);
    default:
        return value_word(out, text, forms, detail);
    }
    if (status == STATUS_OK && (value < setting->min || value > setting->max)) {
        return out_of_range(setting, value, detail);
    }
    if (status == STATUS_OK &&
        (setting->kind == SETTING_SECONDS || setting->kind == SETTING_LIFETIME)) {
        if (value % 1000 != 0) {
            return status_fail(detail, STATUS_MALFORMED, "must be whole seconds");
        }
        value /= 1000;
    }
    if (status == STATUS_OK) {
        *out = value;
    }
    return status;
}

static enum status assign_number(void *target, const struct setting *setting, const char *text,
                                 struct detail *detail) {
    int64_t value;
    enum status status = read_number(&value, setting, text, detail);
    if (status != STATUS_OK) {
        return status;
    }
    switch (setting->kind) {
    case SETTING_SIZE:
        *(size_t *)target = (size_t)value;
        break;
    case SETTING_LIFETIME:
        *(int64_t *)target = value;
        break;
    case SETTING_YES_NO:
        *(bool *)target = value != 0;
        break;
    case SETTING_LEVEL:
        *(enum log_level *)target = (enum log_level)value;
        break;
    case SETTING_FORM:
        *(enum log_form *)target = (enum log_form)value;
        break;
    case SETTING_DIALECT:
        *(enum dialect *)target = (enum dialect)value;
        break;
    default:
        *(unsigned *)target = (unsigned)value;
        break;
    }
    return STATUS_OK;
}

static enum status url(struct config *config, const char **out, const char *text,
                       struct detail *detail) {
    const char *copy = NULL;
    if (text[0] != '\0') {
        enum status status = value_url(text, detail);
        copy = arena_text(&config->arena, text);
        if (status != STATUS_OK || copy == NULL) {
            return status != STATUS_OK ? status : STATUS_MEMORY;
        }
    }
    *out = copy;
    return STATUS_OK;
}

enum status setting_assign(struct config *config, const struct section *section,
                           const struct setting *setting, const char *text, const char *folder,
                           struct detail *detail) {
    void *target = target_of(config, section, setting);
    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f) {
            return status_fail(detail, STATUS_MALFORMED, "holds a control character");
        }
    }
    switch (setting->kind) {
    case SETTING_LISTEN:
    case SETTING_EK_TRUST:
    case SETTING_FILES:
    case SETTING_NETWORKS:
    case SETTING_TWO_PERSON:
    case SETTING_POLICIES:
        return add_elements(config, section, setting, text, folder, detail);
    case SETTING_KEY:
        return file_name(config, (const char **)target, text,
                         strncmp(text, "pkcs11:", 7) == 0 ? "" : folder);
    case SETTING_FILE:
        return file_name(config, (const char **)target, text, folder);
    case SETTING_URL:
        return url(config, target, text, detail);
    case SETTING_TRUST_DOMAIN: {
        enum status status = value_trust_domain(text, detail);
        if (status == STATUS_OK) {
            config->trust_domain = arena_text(&config->arena, text);
            status = config->trust_domain == NULL ? STATUS_MEMORY : STATUS_OK;
        }
        return status;
    }
    default:
        return assign_number(target, setting, text, detail);
    }
}
