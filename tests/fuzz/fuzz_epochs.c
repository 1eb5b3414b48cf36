/* The list of the access authority's epochs, and a PKCS#11 URI: what is taken is within its rules, and
 * is read as the same again once it is written. */
#include "server/credential/epochs.h"
#include "server/crypto/pkcs11_uri.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hold(bool claim) {
    if (!claim) {
        abort();
    }
}

static void check_uri(const char *text) {
    struct pkcs11_uri uri;
    if (pkcs11_uri_parse(&uri, text, NULL) == STATUS_OK) {
        hold(uri.token[0] != '\0' || uri.serial[0] != '\0');
        hold(uri.object[0] != '\0' || uri.id_len > 0);
        hold(uri.module[0] == '/' && strlen(uri.module) < sizeof uri.module);
        hold(uri.pin_file[0] == '\0' || uri.pin_file[0] == '/');
        hold(uri.id_len <= sizeof uri.id);
    }
}

static void check_again(const struct epochs *epochs, struct arena *arena) {
    static char text[EPOCHS_FILE_MAX * 2];
    struct writer w = writer_of(text, sizeof text);
    struct epochs again;
    if (epochs_write(&w, epochs, "ca/", NULL) != STATUS_OK) {
        return; /* a name that only stands for itself without the folder */
    }
    hold(epochs_parse(&again, arena, writer_bytes(&w), "ca/", NULL) == STATUS_OK);
    hold(again.num == epochs->num);
    for (size_t i = 0; i < again.num; i++) {
        hold(strcmp(again.epoch[i].key, epochs->epoch[i].key) == 0);
        hold(strcmp(again.epoch[i].certificate, epochs->epoch[i].certificate) == 0);
        hold(again.epoch[i].signs == epochs->epoch[i].signs);
        hold(again.epoch[i].retires == epochs->epoch[i].retires);
        check_uri(again.epoch[i].key);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena;
    struct epochs epochs;
    arena_init(&arena, 1 << 20);
    char *text = arena_text_n(&arena, (const char *)data, size);
    if (text != NULL) {
        check_uri(text);
    }
    if (epochs_parse(&epochs, &arena, bytes_of(data, size), "ca/", NULL) == STATUS_OK) {
        hold(epochs.num >= 1 && epochs.num <= EPOCHS_MAX);
        size_t signing = 0;
        int64_t newest = epochs.epoch[epochs.num - 1].signs;
        for (size_t i = 0; i < epochs.num; i++) {
            signing += epochs_state(&epochs, i, newest) == EPOCH_SIGNING;
        }
        hold(signing == 1);
        check_again(&epochs, &arena);
    }
    arena_free(&arena);
    return 0;
}
