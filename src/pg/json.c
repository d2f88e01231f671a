/*
** json.c -- reading JSON; see json.h. Building the Lua tables is most of the
** work: the members are gathered on the Lua stack so that a table is made in
** its final size.
*/
#include "pg/json.h"

#include <math.h>
#include <string.h>

#include <lauxlib.h>

#include "neap.h"
#include "pg/type.h"
#include "pg/value_utf8.h"

#define CHUNK 32 /* members on the stack before they go to the table */

typedef struct reader {
  lua_State *L;
  const unsigned char *p, *end;
  const char *wrong;
  int depth;
  int array_meta, null; /* stack indices */
} reader;

static int read_value(reader *r);

static int fail(reader *r, const char *wrong) {
  r->wrong = wrong;
  return 0;
}

static void skip_space(reader *r) {
  while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\t' ||
                           *r->p == '\r'))
    r->p++;
}

static int hex4(reader *r, unsigned *code) {
  int i;

  if (r->end - r->p < 4) return fail(r, "a \\u escape is cut off");
  for (*code = 0, i = 0; i < 4; i++) {
    unsigned char c = *r->p, lower = c | 0x20;
    unsigned d;
    if (c >= '0' && c <= '9') d = (unsigned)c - '0';
    else if (lower >= 'a' && lower <= 'f') d = (unsigned)lower - 'a' + 10;
    else return fail(r, "a \\u escape without four hexadecimal digits");
    *code = *code << 4 | d;
    r->p++;
  }
  return 1;
}

/* r->p is behind the backslash. */
static int read_escape(reader *r, luaL_Buffer *b) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  unsigned code, low;
  const char *which;

  if (r->p == r->end) return fail(r, "a string is cut off");
  which = strchr(from, *r->p);
  if (*r->p != '\0' && which != NULL) {
    luaL_addchar(b, to[which - from]);
    r->p++;
    return 1;
  }
  if (*r->p != 'u') return fail(r, "an unknown escape in a string");
  r->p++;
  if (!hex4(r, &code)) return 0;
  if (code >= 0xD800 && code < 0xDC00) {
    if (r->end - r->p < 2 || r->p[0] != '\\' || r->p[1] != 'u')
      return fail(r, "half of a surrogate pair");
    r->p += 2;
    if (!hex4(r, &low)) return 0;
    if (low < 0xDC00 || low > 0xDFFF)
      return fail(r, "half of a surrogate pair");
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  } else if (code >= 0xDC00 && code < 0xE000) {
    return fail(r, "half of a surrogate pair");
  }
  luaL_addsize(b, (size_t)utf8_put(luaL_prepbuffsize(b, 4), code));
  return 1;
}

/* No byte of the eight needs a look: no quote, backslash, control, or part of
** a longer sequence. */
static int plain8(const unsigned char *p) {
  const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
  uint64_t v, quote, slash;

  memcpy(&v, p, 8);
  quote = v ^ (ones * '"');
  slash = v ^ (ones * '\\');
  return ((v | (v - ones * 0x20) | (quote - ones) | (slash - ones)) & high) ==
         0;
}

/* Moves over the bytes that stand for themselves; 0 when one is wrong. */
static int skip_plain(reader *r) {
  const unsigned char *p = r->p, *end = r->end;
  int n;

  for (;;) {
    while (end - p >= 8 && plain8(p)) p += 8;
    if (p == end || *p == '"' || *p == '\\') break;
    if (*p < 0x20 || (n = utf8_step(p, end)) == 0) {
      r->p = p;
      return fail(r, *p < 0x20 ? "a control character in a string"
                               : "a string that is not UTF-8");
    }
    p += n;
  }
  r->p = p;
  return p < end ? 1 : fail(r, "a string is cut off");
}

/* A string with escapes: the plain bytes before the first are from start to
** r->p. */
static int read_escaped(reader *r, const unsigned char *start) {
  luaL_Buffer b;

  luaL_buffinit(r->L, &b);
  for (;;) {
    luaL_addlstring(&b, (const char *)start, (size_t)(r->p - start));
    if (*r->p == '"') break;
    r->p++;
    if (!read_escape(r, &b)) return 0;
    start = r->p;
    if (!skip_plain(r)) return 0;
  }
  r->p++;
  luaL_pushresult(&b);
  return 1;
}

/* r->p is behind the opening quote. */
static int read_string(reader *r) {
  const unsigned char *start = r->p;

  if (!skip_plain(r)) return 0;
  if (*r->p == '\\') return read_escaped(r, start);
  lua_pushlstring(r->L, (const char *)start, (size_t)(r->p - start));
  r->p++;
  return 1;
}

static int is_digit(const reader *r) {
  return r->p < r->end && *r->p >= '0' && *r->p <= '9';
}

/* A number that the quick way cannot hold: an integer beyond 64 bits, or a
** float that needs care. */
static int push_big(reader *r, const char *s, size_t len, int integral) {
  lua_State *L = r->L;
  decimal *d;

  if (!integral) {
    int top = lua_gettop(L);
    char text[64];
    const char *number = text;
    if (len < sizeof text) {
      memcpy(text, s, len);
      text[len] = '\0';
    } else {
      number = lua_pushlstring(L, s, len);
    }
    if (lua_stringtonumber(L, number) != 0 && !isinf(lua_tonumber(L, -1))) {
      if (number != text) lua_remove(L, -2);
      return 1;
    }
    lua_settop(L, top);
  }
  d = pg_class_new(L, PG_NUMERIC, decimal_size(decimal_parse_room(len)));
  if (decimal_parse(d, s, len) < 0) return fail(r, "a number out of range");
  return 1;
}

static const double exact_power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,
                                     1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                     1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
                                     1e18, 1e19, 1e20, 1e21, 1e22};

static int read_number(reader *r) {
  const unsigned char *start = r->p;
  uint64_t u = 0;
  int negative = *r->p == '-', digits = 0, exponent = 0, integral = 1;

  r->p += negative;
  if (!is_digit(r)) return fail(r, "not a JSON value");
  if (*r->p == '0' && r->end - r->p > 1 && r->p[1] >= '0' && r->p[1] <= '9')
    return fail(r, "a number with a leading zero");
  for (; is_digit(r); r->p++, digits++)
    if (digits < 19) u = u * 10 + (uint64_t)(*r->p - '0');
  if (r->p < r->end && *r->p == '.') {
    integral = 0;
    r->p++;
    if (!is_digit(r)) return fail(r, "a number without digits after the point");
    for (; is_digit(r); r->p++, digits++, exponent--)
      if (digits < 19) u = u * 10 + (uint64_t)(*r->p - '0');
  }
  if (r->p < r->end && (*r->p | 0x20) == 'e') {
    int e = 0, minus = 0;
    integral = 0;
    r->p++;
    if (r->p < r->end && (*r->p == '-' || *r->p == '+'))
      minus = *r->p++ == '-';
    if (!is_digit(r)) return fail(r, "a number without digits in the exponent");
    for (; is_digit(r); r->p++)
      if (e < 100000) e = e * 10 + (*r->p - '0');
    exponent += minus ? -e : e;
  }
  if (digits <= 19) {
    if (integral && u <= (uint64_t)INT64_MAX + (uint64_t)negative) {
      lua_pushinteger(r->L, (lua_Integer)(negative ? 0 - u : u));
      return 1;
    }
    if (!integral && u <= UINT64_C(1) << 53 && exponent >= -22 &&
        exponent <= 22) { /* both are exact, so the result is rounded once */
      double v = (double)u;
      v = exponent < 0 ? v / exact_power[-exponent] : v * exact_power[exponent];
      lua_pushnumber(r->L, negative ? -v : v);
      return 1;
    }
  }
  return push_big(r, (const char *)start, (size_t)(r->p - start), integral);
}

static int read_word(reader *r, const char *word, size_t len) {
  if ((size_t)(r->end - r->p) < len || memcmp(r->p, word, len) != 0)
    return fail(r, "not a JSON value");
  r->p += len;
  return 1;
}

/* Takes c, perhaps after white space. */
static int take(reader *r, char c) {
  skip_space(r);
  if (r->p == r->end || *r->p != (unsigned char)c) return 0;
  r->p++;
  return 1;
}

/* Moves n items from the top of the stack into the array at base. */
static void flush_items(reader *r, int base, int n, lua_Integer before) {
  lua_State *L = r->L;

  if (before == 0) {
    lua_createtable(L, n, 0);
    lua_pushvalue(L, r->array_meta);
    lua_setmetatable(L, -2);
    lua_replace(L, base);
  }
  for (; n > 0; n--) lua_rawseti(L, base, before + n);
}

static int read_array(reader *r) {
  lua_State *L = r->L;
  lua_Integer before = 0;
  int base = lua_gettop(L) + 1, n = 0;

  lua_pushnil(L); /* the place of the table */
  if (!take(r, ']')) {
    do {
      if (n == CHUNK) {
        flush_items(r, base, n, before);
        before += n;
        n = 0;
      }
      if (!read_value(r)) return 0;
      n++;
    } while (take(r, ','));
    if (!take(r, ']')) return fail(r, "expected ',' or ']'");
  }
  flush_items(r, base, n, before);
  return 1;
}

/* Moves n pairs from the top of the stack into the object at base, in order:
** the last of duplicate keys wins. */
static void flush_pairs(lua_State *L, int base, int n, int first) {
  int i;

  if (first) {
    lua_createtable(L, 0, n);
    lua_replace(L, base);
  }
  for (i = 0; i < n; i++) {
    lua_pushvalue(L, base + 1 + 2 * i);
    lua_pushvalue(L, base + 2 + 2 * i);
    lua_rawset(L, base);
  }
  lua_settop(L, base);
}

static int read_object(reader *r) {
  lua_State *L = r->L;
  int base = lua_gettop(L) + 1, n = 0, first = 1;

  lua_pushnil(L);
  if (!take(r, '}')) {
    do {
      if (n == CHUNK) {
        flush_pairs(L, base, n, first);
        n = first = 0;
      }
      if (!take(r, '"')) return fail(r, "expected a key in double quotes");
      if (!read_string(r)) return 0;
      if (!take(r, ':')) return fail(r, "expected ':'");
      if (!read_value(r)) return 0;
      n++;
    } while (take(r, ','));
    if (!take(r, '}')) return fail(r, "expected ',' or '}'");
  }
  flush_pairs(L, base, n, first);
  return 1;
}

static int read_nested(reader *r, int (*read)(reader *)) {
  int ok;

  if (++r->depth > JSON_DEPTH) return fail(r, "nested too deeply");
  luaL_checkstack(r->L, 2 * CHUNK + 8, "JSON");
  r->p++;
  ok = read(r);
  r->depth--;
  return ok;
}

static int read_value(reader *r) {
  skip_space(r);
  if (r->p == r->end) return fail(r, "the text is cut off");
  switch (*r->p) {
  case '"': r->p++; return read_string(r);
  case '{': return read_nested(r, read_object);
  case '[': return read_nested(r, read_array);
  case 't':
    lua_pushboolean(r->L, 1);
    return read_word(r, "true", 4);
  case 'f':
    lua_pushboolean(r->L, 0);
    return read_word(r, "false", 5);
  case 'n':
    lua_pushvalue(r->L, r->null);
    return read_word(r, "null", 4);
  default: return read_number(r);
  }
}

const char *json_read(lua_State *L, const char *p, size_t len, size_t *at) {
  int top = lua_gettop(L), ok;
  reader r;

  r.L = L;
  r.p = (const unsigned char *)p;
  r.end = r.p + len;
  r.wrong = NULL;
  r.depth = 0;
  luaL_checkstack(L, 8, "JSON");
  pg_class_push(L, PG_ARRAY);
  neap_->push_null(L);
  r.array_meta = top + 1;
  r.null = top + 2;
  ok = read_value(&r);
  if (ok) {
    skip_space(&r);
    if (r.p < r.end) ok = fail(&r, "more than one JSON value");
  }
  if (ok) {
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    return NULL;
  }
  lua_settop(L, top);
  *at = (size_t)(r.p - (const unsigned char *)p);
  return r.wrong;
}
