/* Whole files, for configuration, keys and the command line. */
#ifndef GATEHOUSE_BASE_FILE_H
#define GATEHOUSE_BASE_FILE_H

#include "server/base/bytes.h"

/* Reads the whole of `path` ("-": standard input) into malloc'd *out (caller frees; one terminator
 * byte follows, not counted). LIMIT over max_len; NOT_FOUND; DENIED; INTERNAL; MEMORY. The detail
 * names the path and the cause. */
MUST_USE enum status file_read(uint8_t **out, size_t *out_len, const char *path, size_t max_len,
                               struct detail *detail);
/* The same for a secret: DENIED too when it is no regular file, when its group or others may do
 * anything with it, or when it belongs to another user than this process or root. */
MUST_USE enum status file_read_private(uint8_t **out, size_t *out_len, const char *path,
                                       size_t max_len, struct detail *detail);
/* Writes a new file (never over an existing one) with `mode`, synced. CONFLICT when it exists. */
MUST_USE enum status file_create(const char *path, unsigned mode, struct bytes content,
                                 struct detail *detail);
/* Replaces the file atomically (temporary name, sync, rename). */
MUST_USE enum status file_replace(const char *path, unsigned mode, struct bytes content,
                                  struct detail *detail);

#endif
