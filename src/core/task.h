/*
** task.h -- a Lua coroutine with an owner. The only lua_resume of the tree is
** in task.c.
*/
#ifndef core_task_h
#define core_task_h

#include "core/rt.h"

/* Pop a function and nargs arguments, push the handle of a new task owned by
** s, which stands in the ready queue. Needs ten free stack slots. */
task *task_spawn(lua_State *L, rt *r, scope *s, int nargs);
/* The same, but run it at once up to its first wait (emit). */
task *task_begin(lua_State *L, rt *r, scope *s, int nargs);

/* As task_begin, but the function stands on the stack twice. If the task ends
** well, without a wait and unseen, there is nothing of it: NULL is returned and
** nothing is pushed (light.c). */
task *task_call(lua_State *L, rt *r, scope *s, int nargs);

void task_push(lua_State *L, task *t); /* handle of a task that has not ended */
task *task_check(lua_State *L, int idx);

/* Push the results of an ended task (handle at idx); raises its error. */
int task_push_results(lua_State *L, int idx);

/* Push {ok=true, value=} or {ok=false, err=} of the ended task at idx. */
void task_push_settled(lua_State *L, int idx);

/* Whom t awaits or joins, or NULL. */
task *task_awaited_by(task *t);

/* Those who wait for the end of t. */
void task_joiner_add(task *t, neap_wait *w);
void task_joiner_leave(task *t, neap_wait *w);

/* For light.c. new_spare: push the handle of one that has a slot and a
** coroutine, and no owner. resume: the only one. k_body: the body has ended;
** stack: handle, r_anchor, message handler, results or one error. show: a light
** task is one like any other from then on; raises nothing. */
task *task_new_spare(lua_State *L, rt *r);
void task_resume(rt *r, task *t, lua_State *from);
int task_k_body(lua_State *L, int status, lua_KContext ctx);
void task_show(lua_State *L, task *t);

int task_cancel(task *t, int source); /* 1 if it had an effect, -1 no memory */

/* For giveup.c. slot_leave: its coroutine serves no more; uses two stack slots
** of L, allocates nothing. ended: wakes those who wait. */
void task_slot_leave(lua_State *L, task *t);
void task_ended(task *t, int state);
/* Its coroutine raised an error out of its base. */
void task_die(lua_State *from, task *t);

/* Give up every task that is left: never resumed again. Returns how many. */
int task_abandon_all(lua_State *L, rt *r);

/* The Lua state ends with tasks alive: free what is not Lua's. */
void task_free_scopes(lua_State *L, rt *r);

/* Counts from 1 in each Lua state; 0 when the task has ended. */
unsigned task_number(const task *t);
unsigned task_age_ms(const task *t);       /* of one that has not ended */
task *task_of_slot(const rt *r, unsigned i); /* 1 .. slot_n, or NULL */

const char *task_state_name(const task *t);
const char *task_push_name(lua_State *L, int idx); /* handle at idx */

void task_open(lua_State *L, rt *r);

#endif
