/*
** l_trace.c -- who hears of every statement: echo, fn(sql, seconds), trace,
** fn(event), and on_notice, fn(notice). Called in the task that waited, when its statement is
** answered or given up. Neither is told a parameter. An error of theirs is
** reported and harms nobody.
*/
#include "pg/l_trace.h"

#include "pg/notice.h"

static lua_Number seconds(int64_t ns) { return (lua_Number)ns / 1e9; }

static void set_string(lua_State *L, const char *key, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

static void set_number(lua_State *L, const char *key, lua_Number value) {
  lua_pushnumber(L, value);
  lua_setfield(L, -2, key);
}

static void set_integer(lua_State *L, const char *key, lua_Integer value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, key);
}

static void push_sql(lua_State *L, const query *q) {
  if (q->stmt != NULL)
    lua_pushlstring(L, q->stmt->sql, q->stmt->len);
  else /* the driver's own: its text is in the buffer */
    lua_pushstring(L, q->args.bytes.data);
}

static void call(lua_State *L, int nargs) {
  if (lua_pcall(L, nargs, 0, 0) != LUA_OK) neap_->report(L, "listener");
}

static void echo(lua_State *L, const query *q, int64_t now) {
  push_sql(L, q);
  lua_pushnumber(L, seconds(now - q->asked_at));
  call(L, 2);
}

static void trace(lua_State *L, const query *q, int fault, int64_t now) {
  lua_createtable(L, 0, 8);
  set_string(L, "call", q->what);
  push_sql(L, q);
  lua_setfield(L, -2, "sql");
  set_number(L, "seconds", seconds(now - q->asked_at));
  if (q->sent_at >= q->asked_at)
    set_number(L, "wait", seconds(q->sent_at - q->asked_at));
  if (q->conn != NULL && q->conn->pg != NULL)
    set_integer(L, "pid", PQbackendPID(q->conn->pg));
  if (fault) {
    lua_pushvalue(L, fault);
    lua_setfield(L, -2, "error");
  } else if (q->res != NULL) {
    set_integer(L, "rows", PQntuples(q->res));
    set_string(L, "tag", PQcmdStatus(q->res));
  }
  call(L, 1);
}

static void tell_notice(lua_State *L, const query *q, const notice *n) {
  static const char *const names[NOTICE_FIELDS] = {
    "severity", "code", "message", "detail", "hint", "where"};
  int i;

  lua_createtable(L, 0, NOTICE_FIELDS + 1);
  for (i = 0; i < NOTICE_FIELDS; i++)
    if (n->field[i] != NULL) set_string(L, names[i], n->field[i]);
  if (n->dropped > 0) set_integer(L, "dropped", n->dropped);
  push_sql(L, q);
  lua_setfield(L, -2, "sql");
  call(L, 1);
}

void trace_tell(lua_State *L, const query *q, int fault) {
  int told = q->pool->cfg.told, top = lua_gettop(L);
  int64_t now = pool_now();
  const notice *n;

  luaL_checkstack(L, 8, "trace");
  handle_push_env(L, 1);
  if ((told & TOLD_ECHO) && lua_rawgeti(L, top + 1, ENV_ECHO) != LUA_TNIL)
    echo(L, q, now);
  lua_settop(L, top + 1);
  if ((told & TOLD_TRACE) && lua_rawgeti(L, top + 1, ENV_TRACE) != LUA_TNIL)
    trace(L, q, fault, now);
  for (n = q->notices; n != NULL; n = n->next) {
    lua_settop(L, top + 1);
    if (lua_rawgeti(L, top + 1, ENV_NOTICE) != LUA_TNIL) tell_notice(L, q, n);
  }
  lua_settop(L, top);
}

/* db:_trace(fn or nil) */
int l_pool_trace(lua_State *L) {
  handle *h = handle_open(L, "db:trace");

  lua_settop(L, 2);
  handle_push_env(L, 1);
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, ENV_TRACE);
  h->pool->cfg.told &= ~TOLD_TRACE;
  if (!lua_isnil(L, 2)) h->pool->cfg.told |= TOLD_TRACE;
  return 0;
}
