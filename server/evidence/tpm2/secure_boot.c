/* Secure Boot as PCR 7 tells it: its settings before the separator, what admitted images behind it.
 * TCG PC Client Platform Firmware Profile 1.06, 3.3.4.8; shim. The event types of the two have equal
 * structure, so that the order decides, and the data. */
#include "server/evidence/tpm2/derive.h"

#include <string.h>

enum { SECURE_BOOT_PCR = 7 };

static const uint8_t global_guid[EFI_GUID_LEN] = {0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11,
                                                  0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c};
static const uint8_t security_guid[EFI_GUID_LEN] = {0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45,
                                                    0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f};
static const uint8_t shim_guid[EFI_GUID_LEN] = {0x50, 0xab, 0x5d, 0x60, 0x46, 0xe0, 0x00, 0x43,
                                                0xab, 0xb6, 0x3d, 0xd8, 0x10, 0xdd, 0x8b, 0x23};

enum setting {
    SETTING_SECURE_BOOT,
    SETTING_SETUP_MODE,
    SETTING_AUDIT_MODE,
    SETTING_DEPLOYED_MODE,
    SETTING_PK,
    SETTING_KEK,
    SETTING_DB,
    SETTING_DBX,
    NUM_SETTINGS
};
static const struct {
    const uint8_t *guid;
    const char *name;
} settings[NUM_SETTINGS] = {
    [SETTING_SECURE_BOOT] = {global_guid, "SecureBoot"},
    [SETTING_SETUP_MODE] = {global_guid, "SetupMode"},
    [SETTING_AUDIT_MODE] = {global_guid, "AuditMode"},
    [SETTING_DEPLOYED_MODE] = {global_guid, "DeployedMode"},
    [SETTING_PK] = {global_guid, "PK"},
    [SETTING_KEK] = {global_guid, "KEK"},
    [SETTING_DB] = {security_guid, "db"},
    [SETTING_DBX] = {security_guid, "dbx"},
};

struct reading {
    struct derivation *d;
    struct fact_secure_boot *out;
    bool separated;
    bool seen[NUM_SETTINGS];
    struct bytes value[NUM_SETTINGS]; /* of those seen */
};

static void distrust(struct reading *r, const struct fact_event *event, const char *why) {
    if (r->out->distrusted_why == NULL) {
        r->out->distrusted_event = event == NULL ? FACT_NO_EVENT : event->index;
        r->out->distrusted_why = why;
    }
}

static enum setting setting_of(const struct efi_variable *variable) {
    enum setting i = 0;
    while (i < NUM_SETTINGS &&
           !(bytes_equal(variable->guid, bytes_of(settings[i].guid, EFI_GUID_LEN)) &&
             utf16_is(variable->name, settings[i].name))) {
        i++;
    }
    return i;
}

static struct fact_keys *keys_of(struct fact_secure_boot *out, enum setting setting) {
    switch (setting) {
    case SETTING_PK:
        return &out->platform_key;
    case SETTING_KEK:
        return &out->key_exchange_keys;
    case SETTING_DB:
        return &out->db;
    case SETTING_DBX:
        return &out->dbx;
    default:
        return NULL;
    }
}

/* --- settings -------------------------------------------------------------------------------- */

static void name_event(struct reading *r, enum setting setting, uint32_t event) {
    struct fact_keys *keys = keys_of(r->out, setting);
    if (keys != NULL && keys->event == FACT_NO_EVENT) {
        keys->event = event;
    } else if (setting == SETTING_SECURE_BOOT && r->out->enabled_event == FACT_NO_EVENT) {
        r->out->enabled_event = event;
    }
}

/* One byte, 0 or 1; anything else is not on, and not known to be off either. */
static enum fact_flag flag_of(struct bytes value) {
    return value.len != 1 || value.data[0] > 1 ? FACT_UNKNOWN
           : value.data[0] == 1                ? FACT_YES
                                               : FACT_NO;
}

static enum status take_setting(struct reading *r, enum setting setting, struct bytes value,
                                uint32_t event) {
    struct fact_keys *keys = keys_of(r->out, setting);
    r->seen[setting] = true;
    r->value[setting] = value;
    if (keys != NULL) {
        keys->event = event;
        return signature_database(r->d->arena, &keys->key, &keys->num, &keys->known, value);
    }
    enum fact_flag flag = flag_of(value);
    switch (setting) {
    case SETTING_SECURE_BOOT:
        r->out->enabled_event = event;
        /* A SecureBoot variable without a value is one that does not exist. */
        r->out->enabled = flag == FACT_YES ? FACT_YES : FACT_NO;
        break;
    case SETTING_SETUP_MODE:
        r->out->setup_mode = flag;
        break;
    case SETTING_AUDIT_MODE:
        r->out->audit_mode = flag;
        break;
    default:
        r->out->deployed_mode = flag;
        break;
    }
    return STATUS_OK;
}

/* --- what admitted images -------------------------------------------------------------------- */

static enum status add_authority(struct reading *r, const struct fact_event *event,
                                 const struct efi_variable *variable) {
    struct fact_authority *authority = &r->out->authority[r->out->num_authorities++];
    authority->event = event->index;
    authority->variable = "";
    authority->key.kind = FACT_KEY_OTHER;
    if (variable != NULL) {
        authority->variable = utf16_text(r->d->arena, variable->name);
        authority_key(r->d->arena, &authority->key, variable->data);
    }
    return authority->variable == NULL ? STATUS_MEMORY : STATUS_OK;
}

/* What shim measures beside what it admits images by: its level of revocations (sbat.c), a setting,
 * whole lists of keys. */
static bool is_shims_state(const struct efi_variable *variable) {
    static const char *const names[] = {"SbatLevel", "MokListTrusted"};
    struct efi_signature_list list;
    struct bytes data = variable->data;
    enum status status;
    if (!bytes_equal(variable->guid, bytes_of(shim_guid, EFI_GUID_LEN))) {
        return false;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (utf16_is(variable->name, names[i])) {
            return true;
        }
    }
    do {
        status = efi_signature_list_next(&data, &list);
    } while (status == STATUS_OK);
    return status == STATUS_END;
}

/* db is both a setting, and the name under which an entry of it is measured that admitted an image;
 * with drivers and option ROMs that is before the separator, too. */
static bool is_entry_of_db(enum setting setting, const struct efi_variable *variable) {
    struct bytes data = variable->data;
    struct efi_signature_list list;
    return setting == SETTING_DB && is_authority_data(variable->data) &&
           efi_signature_list_next(&data, &list) != STATUS_OK;
}

/* --- events ---------------------------------------------------------------------------------- */

static enum status take_variable(struct reading *r, const struct fact_event *event,
                                 const struct efi_variable *variable) {
    enum setting setting = setting_of(variable);
    if (setting == NUM_SETTINGS || is_entry_of_db(setting, variable)) {
        return setting == NUM_SETTINGS && (!r->separated || is_shims_state(variable))
                   ? STATUS_OK
                   : add_authority(r, event, variable);
    }
    if (r->seen[setting]) {
        if (!bytes_equal(r->value[setting], variable->data)) {
            distrust(r, event, "a variable is measured twice with different contents");
        }
        return STATUS_OK;
    }
    if (r->separated) {
        distrust(r, event, "a setting is measured after the separator that ends the settings");
        return STATUS_OK;
    }
    if (variable->rest.len > 0) {
        distrust(r, event, "a variable has bytes behind its value");
        return STATUS_OK;
    }
    return take_setting(r, setting, variable->data, event->index);
}

static enum status take_unbound(struct reading *r, const struct fact_event *event) {
    struct efi_variable claimed;
    if (r->separated) {
        return add_authority(r, event, NULL);
    }
    if (efi_variable_parse(&claimed, event->data) == STATUS_OK) {
        name_event(r, setting_of(&claimed), event->index);
    }
    distrust(r, event, "the log's data of an event are not what was measured");
    return STATUS_OK;
}

static void take_text(struct reading *r, const struct fact_event *event) {
    static const char *const harmless[] = {"DMA Protection Disabled",
                                           "Exit Boot Services Invocation",
                                           "Exit Boot Services Returned with Success"};
    struct bytes text;
    bool known = false;
    if (!ascii_text(event->bound, &text)) {
        text = bytes_of(NULL, 0);
    }
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++) {
        known = known || bytes_equal(text, bytes_of_text(harmless[i]));
    }
    if (bytes_equal(text, bytes_of_text("UEFI Debug Mode"))) {
        distrust(r, event, "a debugger was enabled");
    } else if (!known) {
        distrust(r, event, "something is measured that no specification puts there");
    }
}

static enum status take_event(struct reading *r, const struct fact_event *event) {
    struct efi_variable variable;
    switch (separator_of(r->d, event)) {
    case SEPARATOR_PLAIN:
        r->separated = true;
        return STATUS_OK;
    case SEPARATOR_ERROR:
        r->separated = true;
        distrust(r, event, "the firmware reports an error");
        return STATUS_OK;
    case SEPARATOR_NONE:
        break;
    }
    if (event->data_vouched != VOUCHED_BOUND) {
        return take_unbound(r, event);
    }
    if (efi_variable_parse(&variable, event->bound) == STATUS_OK) {
        return take_variable(r, event, &variable);
    }
    if (r->separated) {
        return add_authority(r, event, NULL);
    }
    take_text(r, event);
    return STATUS_OK;
}

enum status derive_secure_boot(struct derivation *d) {
    struct fact_secure_boot *out = &d->facts->secure_boot;
    struct reading r = {.d = d, .out = out};
    const struct fact_event *last = NULL;
    out->enabled_event = out->distrusted_event = FACT_NO_EVENT;
    out->platform_key.event = out->key_exchange_keys.event = FACT_NO_EVENT;
    out->db.event = out->dbx.event = FACT_NO_EVENT;
    out->authority = derive_array(d, 1u << SECURE_BOOT_PCR, 0, sizeof *out->authority);
    if (out->authority == NULL) {
        return STATUS_MEMORY;
    }
    for (size_t i = 0; i < d->facts->num_events; i++) {
        if (event_extends(&d->facts->event[i], SECURE_BOOT_PCR)) {
            last = &d->facts->event[i];
            enum status status = take_event(&r, last);
            if (status != STATUS_OK) {
                return status;
            }
        }
    }
    if (last != NULL && !r.separated) {
        distrust(&r, last, "no separator ends the settings");
    }
    return STATUS_OK;
}
