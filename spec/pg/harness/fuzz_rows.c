/*
** fuzz_rows.c -- a fuzzer for the rows of COPY (libFuzzer; make fuzz). The
** first byte says how many columns and which format, then comes a byte for
** each column's type, then a message. What is taken and put again in binary can
** be taken again.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "base/base.h"
#include "pg/copy_row.h"

int luaopen_test_value(lua_State *L);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const pg_oid oids[] = {16,   17,   20,   21,   23,   25,   26,   114,
                              700,  701,  1042, 1043, 1082, 1083, 1114, 1184,
                              1186, 1700, 2950, 3802, 1000, 1007, 1009, 1016,
                              1231, 99999};

enum { COLS_MAX = 4 };

typedef struct trial {
  copy_rows *rows;
  char *message; /* a block of exactly len */
  size_t len;
  int put; /* what is taken now was put by ourselves */
} trial;

static int l_try(lua_State *L) {
  trial *t = lua_touserdata(L, 1);
  copy_rows *k = t->rows;
  buf own;
  int i, taken;

  lua_settop(L, 0);
  lua_newtable(L); /* 1: the names */
  for (i = 0; i < k->ncols; i++) {
    lua_pushliteral(L, "column");
    lua_rawseti(L, 1, i + 1);
  }
  if (!copy_rows_take(L, k, t->message, t->len)) return 0;
  if (lua_gettop(L) != 2 || !lua_istable(L, 2)) abort();
  copy_rows_put(L, k, 2, 1);
  own = k->out; /* freed with the trial's, whatever happens */
  t->put = k->binary; /* as text the server reads more than it writes */
  taken = copy_rows_take(L, k, own.data, own.len);
  if (!taken || lua_gettop(L) != 3) abort();
  return 0;
}

static copy_rows *new_rows(const uint8_t **data, size_t *size) {
  int i, n = 1 + (**data >> 1) % COLS_MAX, binary = **data & 1;
  copy_rows *k;

  if (*size < 1 + (size_t)n) return NULL;
  k = calloc(1, sizeof *k + (size_t)n * sizeof *k->cols);
  if (k == NULL) return NULL;
  k->what = "fuzz";
  k->ncols = n;
  for (i = 0; i < n; i++) {
    k->cols[i].oid = oids[(*data)[1 + i] % (sizeof oids / sizeof *oids)];
    k->cols[i].type = pg_type_of(k->cols[i].oid);
  }
  k->binary = binary && copy_rows_can_be_binary(k, 0) &&
              copy_rows_can_be_binary(k, 1);
  *data += 1 + n;
  *size -= 1 + (size_t)n;
  return k;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static lua_State *L;
  trial t = {0};

  if (L == NULL) {
    L = luaL_newstate();
    luaL_openlibs(L);
    luaL_requiref(L, "test.value", luaopen_test_value, 0);
    lua_settop(L, 0);
  }
  if (size == 0 || (t.rows = new_rows(&data, &size)) == NULL) return 0;
  t.len = size;
  if ((t.message = malloc(size > 0 ? size : 1)) == NULL) return 0;
  memcpy(t.message, data, size);
  lua_pushcfunction(L, l_try);
  lua_pushlightuserdata(L, &t);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK && t.put) {
    lua_getfield(L, -1, "message");
    fprintf(stderr, "what was put cannot be taken: %s\n",
            lua_isstring(L, -1) ? lua_tostring(L, -1) : "?");
    abort();
  }
  lua_settop(L, 0);
  buf_fini(&t.rows->out);
  buf_fini(&t.rows->cell);
  free(t.rows);
  free(t.message);
  return 0;
}
