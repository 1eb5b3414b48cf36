/* Files that boot loaders read, and sections of unified kernel images: PCR 9 (GRUB, Linux's EFI
 * stub), 11 to 13 (systemd-stub), 14 (shim's lists of keys). */
#include "server/evidence/tpm2/event_types.h"
#include "server/evidence/tpm2/os.h"

#include <string.h>

enum { REFERENCES_MAX = 64 };
#define LINUX_TAG_INITRD 0x8F3B22ECu

static const struct bytes no_digest[PCR_MAX_BANKS];

static bool has_word(struct bytes text, const char *word) {
    size_t len = strlen(word);
    for (; text.len >= len; text = bytes_of(text.data + 1, text.len - 1)) {
        if (memcmp(text.data, word, len) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_initrd_name(const char *name) {
    static const char *const words[] = {"initrd", "Initrd", "initramfs"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (has_word(bytes_of_text(name), words[i])) {
            return true;
        }
    }
    return false;
}

/* The text that an event's data begin with, ASCII or UTF-16, up to its zero: older shims log bytes
 * behind it. NULL: none. */
static const char *name_of(struct arena *arena, struct bytes data) {
    struct bytes text;
    if (data.len >= 2 && data.data[0] != 0 && data.data[1] == 0) {
        return utf16_is_printable(data) ? utf16_text(arena, data) : NULL;
    }
    const uint8_t *zero = data.len == 0 ? NULL : memchr(data.data, 0, data.len);
    data.len = zero == NULL ? data.len : (size_t)(zero - data.data);
    return ascii_text(data, &text) ? arena_text_n(arena, (const char *)text.data, text.len) : NULL;
}

static void take_file(struct derivation *d, const struct fact_event *event, const char *name) {
    struct fact_os *os = &d->facts->os;
    struct fact_file *file = &os->file[os->num_files++];
    struct tcg_tagged tagged;
    bool is_tagged =
        event->type == EV_EVENT_TAG && tcg_tagged_parse(&tagged, event->data) == STATUS_OK;
    file->event = event->index;
    file->pcr = event->pcr;
    file->digest = event->digest;
    file->name = name != NULL ? name : name_of(d->arena, is_tagged ? tagged.data : event->data);
    file->is_initrd = (is_tagged && tagged.id == LINUX_TAG_INITRD) ||
                      (file->name != NULL && event->pcr != MOK_PCR && is_initrd_name(file->name));
}

/* systemd-stub measures the name of a section, which is bound, and then its contents. */
static void take_section(struct derivation *d, const struct fact_event *event,
                         const char **section) {
    if (event->data_vouched == VOUCHED_BOUND) {
        *section = name_of(d->arena, event->bound);
        return;
    }
    take_file(d, event, *section);
    *section = NULL;
}

/* --- initrds that GRUB's commands name ------------------------------------------------------- */

static struct bytes take_word(struct bytes *text) {
    struct bytes word = *text, skipped;
    const uint8_t *space = text->len == 0 ? NULL : memchr(text->data, ' ', text->len);
    size_t len = space == NULL ? text->len : (size_t)(space - text->data);
    if (bytes_take(text, len, &word) == STATUS_OK && text->len > 0) {
        (void)!bytes_take(text, 1, &skipped);
    }
    return word;
}

/* "newc:path:file" is a file that is wrapped on the way. */
static struct bytes file_of(struct bytes word) {
    struct bytes file = word;
    if (has_word(bytes_of(word.data, word.len < 5 ? 0 : 5), "newc:")) {
        for (size_t i = 0; i < word.len; i++) {
            if (word.data[i] == ':') {
                file = bytes_of(word.data + i + 1, word.len - i - 1);
            }
        }
    }
    return file;
}

struct references {
    struct bytes name[REFERENCES_MAX];
    uint32_t event[REFERENCES_MAX];
    size_t num;
};

static void take_command(struct references *out, const struct fact_event *event) {
    struct bytes text = event->bound;
    while (text.len > 0 && text.data[text.len - 1] == 0) {
        text.len--;
    }
    struct bytes command = take_word(&text);
    if (bytes_equal(command, bytes_of_text("!"))) {
        command = take_word(&text);
    }
    if (!bytes_equal(command, bytes_of_text("initrd")) &&
        !bytes_equal(command, bytes_of_text("initrdefi")) &&
        !bytes_equal(command, bytes_of_text("initrd16"))) {
        return;
    }
    while (text.len > 0) {
        struct bytes file = file_of(take_word(&text));
        if (file.len > 0 && out->num < REFERENCES_MAX) {
            out->event[out->num] = event->index;
            out->name[out->num++] = file;
        }
    }
}

/* The file that a command names; or, as the names of files are claims, any that is called an initrd
 * and that no command names. */
static struct fact_file *find_file(struct fact_os *os, bool *taken, struct bytes name) {
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < os->num_files; i++) {
            struct fact_file *file = &os->file[i];
            bool named = file->name != NULL && bytes_equal(bytes_of_text(file->name), name);
            if (file->pcr == FILES_PCR && !taken[i] && (pass == 0 ? named : file->is_initrd)) {
                taken[i] = true;
                return file;
            }
        }
    }
    return NULL;
}

/* Each initrd that a bound command names is one of the files, whatever the log calls them; for one
 * that is missing there stands a file without a digest. */
static enum status hold_against_commands(struct derivation *d) {
    struct fact_os *os = &d->facts->os;
    struct references references = {.num = 0};
    for (size_t i = 0; i < d->facts->num_events; i++) {
        const struct fact_event *event = &d->facts->event[i];
        if (event_extends(event, GRUB_TEXT_PCR) && event->data_vouched == VOUCHED_BOUND) {
            take_command(&references, event);
        }
    }
    bool *taken = arena_array(d->arena, os->num_files, sizeof *taken);
    if (taken == NULL) {
        return STATUS_MEMORY;
    }
    size_t num_files = os->num_files;
    for (size_t i = 0; i < references.num; i++) {
        size_t all = os->num_files;
        os->num_files = num_files;
        struct fact_file *file = find_file(os, taken, references.name[i]);
        os->num_files = all;
        if (file != NULL) {
            file->is_initrd = true;
            continue;
        }
        os->file[os->num_files++] =
            (struct fact_file){.event = references.event[i],
                               .pcr = FILES_PCR,
                               .digest = no_digest,
                               .name = arena_text_n(d->arena, (const char *)references.name[i].data,
                                                    references.name[i].len),
                               .is_initrd = true};
    }
    return d->arena->overflow ? STATUS_MEMORY : STATUS_OK;
}

enum status derive_files(struct derivation *d) {
    static const uint32_t pcrs = 1u << FILES_PCR | 1u << STUB_PCR | 1u << STUB_TEXT_PCR |
                                 1u << EXTENSIONS_PCR | 1u << MOK_PCR;
    struct fact_os *os = &d->facts->os;
    const char *section = NULL;
    os->file = derive_array(d, pcrs, REFERENCES_MAX, sizeof *os->file);
    if (os->file == NULL) {
        return STATUS_MEMORY;
    }
    for (size_t i = 0; i < d->facts->num_events; i++) {
        const struct fact_event *event = &d->facts->event[i];
        if (event->digest_vouched != VOUCHED_REPLAYED || (pcrs >> event->pcr & 1u) == 0 ||
            separator_of(d, event) == SEPARATOR_PLAIN) {
            continue;
        }
        if (event->pcr == STUB_PCR) {
            take_section(d, event, &section);
        } else if (event->data_vouched != VOUCHED_BOUND || event->pcr == FILES_PCR) {
            take_file(d, event, NULL);
        }
    }
    return d->arena->overflow ? STATUS_MEMORY : hold_against_commands(d);
}
