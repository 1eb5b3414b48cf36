/* gatehouse baseline: learn one from evidence, check one, and write what is signed of one. */
#include "server/commands/baseline.h"
#include "server/appraisal/appraisal.h"
#include "server/appraisal/canonical.h"
#include "server/base/file.h"
#include "server/commands/commands.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int command_baseline(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "learn") == 0) {
        return baseline_command_learn(argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "check") == 0) {
        return baseline_command_check(argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "canonical") == 0) {
        return baseline_command_canonical(argc - 1, argv + 1);
    }
    return EXIT_USAGE;
}

/* --- check: what each family demands ------------------------------------------------------------ */

/* How many values a member allows: a list's length, or that of its any_of and matching. */
static size_t values_in(json_t *value) {
    return json_is_array(value) ? json_array_size(value)
                                : json_array_size(json_object_get(value, "any_of")) +
                                      json_array_size(json_object_get(value, "matching"));
}

static void print_steps(json_t *list) {
    size_t i;
    json_t *step;
    json_array_foreach(list, i, step) {
        const char *name = json_string_value(json_object_get(step, "name"));
        printf("%s %s (%zu)", i == 0 ? "" : ",", name == NULL ? "" : name, values_in(step));
    }
}

static void print_value(json_t *value) {
    if (json_is_string(value)) {
        printf(" %s", json_string_value(value));
    } else if (json_is_integer(value)) {
        printf(" %lld", (long long)json_integer_value(value));
    } else if (json_is_boolean(value)) {
        printf(" %s", json_is_true(value) ? "yes" : "no");
    } else {
        printf(" %zu", json_is_array(value) ? json_array_size(value) : json_object_size(value));
    }
}

static void print_family(const char *name, json_t *family) {
    const char *key;
    json_t *value;
    bool first = true;
    printf("%s:", name);
    if (json_is_array(family) && strcmp(name, "boot_chain") == 0) {
        print_steps(family);
    } else if (!json_is_object(family)) {
        print_value(family);
    }
    json_object_foreach(family, key, value) {
        printf("%s %s", first ? "" : ",", key);
        print_value(value);
        first = false;
    }
    putchar('\n');
}

static void print_demands(const struct baseline *baseline, json_t *root) {
    static const char *const head[] = {"schema", "model", "label", "bank"};
    struct pcr_selection selection;
    char quoted[PCR_SELECTION_TEXT] = "";
    const char *key;
    json_t *value;
    printf("model: %s\nlabel: %s\n", baseline_model(baseline), baseline_label(baseline));
    baseline_selection(baseline, &selection);
    pcr_selection_format(quoted, &selection);
    printf("PCRs to be quoted: %s\n", quoted);
    json_object_foreach(root, key, value) {
        bool known = false;
        for (size_t i = 0; i < sizeof head / sizeof *head; i++) {
            known = known || strcmp(key, head[i]) == 0;
        }
        if (!known) {
            print_family(key, value);
        }
    }
    if (json_object_get(root, "unlisted_pcrs") == NULL) {
        puts("unlisted_pcrs: report");
    }
}

static enum status check(const char *path, struct detail *detail) {
    uint8_t *text = NULL;
    size_t len = 0;
    struct baseline *baseline = NULL;
    enum status status = file_read(&text, &len, path, BASELINE_MAX_BYTES, detail);
    if (status != STATUS_OK) {
        return status;
    }
    status = baseline_compile(&baseline, bytes_of(text, len), NULL, detail);
    if (status == STATUS_OK) {
        json_t *root = json_loadb((const char *)text, len, 0, NULL);
        print_demands(baseline, root);
        json_decref(root);
    } else {
        detail_prefix(detail, "%s", path);
    }
    baseline_free(baseline);
    free(text);
    return status;
}

int baseline_command_check(int argc, char **argv) {
    struct detail detail = {0};
    if (argc != 2 || (argv[1][0] == '-' && argv[1][1] != '\0')) {
        return EXIT_USAGE;
    }
    if (check(argv[1], &detail) != STATUS_OK) {
        fprintf(stderr, "gatehouse baseline check: %s\n", detail.text);
        return EXIT_FAILURE;
    }
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* --- canonical: what a signature is over --------------------------------------------------------- */

static enum status write_canonical(const char *path, struct detail *detail) {
    __attribute__((cleanup(arena_free))) struct arena arena;
    uint8_t *text = NULL;
    size_t len = 0;
    struct baseline *baseline = NULL;
    struct bytes canonical;
    arena_init(&arena, 8 * (size_t)BASELINE_MAX_BYTES);
    enum status status = file_read(&text, &len, path, BASELINE_MAX_BYTES, detail);
    if (status != STATUS_OK) {
        return status;
    }
    status = baseline_compile(&baseline, bytes_of(text, len), NULL, detail);
    if (status == STATUS_OK) {
        status = canonical_json(&canonical, &arena, bytes_of(text, len), detail);
    }
    if (status != STATUS_OK) {
        detail_prefix(detail, "%s", path);
    } else if (fwrite(canonical.data, 1, canonical.len, stdout) != canonical.len) {
        status = status_fail(detail, STATUS_INTERNAL, "it could not be written");
    }
    baseline_free(baseline);
    free(text);
    return status;
}

int baseline_command_canonical(int argc, char **argv) {
    struct detail detail = {0};
    if (argc != 2 || (argv[1][0] == '-' && argv[1][1] != '\0')) {
        return EXIT_USAGE;
    }
    if (write_canonical(argv[1], &detail) != STATUS_OK) {
        fprintf(stderr, "gatehouse baseline canonical: %s\n", detail.text);
        return EXIT_FAILURE;
    }
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
