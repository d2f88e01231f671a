/*
** signals.h -- SIGINT and SIGTERM during a run.
*/
#ifndef core_signals_h
#define core_signals_h

#include "core/rt.h"

void signals_open(rt *r);
/* Handlers are installed, over whatever there was but an ignored signal, and
** what there was is restored. */
void signals_start(rt *r);
void signals_stop(rt *r);

/* Hook the coroutines of the running task, from its own to the innermost, which
** alone runs: each of the others is in the call that resumed the next, its
** argument 1. */
void signals_hook_chain(rt *r, lua_Hook hook, int mask, int count);

#endif
