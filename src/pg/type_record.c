/*
** type_record.c -- composite types and anonymous records.
**
** A composite is a table by the names of its attributes; its metatable, one
** for each type, answers to their positions as well. An anonymous record is a
** sequence with n. NULL is nil in both.
*/
#include <string.h>

#include <lauxlib.h>

#include "neap.h"
#include "pg/type.h"
#include "pg/type_map.h"

#define WIRE_NULL UINT32_C(0xFFFFFFFF)
#define FIELDS_MAX 1664 /* the server's limit of columns */

int type_has_records(const pg_type *type) {
  return type != NULL && (type->oid == 2249 || type->oid == 2287);
}

/* Reading. */

typedef struct reader {
  const char *p, *end;
} reader;

/* The next field: its type, its bytes; *n is WIRE_NULL for NULL. 0: garbage. */
static int next_field(reader *r, pg_oid *oid, const char **bytes, uint32_t *n) {
  if (r->end - r->p < 8) return 0;
  *oid = read_u32(r->p);
  *n = read_u32(r->p + 4);
  *bytes = r->p += 8;
  if (*n == WIRE_NULL) return 1;
  if (*n > (size_t)(r->end - r->p)) return 0;
  r->p += *n;
  return 1;
}

/* Number of fields, or -1. */
static int field_count(reader *r) {
  uint32_t n;

  if (r->end - r->p < 4) return -1;
  n = read_u32(r->p);
  r->p += 4;
  return n > FIELDS_MAX || n > (size_t)(r->end - r->p) / 8 ? -1 : (int)n;
}

static const pg_type *type_of_field(lua_State *L, const pg_type *type,
                                    pg_oid oid, int i) {
  const pg_type *t = type->more != NULL
                       ? type_map_known(type->more->map, oid)
                       : pg_type_of(oid);

  if (t != NULL && t->from_binary != NULL) return t;
  if (t != NULL)
    lua_pushfstring(L, "field %d of a record is of type %s, which has a text "
                       "form only; cast it to text", i, t->name);
  else
    lua_pushfstring(L, "field %d of a record is of a type that is not known "
                       "(oid %I)", i, (LUAI_UACINT)oid);
  neap_raise(L, "pg", "decode", lua_tostring(L, -1));
  return NULL;
}

static void set_n(lua_State *L, lua_Integer n) {
  lua_pushinteger(L, n);
  lua_setfield(L, -2, "n");
}

void record_from_binary(lua_State *L, const pg_type *type, const char *p,
                        size_t len) {
  reader r = {p, p + len};
  int i, n = field_count(&r);
  const char *bytes;
  uint32_t size;
  pg_oid oid;

  if (n < 0) pg_garbage(L, type, len, 0);
  luaL_checkstack(L, 8, "record");
  lua_createtable(L, n, 1);
  for (i = 1; i <= n; i++) {
    const pg_type *t;
    if (!next_field(&r, &oid, &bytes, &size)) pg_garbage(L, type, len, 0);
    if (size == WIRE_NULL) continue;
    t = type_of_field(L, type, oid, i);
    t->from_binary(L, t, bytes, size);
    lua_rawseti(L, -2, i);
  }
  if (r.p != r.end) pg_garbage(L, type, len, 0);
  set_n(L, n);
}

/* The next field of a text: 1, its text is pushed; 0: NULL; -1: garbage. */
static int next_text(lua_State *L, scan *s) {
  int rc = pg_read_quoted(L, s, ',', ')');

  if (rc == 0) lua_pop(L, 1);
  return rc;
}

/* As text a record does not tell the types of its fields: strings. */
void record_from_text(lua_State *L, const pg_type *type, const char *p,
                      size_t len) {
  scan s = {p, p + len};
  lua_Integer n = 0;
  int more;

  luaL_checkstack(L, 8, "record");
  lua_createtable(L, 4, 1);
  if (!scan_char(&s, '(')) pg_garbage(L, type, len, 1);
  if (s.end - s.p == 1 && *s.p == ')') { /* none, or one that is NULL */
    set_n(L, 0);
    return;
  }
  do {
    int rc = next_text(L, &s);
    if (rc < 0) pg_garbage(L, type, len, 1);
    n++;
    if (rc > 0) lua_rawseti(L, -2, n);
    more = scan_char(&s, ',');
  } while (more);
  if (!scan_char(&s, ')') || s.p != s.end) pg_garbage(L, type, len, 1);
  set_n(L, n);
}

/* What fields of records are made of: looked at before they are decoded, for
** a decoder cannot wait for the server. */

static int array_wants(type_map *m, const char *p, size_t len, buf *missing) {
  uint64_t items = 1;
  uint32_t i, dims;
  reader r = {p, p + len};
  int all = 1, rc;

  if (len < 12) return 1; /* the decoder will say so */
  dims = read_u32(p);
  if (dims == 0 || dims > ARRAY_DIMS || len < 12 + 8 * (size_t)dims) return 1;
  for (i = 0; i < dims; i++) items *= read_u32(p + 12 + 8 * i);
  r.p += 12 + 8 * (size_t)dims;
  for (; items > 0 && r.end - r.p >= 4; items--) {
    uint32_t n = read_u32(r.p);
    r.p += 4;
    if (n == WIRE_NULL) continue;
    if (n > (size_t)(r.end - r.p)) break;
    if ((rc = record_wants(m, &m->record, r.p, n, missing)) < 0) return rc;
    all &= rc;
    r.p += n;
  }
  return all;
}

int record_wants(type_map *m, const pg_type *type, const char *p, size_t len,
                 buf *missing) {
  reader r = {p, p + len};
  const pg_type *t;
  const char *bytes;
  int i, n, rc, all = 1;
  uint32_t size;
  pg_oid oid;

  if (type->oid == 2287) return array_wants(m, p, len, missing);
  n = field_count(&r);
  for (i = 0; i < n; i++) {
    if (!next_field(&r, &oid, &bytes, &size)) break;
    if ((rc = type_map_find(m, oid, &t, missing)) < 0) return rc;
    all &= rc;
    if (rc == 0 || size == WIRE_NULL || !type_has_records(t)) continue;
    if ((rc = record_wants(m, t, bytes, size, missing)) < 0) return rc;
    all &= rc;
  }
  return all;
}

/* Composites. */

/* t[i] is the attribute in that place. Upvalue: the names. */
static int l_composite__index(lua_State *L) {
  if (!lua_isinteger(L, 2)) return 0;
  if (lua_rawgeti(L, lua_upvalueindex(1), lua_tointeger(L, 2)) != LUA_TSTRING)
    return 0;
  lua_rawget(L, 1);
  return 1;
}

static int l_composite__len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)lua_rawlen(L, lua_upvalueindex(1)));
  return 1;
}

/* Push the metatable of the type and the names of its attributes. */
static void push_meta(lua_State *L, const pg_type *type) {
  const pg_more *more = type->more;
  int i;

  type_map_push_space(L, more->map);
  if (lua_rawgetp(L, -1, more) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_createtable(L, 1, 4);
    lua_createtable(L, more->nfields, 0);
    for (i = 0; i < more->nfields; i++) {
      lua_pushstring(L, more->fields[i].name);
      lua_rawseti(L, -2, i + 1);
    }
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, l_composite__index, 1);
    lua_setfield(L, -3, "__index");
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, l_composite__len, 1);
    lua_setfield(L, -3, "__len");
    lua_rawseti(L, -2, 1);
    lua_pushstring(L, type->name);
    lua_setfield(L, -2, "__name");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, -3, more);
  }
  lua_remove(L, -2);
  lua_rawgeti(L, -1, 1);
}

/* The bytes are of a type of this name with other attributes: somebody has
** altered it. What is known of types is out of date. */
static void changed(lua_State *L, const pg_type *type) {
  type_map_stale(type->more->map);
  lua_pushfstring(L, "the type %s has been changed meanwhile; run the "
                     "statement again", type->name);
  neap_raise(L, "stale_statement", NULL, lua_tostring(L, -1));
}

/* Stack: the metatable, the names, the value. Leaves the value alone. */
static void finish(lua_State *L) {
  lua_pushvalue(L, -3);
  lua_setmetatable(L, -2);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

void composite_from_binary(lua_State *L, const pg_type *type, const char *p,
                           size_t len) {
  const pg_more *more = type->more;
  reader r = {p, p + len};
  int i, n = field_count(&r);
  const char *bytes;
  uint32_t size;
  pg_oid oid;

  if (n < 0) pg_garbage(L, type, len, 0);
  if (n != more->nfields) changed(L, type);
  luaL_checkstack(L, 12, "composite");
  push_meta(L, type);
  lua_createtable(L, 0, n);
  for (i = 0; i < n; i++) {
    const pg_type *t = more->fields[i].type;
    if (!next_field(&r, &oid, &bytes, &size)) pg_garbage(L, type, len, 0);
    if (oid != more->fields[i].oid) changed(L, type);
    if (size == WIRE_NULL) continue;
    lua_rawgeti(L, -2, i + 1);
    t->from_binary(L, t, bytes, size);
    lua_rawset(L, -3);
  }
  if (r.p != r.end) pg_garbage(L, type, len, 0);
  finish(L);
}

void composite_from_text(lua_State *L, const pg_type *type, const char *p,
                         size_t len) {
  const pg_more *more = type->more;
  scan s = {p, p + len};
  int i, n = more->nfields;

  luaL_checkstack(L, 12, "composite");
  push_meta(L, type);
  lua_createtable(L, 0, n);
  if (!scan_char(&s, '(')) pg_garbage(L, type, len, 1);
  for (i = 0; i < n; i++) {
    const pg_type *t = more->fields[i].type;
    const char *text;
    size_t size;
    int rc;
    if (i > 0 && !scan_char(&s, ',')) break;
    if ((rc = next_text(L, &s)) < 0) pg_garbage(L, type, len, 1);
    if (rc == 0) continue;
    text = lua_tolstring(L, -1, &size);
    lua_rawgeti(L, -3, i + 1);
    t->from_text(L, t, text, size);
    lua_rawset(L, -4);
    lua_pop(L, 1);
  }
  if (i < n || (s.p < s.end && *s.p == ',')) changed(L, type);
  if (!scan_char(&s, ')') || s.p != s.end) pg_garbage(L, type, len, 1);
  finish(L);
}

/* Writing. */

static int is_null(lua_State *L, int idx) {
  return lua_isnil(L, idx) || neap_->is_null(L, idx);
}

static int has_attribute(const pg_more *more, const char *name) {
  int i;

  for (i = 0; i < more->nfields; i++)
    if (strcmp(more->fields[i].name, name) == 0) return 1;
  return 0;
}

static const char *no_attribute(lua_State *L, const pg_type *type,
                                const char *name) {
  const pg_more *more = type->more;
  luaL_Buffer b;
  int i;

  luaL_buffinit(L, &b);
  luaL_addstring(&b, type->name);
  luaL_addstring(&b, " has no attribute '");
  luaL_addstring(&b, name);
  luaL_addstring(&b, "'; it has ");
  for (i = 0; i < more->nfields; i++) {
    if (i > 0) luaL_addstring(&b, ", ");
    luaL_addstring(&b, more->fields[i].name);
  }
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}

/* Are the attributes of the table at idx given by name? NULL, or what is
** wrong with its keys. */
static const char *check_keys(lua_State *L, const pg_type *type, int idx,
                              int *by_name) {
  int positions = 0, names = 0;

  for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
    const char *name;
    if (lua_isinteger(L, -2)) {
      lua_Integer i = lua_tointeger(L, -2);
      if (i < 1 || i > type->more->nfields)
        return lua_pushfstring(L, "%s has %d attributes, there is a value at "
                               "%I", type->name, type->more->nfields,
                               (LUAI_UACINT)i);
      positions = 1;
      continue;
    }
    if (lua_type(L, -2) != LUA_TSTRING)
      return lua_pushfstring(L, "a %s is no attribute of %s",
                             luaL_typename(L, -2), type->name);
    name = lua_tostring(L, -2);
    if (has_attribute(type->more, name)) names = 1;
    else if (strcmp(name, "n") != 0) return no_attribute(L, type, name);
  }
  *by_name = !positions;
  return positions && names
           ? "its attributes are given by name and by position; choose one"
           : NULL;
}

static const char *check_table(lua_State *L, const pg_type *type, int idx,
                               int *by_name) {
  if (!lua_istable(L, idx) || neap_->is_null(L, idx))
    return lua_pushfstring(L, "expected a table for %s, got %s", type->name,
                           pg_describe(L, idx));
  luaL_checkstack(L, 12, "composite");
  return check_keys(L, type, idx, by_name);
}

static void push_attribute(lua_State *L, const pg_field *f, int idx, int i,
                           int by_name) {
  if (!by_name) {
    lua_rawgeti(L, idx, i + 1);
    return;
  }
  lua_pushstring(L, f->name);
  lua_rawget(L, idx);
}

static const char *blame(lua_State *L, const pg_field *f, const char *why) {
  return lua_pushfstring(L, "attribute '%s': %s", f->name, why);
}

const char *composite_to_binary(lua_State *L, const pg_type *type, int idx,
                                buf *out) {
  const pg_more *more = type->more;
  const char *wrong;
  int i, by_name;

  if (lua_type(L, idx) == LUA_TSTRING) return pg_as_text;
  if ((wrong = check_table(L, type, idx, &by_name)) != NULL) return wrong;
  buf_u32(out, (uint32_t)more->nfields);
  for (i = 0; i < more->nfields; i++) {
    const pg_field *f = &more->fields[i];
    size_t at;
    push_attribute(L, f, idx, i, by_name);
    buf_u32(out, f->oid);
    at = out->len;
    buf_u32(out, WIRE_NULL);
    if (!is_null(L, -1)) {
      wrong = f->type->to_binary(L, f->type, lua_gettop(L), out);
      if (wrong == pg_as_text) return wrong;
      if (wrong != NULL) return blame(L, f, wrong);
      pg_set_length(out, at);
    }
    lua_pop(L, 1);
  }
  return NULL;
}

const char *composite_to_text(lua_State *L, const pg_type *type, int idx,
                              buf *out) {
  const pg_more *more = type->more;
  const char *wrong;
  int i, by_name;

  if (lua_type(L, idx) == LUA_TSTRING) return pg_text_of(L, idx, out);
  if ((wrong = check_table(L, type, idx, &by_name)) != NULL) return wrong;
  buf_byte(out, '(');
  for (i = 0; i < more->nfields; i++) {
    const pg_field *f = &more->fields[i];
    if (i > 0) buf_byte(out, ',');
    push_attribute(L, f, idx, i, by_name);
    if (!is_null(L, -1)) {
      size_t at;
      buf_byte(out, '"');
      at = out->len;
      wrong = pg_write_text(L, f->type, lua_gettop(L), out);
      if (wrong != NULL) return blame(L, f, wrong);
      pg_escape(out, at);
      buf_byte(out, '"');
    }
    lua_pop(L, 1);
  }
  buf_byte(out, ')');
  return NULL;
}
