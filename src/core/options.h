/*
** options.h -- option tables: an unknown key is an error that suggests the
** near name. (lua/neap/options.lua is its twin for modules in Lua.)
*/
#ifndef core_options_h
#define core_options_h

#include "core/lx.h"

/* The table at idx has only keys of `names` (NULL ends). Raises `invalid`. */
void options_check(lua_State *L, int idx, const char *where,
                   const char *const *names);

/* Fields; absent gives the default. Wrong types raise `invalid`. */
double options_number(lua_State *L, int idx, const char *where,
                      const char *name, double def);
/* Index into choices (NULL ends), or def. */
int options_choice(lua_State *L, int idx, const char *where, const char *name,
                   const char *const *choices, int def);

#endif
