/*
** l_many.c -- several statements in one segment: exec_many (one statement,
** many sets of parameters) and batch; and what a statement takes and gives.
*/
#include "pg/l_query.h"

#include <string.h>

#include "pg/fault.h"
#include "pg/l_trace.h"
#include "pg/l_types.h"
#include "pg/rows.h"

enum { CALL_MANY, CALL_BATCH, CALL_PREPARE, CALL_EACH };

static const char *const calls[][4] = {
  {"db:exec_many", "db:batch", "db:prepare", "db:each"},
  {"conn:exec_many", "conn:batch", "conn:prepare", "conn:each"},
  {"tx:exec_many", "tx:batch", "tx:prepare", "tx:each"},
};

static int complain(lua_State *L, const char *what, const char *why) {
  lua_pushfstring(L, "%s: %s", what, why);
  return neap_raise(L, "invalid", NULL, lua_tostring(L, -1));
}

/* Number of values in the array on top: its n, or what the statement takes. */
static int count_of(lua_State *L, const stmt *s) {
  int n;

  if (lua_getfield(L, -1, "n") != LUA_TNIL)
    n = (int)lua_tointeger(L, -1);
  else
    n = s->described ? s->nparams : (int)lua_rawlen(L, -2);
  lua_pop(L, 1);
  if (n < 0 || n > 65535) n = 65536;
  return n;
}

/* Push the first n values of the array at idx. */
static void push_values(lua_State *L, int idx, int from, int n) {
  int i;

  luaL_checkstack(L, n + 8, "too many parameters");
  for (i = 0; i < n; i++) lua_geti(L, idx, from + i);
}

/* exec_many(sql, list) */

static int k_many(lua_State *L, int rc, lua_KContext ctx);

static int execute_many(lua_State *L, query *q) {
  handle *h = lua_touserdata(L, 1);
  lua_Integer i, n = (lua_Integer)lua_rawlen(L, 3);

  q->nargs = 1; /* there are parameters, or nobody would send it many times */
  q->form = (unsigned char)query_form_of(q->pool, q);
  if (q->form != FORM_TEXT && !types_known(L, q))
    return query_describe(L, h, q);
  q->phase = PHASE_EXECUTE;
  args_reset(&q->args);
  q->pool->guard = q;
  for (i = 1; i <= n; i++) {
    int top = lua_gettop(L), values;
    if (lua_rawgeti(L, 3, i) != LUA_TTABLE) {
      lua_pushfstring(L, "row %I of the list is not a table", (LUAI_UACINT)i);
      complain(L, q->what, lua_tostring(L, -1));
    }
    values = count_of(L, q->stmt);
    push_values(L, top + 1, 1, values);
    args_add(L, &q->args, q->stmt, top + 2, values, q->what, (int)i);
    lua_settop(L, top);
  }
  q->pool->guard = NULL;
  return query_send(L, h, q, k_many);
}

static int k_many(lua_State *L, int rc, lua_KContext ctx) {
  query *q = container_of((neap_wait *)ctx, query, wait);
  lua_Integer affected;

  query_reclaim(q->pool);
  if (rc == RC_AGAIN || rc == RC_SETUP) return query_resume(L, q, rc);
  if (rc != RC_OK) return query_fail(L, q, rc);
  if (query_is_error(q->res))
    return query_fail_result(L, lua_touserdata(L, 1), q, q);
  if (trace_is_on(q)) trace_tell(L, q, 0);
  affected = (lua_Integer)q->affected;
  if (q->args.sets == 1) affected = (lua_Integer)query_affected(q->res);
  query_release(q);
  lua_pushinteger(L, affected);
  return neap_finish(L, 1);
}

static int l_exec_many(lua_State *L) {
  handle *h = handle_check(L);
  const char *what = calls[h->kind][CALL_MANY];
  query *q;
  stmt *s;

  neap_enter(L, what);
  handle_open(L, what);
  query_reclaim(h->pool);
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 3);
  s = query_stmt(L, h, 2, what);
  if (lua_rawlen(L, 3) == 0) {
    lua_pushinteger(L, 0);
    return neap_finish(L, 1);
  }
  if (lua_rawlen(L, 3) > 10000000)
    complain(L, what, "more than ten million rows at once; use copy_in");
  q = query_make(L, h, what);
  query_set_stmt(q, s);
  q->mode = ROWS_EXEC;
  q->base = 2;
  q->go = execute_many;
  return execute_many(L, q);
}

/* batch(items): items[i] = {mode, sql, n, values...}, made by the Lua side. */

enum { ITEM_MODE = 1, ITEM_SQL, ITEM_N, ITEM_VALUES };

static int k_batch(lua_State *L, int rc, lua_KContext ctx);

/* Push item i of the list at 2 and its SQL; returns the statement. */
static stmt *push_item(lua_State *L, handle *h, lua_Integer i,
                       const char *what) {
  lua_rawgeti(L, 2, i);
  lua_rawgeti(L, -1, ITEM_SQL);
  return query_stmt(L, h, lua_gettop(L), what);
}

static int integer_at(lua_State *L, int idx, int key) {
  int v;

  lua_rawgeti(L, idx, key);
  v = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return v;
}

/* The chain of queries for all items; left in pool->guard if it raises. */
static query *build(lua_State *L, handle *h, const char *what) {
  lua_Integer i, n = (lua_Integer)lua_rawlen(L, 2);
  int top = lua_gettop(L);
  query *first = NULL, **tail = &first;

  for (i = 1; i <= n; i++) {
    stmt *s = push_item(L, h, i, what);
    query *q = query_make(L, h, what);
    int nargs = integer_at(L, top + 1, ITEM_N);
    q->flags |= first ? QF_MEMBER : 0u;
    *tail = q;
    tail = &q->next;
    h->pool->guard = first;
    query_set_stmt(q, s);
    q->mode = (unsigned char)integer_at(L, top + 1, ITEM_MODE);
    q->nargs = nargs;
    q->form = (unsigned char)query_form_of(h->pool, q);
    push_values(L, top + 1, ITEM_VALUES, nargs);
    args_add(L, &q->args, s, top + 3, nargs, what, 0);
    lua_settop(L, top);
  }
  h->pool->guard = NULL;
  return first;
}

static int batch_send(lua_State *L, query *first) {
  return query_send(L, lua_touserdata(L, 1), first, k_batch);
}

/* Describe what is not, one after the other; then send all of them. q only
** carries the descriptions. */
static int batch_go(lua_State *L, query *q) {
  handle *h = lua_touserdata(L, 1);
  pool *p = h->pool;
  const char *what = q->what;
  int top = lua_gettop(L), healed = (q->flags & QF_AGAIN) != 0;
  query *first;

  p->guard = q;
  /* Each has its own attempts: that one was described is no failure. While one
  ** was asked for, others may have been forgotten: until nobody waited. */
  for (;; q->nth++, q->attempts = 0) {
    stmt *s;
    if (q->nth > (int)lua_rawlen(L, 2)) {
      if (!q->scratch) break;
      q->nth = 1;
      q->scratch = 0;
    }
    s = push_item(L, h, q->nth, what);
    query_set_stmt(q, s);
    q->nargs = integer_at(L, top + 1, ITEM_N);
    q->form = (unsigned char)query_form_of(p, q);
    lua_settop(L, top);
    if (q->form != FORM_TEXT && !types_known(L, q)) {
      p->guard = NULL;
      q->scratch = 1; /* it may also be the place of a handle: then once more */
      return query_describe(L, h, q);
    }
  }
  p->guard = NULL;
  query_release(q);
  first = build(L, h, what);
  if (healed) first->flags |= QF_AGAIN;
  first->go = batch_send;
  return query_send(L, h, first, k_batch);
}

static query *carrier(lua_State *L, handle *h, const char *what) {
  query *q = query_make(L, h, what);

  q->go = batch_go;
  q->nth = 1;
  return q;
}

static int push_results(lua_State *L, handle *h, query *first) {
  rows_want want = {0, 0, 0, 0};
  int n, top = lua_gettop(L);
  query *q;
  lua_Integer i = 0;

  first->pool->guard = first;
  handle_push_env(L, 1);
  want.env = lua_gettop(L);
  lua_newtable(L);
  for (q = first; q != NULL; q = q->next) {
    if (trace_is_on(q)) trace_tell(L, q, 0);
    want.mode = q->mode;
    n = rows_push(L, q, &want);
    if (n == ROWS_UNTYPED) {
      lua_settop(L, top);
      return types_ask(L, h, first, k_batch);
    }
    lua_settop(L, lua_gettop(L) - n + 1); /* of exec only the count */
    lua_rawseti(L, want.env + 1, ++i);
    lua_settop(L, want.env + 1);
  }
  lua_pushinteger(L, i);
  lua_setfield(L, -2, "n");
  first->pool->guard = NULL;
  query_release(first);
  return neap_finish(L, 1);
}

static int k_batch(lua_State *L, int rc, lua_KContext ctx) {
  query *first = container_of((neap_wait *)ctx, query, wait), *q;
  handle *h = lua_touserdata(L, 1);

  query_reclaim(h->pool);
  if (rc == RC_SETUP) return query_resume(L, first, rc);
  for (q = first; rc == RC_OK && q != NULL; q = q->next)
    if (q->rc != RC_OK) rc = q->rc;
  if (rc == RC_STALE && h->kind == KIND_DB && !(first->flags & QF_AGAIN)) {
    const char *what = first->what; /* nothing of it took effect */
    query_release(first);
    q = carrier(L, h, what);
    q->flags |= QF_AGAIN;
    return batch_go(L, q);
  }
  if (rc != RC_OK) return query_fail(L, first, rc);
  for (q = first; q != NULL; q = q->next)
    if (q->res != NULL && PQresultStatus(q->res) == PGRES_FATAL_ERROR)
      return query_fail_result(L, h, first, q);
  return push_results(L, h, first);
}

static int l_batch(lua_State *L) {
  handle *h = handle_check(L);
  const char *what = calls[h->kind][CALL_BATCH];

  neap_enter(L, what);
  handle_open(L, what);
  query_reclaim(h->pool);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  if (lua_rawlen(L, 2) == 0) {
    lua_createtable(L, 0, 1);
    lua_pushinteger(L, 0);
    lua_setfield(L, -2, "n");
    return neap_finish(L, 1);
  }
  return batch_go(L, carrier(L, h, what));
}

/* describe(sql) -> array of parameter oids, of column names, of their oids */

static void push_description(lua_State *L, const stmt *s) {
  const char *name = s->names;
  int i;

  lua_createtable(L, s->nparams, 0);
  for (i = 0; i < s->nparams; i++) {
    lua_pushinteger(L, (lua_Integer)s->params[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_createtable(L, s->ncols, 0);
  lua_createtable(L, s->ncols, 0);
  for (i = 0; i < s->ncols; i++, name += strlen(name) + 1) {
    lua_pushstring(L, name);
    lua_rawseti(L, -3, i + 1);
    lua_pushinteger(L, (lua_Integer)s->cols[i].oid);
    lua_rawseti(L, -2, i + 1);
  }
}

static int describe_go(lua_State *L, query *q) {
  handle *h = lua_touserdata(L, 1);

  q->form = (unsigned char)query_form_of(q->pool, q);
  if (q->form == FORM_TEXT) q->form = FORM_UNNAMED;
  if (!types_known(L, q)) return query_describe(L, h, q);
  q->pool->guard = q;
  push_description(L, q->stmt);
  q->pool->guard = NULL;
  query_release(q);
  return neap_finish(L, 3);
}

static int l_describe(lua_State *L) {
  handle *h = handle_check(L);
  const char *what = calls[h->kind][CALL_PREPARE];
  stmt *s;
  query *q;

  neap_enter(L, what);
  handle_open(L, what);
  query_reclaim(h->pool);
  lua_settop(L, 2);
  s = query_stmt(L, h, 2, what);
  q = query_make(L, h, what);
  query_set_stmt(q, s);
  q->base = 2;
  q->nargs = 1;
  q->go = describe_go;
  return describe_go(L, q);
}

/* as(sql, text, bare, mode, array, entity or nil, ...): run `text`, which gives
** what `sql` does and, unless bare, takes what it takes. */

enum { AS_SQL = 2, AS_TEXT, AS_BARE, AS_MODE, AS_ARRAY, AS_ENTITY, AS_VALUES };

static int as_go(lua_State *L, query *q) {
  handle *h = lua_touserdata(L, 1);
  size_t len;
  const char *text = lua_tolstring(L, AS_TEXT, &len);
  stmt *alias;

  q->form = FORM_UNNAMED;
  query_set_stmt(q, query_stmt(L, h, AS_SQL, q->what));
  if (!types_known(L, q)) return query_describe(L, h, q);
  q->pool->guard = q;
  alias = stmt_alias(q->stmt, text, len);
  if (alias == NULL) return luaL_error(L, "not enough memory");
  if (lua_toboolean(L, AS_BARE)) alias->nparams = 0;
  query_set_stmt(q, alias);
  stmt_unref(alias);
  q->phase = PHASE_EXECUTE;
  args_reset(&q->args);
  args_add(L, &q->args, alias, AS_VALUES, q->nargs, q->what, 0);
  q->pool->guard = NULL;
  return query_send(L, h, q, k_query);
}

static int l_as(lua_State *L) {
  handle *h = handle_check(L);
  const char *what = calls[h->kind][CALL_EACH];
  query *q;

  neap_enter(L, what);
  handle_open(L, what);
  query_reclaim(h->pool);
  if (lua_gettop(L) < AS_ENTITY) lua_settop(L, AS_ENTITY);
  luaL_checktype(L, AS_TEXT, LUA_TSTRING);
  query_stmt(L, h, AS_SQL, what); /* may raise: not yet in as_go */
  q = query_make(L, h, what);
  q->mode = (unsigned char)lua_tointeger(L, AS_MODE);
  q->shape = (unsigned char)lua_toboolean(L, AS_ARRAY);
  q->entity = lua_istable(L, AS_ENTITY) ? AS_ENTITY : 0;
  q->base = AS_ENTITY;
  q->nargs = lua_gettop(L) - AS_ENTITY;
  q->go = as_go;
  return as_go(L, q);
}

const luaL_Reg many_methods[] = {{"exec_many", l_exec_many},
                                 {"_batch", l_batch},
                                 {"_describe", l_describe},
                                 {"_as", l_as},
                                 {NULL, NULL}};
