/* SbatLevel: the revocations that shim enforced (its SBAT.md). */
#include "server/evidence/tpm2/os.h"

#include <string.h>

enum { SECURE_BOOT_PCR = 7, COMPONENTS_MAX = 256, DATE_DIGITS = 10 };

static struct bytes take_until(struct bytes *in, uint8_t end) {
    struct bytes part, skipped;
    const uint8_t *at = in->len == 0 ? NULL : memchr(in->data, end, in->len);
    size_t len = at == NULL ? in->len : (size_t)(at - in->data);
    if (bytes_take(in, len, &part) != STATUS_OK) {
        return bytes_of(NULL, 0);
    }
    (void)!bytes_take(in, in->len > 0 ? 1 : 0, &skipped);
    return part;
}

static bool read_level(uint32_t *out, struct bytes text) {
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || value > UINT32_MAX) {
            return false;
        }
        value = 10 * value + (uint64_t)(text.data[i] - '0');
    }
    *out = (uint32_t)value;
    return text.len > 0 && value <= UINT32_MAX;
}

/* The lower one of two levels of a component counts. */
static enum status add_level(struct derivation *d, struct bytes component, uint32_t level) {
    struct fact_os *os = &d->facts->os;
    for (size_t i = 0; i < os->num_sbat; i++) {
        if (bytes_equal(bytes_of_text(os->sbat[i].component), component)) {
            os->sbat[i].level = level < os->sbat[i].level ? level : os->sbat[i].level;
            return STATUS_OK;
        }
    }
    if (os->num_sbat == COMPONENTS_MAX) {
        return STATUS_OK;
    }
    const char *name = arena_text_n(d->arena, (const char *)component.data, component.len);
    os->sbat[os->num_sbat++] = (struct fact_sbat_level){name, level};
    return name == NULL ? STATUS_MEMORY : STATUS_OK;
}

static enum status read_levels(struct derivation *d, struct bytes text) {
    struct fact_os *os = &d->facts->os;
    size_t num_lines = 1;
    for (size_t i = 0; i < text.len; i++) {
        num_lines += text.data[i] == '\n' ? 1 : 0;
    }
    num_lines = num_lines > COMPONENTS_MAX ? COMPONENTS_MAX : num_lines;
    os->sbat = arena_array(d->arena, num_lines, sizeof *os->sbat);
    if (os->sbat == NULL) {
        return STATUS_MEMORY;
    }
    while (text.len > 0) {
        uint32_t level;
        struct bytes line = take_until(&text, '\n'), component = take_until(&line, ','),
                     number = take_until(&line, ','), date = take_until(&line, ',');
        if (component.len == 0 || !read_level(&level, number)) {
            continue;
        }
        if (add_level(d, component, level) != STATUS_OK) {
            return STATUS_MEMORY;
        }
        if (os->sbat_date == NULL && date.len == DATE_DIGITS &&
            bytes_equal(component, bytes_of_text("sbat"))) {
            os->sbat_date = arena_text_n(d->arena, (const char *)date.data, date.len);
        }
    }
    return STATUS_OK;
}

static bool is_shims(const struct efi_variable *variable, const char *name) {
    static const uint8_t shim[EFI_GUID_LEN] = {0x50, 0xab, 0x5d, 0x60, 0x46, 0xe0, 0x00, 0x43,
                                               0xab, 0xb6, 0x3d, 0xd8, 0x10, 0xdd, 0x8b, 0x23};
    return bytes_equal(variable->guid, bytes_of(shim, sizeof shim)) &&
           (name == NULL || utf16_is(variable->name, name));
}

/* shim measures the level before it admits anything by keys of its own. What runs later could extend
 * PCR 7 by another one: so the first counts, and only while everything before it in PCR 7 is known
 * and shim has admitted nothing. */
enum status derive_sbat(struct derivation *d) {
    bool separated = false;
    d->facts->os.sbat_event = FACT_NO_EVENT;
    for (size_t i = 0; i < d->facts->num_events; i++) {
        const struct fact_event *event = &d->facts->event[i];
        struct efi_variable variable;
        if (!event_extends(event, SECURE_BOOT_PCR)) {
            continue;
        }
        if (separator_of(d, event) != SEPARATOR_NONE) {
            separated = true;
            continue;
        }
        if (event->data_vouched != VOUCHED_BOUND) {
            return STATUS_OK;
        }
        if (!separated || efi_variable_parse(&variable, event->bound) != STATUS_OK ||
            !is_shims(&variable, NULL) || is_shims(&variable, "MokListTrusted")) {
            continue;
        }
        if (!is_shims(&variable, "SbatLevel")) {
            return STATUS_OK;
        }
        d->facts->os.sbat_event = event->index;
        return read_levels(d, variable.data);
    }
    return STATUS_OK;
}
