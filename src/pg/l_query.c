/*
** l_query.c -- see l_query.h. One Lua call, one wait: parameters are encoded,
** a lane is chosen and the statement is under way before the task is parked;
** rows are made in the continuation. Only a statement that the pool has never
** seen takes two: its types have to be asked for first.
*/
#include "pg/l_query.h"

#include <stdlib.h>
#include <string.h>

#include "pg/fault.h"
#include "pg/l_trace.h"
#include "pg/l_types.h"
#include "pg/rows.h"

#define SQL_MAX 16384      /* longer ones are not kept */
#define STATEMENTS_MAX 1024 /* kept at least, whatever the connections keep */
#define AGAIN_MAX 8
#define ASK_MAX 100 /* types within types within types ... */

static const char *const calls[][5] = {
  {"db:query", "db:row", "db:value", "db:column", "db:exec"},
  {"conn:query", "conn:row", "conn:value", "conn:column", "conn:exec"},
  {"tx:query", "tx:row", "tx:value", "tx:column", "tx:exec"},
};

/* Statements. */

/* The least recently used statement leaves the registry. Who still uses it
** has a ref; its names on the connections age out of their caches. */
static void forget_one(lua_State *L, pool *p, int env) {
  stmt *s = container_of(list_first(&p->stmts), stmt, link);

  lua_pushnil(L);
  lua_rawsetp(L, env, s);
  lua_pushlstring(L, s->sql, s->len);
  lua_pushnil(L);
  lua_rawset(L, env);
  node_remove(&s->link);
  s->registered = 0;
  p->nstmts--;
  stmt_unref(s);
}

static stmt *find_stmt(lua_State *L, pool *p, int idx, int env) {
  stmt *s;
  size_t len;
  const char *sql;

  lua_pushvalue(L, idx);
  lua_rawget(L, env);
  s = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (s != NULL) {
    if (s->link.next != &p->stmts.head) {
      node_remove(&s->link);
      list_append(&p->stmts, &s->link);
    }
    return s;
  }
  sql = lua_tolstring(L, idx, &len);
  if (memchr(sql, '\0', len) != NULL) { /* the server would see a shorter one */
    lua_pushfstring(L, "the statement has a zero byte at position %d",
                    (int)((const char *)memchr(sql, '\0', len) - sql) + 1);
    neap_raise(L, "invalid", NULL, lua_tostring(L, -1));
  }
  if (p->nstmts >= STATEMENTS_MAX &&
      p->nstmts >= 4u * (unsigned)p->cfg.statement_cache)
    forget_one(L, p, env);
  lua_pushvalue(L, idx); /* what may raise comes first */
  lua_pushlightuserdata(L, NULL);
  lua_rawset(L, env);
  if ((s = stmt_new(sql, len)) == NULL) luaL_error(L, "not enough memory");
  lua_pushvalue(L, idx);
  lua_pushlightuserdata(L, s);
  lua_rawset(L, env); /* the key is there: no memory needed */
  list_append(&p->stmts, &s->link);
  s->registered = 1;
  p->nstmts++;
  return s;
}

static int refuse(lua_State *L, const char *kind, const char *what,
                  const char *verb, const char *why) {
  lua_pushfstring(L, "%s: '%s' %s", what, verb, why);
  return neap_raise(L, kind, NULL, lua_tostring(L, -1));
}

static void check_allowed(lua_State *L, const handle *h, const stmt *s,
                          const char *what) {
  unsigned f = s->info.flags;
  const char *verb = s->info.verb;

  if (likely((f & ~SQL_PLANNED) == 0)) return;
  if (f & SQL_EMPTY)
    neap_raise(L, "invalid", NULL, "the statement is empty");
  if (f & SQL_SEVERAL)
    refuse(L, "invalid", what, verb,
           "is followed by a second statement; send one at a time");
  if (f & SQL_COPY)
    refuse(L, "invalid", what, verb,
           "from stdin or to stdout cannot be run as a query; use copy_in or "
           "copy_out");
  if (h->kind == KIND_TX && (f & SQL_TXN))
    refuse(L, "unsafe_session_statement", what, verb,
           "ends or begins a transaction; use tx:commit, tx:rollback or "
           "tx:transaction");
  if (h->kind == KIND_DB && (f & (SQL_TXN | SQL_SAVEPOINT)))
    refuse(L, "unsafe_session_statement", what, verb,
           "belongs to a transaction; use db:transaction or db:begin");
  if (h->kind == KIND_DB && (f & SQL_SESSION))
    refuse(L, "unsafe_session_statement", what, verb,
           "changes the session of a connection that others use too; run it "
           "on one of your own, from db:acquire");
}

stmt *query_stmt(lua_State *L, handle *h, int idx, const char *what) {
  stmt *s;

  luaL_checktype(L, idx, LUA_TSTRING);
  handle_push_env(L, 1);
  s = find_stmt(L, h->pool, idx, lua_gettop(L));
  lua_pop(L, 1);
  check_allowed(L, h, s, what);
  return s;
}

/* Queries that are not in the hands of anybody. */

void query_release(query *q) {
  query *next;

  for (; q != NULL; q = next) {
    query *behind = q->behind;
    next = q->next;
    q->behind = NULL;
    query_release(behind);
    if (!(q->flags & QF_WAITED)) continue;
    q->flags &= ~QF_WAITED;
    query_unref(q);
  }
}

void query_reclaim(pool *p) {
  query *q = p->guard;

  p->guard = NULL;
  if (q == NULL) return;
  if (q->conn != NULL && q->conn->in_setup && q->conn->lease == NULL)
    conn_close(q->conn, CLOSE_HOOK, "on_connect could not be called");
  query_release(q);
}

query *query_make(lua_State *L, handle *h, const char *what) {
  query *q = query_new(h->pool);
  pool *p = h->pool;
  int64_t now;

  if (q == NULL) luaL_error(L, "not enough memory");
  query_name(q, what);
  q->phase = PHASE_EXECUTE;
  if (unlikely(p->cfg.told != 0)) q->asked_at = pool_now();
  q->begun = now = neap_->now(p->loop);
  q->acquire_by = p->cfg.acquire_ns > 0 ? now + p->cfg.acquire_ns : INT64_MAX;
  q->deadline = p->cfg.command_ns > 0 ? now + p->cfg.command_ns : INT64_MAX;
  return q;
}

/* Utility statements without parameters need no description: they go at once,
** in text, and are not kept on the server. */
int query_form_of(const pool *p, const query *q) {
  if (p->cfg.prepare_mode == PREPARE_OFF) return FORM_TEXT;
  if (!(q->stmt->info.flags & SQL_PLANNED) && q->nargs == 0) return FORM_TEXT;
  if (p->cfg.prepare_mode == PREPARE_UNNAMED || q->unprepared ||
      p->cfg.statement_cache == 0 || q->stmt->len > SQL_MAX)
    return FORM_UNNAMED;
  return FORM_NAMED;
}

/* Ends that raise. */

/* The Lua side knows who holds the connections, in debug mode. */
void query_explain(lua_State *L) {
  int fault = lua_gettop(L);

  handle_push_env(L, 1);
  if (lua_rawgeti(L, -1, ENV_EXPLAIN) == LUA_TFUNCTION) {
    lua_pushvalue(L, fault);
    lua_call(L, 1, 0);
  }
  lua_settop(L, fault);
}

int query_fail(lua_State *L, query *q, int rc) {
  q->pool->guard = q;
  fault_push_rc(L, q, rc);
  if (rc == RC_POOL_TIMEOUT) query_explain(L);
  if (trace_is_on(q)) trace_tell(L, q, lua_gettop(L));
  q->pool->guard = NULL;
  query_release(q);
  return neap_->fault_raise(L);
}

/* The first failure of a transaction explains the later ones. The fault is on
** top of the stack. */
void query_remember_failure(lua_State *L, handle *h, const PGresult *r) {
  const char *code = PQresultErrorField(r, PG_DIAG_SQLSTATE);
  int fault = lua_gettop(L);

  if (h->kind == KIND_DB || code == NULL) return;
  handle_push_env(L, 1);
  if (strcmp(code, "25P02") == 0) {
    if (h->lease->failed && lua_rawgetp(L, -1, h->lease) != LUA_TNIL)
      lua_setfield(L, fault, "cause");
  } else if (!h->lease->failed && h->lease->in_tx) {
    h->lease->failed = 1;
    lua_pushvalue(L, fault);
    lua_rawsetp(L, -2, h->lease);
  }
  lua_settop(L, fault);
}

/* `of` is q, or the one of its batch that failed. */
int query_fail_result(lua_State *L, handle *h, query *q, const query *of) {
  q->pool->guard = q;
  fault_push_result(L, of->res, of->stmt ? of->stmt->sql : NULL);
  if (of->args.sets > 1) {
    lua_pushinteger(L, of->failed_set + 1);
    lua_setfield(L, -2, "index");
  } else if (q->next != NULL && !(of->flags & QF_LATE)) {
    const query *m;
    lua_Integer i = 1;
    for (m = q; m != of; m = m->next) i++;
    lua_pushinteger(L, i);
    lua_setfield(L, -2, "index");
  }
  query_remember_failure(L, h, of->res);
  if (trace_is_on(q)) trace_tell(L, of, lua_gettop(L));
  q->pool->guard = NULL;
  query_release(q);
  return neap_->fault_raise(L);
}

int query_is_error(const PGresult *r) {
  ExecStatusType s = PQresultStatus(r);
  return s == PGRES_FATAL_ERROR || s == PGRES_PIPELINE_ABORTED;
}

int64_t query_affected(const PGresult *r) {
  const char *n = PQcmdTuples((PGresult *)r);
  return *n ? strtoll(n, NULL, 10) : 0;
}

/* The way there and back. */

static int setup(lua_State *L, query *q);

int query_send(lua_State *L, handle *h, query *q, lua_KFunction k) {
  int rc = RC_OK;

  if (h->kind == KIND_DB)
    rc = pool_submit(h->pool, q);
  else if (h->lease->conn != NULL) {
    q->refs++;
    conn_submit(h->lease->conn, q);
  } else
    rc = h->lease->lost ? RC_LOST : RC_CLOSED;
  if (rc == RC_SETUP) return setup(L, q);
  if (rc != RC_OK) return query_fail(L, q, rc);
  if (q->state == Q_DONE) return k(L, q->rc, (lua_KContext)&q->wait);
  return neap_park(L, &q->wait, k);
}

int query_describe(lua_State *L, handle *h, query *q) {
  if (q->stmt->described) {
    types_write(L, q, q->stmt, NULL);
  } else {
    q->phase = PHASE_DESCRIBE;
    args_reset(&q->args);
    if (q->flags & QF_FOLLOWED) q->form = FORM_UNNAMED;
  }
  if (h->kind != KIND_DB ||
      (q->phase == PHASE_DESCRIBE && q->flags & QF_FOLLOWED))
    return query_send(L, h, q, k_query);
  if (q->stmt->describing) {
    if (shed_admit(h->pool) != RC_OK) return query_fail(L, q, RC_OVERLOADED);
    q->refs++;
    query_follow(q);
    return neap_park(L, &q->wait, k_query);
  }
  q->stmt->describing = 1;
  q->flags |= QF_LEADER;
  return query_send(L, h, q, k_query);
}

static int execute(lua_State *L, query *q) {
  handle *h = lua_touserdata(L, 1);

  q->form = (unsigned char)query_form_of(q->pool, q);
  if (q->form != FORM_TEXT && !types_known(L, q))
    return query_describe(L, h, q);
  q->phase = PHASE_EXECUTE;
  args_reset(&q->args);
  q->pool->guard = q; /* what follows may raise */
  args_add(L, &q->args, q->stmt, q->base + 1, q->nargs, q->what, 0);
  q->pool->guard = NULL;
  return query_send(L, h, q, k_query);
}

static int deliver(lua_State *L, handle *h, query *q) {
  rows_want want = {q->mode, q->shape, q->entity, 0};
  int n, top = lua_gettop(L);

  if (query_is_error(q->res)) return query_fail_result(L, h, q, q);
  q->pool->guard = q;
  if (trace_is_on(q) && !(q->flags & QF_ECHOED)) trace_tell(L, q, 0);
  handle_push_env(L, 1);
  want.env = lua_gettop(L);
  n = rows_push(L, q, &want);
  if (unlikely(n == ROWS_UNTYPED)) {
    q->flags |= QF_ECHOED;
    lua_settop(L, top);
    return types_ask(L, h, q, k_query);
  }
  q->pool->stats.rows += (uint64_t)PQntuples(q->res);
  q->pool->guard = NULL;
  query_release(q);
  return neap_finish(L, n);
}

static void begin_anew(query *q) {
  PQclear(q->res);
  q->res = NULL;
  if (q->conn != NULL) conn_unref(q->conn);
  q->conn = NULL;
  q->state = Q_NEW;
  q->rc = 0;
  q->sent_at = 0;
}

/* Once more from the start: the description has come, or was out of date. */
static int again(lua_State *L, query *q) {
  if (q->phase == PHASE_EXECUTE) q->flags |= QF_AGAIN;
  if (++q->attempts > (q->phase == PHASE_TYPES ? ASK_MAX : AGAIN_MAX))
    return query_fail(L, q, RC_STALE);
  begin_anew(q);
  q->pool->guard = q;
  neap_enter(L, q->what); /* cancelled meanwhile: nothing more is sent */
  q->pool->guard = NULL;
  return q->go(L, q);
}

int query_resume(lua_State *L, query *q, int rc) {
  return rc == RC_AGAIN ? again(L, q) : setup(L, q);
}

int k_query(lua_State *L, int rc, lua_KContext ctx) {
  query *q = container_of((neap_wait *)ctx, query, wait);

  query_reclaim(q->pool);
  switch (rc) {
  case RC_OK:
    return deliver(L, lua_touserdata(L, 1), q);
  case RC_AGAIN:
    return again(L, q);
  case RC_SETUP:
    return setup(L, q);
  default:
    return query_fail(L, q, rc);
  }
}

/* A connection that is fresh came q's way: on_connect runs in q's task, on a
** handle of its own; then q is sent like any other. */

int query_call_hook(lua_State *L, int env, lua_KContext ctx, lua_KFunction k) {
  lua_rawgeti(L, env, ENV_ON_CONNECT);
  lua_pushvalue(L, -2);
  return k(L, lua_pcallk(L, 1, 0, 0, ctx, k), ctx);
}

static int k_setup(lua_State *L, int status, lua_KContext ctx) {
  query *q = (query *)ctx;
  handle *h = lua_touserdata(L, q->scratch);
  lease *l = h->lease;

  h->over = 1;
  if (status != LUA_OK && status != LUA_YIELD) {
    lease_destroy(l, CLOSE_HOOK, "on_connect failed");
    query_release(q);
    return lua_error(L);
  }
  if (l->conn != NULL) l->conn->fresh = l->conn->dirty = 0;
  lease_release(l);
  lua_settop(L, q->scratch - 1);
  begin_anew(q);
  return q->go(L, q);
}

static int setup(lua_State *L, query *q) {
  pool *p = q->pool;
  lease *l;

  p->guard = q;
  q->scratch = lua_gettop(L) + 1;
  query_stop_leading(q);
  handle_push_env(L, 1);
  l = handle_push(L, KIND_CONN, p, NULL, q->scratch)->lease;
  lua_insert(L, q->scratch); /* handle, environment */
  lua_pushvalue(L, q->scratch);
  l->conn = q->conn;
  q->conn->lease = l;
  q->conn->in_setup = 0;
  p->guard = NULL;
  return query_call_hook(L, q->scratch + 1, (lua_KContext)q, k_setup);
}

/* From Lua. */

static query *make(lua_State *L, handle *h, int mode, int base) {
  const char *what = calls[h->kind][mode];
  stmt *s = query_stmt(L, h, base, what);
  query *q = query_make(L, h, what);

  query_set_stmt(q, s);
  q->mode = (unsigned char)mode;
  q->base = base;
  q->nargs = lua_gettop(L) - base;
  q->go = execute;
  return q;
}

static int call(lua_State *L, int mode) {
  handle *h = handle_check(L);

  neap_enter(L, calls[h->kind][mode]);
  handle_open(L, calls[h->kind][mode]);
  query_reclaim(h->pool);
  return execute(L, make(L, h, mode, 2));
}

static int l_query(lua_State *L) { return call(L, ROWS_QUERY); }
static int l_row(lua_State *L) { return call(L, ROWS_ROW); }
static int l_value(lua_State *L) { return call(L, ROWS_VALUE); }
static int l_column(lua_State *L) { return call(L, ROWS_COLUMN); }
static int l_exec(lua_State *L) { return call(L, ROWS_EXEC); }

/* Options. */

enum option { OPT_ROWS, OPT_TIMEOUT, OPT_PREPARE, OPT_READONLY, OPT_ENTITY,
              OPT_PLAN, OPTS };

/* ORDER OPTIONS */
static const char *const option_names[] = {
  "rows", "timeout", "prepare", "readonly", "entity", "plan"};

static void bad_option(lua_State *L, const char *name, const char *what) {
  lua_pushfstring(L, "query_opts: option '%s' must be %s", name, what);
  neap_raise(L, "invalid", NULL, lua_tostring(L, -1));
}

/* options.check knows how to say it. */
static void unknown_option(lua_State *L, int idx) {
  int i;

  lua_getglobal(L, "require");
  lua_pushliteral(L, "neap.options");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "check");
  lua_pushliteral(L, "query_opts");
  lua_pushvalue(L, idx);
  lua_createtable(L, 0, OPTS);
  for (i = 0; i < OPTS; i++) {
    lua_pushliteral(L, "any");
    lua_setfield(L, -2, option_names[i]);
  }
  lua_call(L, 3, 0);
}

typedef struct query_options {
  int array, unprepared, generic, readonly, entity;
  lua_Number timeout;
} query_options;

static int is_text(lua_State *L, int idx, const char *text) {
  return lua_type(L, idx) == LUA_TSTRING &&
         strcmp(lua_tostring(L, idx), text) == 0;
}

static void read_option(lua_State *L, int i, query_options *o) {
  switch (i) { /* the value is on top */
  case OPT_ROWS:
    o->array = is_text(L, -1, "array");
    if (!o->array && !is_text(L, -1, "table"))
      bad_option(L, "rows", "'table' or 'array'");
    break;
  case OPT_TIMEOUT:
    o->timeout = lua_tonumber(L, -1);
    if (lua_type(L, -1) != LUA_TNUMBER || !(o->timeout > 0))
      bad_option(L, "timeout", "a positive number of seconds");
    break;
  case OPT_PREPARE:
    if (!lua_isboolean(L, -1)) bad_option(L, "prepare", "a boolean");
    o->unprepared |= !lua_toboolean(L, -1);
    break;
  case OPT_READONLY:
    if (!lua_isboolean(L, -1)) bad_option(L, "readonly", "a boolean");
    o->readonly = lua_toboolean(L, -1);
    break;
  case OPT_ENTITY:
    if (!lua_istable(L, -1)) bad_option(L, "entity", "a metatable");
    o->entity = 1;
    break;
  default:
    if (is_text(L, -1, "custom"))
      o->unprepared = 1;
    else if (is_text(L, -1, "generic"))
      o->generic = 1;
    else
      bad_option(L, "plan", "'custom' or 'generic'");
  }
}

static void read_options(lua_State *L, int idx, query_options *o) {
  if (!lua_istable(L, idx)) bad_option(L, "(all)", "in a table");
  for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
    int i = OPTS;
    if (lua_type(L, -2) == LUA_TSTRING) {
      const char *key = lua_tostring(L, -2);
      for (i = 0; i < OPTS && strcmp(key, option_names[i]) != 0; i++);
    }
    if (i == OPTS) unknown_option(L, idx);
    read_option(L, i, o);
  }
}

/* (opts, sql, ...) */
static int l_query_opts(lua_State *L) {
  handle *h = handle_check(L);
  query_options o = {0};
  query *q;

  neap_enter(L, calls[h->kind][ROWS_QUERY]);
  handle_open(L, calls[h->kind][ROWS_QUERY]);
  query_reclaim(h->pool);
  read_options(L, 2, &o);
  q = make(L, h, ROWS_QUERY, 3);
  q->shape = (unsigned char)o.array;
  q->unprepared = (unsigned char)o.unprepared;
  if (o.readonly && h->kind == KIND_DB) q->flags |= QF_READONLY;
  if (o.generic) q->flags |= QF_GENERIC;
  if (o.timeout > 0 && o.timeout < 1e9)
    q->deadline = q->begun + (int64_t)(o.timeout * 1e9);
  if (o.entity) {
    h->pool->guard = q;
    luaL_checkstack(L, 4, "entity");
    lua_getfield(L, 2, "entity");
    h->pool->guard = NULL;
    q->entity = lua_gettop(L);
  }
  return execute(L, q);
}

const luaL_Reg query_methods[] = {
  {"query", l_query},   {"row", l_row},   {"value", l_value},
  {"column", l_column}, {"exec", l_exec}, {"query_opts", l_query_opts},
  {NULL, NULL}};
