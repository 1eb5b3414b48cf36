/* The operating system's loader and start. */
#include "server/evidence/tpm2/os.h"

static enum status derive_command_lines(struct derivation *d) {
    struct fact_os *os = &d->facts->os;
    os->command_line =
        derive_array(d, 1u << GRUB_TEXT_PCR | 1u << STUB_TEXT_PCR, 0, sizeof *os->command_line);
    if (os->command_line == NULL) {
        return STATUS_MEMORY;
    }
    for (size_t i = 0; i < d->facts->num_events; i++) {
        const struct fact_event *event = &d->facts->event[i];
        if ((event_extends(event, GRUB_TEXT_PCR) || event_extends(event, STUB_TEXT_PCR)) &&
            separator_of(d, event) != SEPARATOR_PLAIN && take_loader_text(d, event) != STATUS_OK) {
            return STATUS_MEMORY;
        }
    }
    drop_repeated_lines(d);
    return STATUS_OK;
}

enum status derive_os(struct derivation *d) {
    static enum status (*const step[])(struct derivation *) = {derive_command_lines, derive_files,
                                                               derive_sbat};
    for (size_t i = 0; i < sizeof step / sizeof *step; i++) {
        enum status status = step[i](d);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}
