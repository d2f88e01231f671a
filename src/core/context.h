/*
** context.h -- task-locals: values that a task hands down to what it spawns.
*/
#ifndef core_context_h
#define core_context_h

#include "core/rt.h"

/* The task that is about to take slot i starts with the values of the one
** that runs in L. Only when rt.r_ctx is set. */
void context_inherit(lua_State *L, rt *r, unsigned i);

/* The task in slot i has ended. Allocates nothing. */
void context_forget(lua_State *L, rt *r, unsigned i);

void context_open(lua_State *L, rt *r);

#endif
