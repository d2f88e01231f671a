/*
** l_copy.h -- COPY as Lua calls it: see lua/neap/pg/copy.lua.
*/
#ifndef pg_l_copy_h
#define pg_l_copy_h

#include "pg/handle.h"

extern const luaL_Reg copy_methods[]; /* conn:_copy, tx:_copy */
void copier_open(lua_State *L);       /* the class of what they return */

#endif
