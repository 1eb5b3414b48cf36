#include "server/evidence/tpm2/bound.h"
#include "server/evidence/tpm2/derive.h"
#include "server/evidence/tpm2/event_types.h"

#include <string.h>

/* What is looked for. */
struct search {
    struct arena *arena;
    enum hash_alg alg;
    struct bytes digest, data;
};

static bool is_hash_of(const struct search *s, struct bytes part) {
    uint8_t digest[DIGEST_MAX];
    digest_compute(s->alg, part, digest);
    return bytes_equal(s->digest, bytes_of(digest, digest_len(s->alg)));
}

static bool found(struct bytes *bound, const struct search *s, struct bytes part) {
    if (!is_hash_of(s, part)) {
        return false;
    }
    *bound = part;
    return true;
}

static struct bytes without_last(struct bytes in, size_t num) {
    return num > in.len ? bytes_of(NULL, 0) : bytes_of(in.data, in.len - num);
}

/* GRUB: "kernel_cmdline: /vmlinuz ro", of which the hash is that of "/vmlinuz ro"; older ones
 * without the colon, or with the text's final zero. */
static bool find_labelled(struct bytes *bound, struct bound_memory *memory,
                          const struct search *s) {
    const uint8_t *space = s->data.len == 0 ? NULL : memchr(s->data.data, ' ', s->data.len);
    struct bytes text = s->data, label;
    if (space == NULL || space == s->data.data ||
        bytes_take(&text, (size_t)(space - s->data.data) + 1, &label) != STATUS_OK ||
        !ascii_text(label, &label)) {
        return false;
    }
    bool ends_with_zero = text.len > 0 && text.data[text.len - 1] == 0;
    for (unsigned i = 0; i < (ends_with_zero ? 2 : 1); i++) {
        bool with_zero = memory->label_with_zero != (i == 1);
        if (found(bound, s, ends_with_zero && !with_zero ? without_last(text, 1) : text)) {
            memory->label_with_zero = ends_with_zero ? with_zero : memory->label_with_zero;
            return true;
        }
    }
    return false;
}

/* systemd-stub: the name of a section, logged as UTF-16, measured as ASCII with its zero. */
static bool find_narrow(struct bytes *bound, const struct search *s) {
    char *text = utf16_is_printable(s->data) ? utf16_text(s->arena, s->data) : NULL;
    return text != NULL && found(bound, s, bytes_of(text, strlen(text) + 1));
}

/* systemd-boot: UTF-16 whose last zero the log cuts in half; the stub with and without it. */
static bool find_wide(struct bytes *bound, const struct search *s) {
    uint8_t digest[DIGEST_MAX];
    if (s->data.len < 2 || s->data.data[1] != 0) {
        return false;
    }
    if (s->data.len % 2 == 1) {
        static const uint8_t zero = 0;
        digest_compute2(s->alg, s->data, bytes_of(&zero, 1), digest);
        if (bytes_equal(s->digest, bytes_of(digest, digest_len(s->alg)))) {
            *bound = s->data;
            return true;
        }
        return false;
    }
    struct bytes last = s->data, text;
    return bytes_take(&last, s->data.len - 2, &text) == STATUS_OK && bytes_all(last, 0) &&
           found(bound, s, text);
}

/* EV_EFI_VARIABLE_BOOT: older firmware measures the variable's value alone. Older shims log a byte
 * more behind a variable than they measure. */
static bool find_variable(struct bytes *bound, const struct search *s) {
    struct efi_variable variable;
    if (efi_variable_parse(&variable, s->data) != STATUS_OK) {
        return false;
    }
    return found(bound, s, variable.rest.len == 0 ? variable.data : without_last(s->data, 1));
}

static bool find_inner(struct bytes *bound, const struct search *s) {
    struct tcg_tagged tagged;
    return tcg_tagged_parse(&tagged, s->data) == STATUS_OK && found(bound, s, tagged.data);
}

bool find_bound(struct bytes *bound, struct bound_memory *memory, struct arena *arena,
                enum hash_alg alg, struct bytes digest, uint32_t type, struct bytes data) {
    struct search s = {arena, alg, digest, data};
    bool label_first = type == EV_IPL, variable_first = type == EV_EFI_VARIABLE_BOOT;
    return (label_first && find_labelled(bound, memory, &s)) ||
           (variable_first && find_variable(bound, &s)) || found(bound, &s, data) ||
           (!label_first && find_labelled(bound, memory, &s)) ||
           (!variable_first && find_variable(bound, &s)) || find_narrow(bound, &s) ||
           find_wide(bound, &s) || find_inner(bound, &s);
}
