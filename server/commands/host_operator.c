#include "server/commands/host_operator.h"

#include "server/crypto/x509.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { USER_MAX = STORE_ACTOR - sizeof "host:" };

void host_actor(char out[static STORE_ACTOR]) {
    char buffer[4096];
    struct passwd entry, *found = NULL;
    (void)getpwuid_r(getuid(), &entry, buffer, sizeof buffer, &found);
    if (found != NULL && found->pw_name[0] != '\0') {
        (void)snprintf(out, STORE_ACTOR, "host:%.*s", (int)USER_MAX, found->pw_name);
    } else {
        (void)snprintf(out, STORE_ACTOR, "host:%u", (unsigned)getuid());
    }
}

enum status host_certificate(struct operator_certificate *out, struct bytes der, int64_t now,
                             struct detail *detail) {
    struct certificate certificate;
    enum status status = certificate_parse(&certificate, der, detail);
    if (status != STATUS_OK) {
        return status;
    }
    if (certificate.is_ca) {
        return status_fail(detail, STATUS_INVALID, "an authority's certificate registers nobody");
    }
    *out = (struct operator_certificate){.not_after = certificate.not_after, .added = now};
    memcpy(out->sha256, certificate.sha256, sizeof out->sha256);
    (void)snprintf(out->subject, sizeof out->subject, "%s", certificate.subject);
    host_actor(out->added_by);
    return STATUS_OK;
}
