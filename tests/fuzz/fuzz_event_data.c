/* What the data of events say: every reader stays in its input, takes at least a byte a step, and gives back no more
 * than it was given. Windows' events are walked to their depth. */
#include "server/crypto/x509.h"
#include "server/evidence/tpm2/firmware_data.h"
#include "server/evidence/tpm2/wbcl.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

static void hold(bool claim) {
    if (!claim) {
        abort();
    }
}

static void touch(struct bytes in) {
    for (size_t i = 0; i < in.len; i++) {
        sink = (uint8_t)(sink ^ in.data[i]);
    }
}

static void walk_windows(struct bytes data, unsigned depth) {
    struct wbcl_event event;
    size_t before = data.len;
    enum status status;
    while ((status = wbcl_next(&data, &event)) == STATUS_OK) {
        uint64_t number = 0;
        hold(before - data.len == 8 + event.data.len);
        before = data.len;
        touch(event.data);
        hold(!wbcl_number(event.data, &number) || event.data.len <= 8);
        hold(wbcl_kind(event.id) == WBCL_BYTES || wbcl_name(event.id) != NULL);
        if (wbcl_kind(event.id) == WBCL_CONTAINER && depth < WBCL_MAX_DEPTH) {
            walk_windows(event.data, depth + 1);
        }
    }
    hold((status == STATUS_END) == (data.len == 0));
}

static void read_handoff(struct bytes data) {
    struct efi_handoff handoff;
    struct bytes guid;
    uint64_t address, num = 0;
    for (unsigned second = 0; second < 2; second++) {
        if ((second ? efi_handoff2_parse(&handoff, data) : efi_handoff_parse(&handoff, data)) !=
            STATUS_OK) {
            continue;
        }
        uint64_t expected = handoff.num;
        hold(handoff.tables.len + handoff.description.len <= data.len);
        for (num = 0; efi_handoff_next(&handoff, &guid, &address) == STATUS_OK; num++) {
            touch(guid);
        }
        hold(num == expected);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes in = bytes_of(data, size), text;
    struct efi_load_option option;
    struct tcg_manifest manifest;
    char subject[X509_NAME_TEXT];
    walk_windows(in, 0);
    read_handoff(in);
    if (efi_load_option_parse(&option, in) == STATUS_OK) {
        hold(option.description.len % 2 == 0 && option.description.len >= 2);
        hold(6 + option.description.len + option.device_path.len + option.optional.len == size);
        touch(option.optional);
    }
    if (tcg_manifest_parse(&manifest, in) == STATUS_OK) {
        hold(manifest.guid.len == EFI_GUID_LEN);
        touch(manifest.platform_maker);
        touch(manifest.platform_model);
    }
    if (tcg_no_action_signature(in, &text)) {
        hold(text.len > 0 && text.len <= 16);
    }
    if (certificate_subject(subject, in)) {
        hold(memchr(subject, 0, sizeof subject) != NULL);
    }
    return 0;
}
