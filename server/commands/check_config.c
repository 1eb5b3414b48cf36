#include "server/commands/commands.h"

#include "server/commands/load_config.h"
#include "server/credential/epochs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MISTAKES_MAX = 64 * 1024 };

enum status commands_load_config(struct config **out, const char *path) {
    char *text = malloc(MISTAKES_MAX + 1);
    if (text == NULL) {
        fputs("gatehouse: out of memory\n", stderr);
        return STATUS_MEMORY;
    }
    struct writer all = writer_of(text, MISTAKES_MAX);
    enum status status = config_load(out, path, environ, &all, NULL);
    text[all.len] = '\0';
    fputs(text, stderr);
    free(text);
    return status;
}

/* False, and a line on standard error, when the file cannot be read. NULL is well. */
static bool readable(const char *setting, const char *path) {
    if (path == NULL || access(path, R_OK) == 0) {
        return true;
    }
    fprintf(stderr, "%s: %s: %s\n", setting, path, strerror(errno));
    return false;
}

static bool plane_readable(const struct config *config, enum config_plane plane) {
    const struct config_listener *listener = &config->plane[plane];
    char setting[3][32];
    if (!listener->enabled) {
        return true;
    }
    (void)snprintf(setting[0], sizeof setting[0], "%s.certificate", config_plane_name(plane));
    (void)snprintf(setting[1], sizeof setting[1], "%s.key", config_plane_name(plane));
    (void)snprintf(setting[2], sizeof setting[2], "%s.anchors", config_plane_name(plane));
    bool good = readable(setting[0], listener->certificate);
    good = readable(setting[1], listener->key) && good;
    return readable(setting[2], listener->anchors) && good;
}

static bool all_readable(const struct config *config) {
    bool good = readable("signer.identity_key", config->identity_key);
    good = readable("signer.identity_certificate", config->identity_certificate) && good;
    if (!epoch_key_is_uri(config->access_key)) {
        good = readable("signer.access_key", config->access_key) && good;
    }
    good = readable("signer.access_certificate", config->access_certificate) && good;
    for (size_t i = 0; i < config->num_ek_trust; i++) {
        good = readable("enrolment.ek_trust", config->ek_trust[i]) && good;
    }
    if (config->leaked_keys != NULL) {
        good = readable("appraisal.leaked_keys", config->leaked_keys) && good;
    }
    for (int plane = 0; plane < NUM_PLANES; plane++) {
        good = plane_readable(config, (enum config_plane)plane) && good;
    }
    return good;
}

int command_check_config(int argc, char **argv) {
    struct config *config = NULL;
    if (argc != 3 || strcmp(argv[1], "--config") != 0) {
        return EXIT_USAGE;
    }
    if (commands_load_config(&config, argv[2]) != STATUS_OK) {
        return EXIT_FAILURE;
    }
    bool good = all_readable(config);
    config_free(config);
    if (good) {
        printf("%s: no mistakes\n", argv[2]);
    }
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
