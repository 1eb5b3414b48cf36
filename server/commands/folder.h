/* A folder that is filled as a whole or not at all: what was made in it is remembered, and taken
 * away again by folder_undo. Not thread-safe. */
#ifndef GATEHOUSE_COMMANDS_FOLDER_H
#define GATEHOUSE_COMMANDS_FOLDER_H

#include "server/base/arena.h"

enum { FOLDER_MAX_MADE = 64 };

struct folder {
    struct arena arena;
    const char *path;
    bool existed;      /* it was there, and empty */
    unsigned old_mode; /* of the one that existed */
    struct {
        const char *path;
        bool is_folder;
    } made[FOLDER_MAX_MADE];
    size_t num_made;
};

/* Makes the folder, or takes an empty one, for its owner only (0700). CONFLICT: something is in it.
 * On failure nothing is to be undone. */
MUST_USE enum status folder_open(struct folder *out, const char *path, struct detail *detail);
/* "FOLDER/name", in the arena; NULL: no memory. */
const char *folder_path(struct folder *folder, const char *name);
MUST_USE enum status folder_add_folder(struct folder *folder, const char *name,
                                       struct detail *detail);
MUST_USE enum status folder_add_file(struct folder *folder, const char *name, unsigned mode,
                                     struct bytes content, struct detail *detail);
/* Something else is going to make this file, here or elsewhere. `path` (NULL: no memory) lives as
 * long as the folder. */
MUST_USE enum status folder_expect(struct folder *folder, const char *path, struct detail *detail);
/* Removes everything that was made, newest first, and the folder itself unless it existed. */
void folder_undo(struct folder *folder);
void folder_close(struct folder *folder); /* keeps what was made */

#endif
