#include "server/commands/watch_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void become(const char *command, int input, const struct watch_variable *variable,
                             size_t num) {
    for (size_t i = 0; i < num; i++) {
        if (setenv(variable[i].name, variable[i].value == NULL ? "" : variable[i].value, 1) != 0) {
            _exit(127);
        }
    }
    (void)signal(SIGPIPE, SIG_DFL);
    /* libcurl's sockets are not for the command. */
    if (dup2(input, STDIN_FILENO) >= 0 && close_range(STDERR_FILENO + 1, ~0U, 0) == 0) {
        (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    }
    _exit(127);
}

/* SIGPIPE is ignored by our caller: who does not read on misses the rest. */
static void feed(int fd, const char *text) {
    size_t len = strlen(text);
    while (len != 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return;
        }
        text += n;
        len -= (size_t)n;
    }
}

enum status watch_exec(const char *command, const char *input,
                       const struct watch_variable *variable, size_t num, struct detail *detail) {
    int pipe_fd[2], state = 0;
    if (pipe2(pipe_fd, O_CLOEXEC) != 0) {
        return status_fail(detail, STATUS_INTERNAL, "pipe: %s", strerror(errno));
    }
    pid_t child = fork();
    if (child == 0) {
        become(command, pipe_fd[0], variable, num);
    }
    (void)close(pipe_fd[0]);
    if (child < 0) {
        (void)close(pipe_fd[1]);
        return status_fail(detail, STATUS_INTERNAL, "fork: %s", strerror(errno));
    }
    feed(pipe_fd[1], input);
    (void)close(pipe_fd[1]);
    while (waitpid(child, &state, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(state)) {
        return status_fail(detail, STATUS_INVALID, "the command was ended by signal %d",
                           WTERMSIG(state));
    }
    if (WEXITSTATUS(state) != 0) {
        return status_fail(detail, STATUS_INVALID, "the command ended with status %d",
                           WEXITSTATUS(state));
    }
    return STATUS_OK;
}
