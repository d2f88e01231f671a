/*
** see.h -- what watches a run: hooks, debug mode, slow steps, the trace file.
** Nothing of it is called while rt.seeing is 0; that test is all it costs then.
*/
#ifndef core_see_h
#define core_see_h

#include "core/rt.h"

/* rt.seeing */
enum { SEE_HOOKS = 1, SEE_DEBUG = 2, SEE_SLOW = 4, SEE_TRACE = 8 };

/* Where a task was born, or any object (debug mode): keep the traceback of the
** running code for the value at idx. Raises nothing. */
void see_born(lua_State *L, rt *r, int idx);
/* Push that traceback, or nil, for the value at idx. */
int see_push_birth(lua_State *L, rt *r, int idx);

/* The same for a userdata; nothing is pushed when it returns 0. */
int see_push_birth_of(lua_State *L, rt *r, const void *p);
/* The value at idx, `what`, is collected although it was open: report it, with
** the place of its birth. Raises nothing. */
void see_leaked(lua_State *L, rt *r, int idx, const char *what);

/* A task has been made; its handle is on top. */
void see_spawned(lua_State *L, rt *r, task *t);
/* One step of a task, by `step`; `from` as lua_resume has it. */
void see_step(rt *r, task *t, lua_State *from,
              void (*step)(rt *r, task *t, lua_State *from));
/* The task has ended without a step of its own: it was given up. */
void see_buried(lua_State *L, rt *r, task *t);
/* A cancellation is about to be raised in t. */
void see_raised(lua_State *L, rt *r, task *t);
/* s has been cancelled. From anywhere, without Lua. */
void see_cancelled(scope *s);
/* loop_poll, watched. */
int see_poll(rt *r);

void see_open(lua_State *L, rt *r);
void see_fini(rt *r); /* the Lua state ends */

#endif
