/* How a row of a device is read, without its keys; shared with the walk. */
#ifndef GATEHOUSE_DB_SQLITE_DEVICE_H
#define GATEHOUSE_DB_SQLITE_DEVICE_H

#include "db/sqlite/sqlite.h"

read_row read_device_head;

#endif
