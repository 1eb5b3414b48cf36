/* The firmware's own code and what it says of itself: PCR 0. */
#include "server/evidence/tpm2/derive.h"
#include "server/evidence/tpm2/event_types.h"

enum { FIRMWARE_PCR = 0 };

/* EV_S_CRTM_VERSION is UTF-16 with its zero, ASCII, or a GUID (10.4.1). */
static const char *version_text(struct derivation *d, struct bytes data) {
    struct bytes text;
    if (data.len > 2 && utf16_is_printable(data) && data.data[data.len - 1] == 0 &&
        data.data[data.len - 2] == 0) {
        return utf16_text(d->arena, data);
    }
    return ascii_text(data, &text) ? arena_text_n(d->arena, (const char *)text.data, text.len)
                                   : NULL;
}

static void take_version(struct derivation *d, const struct fact_event *event, bool *again) {
    struct fact_firmware *firmware = &d->facts->firmware;
    if (firmware->version_event == FACT_NO_EVENT) {
        firmware->version_event = event->index;
        firmware->version_bytes = event->bound;
    } else {
        *again = *again || !bytes_equal(firmware->version_bytes, event->bound);
    }
}

static enum status take_blob(struct derivation *d, const struct fact_event *event) {
    struct fact_blob *blob = &d->facts->firmware.blob[d->facts->firmware.num_blobs++];
    struct efi_blob region;
    struct bytes text;
    blob->event = event->index;
    blob->digest = event->digest;
    if (efi_blob_parse(&region, event->data) == STATUS_OK ||
        efi_blob2_parse(&region, event->data) == STATUS_OK) {
        blob->base = region.base;
        blob->length = region.length;
        text = region.description;
    } else {
        text = event->data;
    }
    if (ascii_text(text, &text)) {
        blob->description = arena_text_n(d->arena, (const char *)text.data, text.len);
    }
    return d->arena->overflow ? STATUS_MEMORY : STATUS_OK;
}

/* A version is what firmware measured before the separator; the system that runs later can only
 * extend PCR 0 behind it. Two versions are none. Whatever else stands in PCR 0 is a part of it. */
enum status derive_firmware(struct derivation *d) {
    struct fact_firmware *firmware = &d->facts->firmware;
    bool separated = false, again = false;
    firmware->version_event = FACT_NO_EVENT;
    firmware->blob = derive_array(d, 1u << FIRMWARE_PCR, 0, sizeof *firmware->blob);
    if (firmware->blob == NULL) {
        return STATUS_MEMORY;
    }
    for (size_t i = 0; i < d->facts->num_events; i++) {
        const struct fact_event *event = &d->facts->event[i];
        if (!event_extends(event, FIRMWARE_PCR)) {
            continue;
        }
        if (separator_of(d, event) == SEPARATOR_PLAIN) {
            separated = true;
        } else if (!separated && event->type == EV_S_CRTM_VERSION &&
                   event->data_vouched == VOUCHED_BOUND) {
            take_version(d, event, &again);
        } else if (take_blob(d, event) != STATUS_OK) {
            return STATUS_MEMORY;
        }
    }
    if (!separated || again) {
        firmware->version_bytes = bytes_of(NULL, 0);
    } else if (firmware->version_event != FACT_NO_EVENT) {
        firmware->version = version_text(d, firmware->version_bytes);
    }
    return STATUS_OK;
}
