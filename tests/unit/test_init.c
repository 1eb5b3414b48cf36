/* gatehouse init, by running the real program; certificates are looked at with OpenSSL. */
#include "config/config.h"
#include "config/template.h"
#include "db/store.h"
#include "server/base/file.h"
#include "server/commands/folder.h"
#include "server/crypto/x509.h"

#include <check.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];
static char output[16384];

/* Runs a shell command; its exit status; what it printed is in `output`. */
static int shell(const char *format, ...) PRINTF_LIKE(1, 2);
static int shell(const char *format, ...) {
    char command[2048], whole[2304];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(command, sizeof command, format, args);
    va_end(args);
    ck_assert(len > 0 && (size_t)len < sizeof command);
    (void)snprintf(whole, sizeof whole, "exec 2>&1; %s", command);
    FILE *pipe = popen(whole, "r"); /* NOLINT(cert-env33-c): the commands are ours */
    ck_assert_ptr_nonnull(pipe);
    size_t n = fread(output, 1, sizeof output - 1, pipe);
    output[n] = '\0';
    int status = pclose(pipe);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static const char *program(void) {
    static char path[512];
    const char *build = getenv("BUILD");
    (void)snprintf(path, sizeof path, "%s/gatehouse", build != NULL ? build : "build");
    return path;
}

static const char *in_dir(const char *name) {
    static char path[8][256];
    static unsigned turn;
    turn++;
    (void)snprintf(path[turn % 8], sizeof path[0], "%s/%s", dir, name);
    return path[turn % 8];
}

static void make_dir(void) {
    (void)snprintf(dir, sizeof dir, "/tmp/test_init.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where) {
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

static void remove_dir(void) {
    (void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static bool exists(const char *name) {
    return access(in_dir(name), F_OK) == 0;
}

static unsigned mode_of(const char *name) {
    struct stat st;
    ck_assert_msg(stat(in_dir(name), &st) == 0, "%s is not there", name);
    return st.st_mode & 07777;
}

static void init_well(const char *arguments) {
    int code = shell("umask 000; %s init %s %s", program(), in_dir("g"), arguments);
    ck_assert_msg(code == 0, "%s", output);
}

/* It fails with `why`, and leaves nothing. */
static void init_fails(const char *arguments, int expected, const char *why) {
    int code = shell("%s init %s %s", program(), in_dir("g"), arguments);
    ck_assert_msg(code == expected, "ended with %d: %s", code, output);
    ck_assert_msg(strstr(output, why) != NULL, "said: %s", output);
    ck_assert_msg(!exists("g"), "something is left");
}

START_TEST(everything_is_there_and_only_for_its_owner) {
    static const char *const keys[] = {"ca/identity.key", "ca/access.key", "ca/results.key",
                                       "ca/events.key",   "ca/server.key", "ca/operators.key",
                                       "ca/proxies.key",  "server.key",    "admin.key",
                                       "proxy.key",       "gatehouse.ini", "gatehouse.db"};
    static const char *const certificates[] = {
        "ca/identity.pem", "ca/access.pem", "ca/server.pem", "ca/operators.pem",
        "ca/proxies.pem",  "server.pem",    "admin.pem",     "proxy.pem"};
    char name[64];
    init_well("");
    ck_assert_uint_eq(mode_of("g"), 0700);
    ck_assert_uint_eq(mode_of("g/ca"), 0700);
    ck_assert_uint_eq(mode_of("g/trust"), 0700);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        (void)snprintf(name, sizeof name, "g/%s", keys[i]);
        ck_assert_msg(mode_of(name) == 0600, "%s has mode %o", name, mode_of(name));
    }
    for (size_t i = 0; i < sizeof certificates / sizeof certificates[0]; i++) {
        (void)snprintf(name, sizeof name, "g/%s", certificates[i]);
        ck_assert_msg(mode_of(name) == 0644, "%s has mode %o", name, mode_of(name));
    }
    ck_assert_msg(strstr(output, "gatehouse serve --config ") != NULL, "%s", output);
}
END_TEST

START_TEST(openssl_verifies_each_certificate_strictly_and_by_its_own_authority_only) {
    static const struct {
        const char *leaf, *authority, *purpose;
    } chains[] = {{"server", "server", "sslserver"},
                  {"admin", "operators", "sslclient"},
                  {"proxy", "proxies", "sslclient"}};
    static const char *const authorities[] = {"identity", "access", "server", "operators",
                                              "proxies"};
    init_well("");
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 5; j++) {
            int code =
                shell("openssl verify -x509_strict -purpose %s -CAfile %s/ca/%s.pem %s/%s.pem",
                      chains[i].purpose, in_dir("g"), authorities[j], in_dir("g"), chains[i].leaf);
            bool own = strcmp(authorities[j], chains[i].authority) == 0;
            ck_assert_msg((code == 0) == own, "%s by %s: %s", chains[i].leaf, authorities[j],
                          output);
        }
    }
    for (size_t j = 0; j < 5; j++) {
        int code = shell("openssl verify -x509_strict -check_ss_sig -CAfile %s/ca/%s.pem "
                         "%s/ca/%s.pem",
                         in_dir("g"), authorities[j], in_dir("g"), authorities[j]);
        ck_assert_msg(code == 0, "%s: %s", authorities[j], output);
    }
}
END_TEST

START_TEST(a_certificate_is_not_good_for_another_purpose) {
    init_well("");
    ck_assert_int_ne(
        shell("openssl verify -x509_strict -purpose sslclient -CAfile %s/ca/server.pem "
              "%s/server.pem",
              in_dir("g"), in_dir("g")),
        0);
    ck_assert_int_ne(shell("openssl verify -x509_strict -purpose sslserver -CAfile "
                           "%s/ca/operators.pem %s/admin.pem",
                           in_dir("g"), in_dir("g")),
                     0);
}
END_TEST

START_TEST(each_key_fits_its_certificate_and_no_two_are_alike) {
    static const char *const pairs[] = {"ca/identity", "ca/access", "ca/server", "ca/operators",
                                        "ca/proxies",  "server",    "admin",     "proxy"};
    enum { NUM = sizeof pairs / sizeof pairs[0] };
    static char seen[NUM][512];
    init_well("");
    for (size_t i = 0; i < NUM; i++) {
        ck_assert_int_eq(shell("openssl pkey -in %s/%s.key -pubout", in_dir("g"), pairs[i]), 0);
        (void)snprintf(seen[i], sizeof seen[i], "%.500s", output);
        ck_assert_int_eq(shell("openssl x509 -in %s/%s.pem -noout -pubkey", in_dir("g"), pairs[i]),
                         0);
        ck_assert_str_eq(seen[i], output);
        for (size_t j = 0; j < i; j++) {
            ck_assert_str_ne(seen[i], seen[j]);
        }
    }
}
END_TEST

START_TEST(the_hosts_are_in_the_servers_certificate_and_no_others) {
    init_well("--host gw.example.org --host 192.0.2.7 --host 2001:db8::7");
    ck_assert_int_eq(
        shell("openssl x509 -in %s/server.pem -noout -ext subjectAltName", in_dir("g")), 0);
    ck_assert_ptr_nonnull(strstr(output, "DNS:gw.example.org, IP Address:192.0.2.7, "
                                         "IP Address:2001:DB8:0:0:0:0:0:7"));
    ck_assert_ptr_null(strstr(output, "localhost"));
}
END_TEST

static struct config *written_config(void) {
    struct config *config = NULL;
    struct detail detail = {0};
    enum status status = config_load(&config, in_dir("g/gatehouse.ini"), NULL, NULL, &detail);
    ck_assert_msg(status == STATUS_OK, "%s", detail.text);
    return config;
}

START_TEST(the_configuration_says_what_was_asked_for) {
    init_well("--trust-domain fleet.example --listen 192.0.2.1:9000 "
              "--public-url http://pki.example:9004");
    struct config *config = written_config();
    ck_assert_str_eq(config->plane[PLANE_PUBLIC].url, "http://pki.example:9004");
    ck_assert_str_eq(config->trust_domain, "fleet.example");
    ck_assert(!config->plane[PLANE_ENROL].enabled && config->num_ek_trust == 0);
    ck_assert_str_eq(config->plane[PLANE_DEVICE].listen[0], "192.0.2.1:9001");
    ck_assert_str_eq(config->plane[PLANE_PUBLIC].listen[0], "192.0.2.1:9004");
    ck_assert_int_eq(access(config->access_key, R_OK), 0);
    ck_assert_int_eq(access(config->plane[PLANE_ADMIN].anchors, R_OK), 0);
    config_free(config);
}
END_TEST

static const struct {
    const char *argument, *device;
} listens[] = {
    {"--listen 0.0.0.0", "0.0.0.0:8442"},    {"--listen ::", "[::]:8442"},
    {"--listen [::1]", "[::1]:8442"},        {"--listen [::1]:100", "[::1]:101"},
    {"--listen 127.0.0.1:0", "127.0.0.1:0"}, {"", "127.0.0.1:8442"},
    {"--listen [0::0]:65530", "[::]:65531"},
};

START_TEST(an_address_is_taken_with_and_without_a_port) {
    init_well(listens[_i].argument);
    struct config *config = written_config();
    ck_assert_str_eq(config->plane[PLANE_DEVICE].listen[0], listens[_i].device);
    config_free(config);
}
END_TEST

START_TEST(vendors_are_copied_and_open_the_enrol_plane) {
    init_well("");
    ck_assert_int_eq(shell("cp %s/ca/server.pem %s; cp %s/ca/access.pem %s", in_dir("g"),
                           in_dir("one.pem"), in_dir("g"), in_dir("two.pem")),
                     0);
    ck_assert_int_eq(shell("%s init %s --ek-trust %s --ek-trust %s", program(), in_dir("h"),
                           in_dir("one.pem"), in_dir("two.pem")),
                     0);
    ck_assert_uint_eq(mode_of("h/trust/ek.pem"), 0644);
    struct config *config = NULL;
    ck_assert_int_eq(config_load(&config, in_dir("h/gatehouse.ini"), NULL, NULL, NULL), STATUS_OK);
    ck_assert(config->plane[PLANE_ENROL].enabled);
    uint8_t *pem = NULL;
    size_t len = 0;
    struct trust_bundle *bundle = NULL;
    ck_assert_int_eq(file_read(&pem, &len, config->ek_trust[0], 100000, NULL), STATUS_OK);
    ck_assert_int_eq(trust_bundle_new(&bundle, bytes_of(pem, len), NULL), STATUS_OK);
    ck_assert_uint_eq(trust_bundle_count(bundle), 2);
    trust_bundle_free(bundle);
    free(pem);
    config_free(config);
}
END_TEST

/* The SHA-256 of NAME.pem's certificate. */
static void hash_of(const char *name, uint8_t sha256[static 32]) {
    struct arena arena;
    struct bytes der;
    size_t num = 0, len = 0;
    uint8_t *pem = NULL;
    arena_init(&arena, 65536);
    ck_assert_int_eq(file_read(&pem, &len, in_dir(name), 65536, NULL), STATUS_OK);
    ck_assert_int_eq(pem_certificates(&arena, &der, &num, 1, bytes_of(pem, len), NULL), STATUS_OK);
    digest_compute(HASH_SHA256, der, sha256);
    free(pem);
    arena_free(&arena);
}

START_TEST(the_store_knows_the_first_administrator_and_the_proxy) {
    struct store *store = NULL;
    struct store_reader *reader = NULL;
    struct operator_row operator;
    struct proxy_row proxy;
    struct arena arena;
    struct audit_row *audit = NULL;
    size_t num = 0;
    uint8_t sha256[32];
    init_well("");
    ck_assert_int_eq(store_open(&store, in_dir("g/gatehouse.db"), NULL), STATUS_OK);
    ck_assert_int_eq(store_reader_new(&reader, store, NULL), STATUS_OK);
    ck_assert_int_eq(store_operator_get(reader, &operator, "admin"), STATUS_OK);
    ck_assert_str_eq(operator.role, "admin");
    ck_assert(!operator.disabled);
    hash_of("g/admin.pem", sha256);
    ck_assert_uint_eq(operator.num_certificates, 1);
    ck_assert_mem_eq(operator.certificate[0].sha256, sha256, 32);
    ck_assert_int_gt(operator.certificate[0].not_after, 0);
    ck_assert_int_eq(store_proxy_get(reader, &proxy, "proxy"), STATUS_OK);
    hash_of("g/proxy.pem", sha256);
    ck_assert_mem_eq(proxy.certificate_sha256, sha256, 32);
    arena_init(&arena, 1U << 20);
    ck_assert_int_eq(store_audit_list(reader, &arena, &audit, &num, 0, 10), STATUS_OK);
    ck_assert_uint_eq(num, 2);
    ck_assert_str_eq(audit[0].actor, "system");
    ck_assert_str_eq(audit[0].action, "operator.create");
    ck_assert_str_eq(audit[1].object, "proxy:proxy");
    arena_free(&arena);
    store_reader_free(reader);
    store_close(store);
}
END_TEST

START_TEST(a_store_elsewhere_is_made_and_named) {
    char argument[300];
    (void)snprintf(argument, sizeof argument, "--store %s", in_dir("state.db"));
    init_well(argument);
    ck_assert_uint_eq(mode_of("state.db"), 0600);
    ck_assert(!exists("g/gatehouse.db"));
    struct config *config = written_config();
    ck_assert_str_eq(config->store_path, in_dir("state.db"));
    config_free(config);
}
END_TEST

START_TEST(a_store_elsewhere_goes_with_the_rest_when_something_fails) {
    char argument[300];
    (void)snprintf(argument, sizeof argument, "--store %s/%0*d", dir, 190, 0);
    init_fails(argument, 1, "gatehouse.ini:"); /* its line of the configuration is too long */
    ck_assert_int_eq(shell("ls -A %s", dir), 0);
    ck_assert_str_eq(output, "");
}
END_TEST

START_TEST(a_store_that_is_there_is_refused_and_kept) {
    char argument[300];
    ck_assert_int_eq(file_create(in_dir("state.db"), 0600, bytes_of_text("mine"), NULL), STATUS_OK);
    (void)snprintf(argument, sizeof argument, "--store %s", in_dir("state.db"));
    init_fails(argument, 1, "is already there");
    ck_assert_int_eq(shell("cat %s", in_dir("state.db")), 0);
    ck_assert_str_eq(output, "mine");
}
END_TEST

START_TEST(a_second_run_is_refused_and_changes_nothing) {
    init_well("");
    ck_assert_int_eq(
        shell("cd %s && find . -type f -exec sha256sum {} + | sort > ../before", in_dir("g")), 0);
    ck_assert_int_eq(shell("%s init %s", program(), in_dir("g")), 1);
    ck_assert_ptr_nonnull(strstr(output, "is not empty"));
    ck_assert_int_eq(
        shell("cd %s && find . -type f -exec sha256sum {} + | sort | cmp - ../before", in_dir("g")),
        0);
}
END_TEST

START_TEST(a_folder_with_anything_in_it_is_refused_and_left_as_it_was) {
    ck_assert_int_eq(mkdir(in_dir("g"), 0755), 0);
    ck_assert_int_eq(file_create(in_dir("g/mine"), 0600, bytes_of_text("x"), NULL), STATUS_OK);
    ck_assert_int_eq(shell("%s init %s", program(), in_dir("g")), 1);
    ck_assert_uint_eq(mode_of("g"), 0755);
    ck_assert_int_eq(shell("ls -A %s", in_dir("g")), 0);
    ck_assert_str_eq(output, "mine\n");
}
END_TEST

START_TEST(an_empty_folder_is_taken_over_for_its_owner) {
    ck_assert_int_eq(mkdir(in_dir("g"), 0755), 0);
    ck_assert_int_eq(mkdir(in_dir("g/lost+found"), 0700), 0);
    init_well("");
    ck_assert_uint_eq(mode_of("g"), 0700);
}
END_TEST

START_TEST(an_empty_folder_is_given_back_when_something_fails) {
    ck_assert_int_eq(mkdir(in_dir("g"), 0755), 0);
    ck_assert_int_eq(shell("%s init %s --host 'not a name'", program(), in_dir("g")), 1);
    ck_assert_int_eq(shell("ls -A %s", in_dir("g")), 0);
    ck_assert_str_eq(output, "");
    ck_assert_uint_eq(mode_of("g"), 0755);
}
END_TEST

static const struct {
    const char *arguments;
    int code;
    const char *why;
} refusals[] = {
    {"--trust-domain Fleet.Example", 1, "gatehouse init: --trust-domain: \"Fleet.Example\" is not"},
    {"--trust-domain ''", 1, "--trust-domain: "},
    {"--host 'a b'", 1, "gatehouse init: --host: "},
    {"--host gw.example --host -x-", 1, "gatehouse init: --host: "},
    {"--host ''", 1, "gatehouse init: --host: "},
    {"--listen localhost", 1, "gatehouse init: --listen: \"localhost\" is not an address"},
    {"--listen 127.0.0.1:x", 1, "--listen: "},
    {"--listen 127.0.0.1:65535", 1, "--listen: "},
    {"--listen unix:/tmp/x", 1, "--listen: "},
    {"--listen ''", 1, "--listen: "},
    {"--listen [::1", 1, "--listen: "},
    {"--ek-trust /nowhere.pem", 1, "cannot open /nowhere.pem"},
    {"--ek-trust /dev/null", 1, "--ek-trust /dev/null: "},
    {"--ek-trust /etc/passwd", 1, "--ek-trust /etc/passwd: "},
    {"--public-url pki.example", 1, "gatehouse init: --public-url: \"pki.example\" is not a URL"},
    {"--public-url ''", 1, "--public-url: "},
    {"--public-url http://a --public-url http://b", 2, "usage: gatehouse init DIR"},
    {"--store relative.db", 1, "--store: \"relative.db\" is not an absolute path"},
    {"--store /nowhere/g.db", 1, "/nowhere/g.db"},
    {"--force", 2, "usage: gatehouse init DIR"},
    {"--host", 2, "usage: gatehouse init DIR"},
    {"--listen 127.0.0.1 --listen ::1", 2, "usage: gatehouse init DIR"},
    {"--trust-domain a --trust-domain b", 2, "usage: gatehouse init DIR"},
    {"another", 2, "usage: gatehouse init DIR"},
    {"''", 2, "usage: gatehouse init DIR"},
    {"--host a --host b --host c --host d --host e --host f --host g --host h --host i", 2,
     "usage: gatehouse init DIR"},
};

START_TEST(what_cannot_be_is_refused_and_leaves_nothing) {
    init_fails(refusals[_i].arguments, refusals[_i].code, refusals[_i].why);
}
END_TEST

START_TEST(a_full_disk_leaves_nothing) {
    /* Each limit stops it at another file: keys, certificates, store, configuration. */
    static const unsigned blocks[] = {0, 1, 4, 8, 100, 200}; /* of 512 bytes */
    int code = shell("trap '' XFSZ; ulimit -f %u; %s init %s", blocks[_i], program(), in_dir("g"));
    ck_assert_msg(code == 1, "ended with %d: %s", code, output);
    ck_assert_msg(!exists("g"), "something is left: %s", output);
}
END_TEST

START_TEST(a_folder_below_nothing_is_refused) {
    ck_assert_int_eq(shell("%s init %s/no/where", program(), dir), 1);
    ck_assert_ptr_nonnull(strstr(output, "cannot make"));
}
END_TEST

START_TEST(a_file_in_the_folders_place_is_refused) {
    ck_assert_int_eq(file_create(in_dir("g"), 0600, bytes_of_text("x"), NULL), STATUS_OK);
    ck_assert_int_eq(shell("%s init %s", program(), in_dir("g")), 1);
    ck_assert(exists("g"));
}
END_TEST

START_TEST(undo_leaves_what_others_put_there) {
    struct folder folder;
    ck_assert_int_eq(folder_open(&folder, in_dir("f"), NULL), STATUS_OK);
    ck_assert_int_eq(folder_add_folder(&folder, "sub", NULL), STATUS_OK);
    ck_assert_int_eq(folder_add_file(&folder, "sub/ours", 0600, bytes_of_text("x"), NULL),
                     STATUS_OK);
    ck_assert_int_eq(folder_expect(&folder, in_dir("f/never-made"), NULL), STATUS_OK);
    ck_assert_int_eq(file_create(in_dir("f/theirs"), 0600, bytes_of_text("x"), NULL), STATUS_OK);
    ck_assert_int_eq(folder_add_file(&folder, "theirs", 0600, bytes_of_text("y"), NULL),
                     STATUS_CONFLICT);
    folder_undo(&folder);
    ck_assert(!exists("f/sub"));
    ck_assert(exists("f/theirs"));
}
END_TEST

START_TEST(the_template_is_the_annotated_file) {
    uint8_t *text = NULL;
    size_t len = 0;
    ck_assert_int_eq(file_read(&text, &len, "config/gatehouse.ini", 100000, NULL), STATUS_OK);
    ck_assert(bytes_equal(config_template(), bytes_of(text, len)));
    free(text);
}
END_TEST

START_TEST(a_value_without_its_line_is_refused) {
    static const struct template_value wrong[] = {{"gateway", "nothing", "x"},
                                                  {"nowhere", "trust_domain", "x"},
                                                  {"device", "trust_domain", "x"},
                                                  {"gateway", "trust", "x"},
                                                  {"gateway", "", "x"}};
    char text[32768];
    struct writer out = writer_of(text, sizeof text);
    ck_assert_int_eq(template_fill(&out, &wrong[_i], 1, NULL), STATUS_NOT_FOUND);
    const struct template_value twice[] = {{"store", "path", "a"}, {"store", "path", "b"}};
    out = writer_of(text, sizeof text);
    ck_assert_int_eq(template_fill(&out, twice, 2, NULL), STATUS_NOT_FOUND);
}
END_TEST

START_TEST(a_template_that_does_not_fit_is_refused) {
    char text[100];
    struct writer out = writer_of(text, sizeof text);
    ck_assert_int_eq(template_fill(&out, NULL, 0, NULL), STATUS_LIMIT);
}
END_TEST

START_TEST(unknown_commands_and_wrong_use_end_with_two) {
    static const char *const wrong[] = {"",
                                        "unknown",
                                        "version extra",
                                        "help unknown",
                                        "help a b",
                                        "serve",
                                        "serve --config",
                                        "serve gatehouse.ini",
                                        "serve --config a --config b",
                                        "serve --config a --bogus b",
                                        "check-config",
                                        "check-config a",
                                        "check-config --config a b",
                                        "init"};
    ck_assert_msg(shell("%s %s", program(), wrong[_i]) == 2, "%s: %s", wrong[_i], output);
    ck_assert_str_ne(output, "");
}
END_TEST

START_TEST(help_tells_of_each_command) {
    static const char *const names[] = {"init",     "serve",   "check-config", "inspect",
                                        "appraise", "version", "help"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ck_assert_int_eq(shell("%s help", program()), 0);
        ck_assert_ptr_nonnull(strstr(output, names[i]));
        ck_assert_int_eq(shell("%s help %s", program(), names[i]), 0);
        ck_assert_ptr_nonnull(strstr(output, "usage: gatehouse "));
    }
    ck_assert_int_eq(shell("%s version", program()), 0);
    ck_assert_str_eq(output, "gatehouse " GATEHOUSE_VERSION "\n");
}
END_TEST

START_TEST(check_config_tells_of_every_mistake) {
    init_well("");
    ck_assert_int_eq(shell("%s check-config --config %s", program(), in_dir("g/gatehouse.ini")), 0);
    ck_assert_int_eq(
        shell("printf '[nowhere]\\n[log]\\nlevel = x\\n' >> %s; %s check-config --config %s",
              in_dir("g/gatehouse.ini"), program(), in_dir("g/gatehouse.ini")),
        1);
    ck_assert_ptr_nonnull(strstr(output, ": [nowhere]: there is no such section\n"));
    ck_assert_ptr_nonnull(strstr(output, ": log.level: \"x\" is none of"));
    ck_assert_int_eq(shell("GATEHOUSE_LOG_FORM=xml %s check-config --config %s", program(),
                           in_dir("g/gatehouse.ini")),
                     1);
    ck_assert_ptr_nonnull(strstr(output, "GATEHOUSE_LOG_FORM: log.form: \"xml\" is none of"));
}
END_TEST

START_TEST(check_config_names_files_that_cannot_be_read) {
    init_well("");
    ck_assert_int_eq(unlink(in_dir("g/server.key")), 0);
    ck_assert_int_eq(unlink(in_dir("g/ca/access.pem")), 0);
    ck_assert_int_eq(shell("%s check-config --config %s", program(), in_dir("g/gatehouse.ini")), 1);
    ck_assert_ptr_nonnull(strstr(output, "signer.access_certificate: "));
    ck_assert_ptr_nonnull(strstr(output, "device.key: "));
    ck_assert_ptr_nonnull(strstr(output, "admin.key: "));
    ck_assert_ptr_null(strstr(output, "enrol.key: "));
}
END_TEST

#define NUM(table) ((int)(sizeof(table) / sizeof(table)[0]))

int main(void) {
    TCase *tests = tcase_create("init");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, make_dir, remove_dir);
    tcase_add_test(tests, everything_is_there_and_only_for_its_owner);
    tcase_add_test(tests, openssl_verifies_each_certificate_strictly_and_by_its_own_authority_only);
    tcase_add_test(tests, a_certificate_is_not_good_for_another_purpose);
    tcase_add_test(tests, each_key_fits_its_certificate_and_no_two_are_alike);
    tcase_add_test(tests, the_hosts_are_in_the_servers_certificate_and_no_others);
    tcase_add_test(tests, the_configuration_says_what_was_asked_for);
    tcase_add_loop_test(tests, an_address_is_taken_with_and_without_a_port, 0, NUM(listens));
    tcase_add_test(tests, vendors_are_copied_and_open_the_enrol_plane);
    tcase_add_test(tests, the_store_knows_the_first_administrator_and_the_proxy);
    tcase_add_test(tests, a_store_elsewhere_is_made_and_named);
    tcase_add_test(tests, a_store_elsewhere_goes_with_the_rest_when_something_fails);
    tcase_add_test(tests, a_store_that_is_there_is_refused_and_kept);
    tcase_add_test(tests, a_second_run_is_refused_and_changes_nothing);
    tcase_add_test(tests, a_folder_with_anything_in_it_is_refused_and_left_as_it_was);
    tcase_add_test(tests, an_empty_folder_is_taken_over_for_its_owner);
    tcase_add_test(tests, an_empty_folder_is_given_back_when_something_fails);
    tcase_add_loop_test(tests, what_cannot_be_is_refused_and_leaves_nothing, 0, NUM(refusals));
    tcase_add_loop_test(tests, a_full_disk_leaves_nothing, 0, 6);
    tcase_add_test(tests, a_folder_below_nothing_is_refused);
    tcase_add_test(tests, a_file_in_the_folders_place_is_refused);
    tcase_add_test(tests, undo_leaves_what_others_put_there);
    tcase_add_test(tests, the_template_is_the_annotated_file);
    tcase_add_loop_test(tests, a_value_without_its_line_is_refused, 0, 5);
    tcase_add_test(tests, a_template_that_does_not_fit_is_refused);
    tcase_add_loop_test(tests, unknown_commands_and_wrong_use_end_with_two, 0, 14);
    tcase_add_test(tests, help_tells_of_each_command);
    tcase_add_test(tests, check_config_tells_of_every_mistake);
    tcase_add_test(tests, check_config_names_files_that_cannot_be_read);
    Suite *suite = suite_create("init");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
