/*
** type_array.c -- arrays of any element type: the binary form, and pg.array.
** The text form is in type_array_text.c.
**
** An array is a sequence with its length in n, pg.null for NULL, arrays in an
** array for more dimensions, and the metatable of pg.array. Lower bounds that
** are not 1 stand in a metatable of the array's own, as `lower`.
*/
#include <string.h>

#include <lauxlib.h>

#include "neap.h"
#include "pg/type.h"

#define MAX_ITEMS 134217727 /* the server's limit */

#define WIRE_HEADER 12
#define WIRE_NULL UINT32_C(0xFFFFFFFF)

/* Items of the table: n wins over the border. -1: too many. */
static lua_Integer length_of(lua_State *L, int idx) {
  lua_Integer n = pg_count_of(L, idx);

  if (n < 0) n = (lua_Integer)lua_rawlen(L, idx);
  return n > MAX_ITEMS ? -1 : n;
}

/* A metatable like the shared one, for one array that has more to say. */
static void push_own_meta(lua_State *L) {
  lua_createtable(L, 0, 4);
  lua_pushliteral(L, "pg.array");
  lua_setfield(L, -2, "__name");
  pg_class_mark(L, PG_ARRAY);
}

void array_finish(lua_State *L, const array_shape *shape) {
  int i, plain = 1;

  for (i = 0; i < shape->dims; i++) plain &= shape->lower[i] == 1;
  if (plain) {
    pg_class_push(L, PG_ARRAY);
  } else {
    push_own_meta(L);
    lua_createtable(L, shape->dims, 0);
    for (i = 0; i < shape->dims; i++) {
      lua_pushinteger(L, shape->lower[i]);
      lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "lower");
  }
  lua_setmetatable(L, -2);
}

/* Reading. */

typedef struct reader {
  const pg_type *type, *element;
  const char *p, *end;
  size_t len;
  int meta, null; /* stack indices */
  array_shape shape;
} reader;

static void read_item(lua_State *L, reader *r) {
  uint32_t len;

  if (r->end - r->p < 4) pg_garbage(L, r->type, r->len, 0);
  len = read_u32(r->p);
  r->p += 4;
  if (len == WIRE_NULL) {
    lua_pushvalue(L, r->null);
    return;
  }
  if (len > (size_t)(r->end - r->p)) pg_garbage(L, r->type, r->len, 0);
  r->element->from_binary(L, r->element, r->p, len);
  r->p += len;
}

static void read_level(lua_State *L, reader *r, int depth) {
  int32_t i, n = r->shape.length[depth];

  lua_createtable(L, n, 1);
  for (i = 1; i <= n; i++) {
    if (depth + 1 < r->shape.dims) read_level(L, r, depth + 1);
    else read_item(L, r);
    lua_rawseti(L, -2, i);
  }
  lua_pushinteger(L, n);
  lua_setfield(L, -2, "n");
  lua_pushvalue(L, r->meta);
  lua_setmetatable(L, -2);
}

/* Header: dimensions, flags, element oid; length and lower bound of each. */
static int read_header(reader *r) {
  uint64_t items = 1;
  uint32_t dims;
  int i;

  if (r->len < WIRE_HEADER) return 0;
  dims = read_u32(r->p);
  if (dims > ARRAY_DIMS || read_u32(r->p + 4) > 1) return 0;
  if (read_u32(r->p + 8) != r->type->element) return 0;
  r->p += WIRE_HEADER;
  if ((size_t)(r->end - r->p) < 8 * (size_t)dims) return 0;
  r->shape.dims = (int)dims;
  for (i = 0; i < (int)dims; i++, r->p += 8) {
    r->shape.length[i] = (int32_t)read_u32(r->p);
    r->shape.lower[i] = (int32_t)read_u32(r->p + 4);
    if (r->shape.length[i] < 1) return 0;
    items *= (uint64_t)r->shape.length[i];
    if (items > MAX_ITEMS) return 0;
  }
  /* Each item has at least its length: no table is made larger than what
  ** the bytes can fill. */
  return dims == 0 ? r->p == r->end : items <= (size_t)(r->end - r->p) / 4;
}

void array_from_binary(lua_State *L, const pg_type *type, const char *p,
                       size_t len) {
  int top = lua_gettop(L);
  reader r;

  r.type = type;
  r.element = pg_part(type);
  r.p = p;
  r.end = p + len;
  r.len = len;
  r.meta = top + 1;
  r.null = top + 2;
  if (!read_header(&r)) pg_garbage(L, type, len, 0);
  luaL_checkstack(L, ARRAY_DIMS + 16, "array");
  pg_class_push(L, PG_ARRAY);
  neap_->push_null(L);
  if (r.shape.dims == 0) {
    lua_createtable(L, 0, 1);
    lua_pushinteger(L, 0);
    lua_setfield(L, -2, "n");
  } else {
    read_level(L, &r, 0);
  }
  if (r.p != r.end) pg_garbage(L, type, len, 0);
  array_finish(L, &r.shape);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}

/* Writing. */

/* Field of the array's own metatable, if it has one; pushes one value. */
static void push_note(lua_State *L, int idx, const char *name) {
  if (!lua_getmetatable(L, idx)) {
    lua_pushnil(L);
    return;
  }
  lua_pushstring(L, name);
  lua_rawget(L, -2);
  lua_remove(L, -2);
}

static const char *read_lower(lua_State *L, int idx, array_shape *shape) {
  int i, exact;

  push_note(L, idx, "lower");
  for (i = 0; i < shape->dims; i++) {
    lua_Integer lower = 1;
    shape->lower[i] = 1;
    if (!lua_istable(L, -1)) continue;
    if (lua_rawgeti(L, -1, i + 1) != LUA_TNIL) {
      lower = lua_tointegerx(L, -1, &exact);
      if (!exact || lower < INT32_MIN ||
          lower > INT32_MAX - shape->length[i])
        return "a lower bound of the array is out of range";
    }
    shape->lower[i] = (int32_t)lower;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return NULL;
}

int array_is_level(lua_State *L, int idx, int flat) {
  if (!lua_istable(L, idx) || flat == PG_ALL_FLAT) return 0;
  return flat == PG_NOT_FLAT || pg_class_of(L, idx) == PG_ARRAY;
}

const char *array_measure(lua_State *L, int idx, int flat,
                          array_shape *shape) {
  int top = lua_gettop(L), at = idx;
  const char *wrong;

  luaL_checkstack(L, ARRAY_DIMS + 8, "array");
  for (shape->dims = 0;;) {
    lua_Integer n = length_of(L, at);
    if (n < 0) return "the array has too many items";
    if (n == 0 && shape->dims == 0) break;
    if (n == 0) return "a nested array cannot be empty";
    if (shape->dims == ARRAY_DIMS)
      return "the array has more than 6 dimensions";
    shape->length[shape->dims++] = (int32_t)n;
    lua_rawgeti(L, at, 1);
    at = lua_gettop(L);
    if (!array_is_level(L, at, flat)) break;
  }
  lua_settop(L, top);
  wrong = read_lower(L, idx, shape);
  if (wrong == NULL) lua_settop(L, top);
  return wrong;
}

typedef struct writer {
  const pg_type *element;
  const array_shape *shape;
  buf *out;
  int flat, has_null;
} writer;

static int is_null(lua_State *L, int idx) {
  return lua_isnil(L, idx) || neap_->is_null(L, idx);
}

static const char *write_item(lua_State *L, writer *w, int idx,
                              lua_Integer i) {
  size_t start = w->out->len;
  const char *wrong;

  if (is_null(L, idx)) {
    buf_u32(w->out, WIRE_NULL);
    w->has_null = 1;
    return NULL;
  }
  if (array_is_level(L, idx, w->flat) && pg_class_of(L, idx) == PG_ARRAY)
    return "the array is nested more deeply than at its first item";
  buf_u32(w->out, 0);
  wrong = w->element->to_binary(L, w->element, idx, w->out);
  if (wrong == pg_as_text) return wrong;
  if (wrong != NULL)
    return lua_pushfstring(L, "item %I: %s", (LUAI_UACINT)i, wrong);
  pg_set_length(w->out, start);
  return NULL;
}

static const char *write_level(lua_State *L, writer *w, int idx, int depth) {
  int32_t i, n = w->shape->length[depth];
  lua_Integer have = length_of(L, idx);
  const char *wrong;

  if (have != n)
    return lua_pushfstring(L, "the array is ragged: %d items where its first "
                              "row has %d", (int)have, (int)n);
  for (i = 1; i <= n; i++) {
    int inner = depth + 1 < w->shape->dims, child;
    lua_rawgeti(L, idx, i);
    child = lua_gettop(L);
    if (inner && !array_is_level(L, child, w->flat))
      return lua_pushfstring(L, "the array is ragged: %s where its first item "
                                "is an array", pg_describe(L, child));
    wrong = inner ? write_level(L, w, child, depth + 1)
                  : write_item(L, w, child, i);
    if (wrong != NULL) return wrong;
    lua_pop(L, 1);
  }
  return NULL;
}

/* An array made with a type goes only to an array of that type, or of one with
** the same wire form (text and varchar). */
static const char *check_type(lua_State *L, const pg_type *type, int idx,
                              const pg_type *element) {
  const pg_type *made = NULL;
  const char *name;

  push_note(L, idx, "type");
  name = lua_tostring(L, -1);
  if (name != NULL) made = pg_type_named(name);
  if (made != NULL && made->from_binary != element->from_binary)
    return lua_pushfstring(L, "expected an array for %s, got an array of %s",
                           type->name, name);
  lua_pop(L, 1);
  return NULL;
}

const char *array_refuses(lua_State *L, int idx) {
  if (!lua_istable(L, idx)) return pg_expected(L, idx, "an array");
  if (lua_rawlen(L, idx) == 0 && pg_class_of(L, idx) != PG_ARRAY &&
      pg_count_of(L, idx) < 0) {
    lua_pushnil(L); /* a table with fields is a mistake, not an empty array */
    if (lua_next(L, idx)) return "expected an array, got a table with fields";
  }
  return NULL;
}

const char *array_to_binary(lua_State *L, const pg_type *type, int idx,
                            buf *out) {
  size_t start = out->len;
  const char *wrong;
  array_shape shape;
  writer w;
  int i;

  if (lua_type(L, idx) == LUA_TSTRING) return pg_as_text;
  if ((wrong = array_refuses(L, idx)) != NULL) return wrong;
  w.element = pg_part(type);
  w.shape = &shape;
  w.out = out;
  w.flat = w.element->flat;
  w.has_null = 0;
  if ((wrong = check_type(L, type, idx, w.element)) != NULL) return wrong;
  if ((wrong = array_measure(L, idx, w.flat, &shape)) != NULL) return wrong;
  if (w.element->to_binary == NULL) return pg_as_text;
  luaL_checkstack(L, 4 * ARRAY_DIMS + 16, "array");
  buf_u32(out, (uint32_t)shape.dims);
  buf_u32(out, 0);
  buf_u32(out, type->element);
  for (i = 0; i < shape.dims; i++) {
    buf_u32(out, (uint32_t)shape.length[i]);
    buf_u32(out, (uint32_t)shape.lower[i]);
  }
  if (shape.dims > 0) wrong = write_level(L, &w, idx, 0);
  if (wrong == NULL && w.has_null && !out->failed) out->data[start + 7] = 1;
  return wrong;
}

/* pg.array(t [, {n=, type=, lower=}]): marks t itself and returns it. */

static void take_lower(lua_State *L, int value) {
  int i, n;

  if (lua_isinteger(L, value)) {
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, value);
    lua_rawseti(L, -2, 1);
    return;
  }
  if (!lua_istable(L, value))
    luaL_error(L, "pg.array: lower must be an integer or an array of them");
  n = (int)lua_rawlen(L, value);
  lua_createtable(L, n, 0);
  for (i = 1; i <= n; i++) {
    lua_rawgeti(L, value, i);
    if (!lua_isinteger(L, -1))
      luaL_error(L, "pg.array: lower must be an integer or an array of them");
    lua_rawseti(L, -2, i);
  }
}

/* Options are at 2, the new metatable at 3; returns n or -1. */
static lua_Integer take_options(lua_State *L) {
  lua_Integer n = -1;

  for (lua_pushnil(L); lua_next(L, 2); lua_settop(L, 4)) {
    const char *name =
        lua_type(L, 4) == LUA_TSTRING ? lua_tostring(L, 4) : "?";
    if (strcmp(name, "n") == 0) {
      n = lua_isinteger(L, 5) ? lua_tointeger(L, 5) : -1;
      if (n < 0 || n > MAX_ITEMS)
        luaL_error(L, "pg.array: n must be a count");
    } else if (strcmp(name, "type") == 0) {
      const pg_type *type = NULL;
      if (lua_type(L, 5) == LUA_TSTRING)
        type = pg_type_named(lua_tostring(L, 5));
      if (type == NULL || type->from_text == array_from_text)
        luaL_error(L, "pg.array: unknown type '%s'",
                   luaL_tolstring(L, 5, NULL));
      lua_setfield(L, 3, "type");
    } else if (strcmp(name, "lower") == 0) {
      take_lower(L, 5);
      lua_setfield(L, 3, "lower");
    } else {
      luaL_error(L, "pg.array: unknown option '%s'; it has n, type and lower",
                 name);
    }
  }
  return n;
}

static int l_array_new(lua_State *L) {
  lua_Integer n;

  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  if (lua_getmetatable(L, 1)) {
    luaL_argcheck(L, pg_class_of(L, 1) == PG_ARRAY, 1,
                  "the table has a metatable of its own");
    lua_pop(L, 1);
  }
  if (lua_isnil(L, 2)) {
    pg_class_push(L, PG_ARRAY);
  } else {
    luaL_checktype(L, 2, LUA_TTABLE);
    push_own_meta(L);
    if ((n = take_options(L)) >= 0) {
      lua_pushinteger(L, n);
      lua_setfield(L, 1, "n");
    }
  }
  lua_setmetatable(L, 1);
  lua_settop(L, 1);
  return 1;
}

void array_values_open(lua_State *L) {
  pg_class_define(L, PG_ARRAY, "pg.array");
  lua_pop(L, 1);
  lua_pushcfunction(L, l_array_new);
  lua_setfield(L, -2, "array");
}
