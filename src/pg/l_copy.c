/*
** l_copy.c -- see l_copy.h. A copier is one COPY: rows or chunks go through
** its buffer; the connection underneath is its owner's (a conn or a tx), who
** closes the copier before using it for anything else.
*/
#include "pg/l_copy.h"

#include <string.h>

#include "pg/copy.h"
#include "pg/copy_row.h"
#include "pg/fault.h"
#include "pg/l_query.h"

#define COPIER "neap.pg.copy"
#define CHUNK 65536u   /* bytes gathered before they are sent or returned */
#define COLUMNS_MAX 1664 /* of the server, for a query's result */

/* User values: 1 the handle, 2 the columns' names, 3 the statement. */
typedef struct copier {
  handle *h;
  copy_rows *rows;
  char *message; /* being decoded */
  lua_Integer next; /* of the list that _rows is sending */
  unsigned char raw, in, over;
} copier;

static copier *check(lua_State *L) { return luaL_checkudata(L, 1, COPIER); }

/* Its connection, or raises the reason why there is none. */
static conn *lane(lua_State *L, copier *k) {
  lease *l = k->h->lease;

  if (k->h->pool == NULL || l == NULL || (l->conn == NULL && !l->lost))
    neap_raise(L, "closed", NULL, "copy: the connection was given back");
  if (l->lost) {
    k->over = 1;
    fault_push_lost(L, &l->error, 1);
    neap_->fault_raise(L);
  }
  return l->conn;
}

/* After a wait: has another task closed it meanwhile? */
static conn *lane_again(lua_State *L, copier *k) {
  conn *c = lane(L, k);

  if (k->over)
    neap_raise(L, "closed", NULL, "copy: it was closed while a task waited");
  return c;
}

static conn *lane_alone(lua_State *L, copier *k) {
  conn *c = lane(L, k);

  if (c->copy_wait != NULL)
    neap_raise(L, "invalid", NULL, "copy: another task waits in it already");
  return c;
}

static int fail(lua_State *L, copier *k) {
  lease *l = k->h->lease;

  k->over = 1;
  lua_settop(L, 1);
  lua_getiuservalue(L, 1, 3);
  fault_push_result(L, l->copied, lua_tostring(L, 2));
  lua_replace(L, 2);
  lua_getiuservalue(L, 1, 1);
  lua_replace(L, 1); /* where the handle is looked for */
  query_remember_failure(L, k->h, l->copied);
  return neap_->fault_raise(L);
}

/* The server has said how it ended: NULL if well. */
static int ended_badly(const copier *k) {
  const PGresult *r = k->h->lease->copied;
  return r == NULL || query_is_error(r);
}

static int out_of_memory(lua_State *L) {
  return luaL_error(L, "not enough memory");
}

/* h:_copy(is_in, names or nil, oids or nil) -> copier */
static int l_copy(lua_State *L) {
  handle *h = handle_open(L, "copy");
  int i, n = 0;
  copier *k;

  lua_settop(L, 4);
  if (!lua_isnil(L, 4)) n = (int)lua_rawlen(L, 4);
  luaL_argcheck(L, n <= COLUMNS_MAX, 4, "too many columns");
  k = lua_newuserdatauv(L, sizeof *k, 3);
  memset(k, 0, sizeof *k);
  luaL_setmetatable(L, COPIER);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, -2, 2);
  k->h = h;
  k->in = (unsigned char)lua_toboolean(L, 2);
  k->raw = (unsigned char)lua_isnil(L, 4);
  k->rows = base_alloc(sizeof *k->rows + (size_t)n * sizeof *k->rows->cols);
  if (k->rows == NULL) return out_of_memory(L);
  k->rows->what = k->in ? "db:copy_in" : "db:copy_out";
  k->rows->ncols = n;
  for (i = 0; i < n; i++) {
    lua_rawgeti(L, 4, i + 1);
    k->rows->cols[i].oid = (pg_oid)lua_tointeger(L, -1);
    k->rows->cols[i].type = type_map_known(&h->pool->types,
                                           k->rows->cols[i].oid);
    lua_pop(L, 1);
  }
  return 1;
}

/* copier:_is_binary([first row]) -> can it be? */
static int l_copier_is_binary(lua_State *L) {
  copier *k = check(L);
  int yes = copy_rows_can_be_binary(k->rows, k->in);

  if (yes && lua_istable(L, 2)) yes = !copy_rows_need_text(L, k->rows, 2);
  lua_pushboolean(L, yes);
  return 1;
}

/* Waiting. Each function is entered again until nothing is left to wait for;
** the copier is argument 1. */

static const char *op_name(const copier *k) {
  return k->in ? "db:copy_in" : "db:copy_out";
}

static int wait(lua_State *L, copier *k, lua_KFunction f) {
  k->h->lease->conn->copy_lent = 0;
  return copy_park(L, k->h->lease, op_name(k), f);
}

static int k_start(lua_State *L, int rc, lua_KContext ctx) {
  copier *k = lua_touserdata(L, 1);
  conn *c = lane_again(L, k);

  (void)ctx;
  if (rc == RC_NOMEM) return out_of_memory(L);
  if (c->copying == COPY_IN || c->copying == COPY_OUT) return 0;
  if (c->copying != COPY_NONE) return wait(L, k, k_start);
  if (ended_badly(k)) return fail(L, k);
  k->over = 1;
  return neap_finish(L, 0);
}

/* copier:_start(sql, binary): waits until the server is ready. */
static int l_copier_start(lua_State *L) {
  copier *k = check(L);
  size_t len;
  const char *sql = luaL_checklstring(L, 2, &len);
  conn *c;
  int rc;

  k->rows->binary = lua_toboolean(L, 3);
  lua_settop(L, 2);
  neap_enter(L, op_name(k));
  c = lane(L, k);
  lua_setiuservalue(L, 1, 3);
  if (c->copying)
    neap_raise(L, "invalid", NULL,
               "copy: another COPY is under way on this connection");
  if (k->in && !k->raw) copy_rows_begin(k->rows);
  rc = copy_start(c, sql, len);
  if (rc == NEAP_PENDING) return wait(L, k, k_start);
  return k_start(L, rc, 0);
}

/* The server has refused already: hear why. */
static int k_refused(lua_State *L, int rc, lua_KContext ctx) {
  copier *k = lua_touserdata(L, 1);
  conn *c = lane_again(L, k);

  (void)rc;
  (void)ctx;
  if (c->copying == COPY_IN) copy_abandon(c);
  c = lane(L, k);
  if (c->copying != COPY_NONE) return wait(L, k, k_refused);
  return fail(L, k);
}

/* Back to the owner, who has not done yet. */
static int lend(lua_State *L, copier *k, int nresults) {
  k->h->lease->conn->copy_lent = 1;
  return neap_finish(L, nresults);
}

static int send_more(lua_State *L, copier *k);

static int k_sent(lua_State *L, int rc, lua_KContext ctx) {
  copier *k = lua_touserdata(L, 1);
  conn *c = lane_again(L, k);

  (void)rc;
  (void)ctx;
  if (c->copy_refused) return k_refused(L, 0, 0);
  if (c->blocked) return wait(L, k, k_sent);
  return send_more(L, k);
}

static int flush(lua_State *L, copier *k, conn *c) {
  buf *out = &k->rows->out;
  int rc = copy_put(c, out->data, out->len);

  buf_reset(out);
  if (rc == NEAP_PENDING) return wait(L, k, k_sent);
  return k_sent(L, rc, 0);
}

/* Rows from the list at 2, from k->next on. */
static int send_more(lua_State *L, copier *k) {
  if (lua_istable(L, 2) && k->next > 0) {
    lua_Integer n = (lua_Integer)lua_rawlen(L, 2);
    while (k->next <= n) {
      lua_rawgeti(L, 2, k->next);
      copy_rows_put(L, k->rows, 4, 3);
      lua_settop(L, 3);
      k->next++;
      if (k->rows->out.len >= CHUNK) return flush(L, k, lane(L, k));
    }
    return 0; /* _finish follows at once */
  }
  return lend(L, k, 0);
}

static conn *enter_in(lua_State *L, copier *k) {
  conn *c;

  neap_enter(L, op_name(k));
  c = lane_alone(L, k);
  if (k->over || c->copying != COPY_IN)
    neap_raise(L, "closed", NULL, "copy: it has ended already");
  return c;
}

/* copier:_row(values), copier:_rows(list): wait while the server is slow */
static int l_copier_row(lua_State *L) {
  copier *k = check(L);
  conn *c = enter_in(L, k);

  lua_settop(L, 2);
  lua_getiuservalue(L, 1, 2);
  copy_rows_put(L, k->rows, 2, 3);
  k->next = 0;
  if (k->rows->out.len >= CHUNK || c->copy_refused) return flush(L, k, c);
  return lend(L, k, 0);
}

static int l_copier_rows(lua_State *L) {
  copier *k = check(L);

  enter_in(L, k);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  lua_getiuservalue(L, 1, 2);
  k->next = 1;
  return send_more(L, k);
}

/* copier:_put(string) */
static int l_copier_put(lua_State *L) {
  copier *k = check(L);
  size_t len;
  const char *s = luaL_checklstring(L, 2, &len);
  conn *c = enter_in(L, k);

  k->next = 0;
  buf_append(&k->rows->out, s, len);
  if (k->rows->out.failed) return out_of_memory(L);
  if (k->rows->out.len >= CHUNK || c->copy_refused) return flush(L, k, c);
  return lend(L, k, 0);
}

static int k_finished(lua_State *L, int rc, lua_KContext ctx) {
  copier *k = lua_touserdata(L, 1);
  conn *c = lane_again(L, k);

  (void)rc;
  (void)ctx;
  if (c->copying != COPY_NONE) return wait(L, k, k_finished);
  if (ended_badly(k)) return fail(L, k);
  k->over = 1;
  lua_pushinteger(L, (lua_Integer)query_affected(k->h->lease->copied));
  return neap_finish(L, 1);
}

/* copier:_finish() -> rows: waits for the outcome */
static int l_copier_finish(lua_State *L) {
  copier *k = check(L);
  conn *c = enter_in(L, k);
  buf *out = &k->rows->out;

  lua_settop(L, 1);
  if (!k->raw) copy_rows_end(k->rows);
  if (out->failed) return out_of_memory(L);
  if (out->len > 0 && copy_put(c, out->data, out->len) == RC_LOST)
    lane(L, k);
  buf_reset(out);
  lane(L, k)->copy_lent = 0;
  copy_finish(lane(L, k));
  return k_finished(L, 0, 0);
}

/* Out of the server. */

static int k_next(lua_State *L, int rc, lua_KContext ctx);

static int push_chunk(lua_State *L, copier *k) {
  lua_pushlstring(L, k->rows->out.data, k->rows->out.len);
  buf_reset(&k->rows->out);
  return lend(L, k, 1);
}

static int k_over(lua_State *L, int rc, lua_KContext ctx) {
  copier *k = lua_touserdata(L, 1);
  conn *c = lane_again(L, k);

  (void)rc;
  (void)ctx;
  if (c->copying != COPY_NONE) return wait(L, k, k_over);
  if (ended_badly(k)) return fail(L, k);
  k->over = 1;
  return k->rows->out.len == 0 ? neap_finish(L, 0) : push_chunk(L, k);
}

static void forget_message(copier *k) {
  if (k->message != NULL) PQfreemem(k->message);
  k->message = NULL;
}

/* 1: what is to be returned is on top. */
static int take_message(lua_State *L, copier *k, int n) {
  buf *out = &k->rows->out;
  int got;

  if (!k->raw) {
    got = copy_rows_take(L, k->rows, k->message, (size_t)n);
    forget_message(k);
    return got;
  }
  buf_append(out, k->message, (size_t)n);
  forget_message(k);
  if (out->failed) return out_of_memory(L);
  if (out->len < CHUNK) return 0;
  lua_pushlstring(L, out->data, out->len);
  buf_reset(out);
  return 1;
}

static int k_next(lua_State *L, int rc, lua_KContext ctx) {
  copier *k = lua_touserdata(L, 1);
  conn *c = lane_again(L, k);
  int n;

  (void)rc;
  (void)ctx;
  lua_settop(L, 1);
  forget_message(k);
  while (c->copying == COPY_OUT && (n = copy_get(c, &k->message)) != 0) {
    if (n == NEAP_PENDING && k->rows->out.len == 0) return wait(L, k, k_next);
    if (n == NEAP_PENDING) break; /* what has come is not held back */
    if (n == RC_LOST) lane(L, k);
    if (take_message(L, k, n)) return lend(L, k, 1);
  }
  if (c->copying == COPY_OUT) return push_chunk(L, k);
  return k_over(L, 0, 0);
}

/* copier:_next() -> a row or a chunk, or nothing at the end */
static int l_copier_next(lua_State *L) {
  copier *k = check(L);

  if (k->over) return 0;
  neap_enter(L, op_name(k));
  lane_alone(L, k);
  return k_next(L, 0, 0);
}

/* copier:_drop(): nobody wants the rest. Does not wait. */
static int l_copier_drop(lua_State *L) {
  copier *k = check(L);

  if (k->over) return 0;
  k->over = 1;
  if (k->h->pool != NULL && k->h->lease != NULL && k->h->lease->conn != NULL)
    copy_abandon(k->h->lease->conn);
  return 0;
}

/* Closed or collected; the connection is dealt with by its own handle. */
static int l_copier__gc(lua_State *L) {
  copier *k = lua_touserdata(L, 1);

  forget_message(k);
  if (k->rows == NULL) return 0;
  buf_fini(&k->rows->out);
  buf_fini(&k->rows->cell);
  base_free(k->rows);
  k->rows = NULL;
  return 0;
}

const luaL_Reg copy_methods[] = {{"_copy", l_copy}, {NULL, NULL}};

void copier_open(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"_is_binary", l_copier_is_binary}, {"_start", l_copier_start},
    {"_row", l_copier_row},             {"_rows", l_copier_rows},
    {"_put", l_copier_put},             {"_finish", l_copier_finish},
    {"_next", l_copier_next},           {"_drop", l_copier_drop},
    {NULL, NULL}};

  luaL_newmetatable(L, COPIER);
  lua_pushcfunction(L, l_copier__gc);
  lua_setfield(L, -2, "__gc");
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
