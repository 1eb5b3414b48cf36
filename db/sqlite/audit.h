/* How a row of the audit log is read; for db/sqlite/audit*.c. */
#ifndef GATEHOUSE_DB_SQLITE_AUDIT_H
#define GATEHOUSE_DB_SQLITE_AUDIT_H

#include "db/sqlite/sqlite.h"

/* The columns of SQL_AUDIT_LIST and SQL_AUDIT_GET into a struct audit_row. */
MUST_USE enum status audit_read(struct query *q, struct arena *arena, void *row);

#endif
