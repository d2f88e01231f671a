/*
** mod.c -- luaopen_neap_pg_core: the table of contents of the driver's C part.
**
** M1  Every conn and server of the Lua state stands in a list from birth to
**     death. When the state ends, coroutines that were under way never run
**     again: the lists, finalized after all pools, free what they held.
*/
#include <stdlib.h>
#include <string.h>

#include "pg/ephemeral.h"
#include "pg/l_copy.h"
#include "pg/l_listen.h"
#include "pg/l_pool.h"
#include "pg/l_query.h"
#include "pg/l_tx.h"
#include "pg/l_types.h"
#include "pg/sql.h"

NEAP_MODULE;

typedef struct module {
  list conns, servers;
} module;

static int l_module__gc(lua_State *L) {
  module *m = lua_touserdata(L, 1);

  for (node *n; (n = list_first(&m->conns)) != NULL;)
    conn_obliterate(container_of(n, conn, module));
  ephemeral_fini(&m->servers);
  return 0;
}

/* The metatable is upvalue 1 of its methods (handle.h). */
static void add(lua_State *L, const luaL_Reg *functions) {
  lua_pushvalue(L, -2); /* metatable, methods, metatable */
  luaL_setfuncs(L, functions, 1);
}

static void class_begin(lua_State *L, const char *name, const luaL_Reg *metas) {
  luaL_newmetatable(L, name);
  luaL_setfuncs(L, metas, 0);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "__index");
}

/* Methods and metatable go to the module, for the Lua side to add its own. */
static void class_end(lua_State *L, int t, const char *name) {
  lua_setfield(L, t, name);
  lua_pushfstring(L, "%s_meta", name);
  lua_insert(L, -2);
  lua_settable(L, t);
}

static void open_classes(lua_State *L, int t) {
  static const luaL_Reg tx_open[] = {{"_open", l_tx_open}, {NULL, NULL}};

  class_begin(L, HANDLE_DB, pool_metas);
  add(L, query_methods);
  add(L, many_methods);
  add(L, types_methods);
  add(L, pool_methods);
  class_end(L, t, "db");
  class_begin(L, HANDLE_CONN, conn_metas);
  add(L, query_methods);
  add(L, many_methods);
  add(L, types_methods);
  add(L, conn_methods);
  add(L, tx_open);
  add(L, copy_methods);
  add(L, listen_methods);
  class_end(L, t, "conn");
  class_begin(L, HANDLE_TX, tx_metas);
  add(L, query_methods);
  add(L, many_methods);
  add(L, types_methods);
  add(L, tx_methods);
  add(L, copy_methods);
  class_end(L, t, "tx");
  copier_open(L);
}

/* ident(name) -> quoted */
static int l_ident(lua_State *L) {
  size_t len;
  const char *name = luaL_checklstring(L, 1, &len);
  luaL_Buffer b;

  luaL_argcheck(L, len > 0, 1, "an identifier may not be empty");
  luaL_argcheck(L, memchr(name, '\0', len) == NULL, 1,
                "an identifier may not contain a zero byte");
  luaL_addsize(&b, sql_quote_ident(
    luaL_buffinitsize(L, &b, 2 * len + 3), name, len));
  luaL_pushresult(&b);
  return 1;
}

/* keywords() -> set of the connection options that libpq knows */
static int l_keywords(lua_State *L) {
  PQconninfoOption *all = PQconndefaults(), *o;

  if (all == NULL) return luaL_error(L, "not enough memory");
  lua_newtable(L);
  for (o = all; o->keyword != NULL; o++) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, o->keyword);
  }
  PQconninfoFree(all);
  return 1;
}

/*
** libpq keeps a result in blocks, which are all freed when it is read. Where
** they lie at the end of the heap the C library gives the pages back each
** time, and the kernel clears them again for the next result: a quarter of the
** CPU for results of 100 kB. glibc learns from a large block that is freed
** that such sizes come and go, unless the environment says otherwise;
** elsewhere this does nothing.
*/
#define HEAP_SLACK (4 << 20)

static void keep_heap(void) {
  void *volatile block = malloc(HEAP_SLACK);
  free(block);
}

NEAP_EXPORT int luaopen_neap_pg_core(lua_State *L);

int luaopen_neap_pg_core(lua_State *L) {
  static const luaL_Reg functions[] = {{"ident", l_ident},
                                       {"keywords", l_keywords},
                                       {NULL, NULL}};
  module *m;
  int t;

  neap_import(L);
  luaL_checkversion(L);
  keep_heap();
  m = lua_newuserdatauv(L, sizeof *m, 0);
  list_init(&m->conns);
  list_init(&m->servers);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_module__gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, m); /* until the state ends */
  luaL_newlib(L, functions);
  t = lua_gettop(L);
  lua_pushlightuserdata(L, &m->conns);
  lua_pushcclosure(L, l_pool_open, 1);
  lua_setfield(L, t, "open");
  open_classes(L, t);
  ephemeral_open(L, t, &m->servers);
  pg_values_open(L);
  lua_setfield(L, t, "values");
  return 1;
}
