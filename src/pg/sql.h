/*
** sql.h -- what a statement is, told from its text alone. Pure: no
** connection, no Lua. One pass over the tokens; strings and comments skipped.
*/
#ifndef pg_sql_h
#define pg_sql_h

#include "base/base.h"

/* sql_info.flags */
#define SQL_PLANNED 1u    /* select, insert ...: prepared and cached */
#define SQL_COPY 2u       /* copy from stdin, to stdout */
#define SQL_TXN 4u        /* begin, commit, rollback ... */
#define SQL_SAVEPOINT 8u  /* savepoint, release, rollback to */
#define SQL_SESSION 16u   /* outlives the statement: set, listen, temp tables */
#define SQL_DDL 32u       /* create, alter, drop: plans may be stale after it */
#define SQL_SEVERAL 64u   /* more than one statement */
#define SQL_EMPTY 128u    /* no token at all */

typedef struct sql_info {
  unsigned flags;
  char verb[16]; /* first keyword, lower case, cut to fit */
} sql_info;

void sql_scan(const char *sql, size_t len, sql_info *out);

/* Append `name` as a quoted identifier; out has room for 2 * len + 3. */
size_t sql_quote_ident(char *out, const char *name, size_t len);

#endif
