/*
** l_pool.c -- see l_pool.h. Options are checked and named by the Lua side
** (lua/neap/pg/init.lua); here they only become numbers.
*/
#include "pg/l_pool.h"

#include <stdlib.h>
#include <string.h>

#include "pg/fault.h"
#include "pg/l_query.h"
#include "pg/l_stats.h"
#include "pg/l_trace.h"

/* Opening. */

static lua_Number number_at(lua_State *L, int idx, const char *key) {
  lua_Number v;

  lua_getfield(L, idx, key);
  v = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return v;
}

static int integer_at(lua_State *L, int idx, const char *key) {
  return (int)number_at(L, idx, key);
}

/* Seconds to ns, rounded; 0 for none, and no limit above 30 years. */
static int64_t ns_at(lua_State *L, int idx, const char *key) {
  lua_Number v = number_at(L, idx, key);

  int64_t ns = v > 0 && v < 1e9 ? (int64_t)(v * 1e9 + 0.5) : 0;

  return v > 0 && ns == 0 && v < 1 ? 1 : ns;
}

static int refuse_dsn(lua_State *L, int rc, const char *why) {
  if (rc == -ENOMEM) return luaL_error(L, "not enough memory");
  lua_pushfstring(L, "pg.connect: the connection string is not valid: %s", why);
  return neap_raise(L, "invalid", NULL, lua_tostring(L, -1));
}

/* opts.params: connection options by name, all strings. */
static void read_params(lua_State *L, pool *p, int idx) {
  char why[160];
  int rc;

  lua_getfield(L, idx, "params");
  if (lua_istable(L, -1))
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
      rc = dsn_set(&p->dsn, lua_tostring(L, -2), lua_tostring(L, -1), why,
                   sizeof why);
      if (rc < 0) refuse_dsn(L, rc, why);
    }
  lua_pop(L, 1);
}

static void read_config(lua_State *L, pool *p, int idx) {
  pool_config *c = &p->cfg;

  c->min = integer_at(L, idx, "min");
  c->max = integer_at(L, idx, "max");
  c->overflow = integer_at(L, idx, "overflow");
  c->max_pipeline = integer_at(L, idx, "max_pipeline");
  c->statement_cache = integer_at(L, idx, "statement_cache");
  c->prepare_mode = integer_at(L, idx, "prepare_mode");
  c->max_uses = integer_at(L, idx, "max_uses");
  c->min_idle = integer_at(L, idx, "min_idle");
  c->max_waiting = integer_at(L, idx, "max_waiting");
  c->warmup_parallel = integer_at(L, idx, "warmup_parallel");
  c->reset = integer_at(L, idx, "reset_policy");
  c->ping_ns = ns_at(L, idx, "ping_after");
  c->shed_ns = ns_at(L, idx, "queue_target");
  c->shed_interval_ns = ns_at(L, idx, "queue_interval");
  c->acquire_ns = ns_at(L, idx, "acquire_timeout");
  c->connect_ns = lua_getfield(L, idx, "connect_timeout") == LUA_TNIL ? -1 : 0;
  lua_pop(L, 1);
  if (c->connect_ns == 0) c->connect_ns = ns_at(L, idx, "connect_timeout");
  c->lifetime_ns = ns_at(L, idx, "max_lifetime");
  c->idle_ns = ns_at(L, idx, "idle_timeout");
  c->command_ns = ns_at(L, idx, "command_timeout");
  c->commit_ns = ns_at(L, idx, "commit_timeout");
  lua_getfield(L, idx, "timezone");
  if (lua_isstring(L, -1) && lua_rawlen(L, -1) < sizeof c->timezone)
    strcpy(c->timezone, lua_tostring(L, -1));
  lua_pop(L, 1);
}

/* open(opts) -> db, not connected yet */
int l_pool_open(lua_State *L) {
  list *conns = lua_touserdata(L, lua_upvalueindex(1));
  handle *h;
  pool *p;
  char why[160];
  int rc;

  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_newtable(L); /* 2: the environment */
  lua_getfield(L, 1, "on_connect");
  lua_rawseti(L, 2, ENV_ON_CONNECT);
  lua_getfield(L, 1, "echo");
  lua_rawseti(L, 2, ENV_ECHO);
  lua_getfield(L, 1, "trace");
  lua_rawseti(L, 2, ENV_TRACE);
  lua_getfield(L, 1, "on_notice");
  lua_rawseti(L, 2, ENV_NOTICE);
  lua_getfield(L, 1, "explain");
  lua_rawseti(L, 2, ENV_EXPLAIN);
  h = handle_push(L, KIND_DB, NULL, NULL, 2);
  if ((p = h->pool = pool_new(neap_->loop(L), conns)) == NULL)
    return luaL_error(L, "not enough memory");
  lua_pushvalue(L, -1); /* whoever holds a connection holds the pool */
  lua_rawseti(L, 2, ENV_DB);
  type_map_open(L, &p->types);
  lua_rawseti(L, 2, ENV_TYPES);
  p->cfg.has_on_connect = lua_rawgeti(L, 2, ENV_ON_CONNECT) != LUA_TNIL;
  if (lua_rawgeti(L, 2, ENV_ECHO) != LUA_TNIL) p->cfg.told |= TOLD_ECHO;
  if (lua_rawgeti(L, 2, ENV_TRACE) != LUA_TNIL) p->cfg.told |= TOLD_TRACE;
  if (lua_rawgeti(L, 2, ENV_NOTICE) != LUA_TNIL) p->cfg.told |= TOLD_NOTICES;
  lua_pop(L, 4);
  read_config(L, p, 1);
  if (lua_getfield(L, 1, "dsn") == LUA_TSTRING) {
    rc = dsn_parse(&p->dsn, lua_tostring(L, -1), why, sizeof why);
    if (rc < 0) return refuse_dsn(L, rc, why);
  }
  lua_pop(L, 1);
  read_params(L, p, 1);
  if (p->cfg.connect_ns < 0) { /* not among the options: the string's */
    const char *t = dsn_get(&p->dsn, "connect_timeout");
    long n = t ? strtol(t, NULL, 10) : 10;
    p->cfg.connect_ns = n > 0 && n < 1000000 ? (int64_t)n * 1000000000 : 0;
  }
  if (p->cfg.connect_ns == 0) p->cfg.connect_ns = INT64_MAX / 4;
  if ((rc = dsn_finish(&p->dsn, why, sizeof why)) < 0)
    return refuse_dsn(L, rc, why);
  if (pool_start(p) < 0) return luaL_error(L, "not enough memory");
  return 1;
}

/* db:_strict(on): a dial that fails fails those who wait, and the first
** connections are made. */
static int l_pool_strict(lua_State *L) {
  handle *h = handle_open(L, "pg.connect");

  h->pool->strict = (unsigned char)lua_toboolean(L, 2);
  pool_fill(h->pool);
  return 0;
}

/* Acquiring. The new handle is on top of the stack all the while. */

static int give(lua_State *L, lease *l) {
  if (l->conn == NULL) { /* lost on the way from the pool to here */
    fault_push_lost(L, &l->error, 0);
    return neap_->fault_raise(L);
  }
  return neap_finish(L, 1);
}

static int k_hooked(lua_State *L, int status, lua_KContext ctx) {
  lease *l = (lease *)ctx;

  if (status != LUA_OK && status != LUA_YIELD) {
    lease_destroy(l, CLOSE_HOOK, "on_connect failed");
    return lua_error(L);
  }
  if (l->conn != NULL) l->conn->fresh = l->conn->dirty = 0;
  return give(L, l);
}

static int got(lua_State *L, lease *l) {
  if (l->conn == NULL || !l->conn->fresh) return give(L, l);
  handle_push_env(L, 1);
  lua_insert(L, -2); /* env, handle */
  return query_call_hook(L, lua_gettop(L) - 1, (lua_KContext)l, k_hooked);
}

static int k_acquire(lua_State *L, int rc, lua_KContext ctx) {
  lease *l = container_of((neap_wait *)ctx, lease, wait);

  if (rc == RC_OK) return got(L, l);
  fault_push_claim(L, l, rc);
  if (rc == RC_POOL_TIMEOUT) query_explain(L);
  return neap_->fault_raise(L);
}

/* What a task that waits for a connection is called: outlives the string. */
static const char *wait_name(const char *what) {
  static const char *const names[] = {
    "db:begin", "db:transaction", "db:listen", "db:each", "db:copy_in",
    "db:copy_out", "pg.connect"};
  size_t i;

  for (i = 0; i < countof(names); i++)
    if (strcmp(names[i], what) == 0) return names[i];
  return "db:acquire";
}

/* db:_acquire(seconds or nil, name of the call or nil) -> conn */
static int l_pool_acquire(lua_State *L) {
  handle *h = handle_check(L), *c;
  pool *p = h->pool;
  lua_Number limit = luaL_optnumber(L, 2, -1);
  const char *what = wait_name(luaL_optstring(L, 3, ""));
  int64_t limit_ns = 0;
  int rc;

  lua_settop(L, 3);
  neap_enter(L, what);
  handle_open(L, what);
  lua_settop(L, 1);
  handle_push_env(L, 1);
  c = handle_push(L, KIND_CONN, p, NULL, 2);
  lua_remove(L, 2);
  c->lease->op.name = what;
  if (limit >= 0 && limit < 1e9)
    limit_ns = limit > 0 ? (int64_t)(limit * 1e9 + 0.5) + (limit < 1e-9) : 1;
  else if (limit < 0)
    limit_ns = p->cfg.acquire_ns;
  rc = pool_claim(p, c->lease, limit_ns);
  if (rc == NEAP_PENDING) return neap_park(L, &c->lease->wait, k_acquire);
  return k_acquire(L, rc, (lua_KContext)&c->lease->wait);
}

/* conn:_release(clean): clean when the option `reset` has seen to it */
static int l_conn_release(lua_State *L) {
  handle *h = handle_check(L);

  if (h->over)
    neap_raise(L, "closed", NULL, "conn:release: it was given back already");
  h->over = 1;
  if (lua_toboolean(L, 2) && h->lease->conn != NULL) h->lease->conn->dirty = 0;
  lease_release(h->lease);
  return 0;
}

static int l_conn_is_over(lua_State *L) {
  lua_pushboolean(L, handle_check(L)->over);
  return 1;
}

static int l_conn__close(lua_State *L) {
  handle *h = lua_touserdata(L, 1);

  if (h->pool == NULL || h->over) return 0;
  h->over = 1;
  lease_release(h->lease);
  return 0;
}

static int l_handle__gc(lua_State *L) {
  handle_leaked(L);
  handle_collect(lua_touserdata(L, 1));
  return 0;
}

/* Ending. */

typedef struct drain_wait {
  neap_wait wait; /* first: it stands in pool->drainers */
  neap_timer timer;
  pool *pool;
} drain_wait;

static void on_drain_time(neap_timer *t) {
  drain_wait *d = container_of(t, drain_wait, timer);

  node_remove((node *)(void *)&d->wait);
  neap_wake(&d->wait, NEAP_ETIMEDOUT);
}

static void leave(drain_wait *d) {
  neap_->timer_stop(d->pool->loop, &d->timer);
  node_remove((node *)(void *)&d->wait);
}

static int abort_drain(neap_wait *w) {
  leave(container_of(w, drain_wait, wait));
  return 0;
}

static const neap_op op_drain = {"db:close", abort_drain};

static int k_drain(lua_State *L, int rc, lua_KContext ctx) {
  drain_wait *d = container_of((neap_wait *)ctx, drain_wait, wait);

  if (rc == 0 && !pool_quiet(d->pool)) { /* one went on in between */
    list_append(&d->pool->drainers, (node *)(void *)&d->wait);
    return neap_park(L, &d->wait, k_drain);
  }
  leave(d);
  lua_pushboolean(L, rc == 0);
  return 1;
}

/* db:_drain(seconds, serve) -> was everything over in time? Takes nothing new;
** without `serve` those who wait for a connection are refused. */
static int l_pool_drain(lua_State *L) {
  handle *h = handle_check(L);
  pool *p = h->pool;
  lua_Number limit = luaL_checknumber(L, 2);
  drain_wait *d;

  if (p == NULL) return lua_pushboolean(L, 1), 1;
  query_reclaim(p);
  pool_drain(p);
  if (!lua_toboolean(L, 3)) pool_refuse(p);
  if (pool_quiet(p)) return lua_pushboolean(L, 1), 1;
  if (limit <= 0 || !lua_isyieldable(L) || !neap_->in_task(L))
    return lua_pushboolean(L, 0), 1;
  d = lua_newuserdatauv(L, sizeof *d, 0);
  memset(d, 0, sizeof *d);
  d->pool = p;
  d->wait.op = &op_drain;
  d->timer.fire = on_drain_time;
  d->timer.flags = NEAP_COUNTED;
  list_append(&p->drainers, (node *)(void *)&d->wait);
  if (limit < 1e9)
    neap_->timer_start(p->loop, &d->timer,
                       neap_->now(p->loop) + (int64_t)(limit * 1e9));
  pool_drain(p); /* dials that are under way count now */
  return neap_park(L, &d->wait, k_drain);
}

static int l_pool_close(lua_State *L) {
  handle *h = handle_check(L);

  if (h->pool != NULL) pool_close(h->pool, "the pool was closed");
  return 0;
}

static int l_pool_expire(lua_State *L) {
  handle *h = handle_open(L, "db:expire");

  pool_expire(h->pool);
  return 0;
}

static int l_pool_is_closed(lua_State *L) {
  handle *h = handle_check(L);

  lua_pushboolean(L, h->pool == NULL || h->pool->state != POOL_OPEN);
  return 1;
}

/* Process id of the server's end: for logs, and for tests that kill it. */
static int l_conn_pid(lua_State *L) {
  handle *h = handle_open(L, "conn:pid");

  lua_pushinteger(L, PQbackendPID(h->lease->conn->pg));
  return 1;
}

const luaL_Reg pool_methods[] = {
  {"_strict", l_pool_strict}, {"_acquire", l_pool_acquire},
  {"_stats", l_pool_stats},   {"_statements", l_pool_statements},
  {"_trace", l_pool_trace},   {"_drain", l_pool_drain},
  {"_close", l_pool_close},   {"expire", l_pool_expire},
  {"_is_closed", l_pool_is_closed}, {NULL, NULL}};

const luaL_Reg pool_metas[] = {{"__gc", l_handle__gc}, {NULL, NULL}};

const luaL_Reg conn_methods[] = {{"_release", l_conn_release},
                                 {"_is_over", l_conn_is_over},
                                 {"pid", l_conn_pid},
                                 {NULL, NULL}};

const luaL_Reg conn_metas[] = {{"__close", l_conn__close},
                               {"__gc", l_handle__gc},
                               {NULL, NULL}};
