/*
** handle.h -- the three userdata that run statements: the pool (db), a
** connection of one's own (conn), a transaction (tx). One layout, so that the
** same functions serve all of them.
**
** H1  User value 1 of each is the environment: one table for each pool.
**     env[sql] is a light userdata, the statement; env[statement] the names
**     of its columns; env[lease] the first failure of its transaction; ENV_
**     are integers.
** H2  User value 2 is the Lua side's own table.
*/
#ifndef pg_handle_h
#define pg_handle_h

#include "pg/pool.h"

#define HANDLE_DB "neap.pg.db"
#define HANDLE_CONN "neap.pg.conn"
#define HANDLE_TX "neap.pg.tx"

#define ENV_ON_CONNECT 1
#define ENV_ECHO 2
#define ENV_TRACE 4
#define ENV_EXPLAIN 5 /* of the Lua side: adds to a pool_timeout */
#define ENV_NOTICE 6
#define ENV_DB 3 /* keeps the pool while one of its handles lives */
#define ENV_TYPES 9 /* the space of the map of types (type_map.h) */

enum handle_kind { KIND_DB, KIND_CONN, KIND_TX };

typedef struct handle {
  pool *pool;   /* [pin] NULL: closed or collected */
  lease *lease; /* [pin] NULL for a db */
  unsigned char kind, over;
  unsigned char owns; /* a tx: the lease goes back when it is over */
  unsigned depth; /* of a tx: 0, or the number of its savepoint */
} handle;

/* Functions that have a class's metatable as upvalue 1. */
handle *handle_check(lua_State *L); /* argument 1, or raises */
/* ... that can run statements now, or raises the reason. */
handle *handle_open(lua_State *L, const char *what);

/* Push a handle of this kind; env is the stack index of the environment. It
** pins the lease; a conn without one gets a new one. */
handle *handle_push(lua_State *L, int kind, pool *p, lease *l, int env);
/* Push the environment of the handle at idx. */
void handle_push_env(lua_State *L, int idx);

/* Called by __gc: was it still open? In debug mode that is reported. */
void handle_leaked(lua_State *L);
/* Collected: the pool ends, the lease goes back. Never raises. */
void handle_collect(handle *h);

#endif
