/* gatehouse ca show|rotate: the epochs of the access authority. */
#include "server/commands/ca.h"

#include "server/base/clock.h"
#include "server/commands/commands.h"
#include "server/commands/load_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_time(int64_t time) {
    char text[RFC3339_SIZE] = "-";
    if (time != 0) {
        rfc3339_format(text, time);
    }
    printf("\t%s", text);
}

static enum status print_epoch(const struct epochs *epochs, size_t i, int64_t now,
                               struct detail *detail) {
    const struct epoch *epoch = &epochs->epoch[i];
    struct ca_certificate certificate;
    enum epoch_state state = epochs_state(epochs, i, now);
    enum status status = ca_certificate_read(&certificate, epoch->certificate, detail);
    if (status != STATUS_OK && state != EPOCH_RETIRED) { /* whose files may be gone */
        return status;
    }
    printf("%s\t%s", status == STATUS_OK ? certificate.id : "-", epoch_state_name(state));
    print_time(epoch->published);
    print_time(epoch->signs);
    print_time(epoch->retires);
    printf("\t%s\t%s\n", epoch->certificate, epoch->key);
    return STATUS_OK;
}

static enum status show(const char *config_file, struct detail *detail) {
    struct config *config = NULL;
    struct ca_list list;
    int64_t now = clock_unix();
    enum status status = commands_load_config(&config, config_file);
    if (status != STATUS_OK) {
        return status;
    }
    status = ca_list_open(&list, config, false, detail);
    for (size_t i = 0; status == STATUS_OK && i < list.epochs.num; i++) {
        status = print_epoch(&list.epochs, i, now, detail);
    }
    ca_list_close(&list);
    config_free(config);
    return status;
}

static int ca_show(int argc, char **argv) {
    struct detail detail = {0};
    if (argc != 3 || strcmp(argv[1], "--config") != 0) {
        return EXIT_USAGE;
    }
    if (show(argv[2], &detail) != STATUS_OK) {
        if (detail.text[0] != '\0') {
            fprintf(stderr, "gatehouse ca: %s\n", detail.text);
        }
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

int command_ca(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "show") == 0) {
        return ca_show(argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "rotate") == 0) {
        return ca_rotate(argc - 1, argv + 1);
    }
    return EXIT_USAGE;
}
