/*
** type_array_text.c -- array literals: {1,NULL,"a b"}, with [2:4]= in front
** when a lower bound is not 1. See type_array.c.
*/
#include <string.h>

#include <lauxlib.h>

#include "neap.h"
#include "pg/type.h"
#include "pg/value_scan.h"

/* Reading. */

typedef struct reader {
  lua_State *L;
  scan s;
  const pg_type *type, *element;
  size_t len;
  int null;  /* stack index */
  char delim;
  int depth; /* open braces */
  int leaf;  /* depth at which the items are, 0 when none was seen */
  lua_Integer length[ARRAY_DIMS + 1]; /* of each depth, -1 when not known */
} reader;

static void garbage(reader *r) { pg_garbage(r->L, r->type, r->len, 1); }

/* An item in double quotes; the first one is taken. Pushes its text. */
static void read_quoted(reader *r) {
  luaL_Buffer b;

  luaL_buffinit(r->L, &b);
  for (;;) {
    const char *start = r->s.p;
    while (r->s.p < r->s.end && *r->s.p != '"' && *r->s.p != '\\') r->s.p++;
    luaL_addlstring(&b, start, (size_t)(r->s.p - start));
    if (r->s.p == r->s.end) garbage(r);
    if (*r->s.p++ == '"') break;
    if (r->s.p == r->s.end) garbage(r);
    luaL_addchar(&b, *r->s.p++);
  }
  luaL_pushresult(&b);
}

static int is_special(char c) {
  return c == '{' || c == '}' || c == '"' || c == '\\';
}

static void read_item(reader *r) {
  lua_State *L = r->L;
  const char *start = r->s.p, *text;
  scan whole;
  size_t len;

  if (scan_char(&r->s, '"')) {
    read_quoted(r);
    text = lua_tolstring(L, -1, &len);
    r->element->from_text(L, r->element, text, len);
    lua_remove(L, -2);
    return;
  }
  while (r->s.p < r->s.end && *r->s.p != r->delim && !is_special(*r->s.p))
    r->s.p++;
  len = (size_t)(r->s.p - start);
  if (len == 0) garbage(r);
  whole.p = start;
  whole.end = r->s.p;
  if (scan_whole(&whole, "null")) lua_pushvalue(L, r->null);
  else r->element->from_text(L, r->element, start, len);
}

/* Behind an opening brace. Rows are of one length, items at one depth. */
static void read_level(reader *r) {
  lua_State *L = r->L;
  lua_Integer n = 0, *length;

  if (++r->depth > ARRAY_DIMS) garbage(r);
  length = &r->length[r->depth];
  lua_createtable(L, *length > 0 ? (int)*length : 4, 1);
  if (!scan_char(&r->s, '}')) {
    do {
      if (scan_char(&r->s, '{')) {
        if (r->depth == r->leaf) garbage(r);
        read_level(r);
      } else {
        if (r->leaf == 0) r->leaf = r->depth;
        if (r->depth != r->leaf) garbage(r);
        read_item(r);
      }
      lua_rawseti(L, -2, ++n);
    } while (scan_char(&r->s, r->delim));
    if (!scan_char(&r->s, '}')) garbage(r);
  }
  if ((*length >= 0 && *length != n) || (n == 0 && r->depth > 1)) garbage(r);
  *length = n;
  lua_pushinteger(L, n);
  lua_setfield(L, -2, "n");
  pg_class_push(L, PG_ARRAY);
  lua_setmetatable(L, -2);
  r->depth--;
}

static int scan_bound(scan *s, int32_t *bound) {
  int negative = scan_char(s, '-');
  int64_t v;

  if (!scan_digits(s, 1, 10, &v)) return 0;
  if (negative) v = -v;
  *bound = (int32_t)v;
  return v == *bound;
}

/* "[2:4][0:1]=" */
static void read_bounds(reader *r, array_shape *shape) {
  int32_t upper;

  while (scan_char(&r->s, '[')) {
    if (shape->dims == ARRAY_DIMS) garbage(r);
    if (!scan_bound(&r->s, &shape->lower[shape->dims++]) ||
        !scan_char(&r->s, ':') || !scan_bound(&r->s, &upper) ||
        !scan_char(&r->s, ']'))
      garbage(r);
  }
  if (shape->dims > 0 && !scan_char(&r->s, '=')) garbage(r);
}

void array_from_text(lua_State *L, const pg_type *type, const char *p,
                     size_t len) {
  array_shape shape;
  reader r;
  int i;

  r.L = L;
  r.s.p = p;
  r.s.end = p + len;
  r.type = type;
  r.element = pg_part(type);
  r.delim = r.element->delim ? r.element->delim : ',';
  r.len = len;
  r.depth = r.leaf = 0;
  for (i = 0; i <= ARRAY_DIMS; i++) r.length[i] = -1;
  shape.dims = 0;
  luaL_checkstack(L, ARRAY_DIMS + 16, "array");
  neap_->push_null(L);
  r.null = lua_gettop(L);
  read_bounds(&r, &shape);
  if (!scan_char(&r.s, '{')) garbage(&r);
  read_level(&r);
  if (r.s.p != r.s.end) garbage(&r);
  if (shape.dims > 0) array_finish(L, &shape);
  lua_remove(L, r.null);
}

/* Writing, where the element type is not known to us, has no binary form, or
** an item is a string that the server is to read. */

typedef struct writer {
  const pg_type *element; /* or NULL */
  int flat;
  char delim;
  buf *out;
} writer;

static const char *write_item(lua_State *L, writer *w, int idx) {
  const char *wrong;
  size_t start;

  if (lua_isnil(L, idx) || neap_->is_null(L, idx)) {
    buf_string(w->out, "NULL");
    return NULL;
  }
  if ((w->element == NULL || w->element->to_text == NULL) &&
      (lua_type(L, idx) == LUA_TNUMBER || lua_isboolean(L, idx)))
    return pg_write_text(L, w->element, idx, w->out);
  buf_byte(w->out, '"');
  start = w->out->len;
  if ((wrong = pg_write_text(L, w->element, idx, w->out)) != NULL)
    return wrong;
  pg_escape(w->out, start);
  buf_byte(w->out, '"');
  return NULL;
}

/* Rows of unequal length are for the server to refuse. */
static const char *write_level(lua_State *L, writer *w, int idx, int depth) {
  lua_Integer i, n = pg_count_of(L, idx);
  const char *wrong;

  if (n < 0) n = (lua_Integer)lua_rawlen(L, idx);
  if (depth > ARRAY_DIMS) return "the array has more than 6 dimensions";
  buf_byte(w->out, '{');
  for (i = 1; i <= n; i++) {
    int child, level;
    if (i > 1) buf_byte(w->out, w->delim);
    lua_rawgeti(L, idx, i);
    child = lua_gettop(L);
    level = array_is_level(L, child, w->flat);
    wrong = level ? write_level(L, w, child, depth + 1)
                  : write_item(L, w, child);
    if (wrong != NULL && !level && w->element != NULL)
      return lua_pushfstring(L, "item %I: %s", (LUAI_UACINT)i, wrong);
    if (wrong != NULL) return wrong;
    lua_pop(L, 1);
  }
  buf_byte(w->out, '}');
  return NULL;
}

const char *array_text(lua_State *L, const pg_type *element, int idx,
                       buf *out) {
  writer w = {element, element ? element->flat : PG_NOT_FLAT,
              element && element->delim ? element->delim : ',', out};
  const char *wrong;
  array_shape shape;
  int i, plain = 1;

  if (lua_rawlen(L, idx) == 0 && pg_class_of(L, idx) != PG_ARRAY &&
      pg_count_of(L, idx) < 0) {
    lua_pushnil(L);
    if (lua_next(L, idx)) return "a table with fields has no text form";
  }
  if ((wrong = array_measure(L, idx, w.flat, &shape)) != NULL) return wrong;
  for (i = 0; i < shape.dims; i++) plain &= shape.lower[i] == 1;
  for (i = 0; !plain && i < shape.dims; i++)
    buf_printf(out, "[%d:%d]", (int)shape.lower[i],
               (int)(shape.lower[i] + shape.length[i] - 1));
  if (!plain) buf_byte(out, '=');
  luaL_checkstack(L, 2 * ARRAY_DIMS + 16, "array");
  return write_level(L, &w, idx, 1);
}

const char *array_to_text(lua_State *L, const pg_type *type, int idx,
                          buf *out) {
  const char *wrong;

  if (lua_type(L, idx) == LUA_TSTRING) return pg_text_of(L, idx, out);
  if ((wrong = array_refuses(L, idx)) != NULL) return wrong;
  return array_text(L, pg_part(type), idx, out);
}

/* int2vector and oidvector: the binary form of an array, numbers with spaces
** between them as text. They count from 0 on the server; here from 1. */

void vector_from_binary(lua_State *L, const pg_type *type, const char *p,
                        size_t len) {
  /* An empty one has a dimension, of no items. */
  if (len == 20 && read_u32(p) == 1 && read_u32(p + 12) == 0) {
    vector_from_text(L, type, "", 0);
    return;
  }
  array_from_binary(L, type, p, len);
  pg_class_push(L, PG_ARRAY);
  lua_setmetatable(L, -2);
}

void vector_from_text(lua_State *L, const pg_type *type, const char *p,
                      size_t len) {
  const pg_type *element = pg_part(type);
  const char *end = p + len;
  lua_Integer n = 0;

  lua_createtable(L, 4, 1);
  while (p < end) {
    const char *from = p;
    while (p < end && *p != ' ') p++;
    element->from_text(L, element, from, (size_t)(p - from));
    lua_rawseti(L, -2, ++n);
    if (p < end && ++p == end) pg_garbage(L, type, len, 1);
  }
  lua_pushinteger(L, n);
  lua_setfield(L, -2, "n");
  pg_class_push(L, PG_ARRAY);
  lua_setmetatable(L, -2);
}

const char *vector_to_binary(lua_State *L, const pg_type *type, int idx,
                             buf *out) {
  (void)L, (void)type, (void)idx, (void)out;
  return pg_as_text; /* the server takes no array with another lower bound */
}

const char *vector_to_text(lua_State *L, const pg_type *type, int idx,
                           buf *out) {
  size_t at = out->len, i;
  const char *wrong;

  if (lua_type(L, idx) == LUA_TSTRING) return pg_text_of(L, idx, out);
  if ((wrong = array_refuses(L, idx)) != NULL) return wrong;
  if ((wrong = array_text(L, pg_part(type), idx, out)) != NULL) return wrong;
  if (out->failed) return NULL;
  for (i = at; i < out->len; i++)
    if (strchr("{},\"", out->data[i]) != NULL) out->data[i] = ' ';
  return NULL;
}
