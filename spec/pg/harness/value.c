/*
** value.c -- the value codecs as a Lua module of their own, for
** spec/pg/value_*_spec.lua: no loop, no server, no core. decode(oid, format,
** bytes), encode(oid, value), and the constructors as pg.
*/
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "neap.h"
#include "base/buf.h"
#include "pg/type_map.h"

NEAP_MODULE;

void numeric_open(lua_State *L);
NEAP_EXPORT int luaopen_test_value(lua_State *L);

static char null_mark;

/* Types as a server would tell of them: an enum, a composite with an array of
** it and a record of built-in types, their arrays, an hstore, a domain. */
static type_map map;

static void define_types(void) {
  pg_field pair[] = {{"a", 23, NULL}, {"b", 25, NULL}};
  pg_field nest[] = {{"moods", 90002, NULL}, {"pairs", 90004, NULL},
                     {"span", 3904, NULL}, {"no", 90007, NULL}};
  const type_def defs[] = {
    {90001, 0, KIND_ENUM, ',', "mood", "public.mood", 0, NULL},
    {90002, 90001, KIND_ARRAY, ',', "mood[]", "public._mood", 0, NULL},
    {90003, 0, KIND_COMPOSITE, ',', "pair", "public.pair", 2, pair},
    {90004, 90003, KIND_ARRAY, ',', "pair[]", "public._pair", 0, NULL},
    {90005, 0, KIND_COMPOSITE, ',', "nest", "public.nest", 4, nest},
    {90006, 0, KIND_BASE, ',', "hstore", "public.hstore", 0, NULL},
    {90007, 23, KIND_DOMAIN, ',', "posint", "public.posint", 0, NULL},
    {90008, 0, KIND_BASE, ',', "vector", "public.vector", 0, NULL}};
  size_t i;

  for (i = 0; i < countof(defs); i++)
    if (type_map_put(&map, &defs[i]) < 0) abort();
}

const pg_type *harness_type(pg_oid oid);

/* A value of a composite that seems to have changed makes the map forget. */
const pg_type *harness_type(pg_oid oid) {
  const pg_type *type = type_map_known(&map, oid);

  if (type != NULL) return type;
  define_types();
  return type_map_known(&map, oid);
}

static void push_null(lua_State *L) { lua_pushlightuserdata(L, &null_mark); }

static int is_null(lua_State *L, int idx) {
  return lua_touserdata(L, idx) == (void *)&null_mark;
}

static void fault_push(lua_State *L, const char *kind, const char *code,
                       const char *message) {
  lua_newtable(L);
  lua_pushstring(L, kind);
  lua_setfield(L, -2, "kind");
  lua_pushstring(L, code);
  lua_setfield(L, -2, "code");
  lua_pushstring(L, message);
  lua_setfield(L, -2, "message");
}

static int fault_raise(lua_State *L) { return lua_error(L); }

static const neap_api fake = {.size = sizeof(neap_api),
                              .version = NEAP_API_VERSION,
                              .fault_push = fault_push,
                              .fault_raise = fault_raise,
                              .push_null = push_null,
                              .is_null = is_null};

/* The bytes are copied to a block of exactly their size, so that a sanitizer
** sees any read past them. */
static int l_decode(lua_State *L) {
  pg_oid oid = (pg_oid)luaL_checkinteger(L, 1);
  const char *format = luaL_checkstring(L, 2), *bytes;
  const pg_type *type = harness_type(oid);
  size_t len;
  char *copy;

  bytes = luaL_checklstring(L, 3, &len);
  copy = lua_newuserdatauv(L, len > 0 ? len : 1, 0);
  memcpy(copy, bytes, len);
  if (strcmp(format, "text") == 0) {
    pg_push_text(L, type, copy, len);
  } else {
    luaL_argcheck(L, type != NULL, 1, "not built in");
    type->from_binary(L, type, copy, len);
  }
  if (lua_gettop(L) != 5) return luaL_error(L, "decoder left the stack uneven");
  return 1;
}

static int l_encode(lua_State *L) {
  pg_oid oid = (pg_oid)luaL_checkinteger(L, 1);
  buf out = {NULL, 0, 0, 0};
  const char *wrong;
  int format;

  luaL_checkany(L, 2);
  lua_settop(L, 2);
  buf_append(&out, "before", 6); /* a neighbour that must not change */
  wrong = pg_put(L, 2, harness_type(oid), &out, &format);
  if (memcmp(out.data, "before", 6) != 0 ||
      (wrong != NULL && out.len != 6))
    return luaL_error(L, "encoder touched its neighbour");
  if (wrong != NULL) {
    lua_pushnil(L);
    lua_pushstring(L, wrong);
    buf_fini(&out);
    return 2;
  }
  lua_pushlstring(L, out.data + 6, out.len - 6);
  lua_pushstring(L, format == 0 ? "text" : "binary");
  buf_fini(&out);
  return 2;
}

static int l_repeat(lua_State *L) {
  const pg_type *type = harness_type((pg_oid)luaL_checkinteger(L, 1));
  size_t len;
  const char *bytes = luaL_checklstring(L, 2, &len);
  lua_Integer n = luaL_checkinteger(L, 3);

  for (; n > 0; n--) {
    type->from_binary(L, type, bytes, len);
    lua_pop(L, 1);
  }
  return 0;
}

static int l_type(lua_State *L) {
  const pg_type *type = harness_type((pg_oid)luaL_checkinteger(L, 1));

  if (type == NULL) return 0;
  lua_pushstring(L, type->name);
  lua_pushinteger(L, type->element);
  lua_pushboolean(L, type->to_binary != NULL);
  return 3;
}

int luaopen_test_value(lua_State *L) {
  neap_ = &fake;
  if (map.generation == 0) type_map_init(&map);
  type_map_open(L, &map); /* its space: for as long as the state lives */
  lua_rawsetp(L, LUA_REGISTRYINDEX, &map);
  lua_newtable(L);
  lua_pushcfunction(L, l_decode);
  lua_setfield(L, -2, "decode");
  lua_pushcfunction(L, l_encode);
  lua_setfield(L, -2, "encode");
  lua_pushcfunction(L, l_repeat);
  lua_setfield(L, -2, "repeat_decode");
  lua_pushcfunction(L, l_type);
  lua_setfield(L, -2, "type");
  numeric_open(L);
  lua_setfield(L, -2, "numeric");
  pg_values_open(L);
  lua_setfield(L, -2, "pg");
  return 1;
}
