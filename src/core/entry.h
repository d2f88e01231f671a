/*
** entry.h -- one line of a dump as a table. All push it; `now` is the loop's
** time, from which deadlines are counted.
*/
#ifndef core_entry_h
#define core_entry_h

#include "core/rt.h"

void entry_push_task(lua_State *L, task *t, unsigned depth, int64_t now,
                     int trace);
void entry_push_scope(lua_State *L, const scope *s, unsigned depth,
                      int64_t now);
/* One in C that no task awaits. */
void entry_push_coroutine(lua_State *L, const neap_co *co);
/* Some are left out; how many tasks, or -1. */
void entry_push_more(lua_State *L, unsigned depth, lua_Integer tasks);

#endif
