/*
** dump.h -- the tree of tasks as text.
*/
#ifndef core_dump_h
#define core_dump_h

#include "core/lx.h"

void dump_push(lua_State *L, rt *r); /* pushes a string */
void dump_open(lua_State *L, rt *r);

#endif
