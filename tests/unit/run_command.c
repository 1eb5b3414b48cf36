#include "tests/unit/run_command.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 32 };

static void require(int holds, const char *what) {
    if (!holds) {
        perror(what);
        abort();
    }
}

/* Puts `fd` in the place of `standard`, and returns what was there. */
static int swap(int fd, int standard) {
    int kept = dup(standard);
    require(kept >= 0 && dup2(fd, standard) >= 0, "dup");
    return kept;
}

static void restore(int kept, int standard) {
    require(dup2(kept, standard) >= 0, "dup");
    (void)close(kept);
}

static char *whole(FILE *file) {
    char *text = NULL;
    size_t cap = 0;
    require(fseek(file, 0, SEEK_SET) == 0, "seek");
    if (getdelim(&text, &cap, '\0', file) < 0) { /* nothing was printed */
        free(text);
        text = strdup("");
    }
    require(text != NULL, "read");
    (void)fclose(file);
    return text;
}

void run_command(struct command_run *run, int (*command)(int argc, char **argv),
                 const char *const *argv, const char *input) {
    char *arguments[ARGUMENTS_MAX] = {NULL};
    int argc = 0;
    for (; argv[argc] != NULL; argc++) {
        arguments[argc] = strdup(argv[argc]);
        require(arguments[argc] != NULL && argc + 1 < ARGUMENTS_MAX, "arguments");
    }
    FILE *out = tmpfile(), *err = tmpfile();
    int in = open(input != NULL ? input : "/dev/null", O_RDONLY | O_CLOEXEC);
    require(out != NULL && err != NULL && in >= 0, "files");
    (void)fflush(stdout);
    (void)fflush(stderr);
    int kept_in = swap(in, STDIN_FILENO), kept_out = swap(fileno(out), STDOUT_FILENO),
        kept_err = swap(fileno(err), STDERR_FILENO);
    run->status = command(argc, arguments);
    (void)fflush(stdout);
    (void)fflush(stderr);
    restore(kept_in, STDIN_FILENO);
    restore(kept_out, STDOUT_FILENO);
    restore(kept_err, STDERR_FILENO);
    (void)close(in);
    run->out = whole(out);
    run->err = whole(err);
    for (int i = 0; i < argc; i++) {
        free(arguments[i]);
    }
}

void command_run_free(struct command_run *run) {
    free(run->out);
    free(run->err);
}
