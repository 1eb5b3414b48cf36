/* The configuration file: the input is the file, and after a zero byte variables of the environment,
 * one a line. What is taken is complete; what is refused says where. */
#include "config/config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hold(bool claim) {
    if (!claim) {
        abort();
    }
}

static void touch(const char *text) {
    hold(text == NULL || strlen(text) > 0);
}

static void check_taken(const struct config *config) {
    bool any = false;
    hold(config->trust_domain != NULL && config->store_path != NULL);
    hold(config->identity_key != NULL && config->identity_certificate != NULL);
    hold(config->access_key != NULL && config->access_certificate != NULL);
    hold(config->identity_lifetime_s >= 3600 && config->identity_lifetime_s <= 400 * 86400);
    hold(config->challenge_max > 0 && config->challenge_expiry_s > 0);
    hold(config->enrolment_approval_expiry_s >= 60 &&
         config->enrolment_approval_expiry_s <= 90 * 86400);
    for (size_t i = 0; i < config->num_ek_trust; i++) {
        hold(config->ek_trust[i] != NULL);
        touch(config->ek_trust[i]);
    }
    touch(config->log_file);
    for (int i = 0; i < NUM_PLANES; i++) {
        const struct config_listener *plane = &config->plane[i];
        hold(plane->enabled == (plane->listen[0] != NULL));
        for (size_t j = 0; j < CONFIG_MAX_LISTEN && plane->listen[j] != NULL; j++) {
            bool tcp = strncmp(plane->listen[j], "unix:", 5) != 0;
            hold(!tcp || i == PLANE_PUBLIC || (plane->certificate != NULL && plane->key != NULL));
            hold(!tcp || i == PLANE_PUBLIC || i == PLANE_ENROL || plane->anchors != NULL);
        }
        hold(plane->connections >= 1 && plane->connections_per_ip <= plane->connections);
        hold(plane->body_max >= 1024 && plane->header_max >= 4096 && plane->idle_ms >= 100);
        any = any || plane->enabled;
    }
    hold(any);
}

enum { MAX_VARIABLES = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *variables = NULL, *rest = NULL, *environment[MAX_VARIABLES + 1] = {NULL};
    const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
    size_t len = zero == NULL ? size : (size_t)(zero - data);
    if (zero != NULL) {
        variables = strndup((const char *)zero + 1, size - len - 1);
        hold(variables != NULL);
        char *line = strtok_r(variables, "\n", &rest);
        for (size_t i = 0; i < MAX_VARIABLES && line != NULL; i++) {
            environment[i] = line;
            line = strtok_r(NULL, "\n", &rest);
        }
    }
    char text[4096];
    struct writer all = writer_of(text, sizeof text);
    struct detail detail = {0};
    struct config *config = NULL;
    enum status status =
        config_parse(&config, "d/f.ini", bytes_of(data, len), environment, &all, &detail);
    if (status == STATUS_OK) {
        check_taken(config);
        hold(all.len == 0 && detail.text[0] == '\0');
    } else {
        hold(status == STATUS_MALFORMED && config == NULL);
        hold(all.len > 0 || all.overflow);
        hold(strncmp(detail.text, "d/f.ini:", 8) == 0 ||
             strncmp(detail.text, "GATEHOUSE_", 10) == 0);
        hold(bytes_equal(bytes_of(text, strnlen(detail.text, all.len)),
                         bytes_of(detail.text, strnlen(detail.text, all.len))));
    }
    config_free(config);
    free(variables);
    return 0;
}
