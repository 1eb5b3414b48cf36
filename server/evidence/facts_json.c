#include "server/evidence/facts_json.h"

#include <inttypes.h>
#include <stdio.h>

/* --- parts ----------------------------------------------------------------------------------- */

static void write_event(struct json_out *o, const char *name, uint32_t event) {
    if (event == FACT_NO_EVENT) {
        json_out_text(o, name, NULL);
    } else {
        json_out_int(o, name, event);
    }
}

static void write_vouching(struct json_out *o, enum vouching vouching) {
    json_out_text(o, "vouched", vouching_name(vouching));
}

static void write_flag(struct json_out *o, const char *name, enum fact_flag flag) {
    if (flag == FACT_UNKNOWN) {
        json_out_text(o, name, NULL);
    } else {
        json_out_bool(o, name, flag == FACT_YES);
    }
}

static void write_address(struct json_out *o, const char *name, uint64_t value) {
    char text[20];
    (void)snprintf(text, sizeof text, "0x%" PRIx64, value);
    json_out_text(o, name, text);
}

/* By bank; one without a digest is left out. */
static void write_digests(struct json_out *o, const struct facts *facts,
                          const struct bytes *digest) {
    json_out_object(o, "digests");
    for (size_t b = 0; b < facts->num_banks; b++) {
        if (digest[b].len > 0) {
            json_out_hex(o, hash_name(facts->bank[b].alg), digest[b]);
        }
    }
    json_out_object_end(o);
}

/* --- Secure Boot ----------------------------------------------------------------------------- */

static void write_key(struct json_out *o, const char *name, const struct fact_key *key) {
    static const char *const kinds[] = {"certificate", "hash", "other"};
    json_out_object(o, name);
    json_out_text(o, "kind", kinds[key->kind]);
    json_out_hex(o, "sha256", bytes_of(key->sha256, sizeof key->sha256));
    if (key->kind == FACT_KEY_CERTIFICATE) {
        json_out_text(o, "subject", key->subject);
    }
    json_out_object_end(o);
}

static void write_keys(struct json_out *o, const char *name, const struct fact_keys *keys) {
    json_out_object(o, name);
    write_vouching(o, keys->known ? VOUCHED_BOUND : VOUCHED_CLAIMED);
    write_event(o, "event", keys->event);
    if (!keys->known) {
        json_out_text(o, "entries", NULL);
    } else {
        json_out_array(o, "entries");
        for (size_t i = 0; i < keys->num; i++) {
            write_key(o, NULL, &keys->key[i]);
        }
        json_out_array_end(o);
    }
    json_out_object_end(o);
}

static void write_authorities(struct json_out *o, const struct fact_secure_boot *secure_boot) {
    json_out_array(o, "authorities");
    for (size_t i = 0; i < secure_boot->num_authorities; i++) {
        const struct fact_authority *authority = &secure_boot->authority[i];
        bool known = authority->variable[0] != '\0';
        json_out_object(o, NULL);
        write_event(o, "event", authority->event);
        write_vouching(o, known ? VOUCHED_BOUND : VOUCHED_CLAIMED);
        json_out_text_or_null(o, "variable", authority->variable);
        if (known) {
            write_key(o, "key", &authority->key);
        } else {
            json_out_text(o, "key", NULL);
        }
        json_out_object_end(o);
    }
    json_out_array_end(o);
}

void facts_secure_boot_json(struct json_out *o, const char *name, const struct facts *facts) {
    const struct fact_secure_boot *secure_boot = &facts->secure_boot;
    json_out_object(o, name);
    write_flag(o, "enabled", secure_boot->enabled);
    write_event(o, "enabled_event", secure_boot->enabled_event);
    write_flag(o, "setup_mode", secure_boot->setup_mode);
    write_flag(o, "audit_mode", secure_boot->audit_mode);
    write_flag(o, "deployed_mode", secure_boot->deployed_mode);
    write_keys(o, "platform_key", &secure_boot->platform_key);
    write_keys(o, "key_exchange_keys", &secure_boot->key_exchange_keys);
    write_keys(o, "db", &secure_boot->db);
    write_keys(o, "dbx", &secure_boot->dbx);
    write_authorities(o, secure_boot);
    if (secure_boot->distrusted_why == NULL) {
        json_out_text(o, "distrusted", NULL);
    } else {
        json_out_object(o, "distrusted");
        write_event(o, "event", secure_boot->distrusted_event);
        json_out_text(o, "why", secure_boot->distrusted_why);
        json_out_object_end(o);
    }
    json_out_object_end(o);
}

/* --- what ran -------------------------------------------------------------------------------- */

static void write_images(struct json_out *o, const struct facts *facts) {
    json_out_array(o, "images");
    for (size_t i = 0; i < facts->num_images; i++) {
        const struct fact_image *image = &facts->image[i];
        json_out_object(o, NULL);
        write_event(o, "event", image->event);
        write_vouching(o, VOUCHED_REPLAYED);
        json_out_text(o, "kind", image->kind == FACT_IMAGE_BOOT ? "boot" : "driver");
        write_digests(o, facts, image->digest);
        json_out_text(o, "claimed_path", image->path);
        json_out_object_end(o);
    }
    json_out_array_end(o);
}

static void write_firmware(struct json_out *o, const struct facts *facts) {
    const struct fact_firmware *firmware = &facts->firmware;
    json_out_object(o, "firmware");
    json_out_text(o, "version", firmware->version);
    if (firmware->version_bytes.len > 0) {
        json_out_hex(o, "version_hex", firmware->version_bytes);
    } else {
        json_out_text(o, "version_hex", NULL);
    }
    write_event(o, "version_event", firmware->version_event);
    json_out_array(o, "blobs");
    for (size_t i = 0; i < firmware->num_blobs; i++) {
        const struct fact_blob *blob = &firmware->blob[i];
        json_out_object(o, NULL);
        write_event(o, "event", blob->event);
        write_vouching(o, VOUCHED_REPLAYED);
        write_digests(o, facts, blob->digest);
        write_address(o, "claimed_base", blob->base);
        write_address(o, "claimed_length", blob->length);
        json_out_text(o, "claimed_description", blob->description);
        json_out_object_end(o);
    }
    json_out_array_end(o);
    json_out_object_end(o);
}

static void write_command_lines(struct json_out *o, const struct fact_os *os) {
    static const char *const loaders[] = {"grub", "systemd_stub", "linux_stub"};
    json_out_array(o, "command_lines");
    for (size_t i = 0; i < os->num_command_lines; i++) {
        const struct fact_command_line *line = &os->command_line[i];
        bool known = line->text != NULL && line->text[0] != FACT_TEXT_UNKNOWN[0];
        json_out_object(o, NULL);
        write_event(o, "event", line->event);
        write_vouching(o, known ? VOUCHED_BOUND : VOUCHED_CLAIMED);
        json_out_text(o, "loader", loaders[line->loader]);
        json_out_bool(o, "labelled", line->labelled);
        json_out_text(o, "image", line->image);
        json_out_text(o, "text", known ? line->text : NULL);
        json_out_object_end(o);
    }
    json_out_array_end(o);
}

static void write_files(struct json_out *o, const struct facts *facts) {
    json_out_array(o, "files");
    for (size_t i = 0; i < facts->os.num_files; i++) {
        const struct fact_file *file = &facts->os.file[i];
        json_out_object(o, NULL);
        write_event(o, "event", file->event);
        json_out_int(o, "pcr", file->pcr);
        write_vouching(o, VOUCHED_REPLAYED);
        write_digests(o, facts, file->digest);
        json_out_text(o, "claimed_name", file->name);
        json_out_bool(o, "initrd", file->is_initrd);
        json_out_object_end(o);
    }
    json_out_array_end(o);
}

static void write_sbat(struct json_out *o, const struct fact_os *os) {
    if (os->sbat_event == FACT_NO_EVENT) {
        json_out_text(o, "sbat", NULL);
        return;
    }
    json_out_object(o, "sbat");
    write_event(o, "event", os->sbat_event);
    write_vouching(o, VOUCHED_BOUND);
    json_out_text(o, "date", os->sbat_date);
    json_out_array(o, "levels");
    for (size_t i = 0; i < os->num_sbat; i++) {
        json_out_object(o, NULL);
        json_out_text(o, "component", os->sbat[i].component);
        json_out_int(o, "level", os->sbat[i].level);
        json_out_object_end(o);
    }
    json_out_array_end(o);
    json_out_object_end(o);
}

/* --- the quote ------------------------------------------------------------------------------- */

static void write_pcrs(struct json_out *o, const struct facts *facts) {
    json_out_object(o, "pcrs");
    for (size_t b = 0; b < facts->num_banks; b++) {
        const struct fact_bank *bank = &facts->bank[b];
        json_out_object(o, hash_name(bank->alg));
        for (unsigned i = 0; i < PCR_COUNT; i++) {
            char name[4];
            (void)snprintf(name, sizeof name, "%u", i % 100);
            if (bank->pcr[i].quoted) {
                json_out_hex(o, name, bytes_of(bank->pcr[i].value, digest_len(bank->alg)));
            }
        }
        json_out_object_end(o);
    }
    json_out_object_end(o);
}

static void write_log(struct json_out *o, const struct facts *facts) {
    uint8_t sha256[DIGEST_MAX];
    if (!facts->has_log) {
        json_out_text(o, "log", NULL);
        return;
    }
    digest_compute(HASH_SHA256, facts->log, sha256);
    json_out_object(o, "log");
    json_out_hex(o, "sha256", bytes_of(sha256, 32));
    json_out_int(o, "len", (int64_t)facts->log.len);
    json_out_int(o, "events", (int64_t)facts->num_events);
    json_out_object_end(o);
}

void facts_log_json(struct json_out *o, const struct facts *facts) {
    facts_secure_boot_json(o, "secure_boot", facts);
    write_images(o, facts);
    write_firmware(o, facts);
    json_out_object(o, "os");
    write_command_lines(o, &facts->os);
    write_files(o, facts);
    write_sbat(o, &facts->os);
    json_out_object_end(o);
}

void facts_json(struct json_out *o, const struct facts *facts) {
    char version[17];
    (void)snprintf(version, sizeof version, "%016" PRIx64, facts->tpm_firmware_version);
    json_out_object(o, "tpm");
    json_out_text(o, "firmware_version", version);
    json_out_object_end(o);
    write_pcrs(o, facts);
    write_log(o, facts);
    facts_log_json(o, facts);
}
