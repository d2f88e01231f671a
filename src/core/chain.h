/*
** chain.h -- the coroutines of a task: its own, and the user's inside which it
** runs or waits. What is on their stacks, for those who look from outside.
*/
#ifndef core_chain_h
#define core_chain_h

#include "core/rt.h"

/* The coroutine that `co`, one of t's, has resumed and that t is in, or NULL. */
lua_State *chain_next(task *t, lua_State *co);

/* Push the traceback of a task that has not ended, innermost call first; nil
** if it has not begun. L may be one of its coroutines. */
void chain_push_trace(lua_State *L, task *t);

/* Push argument `i` of the C function in which t waits; 0 and nothing if it
** waits in none. */
int chain_push_argument(lua_State *L, const task *t, int i);

#endif
