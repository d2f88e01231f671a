/*
** park.h -- waiting. Every task that waits for anything waits here.
** Knows tasks and their scopes; does not know what is waited for.
*/
#ifndef core_park_h
#define core_park_h

#include "core/rt.h"
#include "run/co.h"

/* First line of every function that may wait: the running task, or raises
** (kind not_in_task, or the task's cancellation). `what` is the call as the
** user wrote it. */
task *park_enter(lua_State *L, const char *what);
/* The first half of it: no checkpoint. */
task *park_may_wait(lua_State *L, const char *what);

/* Suspend; `return park(...)`. k runs in the task when it is woken, with
** (L, w->rc, (lua_KContext)w); not when the task was cancelled. */
int park(lua_State *L, task *t, neap_wait *w, const neap_op *op,
         lua_KFunction k);

/* Wake with `n` values already pushed on the waiter's state. */
void park_wake_with(neap_wait *w, int rc, int nvalues);

/* The task parked on w, directly or by a choice (select.c). */
task *park_task(neap_wait *w);
/* Its state, to take from or push to. */
static inline lua_State *park_state(neap_wait *w) { return park_task(w)->L; }
/* Index on park_state(w) of the item that a waiting putter offers. */
int park_item(neap_wait *w);

/* The time limit of a wait of the core is up (t->timer): undo it, wake with
** NEAP_ETIMEDOUT. */
void park_timed_out(task *t);

/* `return park_finish(L, n)`: an operation that did not have to wait. */
int park_finish(lua_State *L, int nresults);
/* `return park_yield(L, t, nresults)`: once through the queue in any case. */
int park_yield(lua_State *L, task *t, int nresults);

/* Cancel the wait of a task, if it is parked and the wait can be undone. */
void park_interrupt(task *t);

#define VALUES_MAX 60000 /* that park_wake_with can carry */

/* Milliseconds since the task was parked. */
unsigned park_age_ms(const task *t);

/* Queue of waits, embedded in primitives. */
static inline node *wait_node(neap_wait *w) { return (node *)(void *)w; }
static inline neap_wait *wait_of(node *n) { return (neap_wait *)(void *)n; }

/* abort for waits that stand in a list: leave the list. O(1). */
int park_abort_listed(neap_wait *w);

/* Put an end to a park without resuming: the task is given up. */
void park_abandon(task *t);

#endif
