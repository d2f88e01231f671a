/*
** json.h -- JSON text to Lua values and back, in one pass each.
**
** Reading: an integer is a Lua integer; one beyond 64 bits, or a number
** beyond the range of a float, is a numeric; other numbers are floats. null is
** neap's null. Arrays carry the metatable of pg.array, so that an empty one
** stays an array. The last of duplicate keys wins.
**
** Writing: a table made by pg.array is an array of t.n, or #t, items. Any
** other is an array when its keys are 1 to k (or also `n`, an integer not
** below k: holes are then null), an object when they are strings or when it
** is empty. All else cannot be JSON.
*/
#ifndef pg_json_h
#define pg_json_h

#include <lua.h>

#include "base/buf.h"

#define JSON_DEPTH 1000

/* Pushes the value; or pushes nothing, returns what is wrong, and sets *at to
** the offset. Raises only for lack of memory or stack. */
const char *json_read(lua_State *L, const char *p, size_t len, size_t *at);

/* Appends the text of the value at idx. NULL, or what is wrong: the string
** then on top of the Lua stack. */
const char *json_write(lua_State *L, int idx, buf *out);

#endif
