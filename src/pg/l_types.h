/*
** l_types.h -- a statement or a result has types that are not built in: the
** task asks the server, then goes on. See type_map.h and catalog.h.
*/
#ifndef pg_l_types_h
#define pg_l_types_h

#include "pg/handle.h"

/* Is all known of q's statement and its types? */
int types_known(lua_State *L, query *q);

/* Make `by` the query for what is missing: of the statement s, or, with NULL,
** of the results of q and what hangs on it. */
void types_write(lua_State *L, query *by, stmt *s, query *q);

/* As `return ...`. q is answered, but not every type in it is known (see
** rows_push): ask, then k with RC_OK, which is q's own. */
int types_ask(lua_State *L, handle *h, query *q, lua_KFunction k);

extern const luaL_Reg types_methods[]; /* _type_name, _codec */

#endif
