/*
** thread.h -- neap.thread: Lua functions on the thread pool.
*/
#ifndef core_thread_h
#define core_thread_h

#include "core/rt.h"

void thread_open(lua_State *L, rt *r);
/* Does a call run now? */
int thread_busy(const rt *r);
/* Calls that run now and that wait in line, and how many may run at once. */
void thread_count(const rt *r, unsigned *running, unsigned *waiting,
                  unsigned *limit);
/* After the loop has ended: no call is in flight. */
void thread_fini(rt *r);

#endif
