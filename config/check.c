#include "config/report.h"
#include "config/value.h"

#include <string.h>

/* A mistake of "section.key", which must exist. */
static void refuse(struct report *report, const char *section_name, const char *key,
                   const char *why) {
    const struct section *section = section_find(section_name);
    const struct setting *setting = setting_find(section, key);
    report_mistake(report, *report_place(report, section, setting), "%s.%s: %s", section_name, key,
                   why);
}

static void require(struct report *report, const char *section, const char *key,
                    const char *value) {
    const struct section *of = section_find(section);
    if (value == NULL && !report_place(report, of, setting_find(of, key))->wrong) {
        refuse(report, section, key, "is missing");
    }
}

static bool same(const char *a, const char *b) {
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static void check_signer(const struct config *config, struct report *report) {
    require(report, "signer", "identity_key", config->identity_key);
    require(report, "signer", "identity_certificate", config->identity_certificate);
    require(report, "signer", "access_key", config->access_key);
    require(report, "signer", "access_certificate", config->access_certificate);
    if (same(config->identity_key, config->access_key)) {
        refuse(report, "signer", "access_key", "must not be the identity authority's key");
    }
    if (same(config->identity_certificate, config->access_certificate)) {
        refuse(report, "signer", "access_certificate",
               "must not be the identity authority's certificate");
    }
}

/* One key signs one kind of thing. */
static void check_statements(const struct config *config, struct report *report) {
    const struct config_files *lists[] = {&config->results_keys, &config->events_keys};
    const char *seen[2 + 2 * CONFIG_MAX_FILES] = {config->identity_key, config->access_key};
    size_t num = 2;
    for (size_t list = 0; list < 2; list++) {
        for (size_t i = 0; i < lists[list]->num; i++) {
            const char *file = lists[list]->file[i];
            for (size_t j = 0; j < num; j++) {
                if (same(file, seen[j])) {
                    refuse(report, "signer", list == 0 ? "results_keys" : "events_keys",
                           "names a key that is in use elsewhere");
                    return;
                }
            }
            seen[num++] = file;
        }
    }
}

static void check_plane(const struct config *config, enum config_plane plane,
                        struct report *report) {
    const struct config_listener *listener = &config->plane[plane];
    const char *name = config_plane_name(plane);
    bool tcp = false;
    for (size_t i = 0; i < CONFIG_MAX_LISTEN && listener->listen[i] != NULL; i++) {
        struct address address;
        tcp = tcp || (value_address(&address, listener->listen[i], NULL) == STATUS_OK &&
                      address.family != ADDRESS_UNIX);
    }
    if (tcp && plane != PLANE_PUBLIC) {
        require(report, name, "certificate", listener->certificate);
        require(report, name, "key", listener->key);
        if (plane != PLANE_ENROL && listener->anchors == NULL) {
            refuse(report, name, "anchors",
                   "is missing: without it, nobody or anybody could connect");
        }
    }
    if (listener->connections_per_ip > listener->connections) {
        refuse(report, name, "connections_per_ip", "is more than connections");
    }
    if (plane == PLANE_PROXY && listener->header_max < (size_t)64 * 1024) {
        refuse(report, name, "header_max",
               "must be at least 64 KiB: proxies pass client certificates on in headers");
    }
}

/* Two planes on one port would share connections, and who may do what would be chance. */
static void check_addresses(const struct config *config, struct report *report) {
    struct {
        enum config_plane plane;
        struct address address;
    } seen[NUM_PLANES * CONFIG_MAX_LISTEN];
    size_t num = 0;
    for (int plane = 0; plane < NUM_PLANES; plane++) {
        const char *const *listen = config->plane[plane].listen;
        for (size_t i = 0; i < CONFIG_MAX_LISTEN && listen[i] != NULL; i++) {
            struct address address;
            if (value_address(&address, listen[i], NULL) != STATUS_OK) {
                continue;
            }
            for (size_t j = 0; j < num; j++) {
                if (address_overlaps(&seen[j].address, &address)) {
                    const struct section *section =
                        section_find(config_plane_name((enum config_plane)plane));
                    report_mistake(report,
                                   *report_place(report, section, setting_find(section, "listen")),
                                   "%s.listen: %.60s is already taken by %s.listen", section->name,
                                   listen[i], config_plane_name(seen[j].plane));
                    break;
                }
            }
            seen[num].plane = (enum config_plane)plane;
            seen[num++].address = address;
        }
    }
}

static void check_enrolment(const struct config *config, struct report *report) {
    if (config->enrolment_pending_per_ip > config->enrolment_pending_max) {
        refuse(report, "enrolment", "pending_per_ip", "is more than pending_max");
    }
}

/* Certificates would send everybody to where nobody answers. */
static void check_public(const struct config *config, struct report *report) {
    const struct config_listener *listener = &config->plane[PLANE_PUBLIC];
    if (listener->url != NULL && !listener->enabled) {
        refuse(report, "public", "url", "needs [public] listen");
    }
}

void config_check(const struct config *config, struct report *report) {
    require(report, "gateway", "trust_domain", config->trust_domain);
    require(report, "store", "path", config->store_path);
    check_signer(config, report);
    check_statements(config, report);
    check_enrolment(config, report);
    check_public(config, report);
    bool any = false;
    for (int plane = 0; plane < NUM_PLANES; plane++) {
        any = any || config->plane[plane].enabled;
        check_plane(config, (enum config_plane)plane, report);
    }
    const char *device_anchors = config->plane[PLANE_DEVICE].anchors;
    for (int plane = PLANE_PROXY; plane <= PLANE_ADMIN; plane++) {
        if (same(device_anchors, config->plane[plane].anchors)) {
            refuse(report, config_plane_name((enum config_plane)plane), "anchors",
                   "must not be the device plane's: a device would be let in here");
        }
    }
    check_addresses(config, report);
    if (!any) {
        report_mistake(report, (struct place){0}, "nothing listens: no plane has a listen address");
    }
}
