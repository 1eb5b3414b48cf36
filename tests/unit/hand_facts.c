#include "tests/unit/hand_facts.h"

#include "server/base/encoding.h"
#include "server/evidence/tpm2/event_types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EVENTS = 64, QUOTED = 0x47FF };

const struct hand hand_usual = {
    .platform_key = "CN=Maker PK",
    .key_exchange_key = "CN=Maker KEK",
    .db = {"CN=Maker db", "CN=Third party db"},
    .dbx = {"bad image 1", "bad image 2"},
    .shim = "shim 15.8",
    .grub = "grub 2.06",
    .kernel = "kernel 27",
    .kernel_path = "/vmlinuz-6.1.0-27-amd64",
    .command_line = "ro quiet root=UUID=1111",
    .initrd = "initrd 27",
    .grub_cfg = "grub.cfg",
    .firmware = "firmware 1.42",
    .version = "1.42",
    .boot_order = "0001,0000",
    .gpt = "disk 1",
    .mok = "no MOK",
    .sbat_shim = 4,
    .tpm_firmware = 0x0102030405060708,
};

struct making {
    struct arena *arena;
    struct facts *facts;
};

static void digest_of(uint8_t out[static 32], const char *text) {
    digest_compute(HASH_SHA256, bytes_of_text(text), out);
}

const char *hand_hex(struct arena *arena, const char *text) {
    uint8_t digest[32];
    char *out = arena_alloc(arena, 65);
    digest_of(digest, text);
    if (out == NULL) {
        abort();
    }
    hex_encode(out, bytes_of(digest, 32));
    return out;
}

/* Extends; its index. */
static uint32_t event(struct making *m, uint32_t pcr, uint32_t type, const char *measured) {
    struct facts *facts = m->facts;
    uint8_t *digest = arena_alloc(m->arena, 32);
    struct fact_pcr *value = &facts->bank[0].pcr[pcr];
    if (digest == NULL || facts->num_events == EVENTS) {
        abort();
    }
    digest_of(digest, measured);
    digest_compute2(HASH_SHA256, bytes_of(value->value, 32), bytes_of(digest, 32), value->value);
    value->logged = true;
    struct fact_event *out = &facts->event[facts->num_events];
    *out = (struct fact_event){.index = (uint32_t)facts->num_events + 1,
                               .pcr = pcr,
                               .type = type,
                               .digest_vouched = VOUCHED_REPLAYED,
                               .data_vouched = VOUCHED_BOUND,
                               .digest = {bytes_of(digest, 32)},
                               .data = bytes_of_text(measured),
                               .bound = bytes_of_text(measured)};
    facts->num_events++;
    return out->index;
}

static const struct bytes *digest_at(const struct making *m) {
    return m->facts->event[m->facts->num_events - 1].digest;
}

static const char *joined(struct making *m, const char *name, const char *const *text) {
    const char *out = name;
    for (size_t i = 0; i < 4 && text[i] != NULL; i++) {
        out = arena_printf(m->arena, "%s|%s", out, text[i]);
    }
    return out;
}

static void keys(struct making *m, struct fact_keys *out, const char *name, const char *const *text,
                 enum fact_key_kind kind) {
    out->known = true;
    out->event = event(m, 7, EV_EFI_VARIABLE_DRIVER_CONFIG, joined(m, name, text));
    out->key = arena_array(m->arena, 4, sizeof *out->key);
    for (size_t i = 0; i < 4 && text[i] != NULL; i++) {
        struct fact_key *key = &out->key[out->num++];
        *key = (struct fact_key){.kind = kind,
                                 .subject = kind == FACT_KEY_CERTIFICATE ? text[i] : NULL};
        digest_of(key->sha256, text[i]);
    }
}

static void secure_boot(struct making *m, const struct hand *hand) {
    struct fact_secure_boot *out = &m->facts->secure_boot;
    const char *pk[4] = {hand->platform_key}, *kek[4] = {hand->key_exchange_key};
    out->enabled = hand->secure_boot_off ? FACT_NO : FACT_YES;
    out->setup_mode = hand->setup_mode ? FACT_YES : FACT_UNKNOWN;
    out->enabled_event = event(m, 7, EV_EFI_VARIABLE_DRIVER_CONFIG,
                               hand->secure_boot_off ? "SecureBoot=0" : "SecureBoot=1");
    keys(m, &out->platform_key, "PK", pk, FACT_KEY_CERTIFICATE);
    keys(m, &out->key_exchange_keys, "KEK", kek, FACT_KEY_CERTIFICATE);
    keys(m, &out->db, "db", hand->db, FACT_KEY_CERTIFICATE);
    keys(m, &out->dbx, "dbx", hand->dbx, FACT_KEY_HASH);
    out->distrusted_event = FACT_NO_EVENT;
    (void)event(m, 7, EV_SEPARATOR, "separator");
    if (hand->db[0] != NULL && !hand->secure_boot_off) {
        out->authority = arena_alloc(m->arena, sizeof *out->authority);
        out->authority[0] =
            (struct fact_authority){.event = event(m, 7, EV_EFI_VARIABLE_AUTHORITY, hand->db[0]),
                                    .variable = "db",
                                    .key = out->db.key[0]};
        out->num_authorities = 1;
    }
}

static void image(struct making *m, enum fact_image_kind kind, const char *contents,
                  const char *path) {
    if (contents == NULL) {
        return;
    }
    uint32_t index =
        event(m, kind == FACT_IMAGE_BOOT ? 4 : 2, EV_EFI_BOOT_SERVICES_APPLICATION, contents);
    m->facts->image[m->facts->num_images++] =
        (struct fact_image){.event = index, .kind = kind, .digest = digest_at(m), .path = path};
}

static void file(struct making *m, const char *contents, const char *name, bool is_initrd) {
    if (contents == NULL) {
        return;
    }
    uint32_t index = event(m, 9, EV_IPL, contents);
    m->facts->os.file[m->facts->os.num_files++] = (struct fact_file){
        .event = index, .pcr = 9, .digest = digest_at(m), .name = name, .is_initrd = is_initrd};
}

static void command_line(struct making *m, const struct hand *hand, const char *label) {
    if (hand->command_line != NULL) {
        const char *text =
            arena_printf(m->arena, "%s%s %s", label, hand->kernel_path, hand->command_line);
        m->facts->os.command_line[m->facts->os.num_command_lines++] =
            (struct fact_command_line){.event = event(m, 8, EV_IPL, text),
                                       .loader = FACT_LOADER_GRUB,
                                       .labelled = *label == '\0',
                                       .text = hand->command_line,
                                       .image = hand->kernel_path};
    }
}

static void operating_system(struct making *m, const struct hand *hand) {
    struct fact_os *os = &m->facts->os;
    os->sbat_event = FACT_NO_EVENT;
    if (hand->sbat_shim != 0) {
        os->sbat_event = event(m, 7, EV_EFI_VARIABLE_AUTHORITY,
                               arena_printf(m->arena, "sbat,1\nshim,%u\n", hand->sbat_shim));
        os->sbat[os->num_sbat++] = (struct fact_sbat_level){"shim", hand->sbat_shim};
    }
    if (hand->mok != NULL) {
        (void)event(m, 14, EV_IPL, hand->mok);
    }
    file(m, hand->grub_cfg, "/grub/grub.cfg", false);
    command_line(m, hand, "linux ");
    command_line(m, hand, "");
    file(m, hand->initrd, "/initrd.img", true);
}

static void firmware(struct making *m, const struct hand *hand) {
    struct fact_firmware *out = &m->facts->firmware;
    out->version_event = FACT_NO_EVENT;
    if (hand->version != NULL) {
        out->version = hand->version;
        out->version_bytes = bytes_of_text(hand->version);
        out->version_event = event(m, 0, EV_S_CRTM_VERSION, hand->version);
    }
    if (hand->firmware != NULL) {
        out->blob = arena_alloc(m->arena, sizeof *out->blob);
        uint32_t index = event(m, 0, EV_EFI_PLATFORM_FIRMWARE_BLOB, hand->firmware);
        out->blob[0] = (struct fact_blob){
            .event = index, .digest = digest_at(m), .base = 0x820000, .length = 0xE0000};
        out->num_blobs = 1;
    }
}

static void boot(struct making *m, const struct hand *hand) {
    firmware(m, hand);
    secure_boot(m, hand);
    if (hand->boot_order != NULL) {
        (void)event(m, 1, EV_EFI_VARIABLE_BOOT, hand->boot_order);
    }
    for (unsigned pcr = 0; pcr < 7; pcr++) {
        (void)event(m, pcr, EV_SEPARATOR, "separator");
    }
    if (hand->gpt != NULL) {
        (void)event(m, 5, EV_EFI_GPT_EVENT, hand->gpt);
    }
    image(m, FACT_IMAGE_DRIVER, hand->driver, NULL);
    image(m, FACT_IMAGE_BOOT, hand->shim, "PciRoot(0x0)/\\EFI\\BOOT\\BOOTX64.EFI");
    image(m, FACT_IMAGE_BOOT, hand->grub, "\\EFI\\BOOT\\grubx64.efi");
    image(m, FACT_IMAGE_BOOT, hand->extra_image, "\\EFI\\tools\\extra.efi");
    image(m, FACT_IMAGE_BOOT, hand->kernel, "");
    image(m, FACT_IMAGE_BOOT, hand->kernel, "");
    operating_system(m, hand);
}

static void forget_log(struct facts *facts) {
    facts->has_log = false;
    facts->num_events = facts->num_images = 0;
    facts->firmware = (struct fact_firmware){.version_event = FACT_NO_EVENT};
    facts->os = (struct fact_os){.sbat_event = FACT_NO_EVENT};
    facts->secure_boot = (struct fact_secure_boot){.enabled_event = FACT_NO_EVENT,
                                                   .distrusted_event = FACT_NO_EVENT};
    facts->secure_boot.platform_key.event = facts->secure_boot.key_exchange_keys.event =
        facts->secure_boot.db.event = facts->secure_boot.dbx.event = FACT_NO_EVENT;
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        facts->bank[0].pcr[pcr].logged = false;
    }
}

struct facts *hand_facts(struct arena *arena, const struct hand *hand) {
    struct facts *facts = arena_alloc(arena, sizeof *facts);
    struct making m = {arena, facts};
    facts->num_banks = 1;
    facts->bank[0].alg = HASH_SHA256;
    facts->has_log = true;
    facts->tpm_safe = true;
    facts->tpm_firmware_version = hand->tpm_firmware;
    facts->event = arena_array(arena, EVENTS, sizeof *facts->event);
    facts->image = arena_array(arena, 8, sizeof *facts->image);
    facts->os.command_line = arena_array(arena, 4, sizeof *facts->os.command_line);
    facts->os.file = arena_array(arena, 4, sizeof *facts->os.file);
    facts->os.sbat = arena_array(arena, 4, sizeof *facts->os.sbat);
    uint32_t quoted = QUOTED & ~hand->not_quoted;
    facts->selection = (struct pcr_selection){.bank = {{HASH_SHA256, quoted}}, .num_banks = 1};
    boot(&m, hand);
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        facts->bank[0].pcr[pcr].quoted = (quoted >> pcr & 1) != 0;
    }
    if (hand->no_log) {
        forget_log(facts);
    }
    return facts;
}
