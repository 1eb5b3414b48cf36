/* Command lines that boot loaders gave to kernels: GRUB's texts of PCR 8, systemd-boot's of PCR 8
 * and systemd-stub's of PCR 12. */
#include "server/evidence/tpm2/os.h"

#include <string.h>

/* GRUB's commands that load something to start. */
static const char *const loading[] = {"linux",     "linuxefi",   "linux16",        "chainloader",
                                      "multiboot", "multiboot2", "xen_hypervisor", "kfreebsd",
                                      "knetbsd",   "kopenbsd",   "ntldr",          "plan9"};

static struct bytes take_word(struct bytes *text) {
    struct bytes word = *text, rest;
    const uint8_t *space = text->len == 0 ? NULL : memchr(text->data, ' ', text->len);
    size_t len = space == NULL ? text->len : (size_t)(space - text->data);
    if (bytes_take(text, len, &word) == STATUS_OK && text->len > 0) {
        (void)!bytes_take(text, 1, &rest);
    }
    return word;
}

static bool is_word(struct bytes word, const char *const *words, size_t num) {
    for (size_t i = 0; i < num; i++) {
        if (bytes_equal(word, bytes_of_text(words[i]))) {
            return true;
        }
    }
    return false;
}

/* A path, which no command is: "/vmlinuz", "(hd0,gpt1)/vmlinuz"; but not "a=/b". */
static bool is_path(struct bytes word) {
    for (size_t i = 0; i < word.len; i++) {
        if (word.data[i] == '/') {
            return true;
        }
        if (word.data[i] == '=') {
            return false;
        }
    }
    return word.len > 0 && word.data[0] == '(';
}

bool grub_label_is(const struct fact_event *event, const char *name) {
    size_t len = event->data.len - event->bound.len;
    struct bytes label =
        bytes_of(event->data.data, event->bound.data == event->data.data ? 0 : len);
    const size_t name_len = strlen(name);
    for (; label.len >= name_len; label = bytes_of(label.data + 1, label.len - 1)) {
        if (memcmp(label.data, name, name_len) == 0) {
            return true;
        }
    }
    return false;
}

static enum status add_line(struct derivation *d, const struct fact_event *event, bool labelled,
                            struct bytes image, struct bytes text) {
    struct fact_os *os = &d->facts->os;
    struct fact_command_line *line = &os->command_line[os->num_command_lines++];
    *line = (struct fact_command_line){
        .event = event->index,
        .loader = FACT_LOADER_GRUB,
        .labelled = labelled,
        .text = arena_text_n(d->arena, (const char *)text.data, text.len),
        .image = arena_text_n(d->arena, (const char *)image.data, image.len)};
    return line->text == NULL || line->image == NULL ? STATUS_MEMORY : STATUS_OK;
}

static enum status take_grub_text(struct derivation *d, const struct fact_event *event,
                                  struct bytes text) {
    struct bytes rest = text, word = take_word(&rest);
    if (bytes_equal(word, bytes_of_text("!"))) {
        word = take_word(&rest);
    }
    if (grub_label_is(event, "kernel_cmdline")) {
        return add_line(d, event, true, word, rest);
    }
    if (is_word(word, loading, sizeof loading / sizeof *loading)) {
        struct bytes image = take_word(&rest);
        return add_line(d, event, false, image, rest);
    }
    return is_path(word) ? add_line(d, event, false, word, rest) : STATUS_OK;
}

static enum status take_wide_text(struct derivation *d, const struct fact_event *event) {
    struct fact_os *os = &d->facts->os;
    struct fact_command_line *line = &os->command_line[os->num_command_lines++];
    *line = (struct fact_command_line){.event = event->index,
                                       .loader = FACT_LOADER_SYSTEMD_STUB,
                                       .labelled = true,
                                       .text = utf16_text(d->arena, event->bound)};
    return line->text == NULL ? STATUS_MEMORY : STATUS_OK;
}

static enum status take_unknown(struct derivation *d, const struct fact_event *event,
                                enum fact_loader loader) {
    struct fact_os *os = &d->facts->os;
    os->command_line[os->num_command_lines++] = (struct fact_command_line){
        .event = event->index, .loader = loader, .text = FACT_TEXT_UNKNOWN};
    return STATUS_OK;
}

/* UTF-16 has zeros inside; GRUB's texts end with one at most. */
static bool is_wide(struct bytes data) {
    while (data.len > 0 && data.data[data.len - 1] == 0) {
        data.len--;
    }
    return data.len > 0 && memchr(data.data, 0, data.len) != NULL;
}

/* PCR 12: a text, unless it has the structure of Windows' and systemd's tagged events, or is Windows'
 * separator. What is not bound may be one. */
static enum status take_stub_text(struct derivation *d, const struct fact_event *event) {
    struct tcg_tagged tagged;
    if (event->data_vouched != VOUCHED_BOUND) {
        return take_unknown(d, event, FACT_LOADER_SYSTEMD_STUB);
    }
    return tcg_tagged_parse(&tagged, event->bound) == STATUS_OK ||
                   bytes_equal(event->bound, bytes_of_text("WBCL"))
               ? STATUS_OK
               : take_wide_text(d, event);
}

enum status take_loader_text(struct derivation *d, const struct fact_event *event) {
    struct bytes text = event->bound;
    if (event->pcr != GRUB_TEXT_PCR) {
        return take_stub_text(d, event);
    }
    if (event->data_vouched != VOUCHED_BOUND) {
        return take_unknown(d, event, FACT_LOADER_GRUB);
    }
    if (is_wide(text)) {
        return take_wide_text(d, event);
    }
    while (text.len > 0 && text.data[text.len - 1] == 0) {
        text.len--;
    }
    return take_grub_text(d, event, text);
}

/* --- the same line twice --------------------------------------------------------------------- */

static char next_unquoted(const char **text) {
    while (**text == '"' || **text == '\'' || **text == '\\') {
        (*text)++;
    }
    return **text == '\0' ? '\0' : *(*text)++;
}

static bool same_but_for_quotes(const char *a, const char *b) {
    char c;
    while ((c = next_unquoted(&a)) == next_unquoted(&b)) {
        if (c == '\0') {
            return true;
        }
    }
    return false;
}

static bool is_said_again(const struct fact_os *os, const struct fact_command_line *line) {
    for (size_t i = 0; i < os->num_command_lines; i++) {
        const struct fact_command_line *other = &os->command_line[i];
        if (other->labelled && other->image != NULL && line->image != NULL &&
            same_but_for_quotes(other->image, line->image) &&
            same_but_for_quotes(other->text, line->text)) {
            return true;
        }
    }
    return false;
}

/* A text that begins with a path is no command: it stays, whatever another one says. */
static bool is_command(const struct fact_event *event) {
    struct bytes text = event->bound;
    return !is_path(take_word(&text));
}

void drop_repeated_lines(struct derivation *d) {
    struct fact_os *os = &d->facts->os;
    size_t kept = 0;
    for (size_t i = 0; i < os->num_command_lines; i++) {
        const struct fact_command_line *line = &os->command_line[i];
        if (line->labelled || !is_command(&d->facts->event[line->event]) ||
            !is_said_again(os, line)) {
            os->command_line[kept++] = *line;
        }
    }
    os->num_command_lines = kept;
}
