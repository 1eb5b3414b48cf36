/* make_credential EK_PUBLIC AK_PUBLIC SECRET_HEX OUT: what the server does at enrolment, for a TPM's files: both keys (TPM2B_PUBLIC)
 * are checked, and OUT becomes a credential in the form that tpm2_activatecredential reads. Ends with 0, or with
 * 2 when a key is refused. */
#include "server/base/encoding.h"
#include "server/base/file.h"
#include "server/identity/enrolment.h"
#include "server/tpm/public.h"

#include <stdio.h>
#include <stdlib.h>

static struct tpm_public
read_public(const char *path, enum status (*check)(const struct tpm_public *, struct detail *)) {
    struct tpm_public public;
    struct detail detail = {0};
    uint8_t *raw = NULL;
    size_t len = 0;
    enum status status = file_read(&raw, &len, path, TPM_PUBLIC_MAX, &detail);
    if (status == STATUS_OK) {
        status = tpm_public_parse(&public, bytes_of(raw, len), &detail);
    }
    if (status == STATUS_OK) {
        status = check(&public, &detail);
    }
    free(raw);
    if (status != STATUS_OK) {
        fprintf(stderr, "%s: %s\n", path, detail.text);
        exit(2);
    }
    return public;
}

int main(int argc, char **argv) {
    uint8_t secret[ACTIVATION_SECRET_LEN], bytes[8 + ACTIVATION_BLOB_MAX + ACTIVATION_SECRET_MAX],
        shared_bytes[ACTIVATION_SECRET_MAX];
    struct detail detail = {0};
    struct writer out = writer_of(bytes, sizeof bytes),
                  shared = writer_of(shared_bytes, sizeof shared_bytes);
    if (argc != 5 || hex_decode(secret, sizeof secret, argv[3]) != STATUS_OK) {
        fprintf(stderr, "usage: make_credential EK_PUBLIC AK_PUBLIC SECRET_HEX OUT\n");
        return EXIT_FAILURE;
    }
    struct tpm_public ek = read_public(argv[1], ek_check), ak = read_public(argv[2], ak_check);
    write_u32be(&out, 0xBADCC0DE); /* tpm2-tools: a mark, and version 1 */
    write_u32be(&out, 1);
    if (activation_make(&out, &shared, &ek, bytes_of(ak.name, ak.name_len), secret, &detail) !=
        STATUS_OK) {
        fprintf(stderr, "%s\n", detail.text);
        return EXIT_FAILURE;
    }
    write_bytes(&out, writer_bytes(&shared));
    if (out.overflow || file_replace(argv[4], 0600, writer_bytes(&out), &detail) != STATUS_OK) {
        fprintf(stderr, "%s\n", detail.text);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
