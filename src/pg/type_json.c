/*
** type_json.c -- json, jsonb, jsonpath, and pg.json. A Lua string sent to a
** JSON type is JSON text; pg.json(v) turns any value into its text.
*/
#include <stdio.h>

#include <lauxlib.h>

#include "neap.h"
#include "pg/json.h"
#include "pg/type.h"
#include "pg/value_utf8.h"

#define JSONB_VERSION 1
#define JSONPATH_VERSION 1

static void read_json(lua_State *L, const pg_type *type, const char *p,
                      size_t len) {
  char message[160];
  size_t at;
  const char *wrong = json_read(L, p, len, &at);

  if (wrong == NULL) return;
  snprintf(message, sizeof message, "not a value of type %s: %s (at byte %zu)",
           type->name, wrong, at + 1);
  neap_raise(L, "pg", "decode", message);
}

void json_from_text(lua_State *L, const pg_type *type, const char *p,
                    size_t len) {
  read_json(L, type, p, len);
}

void json_from_binary(lua_State *L, const pg_type *type, const char *p,
                      size_t len) {
  read_json(L, type, p, len);
}

const char *json_to_binary(lua_State *L, const pg_type *type, int idx,
                           buf *out) {
  (void)type;
  if (lua_type(L, idx) == LUA_TSTRING)
    return text_to_binary(L, type, idx, out);
  return json_write(L, idx, out);
}

const char *json_to_text(lua_State *L, const pg_type *type, int idx,
                         buf *out) {
  return json_to_binary(L, type, idx, out);
}

void jsonb_from_text(lua_State *L, const pg_type *type, const char *p,
                     size_t len) {
  read_json(L, type, p, len);
}

void jsonb_from_binary(lua_State *L, const pg_type *type, const char *p,
                       size_t len) {
  if (len < 1 || *p != JSONB_VERSION) pg_garbage(L, type, len, 0);
  read_json(L, type, p + 1, len - 1);
}

const char *jsonb_to_binary(lua_State *L, const pg_type *type, int idx,
                            buf *out) {
  buf_byte(out, JSONB_VERSION);
  return json_to_binary(L, type, idx, out);
}

void jsonpath_from_text(lua_State *L, const pg_type *type, const char *p,
                        size_t len) {
  text_from_text(L, type, p, len);
}

void jsonpath_from_binary(lua_State *L, const pg_type *type, const char *p,
                          size_t len) {
  if (len < 1 || *p != JSONPATH_VERSION) pg_garbage(L, type, len, 0);
  lua_pushlstring(L, p + 1, len - 1);
}

const char *jsonpath_to_binary(lua_State *L, const pg_type *type, int idx,
                               buf *out) {
  buf_byte(out, JSONPATH_VERSION);
  return text_to_binary(L, type, idx, out);
}

/* pg.json(v) writes at once, so that a value that cannot be JSON is reported
** where it was made. The bytes are gathered in a buffer that the collector
** frees, for writing may raise. */

static int l_json_new(lua_State *L) {
  const char *wrong;
  buf *scratch;

  luaL_checkany(L, 1);
  lua_settop(L, 1);
  lua_newuserdatauv(L, 0, 1);
  pg_class_push(L, PG_JSON);
  lua_setmetatable(L, -2);
  scratch = lua_touserdata(L, lua_upvalueindex(1));
  buf_reset(scratch);
  wrong = json_write(L, 1, scratch);
  if (wrong != NULL) return luaL_error(L, "%s", wrong);
  if (scratch->failed) return luaL_error(L, "not enough memory");
  lua_pushlstring(L, scratch->data, scratch->len);
  if (scratch->cap > 1 << 16) buf_fini(scratch);
  lua_setiuservalue(L, 2, 1);
  lua_settop(L, 2);
  return 1;
}

static int l_json__tostring(lua_State *L) {
  if (pg_class_test(L, 1, PG_JSON) == NULL) luaL_typeerror(L, 1, "pg.json");
  lua_getiuservalue(L, 1, 1);
  return 1;
}

void json_values_open(lua_State *L) {
  pg_class_define(L, PG_JSON, "pg.json");
  lua_pushcfunction(L, l_json__tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
  pg_scratch_push(L);
  lua_pushcclosure(L, l_json_new, 1);
  lua_setfield(L, -2, "json");
}
