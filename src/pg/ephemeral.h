/*
** ephemeral.h -- a private PostgreSQL server for tests and demos: the part
** that needs C. Policy (waiting until it is ready) is lua/neap/pg/ephemeral.lua.
*/
#ifndef pg_ephemeral_h
#define pg_ephemeral_h

#include <lua.h>

#include "base/list.h"

/* Add `start` to the module table at stack index `module`; servers holds every
** server of the Lua state (mod.c, M1). */
void ephemeral_open(lua_State *L, int module, list *servers);
/* The Lua state ends: let go of the servers that are left. */
void ephemeral_fini(list *servers);

#endif
