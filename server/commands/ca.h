/* What `ca show` and `ca rotate` share: the list of epochs of a configuration, held so that no other
 * `ca` changes it meanwhile. Internal to server/commands. */
#ifndef GATEHOUSE_COMMANDS_CA_H
#define GATEHOUSE_COMMANDS_CA_H

#include "config/config.h"
#include "server/credential/epochs.h"
#include "server/credential/signer.h"

struct ca_list { /* zero-initialised; ca_list_close */
    struct arena arena;
    const char *path, *folder; /* of the list; the folder ends with a slash, or is "" */
    int folder_fd;             /* locked when it is to be changed; -1 */
    bool replaced;             /* the file, by ca_list_write, even when that failed afterwards */
    struct epochs epochs;
};

/* What is in force by the configuration. `to_change`: the folder is locked, and CONFLICT says that
 * somebody else has it; DENIED: it belongs to another user. On failure ca_list_close is still to be
 * called. */
MUST_USE enum status ca_list_open(struct ca_list *out, const struct config *config, bool to_change,
                                  struct detail *detail);
void ca_list_close(struct ca_list *list);
/* Replaces the file; durable afterwards. */
MUST_USE enum status ca_list_write(struct ca_list *list, struct detail *detail);

struct ca_certificate {
    char id[AUTHORITY_ID_SIZE];
    int64_t not_before, not_after;
};
/* Of a file with one certificate. What file_read and certificate_parse may say; LIMIT. */
MUST_USE enum status ca_certificate_read(struct ca_certificate *out, const char *path,
                                         struct detail *detail);
/* Of its DER. */
MUST_USE enum status ca_certificate_of(struct ca_certificate *out, struct bytes der,
                                       struct detail *detail);

/* ca rotate, after its name: 0, 1, EXIT_USAGE. */
int ca_rotate(int argc, char **argv);

#endif
