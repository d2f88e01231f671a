/*
** lx.h -- Lua helpers: classes and their checks, registry references,
** protected calls of hooks. What lauxlib would have if it knew rt.
*/
#ifndef core_lx_h
#define core_lx_h

#include "core/rt.h"

extern const char *const lx_class_names[CLASS_MAX];

/* Register functions with the runtime as upvalue 1 into the table on top. */
void lx_functions(lua_State *L, rt *r, const luaL_Reg *fns);

/* Make the metatable of a class: methods under __index, metamethods beside.
** With `index`, __index is that function and the methods are its upvalue 2.
** Leaves nothing on the stack. */
void lx_class(lua_State *L, rt *r, enum lx_class c, const luaL_Reg *methods,
              const luaL_Reg *metas, lua_CFunction index);

/* Push a new userdata of a class, zeroed. Set its metatable last. */
void *lx_new(lua_State *L, rt *r, enum lx_class c, size_t size, int nuv);

/* The userdata of a class at idx, or an argument error. */
void *lx_check(lua_State *L, rt *r, int idx, enum lx_class c);
void *lx_test(lua_State *L, rt *r, int idx, enum lx_class c);

/* Something callable at idx, or an argument error naming it. */
void lx_check_callable(lua_State *L, int idx);
int lx_callable(lua_State *L, int idx);

/* Seconds at idx to ns; raises for NaN, and for negatives. huge is MAX. */
int64_t lx_seconds(lua_State *L, int idx, double *given);

/* For the tables that stats methods return, on top: set a field. */
static inline void lx_set(lua_State *L, const char *key, lua_Integer n) {
  lua_pushinteger(L, n);
  lua_setfield(L, -2, key);
}
static inline void lx_set_bool(lua_State *L, const char *key, int b) {
  lua_pushboolean(L, b);
  lua_setfield(L, -2, key);
}

/* Push the registry value under a reference. */
static inline void lx_ref(lua_State *L, int ref) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
}

/* Pop a table and keep it under a new reference. weak: mode or NULL. */
int lx_keep_table(lua_State *L, const char *weak);

/* neap.null: one light userdata in all modules and in every Lua state (DESIGN
** decision 24). */
void lx_push_null(lua_State *L);
int lx_is_null(lua_State *L, int idx);

/* "file.lua:12" of the function at idx, or "[C]"; pushes the string. */
void lx_push_site(lua_State *L, int idx);

#endif
