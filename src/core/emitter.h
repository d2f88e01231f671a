/*
** emitter.h -- events: named lists of listeners that run at once and cannot
** harm one another. Shared by listeners.c (who listens) and emitter.c (what
** happens). User value 1 of an emitter is its table of events.
**
** E1  events[name] is a record whose user value 1 is an array of listeners in
**     calling order. The array is never changed in place: an emit works on
**     the one it found. A listener removed meanwhile carries `removed`.
** E2  A record that has neither listeners nor waiters is dropped; if a waiter
**     was cancelled, when so many records have been made that it pays to look.
*/
#ifndef core_emitter_h
#define core_emitter_h

#include "core/lx.h"

enum errors_mode { ERRORS_RAISE, ERRORS_COLLECT, ERRORS_REPORT };

typedef struct emitter {
  unsigned max_listeners, running;
  unsigned records, look_at; /* E2 */
  unsigned char errors, closed;
} emitter;

typedef struct record { /* what emitter knows of one event */
  list waiters, asked; /* asked: during an emit, who is yet to be asked */
  unsigned char warned;
} record;

static inline int record_idle(const record *rec) { /* but for listeners */
  return list_empty(&rec->waiters) && list_empty(&rec->asked);
}

/* User values: 1 function, 2 emitter, 3 event name. */
typedef struct listener {
  double priority;
  lua_Integer left; /* calls left, or -1 */
  unsigned char removed;
} listener;

/* All with the emitter at index 1. */
emitter *emitter_check(lua_State *L);
emitter *emitter_check_alive(lua_State *L, const char *what);
/* Event names are any values but nil and NaN. */
void emitter_check_name(lua_State *L, int idx);
/* Push the record of the event named at `name`, or nil and return NULL. */
record *emitter_push_record(lua_State *L, int name);
record *emitter_push_new_record(lua_State *L, int name);
/* The record is on top, and stays. */
void emitter_drop_record_if_idle(lua_State *L, int name, record *rec);
/* Remove from the event at index `name` each listener that is `only` (or has
** the function at `fn`, or any when both are absent); how many. */
int emitter_remove(lua_State *L, int name, listener *only, int fn);

/* Methods on, once, many, prepend, off, off_all, count: into the table on
** top; and the class of handles. */
void listeners_open(lua_State *L, rt *r);
extern const luaL_Reg listeners_methods[];

#endif
