/*
** rows.h -- results as Lua values: rows as tables by column name, or arrays.
*/
#ifndef pg_rows_h
#define pg_rows_h

#include "pg/pool.h"

enum rows_mode { ROWS_QUERY, ROWS_ROW, ROWS_VALUE, ROWS_COLUMN, ROWS_EXEC };

typedef struct rows_want {
  unsigned char mode;  /* enum rows_mode */
  unsigned char array; /* positional rows */
  int entity;          /* stack index of a metatable for rows, or 0 */
  int env;             /* stack index of the handle's environment */
} rows_want;

/* A type in the result is not known (l_types.h): nothing that counts was pushed. */
#define ROWS_UNTYPED -1

/* Push what the mode says of q's result: one value, two for ROWS_EXEC.
** Returns their number, or ROWS_UNTYPED. May raise; q keeps its result. */
int rows_push(lua_State *L, const query *q, const rows_want *want);

/* Oids of types in q's result that are not known; see type_map_find. */
int rows_missing(const query *q, buf *missing);

#endif
