/*
** type_extension.c -- types of extensions, known by their names: hstore, and
** vector of pgvector. citext and ltree are texts (type_map.c).
*/
#include <string.h>

#include <lauxlib.h>

#include "neap.h"
#include "pg/type.h"
#include "pg/value_utf8.h"

#define WIRE_NULL UINT32_C(0xFFFFFFFF)

/* hstore: a table of strings, pg.null for NULL. On the wire a count, and for
** each pair the lengths and bytes of key and value. */

typedef struct reader {
  const char *p, *end;
} reader;

static int take_string(lua_State *L, reader *r) {
  uint32_t n;

  if (r->end - r->p < 4) return 0;
  n = read_u32(r->p);
  r->p += 4;
  if (n == WIRE_NULL) {
    neap_->push_null(L);
    return 1;
  }
  if (n > (size_t)(r->end - r->p)) return 0;
  lua_pushlstring(L, r->p, n);
  r->p += n;
  return 1;
}

void hstore_from_binary(lua_State *L, const pg_type *type, const char *p,
                        size_t len) {
  reader r = {p, p + len};
  uint32_t i, n;

  if (len < 4 || (n = read_u32(p)) > (len - 4) / 8)
    pg_garbage(L, type, len, 0);
  r.p += 4;
  luaL_checkstack(L, 6, "hstore");
  lua_createtable(L, 0, (int)n);
  for (i = 0; i < n; i++) {
    if (!take_string(L, &r) || lua_type(L, -1) != LUA_TSTRING ||
        !take_string(L, &r))
      pg_garbage(L, type, len, 0);
    lua_rawset(L, -3);
  }
  if (r.p != r.end) pg_garbage(L, type, len, 0);
}

/* "a"=>"1", "b"=>NULL */
void hstore_from_text(lua_State *L, const pg_type *type, const char *p,
                      size_t len) {
  scan s = {p, p + len};

  luaL_checkstack(L, 6, "hstore");
  lua_newtable(L);
  while (s.p < s.end) {
    if (pg_read_quoted(L, &s, '=', '=') != 1 || !scan_word(&s, "=>"))
      pg_garbage(L, type, len, 1);
    if (scan_word(&s, "null")) {
      neap_->push_null(L);
    } else {
      scan value;
      if (s.p == s.end || *s.p != '"') pg_garbage(L, type, len, 1);
      value = s; /* up to the quote that ends it, which pg_read_quoted skips */
      for (value.end = s.p + 1; value.end < s.end && *value.end != '"';
           value.end++)
        if (*value.end == '\\') value.end++;
      if (value.end >= s.end) pg_garbage(L, type, len, 1);
      s.p = value.end + 1;
      if (s.p < s.end && *s.p != ',') pg_garbage(L, type, len, 1);
      value.p++;
      if (pg_read_quoted(L, &(scan){value.p, s.p}, '"', '"') < 0)
        pg_garbage(L, type, len, 1);
    }
    lua_rawset(L, -3);
    if (s.p < s.end && !scan_word(&s, ", ")) pg_garbage(L, type, len, 1);
  }
}

static const char *check_utf8(lua_State *L, int idx) {
  size_t len;
  const char *s = lua_tolstring(L, idx, &len);

  if (utf8_check(s, len) == len) return NULL;
  return "a key or value has a zero byte or is not UTF-8";
}

/* The pair that lua_next has pushed. */
static const char *check_pair(lua_State *L) {
  const char *wrong, *key;

  if (lua_type(L, -2) != LUA_TSTRING)
    return lua_pushfstring(L, "expected keys that are strings, got %s",
                           pg_describe(L, -2));
  if ((wrong = check_utf8(L, -2)) != NULL) return wrong;
  if (neap_->is_null(L, -1)) return NULL;
  if (lua_type(L, -1) != LUA_TSTRING) {
    key = lua_tostring(L, -2);
    return lua_pushfstring(L, "key '%s': expected a string, got %s", key,
                           pg_describe(L, -1));
  }
  return check_utf8(L, -1);
}

static void write_string(lua_State *L, int idx, buf *out) {
  size_t len;
  const char *s;

  if (neap_->is_null(L, idx)) {
    buf_u32(out, WIRE_NULL);
    return;
  }
  s = lua_tolstring(L, idx, &len);
  buf_u32(out, (uint32_t)len);
  buf_append(out, s, len);
}

const char *hstore_to_binary(lua_State *L, const pg_type *type, int idx,
                             buf *out) {
  size_t at = out->len;
  const char *wrong;
  uint32_t n = 0;

  (void)type;
  if (lua_type(L, idx) == LUA_TSTRING) return pg_as_text;
  if (!lua_istable(L, idx)) return pg_expected(L, idx, "a table of strings");
  luaL_checkstack(L, 8, "hstore");
  buf_u32(out, 0);
  for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1), n++) {
    if ((wrong = check_pair(L)) != NULL) return wrong;
    write_string(L, -2, out);
    write_string(L, -1, out);
  }
  if (out->failed) return NULL;
  out->data[at] = (char)(n >> 24);
  out->data[at + 1] = (char)(n >> 16);
  out->data[at + 2] = (char)(n >> 8);
  out->data[at + 3] = (char)n;
  return NULL;
}

static void write_quoted(lua_State *L, int idx, buf *out) {
  size_t len, at;
  const char *s = lua_tolstring(L, idx, &len);

  buf_byte(out, '"');
  at = out->len;
  buf_append(out, s, len);
  pg_escape(out, at);
  buf_byte(out, '"');
}

const char *hstore_to_text(lua_State *L, const pg_type *type, int idx,
                           buf *out) {
  const char *wrong;
  int first = 1;

  (void)type;
  if (lua_type(L, idx) == LUA_TSTRING) return pg_text_of(L, idx, out);
  if (!lua_istable(L, idx)) return pg_expected(L, idx, "a table of strings");
  luaL_checkstack(L, 8, "hstore");
  for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1), first = 0) {
    if ((wrong = check_pair(L)) != NULL) return wrong;
    if (!first) buf_byte(out, ',');
    write_quoted(L, -2, out);
    buf_string(out, "=>");
    if (neap_->is_null(L, -1)) buf_string(out, "NULL");
    else write_quoted(L, -1, out);
  }
  return NULL;
}

/* vector: a sequence of float4. On the wire its length, 16 bits that mean
** nothing, the numbers; as text [1,2,3]. */

#define FLOAT4 700

void floats_from_binary(lua_State *L, const pg_type *type, const char *p,
                        size_t len) {
  const pg_type *float4 = pg_type_of(FLOAT4);
  int i, n;

  if (len < 4 || len != 4 + 4 * (size_t)(n = read_u16(p)))
    pg_garbage(L, type, len, 0);
  lua_createtable(L, n, 1);
  for (i = 1; i <= n; i++) {
    float4_from_binary(L, float4, p + 4 * i, 4);
    lua_rawseti(L, -2, i);
  }
  lua_pushinteger(L, n);
  lua_setfield(L, -2, "n");
}

void floats_from_text(lua_State *L, const pg_type *type, const char *p,
                      size_t len) {
  const pg_type *float4 = pg_type_of(FLOAT4);
  scan s = {p, p + len};
  lua_Integer n = 0;

  lua_newtable(L);
  if (!scan_char(&s, '[')) pg_garbage(L, type, len, 1);
  while (s.p < s.end && *s.p != ']') {
    const char *from = s.p;
    while (s.p < s.end && *s.p != ',' && *s.p != ']') s.p++;
    float4_from_text(L, float4, from, (size_t)(s.p - from));
    lua_rawseti(L, -2, ++n);
    if (scan_char(&s, ',') && s.p < s.end && *s.p == ']')
      pg_garbage(L, type, len, 1);
  }
  if (!scan_char(&s, ']') || s.p != s.end) pg_garbage(L, type, len, 1);
  lua_pushinteger(L, n);
  lua_setfield(L, -2, "n");
}

static const char *write_floats(lua_State *L, int idx, buf *out, int text) {
  const pg_type *float4 = pg_type_of(FLOAT4);
  lua_Integer i, n;

  if (lua_type(L, idx) == LUA_TSTRING)
    return text ? pg_text_of(L, idx, out) : pg_as_text;
  if (!lua_istable(L, idx)) return pg_expected(L, idx, "a sequence of numbers");
  n = pg_count_of(L, idx);
  if (n < 0) n = (lua_Integer)lua_rawlen(L, idx);
  if (n > INT16_MAX) return "the vector has too many dimensions";
  luaL_checkstack(L, 8, "vector");
  if (text) buf_byte(out, '[');
  else buf_u32(out, (uint32_t)n << 16);
  for (i = 1; i <= n; i++) {
    const char *wrong = NULL;
    if (text && i > 1) buf_byte(out, ',');
    if (lua_rawgeti(L, idx, i) != LUA_TNUMBER)
      wrong = pg_expected(L, -1, "a number");
    else if (text)
      wrong = pg_write_text(L, float4, lua_gettop(L), out);
    else
      wrong = float4_to_binary(L, float4, lua_gettop(L), out);
    if (wrong != NULL)
      return lua_pushfstring(L, "item %I: %s", (LUAI_UACINT)i, wrong);
    lua_pop(L, 1);
  }
  if (text) buf_byte(out, ']');
  return NULL;
}

const char *floats_to_binary(lua_State *L, const pg_type *type, int idx,
                             buf *out) {
  (void)type;
  return write_floats(L, idx, out, 0);
}

const char *floats_to_text(lua_State *L, const pg_type *type, int idx,
                           buf *out) {
  (void)type;
  return write_floats(L, idx, out, 1);
}
