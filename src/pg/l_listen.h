/*
** l_listen.h -- notifications as Lua waits for them: lua/neap/pg/listen.lua.
*/
#ifndef pg_l_listen_h
#define pg_l_listen_h

#include "pg/handle.h"

extern const luaL_Reg listen_methods[]; /* of a conn */

#endif
