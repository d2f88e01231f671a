/*
** copy_row.h -- rows in the formats of COPY: binary where every column has a
** binary form in both directions, text otherwise. Knows Lua and bytes only.
*/
#ifndef pg_copy_row_h
#define pg_copy_row_h

#include <lua.h>

#include "base/buf.h"
#include "pg/value.h"

typedef struct copy_rows {
  int ncols, binary;
  lua_Integer row; /* rows so far, for messages */
  const char *what; /* "db:copy_in" */
  buf out, cell; /* encoded rows; one text before it is escaped */
  struct copy_column {
    pg_oid oid;
    const pg_type *type;
  } cols[];
} copy_rows;

/* Do all columns have a binary form? */
int copy_rows_can_be_binary(const copy_rows *k, int in);

void copy_rows_begin(copy_rows *k); /* what stands before the first row */
void copy_rows_end(copy_rows *k);   /* and after the last */

/* Append the row at idx (absolute), an array of values; names: stack index of
** the array of column names. Raises `invalid`, naming row and column; out is
** then not to be sent. */
void copy_rows_put(lua_State *L, copy_rows *k, int idx, int names);
/* Would it have to go as text? */
int copy_rows_need_text(lua_State *L, copy_rows *k, int idx);

/* Push the row that the message holds, an array with n. 0: there is none in
** it (header, trailer). Raises for garbage. */
int copy_rows_take(lua_State *L, copy_rows *k, const char *p, size_t len);

#endif
