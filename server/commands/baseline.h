/* The subcommands of `gatehouse baseline`; exit statuses as in commands.h. */
#ifndef GATEHOUSE_COMMANDS_BASELINE_H
#define GATEHOUSE_COMMANDS_BASELINE_H

/* learn --model NAME [--label TEXT] [--out FILE] (--ak FILE... | --unverified) EVIDENCE...
 *       [--log FILE [--pcrs FILE]]... */
int baseline_command_learn(int argc, char **argv);
/* check FILE */
int baseline_command_check(int argc, char **argv);
/* canonical FILE: the bytes that a signature of the baseline is over (RFC 8785), and not one more. */
int baseline_command_canonical(int argc, char **argv);

#endif
