/*
** l_query.h -- statements as Lua calls them: db:query and its relatives.
*/
#ifndef pg_l_query_h
#define pg_l_query_h

#include "pg/handle.h"

/* query, row, value, column, exec, query_opts */
extern const luaL_Reg query_methods[];

/* The statement for the SQL at idx, described or not; raises `invalid` for
** what must not be run on this handle. Borrowed from the pool. */
stmt *query_stmt(lua_State *L, handle *h, int idx, const char *what);

/* What a decode or encode that raised has left behind. */
void query_reclaim(pool *p);
/* The waiter's refs of q and of what hangs on it. */
void query_release(query *q);

/* A query for handle h; raises for lack of memory. */
query *query_make(lua_State *L, handle *h, const char *what);
/* How it is going to be executed: enum query_form. */
int query_form_of(const pool *p, const query *q);
/* Each as `return ...`. Ask what is not known of q's statement (l_types.h),
** then q->go(L, q). */
int query_describe(lua_State *L, handle *h, query *q);
/* q is ready to be sent: send it and wait; k or the usual end. */
int query_send(lua_State *L, handle *h, query *q, lua_KFunction k);
/* The usual end: what q->mode says is returned. */
int k_query(lua_State *L, int rc, lua_KContext ctx);
/* RC_AGAIN and RC_SETUP, for a k of one's own. */
int query_resume(lua_State *L, query *q, int rc);
int64_t query_affected(const PGresult *r);
/* Raise what rc means, or what the error result r says; q is released. */
int query_fail(lua_State *L, query *q, int rc);
int query_fail_result(lua_State *L, handle *h, query *q, const query *of);
/* A pool_timeout is on top: add what only the Lua side knows. */
void query_explain(lua_State *L);
int query_is_error(const PGresult *r);
/* The fault of r is on top: the first of h's transaction explains the rest. */
void query_remember_failure(lua_State *L, handle *h, const PGresult *r);

/* Run on_connect, with the error trapped: calls the hook of the environment
** with the conn handle on top of the stack; k gets the status. */
int query_call_hook(lua_State *L, int env, lua_KContext ctx, lua_KFunction k);

extern const luaL_Reg many_methods[]; /* exec_many, batch, describe */

#endif
