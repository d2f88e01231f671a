/*
** l_pool.h -- the pool and its connections as Lua calls them.
*/
#ifndef pg_l_pool_h
#define pg_l_pool_h

#include "pg/handle.h"

extern const luaL_Reg pool_methods[], pool_metas[]; /* of a db */
extern const luaL_Reg conn_methods[], conn_metas[];
int l_pool_open(lua_State *L); /* upvalue 1: the module's list of conns */

#endif
