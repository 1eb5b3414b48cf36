#include "server/fleet/audit_verify.h"
#include "server/base/file.h"
#include "server/commands/audit.h"
#include "server/commands/commands.h"
#include "server/crypto/x509.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { AUTHORITIES_MAX = 16, AUTHORITY_FILE_MAX = 256 << 10, HASH_LEN = 64 };
enum { BUFFER_FIRST = 1 << 20, LINE_MAX_BYTES = 64 << 20, PRINT_ARENA = 65536 };

struct options {
    const char *file, *store, *config, *authority;
    struct audit_expectation expected;
    struct audit_authority authorities[AUTHORITIES_MAX];
};

/* --- options -------------------------------------------------------------------------------- */

static bool is_hash(const char *text) {
    return strlen(text) == HASH_LEN && strspn(text, "0123456789abcdef") == HASH_LEN;
}

static bool take_option(struct options *o, const char *name, const char *value) {
    if (strcmp(name, "--expect-seq") == 0) {
        return audit_read_seq(value, &o->expected.seq) && o->expected.seq > 0;
    }
    if (strcmp(name, "--expect-hash") == 0) {
        o->expected.hash = value;
        return is_hash(value);
    }
    const char **text = strcmp(name, "--store") == 0          ? &o->store
                        : strcmp(name, "--config") == 0       ? &o->config
                        : strcmp(name, "--authority") == 0    ? &o->authority
                        : strcmp(name, "--trust-domain") == 0 ? &o->expected.trust_domain
                                                              : NULL;
    if (text == NULL || *text != NULL) {
        return false;
    }
    *text = value;
    return true;
}

static bool parse(struct options *o, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0) {
            if (o->file != NULL) {
                return false;
            }
            o->file = argv[i];
        } else {
            if (i + 1 >= argc || !take_option(o, argv[i], argv[i + 1])) {
                return false;
            }
            i++;
        }
    }
    return (o->file != NULL) + (o->store != NULL) + (o->config != NULL) == 1;
}

static enum status add_authority(struct options *o, struct bytes der, struct detail *detail) {
    struct certificate certificate;
    enum status status = certificate_parse(&certificate, der, detail);
    if (status == STATUS_OK && certificate.key.kind == KEY_NONE) {
        status = status_fail(detail, STATUS_UNSUPPORTED, "a key of a kind that does not sign");
    }
    if (status == STATUS_OK) {
        struct audit_authority *authority = &o->authorities[o->expected.num_authorities++];
        memcpy(authority->sha256, certificate.sha256, sizeof authority->sha256);
        authority->key = certificate.key;
    }
    return status;
}

static enum status load_authorities(struct options *o, struct detail *detail) {
    struct arena arena;
    struct bytes der[AUTHORITIES_MAX];
    uint8_t *pem = NULL;
    size_t len = 0, num = 0;
    arena_init(&arena, 2 * AUTHORITY_FILE_MAX);
    enum status status = file_read(&pem, &len, o->authority, AUTHORITY_FILE_MAX, detail);
    if (status == STATUS_OK) {
        status = pem_certificates(&arena, der, &num, AUTHORITIES_MAX, bytes_of(pem, len), detail);
        for (size_t i = 0; i < num && status == STATUS_OK; i++) {
            status = add_authority(o, der[i], detail);
        }
        if (status != STATUS_OK) {
            detail_prefix(detail, "%s", o->authority);
        }
    }
    o->expected.authority = o->authorities;
    arena_free(&arena);
    free(pem);
    return status;
}

/* --- lines ---------------------------------------------------------------------------------- */

/* Whole lines; *used is how much of `text` they were. */
static enum status take_lines(struct audit_verifier *v, struct bytes text, size_t *used) {
    enum status status = STATUS_OK;
    struct bytes rest = text, line, end;
    while (status == STATUS_OK && rest.len > 0) {
        const uint8_t *newline = memchr(rest.data, '\n', rest.len);
        if (newline == NULL ||
            bytes_take(&rest, (size_t)(newline - rest.data), &line) != STATUS_OK ||
            bytes_take(&rest, 1, &end) != STATUS_OK) {
            break;
        }
        status = audit_verifier_line(v, line, true);
    }
    *used = text.len - rest.len;
    return status;
}

struct input {
    int fd;
    uint8_t *data;
    size_t len, cap;
};

/* Reads once; grows when a line does not fit. END at the end. */
static enum status fill(struct input *in, struct detail *detail) {
    if (in->len == in->cap) {
        size_t cap = in->cap == 0 ? BUFFER_FIRST : 2 * in->cap;
        uint8_t *data = cap > LINE_MAX_BYTES ? NULL : realloc(in->data, cap);
        if (data == NULL) {
            return status_fail(detail, STATUS_LIMIT, "a line is too long");
        }
        in->data = data;
        in->cap = cap;
    }
    ssize_t n;
    do {
        n = read(in->fd, in->data + in->len, in->cap - in->len);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return status_fail(detail, STATUS_INTERNAL, "cannot read: %s", strerror(errno));
    }
    in->len += (size_t)n;
    return n == 0 ? STATUS_END : STATUS_OK;
}

static enum status read_lines(struct audit_verifier *v, struct input *in, struct detail *detail) {
    enum status status = STATUS_OK;
    while (status == STATUS_OK) {
        size_t used = 0;
        status = fill(in, detail);
        if (status == STATUS_OK) {
            status = take_lines(v, bytes_of(in->data, in->len), &used);
            in->len -= used;
            memmove(in->data, in->data + used, in->len);
        }
    }
    if (status == STATUS_END && in->len > 0) {
        status = audit_verifier_line(v, bytes_of(in->data, in->len), false);
    }
    return status == STATUS_END ? STATUS_OK : status;
}

static enum status verify_file(struct audit_verifier *v, const char *path, struct detail *detail) {
    bool standard = strcmp(path, "-") == 0;
    struct input in = {.fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)};
    if (in.fd < 0) {
        return status_fail(detail, STATUS_NOT_FOUND, "cannot open %s: %s", path, strerror(errno));
    }
    enum status status = read_lines(v, &in, detail);
    free(in.data);
    if (!standard) {
        (void)close(in.fd);
    }
    return status;
}

/* --- a store -------------------------------------------------------------------------------- */

static bool take_page(void *context, struct bytes lines) {
    size_t used;
    return take_lines(context, lines, &used) == STATUS_OK;
}

/* A checkpoint beyond the last entry: the end was cut off. */
static enum status check_end(struct audit_verifier *v, int64_t checkpoint) {
    if (v->fault != AUDIT_WHOLE || checkpoint <= v->summary.last_seq) {
        return STATUS_OK;
    }
    return audit_verifier_break(v, AUDIT_ENDS_EARLY, v->summary.last_seq + 1,
                                "it ends with entry %lld, and there is a checkpoint of %lld",
                                (long long)v->summary.last_seq, (long long)checkpoint);
}

static enum status verify_store(struct audit_verifier *v, const struct options *o,
                                struct detail *detail) {
    struct audit_store store;
    int64_t checkpoint = 0, pruned = 0;
    if (!audit_store_open(&store, o->config, o->store)) {
        return STATUS_NOT_FOUND; /* which was said */
    }
    enum status status = store_audit_marks(store.reader, &checkpoint, &pruned);
    if (status == STATUS_OK) {
        status = audit_store_read(&store, 0, take_page, v, detail);
    } else {
        detail_set(detail, "the audit log cannot be read: %s", status_name(status));
    }
    if (status == STATUS_OK) {
        status = check_end(v, checkpoint);
    }
    audit_store_close(&store);
    return status;
}

/* --- the answer ----------------------------------------------------------------------------- */

static void write_broken(struct json_out *o, const struct audit_verifier *v) {
    json_out_object(o, "broken");
    json_out_int(o, "seq", v->fault_seq);
    json_out_int(o, "line", v->fault_line);
    json_out_text(o, "fault", audit_fault_name(v->fault));
    json_out_text(o, "detail", v->fault_detail.text);
    json_out_object_end(o);
}

static bool print(const struct audit_verifier *v) {
    struct arena arena;
    struct json_out o;
    const struct audit_summary *s = &v->summary;
    arena_init(&arena, PRINT_ARENA);
    json_out_init(&o, &arena, 0);
    json_out_object(&o, NULL);
    json_out_bool(&o, "whole", v->fault == AUDIT_WHOLE);
    json_out_int(&o, "entries", s->entries);
    json_out_int(&o, "first_seq", s->first_seq);
    json_out_int(&o, "last_seq", s->last_seq);
    json_out_text_or_null(&o, "last_hash", s->last_hash);
    json_out_text_or_null(&o, "first_time", s->first_time);
    json_out_text_or_null(&o, "last_time", s->last_time);
    json_out_text(&o, "begins", audit_beginning_name(s->beginning));
    json_out_int(&o, "checkpoints", s->checkpoints);
    json_out_int(&o, "checkpoints_verified", s->checkpoints_verified);
    json_out_int(&o, "last_checkpoint_seq", s->last_checkpoint_seq);
    if (v->fault != AUDIT_WHOLE) {
        write_broken(&o, v);
    }
    json_out_object_end(&o);
    struct bytes text = json_out_end(&o);
    bool good = text.len > 0 && fwrite(text.data, text.len, 1, stdout) == 1 &&
                putchar('\n') != EOF && fflush(stdout) == 0;
    arena_free(&arena);
    return good;
}

static int report(const struct audit_verifier *v) {
    if (!print(v)) {
        fputs("gatehouse audit: the answer could not be written\n", stderr);
        return EXIT_FAILURE;
    }
    if (v->fault != AUDIT_WHOLE) {
        fprintf(stderr, "gatehouse audit: entry %lld, line %lld: %s: %s\n", (long long)v->fault_seq,
                (long long)v->fault_line, audit_fault_name(v->fault), v->fault_detail.text);
    }
    return v->fault == AUDIT_WHOLE ? EXIT_SUCCESS : EXIT_FAILURE;
}

int audit_verify(int argc, char **argv) {
    struct options options = {0};
    struct audit_verifier verifier;
    struct detail detail = {0};
    if (!parse(&options, argc, argv)) {
        return EXIT_USAGE;
    }
    enum status status =
        options.authority == NULL ? STATUS_OK : load_authorities(&options, &detail);
    audit_verifier_init(&verifier, &options.expected);
    if (status == STATUS_OK) {
        status = options.file != NULL ? verify_file(&verifier, options.file, &detail)
                                      : verify_store(&verifier, &options, &detail);
    }
    if (status == STATUS_OK) {
        status = audit_verifier_end(&verifier);
    }
    if (status != STATUS_OK && verifier.fault == AUDIT_WHOLE) {
        if (detail.text[0] != '\0') {
            fprintf(stderr, "gatehouse audit: %s\n", detail.text);
        }
        return EXIT_FAILURE;
    }
    return report(&verifier);
}
