/*
** parcel.c -- see parcel.h. Written breadth first: the values, then what each
** table holds in the order of the records. So neither C nor Lua stack grows
** with the depth of the data.
*/
#include "core/parcel.h"

#include <ctype.h>
#include <string.h>

#include "core/lx.h"

/* In front of each value; T_NEXT stands for a key: one more than the last
** such key of the table. */
enum tag {
  T_NIL, T_FALSE, T_TRUE, T_INTEGER, T_FLOAT, T_SHORT, T_STRING, T_NULL,
  T_TABLE, T_NEXT, T_END
};

typedef struct record {
  uint32_t array, hash; /* entries with T_NEXT, and the others */
  uint32_t parent;      /* number of a table that refers to it, 0: a value */
  uint32_t value;       /* which value, if so */
  uint32_t is_fault;
} record;

/* The state of packing. `seen` is the index of a table that maps tables to
** their numbers and back, or 0 as long as there was none. */
typedef struct packer {
  lua_State *L;
  parcel *p;
  const char *noun;
  int seen, skip;
  enum parcel_mode mode;
  uint32_t tables;
  uint32_t in;    /* number of the table that is packed now, or 0 */
  uint32_t value; /* else the value */
} packer;

void parcel_empty(parcel *p) {
  buf_fini(&p->bytes);
  buf_fini(&p->tables);
}

static record *record_of(const parcel *p, uint32_t number) {
  return (record *)(void *)p->tables.data + (number - 1);
}

static void put_u32(buf *b, uint32_t v) { buf_append(b, &v, sizeof v); }

static void put_string(buf *b, const char *s, size_t len) {
  if (len < 256) {
    buf_byte(b, T_SHORT);
    buf_byte(b, (char)len);
  } else {
    buf_byte(b, T_STRING);
    buf_append(b, &len, sizeof len);
  }
  buf_append(b, s, len);
}

int parcel_text(parcel *p, const char *s, size_t len) {
  buf_reset(&p->bytes);
  buf_reset(&p->tables);
  put_u32(&p->bytes, 1);
  put_string(&p->bytes, s, len);
  return !p->bytes.failed;
}

/* --- where was it? --- */

#define STEPS_MAX 8 /* of a path that are shown */

static int is_name(const char *s, size_t len) {
  size_t i;

  if (len == 0 || len > 40 || isdigit((unsigned char)*s)) return 0;
  for (i = 0; i < len; i++)
    if (!isalnum((unsigned char)s[i]) && s[i] != '_') return 0;
  return 1;
}

/* Push ".name", "[3]" or the like for the key at idx. */
static void push_step(lua_State *L, int idx) {
  size_t len;
  const char *s;

  switch (lua_type(L, idx)) {
  case LUA_TSTRING:
    s = lua_tolstring(L, idx, &len);
    if (is_name(s, len))
      lua_pushfstring(L, ".%s", s);
    else if (len > 40)
      lua_pushliteral(L, "[\"...\"]"); /* may be anything, so it is not shown */
    else
      lua_pushfstring(L, "[\"%s\"]", s);
    break;
  case LUA_TNUMBER:
    lua_pushvalue(L, idx); /* tostring would change a key in place */
    lua_pushfstring(L, "[%s]", lua_tostring(L, -1));
    lua_remove(L, -2);
    break;
  case LUA_TBOOLEAN:
    lua_pushfstring(L, "[%s]", lua_toboolean(L, idx) ? "true" : "false");
    break;
  default:
    lua_pushfstring(L, "[a %s]", luaL_typename(L, idx));
  }
}

/* Push the step that leads from table `from` to its value `number`. */
static void push_step_to(packer *k, uint32_t from, uint32_t number) {
  lua_State *L = k->L;

  lua_rawgeti(L, k->seen, from);
  lua_rawgeti(L, k->seen, number);
  lua_pushnil(L);
  while (lua_next(L, -3)) { /* from number key value */
    if (lua_rawequal(L, -1, -3)) {
      lua_pop(L, 1);
      push_step(L, lua_gettop(L));
      lua_replace(L, -4);
      lua_pop(L, 2);
      return;
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
  lua_pushliteral(L, "[a key]");
}

/* Push "argument 2.items[3]". `last` is the index of the key under which it
** was found in k->in, or 0. */
static void push_path(packer *k, int last) {
  lua_State *L = k->L;
  uint32_t at = k->in, value = k->value;
  int steps = 0, top;

  luaL_checkstack(L, STEPS_MAX + 10, NULL);
  top = lua_gettop(L);
  if (last != 0) {
    push_step(L, last);
    steps++;
  }
  while (at != 0) {
    const record *r = record_of(k->p, at);
    if (r->parent == 0)
      value = r->value;
    else if (steps < STEPS_MAX) {
      push_step_to(k, r->parent, at);
      lua_insert(L, top + 1); /* outermost first */
      steps++;
    } else if (steps == STEPS_MAX) {
      lua_pushliteral(L, "...");
      lua_insert(L, top + 1);
      steps++;
    }
    at = r->parent;
  }
  lua_concat(L, steps);
  if (steps == 0) lua_pushliteral(L, "");
  lua_pushfstring(L, "%s %d%s", k->noun, (int)value - k->skip,
                  lua_tostring(L, -1));
  lua_remove(L, -2);
}

/* Push "a function" or the like for what cannot be copied. */
static void push_what(lua_State *L, int idx) {
  int type = lua_type(L, idx);
  int named = luaL_getmetafield(L, idx, "__name");

  if (named == LUA_TSTRING) {
    lua_pushfstring(L, "a %s", lua_tostring(L, -1));
    lua_remove(L, -2);
    return;
  }
  if (named != LUA_TNIL) lua_pop(L, 1);
  if (type == LUA_TTABLE)
    lua_pushliteral(L, "a table with a metatable");
  else if (type == LUA_TTHREAD)
    lua_pushliteral(L, "a coroutine");
  else
    lua_pushfstring(L, "a %s", lua_typename(L, type));
}

static int refuse(packer *k, int idx, int key) {
  lua_State *L = k->L;

  luaL_checkstack(L, 10, NULL);
  if (idx == key) { /* the key itself */
    push_path(k, 0);
    push_what(L, idx);
    lua_pushfstring(L, "%s: cannot copy a key that is %s to another thread",
                    lua_tostring(L, -2), lua_tostring(L, -1));
  } else {
    push_path(k, key);
    push_what(L, idx);
    lua_pushfstring(L, "%s: cannot copy %s to another thread",
                    lua_tostring(L, -2), lua_tostring(L, -1));
  }
  return 0;
}

/* --- packing --- */

static int describe(packer *k, int idx) {
  size_t len;
  const char *s;

  luaL_checkstack(k->L, 4, NULL);
  s = luaL_tolstring(k->L, idx, &len);
  put_string(&k->p->bytes, s, len);
  lua_pop(k->L, 1);
  return 1;
}

static int is_fault(lua_State *L, int idx) {
  int same;

  if (!lua_getmetatable(L, idx)) return 0;
  luaL_getmetatable(L, lx_class_names[CLASS_FAULT]);
  same = lua_istable(L, -1) && lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

/* The number of the table at idx, which may be new. */
static int pack_table(packer *k, int idx, int key) {
  lua_State *L = k->L;
  uint32_t number;

  luaL_checkstack(L, 4, NULL);
  lua_pushvalue(L, idx);
  if (lua_rawget(L, k->seen) == LUA_TNUMBER) {
    number = (uint32_t)lua_tointeger(L, -1);
    lua_pop(L, 1);
  } else {
    record r = {0, 0, k->in, k->value, 0};
    lua_pop(L, 1);
    if (lua_getmetatable(L, idx)) {
      lua_pop(L, 1);
      if (!is_fault(L, idx))
        return k->mode == PARCEL_DESCRIBE ? describe(k, idx)
                                          : refuse(k, idx, key);
      r.is_fault = 1;
    }
    if (k->tables == UINT32_MAX) return luaL_error(L, "too many tables");
    number = ++k->tables;
    buf_append(&k->p->tables, &r, sizeof r);
    if (k->p->tables.failed) return luaL_error(L, "not enough memory");
    lua_pushvalue(L, idx);
    lua_pushinteger(L, number);
    lua_rawset(L, k->seen);
    lua_pushvalue(L, idx);
    lua_rawseti(L, k->seen, number);
  }
  buf_byte(&k->p->bytes, T_TABLE);
  put_u32(&k->p->bytes, number);
  return 1;
}

/* Pack the value at idx; key is where it was found, in a table, or 0. */
static int pack_value(packer *k, int idx, int key) {
  lua_State *L = k->L;
  buf *b = &k->p->bytes;

  switch (lua_type(L, idx)) {
  case LUA_TNIL: buf_byte(b, T_NIL); return 1;
  case LUA_TBOOLEAN:
    buf_byte(b, lua_toboolean(L, idx) ? T_TRUE : T_FALSE);
    return 1;
  case LUA_TNUMBER:
    if (lua_isinteger(L, idx)) {
      lua_Integer v = lua_tointeger(L, idx);
      buf_byte(b, T_INTEGER);
      buf_append(b, &v, sizeof v);
    } else {
      lua_Number v = lua_tonumber(L, idx);
      buf_byte(b, T_FLOAT);
      buf_append(b, &v, sizeof v);
    }
    return 1;
  case LUA_TSTRING: {
    size_t len;
    const char *s = lua_tolstring(L, idx, &len);
    put_string(b, s, len);
    return 1;
  }
  case LUA_TTABLE: return pack_table(k, idx, key);
  case LUA_TLIGHTUSERDATA:
    if (lx_is_null(L, idx)) {
      buf_byte(b, T_NULL);
      return 1;
    }
  }
  return k->mode == PARCEL_DESCRIBE ? describe(k, idx) : refuse(k, idx, key);
}

/* What the table of this number holds. */
static int pack_entries(packer *k, uint32_t number) {
  lua_State *L = k->L;
  uint32_t array = 0, hash = 0;
  int t, key;

  luaL_checkstack(L, 4, NULL);
  lua_rawgeti(L, k->seen, number);
  t = lua_gettop(L);
  key = t + 1;
  k->in = number;
  lua_pushnil(L);
  while (lua_next(L, t)) {
    if (lua_isinteger(L, key) && lua_tointeger(L, key) == array + 1) {
      buf_byte(&k->p->bytes, T_NEXT);
      array++;
    } else {
      if (!pack_value(k, key, key)) return 0;
      hash++;
    }
    if (!pack_value(k, key + 1, key)) return 0;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  buf_byte(&k->p->bytes, T_END);
  record_of(k->p, number)->array = array;
  record_of(k->p, number)->hash = hash;
  return 1;
}

int parcel_pack(lua_State *L, parcel *p, int first, int n, const char *noun,
                int skip, enum parcel_mode mode) {
  packer k = {L, p, noun, 0, skip, mode, 0, 0, 0};
  uint32_t number;
  int i;

  luaL_checkstack(L, 4, NULL);
  buf_reset(&p->bytes);
  buf_reset(&p->tables);
  for (i = first; i < first + n && !lua_istable(L, i); i++);
  if (i < first + n) { /* the rest of the time there is none */
    lua_newtable(L);
    k.seen = lua_gettop(L);
  }
  put_u32(&p->bytes, (uint32_t)n);
  for (i = 0; i < n; i++) {
    k.value = (uint32_t)i + 1;
    if (!pack_value(&k, first + i, 0)) return 0;
  }
  for (number = 1; number <= k.tables; number++)
    if (!pack_entries(&k, number)) return 0;
  if (p->bytes.failed) return luaL_error(L, "not enough memory");
  if (k.seen != 0) lua_remove(L, k.seen);
  return 1;
}

/* --- unpacking --- */

typedef struct reader {
  lua_State *L;
  const char *at;
  int tables; /* index of the list of all tables, or 0 */
} reader;

static void take(reader *r, void *to, size_t n) {
  memcpy(to, r->at, n);
  r->at += n;
}

static void push_value(reader *r, unsigned char tag) {
  lua_State *L = r->L;
  lua_Integer integer;
  lua_Number number;
  size_t len;
  uint32_t u;

  switch (tag) {
  case T_NIL: lua_pushnil(L); return;
  case T_FALSE: lua_pushboolean(L, 0); return;
  case T_TRUE: lua_pushboolean(L, 1); return;
  case T_INTEGER:
    take(r, &integer, sizeof integer);
    lua_pushinteger(L, integer);
    return;
  case T_FLOAT:
    take(r, &number, sizeof number);
    lua_pushnumber(L, number);
    return;
  case T_SHORT:
    len = (unsigned char)*r->at++;
    lua_pushlstring(L, r->at, len);
    r->at += len;
    return;
  case T_STRING:
    take(r, &len, sizeof len);
    lua_pushlstring(L, r->at, len);
    r->at += len;
    return;
  case T_NULL: lx_push_null(L); return;
  default:
    take(r, &u, sizeof u);
    lua_rawgeti(L, r->tables, u);
  }
}

static void fill(reader *r, lua_Integer number) {
  lua_State *L = r->L;
  lua_Integer next = 0;
  unsigned char tag;

  lua_rawgeti(L, r->tables, number);
  while ((tag = (unsigned char)*r->at++) != T_END) {
    if (tag == T_NEXT) {
      tag = (unsigned char)*r->at++;
      push_value(r, tag);
      lua_rawseti(L, -2, ++next);
    } else {
      push_value(r, tag);
      tag = (unsigned char)*r->at++;
      push_value(r, tag);
      lua_rawset(L, -3);
    }
  }
  lua_pop(L, 1);
}

static void make_tables(reader *r, const parcel *p, uint32_t count) {
  lua_State *L = r->L;
  uint32_t i;

  lua_createtable(L, (int)count, 0);
  r->tables = lua_gettop(L);
  for (i = 1; i <= count; i++) {
    const record *c = record_of(p, i);
    lua_createtable(L, (int)c->array, (int)c->hash);
    if (c->is_fault) { /* a state without neap gets a bare metatable */
      luaL_newmetatable(L, lx_class_names[CLASS_FAULT]);
      lua_setmetatable(L, -2);
    }
    lua_rawseti(L, r->tables, i);
  }
}

int parcel_unpack(lua_State *L, const parcel *p) {
  reader r = {L, p->bytes.data, 0};
  uint32_t n, i, count = (uint32_t)(p->tables.len / sizeof(record));

  take(&r, &n, sizeof n);
  luaL_checkstack(L, (int)n + 8, "too many values");
  if (count > 0) make_tables(&r, p, count);
  for (i = 0; i < n; i++) {
    unsigned char tag = (unsigned char)*r.at++;
    push_value(&r, tag);
  }
  for (i = 1; i <= count; i++) fill(&r, i);
  if (r.tables != 0) lua_remove(L, r.tables);
  return (int)n;
}
