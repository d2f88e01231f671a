/*
** trace.h -- the timeline of a run, as a trace file: a track for each task, C
** coroutine and pool thread, slices for steps and waits, arrows for wakes.
*/
#ifndef core_trace_h
#define core_trace_h

#include "core/rt.h"

/* 0 or an errno. */
int trace_open(rt *r, const char *path);
/* Writes what is still open, and ends the file. 0 or an errno. */
int trace_close(rt *r);
/* The errno of a failed write, once. */
int trace_failure(rt *r);

/* Whose step it is. tid 0: nobody's. */
struct trace_where {
  unsigned pid, tid;
};
typedef struct trace_frame {
  unsigned slot; /* 0: the task is not traced */
  struct trace_where outer;
} trace_frame;

/* The handle of the task stands at an index of L, for its name. Nothing is
** raised. A step that begins inside of another one ends in it, too. */
void trace_spawned(rt *r, task *t);
trace_frame trace_step_begin(lua_State *L, rt *r, task *t, int handle);
void trace_step_end(lua_State *L, rt *r, task *t, int handle,
                    trace_frame frame);
void trace_buried(lua_State *L, rt *r, task *t, int handle);
void trace_cancelled(scope *s);
void trace_poll_begin(rt *r);
void trace_poll_end(rt *r);

#endif
