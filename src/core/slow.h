/*
** slow.h -- steps that take too long: a thread looks how long the running step
** has gone on, and has its stack taken while it still does.
*/
#ifndef core_slow_h
#define core_slow_h

#include "core/rt.h"

/* Watch for steps of more than `ns`. 0 or a libuv code. */
int slow_start(rt *r, int64_t ns);
void slow_stop(rt *r);
void slow_fini(rt *r); /* the Lua state ends */

typedef struct slow_frame {
  uint64_t first;
  int64_t began, inner;
} slow_frame;

/* Around a step. A slow one is reported at its end; the handle of its task
** stands at an index of L. */
slow_frame slow_begin(rt *r);
void slow_end(lua_State *L, rt *r, task *t, int handle, slow_frame f);

#endif
