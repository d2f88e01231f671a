/*
** value.h -- PostgreSQL values to Lua and back: binary and text. Pure: knows
** Lua and bytes, no connection and no loop. design: postgres.md section 5.
**
** pg_values_open() must have run in the Lua state before anything else here:
** it puts the metatables of the value classes into the registry, under the
** addresses of C objects. A decoder fetches its metatable by that address
** (one probe of a hash, no string), so it needs no context per row set.
*/
#ifndef pg_value_h
#define pg_value_h

#include <lua.h>

#include "base/buf.h"

typedef unsigned int pg_oid;

typedef struct pg_type pg_type;

/* Push one non-NULL value. [borrow] p for the call. May raise (kind "pg",
** code "decode") when the bytes are not a value of the type. Never reads
** past len; p need not end in a NUL. */
typedef void (*pg_decode)(lua_State *L, const pg_type *type, const char *p,
                          size_t len);

/* Append the wire form of the value at idx (absolute, not nil, not null) to
** out. Returns NULL, or what is wrong: "expected an integer, got a string",
** or pg_as_text when this value must go as text. The text may lie in a buffer
** pushed on the Lua stack. May raise only for lack of memory. */
typedef const char *(*pg_encode)(lua_State *L, const pg_type *type, int idx,
                                 buf *out);

extern const char pg_as_text[]; /* an address, compared with == */

struct pg_type {
  pg_oid oid;
  pg_oid element; /* of an array type, else 0 */
  const char *name;
  pg_decode from_binary, from_text;
  pg_encode to_binary; /* NULL: parameters are sent as text */
};

/* NULL when the type is not built in: its results must be asked for as text,
** and its parameters sent as text. */
const pg_type *pg_type_of(pg_oid oid);
const pg_type *pg_type_named(const char *name); /* "int8", "text[]"; NULL */

/* One parameter at idx for a parameter of type oid, appended to out. *format
** is 0 text, 1 binary. Text has no zero byte in it, and none at its end, which
** libpq wants: the caller appends it. Returns NULL or what is wrong (see
** pg_encode); out->len is then as it was, and the text may lie on the Lua
** stack. Needs a few free stack slots, as any function called by Lua has. A
** Lua string may go to any type except bool: it is sent as text where the type
** is not a string. The value must not be nil or null: the caller sends NULL
** itself. */
const char *pg_put(lua_State *L, int idx, pg_oid oid, buf *out, int *format);

/* Push a value of any type from text; of one not built in, a string. */
void pg_push_text(lua_State *L, pg_oid oid, const char *p, size_t len);

/* luaopen part: pushes the table of value constructors (numeric, date,
** timestamp, timestamptz, array, json, bytea, ...) that becomes pg.*. The
** core must be loaded: the class of numeric is its own. */
void pg_values_open(lua_State *L);

#endif
