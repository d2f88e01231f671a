/*
** args.c -- see args.h.
*/
#include "pg/args.h"

#include <limits.h>
#include <string.h>

#include "neap.h"

#define KEEP_BYTES 65536u /* a buffer above this is not kept */

void args_fini(args *a) {
  buf_fini(&a->bytes);
  base_free(a->cells);
  memset(a, 0, sizeof *a);
}

void args_reset(args *a) {
  buf_reset(&a->bytes);
  a->n = a->sets = 0;
}

void args_shrink(args *a) {
  if (a->bytes.cap > KEEP_BYTES || (size_t)a->cap * sizeof(cell) > KEEP_BYTES)
    args_fini(a);
}

static void no_memory(lua_State *L) { luaL_error(L, "not enough memory"); }

static void room_for(lua_State *L, args *a, int n) {
  cell *cells;
  int cap = a->cap ? a->cap : 8;

  if (n > INT_MAX / 4 - a->n) no_memory(L);
  while (cap < a->n + n) cap *= 2;
  if (cap == a->cap) return;
  if ((cells = base_realloc(a->cells, (size_t)cap * sizeof *cells)) == NULL)
    no_memory(L);
  a->cells = cells;
  a->cap = cap;
}

typedef struct place {
  const char *what;
  int row; /* 0: there are no rows */
} place;

static int complain(lua_State *L, const place *at, const char *why) {
  if (at->row > 0)
    lua_pushfstring(L, "%s: row %d: %s", at->what, at->row, why);
  else
    lua_pushfstring(L, "%s: %s", at->what, why);
  return neap_raise(L, "invalid", NULL, lua_tostring(L, -1));
}

static void refuse(lua_State *L, const place *at, int nth, const pg_type *t,
                   const char *why) {
  if (t != NULL)
    lua_pushfstring(L, "parameter $%d (%s): %s", nth, t->name, why);
  else
    lua_pushfstring(L, "parameter $%d: %s", nth, why);
  complain(L, at, lua_tostring(L, -1));
}

static void add_one(lua_State *L, args *a, const pg_type *type, int idx, int nth,
                    const place *where) {
  cell *c = &a->cells[a->n];
  const char *why;
  size_t at = a->bytes.len;

  c->at = at;
  c->format = 0;
  if (lua_isnoneornil(L, idx) || neap_->is_null(L, idx)) {
    c->len = -1;
  } else {
    if ((why = pg_put(L, idx, type, &a->bytes, &c->format)) != NULL)
      refuse(L, where, nth, type, why);
    if (a->bytes.len - at > INT_MAX / 2)
      refuse(L, where, nth, type, "the value is larger than 1 GB");
    c->len = (int)(a->bytes.len - at);
    buf_byte(&a->bytes, '\0'); /* libpq measures texts by their NUL */
    if (a->bytes.failed) no_memory(L);
    if (c->format == 0 && memchr(a->bytes.data + at, '\0', (size_t)c->len))
      refuse(L, where, nth, type, "a text may not contain a zero byte");
  }
  a->n++;
}

void args_add(lua_State *L, args *a, const stmt *s, int first, int n,
              const char *what, int row) {
  place where = {what, row};
  int i;

  if (s->described && n != s->nparams)
    complain(L, &where,
             lua_pushfstring(L, "the statement takes %d parameter%s, %d given",
                             s->nparams, s->nparams == 1 ? "" : "s", n));
  if (n > 65535)
    complain(L, &where,
             lua_pushfstring(L, "a statement takes at most 65535 parameters, "
                             "%d given; send arrays instead", n));
  room_for(L, a, n);
  luaL_checkstack(L, 8, "parameters");
  for (i = 0; i < n; i++)
    add_one(L, a, s->described ? s->takes[i] : NULL, first + i, i + 1, &where);
  a->sets++;
}
