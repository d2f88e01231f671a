/*
** type_codec.c -- codecs of the user's: Lua functions around, or instead of,
** what the driver makes of a type. They cannot wait.
*/
#include <string.h>

#include <lauxlib.h>

#include "neap.h"
#include "pg/type.h"
#include "pg/type_map.h"

/* Push the function: 0 decode, 1 encode. */
static void push_function(lua_State *L, const pg_more *more, int which) {
  type_map_push_space(L, more->map);
  lua_rawgeti(L, -1, 2 * (lua_Integer)more->codec->number + which);
  lua_remove(L, -2);
}

/* While it runs nobody may start anything on the pool (handle.c): results are
** half read, parameters half written. */
static void call(lua_State *L, type_map *m, int nargs) {
  int rc;

  m->calling++;
  rc = lua_pcall(L, nargs, 1, 0);
  m->calling--;
  if (rc != LUA_OK) lua_error(L);
}

static void decode(lua_State *L, const pg_type *type, const char *p,
                   size_t len, int text) {
  const pg_more *more = type->more;
  const pg_type *base = more->base;

  luaL_checkstack(L, 8, "codec");
  push_function(L, more, 0);
  if (more->codec->form == CODEC_VALUE) {
    if (text) base->from_text(L, base, p, len);
    else base->from_binary(L, base, p, len);
    call(L, more->map, 1);
    return;
  }
  lua_pushlstring(L, p, len);
  lua_pushstring(L, text ? "text" : "binary");
  call(L, more->map, 2);
}

static void codec_from_binary(lua_State *L, const pg_type *type, const char *p,
                              size_t len) {
  decode(L, type, p, len, 0);
}

static void codec_from_text(lua_State *L, const pg_type *type, const char *p,
                            size_t len) {
  decode(L, type, p, len, 1);
}

/* Push what the function makes of the value at idx. Where bytes are wanted it
** has to be a string. NULL, or what is wrong. */
static const char *encode(lua_State *L, const pg_type *type, int idx,
                          const char *form) {
  const pg_more *more = type->more;

  luaL_checkstack(L, 8, "codec");
  push_function(L, more, 1);
  lua_pushvalue(L, idx);
  lua_pushstring(L, form);
  call(L, more->map, 2);
  if (more->codec->form == CODEC_VALUE) {
    if (!lua_isnil(L, -1) && !neap_->is_null(L, -1)) return NULL;
    return lua_pushfstring(L, "its codec gave no value for %s",
                           pg_describe(L, idx));
  }
  if (lua_type(L, -1) == LUA_TSTRING) return NULL;
  return lua_pushfstring(L, "its codec must give a string, it gave %s",
                         pg_describe(L, -1));
}

static const char *codec_to_binary(lua_State *L, const pg_type *type, int idx,
                                   buf *out) {
  const pg_type *base = type->more->base;
  const char *wrong, *s;
  size_t len;

  if ((wrong = encode(L, type, idx, "binary")) != NULL) return wrong;
  if (type->more->codec->form == CODEC_VALUE) {
    wrong = base->to_binary(L, base, lua_gettop(L), out);
    if (wrong == NULL) lua_pop(L, 1);
    return wrong;
  }
  s = lua_tolstring(L, -1, &len);
  buf_append(out, s, len);
  lua_pop(L, 1);
  return NULL;
}

static const char *codec_to_text(lua_State *L, const pg_type *type, int idx,
                                 buf *out) {
  const char *wrong = encode(L, type, idx, "text");

  if (wrong != NULL) return wrong;
  wrong = type->more->codec->form == CODEC_VALUE
            ? pg_write_text(L, type->more->base, lua_gettop(L), out)
            : pg_text_of(L, lua_gettop(L), out);
  if (wrong == NULL) lua_pop(L, 1);
  return wrong;
}

void codec_apply(pg_type *t, const pg_type *base, const codec *c) {
  int binary = c->form != CODEC_TEXT;

  if (c->decodes) {
    t->from_text = codec_from_text;
    t->from_binary = codec_from_binary;
    if (!binary || (c->form == CODEC_VALUE && base->from_binary == NULL))
      t->from_binary = NULL;
  }
  if (c->encodes) {
    t->to_text = codec_to_text;
    t->to_binary = codec_to_binary;
    if (!binary || (c->form == CODEC_VALUE && base->to_binary == NULL))
      t->to_binary = NULL;
    if (t->flat == PG_NOT_FLAT) t->flat = PG_FLAT; /* it may take tables */
  }
}
