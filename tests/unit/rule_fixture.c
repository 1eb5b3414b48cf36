#include "tests/unit/rule_fixture.h"

#include <check.h>
#include <string.h>

enum { MOST = 256 };
struct arena rule_arena;
struct facts rule_facts;
struct appraisal rule_verdict;
const struct leaked_keys *rule_leaked_keys;

void rule_start(void) {
    arena_init(&rule_arena, 1 << 22);
    memset(&rule_facts, 0, sizeof rule_facts);
    rule_leaked_keys = NULL;
    rule_facts.num_banks = 1;
    rule_facts.bank[0].alg = HASH_SHA256;
    rule_facts.has_log = true;
    rule_facts.event = arena_array(&rule_arena, MOST, sizeof *rule_facts.event);
    rule_facts.image = arena_array(&rule_arena, MOST, sizeof *rule_facts.image);
    rule_facts.os.command_line = arena_array(&rule_arena, MOST, sizeof *rule_facts.os.command_line);
    rule_facts.os.file = arena_array(&rule_arena, MOST, sizeof *rule_facts.os.file);
    rule_facts.os.sbat_event = FACT_NO_EVENT;
    rule_facts.firmware.version_event = FACT_NO_EVENT;
    struct fact_secure_boot *boot = &rule_facts.secure_boot;
    boot->enabled_event = boot->distrusted_event = FACT_NO_EVENT;
    boot->platform_key.event = boot->key_exchange_keys.event = FACT_NO_EVENT;
    boot->db.event = boot->dbx.event = FACT_NO_EVENT;
}

void rule_end(void) {
    arena_free(&rule_arena);
}

void rule_quote(unsigned pcr, bool logged) {
    struct fact_pcr *to = &rule_facts.bank[0].pcr[pcr];
    to->quoted = true;
    to->logged = logged;
    memset(to->value, 0x50 + (int)pcr, 32);
}

struct bytes rule_digest(char digit) {
    uint8_t *digest = arena_alloc(&rule_arena, 32);
    ck_assert_ptr_nonnull(digest);
    memset(digest, 0x11 * (digit <= '9' ? digit - '0' : digit - 'a' + 10), 32);
    return bytes_of(digest, 32);
}

const struct bytes *rule_digests(char digit) {
    struct bytes *list = arena_array(&rule_arena, PCR_MAX_BANKS, sizeof *list);
    ck_assert_ptr_nonnull(list);
    list[0] = rule_digest(digit);
    return list;
}

uint32_t rule_event(unsigned pcr, uint32_t type, char digit, const char *text, bool bound) {
    size_t i = rule_facts.num_events++;
    ck_assert_uint_lt(i, MOST);
    rule_facts.event[i] = (struct fact_event){.index = (uint32_t)i,
                                              .pcr = pcr,
                                              .type = type,
                                              .digest_vouched = VOUCHED_REPLAYED,
                                              .digest = {rule_digest(digit)},
                                              .data = bytes_of_text(text)};
    if (bound) {
        rule_facts.event[i].data_vouched = VOUCHED_BOUND;
        rule_facts.event[i].bound = bytes_of_text(text);
    }
    return (uint32_t)i;
}

struct fact_image *rule_image(enum fact_image_kind kind, char digit) {
    struct fact_image *image = &rule_facts.image[rule_facts.num_images++];
    ck_assert_uint_le(rule_facts.num_images, MOST);
    *image = (struct fact_image){.event = rule_event(4, 0x80000003, digit, "", false),
                                 .kind = kind,
                                 .digest = rule_digests(digit)};
    return image;
}

struct fact_command_line *rule_command_line(enum fact_loader loader, const char *text) {
    static const unsigned pcr[] = {
        [FACT_LOADER_GRUB] = 8, [FACT_LOADER_SYSTEMD_STUB] = 12, [FACT_LOADER_LINUX_STUB] = 9};
    struct fact_command_line *line = &rule_facts.os.command_line[rule_facts.os.num_command_lines++];
    ck_assert_uint_le(rule_facts.os.num_command_lines, MOST);
    *line = (struct fact_command_line){.event = rule_event(pcr[loader], 0xD, '1', text, true),
                                       .loader = loader,
                                       .labelled = true,
                                       .text = text};
    return line;
}

struct fact_file *rule_file(char digit, const char *name, bool is_initrd) {
    struct fact_file *file = &rule_facts.os.file[rule_facts.os.num_files++];
    ck_assert_uint_le(rule_facts.os.num_files, MOST);
    *file = (struct fact_file){.event = rule_event(9, 0xD, digit, name, false),
                               .pcr = 9,
                               .digest = rule_digests(digit),
                               .name = name,
                               .is_initrd = is_initrd};
    return file;
}

static enum status compile(struct baseline **out, const char *members, const char **code,
                           struct detail *detail) {
    const char *json = arena_printf(&rule_arena,
                                    "{\"schema\":\"gatehouse/baseline/1\",\"model\":\"edge9\","
                                    "\"bank\":\"sha256\",%s}",
                                    members);
    ck_assert_ptr_nonnull(json);
    return baseline_compile(out, bytes_of_text(json), code, detail);
}

static struct baseline *compiled(const char *members) {
    struct baseline *baseline = NULL;
    struct detail detail = {0};
    ck_assert_msg(compile(&baseline, members, NULL, &detail) == STATUS_OK, "%s", detail.text);
    return baseline;
}

enum verdict rule_judge(const char *members) {
    struct baseline *baseline = compiled(members);
    const struct baseline *const baselines[] = {baseline};
    const struct appraisal_inputs inputs = {
        .baseline = baselines, .num_baselines = 1, .leaked_keys = rule_leaked_keys};
    ck_assert_int_eq(appraise(&rule_verdict, &rule_arena, &rule_facts, &inputs), STATUS_OK);
    baseline_free(baseline);
    return rule_verdict.verdict;
}

static bool is_listed(const char *code) {
    const char *const *at = finding_codes;
    while (*at != NULL && strcmp(*at, code) != 0) {
        at++;
    }
    return *at != NULL;
}

const char *rule_told(void) {
    const char *text = "";
    for (size_t i = 0; i < rule_verdict.num_findings; i++) {
        const struct finding *finding = &rule_verdict.finding[i];
        bool info = finding->severity == SEVERITY_INFO;
        ck_assert_msg(is_listed(finding->code), "%s is not listed", finding->code);
        ck_assert_ptr_nonnull(finding->remediation);
        ck_assert_ptr_null(strstr(finding->remediation, "(null)"));
        text =
            arena_printf(&rule_arena, "%s%s%s%s %d %d%s", text, i > 0 ? ", " : "", info ? "[" : "",
                         finding->code, finding->pcr, finding->event, info ? "]" : "");
        ck_assert_ptr_nonnull(text);
    }
    return text;
}

uint32_t rule_reads(const char *members) {
    struct baseline *baseline = compiled(members);
    struct pcr_selection selection;
    baseline_selection(baseline, &selection);
    baseline_free(baseline);
    return pcr_selection_mask(&selection, HASH_SHA256);
}

void rule_refused(const char *members, const char *code, const char *path) {
    struct baseline *baseline = NULL;
    struct detail detail = {0};
    const char *given = NULL;
    ck_assert_msg(compile(&baseline, members, &given, &detail) == STATUS_MALFORMED, "%s", members);
    ck_assert_ptr_null(baseline);
    ck_assert_str_eq(given, code);
    size_t len = strlen(path);
    ck_assert_msg(strncmp(detail.text, path, len) == 0 && detail.text[len] == ':', "%s: %s",
                  members, detail.text);
}
