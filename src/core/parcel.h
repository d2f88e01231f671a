/*
** parcel.h -- Lua values on their way from one Lua state to another: packed
** into flat memory in the one, made anew in the other. Holds no Lua reference.
*/
#ifndef core_parcel_h
#define core_parcel_h

#include <lauxlib.h>
#include <lua.h>

#include "base/buf.h"

/*
** A1  nil, booleans, integers, floats, strings, neap.null, plain tables and
**     faults are copied. Tables keep their identity within one parcel, so
**     shared references and cycles arrive as they were.
*/
typedef struct parcel {
  buf bytes;
  buf tables; /* one record for each table */
} parcel;

/* What becomes of a value that cannot be copied. */
enum parcel_mode { PARCEL_REFUSE, PARCEL_DESCRIBE };

/* Pack n values from index `first` on. Returns 1; or 0, with a message on top
** that says where what cannot be copied was found: "argument 2.items[3]:
** cannot copy a function to another thread". The values before `skip` are not
** counted in it. With PARCEL_DESCRIBE their text goes instead, and 1 comes.
** May raise (memory, __tostring); the parcel is then to be emptied. */
int parcel_pack(lua_State *L, parcel *p, int first, int n, const char *noun,
                int skip, enum parcel_mode mode);

/* Push what is inside; returns how many. Raises for lack of memory. */
int parcel_unpack(lua_State *L, const parcel *p);

/* Pack one string without Lua. 0 when out of memory. */
int parcel_text(parcel *p, const char *s, size_t len);

void parcel_empty(parcel *p);

#endif
