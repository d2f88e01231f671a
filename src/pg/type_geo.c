/*
** type_geo.c -- points and figures, as tables of floats:
**   point {x=, y=}   circle {x=, y=, r=}   line {a=, b=, c=}
**   lseg, box, polygon: sequences of points; path the same with `closed`
*/
#include <string.h>

#include <lauxlib.h>

#include "pg/type.h"
#include "pg/value_scan.h"

/* What the figures have in common: their numbers, in the order of the wire. */
enum figure { POINT, LSEG, BOX, PATH, POLYGON, LINE, CIRCLE };

#define POINTS_MAX 67108863 /* 2^30 bytes of them */

static const char *const axes[] = {"x", "y"};
static const char *const sides[] = {"a", "b", "c"};
static const char *const round_ones[] = {"x", "y", "r"};

/* A source of floats: 8 bytes each, or what a text has between its marks. */
typedef struct reader {
  lua_State *L;
  const pg_type *type;
  scan s;
  size_t len;
  int text;
} reader;

static void garbage(reader *r) { pg_garbage(r->L, r->type, r->len, r->text); }

static void read_float(reader *r) {
  const pg_type *float8 = pg_type_of(701);
  const char *from = r->s.p;

  if (!r->text) {
    if (r->s.end - from < 8) garbage(r);
    float8_from_binary(r->L, float8, from, 8);
    r->s.p += 8;
    return;
  }
  while (r->s.p < r->s.end && strchr("(),<>[]{}", *r->s.p) == NULL) r->s.p++;
  float8_from_text(r->L, float8, from, (size_t)(r->s.p - from));
}

static void expect(reader *r, char c) {
  if (r->text && !scan_char(&r->s, c)) garbage(r);
}

static void read_fields(reader *r, const char *const *names, int n) {
  int i;

  lua_createtable(r->L, 0, n);
  for (i = 0; i < n; i++) {
    if (i > 0) expect(r, ',');
    read_float(r);
    lua_setfield(r->L, -2, names[i]);
  }
}

static void read_point(reader *r) {
  expect(r, '(');
  read_fields(r, axes, 2);
  expect(r, ')');
}

/* n points, or as many as the text has. */
static void read_points(reader *r, lua_Integer n) {
  lua_Integer i = 0;

  lua_createtable(r->L, n < 0 ? 4 : (int)n, 1);
  if (n == 0) return;
  do {
    read_point(r);
    lua_rawseti(r->L, -2, ++i);
  } while (r->text ? scan_char(&r->s, ',') : i < n);
  if (n >= 0 && i != n) garbage(r);
}

static lua_Integer read_count(reader *r) {
  uint32_t n;

  if (r->text) return -1;
  if (r->s.end - r->s.p < 4) garbage(r);
  n = read_u32(r->s.p);
  r->s.p += 4;
  if (n < 1 || n > (size_t)(r->s.end - r->s.p) / 16) garbage(r);
  return n;
}

static void read_path(reader *r) {
  int closed;

  if (r->text) {
    closed = !scan_char(&r->s, '[');
    if (closed) expect(r, '(');
  } else {
    if (r->s.p == r->s.end || (unsigned char)*r->s.p > 1) garbage(r);
    closed = *r->s.p++;
  }
  read_points(r, read_count(r));
  expect(r, closed ? ')' : ']');
  lua_pushboolean(r->L, closed);
  lua_setfield(r->L, -2, "closed");
}

static void read_figure(lua_State *L, const pg_type *type, const char *p,
                        size_t len, int text, int figure) {
  reader r = {L, type, {p, p + len}, len, text};

  luaL_checkstack(L, 8, "figure");
  switch (figure) {
  case POINT: read_point(&r); break;
  case BOX: read_points(&r, 2); break;
  case PATH: read_path(&r); break;
  case LSEG:
    expect(&r, '[');
    read_points(&r, 2);
    expect(&r, ']');
    break;
  case POLYGON:
    expect(&r, '(');
    read_points(&r, read_count(&r));
    expect(&r, ')');
    break;
  case LINE:
    expect(&r, '{');
    read_fields(&r, sides, 3);
    expect(&r, '}');
    break;
  default:
    if (text) { /* <(x,y),r> */
      expect(&r, '<');
      read_point(&r);
      expect(&r, ',');
      read_float(&r);
      lua_setfield(L, -2, "r");
      expect(&r, '>');
    } else
      read_fields(&r, round_ones, 3);
  }
  if (r.s.p != r.s.end) garbage(&r);
}

/* Writing. */

typedef struct writer {
  lua_State *L;
  buf *out;
  int text;
} writer;

static void mark(writer *w, char c) {
  if (w->text) buf_byte(w->out, c);
}

/* Field `name` of the table at idx, or its item i. */
static const char *write_field(writer *w, int idx, const char *name, int i) {
  lua_State *L = w->L;
  const char *wrong = NULL;
  const pg_type *float8 = pg_type_of(701);

  lua_pushstring(L, name);
  if (lua_rawget(L, idx) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_rawgeti(L, idx, i);
  }
  if (lua_type(L, -1) != LUA_TNUMBER)
    return lua_pushfstring(L, "field '%s': expected a number, got %s", name,
                           pg_describe(L, -1));
  wrong = w->text ? pg_write_text(L, float8, lua_gettop(L), w->out)
                  : float8_to_binary(L, float8, lua_gettop(L), w->out);
  if (wrong == NULL) lua_pop(L, 1);
  return wrong;
}

static const char *write_fields(writer *w, int idx, const char *const *names,
                                int n) {
  const char *wrong = NULL;
  int i;

  for (i = 0; i < n && wrong == NULL; i++) {
    if (i > 0) mark(w, ',');
    wrong = write_field(w, idx, names[i], i + 1);
  }
  return wrong;
}

static const char *write_point(writer *w, int idx) {
  const char *wrong;

  mark(w, '(');
  wrong = write_fields(w, idx, axes, 2);
  mark(w, ')');
  return wrong;
}

/* The points of the table at idx; n of them, or -1: it says how many. */
static const char *write_points(writer *w, int idx, int n) {
  lua_State *L = w->L;
  lua_Integer i, have = pg_count_of(L, idx);

  if (have < 0) have = (lua_Integer)lua_rawlen(L, idx);
  if (n >= 0 && have != n)
    return lua_pushfstring(L, "expected %d points, got %I", n,
                           (LUAI_UACINT)have);
  if (have < 1 || have > POINTS_MAX) return "expected a sequence of points";
  if (n < 0 && !w->text) buf_u32(w->out, (uint32_t)have);
  for (i = 1; i <= have; i++) {
    const char *wrong;
    if (i > 1) mark(w, ',');
    if (lua_rawgeti(L, idx, i) != LUA_TTABLE)
      return lua_pushfstring(L, "point %I: expected a table, got %s",
                             (LUAI_UACINT)i, pg_describe(L, -1));
    wrong = write_point(w, lua_gettop(L));
    if (wrong != NULL)
      return lua_pushfstring(L, "point %I: %s", (LUAI_UACINT)i, wrong);
    lua_pop(L, 1);
  }
  return NULL;
}

static const char *write_path(writer *w, int idx) {
  const char *wrong;
  int closed;

  lua_pushliteral(w->L, "closed");
  lua_rawget(w->L, idx);
  closed = lua_toboolean(w->L, -1);
  lua_pop(w->L, 1);
  if (w->text) buf_byte(w->out, closed ? '(' : '[');
  else buf_byte(w->out, (char)closed);
  wrong = write_points(w, idx, -1);
  mark(w, closed ? ')' : ']');
  return wrong;
}

static const char *write_circle(writer *w, int idx) {
  const char *wrong;

  mark(w, '<');
  if ((wrong = write_point(w, idx)) != NULL) return wrong;
  mark(w, ',');
  wrong = write_field(w, idx, "r", 3);
  mark(w, '>');
  return wrong;
}

static const char *write_in(writer *w, int idx, int n, char left, char right) {
  const char *wrong;

  mark(w, left);
  wrong = write_points(w, idx, n);
  mark(w, right);
  return wrong;
}

static const char *write_figure(lua_State *L, int idx, buf *out, int text,
                                int figure) {
  static const char *const wanted[] = {
    /* ORDER figure */
    "a point {x=, y=}", "a sequence of 2 points", "a sequence of 2 points",
    "a sequence of points", "a sequence of points", "a line {a=, b=, c=}",
    "a circle {x=, y=, r=}"};
  writer w = {L, out, text};
  const char *wrong;

  if (lua_type(L, idx) == LUA_TSTRING)
    return text ? pg_text_of(L, idx, out) : pg_as_text;
  if (!lua_istable(L, idx)) return pg_expected(L, idx, wanted[figure]);
  luaL_checkstack(L, 12, "figure");
  switch (figure) {
  case POINT: return write_point(&w, idx);
  case LSEG: return write_in(&w, idx, 2, '[', ']');
  case BOX: return write_points(&w, idx, 2);
  case PATH: return write_path(&w, idx);
  case POLYGON: return write_in(&w, idx, -1, '(', ')');
  case CIRCLE: return write_circle(&w, idx);
  default:
    mark(&w, '{');
    wrong = write_fields(&w, idx, sides, 3);
    mark(&w, '}');
    return wrong;
  }
}

/* One codec for each: PG_CODEC and PG_TO_TEXT of type.h. */
#define CODEC(t, figure)                                                      \
  void t##_from_binary(lua_State *L, const pg_type *type, const char *p,      \
                       size_t len) {                                          \
    read_figure(L, type, p, len, 0, figure);                                  \
  }                                                                           \
  void t##_from_text(lua_State *L, const pg_type *type, const char *p,        \
                     size_t len) {                                            \
    read_figure(L, type, p, len, 1, figure);                                  \
  }                                                                           \
  const char *t##_to_binary(lua_State *L, const pg_type *type, int idx,       \
                            buf *out) {                                       \
    (void)type;                                                               \
    return write_figure(L, idx, out, 0, figure);                              \
  }                                                                           \
  const char *t##_to_text(lua_State *L, const pg_type *type, int idx,         \
                          buf *out) {                                         \
    (void)type;                                                               \
    return write_figure(L, idx, out, 1, figure);                              \
  }

CODEC(point, POINT)
CODEC(lseg, LSEG)
CODEC(box, BOX)
CODEC(path, PATH)
CODEC(polygon, POLYGON)
CODEC(line, LINE)
CODEC(circle, CIRCLE)
