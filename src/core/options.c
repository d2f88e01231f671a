/*
** options.c -- see options.h.
*/
#include "core/options.h"

#include <math.h>
#include <string.h>

#include "core/fault.h"

#define NAME_MAX_LEN 40

/* Optimal string alignment distance (Damerau 1964, restricted). */
static int distance(const char *a, const char *b) {
  int d[NAME_MAX_LEN + 1][NAME_MAX_LEN + 1];
  int n = (int)strlen(a), m = (int)strlen(b), i, j;

  if (n > NAME_MAX_LEN || m > NAME_MAX_LEN) return NAME_MAX_LEN;
  for (i = 0; i <= n; i++) d[i][0] = i;
  for (j = 0; j <= m; j++) d[0][j] = j;
  for (i = 1; i <= n; i++)
    for (j = 1; j <= m; j++) {
      int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
      if (d[i - 1][j] + 1 < best) best = d[i - 1][j] + 1;
      if (d[i][j - 1] + 1 < best) best = d[i][j - 1] + 1;
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
          d[i - 2][j - 2] + 1 < best)
        best = d[i - 2][j - 2] + 1;
      d[i][j] = best;
    }
  return d[n][m];
}

static void refuse(lua_State *L, const char *where, const char *key,
                   const char *const *names) {
  const char *near = NULL;
  int best = 4, i;

  for (i = 0; names[i] != NULL; i++) {
    int n = distance(key, names[i]);
    if (n < best && n < (int)strlen(names[i])) best = n, near = names[i];
  }
  if (near != NULL)
    fault_error(L, "invalid", "%s: unknown option '%s'; did you mean '%s'?",
                where, key, near);
  fault_error(L, "invalid", "%s: unknown option '%s'", where, key);
}

void options_check(lua_State *L, int idx, const char *where,
                   const char *const *names) {
  idx = lua_absindex(L, idx);
  lua_pushnil(L);
  while (lua_next(L, idx)) {
    int i;
    if (lua_type(L, -2) != LUA_TSTRING)
      fault_error(L, "invalid", "%s: option names must be strings, got a %s",
                  where, luaL_typename(L, -2));
    for (i = 0; names[i] != NULL; i++)
      if (strcmp(names[i], lua_tostring(L, -2)) == 0) break;
    if (names[i] == NULL) refuse(L, where, lua_tostring(L, -2), names);
    lua_pop(L, 1);
  }
}

double options_number(lua_State *L, int idx, const char *where,
                      const char *name, double def) {
  double v = def;

  if (lua_getfield(L, idx, name) == LUA_TNUMBER)
    v = lua_tonumber(L, -1);
  else if (!lua_isnil(L, -1))
    fault_error(L, "invalid", "%s: option '%s' must be a number, got a %s",
                where, name, luaL_typename(L, -1));
  if (isnan(v) || v < 0)
    fault_error(L, "invalid", "%s: option '%s' must not be negative or NaN",
                where, name);
  lua_pop(L, 1);
  return v;
}

int options_choice(lua_State *L, int idx, const char *where, const char *name,
                   const char *const *choices, int def) {
  const char *s;
  int i;

  if (lua_getfield(L, idx, name) == LUA_TNIL) return lua_pop(L, 1), def;
  s = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  for (i = 0; s != NULL && choices[i] != NULL; i++)
    if (strcmp(choices[i], s) == 0) return lua_pop(L, 1), i;
  lua_pushliteral(L, "");
  for (i = 0; choices[i] != NULL; i++) {
    lua_pushfstring(L, "%s%s'%s'", lua_tostring(L, -1), i ? " or " : "",
                    choices[i]);
    lua_remove(L, -2);
  }
  fault_error(L, "invalid", "%s: option '%s' must be %s", where, name,
              lua_tostring(L, -1));
  return def;
}
