/*
** copy_row.c -- see copy_row.h. The formats are those of the manual's page on
** COPY: a signature, for each row a count and for each value a length in front
** of its bytes; or lines, values between tabs, with backslashes.
*/
#include "pg/copy_row.h"

#include <limits.h>
#include <string.h>

#include "neap.h"
#include "pg/type.h"

static const char signature[] = "PGCOPY\n\377\r\n"; /* and a NUL */
#define HEADER (sizeof signature + 8) /* flags, length of the extension */

int copy_rows_can_be_binary(const copy_rows *k, int in) {
  int i;

  for (i = 0; i < k->ncols; i++) {
    const pg_type *t = k->cols[i].type;
    if (t == NULL || (in ? t->to_binary == NULL : t->from_binary == NULL))
      return 0;
  }
  return 1;
}

static int no_memory(lua_State *L) {
  return luaL_error(L, "not enough memory");
}

/* Out to the server. */

void copy_rows_begin(copy_rows *k) {
  if (!k->binary) return;
  buf_append(&k->out, signature, sizeof signature);
  buf_u32(&k->out, 0);
  buf_u32(&k->out, 0);
}

void copy_rows_end(copy_rows *k) {
  if (k->binary) buf_u16(&k->out, 0xffff);
}

static int refuse(lua_State *L, copy_rows *k, int names, int i,
                  const char *why) {
  const struct copy_column *c = &k->cols[i];

  lua_rawgeti(L, names, i + 1);
  lua_pushfstring(L, "%s: row %I: column '%s'%s%s%s: %s", k->what,
                  (LUAI_UACINT)k->row + 1, lua_tostring(L, -1),
                  c->type ? " (" : "", c->type ? c->type->name : "",
                  c->type ? ")" : "", why);
  return neap_raise(L, "invalid", NULL, lua_tostring(L, -1));
}

static void put_binary(lua_State *L, copy_rows *k, int i, int names) {
  size_t at = k->out.len;
  const char *why;

  buf_u32(&k->out, 0); /* the length, when it is known */
  why = k->cols[i].type->to_binary(L, k->cols[i].type, lua_gettop(L), &k->out);
  if (why == pg_as_text)
    refuse(L, k, names, i,
           lua_type(L, -1) == LUA_TSTRING
             ? "a string where the first row had a value of the type"
             : "this value has a text form only, that of the first row had a "
               "binary one");
  if (why != NULL) refuse(L, k, names, i, why);
  if (k->out.failed) no_memory(L);
  if (k->out.len - at - 4 > INT_MAX / 2)
    refuse(L, k, names, i, "the value is larger than 1 GB");
  pg_set_length(&k->out, at);
}

static void escape(buf *out, const char *p, size_t len) {
  const char *end = p + len, *from = p;

  for (; p < end; p++) {
    char c = *p;
    if (c != '\\' && c != '\n' && c != '\r' && c != '\t') continue;
    buf_append(out, from, (size_t)(p - from));
    buf_byte(out, '\\');
    buf_byte(out, c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : c);
    from = p + 1;
  }
  buf_append(out, from, (size_t)(end - from));
}

static void put_text(lua_State *L, copy_rows *k, int i, int names) {
  const char *why;

  buf_reset(&k->cell);
  why = pg_put_text(L, lua_gettop(L), k->cols[i].type, &k->cell);
  if (why != NULL) refuse(L, k, names, i, why);
  if (k->cell.failed) no_memory(L);
  if (k->cell.len > 0 && memchr(k->cell.data, '\0', k->cell.len) != NULL)
    refuse(L, k, names, i, "a text may not contain a zero byte");
  escape(&k->out, k->cell.data, k->cell.len);
}

static int is_absent(lua_State *L) {
  return lua_isnil(L, -1) || neap_->is_null(L, -1);
}

/* Has the row more values than there are columns? */
static void check_width(lua_State *L, copy_rows *k, int idx) {
  lua_Integer n = pg_count_of(L, idx);

  if (n < 0) n = (lua_Integer)lua_rawlen(L, idx);
  if (n <= k->ncols) return;
  lua_pushfstring(L, "%s: row %I has %I values, the columns are %d", k->what,
                  (LUAI_UACINT)k->row + 1, (LUAI_UACINT)n, k->ncols);
  neap_raise(L, "invalid", NULL, lua_tostring(L, -1));
}

static void put(lua_State *L, copy_rows *k, int idx, int names) {
  int i, top = lua_gettop(L);

  if (k->binary) buf_u16(&k->out, (uint16_t)k->ncols);
  for (i = 0; i < k->ncols; i++) {
    if (!k->binary && i > 0) buf_byte(&k->out, '\t');
    lua_rawgeti(L, idx, i + 1);
    if (is_absent(L)) {
      if (k->binary) buf_u32(&k->out, 0xffffffffu);
      else buf_string(&k->out, "\\N");
    } else if (k->binary)
      put_binary(L, k, i, names);
    else
      put_text(L, k, i, names);
    lua_settop(L, top);
  }
  if (!k->binary) buf_byte(&k->out, '\n');
  if (k->out.failed) no_memory(L);
}

void copy_rows_put(lua_State *L, copy_rows *k, int idx, int names) {
  if (!lua_istable(L, idx)) {
    lua_pushfstring(L, "%s: row %I is a %s; expected a table of values",
                    k->what, (LUAI_UACINT)k->row + 1, luaL_typename(L, idx));
    neap_raise(L, "invalid", NULL, lua_tostring(L, -1));
  }
  luaL_checkstack(L, 16, "copy");
  check_width(L, k, idx);
  put(L, k, idx, names);
  k->row++;
}

int copy_rows_need_text(lua_State *L, copy_rows *k, int idx) {
  int i, yes = 0;

  if (!lua_istable(L, idx)) return 0;
  for (i = 0; i < k->ncols && !yes; i++) {
    lua_rawgeti(L, idx, i + 1);
    buf_reset(&k->cell);
    if (!is_absent(L))
      yes = k->cols[i].type->to_binary(L, k->cols[i].type, lua_gettop(L),
                                       &k->cell) == pg_as_text;
    lua_settop(L, lua_gettop(L) - 1);
  }
  return yes;
}

/* In from the server. */

static int garbage(lua_State *L, const copy_rows *k) {
  lua_pushfstring(L, "%s: row %I is not in the format that was agreed",
                  k->what, (LUAI_UACINT)k->row + 1);
  return neap_raise(L, "pg", "decode", lua_tostring(L, -1));
}

static int take_binary(lua_State *L, copy_rows *k, const char *p, size_t len) {
  const char *end = p + len;
  int i;

  if (k->row == 0 && len >= HEADER &&
      memcmp(p, signature, sizeof signature) == 0) {
    size_t skip = read_u32(p + sizeof signature + 4);
    if (skip > len - HEADER) return garbage(L, k);
    p += HEADER + skip;
    if (p == end) return 0;
  }
  if (end - p < 2) return garbage(L, k);
  if (read_u16(p) == 0xffff) return 0;
  if (read_u16(p) != k->ncols) return garbage(L, k);
  p += 2;
  lua_createtable(L, k->ncols, 1);
  for (i = 0; i < k->ncols; i++) {
    uint32_t n;
    if (end - p < 4) return garbage(L, k);
    n = read_u32(p);
    p += 4;
    if (n == 0xffffffffu) continue;
    if ((size_t)(end - p) < n) return garbage(L, k);
    k->cols[i].type->from_binary(L, k->cols[i].type, p, n);
    lua_rawseti(L, -2, i + 1);
    p += n;
  }
  return 1;
}

/* One value of a line, without its backslashes, into k->cell; p is left at
** the tab or the end of it. 0: NULL. */
static int unescape(copy_rows *k, const char **at, const char *end) {
  const char *p = *at;
  int null = end - p >= 2 && p[0] == '\\' && p[1] == 'N';

  buf_reset(&k->cell);
  for (; p < end && *p != '\t'; p++) {
    char c = *p;
    if (c == '\\' && p + 1 < end) {
      c = *++p;
      c = c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t'
        : c == 'b' ? '\b' : c == 'f' ? '\f' : c == 'v' ? '\v' : c;
    }
    buf_byte(&k->cell, c);
  }
  *at = p;
  return !null;
}

static int take_text(lua_State *L, copy_rows *k, const char *p, size_t len) {
  const char *end = p + len;
  int i;

  if (len > 0 && end[-1] == '\n') end--;
  lua_createtable(L, k->ncols, 1);
  for (i = 0; i < k->ncols; i++) {
    if (i > 0 && (p == end || *p++ != '\t')) return garbage(L, k);
    if (!unescape(k, &p, end)) continue;
    if (k->cell.failed) return no_memory(L);
    pg_push_text(L, k->cols[i].type, k->cell.data ? k->cell.data : "",
                 k->cell.len);
    lua_rawseti(L, -2, i + 1);
  }
  if (p != end) return garbage(L, k);
  return 1;
}

int copy_rows_take(lua_State *L, copy_rows *k, const char *p, size_t len) {
  luaL_checkstack(L, 16, "copy");
  if (!(k->binary ? take_binary(L, k, p, len) : take_text(L, k, p, len)))
    return 0;
  lua_pushinteger(L, k->ncols);
  lua_setfield(L, -2, "n");
  k->row++;
  return 1;
}
