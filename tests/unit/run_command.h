/* Runs a subcommand in this process, and keeps what it prints. */
#ifndef GATEHOUSE_TESTS_RUN_COMMAND_H
#define GATEHOUSE_TESTS_RUN_COMMAND_H

struct command_run {
    int status;
    char *out, *err; /* terminated; command_run_free */
};

/* argv ends with NULL; `input`: a file for its standard input, or NULL. */
void run_command(struct command_run *run, int (*command)(int argc, char **argv),
                 const char *const *argv, const char *input);
void command_run_free(struct command_run *run);

#endif
