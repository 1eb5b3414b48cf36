/* gatehouse: picks the subcommand. */
#include "server/commands/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int command_version(int argc, char **argv);
static int command_help(int argc, char **argv);

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *arguments, *summary;
    const char *text; /* for `help COMMAND` */
} commands[] = {
    {"init", command_init,
     "DIR [--trust-domain NAME] [--host NAME_OR_IP]... [--listen ADDRESS[:PORT]] [--store FILE] "
     "[--public-url URL] [--ek-trust FILE]...",
     "make authorities, certificates, a store and a configuration",
     "DIR must be new or empty; it is for its owner only. Nothing is left of it on failure.\n"
     "  --trust-domain  in every certificate that devices get (default gatehouse.internal)\n"
     "  --host          a name or address that the gateway is reached by (default localhost,\n"
     "                  127.0.0.1, ::1); up to eight\n"
     "  --listen        the address of all planes (default 127.0.0.1), and the first of their "
     "five\n"
     "                  ports: enrol, device, proxy, admin, public; 0 lets the system choose\n"
     "                  (default 8441 to 8444, and 8480)\n"
     "  --store         where the database goes (default gatehouse.db in DIR)\n"
     "  --public-url    where others reach the public port, such as http://pki.example: "
     "credentials\n"
     "                  then say where the list of revoked ones and OCSP are found\n"
     "  --ek-trust      PEM certificates of TPM vendors; without any, devices cannot enrol yet\n"},
    {"serve", command_serve, "--config FILE [--ports-file FILE]", "run the gateway",
     "SIGTERM and SIGINT end it once requests in progress are answered, a second one at once.\n"
     "SIGHUP reads certificates, keys, anchors and TPM vendors anew, and reopens the log file.\n"
     "  --ports-file    write the ports of all planes there, as \"device 8442\", one a line\n"},
    {"check-config", command_check_config, "--config FILE",
     "say what is wrong with a configuration",
     "Looks at the settings, and whether the files that they name can be read.\n"},
    {"operator", command_operator,
     "add --config FILE --name NAME --role ROLE --certificate PEM [--replace] | list --config FILE",
     "register an operator on the host, or list them",
     "For the first operator, and for when nobody can come in any more: while the gateway runs, "
     "the\n"
     "API does it (/v1/operators). Run it as the user who owns the store; the audit log gets\n"
     "\"host:\" and that user's name.\n"
     "  --role          viewer, operator, author, approver or admin\n"
     "  --certificate   PEM; one that admin.anchors vouch for\n"
     "  --replace       an operator of that name gets this role, this certificate and no other,\n"
     "                  and is enabled again\n"
     "list prints a line for each certificate: name, role, enabled or disabled, SHA-256, end and\n"
     "subject, with tabs between them.\n"},
    {"inspect", command_inspect, "FILE", "print a firmware event log as JSON",
     "FILE is a TCG event log, such as /sys/kernel/security/tpm0/binary_bios_measurements;\n"
     "- is standard input.\n"},
    {"appraise", command_appraise,
     "--baseline B.json --evidence E.json --ak FILE --nonce HEX [--pcrs SELECTION] [--log FILE]",
     "appraise evidence without a gateway",
     "Prints verdict and findings as JSON. Exit status 0: trusted; 3: untrusted, which includes\n"
     "evidence that does not verify; 1: unusable input.\n"},
    {"baseline", command_baseline,
     "learn --model NAME [--label TEXT] [--out FILE] --ak FILE [--ak FILE]... EVIDENCE...\n"
     "       gatehouse baseline learn --model NAME [--label TEXT] [--out FILE] --unverified\n"
     "                 [--log FILE [--pcrs FILE]]... [EVIDENCE]...\n"
     "       gatehouse baseline check FILE\n"
     "       gatehouse baseline canonical FILE",
     "learn a baseline from evidence, check one, or write what is signed of one",
     "learn prints the document with questions (what differs, what was chosen and why) and "
     "warnings.\n"
     "EVIDENCE is a body of POST /v1/evidence; its quote has to verify under one of the keys.\n"
     "  --ak            a TPM2B_PUBLIC or a PEM public key\n"
     "  --out           write the document there, and print the rest\n"
     "  --unverified    take logs at their word, without a quote\n"
     "  --log           a TCG event log; with --pcrs, the SHA-256 bank's values that it must lead "
     "to,\n"
     "                  32 bytes each from PCR 0 on\n"
     "check compiles a document and prints what each rule family demands.\n"},
    {"audit", command_audit,
     "export (--config FILE | --store FILE) [--after SEQ] [--out FILE]\n"
     "       gatehouse audit verify (FILE | --config FILE | --store FILE) [--authority FILE]\n"
     "                 [--trust-domain NAME] [--expect-seq N] [--expect-hash HEX]",
     "export the audit log, and prove it whole",
     "export writes the log as lines of JSON, each with its hash, and the checkpoints between "
     "them.\n"
     "verify proves that no line was altered, dropped, put in or moved; - is standard input. It\n"
     "prints what it found as JSON; exit status 1: the log is broken, and the first broken entry "
     "is\n"
     "named. Both open a store for reading only, also that of a gateway which is running.\n"
     "  --authority     PEM certificates of the identity authority: every checkpoint must have "
     "its\n"
     "                  signature. Without, whoever can write the log may have made up all of it\n"
     "  --trust-domain  the one that every checkpoint must be of\n"
     "  --expect-seq    the log must reach this entry\n"
     "  --expect-hash   the hash of the last entry, or of that of --expect-seq\n"
     "Lines cut off at the end are missed only by a later checkpoint or by what is expected: note\n"
     "a checkpoint elsewhere now and then, and expect its seq and hash.\n"},
    {"proxy-config", command_proxy_config,
     "--kind nginx|haproxy|caddy|envoy|traefik [--part PART] --server-name NAME\n"
     "                 --gateway https://HOST:PORT|unix:PATH [OPTION VALUE]...",
     "print the configuration of a proxy that asks this gateway",
     "The proxy takes TLS with an access credential, asks Gatehouse for each request, and passes "
     "on\n"
     "what is allowed, with the device's headers. Nothing is read or written: paths are the "
     "proxy's.\n"
     "  --part          haproxy: config, or lua for the script; traefik: dynamic, or static\n"
     "  --listen        where devices connect (default 0.0.0.0:443)\n"
     "  --server-name   the name that devices know the proxy by\n"
     "  --cert, --key   what it shows to devices (haproxy: one file, without --key)\n"
     "  --access-ca     who signed the devices' access credentials (/v1/ca/access.pem)\n"
     "  --crl           revoked credentials (/v1/crl/access.pem), for nginx, haproxy and envoy\n"
     "                  (default none)\n"
     "  --gateway       the proxy plane; a Unix socket not for traefik\n"
     "  --gateway-name  the name in its certificate (default HOST, when that is a name)\n"
     "  --gateway-ca    who signed that certificate\n"
     "  --gateway-cert, --gateway-key   the proxy's own, which is registered (/v1/proxies)\n"
     "  --upstream      the application, over plain HTTP (default 127.0.0.1:8080)\n"
     "  --policy        one that the proxy is registered with (default its first)\n"
     "  --lua           haproxy: where its script is (default /etc/haproxy/gatehouse.lua)\n"
     "  --dynamic       traefik: where its dynamic part is (default /etc/traefik/gatehouse.yaml)\n"
     "The files' defaults are in /etc/gatehouse/proxy. Hold a running proxy against what is known "
     "to\n"
     "go wrong with gatehouse doctor.\n"},
    {"doctor", command_doctor,
     "--proxy URL [--cert FILE --key FILE] [--refused-cert FILE --refused-key FILE]\n"
     "                 [--echo PATH] [--ca FILE] [--connect HOST:PORT] [--kind KIND] "
     "[--gateway-stopped]",
     "probe a running proxy for known traps",
     "Says for each probe what came back; for what is wrong, what it means and what to change.\n"
     "Exit status 0: nothing wrong was found; 3: something was; 1: the proxy could not be probed.\n"
     "  --proxy         https:// and a path that only devices may reach\n"
     "  --cert, --key   a credential that is good; its certificate is also what is spoofed with\n"
     "  --refused-cert, --refused-key   one that has to be refused, such as a revoked credential "
     "or\n"
     "                  an identity certificate\n"
     "  --echo          a path where the application answers with the headers that it has got, to\n"
     "                  see whether a client's own X-Device headers reach it\n"
     "  --ca            PEM certificates that vouch for the proxy (default the system's)\n"
     "  --connect       go there in the place of the URL's host and port\n"
     "  --kind          nginx, haproxy, caddy, envoy or traefik: names its settings\n"
     "  --gateway-stopped  the gateway was stopped: does the proxy close?\n"},
    {"ca", command_ca,
     "show --config FILE\n"
     "       gatehouse ca rotate --config FILE [--overlap TIME] [--retire-after TIME | "
     "--emergency]\n"
     "                 [--key PKCS11-URI]",
     "list the access authorities, and introduce a new one",
     "rotate makes a new access authority and puts it into the list that "
     "signer.access_authorities\n"
     "names: published at once, signing after the overlap; the one before is retired later, when\n"
     "nothing that it signed is valid any more. A running gateway takes the list on SIGHUP. Run "
     "it\n"
     "as the user who runs the gateway.\n"
     "  --overlap       until it signs; within it every proxy takes /v1/ca/access.pem anew (24 h)\n"
     "  --retire-after  from then on until the one before is retired; at least 10 m (25 h)\n"
     "  --emergency     the new one signs at once and all others are retired at once: for a key\n"
     "                  that was stolen. Every device has to attest again\n"
     "  --key           a key that is on a PKCS#11 token already, and stays there:\n"
     "                  'pkcs11:token=T;object=K?module-path=/PATH.so&pin-source=file:/PATH'\n"
     "show prints a line for each: id, state (coming, signing, past, retired), when it was\n"
     "published, signs and is retired, certificate and key, with tabs between them.\n"},
    {"watch", command_watch,
     "--url https://HOST:PORT --cert FILE --key FILE [--ca FILE] | --url unix:PATH\n"
     "                 [--model NAME] [--snapshot | --after SEQ] [--exec COMMAND]\n"
     "                 [--haproxy-map FILE] [--nginx-map FILE] [--max-stale SECONDS]",
     "follow changes in trust, or keep a proxy's map file current",
     "Prints each change as a line of JSON; goes on after the last it heard when the connection is "
     "lost,\n"
     "and begins with how things stand when that is not kept any more.\n"
     "  --url           the proxy plane; over TLS with a certificate that is registered "
     "(/v1/proxies)\n"
     "  --ca            PEM certificates that vouch for the gateway (default the system's)\n"
     "  --model         of this model only\n"
     "  --snapshot      first how things stand\n"
     "  --after         go on after this number\n"
     "  --exec          run this with sh -c for each change, one at a time and in order, in place "
     "of\n"
     "                  printing: the line is its standard input; GATEHOUSE_EVENT, _EVENT_ID,\n"
     "                  _DEVICE_ID, _MODEL, _SERIAL, _FINGERPRINT and _REASON are set\n"
     "  --haproxy-map   keep this file to the credentials that may pass: SHA-256 of the "
     "certificate,\n"
     "                  and the device's tier. HAProxy: ssl_c_der,sha2(256),hex,lower,map(FILE)\n"
     "  --nginx-map     the same for a map block of $ssl_client_serial. Only where the access "
     "authority\n"
     "                  alone vouches for clients: a serial number is its issuer's\n"
     "Files are replaced as a whole, at most every 50 ms; what expires leaves by itself. With "
     "them,\n"
     "--exec runs after each change of a file (GATEHOUSE_ENTRIES is set), to reload the proxy. "
     "When\n"
     "nothing was heard for --max-stale (default 120 s) they become empty: nobody passes. Stopped, "
     "it\n"
     "leaves them as they are.\n"},
    {"version", command_version, "", "print the version", ""},
    {"help", command_help, "[COMMAND]", "print this, or more about one command", ""},
};
enum { NUM_COMMANDS = sizeof commands / sizeof commands[0] };

static const struct command *find(const char *name) {
    for (size_t i = 0; i < NUM_COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static void print_usage(FILE *out) {
    fputs("usage: gatehouse COMMAND ...\n\n", out);
    for (size_t i = 0; i < NUM_COMMANDS; i++) {
        fprintf(out, "  %-13s %s\n", commands[i].name, commands[i].summary);
    }
    fputs("\nExit status: 0 well, 1 failed, 2 wrong use, 3 untrusted (appraise) or something wrong "
          "(doctor).\n",
          out);
}

static int command_version(int argc, char **argv) {
    (void)argv;
    if (argc != 1) {
        return EXIT_USAGE;
    }
    puts("gatehouse " GATEHOUSE_VERSION);
    return EXIT_SUCCESS;
}

static int command_help(int argc, char **argv) {
    if (argc > 2) {
        return EXIT_USAGE;
    }
    if (argc < 2) {
        print_usage(stdout);
        return EXIT_SUCCESS;
    }
    const struct command *command = find(argv[1]);
    if (command == NULL) {
        fprintf(stderr, "gatehouse: there is no command %s\n", argv[1]);
        return EXIT_USAGE;
    }
    printf("usage: gatehouse %s %s\n\n%s\n", command->name, command->arguments, command->text);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        name = "help";
    } else if (strcmp(name, "--version") == 0) {
        name = "version";
    }
    const struct command *command = find(name);
    if (command == NULL) {
        fprintf(stderr, "gatehouse: there is no command %s; see gatehouse help\n", name);
        return EXIT_USAGE;
    }
    int code = command->run(argc - 1, argv + 1);
    if (code == EXIT_USAGE) {
        fprintf(stderr, "usage: gatehouse %s %s\n", command->name, command->arguments);
    }
    return code;
}
