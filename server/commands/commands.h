/* The subcommands of `gatehouse`. argv[0] is the subcommand's name. Each returns the process's exit
 * status: 0 well; 1 it failed, and one line on standard error says why; 2 it was not called as it
 * wants to be, and main prints how. */
#ifndef GATEHOUSE_COMMANDS_H
#define GATEHOUSE_COMMANDS_H

enum { EXIT_USAGE = 2 };

/* inspect FILE: a firmware event log as JSON. 0; 1: malformed or unreadable, what was read before
 * it is still printed; 2. */
int command_inspect(int argc, char **argv);
/* appraise --baseline B.json --evidence E.json --ak FILE --nonce HEX [--pcrs SELECTION]
 * [--log FILE]: 0 trusted, 3 untrusted, 1 unusable input, 2. The log is that of evidence which has a
 * tcg_event_log_sha256 in its place. A key_certification in the evidence is held against its csr. */
int command_appraise(int argc, char **argv);
/* baseline learn|check: 0; 1: no baseline fits, unusable input, or the document is none; 2. */
int command_baseline(int argc, char **argv);
/* init DIR [--trust-domain NAME] [--host NAME_OR_IP]... [--listen ADDRESS[:PORT]] [--store
 * FILE] [--public-url URL] [--ek-trust FILE]...: everything that `serve` needs, in a new folder. 0; 1: nothing is left of it; 2. */
int command_init(int argc, char **argv);
/* serve --config FILE: the gateway, until it is told to stop. 0: it was told so; 1; 2. */
int command_serve(int argc, char **argv);
/* operator add --config FILE --name NAME --role ROLE --certificate PEM [--replace], operator list
 * --config FILE: 0; 1; 2. */
int command_operator(int argc, char **argv);
/* check-config --config FILE: 0; 1: every mistake is on standard error; 2. */
int command_check_config(int argc, char **argv);
/* ca show|rotate: 0; 1: it failed, and nothing was changed; 2. */
int command_ca(int argc, char **argv);
/* audit export|verify: 0; 1: it failed, or the chain is broken; 2. */
int command_audit(int argc, char **argv);
/* proxy-config --kind KIND ...: a proxy's configuration on standard output. 0; 1: a value is missing,
 * not of its form, or of no use to this kind, and nothing is printed; 2. */
int command_proxy_config(int argc, char **argv);
/* doctor --proxy URL ...: probes a running proxy. 0: nothing that was looked at is wrong; 3: something
 * is, and the report says what; 1: it could not be probed; 2. */
int command_doctor(int argc, char **argv);
/* watch --url URL ...: follows a gateway's changes until it is told to stop. 0: it was told so; 1: it cannot go
 * on; 2. */
int command_watch(int argc, char **argv);

#endif
