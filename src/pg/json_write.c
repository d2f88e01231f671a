/*
** json_write.c -- writing JSON; see json.h.
*/
#include <math.h>
#include <string.h>

#include <lauxlib.h>

#include "neap.h"
#include "pg/json.h"
#include "pg/type.h"
#include "pg/value_time.h"
#include "pg/value_utf8.h"

#define JSON_MAX_ITEMS 100000000 /* guards against a wild t.n */

/* What is wrong and where (built from the inside out) are strings in two Lua
** stack slots, so that unwinding a deep table needs no more room. */
typedef struct writer {
  lua_State *L;
  buf *out;
  int wrong, path; /* stack indices */
  int depth;
} writer;

static int write_value(writer *w, int idx);

static int fail(writer *w, const char *wrong) {
  lua_pushstring(w->L, wrong);
  lua_replace(w->L, w->wrong);
  return 0;
}

static const unsigned char *plain_end(const unsigned char *p,
                                      const unsigned char *end) {
  const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;

  while (end - p >= 8) {
    uint64_t v, quote, slash;
    memcpy(&v, p, 8);
    quote = v ^ (ones * '"');
    slash = v ^ (ones * '\\');
    if (((v | (v - ones * 0x20) | (quote - ones) | (slash - ones)) & high) != 0)
      break;
    p += 8;
  }
  while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\') p++;
  return p;
}

static void write_escape(buf *out, unsigned char c) {
  static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
  static const char hex[] = "0123456789abcdef";
  const char *which = c == 0 ? NULL : strchr(from, c);
  char text[6] = {'\\', 'u', '0', '0', 0, 0};

  if (which != NULL) {
    text[1] = to[which - from];
    buf_append(out, text, 2);
    return;
  }
  text[4] = hex[c >> 4];
  text[5] = hex[c & 15];
  buf_append(out, text, 6);
}

static int write_string(writer *w, const char *s, size_t len) {
  const unsigned char *p = (const unsigned char *)s, *end = p + len;
  const unsigned char *start = p;
  char *to;

  p = plain_end(p, end);
  if (p == end) { /* nothing to escape, as mostly */
    if ((to = buf_grow(w->out, len + 2)) == NULL) return 1;
    to[0] = '"';
    memcpy(to + 1, s, len);
    to[len + 1] = '"';
    w->out->len += len + 2;
    return 1;
  }
  buf_byte(w->out, '"');
  for (;;) {
    int n;
    if (p < end && *p >= 0x80) {
      if ((n = utf8_step(p, end)) == 0) return fail(w, "a string not in UTF-8");
      p = plain_end(p + n, end);
      continue;
    }
    buf_append(w->out, start, (size_t)(p - start));
    if (p == end) break;
    write_escape(w->out, *p++);
    start = p;
    p = plain_end(p, end);
  }
  buf_byte(w->out, '"');
  return 1;
}

static int write_number(writer *w, int idx) {
  char text[32];
  size_t len;

  if (lua_isinteger(w->L, idx)) {
    buf_append(w->out, text, int_text(text, lua_tointeger(w->L, idx)));
    return 1;
  }
  if (!isfinite(lua_tonumber(w->L, idx)))
    return fail(w, "a number that is not finite");
  len = float_text(text, lua_tonumber(w->L, idx));
  buf_append(w->out, text, len);
  /* A float stays a float when it is read again. */
  if (memchr(text, '.', len) == NULL && memchr(text, 'e', len) == NULL)
    buf_append(w->out, ".0", 2);
  return 1;
}

static int write_object_value(writer *w, int idx) {
  lua_State *L = w->L;
  int class = pg_class_of(L, idx);
  char text[TIME_TEXT];
  const decimal *d;
  const char *s;
  char *p;
  size_t len;

  switch (class) {
  case PG_FOREIGN:
    fail(w, lua_pushfstring(L, "a %s", luaL_typename(L, idx)));
    lua_pop(L, 1);
    return 0;
  case PG_BYTEA: return fail(w, "a bytea");
  case PG_JSON:
    lua_getiuservalue(L, idx, 1);
    s = lua_tolstring(L, -1, &len);
    buf_append(w->out, s, len);
    lua_pop(L, 1);
    return 1;
  case PG_NUMERIC:
    d = lua_touserdata(L, idx);
    if (!decimal_finite(d)) return fail(w, "a numeric that is not finite");
    if ((p = buf_grow(w->out, decimal_text_room(d))) != NULL)
      w->out->len += decimal_text(d, p);
    return 1;
  default: /* a date, a time, ... */
    return write_string(w, text, pg_moment_text(L, idx, class, text));
  }
}

/* Failed within the item: note its place. Always 0. */
static int within_item(writer *w, lua_Integer i) {
  lua_pushfstring(w->L, "[%I]%s", (LUAI_UACINT)i, lua_tostring(w->L, w->path));
  lua_replace(w->L, w->path);
  return 0;
}

static int write_array(writer *w, int idx, lua_Integer n) {
  lua_State *L = w->L;
  lua_Integer i;

  buf_byte(w->out, '[');
  for (i = 1; i <= n; i++) {
    if (i > 1) buf_byte(w->out, ',');
    lua_rawgeti(L, idx, i);
    if (!write_value(w, lua_gettop(L))) return within_item(w, i);
    lua_pop(L, 1);
  }
  buf_byte(w->out, ']');
  return 1;
}

static int write_object(writer *w, int idx) {
  lua_State *L = w->L;
  int first = 1;

  buf_byte(w->out, '{');
  for (lua_pushnil(L); lua_next(L, idx); first = 0) {
    size_t len;
    const char *key;
    if (lua_type(L, -2) != LUA_TSTRING)
      return fail(w, "a table with keys of several kinds");
    key = lua_tolstring(L, -2, &len);
    if (!first) buf_byte(w->out, ',');
    if (!write_string(w, key, len)) return 0;
    buf_byte(w->out, ':');
    if (!write_value(w, lua_gettop(L))) {
      lua_pushfstring(L, ".%s%s", key, lua_tostring(L, w->path));
      lua_replace(L, w->path);
      return 0;
    }
    lua_pop(L, 1);
  }
  buf_byte(w->out, '}');
  return 1;
}

/* Number of items when the table is an array, -1 when it is an object, -2
** after failing. */
static lua_Integer shape(writer *w, int idx) {
  lua_State *L = w->L;
  lua_Integer n, keys = 0, top = 0;
  int named = 0;

  lua_pushnil(L);
  if (!lua_next(L, idx)) return -1; /* empty */
  if (lua_type(L, -2) == LUA_TSTRING && lua_rawlen(L, idx) == 0) {
    return -1; /* write_object() judges the other keys */
  }
  do {
    if (lua_isinteger(L, -2) && lua_tointeger(L, -2) > 0) {
      keys++;
      if (lua_tointeger(L, -2) > top) top = lua_tointeger(L, -2);
    } else {
      named++;
    }
    lua_pop(L, 1);
  } while (lua_next(L, idx));
  n = pg_count_of(L, idx);
  if (keys == 0) return -1;
  if (named == 0 && top == keys) return keys;
  if (named == 1 && n >= top) return n;
  fail(w, named > 0 ? "a table with keys of several kinds"
                    : "a table with holes (see pg.array)");
  return -2;
}

static int write_table(writer *w, int idx) {
  lua_State *L = w->L;
  lua_Integer n;
  int ok, top = lua_gettop(L);

  if (++w->depth > JSON_DEPTH)
    return fail(w, "a table nested too deeply (is it part of itself?)");
  luaL_checkstack(L, 8, "JSON");
  if (pg_class_of(L, idx) == PG_ARRAY) {
    n = pg_count_of(L, idx);
    if (n < 0) n = (lua_Integer)lua_rawlen(L, idx);
  } else {
    n = shape(w, idx);
    if (n == -2) return 0;
    lua_settop(L, top);
  }
  if (n > JSON_MAX_ITEMS) return fail(w, "an array that is too long");
  ok = n >= 0 ? write_array(w, idx, n) : write_object(w, idx);
  w->depth--;
  return ok;
}

static int write_value(writer *w, int idx) {
  lua_State *L = w->L;
  const char *s;
  size_t len;

  switch (lua_type(L, idx)) {
  case LUA_TNIL: break;
  case LUA_TBOOLEAN:
    buf_string(w->out, lua_toboolean(L, idx) ? "true" : "false");
    return 1;
  case LUA_TNUMBER: return write_number(w, idx);
  case LUA_TSTRING:
    s = lua_tolstring(L, idx, &len);
    return write_string(w, s, len);
  default:
    if (neap_->is_null(L, idx)) break;
    if (lua_type(L, idx) == LUA_TTABLE) return write_table(w, idx);
    return write_object_value(w, idx);
  }
  buf_append(w->out, "null", 4);
  return 1;
}

const char *json_write(lua_State *L, int idx, buf *out) {
  writer w = {L, out, lua_gettop(L) + 1, lua_gettop(L) + 2, 0};
  const char *path;

  idx = lua_absindex(L, idx);
  lua_settop(L, w.path);
  lua_pushliteral(L, "");
  lua_replace(L, w.path);
  if (write_value(&w, idx)) {
    lua_settop(L, w.wrong - 1);
    return NULL;
  }
  lua_settop(L, w.path);
  path = lua_tostring(L, w.path);
  if (*path == '\0')
    lua_pushfstring(L, "%s cannot be JSON", lua_tostring(L, w.wrong));
  else
    lua_pushfstring(L, "%s cannot be JSON (at %s)", lua_tostring(L, w.wrong),
                    *path == '.' ? path + 1 : path);
  lua_replace(L, w.wrong);
  lua_settop(L, w.wrong);
  return lua_tostring(L, w.wrong);
}
