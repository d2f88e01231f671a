/*
** fault.h -- error objects: tables with kind, code, message, cause, traceback.
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
/* Push the traceback of the error at idx, or nil. */
void fault_push_trace(lua_State *L, rt *r, int idx);
/* Push one line of text for any error value. */
const char *fault_text(lua_State *L, int idx);
/* Kind of the fault at idx, pushed as a string or nil. */
void fault_push_kind(lua_State *L, int idx);

#endif
