/* Images that ran: PCR 4, and drivers and option ROMs, PCR 2. */
#include "server/evidence/tpm2/derive.h"

enum { DRIVER_PCR = 2, BOOT_PCR = 4 };

/* TCG PC Client Platform Firmware Profile 1.06, 10.4.4, and its predecessors: texts that say that
 * something was started or came back, never what. "BOOT ATTEMPTS OMITTED" is none of them. */
static const char *const actions[] = {
    "Calling EFI Application from Boot Option",
    "Returning from EFI Application from Boot Option",
    "Exit Boot Services Invocation",
    "Exit Boot Services Returned with Failure",
    "Exit Boot Services Returned with Success",
    "Calling INT 19h",
    "Returned INT 19h",
    "Return via INT 18h",
    "Entering ROM Based Setup",
    "START OPTION ROM SCAN",
};

static bool is_action(const struct fact_event *event) {
    struct bytes text;
    if (event->data_vouched != VOUCHED_BOUND || !ascii_text(event->bound, &text)) {
        return false;
    }
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        if (bytes_equal(text, bytes_of_text(actions[i]))) {
            return true;
        }
    }
    return false;
}

static enum status take_image(struct derivation *d, const struct fact_event *event) {
    struct fact_image *image = &d->facts->image[d->facts->num_images++];
    struct efi_image_load load;
    image->event = event->index;
    image->kind = event->pcr == BOOT_PCR ? FACT_IMAGE_BOOT : FACT_IMAGE_DRIVER;
    image->digest = event->digest;
    if (efi_image_load_parse(&load, event->data) != STATUS_OK || load.device_path.len == 0) {
        return STATUS_OK;
    }
    enum status status = efi_path_text(d->arena, &image->path, load.device_path);
    return status == STATUS_MEMORY ? status : STATUS_OK; /* what is no path is no path */
}

enum status derive_images(struct derivation *d) {
    struct facts *facts = d->facts;
    facts->image = derive_array(d, 1u << DRIVER_PCR | 1u << BOOT_PCR, 0, sizeof *facts->image);
    if (facts->image == NULL) {
        return STATUS_MEMORY;
    }
    for (size_t i = 0; i < facts->num_events; i++) {
        const struct fact_event *event = &facts->event[i];
        if ((!event_extends(event, BOOT_PCR) && !event_extends(event, DRIVER_PCR)) ||
            separator_of(d, event) == SEPARATOR_PLAIN || is_action(event)) {
            continue;
        }
        enum status status = take_image(d, event);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}
