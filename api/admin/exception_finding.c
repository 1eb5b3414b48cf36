#include "api/admin/exception_finding.h"

#include "api/request.h"

#include <jansson.h>
#include <string.h>

/* These are no rule of a baseline. */
static bool is_of_a_baseline(const char *rule) {
    static const char *const others[] = {"evidence", "baseline", "tier"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(others[i], rule) == 0) {
            return false;
        }
    }
    return true;
}

static bool copy_text(char *out, size_t size, const json_t *value) {
    const char *text = json_string_value(value);
    if (text == NULL || strlen(text) >= size) {
        return false;
    }
    text_copy(out, size, text);
    return true;
}

static enum status copy_finding(struct exception_row *out, struct arena *arena,
                                const json_t *finding, struct detail *detail) {
    const json_t *pcr = json_object_get(finding, "pcr"), *found = json_object_get(finding, "found");
    const char *severity = json_string_value(json_object_get(finding, "severity"));
    struct exception_row row = *out;
    if (severity == NULL ||
        !copy_text(row.code, sizeof row.code, json_object_get(finding, "code")) ||
        !copy_text(row.rule, sizeof row.rule, json_object_get(finding, "rule"))) {
        return status_fail(detail, STATUS_STORAGE, "the appraisal is damaged");
    }
    if (strcmp(severity, "deny") != 0) {
        return status_fail(detail, STATUS_INVALID, "the finding denies nothing");
    }
    if (!is_of_a_baseline(row.rule)) {
        return status_fail(detail, STATUS_INVALID, "no exception may be made from %s", row.code);
    }
    if (json_is_string(found) && json_string_length(found) > EXCEPTION_FOUND_MAX) {
        return status_fail(detail, STATUS_INVALID, "what was found is too long");
    }
    row.pcr = json_is_integer(pcr) ? (int)json_integer_value(pcr) : -1;
    row.found = arena_text(arena, json_string_value(found));
    if (arena->overflow) {
        return status_fail(detail, STATUS_MEMORY, "no memory for the finding");
    }
    *out = row;
    return STATUS_OK;
}

enum status exception_take_finding(struct exception_row *out, struct arena *arena,
                                   const struct appraisal_row *appraisal, size_t index,
                                   struct detail *detail) {
    if (appraisal->failure[0] != '\0') {
        return status_fail(detail, STATUS_INVALID, "the evidence did not verify");
    }
    json_t *findings = json_loadb((const char *)appraisal->findings.data, appraisal->findings.len,
                                  JSON_REJECT_DUPLICATES, NULL);
    const json_t *finding = json_array_get(findings, index);
    enum status status =
        findings == NULL ? status_fail(detail, STATUS_STORAGE, "the appraisal is damaged")
        : finding == NULL
            ? status_fail(detail, STATUS_INVALID, "the appraisal has no finding %zu", index)
            : copy_finding(out, arena, finding, detail);
    json_decref(findings);
    return status;
}
