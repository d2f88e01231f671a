/*
** args.h -- the parameters of a statement, encoded: one buffer for the bytes
** and one cell for each value. Reused from query to query.
*/
#ifndef pg_args_h
#define pg_args_h

#include <lua.h>

#include "base/buf.h"
#include "pg/stmt.h"

typedef struct cell {
  size_t at;
  int len; /* -1: NULL */
  int format;
} cell;

typedef struct args {
  buf bytes; /* every value is followed by a NUL that is not part of it */
  cell *cells;
  int n, cap; /* cells: parameters times sets */
  int sets;   /* how often the statement is executed */
} args;

void args_fini(args *a);
void args_reset(args *a);
/* Give back what one huge statement needed. */
void args_shrink(args *a);

/*
** Append one set: the n values from index `first` of the stack. `s` may lack
** a description: then they go as text. Raises kind "invalid" naming the
** parameter, with `what` ("db:query") and the row, if not 0, in front; or for
** lack of memory. After that, a must be reset.
*/
void args_add(lua_State *L, args *a, const stmt *s, int first, int n,
              const char *what, int row);

#endif
