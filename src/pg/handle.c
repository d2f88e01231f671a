/*
** handle.c -- see handle.h.
*/
#include "pg/handle.h"

#include "pg/fault.h"

static const char *const classes[] = {HANDLE_DB, HANDLE_CONN, HANDLE_TX};

handle *handle_check(lua_State *L) {
  if (lua_getmetatable(L, 1)) {
    int same = lua_rawequal(L, -1, lua_upvalueindex(1));
    lua_pop(L, 1);
    if (same) return lua_touserdata(L, 1);
  }
  lua_getfield(L, lua_upvalueindex(1), "__name");
  luaL_typeerror(L, 1, lua_tostring(L, -1));
  return NULL; /* not reached */
}

handle *handle_open(lua_State *L, const char *what) {
  handle *h = handle_check(L);

  if (h->pool == NULL || (h->kind == KIND_DB && h->pool->state != POOL_OPEN)) {
    lua_pushfstring(L, "%s: the pool is closed", what);
    neap_raise(L, "pool_closed", NULL, lua_tostring(L, -1));
  }
  if (unlikely(h->pool->types.calling > 0)) {
    lua_pushfstring(L, "%s: a codec's function is running; it may run nothing "
                    "on its own pool", what);
    neap_raise(L, "invalid", NULL, lua_tostring(L, -1));
  }
  if (h->kind == KIND_DB) return h;
  if (h->lease->lost) {
    fault_push_lost(L, &h->lease->error, 0);
    neap_->fault_raise(L);
  }
  if (h->over || h->lease->conn == NULL) {
    lua_pushfstring(L, h->kind == KIND_TX
                           ? "%s: the transaction is over"
                           : "%s: the connection was given back", what);
    neap_raise(L, "closed", NULL, lua_tostring(L, -1));
  }
  if (h->lease->conn->copying && h->lease->conn->copy_lent) {
    lua_pushfstring(L, "%s: a COPY is under way on this connection; end or "
                    "close it first", what);
    neap_raise(L, "invalid", NULL, lua_tostring(L, -1));
  }
  return h;
}

handle *handle_push(lua_State *L, int kind, pool *p, lease *l, int env) {
  handle *h = lua_newuserdatauv(L, sizeof *h, 2);

  h->pool = NULL; /* born closed */
  h->lease = NULL;
  h->kind = (unsigned char)kind;
  h->over = h->owns = 0;
  h->depth = 0;
  luaL_setmetatable(L, classes[kind]);
  if (env) {
    lua_pushvalue(L, env);
    lua_setiuservalue(L, -2, 1);
  }
  if (kind != KIND_DB) {
    if (l != NULL)
      neap_->body_pin(&l->body);
    else if ((l = lease_new(p)) == NULL)
      luaL_error(L, "not enough memory");
    neap_->body_pin(&p->body);
    h->lease = l;
  }
  h->pool = p;
  neap_->born(L, -1);
  return h;
}

void handle_push_env(lua_State *L, int idx) { lua_getiuservalue(L, idx, 1); }

void handle_leaked(lua_State *L) {
  static const char *const what[] = {"a pool of connections", "a lent connection",
                                     "a transaction"};
  const handle *h = lua_touserdata(L, 1);

  if (h->pool == NULL || h->over) return;
  if (h->kind == KIND_DB ? h->pool->state == POOL_OPEN
                         : h->lease->conn != NULL &&
                               (h->kind == KIND_CONN || h->owns))
    neap_->leaked(L, 1, what[h->kind]);
}

void handle_collect(handle *h) {
  pool *p = h->pool;
  lease *l = h->lease;

  h->pool = NULL;
  h->lease = NULL;
  if (p == NULL) return;
  if (h->kind == KIND_CONN) pool_unclaim(l); /* parked when the state ended */
  if (h->kind == KIND_DB) {
    pool_close(p, "the pool was collected");
    query_free_all(p); /* nobody can come back for one */
  } else if (!h->over && (h->kind == KIND_CONN || h->owns))
    lease_release(l);
  if (l != NULL) neap_->body_unpin(&l->body);
  neap_->body_unpin(&p->body);
}
