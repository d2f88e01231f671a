/*
** scope.h -- structured concurrency: who owns whom, cancellation, deadlines.
** Lua's view of scopes (neap.scope, timeout, shield ...) is in scopes.c.
*/
#ifndef core_scope_h
#define core_scope_h

#include "core/rt.h"

#define STALE "a cancellation was raised outside of the scope it belongs to"

extern const neap_op op_join; /* waiting for the children of a scope */

void scope_init(scope *s, rt *r, scope *parent, task *body, int kind);

/* The userdata on top holds a scope that t is about to enter: keep it as long
** as t->current may lead there, whatever becomes of the stack. The chain goes
** from user value 1 of the task through user value 2 of each scope. Allocates
** nothing. */
void scope_anchor(lua_State *L, task *t);

/* The scope that owns what `t` spawns now; makes the task's own if needed. */
scope *scope_for_spawn(lua_State *L, task *t);
/* The task's implicit scope, made if needed. NULL: out of memory. */
scope *scope_of_task(task *t);

/* "explicit", "deadline" ...: why a cancelled scope is cancelled. */
const char *scope_source_name(const scope *s);

/* --- cancel.c --- */

/* S4: its children are not cancelled before its body has ended. */
static inline int scope_is_serving(const scope *s) {
  return s->on_exit_cancel && !s->closing;
}
/* Mark all that `cause` reaches from s on, and end its waits. */
void scope_propagate(scope *s, scope *cause);
void scope_on_deadline(neap_timer *t);

/* Cancel everything inside. Plain C: callable from the loop. Idempotent;
** returns 1 if it had an effect. */
int scope_cancel(scope *s, int source);
/* Keep the reason (value at idx) with the scope, before cancelling it. */
void scope_keep_reason(lua_State *L, scope *s, int idx);

int64_t scope_deadline(const scope *s); /* effective */
/* 0 or NEAP_ENOMEM. Expires at once if the time has passed. */
int scope_set_deadline(scope *s, int64_t when);

const char *scope_source_name(const scope *s); /* of its cancellation */
/* Raise the cancellation that reaches t. Never returns. */
int scope_raise(lua_State *L, task *t);
/* Is the value at idx a cancellation object? Of which open scope, or NULL. */
int scope_is_cancellation(lua_State *L, rt *r, int idx, scope **of);
/* Is `of` a cancelled scope that t is in: is its cancellation t's own? */
int scope_is_own(const task *t, const scope *of);

/* The body of s ended with the error on top: keep or convert it, cancel the
** children. Pops the error. */
void scope_body_failed(lua_State *L, scope *s);
/* A child of s failed with the error on top. Pops it. */
void scope_child_failed(lua_State *L, scope *s, task *child);
/* A child has ended: unlink it. */
void scope_child_ended(scope *s, task *child);

/* Bounded scopes. Who waits for a place is promised one, and keeps the scope
** open; scope_promise_kept() when it has been used, or is not needed. */
int scope_is_full(const scope *s);
void scope_promise_kept(scope *s);
/* Spawn the function and nargs arguments on top into s, as `return
** scope_spawn(L, s, n, k)`: waits while s is full, and k calls
** scope_spawn_promised() with the same values on top. */
int scope_spawn(lua_State *L, scope *s, int nargs, lua_KFunction k);
int scope_spawn_promised(lua_State *L, scope *s, int nargs, int status);

/* Must the body wait for children? Then `return park(L, t, &t->wait, &op_join,
** k)`. Adopts scopes that a memory error left open inside s. */
int scope_must_join(lua_State *L, task *t, scope *s);

/* Leave the scopes that are open inside s without their ends having run: what
** they own goes to s. */
void scope_leave_to(lua_State *L, task *t, scope *s);
/* End s without its end having run: what it owns goes to `heir`. */
void scope_dissolve(lua_State *L, scope *s, scope *heir);

/* Objects that were left open in the body of s (iterators, streams) are closed
** when it has ended, before its children are waited for. Push the function
** and its argument and return 1, or return 0. */
int scope_push_closers(lua_State *L, scope *s);
/* The object at idx belongs to s, weakly. */
void scope_add_closer(lua_State *L, scope *s, int idx);
/* The listener at idx is removed when s has ended with all its children. */
void scope_add_listener(lua_State *L, scope *s, int idx);

/* End of s, all children gone: unlink it from the body's chain. Pushes the
** error to raise and returns 1, or returns 0. */
int scope_close(lua_State *L, task *t, scope *s);

/* Close s without a body: run's own two scopes. */
void scope_forget(lua_State *L, scope *s);

void scope_report_swallowed(lua_State *L, task *t);
void scope_open(lua_State *L, rt *r);

#endif
