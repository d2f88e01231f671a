/*
** l_tx.c -- see l_tx.h. BEGIN and SAVEPOINT wait for the first statement and
** travel in its segment; COMMIT and ROLLBACK are never cancelled, but bounded
** in time. What ends a transaction with an error in flight raises nothing.
*/
#include "pg/l_tx.h"

#include <stdio.h>
#include <string.h>

#include "pg/copy.h"
#include "pg/fault.h"
#include "pg/l_query.h"
#include "pg/l_trace.h"

#define ROLLBACK_NS INT64_C(5000000000)

static void savepoint(char *out, size_t size, const char *verb,
                      const handle *h) {
  snprintf(out, size, "%s neap_%u", verb, h->depth);
}

/* conn:_open(sql, owns) -> tx; tx:_open() -> tx within it */
int l_tx_open(lua_State *L) {
  handle *h = handle_open(L, "begin"), *t;
  lease *l = h->lease;
  const char *sql = h->kind == KIND_CONN ? luaL_checkstring(L, 2) : NULL;
  int owns = lua_toboolean(L, 3), rc;
  char text[48];

  if (h->kind == KIND_CONN && l->in_tx)
    neap_raise(L, "invalid", NULL,
               "begin: the connection is in a transaction already; use "
               "tx:transaction for one inside of it");
  handle_push_env(L, 1);
  t = handle_push(L, KIND_TX, h->pool, l, lua_gettop(L));
  if (h->kind == KIND_TX) {
    t->depth = ++l->savepoints;
    savepoint(text, sizeof text, "savepoint", t);
    sql = text;
  }
  if ((rc = conn_prelude(l->conn, sql)) < 0)
    luaL_error(L, "not enough memory");
  t->owns = (unsigned char)owns;
  if (owns) h->over = 1; /* the connection is the transaction's now */
  l->in_tx = 1;
  return 1;
}

/* The transaction is over; never raises. */
static void over(lua_State *L, handle *h) {
  lease *l = h->lease;

  if (h->over) return;
  h->over = 1;
  if (h->depth > 0) return;
  l->in_tx = l->failed = 0;
  l->savepoints = 0;
  handle_push_env(L, 1);
  lua_pushnil(L);
  lua_rawsetp(L, -2, l); /* removing needs no memory */
  lua_pop(L, 1);
  if (h->owns) lease_release(l);
}

/* Send the text of the end; NULL: no memory. */
static query *send_end(handle *h, const char *sql, unsigned flags,
                       int64_t limit) {
  pool *p = h->pool;
  query *q = query_new(p);

  if (q == NULL) return NULL;
  buf_append(&q->args.bytes, sql, strlen(sql) + 1);
  if (q->args.bytes.failed) {
    query_unref(q);
    return NULL;
  }
  q->phase = PHASE_EXECUTE;
  q->form = FORM_TEXT;
  q->args.sets = 1;
  q->flags |= flags | QF_END;
  q->wait.op = &commit_op;
  q->what = flags & QF_COMMIT ? "tx:commit" : "tx:rollback";
  if (unlikely(p->cfg.told != 0)) q->asked_at = pool_now();
  q->begun = neap_->now(p->loop);
  q->deadline = limit > 0 ? q->begun + limit : INT64_MAX;
  q->refs++;
  conn_submit(h->lease->conn, q);
  return q;
}

/* Nothing of the transaction has reached the server yet. */
static int is_unsent(const conn *c) {
  return c->prelude.len > 0 && strncmp(c->prelude.data, "begin", 5) == 0;
}

/* Commit. */

static void raise_rolled_back(lua_State *L, handle *h) {
  neap_->fault_push(L, "commit_rolled_back", NULL,
                    "the server answered COMMIT with ROLLBACK: a statement of "
                    "the transaction had failed");
  handle_push_env(L, 1);
  if (lua_rawgetp(L, -1, h->lease) != LUA_TNIL) lua_setfield(L, -3, "cause");
  lua_settop(L, 2);
  over(L, h);
  neap_->fault_raise(L);
}

static int k_commit(lua_State *L, int rc, lua_KContext ctx) {
  query *q = container_of((neap_wait *)ctx, query, wait);
  handle *h = lua_touserdata(L, 1);

  query_reclaim(q->pool);
  lua_settop(L, 1);
  if (rc != RC_OK || query_is_error(q->res)) {
    q->pool->guard = q;
    if (rc != RC_OK)
      fault_push_rc(L, q, rc);
    else
      fault_push_result(L, q->res, NULL);
    if (trace_is_on(q)) trace_tell(L, q, lua_gettop(L));
    q->pool->guard = NULL;
    query_release(q);
    over(L, h);
    return neap_->fault_raise(L);
  }
  rc = strcmp(PQcmdStatus(q->res), "ROLLBACK") == 0;
  if (trace_is_on(q)) trace_tell(L, q, 0);
  query_release(q);
  if (rc) raise_rolled_back(L, h);
  over(L, h);
  return neap_finish(L, 0);
}

static int commit_outer(lua_State *L, handle *h) {
  conn *c = h->lease->conn;
  query *q;
  int unsent = is_unsent(c);

  buf_reset(&c->prelude); /* savepoints end with the transaction */
  if (unsent) {
    over(L, h);
    return neap_finish(L, 0);
  }
  q = send_end(h, "commit", QF_COMMIT, h->pool->cfg.commit_ns);
  if (q == NULL) return luaL_error(L, "not enough memory");
  if (q->state == Q_DONE) return k_commit(L, q->rc, (lua_KContext)&q->wait);
  return neap_park(L, &q->wait, k_commit);
}

static int commit_inner(lua_State *L, handle *h) {
  conn *c = h->lease->conn;
  char text[48];

  savepoint(text, sizeof text, "savepoint", h);
  if (conn_drop_prelude(c, text)) {
    over(L, h);
    return neap_finish(L, 0);
  }
  if (c->depth == 0 && PQtransactionStatus(c->pg) == PQTRANS_INERROR) {
    neap_->fault_push(L, "transaction_aborted", "25P02",
                      "a statement of the transaction has failed");
    handle_push_env(L, 1);
    if (lua_rawgetp(L, -1, h->lease) != LUA_TNIL)
      lua_setfield(L, -3, "cause");
    lua_settop(L, 2);
    return neap_->fault_raise(L);
  }
  savepoint(text, sizeof text, "release savepoint", h);
  if (conn_prelude(c, text) < 0) return luaL_error(L, "not enough memory");
  over(L, h);
  return neap_finish(L, 0);
}

static int l_tx_commit(lua_State *L) {
  handle *h = handle_check(L);

  lua_settop(L, 1);
  neap_enter(L, "tx:commit");
  handle_open(L, "tx:commit");
  query_reclaim(h->pool);
  return h->depth > 0 ? commit_inner(L, h) : commit_outer(L, h);
}

/* Roll back. In doubt the connection is closed, which does it as well. */

static int k_rollback(lua_State *L, int rc, lua_KContext ctx) {
  query *q = container_of((neap_wait *)ctx, query, wait);
  handle *h = lua_touserdata(L, 1);
  int ok = rc == RC_OK && !query_is_error(q->res);

  query_reclaim(q->pool);
  lua_settop(L, 1);
  if (trace_is_on(q) && ok) trace_tell(L, q, 0);
  query_release(q);
  if (!ok) lease_destroy(h->lease, CLOSE_DOUBT, "a rollback failed");
  if (ok && h->depth > 0) {
    h->lease->failed = 0;
    handle_push_env(L, 1);
    lua_pushnil(L);
    lua_rawsetp(L, -2, h->lease);
  }
  over(L, h);
  return 0;
}

/* The statement that undoes what h stands for; NULL: there is nothing. */
static const char *prepare_rollback(handle *h, char *text, size_t size) {
  conn *c = h->lease->conn;

  if (h->depth == 0) {
    int unsent = is_unsent(c);
    buf_reset(&c->prelude);
    return unsent ? NULL : "rollback";
  }
  savepoint(text, size, "savepoint", h);
  if (conn_drop_prelude(c, text)) return NULL;
  buf_reset(&c->prelude);
  savepoint(text, size, "rollback to savepoint", h);
  if (conn_prelude(c, text) < 0) return "rollback"; /* no memory: all of it */
  savepoint(text, size, "release savepoint", h);
  return text;
}

static int rollback(lua_State *L, handle *h) {
  lease *l = h->lease;
  const char *sql;
  char text[48];
  query *q;
  int may_wait = lua_isyieldable(L) && neap_->in_task(L);

  lua_settop(L, 1);
  if (l->conn == NULL) { /* lost: the server has rolled back by itself */
    over(L, h);
    return 0;
  }
  if (l->conn->copying) copy_abandon(l->conn);
  if (l->conn == NULL) return over(L, h), 0; /* lost in the attempt */
  if (h->depth == 0 && h->owns && l->conn->cancelling != CANCEL_NONE) {
    over(L, h); /* the lane is rolled back behind us, or closed: clean.c */
    return 0;
  }
  if ((sql = prepare_rollback(h, text, sizeof text)) == NULL) {
    over(L, h);
    return 0;
  }
  if ((q = send_end(h, sql, 0, ROLLBACK_NS)) == NULL) {
    lease_destroy(l, CLOSE_DOUBT, "no memory for a rollback");
    over(L, h);
    return 0;
  }
  if (q->state == Q_DONE) return k_rollback(L, q->rc, (lua_KContext)&q->wait);
  if (may_wait) return neap_park(L, &q->wait, k_rollback);
  query_release(q); /* it is on its way, in front of whatever comes next */
  over(L, h);
  return 0;
}

static int l_tx_rollback(lua_State *L) {
  handle *h = handle_check(L);

  if (h->over)
    neap_raise(L, "closed", NULL, "tx:rollback: the transaction is over");
  return rollback(L, h);
}

static int l_tx__close(lua_State *L) {
  handle *h = lua_touserdata(L, 1);

  if (h->pool == NULL || h->over) return 0;
  return rollback(L, h);
}

static int l_tx__gc(lua_State *L) {
  handle_leaked(L);
  handle_collect(lua_touserdata(L, 1));
  return 0;
}

static int l_tx_is_over(lua_State *L) {
  lua_pushboolean(L, handle_check(L)->over);
  return 1;
}

const luaL_Reg tx_methods[] = {{"_commit", l_tx_commit},
                               {"_rollback", l_tx_rollback},
                               {"_open", l_tx_open},
                               {"_is_over", l_tx_is_over},
                               {NULL, NULL}};

const luaL_Reg tx_metas[] = {{"__close", l_tx__close},
                             {"__gc", l_tx__gc},
                             {NULL, NULL}};
