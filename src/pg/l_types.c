/*
** l_types.c -- see l_types.h; and codecs of the user's, as Lua gives them.
*/
#include "pg/l_types.h"

#include <string.h>

#include "pg/catalog.h"
#include "pg/l_query.h"
#include "pg/rows.h"
#include "pg/type.h"

static int no_memory(lua_State *L, query *q) {
  q->pool->guard = q;
  return luaL_error(L, "not enough memory");
}

int types_known(lua_State *L, query *q) {
  stmt *s = q->stmt;
  int rc;

  if (!s->described) return 0;
  if (likely(s->typed == q->pool->types.generation)) return 1;
  if ((rc = stmt_resolve(s, &q->pool->types, NULL)) < 0) no_memory(L, q);
  return rc;
}

void types_write(lua_State *L, query *by, stmt *s, query *q) {
  buf *out = &by->args.bytes;
  size_t at;
  int rc = 0;

  by->phase = PHASE_TYPES;
  args_reset(&by->args);
  buf_string(out, catalog_head);
  at = out->len;
  if (s != NULL) rc = stmt_resolve(s, &by->pool->types, out);
  for (; q != NULL && rc >= 0; q = q->next) rc = rows_missing(q, out);
  if (rc < 0 || out->failed) no_memory(L, by);
  if (out->len > at) out->len--; /* the last comma */
  buf_append(out, catalog_tail, strlen(catalog_tail) + 1);
  if (out->failed) no_memory(L, by);
}

static int k_types(lua_State *L, int rc, lua_KContext ctx);

static int ask(lua_State *L, query *t) {
  handle *h = lua_touserdata(L, 1);

  types_write(L, t, NULL, t->behind);
  return query_send(L, h, t, k_types);
}

static int k_types(lua_State *L, int rc, lua_KContext ctx) {
  query *t = container_of((neap_wait *)ctx, query, wait), *q = t->behind;
  lua_KFunction after = t->after;

  query_reclaim(t->pool);
  if (rc == RC_SETUP) return query_resume(L, t, rc);
  if (rc == RC_OK)
    return query_fail_result(L, lua_touserdata(L, 1), t, t);
  if (rc != RC_AGAIN) return query_fail(L, t, rc);
  t->behind = NULL;
  query_release(t);
  return after(L, RC_OK, (lua_KContext)&q->wait);
}

int types_ask(lua_State *L, handle *h, query *q, lua_KFunction k) {
  query *t;

  (void)h;
  q->pool->guard = q;
  t = query_make(L, lua_touserdata(L, 1), q->what);
  t->deadline = q->deadline;
  t->behind = q;
  t->after = k;
  t->go = ask;
  q->pool->guard = NULL;
  return ask(L, t);
}

/* type_name(oid) -> name of a type, or nil if it is not known */
static int l_type_name(lua_State *L) {
  handle *h = handle_open(L, "db:prepare");
  const pg_type *t =
    type_map_known(&h->pool->types, (pg_oid)luaL_checkinteger(L, 2));

  if (t == NULL || t->name[0] == '\0') return 0;
  lua_pushstring(L, t->name);
  return 1;
}

/* A built-in type is known to everybody: from now on this pool has its own,
** and its own array of it. */
static int put_built_in(type_map *m, pg_oid oid, pg_oid array,
                        const char *key) {
  const pg_type *type = pg_type_of(oid), *many = pg_type_of(array);
  type_def d = {oid, 0, KIND_BUILT_IN, ',', NULL, NULL, 0, NULL};
  int rc;

  if (type == NULL) return 0;
  d.name = type->name;
  d.key = key;
  if ((rc = type_map_put(m, &d)) < 0 || many == NULL) return rc;
  d.oid = array;
  d.of = oid;
  d.kind = KIND_ARRAY;
  d.name = many->name;
  d.key = "";
  return type_map_put(m, &d);
}

/* h:_codec(key, oid, array's oid, form, decode or nil, encode or nil) */
static int l_codec(lua_State *L) {
  handle *h = handle_open(L, "pg.codec");
  type_map *m = &h->pool->types;
  const char *key = luaL_checkstring(L, 2);
  pg_oid oid = (pg_oid)luaL_checkinteger(L, 3);
  pg_oid array = (pg_oid)luaL_checkinteger(L, 4);
  int form = (int)luaL_checkinteger(L, 5), number = m->ncodecs + 1;

  lua_settop(L, 7);
  type_map_push_space(L, m);
  lua_pushvalue(L, 6);
  lua_rawseti(L, -2, 2 * (lua_Integer)number);
  lua_pushvalue(L, 7);
  lua_rawseti(L, -2, 2 * (lua_Integer)number + 1);
  if (put_built_in(m, oid, array, key) < 0 ||
      type_map_codec(m, key, form, !lua_isnil(L, 6), !lua_isnil(L, 7)) < 0)
    return luaL_error(L, "not enough memory");
  return 0;
}

const luaL_Reg types_methods[] = {
  {"_type_name", l_type_name}, {"_codec", l_codec}, {NULL, NULL}};
