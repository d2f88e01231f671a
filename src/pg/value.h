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

/* May a Lua table be one value of the type? */
enum pg_flat {
  PG_NOT_FLAT,
  PG_FLAT,    /* unless it is marked as a pg.array: then it is a dimension */
  PG_ALL_FLAT /* json: any table is a document */
};

struct pg_type {
  pg_oid oid;
  pg_oid element; /* what an array, range or multirange is made of, else 0 */
  const char *name;
  pg_decode from_binary; /* NULL: results must be asked for as text */
  pg_decode from_text;
  pg_encode to_binary; /* NULL: parameters are sent as text */
  pg_encode to_text;   /* NULL: as pg_text_of */
  unsigned char flat;  /* enum pg_flat */
  char delim;          /* between items of an array of it; 0: a comma */
  /* Types that the server has told of (type_map.h); NULL in built-in ones. */
  const pg_type *of;           /* what element means */
  const struct pg_more *more;
};

/* NULL when the type is not built in. */
const pg_type *pg_type_of(pg_oid oid);
const pg_type *pg_type_named(const char *name); /* "int8", "text[]"; NULL */

/* One parameter at idx for a parameter of the type (NULL: not known, it goes
** as text), appended to out. *format is 0 text, 1 binary. Text has no zero byte in it, and none at its end, which
** libpq wants: the caller appends it. Returns NULL or what is wrong (see
** pg_encode); out->len is then as it was, and the text may lie on the Lua
** stack. Needs a few free stack slots, as any function called by Lua has. A
** Lua string may go to any type except bool: it is sent as text where the type
** is not a string. The value must not be nil or null: the caller sends NULL
** itself. */
const char *pg_put(lua_State *L, int idx, const pg_type *type, buf *out,
                   int *format);

/* The same always as text. */
const char *pg_put_text(lua_State *L, int idx, const pg_type *type, buf *out);

/* Push a value from text; of a type not known (NULL), a string. */
void pg_push_text(lua_State *L, const pg_type *type, const char *p, size_t len);

/* luaopen part: pushes the table of value constructors (numeric, date,
** timestamp, timestamptz, array, json, bytea, ...) that becomes pg.*. The
** core must be loaded: the class of numeric is its own. */
void pg_values_open(lua_State *L);

#endif
