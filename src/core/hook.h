/*
** hook.h -- failures that no caller hears of go here: to run's on_error, or
** to stderr. Reports when it happens, never by the collector.
*/
#ifndef core_hook_h
#define core_hook_h

#include "core/rt.h"

/* Report the error on top (left there). task may be NULL. Never raises, but
** for lack of memory. */
void hook_report(lua_State *L, rt *r, const char *what, task *t);
/* The same for the error at err and the handle of a task at who, or 0. */
void hook_report_of(lua_State *L, rt *r, const char *what, int err, int who);

#endif
