/*
** fault.h -- what went wrong, as a fault table of the core.
*/
#ifndef pg_fault_h
#define pg_fault_h

#include "pg/pool.h"

/* Push the fault of an error result; sql may be NULL. */
void fault_push_result(lua_State *L, const PGresult *r, const char *sql);
/* Push the fault of a failed dial. */
void fault_push_connect(lua_State *L, const conn_error *e);
/* Push kind connection_lost; sent: did the statement reach the server? */
void fault_push_lost(lua_State *L, const conn_error *e, int sent);
/* Push kind pool_timeout, with the state of the pool. */
void fault_push_pool_timeout(lua_State *L, const pool *p, int64_t limit_ns);
/* Push what an RC_ code other than RC_OK means for q. */
void fault_push_rc(lua_State *L, const query *q, int rc);
/* The same for a claim. */
void fault_push_claim(lua_State *L, const lease *l, int rc);

#endif
