/*
** fault.h -- error objects: tables with kind, code, message, cause, traceback.
** And where an error of any kind was raised.
*/
#ifndef core_fault_h
#define core_fault_h

#include "core/lx.h"

void fault_open(lua_State *L, rt *r); /* pushes the module neap.fault */

void fault_push(lua_State *L, const char *kind, const char *code,
                const char *message);
/* Raise the fault on top, with a traceback. */
int fault_raise(lua_State *L);
/* Push and raise, printf style (lua_pushfstring's formats). */
int fault_error(lua_State *L, const char *kind, const char *format, ...);

/* Message handler for every pcall of ours: gives errors that have none a
** traceback (a field of faults, the weak table r_trace for other objects). */
int fault_handler(lua_State *L);
/* Push the traceback of the error at idx, or nil. For an error without
** identity, a string, the handle of the task that raised it is at `who`, or 0. */
void fault_push_trace(lua_State *L, rt *r, int idx, int who);
/* Give the error at idx, which the running task is about to raise, the
** traceback on top; pops it. */
void fault_set_trace(lua_State *L, int idx);
/* The error on top has been raised before, by the task whose handle is at `who`
** (0: by the running one), which is about to raise it again: also without
** identity it keeps the traceback of the first time. */
void fault_again(lua_State *L, int who);
/* An error without identity goes from one task to another. */
void fault_hand_trace(lua_State *L, task *from, task *to);

/* Attach the error at `second` to the one at `err`: neap.suppressed(err). */
void fault_attach(lua_State *L, rt *r, int err, int second);
/* Push one line of text for any error value. */
const char *fault_text(lua_State *L, int idx);
/* Kind of the fault at idx, pushed as a string or nil. */
void fault_push_kind(lua_State *L, int idx);

#endif
