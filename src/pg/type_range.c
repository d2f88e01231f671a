/*
** type_range.c -- ranges and multiranges of any subtype, both forms. The
** classes are in value_range.c. A multirange is a sequence of ranges with n.
*/
#include <string.h>

#include <lauxlib.h>

#include "pg/type.h"
#include "pg/value_range.h"
#include "pg/value_scan.h"

#define RANGES_MAX 67108863

/* Reading. The range that is being made lies on the stack, and above it what
** becomes its bound. */

typedef struct reader {
  lua_State *L;
  const pg_type *type; /* for messages */
  const pg_type *part;
  scan s;
  size_t len;
  int text;
} reader;

static void garbage(reader *r) { pg_garbage(r->L, r->type, r->len, r->text); }

static void read_bound(reader *r, int which) {
  uint32_t n;

  if (r->s.end - r->s.p < 4) garbage(r);
  n = read_u32(r->s.p);
  r->s.p += 4;
  if (n > (size_t)(r->s.end - r->s.p)) garbage(r);
  r->part->from_binary(r->L, r->part, r->s.p, n);
  r->s.p += n;
  lua_setiuservalue(r->L, -2, which);
}

static void read_binary(reader *r) {
  range *v;
  int flags;

  if (r->s.p == r->s.end) garbage(r);
  flags = (unsigned char)*r->s.p++;
  if (flags & ~RANGE_FLAGS) garbage(r);
  if (flags & RANGE_EMPTY) flags = RANGE_EMPTY;
  v = range_push(r->L);
  v->flags = (unsigned char)flags;
  if (range_has_lower(flags)) read_bound(r, RANGE_LOWER);
  if (range_has_upper(flags)) read_bound(r, RANGE_UPPER);
}

/* A bound as text, up to what ends it; 0: there is none. */
static int read_bound_text(reader *r, char end1, char end2, int which) {
  int any = pg_read_quoted(r->L, &r->s, end1, end2);
  const char *text;
  size_t len;

  if (any < 0) garbage(r);
  if (any) {
    text = lua_tolstring(r->L, -1, &len);
    r->part->from_text(r->L, r->part, text, len);
    lua_setiuservalue(r->L, -3, which);
  }
  lua_pop(r->L, 1);
  return any;
}

static void read_text(reader *r) {
  range *v = range_push(r->L);
  int flags = 0;

  if (scan_word(&r->s, "empty")) {
    v->flags = RANGE_EMPTY;
    return;
  }
  if (scan_char(&r->s, '[')) flags |= RANGE_LOWER_INC;
  else if (!scan_char(&r->s, '(')) garbage(r);
  if (!read_bound_text(r, ',', ',', RANGE_LOWER)) flags |= RANGE_LOWER_INF;
  r->s.p++;
  if (!read_bound_text(r, ')', ']', RANGE_UPPER)) flags |= RANGE_UPPER_INF;
  if (*r->s.p++ == ']') flags |= RANGE_UPPER_INC;
  v->flags = range_normal(flags);
}

static void start(reader *r, lua_State *L, const pg_type *type,
                  const pg_type *part, const char *p, size_t len, int text) {
  reader made = {L, type, part, {p, p + len}, len, text};

  *r = made;
  luaL_checkstack(L, 12, "range");
}

void range_from_binary(lua_State *L, const pg_type *type, const char *p,
                       size_t len) {
  reader r;

  start(&r, L, type, pg_part(type), p, len, 0);
  read_binary(&r);
  if (r.s.p != r.s.end) garbage(&r);
}

void range_from_text(lua_State *L, const pg_type *type, const char *p,
                     size_t len) {
  reader r;

  start(&r, L, type, pg_part(type), p, len, 1);
  read_text(&r);
  if (r.s.p != r.s.end) garbage(&r);
}

static void finish(lua_State *L, lua_Integer n) {
  lua_pushinteger(L, n);
  lua_setfield(L, -2, "n");
  pg_class_push(L, PG_MULTIRANGE);
  lua_setmetatable(L, -2);
}

void multirange_from_binary(lua_State *L, const pg_type *type, const char *p,
                            size_t len) {
  uint32_t i, n, size;
  reader r;

  start(&r, L, type, pg_part(pg_part(type)), p, len, 0);
  if (len < 4) garbage(&r);
  n = read_u32(p);
  r.s.p += 4;
  if (n > (len - 4) / 5) garbage(&r);
  lua_createtable(L, (int)n, 1);
  for (i = 1; i <= n; i++) {
    const char *end = r.s.end;
    if (end - r.s.p < 4) garbage(&r);
    size = read_u32(r.s.p);
    r.s.p += 4;
    if (size > (size_t)(end - r.s.p)) garbage(&r);
    r.s.end = r.s.p + size;
    read_binary(&r);
    if (r.s.p != r.s.end) garbage(&r);
    r.s.end = end;
    lua_rawseti(L, -2, i);
  }
  if (r.s.p != r.s.end) garbage(&r);
  finish(L, n);
}

void multirange_from_text(lua_State *L, const pg_type *type, const char *p,
                          size_t len) {
  lua_Integer n = 0;
  reader r;

  start(&r, L, type, pg_part(pg_part(type)), p, len, 1);
  if (!scan_char(&r.s, '{')) garbage(&r);
  lua_createtable(L, 4, 1);
  if (!scan_char(&r.s, '}')) {
    do {
      read_text(&r);
      lua_rawseti(L, -2, ++n);
    } while (scan_char(&r.s, ','));
    if (!scan_char(&r.s, '}')) garbage(&r);
  }
  if (r.s.p != r.s.end) garbage(&r);
  finish(L, n);
}

/* Writing. */

static const char *write_bound(lua_State *L, const pg_type *part, int idx,
                               int which, buf *out) {
  size_t at = out->len;
  const char *wrong;

  buf_u32(out, 0);
  lua_getiuservalue(L, idx, which);
  if (part->to_binary == NULL) return pg_as_text;
  wrong = part->to_binary(L, part, lua_gettop(L), out);
  if (wrong == pg_as_text) return wrong;
  if (wrong != NULL)
    return lua_pushfstring(L, "%s bound: %s",
                           which == RANGE_LOWER ? "lower" : "upper", wrong);
  pg_set_length(out, at);
  lua_pop(L, 1);
  return NULL;
}

const char *range_to_binary(lua_State *L, const pg_type *type, int idx,
                            buf *out) {
  const range *v = pg_class_test(L, idx, PG_RANGE);
  const pg_type *part = pg_part(type);
  const char *wrong = NULL;

  if (lua_type(L, idx) == LUA_TSTRING) return pg_as_text;
  if (v == NULL) return pg_expected(L, idx, "a range");
  luaL_checkstack(L, 12, "range");
  buf_byte(out, (char)v->flags);
  if (range_has_lower(v->flags))
    wrong = write_bound(L, part, idx, RANGE_LOWER, out);
  if (wrong == NULL && range_has_upper(v->flags))
    wrong = write_bound(L, part, idx, RANGE_UPPER, out);
  return wrong;
}

static const char *write_bound_text(lua_State *L, const pg_type *part, int idx,
                                    int which, buf *out) {
  const char *wrong;
  size_t start_at;

  buf_byte(out, '"');
  start_at = out->len;
  lua_getiuservalue(L, idx, which);
  wrong = pg_write_text(L, part, lua_gettop(L), out);
  if (wrong != NULL)
    return lua_pushfstring(L, "%s bound: %s",
                           which == RANGE_LOWER ? "lower" : "upper", wrong);
  lua_pop(L, 1);
  if (out->failed) return NULL;
  if (range_is_plain(out->data + start_at, out->len - start_at)) {
    memmove(out->data + start_at - 1, out->data + start_at,
            out->len - start_at);
    out->len--;
  } else {
    pg_escape(out, start_at);
    buf_byte(out, '"');
  }
  return NULL;
}

const char *range_text(lua_State *L, const pg_type *part, int idx, buf *out) {
  const range *v = lua_touserdata(L, idx);
  const char *wrong = NULL;

  luaL_checkstack(L, 12, "range");
  if (v->flags & RANGE_EMPTY) {
    buf_string(out, "empty");
    return NULL;
  }
  buf_byte(out, v->flags & RANGE_LOWER_INC ? '[' : '(');
  if (range_has_lower(v->flags))
    wrong = write_bound_text(L, part, idx, RANGE_LOWER, out);
  if (wrong != NULL) return wrong;
  buf_byte(out, ',');
  if (range_has_upper(v->flags))
    wrong = write_bound_text(L, part, idx, RANGE_UPPER, out);
  buf_byte(out, v->flags & RANGE_UPPER_INC ? ']' : ')');
  return wrong;
}

const char *range_to_text(lua_State *L, const pg_type *type, int idx,
                          buf *out) {
  if (lua_type(L, idx) == LUA_TSTRING) return pg_text_of(L, idx, out);
  if (pg_class_test(L, idx, PG_RANGE) == NULL)
    return pg_expected(L, idx, "a range");
  return range_text(L, pg_part(type), idx, out);
}

/* Items of a sequence; NULL, or what is wrong. */
static const char *count_items(lua_State *L, int idx, lua_Integer *n) {
  if (!lua_istable(L, idx))
    return pg_expected(L, idx, "a sequence of ranges");
  *n = pg_count_of(L, idx);
  if (*n < 0) *n = (lua_Integer)lua_rawlen(L, idx);
  if (*n > RANGES_MAX) return "the multirange has too many ranges";
  if (*n > 0 || pg_class_of(L, idx) != PG_FOREIGN) return NULL;
  lua_pushnil(L);
  if (lua_next(L, idx))
    return "expected a sequence of ranges, got a table with fields";
  return NULL;
}

const char *multirange_to_binary(lua_State *L, const pg_type *type, int idx,
                                 buf *out) {
  const pg_type *part = pg_part(type);
  const char *wrong;
  lua_Integer i, n;

  if (lua_type(L, idx) == LUA_TSTRING) return pg_as_text;
  if ((wrong = count_items(L, idx, &n)) != NULL) return wrong;
  if (part->to_binary == NULL) return pg_as_text;
  luaL_checkstack(L, 12, "multirange");
  buf_u32(out, (uint32_t)n);
  for (i = 1; i <= n; i++) {
    size_t at = out->len;
    buf_u32(out, 0);
    lua_rawgeti(L, idx, i);
    wrong = part->to_binary(L, part, lua_gettop(L), out);
    if (wrong == pg_as_text) return wrong;
    if (wrong != NULL)
      return lua_pushfstring(L, "item %I: %s", (LUAI_UACINT)i, wrong);
    pg_set_length(out, at);
    lua_pop(L, 1);
  }
  return NULL;
}

const char *multirange_text(lua_State *L, const pg_type *part, int idx,
                            buf *out) {
  const char *wrong;
  lua_Integer i, n;

  if ((wrong = count_items(L, idx, &n)) != NULL) return wrong;
  luaL_checkstack(L, 12, "multirange");
  buf_byte(out, '{');
  for (i = 1; i <= n; i++) {
    if (i > 1) buf_byte(out, ',');
    lua_rawgeti(L, idx, i);
    if (part == NULL && pg_class_test(L, -1, PG_RANGE) == NULL)
      wrong = pg_expected(L, -1, "a range");
    else
      wrong = pg_write_text(L, part, lua_gettop(L), out);
    if (wrong != NULL)
      return lua_pushfstring(L, "item %I: %s", (LUAI_UACINT)i, wrong);
    lua_pop(L, 1);
  }
  buf_byte(out, '}');
  return NULL;
}

const char *multirange_to_text(lua_State *L, const pg_type *type, int idx,
                               buf *out) {
  if (lua_type(L, idx) == LUA_TSTRING) return pg_text_of(L, idx, out);
  return multirange_text(L, pg_part(type), idx, out);
}
