/*
** sync.h -- future, event, lock, semaphore. Fair: first come, first served;
** hand-off: a release gives to the head waiter before anyone else can take.
*/
#ifndef core_sync_h
#define core_sync_h

#include "core/rt.h"

/* The task that holds the lock at idx, or NULL, also for what is no lock. */
task *sync_owner(lua_State *L, rt *r, int idx);

/* The task ends while it holds locks: they break, waiters get `broken`. */
void sync_break_locks(lua_State *L, task *t);

void future_open(lua_State *L, rt *r);
void lock_open(lua_State *L, rt *r);

/* Wake every waiter in the list, in order, with rc. */
void sync_wake_all(list *waiters, int rc);

#endif
