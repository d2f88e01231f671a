/*
** rows.c -- see rows.h. The loop over rows looks nothing up: decoders are in
** the statement's plan, and the column names lie on the stack.
*/
#include "pg/rows.h"

#include <stdlib.h>
#include <string.h>

/* Columns that fit on the C stack when there is no plan to take them from. */
#define COLUMNS_MAX 64

/* From here on the collector waits until the result is complete: it would
** walk the half-built array again and again. */
#define BIG_RESULT 1024

typedef struct reader {
  const PGresult *res;
  const column *cols;
  int ncols, nrows, binary;
} reader;

static void push_cell(lua_State *L, const reader *r, int row, int col,
                      int len) {
  const column *c = &r->cols[col];
  const char *p = PQgetvalue(r->res, row, col);

  c->decode(L, c->type, p, (size_t)len);
}

/* Bytes of a cell, -1 for NULL. libpq checks row and column each time it is
** asked for anything, so it is asked once. */
static int length_of(const reader *r, int row, int col) {
  int len = PQgetlength(r->res, row, col);

  return len == 0 && PQgetisnull(r->res, row, col) ? -1 : len;
}

/* The statement's own plan, if the result has its shape. */
static int plan_fits(const stmt *s, const PGresult *res, int binary) {
  int i, n = PQnfields(res);

  if (s == NULL || !s->described || !s->typed || n != s->ncols ||
      binary != s->binary)
    return 0;
  for (i = 0; i < n; i++)
    if (PQftype(res, i) != s->cols[i].oid) return 0;
  return 1;
}

static int no_memory(lua_State *L) {
  return luaL_error(L, "not enough memory");
}

/* 0: some type is not known. */
static int make_plan(lua_State *L, type_map *m, column *cols,
                     const PGresult *res, int binary) {
  int i, rc, all = 1, n = PQnfields(res);

  for (i = 0; i < n; i++) {
    cols[i].oid = PQftype(res, i);
    rc = type_map_find(m, cols[i].oid, &cols[i].type, NULL);
    if (rc < 0) no_memory(L);
    all &= rc;
    if (rc == 0) continue;
    cols[i].decode =
      binary ? cols[i].type->from_binary : cols[i].type->from_text;
    if (cols[i].decode == NULL)
      neap_raise(L, "stale_statement", NULL,
                 "the columns of the statement have changed meanwhile");
  }
  return all;
}

/* Records tell the types of their fields one by one. */
static int column_missing(type_map *m, const PGresult *res, int col,
                          const pg_type *type, buf *missing) {
  int row, rc, all = 1;

  for (row = 0; row < PQntuples(res); row++) {
    if (PQgetisnull(res, row, col)) continue;
    rc = record_wants(m, type, PQgetvalue(res, row, col),
                      (size_t)PQgetlength(res, row, col), missing);
    if (rc < 0) return rc;
    all &= rc;
  }
  return all;
}

static int records_known(lua_State *L, const reader *r, type_map *m) {
  int i, rc, all = 1;

  for (i = 0; r->binary && i < r->ncols; i++) {
    if (!type_has_records(r->cols[i].type)) continue;
    rc = column_missing(m, r->res, i, r->cols[i].type, NULL);
    if (rc < 0) no_memory(L);
    all &= rc;
  }
  return all;
}

int rows_missing(const query *q, buf *missing) {
  type_map *m = &q->pool->types;
  const PGresult *res = q->res;
  const pg_type *type;
  int i, rc, all = 1;

  for (i = 0; i < PQnfields(res); i++) {
    rc = type_map_find(m, PQftype(res, i), &type, missing);
    if (rc == 1 && type_has_records(type) && PQfformat(res, i) == 1)
      rc = column_missing(m, res, i, type, missing);
    if (rc < 0) return rc;
    all &= rc;
  }
  return all;
}

/* Push the ncols names. They are made once for each description. */
static void push_names(lua_State *L, const reader *r, const stmt *s, int env) {
  int i, cached = s != NULL && s->registered && s->described;

  luaL_checkstack(L, r->ncols + 8, "too many columns");
  if (cached) {
    if (lua_rawgetp(L, env, s) == LUA_TTABLE) {
      int t = lua_gettop(L), same;
      lua_rawgeti(L, t, 0);
      same = lua_tointeger(L, -1) == (lua_Integer)s->generation &&
             (int)lua_rawlen(L, t) == r->ncols;
      lua_pop(L, 1);
      if (same) {
        for (i = 1; i <= r->ncols; i++) lua_rawgeti(L, t, i);
        lua_remove(L, t);
        return;
      }
    }
    lua_pop(L, 1);
  }
  for (i = 0; i < r->ncols; i++) lua_pushstring(L, PQfname(r->res, i));
  if (!cached) return;
  lua_createtable(L, r->ncols, 1);
  for (i = 1; i <= r->ncols; i++) {
    lua_pushvalue(L, i - r->ncols - 2);
    lua_rawseti(L, -2, i);
  }
  lua_pushinteger(L, (lua_Integer)s->generation);
  lua_rawseti(L, -2, 0);
  lua_rawsetp(L, env, s);
}

/* names: stack index of the first name, or 0 for a positional row. */
static void push_row(lua_State *L, const reader *r, int row, int names,
                     int entity) {
  int i;

  if (names) {
    lua_createtable(L, 0, r->ncols);
    for (i = 0; i < r->ncols; i++) {
      int len = length_of(r, row, i);
      if (len < 0) continue;
      lua_pushvalue(L, names + i);
      push_cell(L, r, row, i, len);
      lua_rawset(L, -3);
    }
  } else {
    lua_createtable(L, r->ncols, 1);
    for (i = 0; i < r->ncols; i++) {
      int len = length_of(r, row, i);
      if (len < 0) continue;
      push_cell(L, r, row, i, len);
      lua_rawseti(L, -2, i + 1);
    }
    lua_pushinteger(L, r->ncols);
    lua_setfield(L, -2, "n");
  }
  if (entity) {
    lua_pushvalue(L, entity);
    lua_setmetatable(L, -2);
  }
}

static void set_n(lua_State *L, int n) {
  lua_pushinteger(L, n);
  lua_setfield(L, -2, "n");
}

static void push_rows(lua_State *L, const reader *r, int names, int entity) {
  int i;

  lua_createtable(L, r->nrows, 1);
  for (i = 0; i < r->nrows; i++) {
    push_row(L, r, i, names, entity);
    lua_rawseti(L, -2, i + 1);
  }
  set_n(L, r->nrows);
}

static void push_column(lua_State *L, const reader *r) {
  int i;

  lua_createtable(L, r->nrows, 1);
  for (i = 0; i < r->nrows; i++) {
    int len = length_of(r, i, 0);
    if (len < 0) continue;
    push_cell(L, r, i, 0, len);
    lua_rawseti(L, -2, i + 1);
  }
  set_n(L, r->nrows);
}

/* Arguments: reader, first name, entity (each an integer or a pointer), and
** below them on the caller's stack the values they mean. */
typedef struct big {
  const reader *r;
  int named, column;
} big;

/* Stack: the names, the entity's metatable or nil, the light userdata. */
static int push_big(lua_State *L) {
  const big *b = lua_touserdata(L, -1);
  int entity = lua_gettop(L) - 1;

  lua_pop(L, 1);
  luaL_checkstack(L, 16, "result");
  if (b->column)
    push_column(L, b->r);
  else
    push_rows(L, b->r, b->named ? 1 : 0, lua_isnil(L, entity) ? 0 : entity);
  return 1;
}

/* Protected, so that the collector is started again whatever happens. */
static void push_without_gc(lua_State *L, const reader *r, int names,
                            int entity, int whole_column) {
  big b = {r, names != 0, whole_column};
  int i, n = names ? r->ncols : 0, rc;

  luaL_checkstack(L, n + 8, "too many columns");
  lua_pushcfunction(L, push_big);
  for (i = 0; i < n; i++) lua_pushvalue(L, names + i);
  if (entity)
    lua_pushvalue(L, entity);
  else
    lua_pushnil(L);
  lua_pushlightuserdata(L, &b);
  lua_gc(L, LUA_GCSTOP);
  rc = lua_pcall(L, n + 2, 1, 0);
  lua_gc(L, LUA_GCRESTART);
  if (rc != LUA_OK) lua_error(L);
}

static int push_exec(lua_State *L, const query *q) {
  const char *n = PQcmdTuples(q->res);
  lua_Integer affected = q->args.sets > 1 ? (lua_Integer)q->affected
                         : *n ? (lua_Integer)strtoll(n, NULL, 10) : 0;

  lua_pushinteger(L, affected);
  lua_pushstring(L, PQcmdStatus(q->res));
  return 2;
}

int rows_push(lua_State *L, const query *q, const rows_want *want) {
  const PGresult *res = q->res;
  reader r;
  column few[COLUMNS_MAX], *made = few;
  int names = 0, rows, big_one;

  if (want->mode == ROWS_EXEC) return push_exec(L, q);
  r.res = res;
  r.ncols = PQnfields(res);
  r.nrows = PQntuples(res);
  r.binary = r.ncols > 0 && PQfformat(res, 0) == 1;
  rows = want->mode == ROWS_QUERY || want->mode == ROWS_COLUMN ? r.nrows
         : r.nrows > 0 ? 1 : 0;
  luaL_checkstack(L, 16, "result");
  if (plan_fits(q->stmt, res, r.binary)) {
    r.cols = q->stmt->cols;
    if (unlikely(q->stmt->records) && !records_known(L, &r, &q->pool->types))
      return ROWS_UNTYPED;
  } else {
    if (r.ncols > COLUMNS_MAX)
      made = lua_newuserdatauv(L, (size_t)r.ncols * sizeof *made, 0);
    r.cols = made;
    if (!make_plan(L, &q->pool->types, made, res, r.binary) ||
        !records_known(L, &r, &q->pool->types))
      return ROWS_UNTYPED;
  }
  if ((want->mode == ROWS_VALUE || want->mode == ROWS_ROW) && rows == 0) {
    lua_pushnil(L);
    return 1;
  }
  if (want->mode == ROWS_VALUE || want->mode == ROWS_COLUMN) {
    if (r.ncols == 0 && want->mode == ROWS_VALUE) {
      lua_pushnil(L);
      return 1;
    }
    if (r.ncols == 0) r.nrows = 0;
  }
  if (want->mode == ROWS_VALUE) {
    int len = length_of(&r, 0, 0);
    if (len < 0)
      lua_pushnil(L);
    else
      push_cell(L, &r, 0, 0, len);
    return 1;
  }
  if (want->mode != ROWS_COLUMN && !want->array && rows > 0) {
    names = lua_gettop(L) + 1;
    push_names(L, &r, r.cols == made ? NULL : q->stmt, want->env);
  }
  if (want->mode == ROWS_ROW) {
    push_row(L, &r, 0, names, want->entity);
    return 1;
  }
  big_one = r.nrows > BIG_RESULT && lua_gc(L, LUA_GCISRUNNING);
  if (big_one)
    push_without_gc(L, &r, names, want->entity, want->mode == ROWS_COLUMN);
  else if (want->mode == ROWS_COLUMN)
    push_column(L, &r);
  else
    push_rows(L, &r, names, want->entity);
  return 1;
}
