/* The subcommands of `gatehouse`. argv[0] is the subcommand's name. Each returns the process's exit
 * status; what went wrong is one line on standard error. */
#ifndef GATEHOUSE_COMMANDS_H
#define GATEHOUSE_COMMANDS_H

/* inspect FILE: a firmware event log as JSON. 0; 1: malformed or unreadable, what was read before
 * it is still printed. */
int command_inspect(int argc, char **argv);
/* appraise --baseline B.json --evidence E.json --ak FILE --nonce HEX [--pcrs SELECTION]: 0 trusted,
 * 3 untrusted, 1 unusable input. */
int command_appraise(int argc, char **argv);

#endif
