/*
** l_tx.h -- transactions as Lua calls them: what begins and ends them.
*/
#ifndef pg_l_tx_h
#define pg_l_tx_h

#include "pg/handle.h"

extern const luaL_Reg tx_methods[];  /* _commit, _rollback, _open */
extern const luaL_Reg tx_metas[];    /* __close, __gc */
int l_tx_open(lua_State *L);         /* method of conn and tx */

#endif
