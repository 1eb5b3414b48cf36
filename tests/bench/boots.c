/* boots STORE [N]: what a fleet's boots take in the store beyond what its devices share. A new store
 * with N devices (20,000), each with the same 41 KB log but for a GPT event of its own (three
 * partitions) and a boot variable of its own, so that PCRs 1 and 5 differ, and with them the log and
 * the boot state. Then what it costs to put one that is new, and to find one that is there. */
#include "db/store.h"
#include "server/base/encoding.h"
#include "server/evidence/tpm2/kept.h"
#include "tests/bench/measure.h"
#include "tests/unit/soft_tpm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MASK = 0x43FF, LOG_SIZE = 41 * 1024, BATCH = 1000, KEY_LEN = 90 };
enum {
    PARTITIONS = 3,
    GPT_LEN = 92 + 8 + PARTITIONS * 128,
    VARIABLE_LEN = 150
}; /* of event data */
enum { EVENT_HEAD = 12 + (2 + 20) + (2 + 32) + (2 + 48) + 4, OWN_MAX = EVENT_HEAD + GPT_LEN };

static struct bytes shared[1024]; /* the pieces of the log that all have */
static size_t num_shared;
static uint8_t form[4096];

static void must(enum status status, const char *what) {
    if (status != STATUS_OK) {
        give_up("%s: %s", what, status_name(status));
    }
}

/* Bytes that no other device has, as GUIDs and serial numbers are. */
static void put_own(struct writer *w, unsigned n, size_t len) {
    uint8_t seed[8], digest[32];
    struct writer s = writer_of(seed, sizeof seed);
    write_u32be(&s, n);
    write_u32be(&s, (uint32_t)w->len);
    digest_compute(HASH_SHA256, bytes_of(seed, sizeof seed), digest);
    write_bytes(w, bytes_of(digest, len));
}

/* As UEFI writes a name; `room` bytes, filled up with zeros. */
static void put_name(struct writer *w, const char *name, size_t room) {
    for (size_t end = w->len + room; w->len < end;) {
        write_u16le(w, (uint16_t)*name);
        name += *name == 0 ? 0 : 1;
    }
}

/* EV_EFI_GPT_EVENT: the header of the table, and its entries. */
static void put_gpt(struct writer *w, unsigned n) {
    static const char *const names[PARTITIONS] = {"EFI System Partition", "boot", "root"};
    static const uint8_t types[16] = {0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11,
                                      0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b};
    static const uint32_t middle[] = {1, 0, 0x0ee7c2af, 0, 34, 0, 0x0ee7c28e, 0};
    write_bytes(w, bytes_of_text("EFI PART"));
    write_u32le(w, 0x00010000);
    write_u32le(w, 92);
    put_own(w, n, 4);
    write_u32le(w, 0);
    for (size_t i = 0; i < sizeof middle / sizeof middle[0]; i++) {
        write_u32le(w, middle[i]);
    }
    put_own(w, n, 16);
    write_u32le(w, 2);
    write_u32le(w, 0);
    write_u32le(w, 128);
    write_u32le(w, 128);
    put_own(w, n, 4);
    write_u32le(w, PARTITIONS);
    write_u32le(w, 0);
    for (unsigned i = 0; i < PARTITIONS; i++) {
        write_bytes(w, bytes_of(types, sizeof types));
        put_own(w, n, 16);
        write_u32le(w, 2048 + i * 1050624);
        write_u32le(w, 0);
        write_u32le(w, 1050623 + i * 1050624);
        write_u32le(w, 0);
        write_u32le(w, 0);
        write_u32le(w, 0);
        put_name(w, names[i], 72);
    }
}

/* UEFI_VARIABLE_DATA of a Boot0001 that names its partition. */
static void put_variable(struct writer *w, unsigned n) {
    static const uint8_t global[16] = {0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11,
                                       0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c};
    write_bytes(w, bytes_of(global, sizeof global));
    write_u32le(w, 8);
    write_u32le(w, 0);
    write_u32le(w, 102);
    write_u32le(w, 0);
    put_name(w, "Boot0001", 16);
    write_u32le(w, 1);
    write_u16le(w, 78);
    put_name(w, "debian", 14);
    write_u32le(w, 0x002a0104);
    write_u32le(w, 1);
    write_u32le(w, 2048);
    write_u32le(w, 0);
    write_u32le(w, 1050624);
    write_u32le(w, 0);
    put_own(w, n, 16);
    write_u16le(w, 0x0202);
    write_u32le(w, 0x00240404);
    put_name(w, "\\EFI\\shimx64.efi", 32);
    write_u32le(w, 0x0004ff7f);
}

/* The event as in soft_tpm.h's logs: its digests in three banks. */
static struct bytes event_of(uint8_t out[static OWN_MAX], uint32_t pcr, uint32_t type,
                             struct bytes data) {
    static const enum hash_alg banks[] = {HASH_SHA1, HASH_SHA256, HASH_SHA384};
    uint8_t digest[DIGEST_MAX];
    struct writer w = writer_of(out, OWN_MAX);
    write_u32le(&w, pcr);
    write_u32le(&w, type);
    write_u32le(&w, 3);
    for (size_t i = 0; i < 3; i++) {
        digest_compute(banks[i], data, digest);
        write_u16le(&w, (uint16_t)banks[i]);
        write_bytes(&w, bytes_of(digest, digest_len(banks[i])));
    }
    write_u32le(&w, (uint32_t)data.len);
    write_bytes(&w, data);
    if (w.overflow) {
        give_up("an event of %zu bytes", data.len);
    }
    return writer_bytes(&w);
}

static size_t form_len(struct arena *arena, const struct soft_tpm *tpm) {
    struct facts facts = {.bank = {{.alg = HASH_SHA256}}, .num_banks = 1, .has_log = true};
    struct boot_state state;
    for (unsigned i = 0; i < PCR_COUNT; i++) {
        facts.bank[0].pcr[i].quoted = (MASK >> i & 1) != 0;
        memcpy(facts.bank[0].pcr[i].value, tpm->pcr[i], 32);
    }
    must(boot_state_of(&state, arena, &facts), "form");
    memcpy(form, state.form.data, state.form.len);
    return state.form.len;
}

static void device_id(char out[static STORE_ID], unsigned n) {
    uint8_t digest[32], seed[4];
    struct writer w = writer_of(seed, sizeof seed);
    write_u32be(&w, n);
    digest_compute(HASH_SHA256, bytes_of(seed, sizeof seed), digest);
    hex_encode(out, bytes_of(digest, 16));
}

static void add_device(struct store_writer *writer, unsigned n) {
    uint8_t keys[2][KEY_LEN] = {{0}};
    struct device_row row = {.model = "bench", .state = DEVICE_ENROLLED, .verdict = 1, .tier = 3};
    device_id(row.id, n);
    memcpy(keys[0] + KEY_LEN - 32, row.id, 32);
    memcpy(keys[1] + KEY_LEN - 32, row.id, 32);
    row.ek_public = bytes_of(keys[0], KEY_LEN);
    row.ak_public = bytes_of(keys[1], KEY_LEN);
    must(store_device_insert(writer, &row), "device");
}

static void put_boot(struct store_writer *writer, size_t form_size, unsigned n) {
    static struct bytes piece[sizeof shared / sizeof shared[0] + 2];
    uint8_t gpt[OWN_MAX], variable[OWN_MAX], data[2][GPT_LEN];
    struct writer g = writer_of(data[0], GPT_LEN), v = writer_of(data[1], VARIABLE_LEN);
    size_t num = 0;
    struct boot_state_row state = {.form = bytes_of(form, form_size)};
    struct device_boot_row row = {.since = 1};
    put_gpt(&g, n);
    put_variable(&v, n);
    if (g.overflow || v.overflow || g.len != GPT_LEN || v.len != VARIABLE_LEN) {
        give_up("event data of %zu and %zu bytes", g.len, v.len);
    }
    for (size_t i = 0; i < num_shared; i++) {
        piece[num++] = shared[i];
        if (i == num_shared / 2) {
            piece[num++] = event_of(variable, 1, 0x80000002, writer_bytes(&v));
        } else if (i == num_shared / 2 + 5) {
            piece[num++] = event_of(gpt, 5, 0x80000006, writer_bytes(&g));
        }
    }
    struct writer w = writer_of(form + form_size - 32, 32); /* a PCR's value: each has its own */
    write_u32be(&w, n);
    digest_compute(HASH_SHA256, state.form, state.sha256);
    digest_compute(HASH_SHA256, bytes_of(state.sha256, 32), state.log_sha256);
    must(store_boot_state_put(writer, &state, piece, num), "boot state");
    device_id(row.device_id, n);
    memcpy(row.boot_state, state.sha256, sizeof row.boot_state);
    must(store_device_boot_put(writer, &row), "device's boot");
}

static double file_size(struct store_writer *writer, const char *path) {
    struct stat info;
    store_checkpoint(writer);
    if (stat(path, &info) != 0) {
        give_up("%s is gone", path);
    }
    return (double)info.st_size;
}

/* For each device; microseconds of CPU for each. */
static double for_all(struct store_writer *writer, unsigned num, size_t form_size) {
    double began = cpu_us();
    for (unsigned n = 0; n < num;) {
        must(store_begin(writer, NULL), "begin");
        for (unsigned end = n + BATCH; n < num && n < end; n++) {
            if (form_size == 0) {
                add_device(writer, n);
            } else {
                put_boot(writer, form_size, n);
            }
        }
        must(store_commit(writer, NULL), "commit");
    }
    return (cpu_us() - began) / num;
}

int main(int argc, char **argv) {
    unsigned num = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 20000;
    static uint8_t log_bytes[1 << 17];
    struct store *store = NULL;
    struct store_writer *writer = NULL;
    struct detail detail = {0};
    struct bytes *piece = NULL;
    struct soft_tpm tpm;
    struct arena arena;
    struct stat info;
    if (argc < 2 || argc > 3 || num == 0 || stat(argv[1], &info) == 0) {
        give_up("usage: boots NEW-STORE [N]");
    }
    arena_init(&arena, (size_t)8 << 20);
    soft_tpm_init(&tpm, KEY_EC_P256);
    struct writer log = writer_of(log_bytes, sizeof log_bytes);
    soft_tpm_boot(&tpm, &log, LOG_SIZE);
    must(log_pieces(&piece, &num_shared, &arena, writer_bytes(&log)), "pieces");
    if (num_shared > sizeof shared / sizeof shared[0]) {
        give_up("%zu pieces", num_shared);
    }
    memcpy(shared, piece, num_shared * sizeof shared[0]);
    size_t form_size = form_len(&arena, &tpm);
    must(store_open(&store, argv[1], &detail), detail.text);
    must(store_writer_new(&writer, store, &detail), detail.text);
    struct model_row model = {.name = "bench",
                              .pcr_selection = "sha256:0-9,14",
                              .credential_lifetime_s = 3600,
                              .enrolment = "open",
                              .credential_tier = 3};
    must(store_begin(writer, NULL), "begin");
    must(store_model_insert(writer, &model), "model");
    must(store_commit(writer, NULL), "commit");
    (void)for_all(writer, num, 0);
    double before = file_size(writer, argv[1]);
    double fresh = for_all(writer, num, form_size), after = file_size(writer, argv[1]);
    double again = for_all(writer, num, form_size);
    report("boots", "stored facts of a device, with what is shared", (after - before) / num,
           "bytes", 1500, true);
    report("boots", "the same fleet, each log as it is",
           (double)(log.len + 2 * EVENT_HEAD + GPT_LEN + VARIABLE_LEN), "bytes", -1, true);
    report("boots", "to keep a boot that is new", fresh, "us CPU", -1, true);
    report("boots", "to find that it is there", again, "us CPU", -1, true);
    store_writer_free(writer);
    store_close(store);
    soft_tpm_cleanup(&tpm);
    arena_free(&arena);
    return 0;
}
