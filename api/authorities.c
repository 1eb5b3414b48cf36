#include "api/authorities.h"

#include <string.h>

const char *authorities_bundle(const struct api *api, struct arena *arena, enum profile profile) {
    const struct signer_authority *authority;
    size_t num = signer_authorities(api->options.signer, &authority);
    const char *all = arena_text(arena, "");
    for (size_t i = 0; i < num && all != NULL; i++) {
        if (authority[i].profile == profile) {
            const char *pem = certificate_to_pem(arena, authority[i].certificate);
            all = pem == NULL ? NULL : arena_printf(arena, "%s%s", all, pem);
        }
    }
    return all;
}

const char *authority_by_id(const struct api *api, struct arena *arena, const char *id) {
    const struct signer_authority *authority;
    size_t num = signer_authorities(api->options.signer, &authority);
    for (size_t i = 0; i < num; i++) {
        if (strcmp(authority[i].id, id) == 0) {
            return certificate_to_pem(arena, authority[i].certificate);
        }
    }
    return NULL;
}

int64_t authority_not_after(const struct api *api, enum profile profile) {
    const struct signer_authority *authority;
    size_t num = signer_authorities(api->options.signer, &authority);
    for (size_t i = 0; i < num; i++) {
        if (authority[i].profile == profile && authority[i].signs) {
            return authority[i].not_after;
        }
    }
    return 0;
}
