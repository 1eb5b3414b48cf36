/* A store in a folder of its own, and rows to put into it. For tests: whatever fails ends the test. */
#ifndef GATEHOUSE_TESTS_STORE_FIXTURE_H
#define GATEHOUSE_TESTS_STORE_FIXTURE_H

#include "db/store.h"

struct store_fixture {
    char folder[64], path[80];
    struct store *store;
    struct store_reader *reader;
    struct store_writer *writer;
    struct arena arena;
};

/* The folder only; then the store, a reader and, with `write`, the writer. */
void store_fixture_folder(struct store_fixture *f);
void store_fixture_open(struct store_fixture *f, bool write);
/* Closes what is open; the folder stays. */
void store_fixture_close(struct store_fixture *f);
/* Closes, and removes the folder. */
void store_fixture_remove(struct store_fixture *f);

/* A transaction around one verb: store_fixture_write(f, verb(f->writer, ...)). Rolls back on failure. */
void store_fixture_begin(struct store_fixture *f);
enum status store_fixture_end(struct store_fixture *f, enum status status);
#define store_fixture_write(f, verb) (store_fixture_begin(f), store_fixture_end((f), (verb)))

/* The n-th id of a kind ('d' devices, 'c' credentials, ...): ascends with n. */
void sample_id(char out[static STORE_ID], char kind, unsigned n);
struct model_row sample_model(const char *name);
struct device_row sample_device(const char *model, unsigned n); /* enrolled, not appraised */
/* Of device `device_n`, valid from 1000 to 2000. */
struct credential_row sample_credential(unsigned n, unsigned device_n);
struct baseline_row sample_baseline(const char *model, unsigned n, enum baseline_state state);
struct operator_row sample_operator(const char *name, const char *role);
struct operator_certificate sample_certificate(const char *seed); /* expires at 5000 */
struct proxy_row sample_proxy(const char *name);

#endif
