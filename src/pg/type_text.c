/*
** type_text.c -- strings of all sorts: text and its relatives, "char", bytea,
** uuid, void.
*/
#include <string.h>

#include <lauxlib.h>

#include "pg/type.h"
#include "pg/value_utf8.h"

static const char hex[] = "0123456789abcdef";

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* text, varchar, bpchar, name, xml, cstring, unknown, refcursor */

void text_from_binary(lua_State *L, const pg_type *type, const char *p,
                      size_t len) {
  (void)type;
  lua_pushlstring(L, p, len);
}

void text_from_text(lua_State *L, const pg_type *type, const char *p,
                    size_t len) {
  (void)type;
  lua_pushlstring(L, p, len);
}

const char *text_to_binary(lua_State *L, const pg_type *type, int idx,
                           buf *out) {
  size_t len, at;
  const char *s;

  (void)type;
  if (lua_type(L, idx) != LUA_TSTRING) return pg_expected(L, idx, "a string");
  s = lua_tolstring(L, idx, &len);
  if ((at = utf8_check(s, len)) < len)
    return lua_pushfstring(L, "the string %s at position %d",
                           s[at] == '\0' ? "has a zero byte" : "is not UTF-8",
                           (int)at + 1);
  buf_append(out, s, len);
  return NULL;
}

/* "char": one byte. As text the server writes zero as nothing and a high byte
** in octal. */

void char_from_binary(lua_State *L, const pg_type *type, const char *p,
                      size_t len) {
  if (len != 1) pg_garbage(L, type, len, 0);
  lua_pushlstring(L, p, 1);
}

static int octal(const char *p) {
  int i, v = 0;

  for (i = 0; i < 3; i++) {
    if (p[i] < '0' || p[i] > '7') return -1;
    v = v * 8 + (p[i] - '0');
  }
  return v > 255 ? -1 : v;
}

void char_from_text(lua_State *L, const pg_type *type, const char *p,
                    size_t len) {
  char c = '\0';

  if (len == 1) {
    c = *p;
  } else if (len == 4 && p[0] == '\\' && octal(p + 1) >= 0) {
    c = (char)octal(p + 1);
  } else if (len != 0) {
    pg_garbage(L, type, len, 1);
  }
  lua_pushlstring(L, &c, 1);
}

const char *char_to_binary(lua_State *L, const pg_type *type, int idx,
                           buf *out) {
  size_t len;
  const char *s;

  (void)type;
  if (lua_type(L, idx) != LUA_TSTRING)
    return pg_expected(L, idx, "a string of one byte");
  s = lua_tolstring(L, idx, &len);
  if (len > 1)
    return lua_pushfstring(L, "expected a string of one byte, got %d bytes",
                           (int)len);
  buf_byte(out, *s); /* of the empty string this is the zero byte */
  return NULL;
}

/* bytea */

void bytea_from_binary(lua_State *L, const pg_type *type, const char *p,
                       size_t len) {
  (void)type;
  lua_pushlstring(L, p, len);
}

static int bytea_from_hex(char *out, const char *p, size_t len) {
  size_t i;

  for (i = 0; i < len; i += 2) {
    int high = hex_digit(p[i]), low = i + 1 < len ? hex_digit(p[i + 1]) : -1;
    if (high < 0 || low < 0) return -1;
    *out++ = (char)(high << 4 | low);
  }
  return 0;
}

/* The older form: \\ and \ooo. Returns the end, or NULL. */
static char *bytea_from_escape(char *out, const char *p, size_t len) {
  const char *end = p + len;

  while (p < end) {
    if (*p != '\\') {
      *out++ = *p++;
    } else if (end - p >= 2 && p[1] == '\\') {
      *out++ = '\\';
      p += 2;
    } else if (end - p >= 4 && octal(p + 1) >= 0) {
      *out++ = (char)octal(p + 1);
      p += 4;
    } else {
      return NULL;
    }
  }
  return out;
}

void bytea_from_text(lua_State *L, const pg_type *type, const char *p,
                     size_t len) {
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, len), *end;

  if (len >= 2 && p[0] == '\\' && p[1] == 'x') {
    if (bytea_from_hex(out, p + 2, len - 2) < 0) pg_garbage(L, type, len, 1);
    end = out + (len - 2) / 2;
  } else if ((end = bytea_from_escape(out, p, len)) == NULL) {
    pg_garbage(L, type, len, 1);
  }
  luaL_pushresultsize(&b, (size_t)(end - out));
}

const char *bytea_to_binary(lua_State *L, const pg_type *type, int idx,
                            buf *out) {
  int wrapped = pg_class_test(L, idx, PG_BYTEA) != NULL;
  size_t len;
  const char *s;

  (void)type;
  if (wrapped) lua_getiuservalue(L, idx, 1);
  else if (lua_type(L, idx) != LUA_TSTRING)
    return pg_expected(L, idx, "a string of bytes");
  s = lua_tolstring(L, wrapped ? -1 : idx, &len);
  buf_append(out, s, len);
  if (wrapped) lua_pop(L, 1);
  return NULL;
}

/* In hexadecimal, whatever the bytes are. */
const char *bytea_to_text(lua_State *L, const pg_type *type, int idx,
                          buf *out) {
  size_t at = out->len, n, i;
  const char *wrong = bytea_to_binary(L, type, idx, out);
  char *p;

  if (wrong != NULL || out->failed) return wrong;
  n = out->len - at;
  if ((p = buf_grow(out, n + 2)) == NULL) return NULL;
  p = out->data + at;
  for (i = n; i-- > 0;) { /* from the end: it grows in its place */
    unsigned char c = (unsigned char)p[i];
    p[2 * i + 3] = hex[c & 15];
    p[2 * i + 2] = hex[c >> 4];
  }
  p[0] = '\\';
  p[1] = 'x';
  out->len += n + 2;
  return NULL;
}

static int l_bytea_new(lua_State *L) {
  luaL_checktype(L, 1, LUA_TSTRING);
  lua_newuserdatauv(L, 0, 1);
  pg_class_push(L, PG_BYTEA);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  return 1;
}

static const char *bytes_of(lua_State *L, int idx, size_t *len) {
  if (pg_class_test(L, idx, PG_BYTEA) == NULL) {
    luaL_typeerror(L, idx, "pg.bytea");
  }
  lua_getiuservalue(L, idx, 1);
  return lua_tolstring(L, -1, len);
}

static int l_bytea__tostring(lua_State *L) {
  size_t len;

  bytes_of(L, 1, &len);
  return 1;
}

static int l_bytea__len(lua_State *L) {
  size_t len;

  bytes_of(L, 1, &len);
  lua_pushinteger(L, (lua_Integer)len);
  return 1;
}

static int l_bytea__eq(lua_State *L) {
  int both = pg_class_test(L, 1, PG_BYTEA) && pg_class_test(L, 2, PG_BYTEA);
  size_t len;

  if (both) {
    bytes_of(L, 1, &len);
    bytes_of(L, 2, &len);
  }
  lua_pushboolean(L, both && lua_rawequal(L, -1, -2));
  return 1;
}

void bytea_values_open(lua_State *L) {
  static const luaL_Reg events[] = {{"__tostring", l_bytea__tostring},
                                    {"__len", l_bytea__len},
                                    {"__eq", l_bytea__eq},
                                    {NULL, NULL}};
  pg_class_define(L, PG_BYTEA, "pg.bytea");
  luaL_setfuncs(L, events, 0);
  lua_pop(L, 1);
  lua_pushcfunction(L, l_bytea_new);
  lua_setfield(L, -2, "bytea");
}

/* uuid: 36 characters in lower case. */

#define is_hyphen_at(i) ((i) == 8 || (i) == 13 || (i) == 18 || (i) == 23)

void uuid_from_binary(lua_State *L, const pg_type *type, const char *p,
                      size_t len) {
  char text[36];
  int i;

  if (len != 16) pg_garbage(L, type, len, 0);
  for (i = 0; i < 36; p++) {
    if (is_hyphen_at(i)) text[i++] = '-';
    text[i++] = hex[(unsigned char)*p >> 4];
    text[i++] = hex[*p & 15];
  }
  lua_pushlstring(L, text, sizeof text);
}

/* The 16 bytes of 32 hexadecimal digits or 36 characters. */
static int uuid_parse(char out[16], const char *s, size_t len) {
  size_t i = 0;
  int n;

  if (len != 32 && len != 36) return 0;
  for (n = 0; n < 16; n++) {
    int high, low;
    if (len == 36 && is_hyphen_at(i) && s[i++] != '-') return 0;
    high = hex_digit(s[i++]);
    low = hex_digit(s[i++]);
    if (high < 0 || low < 0) return 0;
    out[n] = (char)(high << 4 | low);
  }
  return 1;
}

void uuid_from_text(lua_State *L, const pg_type *type, const char *p,
                    size_t len) {
  char bytes[16];

  if (!uuid_parse(bytes, p, len)) pg_garbage(L, type, len, 1);
  uuid_from_binary(L, type, bytes, sizeof bytes);
}

const char *uuid_to_binary(lua_State *L, const pg_type *type, int idx,
                           buf *out) {
  char bytes[16];
  size_t len;
  const char *s;

  (void)type;
  if (lua_type(L, idx) != LUA_TSTRING) return pg_expected(L, idx, "a string");
  s = lua_tolstring(L, idx, &len);
  /* Other spellings ({...}) are for the server to judge. */
  if (!uuid_parse(bytes, s, len)) return pg_as_text;
  buf_append(out, bytes, sizeof bytes);
  return NULL;
}

/* void: what a function without a result returns. */

void void_from_binary(lua_State *L, const pg_type *type, const char *p,
                      size_t len) {
  (void)type, (void)p, (void)len;
  lua_pushnil(L);
}

void void_from_text(lua_State *L, const pg_type *type, const char *p,
                    size_t len) {
  void_from_binary(L, type, p, len);
}
