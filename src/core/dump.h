/*
** dump.h -- what runs and what it waits for, as it is now.
*/
#ifndef core_dump_h
#define core_dump_h

#include "core/lx.h"

/* Push the tree as text; what lua/neap/dump.lua makes of a snapshot. */
void dump_push(lua_State *L, rt *r);
/* The same to stderr: somebody has asked by a signal. Raises nothing. */
void dump_print(lua_State *L, rt *r);
/* Push "queue #3" for an object of a class: the number stays with it. Pushes
** nil for anything else. */
void dump_push_object(lua_State *L, rt *r, int idx);
/* Push the table of a stats method for the object at idx, with its `id` and
** how many stand in the line; `waiting` may be NULL. */
void dump_push_stats(lua_State *L, rt *r, int idx, const list *waiting);
void dump_open(lua_State *L, rt *r);

/* --- knots.c: tasks that wait for each other --- */

/* Push those that t waits for, as an array of handles, or nil. */
void knots_push_holders(lua_State *L, task *t);
/* Push an array of arrays of tasks, each waiting for the next one. */
void knots_push(lua_State *L, rt *r);

#endif
