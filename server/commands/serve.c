#include "server/commands/commands.h"

#include "server/base/file.h"
#include "server/commands/gateway_authorities.h"
#include "server/commands/gateway_note.h"
#include "server/commands/load_config.h"
#include "server/commands/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FATAL_GRACE_MS = 1000, FATAL_ALARM_S = 15 };

struct options {
    const char *config, *ports_file;
};

static bool parse_options(struct options *out, int argc, char **argv) {
    struct options options = {0};
    for (int i = 1; i < argc; i += 2) {
        const char **value = strcmp(argv[i], "--config") == 0       ? &options.config
                             : strcmp(argv[i], "--ports-file") == 0 ? &options.ports_file
                                                                    : NULL;
        if (value == NULL || *value != NULL || i + 1 == argc) {
            return false;
        }
        *value = argv[i + 1];
    }
    *out = options;
    return options.config != NULL;
}

/* --- the process ---------------------------------------------------------------------------- */

/* As many descriptors as the system gives; a warning when connections need more. */
static void raise_file_limit(const struct config *config, const struct log *log) {
    struct rlimit limit;
    uint64_t wanted = 256;
    for (int plane = 0; plane < NUM_PLANES; plane++) {
        wanted += config->plane[plane].enabled ? config->plane[plane].connections : 0;
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return;
    }
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < wanted) {
        log_event(log, LOG_WARNING, "file_limit_low", log_int("limit", limit.rlim_max),
                  log_int("wanted", wanted));
    }
}

/* The signals that serve waits for, blocked before any thread is there, so that all inherit it. */
static int catch_signals(void) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGCHLD);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGCHLD, SIG_DFL); /* whoever started us may have ignored it */
    return sigprocmask(SIG_BLOCK, &set, NULL) == 0 ? signalfd(-1, &set, SFD_CLOEXEC) : -1;
}

/* From now on SIGTERM and SIGINT end the process at once. */
static void release_signals(void) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static int open_log_file(const char *path) {
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

/* --- while it runs -------------------------------------------------------------------------- */

static void reload(struct gateway *g) {
    struct detail detail = {0};
    if (g->config->log_file != NULL) {
        int fd = open_log_file(g->config->log_file);
        bool good = fd >= 0 && dup3(fd, g->log->fd, O_CLOEXEC) >= 0;
        if (!good) {
            log_event(g->log, LOG_ERROR, "log_reopen_failed", log_str("file", g->config->log_file),
                      log_str("why", strerror(errno)));
        }
        if (fd >= 0) {
            (void)close(fd);
        }
    }
    if (gateway_reload(g, &detail) == STATUS_OK) {
        log_event(g->log, LOG_INFO, "reloaded", log_str("what", "certificates, keys and anchors"));
    } else {
        log_event(g->log, LOG_ERROR, "reload_failed", log_str("why", detail.text),
                  log_str("in_force", "what was there before, of what could not be read"));
    }
}

/* Until a signal says to stop (true), or the signer is gone (false). */
static bool wait_for_end(struct gateway *g, int signal_fd) {
    for (;;) {
        struct pollfd fds[] = {{.fd = signal_fd, .events = POLLIN},
                               {.fd = g->fatal_fd, .events = POLLIN}};
        struct signalfd_siginfo info;
        gateway_authorities_note(g);
        if (poll(fds, 2, gateway_authorities_wait_ms(g)) < 0) {
            if (errno != EINTR) {
                return false;
            }
            continue;
        }
        if (fds[1].revents != 0) {
            return false;
        }
        if (fds[0].revents == 0 || read(signal_fd, &info, sizeof info) != (ssize_t)sizeof info) {
            continue;
        }
        switch (info.ssi_signo) {
        case SIGHUP:
            reload(g);
            break;
        case SIGCHLD:
            if (signer_has_ended(g->signer)) {
                return false;
            }
            break;
        default:
            log_event(g->log, LOG_INFO, "stopping",
                      log_str("signal", info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM"),
                      log_int("drain_ms", g->config->drain_ms));
            return true;
        }
    }
}

/* Logs where each plane listens, and writes the ports to a file when one is asked for. */
static enum status announce(struct gateway *g, const char *ports_file, struct detail *detail) {
    char text[256];
    struct writer ports = writer_of(text, sizeof text);
    const struct transport *transport = atomic_load(&g->transport);
    for (int plane = 0; plane < NUM_PLANES; plane++) {
        const struct config_listener *listener = &g->config->plane[plane];
        const char *name = config_plane_name((enum config_plane)plane);
        unsigned port = transport_port(transport, name);
        if (!listener->enabled) {
            continue;
        }
        for (size_t i = 0; i < CONFIG_MAX_LISTEN && listener->listen[i] != NULL; i++) {
            if (strncmp(listener->listen[i], "unix:", 5) == 0) {
                log_event(g->log, LOG_INFO, "listening", log_str("plane", name),
                          log_str("address", listener->listen[i]));
            } else {
                log_event(g->log, LOG_INFO, "listening", log_str("plane", name),
                          log_str("address", listener->listen[i]), log_int("port", port));
            }
        }
        char line[32];
        (void)snprintf(line, sizeof line, "%s %u\n", name, port);
        write_bytes(&ports, bytes_of_text(line));
    }
    return ports_file == NULL ? STATUS_OK
                              : file_replace(ports_file, 0644, writer_bytes(&ports), detail);
}

static int run(struct gateway *g, const struct options *options, int signal_fd) {
    struct detail detail = {0};
    enum status status = gateway_open(g, &detail);
    if (status == STATUS_OK) {
        status = announce(g, options->ports_file, &detail);
    }
    if (status != STATUS_OK) {
        const char *why = detail.text[0] != '\0' ? detail.text : status_name(status);
        log_event(g->log, LOG_ERROR, "start_failed", log_str("why", why));
        fprintf(stderr, "gatehouse serve: %s\n", why);
        gateway_close(g, 0);
        return EXIT_FAILURE;
    }
    gateway_note_start(g, options->config);
    log_event(g->log, LOG_INFO, "ready", log_str("version", GATEHOUSE_VERSION),
              log_int("pid", getpid()));
    notify_manager("READY=1");
    bool asked = wait_for_end(g, signal_fd);
    notify_manager("STOPPING=1");
    release_signals();
    if (!asked) {
        log_event(g->log, LOG_ERROR, "signer_gone",
                  log_str("why", "the signer process ended: nothing can be signed any more"));
        (void)alarm(FATAL_ALARM_S); /* whatever waits for the signer does not wait for ever */
    }
    gateway_close(g, asked ? g->config->drain_ms : FATAL_GRACE_MS);
    log_event(g->log, LOG_INFO, "stopped", log_int("code", asked ? EXIT_SUCCESS : EXIT_FAILURE));
    return asked ? EXIT_SUCCESS : EXIT_FAILURE;
}

int command_serve(int argc, char **argv) {
    struct options options;
    struct config *config = NULL;
    if (!parse_options(&options, argc, argv)) {
        return EXIT_USAGE;
    }
    (void)umask(077);
    if (commands_load_config(&config, options.config) != STATUS_OK) {
        return EXIT_FAILURE;
    }
    struct log log = {.fd = STDERR_FILENO, .level = config->log_level, .form = config->log_form};
    if (config->log_file != NULL) {
        log.fd = open_log_file(config->log_file);
    }
    int code = EXIT_FAILURE, signal_fd = log.fd < 0 ? -1 : catch_signals();
    if (signal_fd < 0) {
        fprintf(stderr, "gatehouse serve: %s: %s\n", log.fd < 0 ? config->log_file : "signals",
                strerror(errno));
    } else {
        struct gateway gateway = {.config = config, .log = &log, .fatal_fd = -1};
        raise_file_limit(config, &log);
        code = run(&gateway, &options, signal_fd);
        (void)close(signal_fd);
    }
    if (log.fd >= 0 && log.fd != STDERR_FILENO) {
        (void)close(log.fd);
    }
    config_free(config);
    return code;
}
