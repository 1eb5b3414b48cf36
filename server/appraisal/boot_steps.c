#include "server/appraisal/boot_steps.h"

#include "server/appraisal/rule_text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { SHORT_DIGEST = 6, NUMBERED_STEPS = 256 };

const char *digest_short(struct arena *arena, struct bytes digest) {
    return hex_text(arena,
                    bytes_of(digest.data, digest.len < SHORT_DIGEST ? digest.len : SHORT_DIGEST));
}

const char *path_base(struct arena *arena, const char *path) {
    if (path == NULL) {
        return NULL;
    }
    const char *base = path;
    for (const char *at = path; *at != '\0'; at++) {
        if (*at == '/' || *at == '\\') {
            base = at + 1;
        }
    }
    char *out = *base == '\0' ? NULL : arena_text_n(arena, base, strnlen(base, BOOT_LABEL_MAX));
    for (char *at = out; at != NULL && *at != '\0'; at++) {
        if (*at < 0x20 || *at > 0x7E) {
            *at = '?';
        }
    }
    return out;
}

static bool begins(const char *text, const char *with) {
    return strncasecmp(text, with, strlen(with)) == 0;
}

/* What files are called by those who ship them. */
static const char *name_by_file(const char *base) {
    static const struct {
        const char *part, *name;
    } known[] = {
        {"shim", "shim"},      {"systemd-boot", "systemd-boot"},
        {"grub", "grub"},      {"mmx64", "mok-manager"},
        {"fbx64", "fallback"}, {"vmlinuz", "kernel"},
        {"bzimage", "kernel"}, {"bootmgfw", "windows-boot-manager"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcasestr(base, known[i].part) != NULL) {
            return known[i].name;
        }
    }
    return NULL;
}

/* The image that GRUB was told to boot, "/vmlinuz-6.1.0"; NULL: none. */
static const char *grub_kernel(const struct facts *facts) {
    for (size_t i = 0; i < facts->os.num_command_lines; i++) {
        if (facts->os.command_line[i].image != NULL) {
            return facts->os.command_line[i].image;
        }
    }
    return NULL;
}

/* BOOTX64.EFI is whatever lies there: shim, when the one that comes after it is what shim starts. */
static bool is_default_path(const char *base) {
    return begins(base, "boot") && strcasestr(base, ".efi") != NULL;
}

/* PCR 14 is shim's. */
static bool measures_mok(const struct facts *facts) {
    return facts->num_banks > 0 && facts->bank[0].pcr[14].logged;
}

static const char *version_of(const char *base) {
    const char *dash = begins(base, "vmlinuz-") ? strchr(base, '-') : NULL;
    return dash == NULL ? base : dash + 1;
}

static const char *name_step(struct arena *arena, const struct facts *facts, size_t position,
                             struct boot_step *step) {
    const char *base = path_base(arena, step->image->path), *kernel = grub_kernel(facts);
    const char *name = base == NULL ? NULL : name_by_file(base);
    step->label = base;
    if (name == NULL && base != NULL && position == 0 && is_default_path(base) &&
        (facts->os.sbat_event != FACT_NO_EVENT || measures_mok(facts))) {
        name = "shim";
    }
    /* GRUB and shim hand a kernel over from memory, without a path. */
    if (name == NULL && base == NULL && position > 0 && kernel != NULL) {
        name = "kernel";
        base = path_base(arena, kernel);
    }
    if (name != NULL && strcmp(name, "kernel") == 0 && base != NULL) {
        step->label = version_of(base);
    }
    return name;
}

/* The same name again gets a number. */
static void set_name(struct boot_step *steps, size_t position, const char *name) {
    size_t same = 0, len = name == NULL ? 0 : strlen(name);
    struct boot_step *step = &steps[position];
    if (name == NULL || position >= NUMBERED_STEPS) {
        (void)snprintf(step->name, sizeof step->name, "image-%zu", position + 1);
        return;
    }
    for (size_t i = 0; i < position; i++) {
        const char *other = steps[i].name;
        same += strncmp(other, name, len) == 0 &&
                        (other[len] == '\0' ||
                         (other[len] == '-' && other[len + 1] >= '0' && other[len + 1] <= '9'))
                    ? 1
                    : 0;
    }
    if (same == 0) {
        (void)snprintf(step->name, sizeof step->name, "%s", name);
    } else {
        (void)snprintf(step->name, sizeof step->name, "%s-%zu", name, same + 1);
    }
}

enum status boot_steps(struct boot_step **out, size_t *num, struct arena *arena,
                       const struct facts *facts, enum fact_image_kind kind) {
    struct boot_step *steps = arena_array(arena, facts->num_images, sizeof *steps);
    size_t n = 0;
    for (size_t i = 0; steps != NULL && i < facts->num_images; i++) {
        if (facts->image[i].kind != kind) {
            continue;
        }
        steps[n].image = &facts->image[i];
        const char *name = name_step(arena, facts, n, &steps[n]);
        if (kind == FACT_IMAGE_DRIVER) {
            (void)snprintf(steps[n].name, sizeof steps[n].name, "driver-%zu", n + 1);
        } else {
            set_name(steps, n, name);
        }
        n++;
    }
    if (arena->overflow) {
        return STATUS_MEMORY;
    }
    *out = steps;
    *num = n;
    return STATUS_OK;
}
