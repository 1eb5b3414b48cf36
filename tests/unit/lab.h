/* A temporary folder in which a test runs openssl, and files of it. Failures end the program
 * with the command's output: they are the test's own fault. For one thread. */
#ifndef GATEHOUSE_TESTS_LAB_H
#define GATEHOUSE_TESTS_LAB_H

#include "server/base/bytes.h"

/* Makes the folder; call it once in main, before the tests. Removed at exit. */
void lab_open(void);
/* Path of a file in it; static storage, overwritten after 16 calls. */
const char *lab_path(const char *name);
/* Runs a line of shell in it, up to the first command that fails. Whether it ended with 0; what
 * it says goes to the file "log". */
bool lab_try(const char *format, ...) PRINTF_LIKE(1, 2);
/* The same, and it has to end with 0. */
void lab_run(const char *format, ...) PRINTF_LIKE(1, 2);
/* A file's content (at most LAB_FILE_MAX bytes), terminated; static storage, overwritten after
 * 16 calls. */
enum { LAB_FILE_MAX = 512 << 10 };
struct bytes lab_read(const char *name);
void lab_write(const char *name, struct bytes content);
/* Whether the file "log" has this text in it. */
bool lab_said(const char *text);

/* The test data that this project may read but not copy: GATEHOUSE_DATA, or ../shared/data.
 * NULL, and a line that says so, when it is absent. */
const char *lab_data(void);

#endif
