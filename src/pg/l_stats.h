/*
** l_stats.h -- db:stats and db:statements.
*/
#ifndef pg_l_stats_h
#define pg_l_stats_h

#include <math.h>

#include "pg/handle.h"

int l_pool_stats(lua_State *L);
int l_pool_statements(lua_State *L);

#endif
