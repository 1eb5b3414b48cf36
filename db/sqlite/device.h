/* How a row of a device is read, without its keys, and its clock is bound; shared among the verbs. */
#ifndef GATEHOUSE_DB_SQLITE_DEVICE_H
#define GATEHOUSE_DB_SQLITE_DEVICE_H

#include "db/sqlite/sqlite.h"

read_row read_device_head;
void bind_clock(struct query *q, const struct device_row *row); /* three; NULL without one */

#endif
