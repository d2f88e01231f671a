/*
** co.h -- stackless C coroutines: start, await, cancel. The frame and the
** macros are in neap.h; here is what drives them.
*/
#ifndef run_co_h
#define run_co_h

#include "run/loop.h"

enum co_state { CO_IDLE, CO_RUNNING, CO_PARKED, CO_QUEUED, CO_DONE };

void co_init(neap_loop *l, neap_co *co, int (*step)(neap_co *),
             const char *name);
void co_start(neap_co *co);            /* queued; runs on its own */
int co_enter(neap_co *co);             /* run to the first wait, inline */
int co_call(neap_co *co, neap_co *child);
int co_park(neap_co *co, const neap_op *op);
int co_sleep(neap_co *co, int64_t ns);
void co_cancel(neap_co *co);
void co_wake(neap_co *co, int rc);     /* called by wake() */
void co_run(neap_co *co);              /* called by the ready queue */

/* Filled in by the core: wakes any kind of waiter. */
void wait_wake(neap_wait *w, int rc);

#endif
