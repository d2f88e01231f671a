/*
** emitter.h -- events: named lists of listeners that run at once and cannot
** harm one another. emitter.c makes and ends them, listeners.c knows who
** listens, matches.c who hears of an event, emit.c calls them.
**
** E1  A record's array grows at its end in place; any other change makes a new
**     array. An emit works on the array and the length that it found. Who is
**     removed carries `removed` and stays in the array until it is tidied.
** E2  A record that has neither listeners nor waiters is dropped; if a waiter
**     was cancelled, when so many records have been made that it pays to look.
** E3  To remove a listener allocates nothing.
** E4  The cache of matches, and `hot`, are right at any time: whatever adds to a
**     record or removes from it forgets the matches in which it may be.
*/
#ifndef core_emitter_h
#define core_emitter_h

#include "core/lx.h"

enum errors_mode { ERRORS_RAISE, ERRORS_COLLECT, ERRORS_REPORT };

/* User values of an emitter. CACHE: name -> match, or nil. TRIE: matches.c.
** LUA: a table for lua/neap/emitter.lua. HOT: the array of `hot`, or with `sole`
** what its one plain listener calls. */
enum { EM_EVENTS = 1, EM_ANY, EM_CACHE, EM_TRIE, EM_DELIMITER, EM_LUA, EM_HOT,
       EM_VALUES = EM_HOT };

typedef struct emitter {
  lua_Integer first, last; /* places given out at both ends */
  unsigned max_listeners, cap; /* cap: listeners of one emit at once, or 0 */
  unsigned live;               /* listeners */
  unsigned records, look_at;   /* E2 */
  unsigned patterns, cached;   /* records of patterns; matches in the cache */
  unsigned version;            /* of who listens to what */
  unsigned busy, run;          /* what drain waits for; in which run */
  list drainers;
  struct record *hot;          /* emitted last, tidy, its own match; or NULL */
  const void *hot_name;        /* the string in its REC_NAME */
  unsigned char errors, closed, wildcard, any; /* any: there is EM_ANY */
  unsigned char finalized, sole;
} emitter;

/* User values of a record. */
enum { REC_ARRAY = 1, REC_NAME, REC_VALUES = REC_NAME };

/* What an emitter knows of one event, of a pattern, or (a match) of one name
** for which several records count; REC_NAME is the list of those then. */
typedef struct record {
  list waiters, asked; /* asked: during an emit, who is yet to be asked */
  unsigned n, dead;    /* length of the array; removed ones in it */
  unsigned shown;      /* neither removed nor hidden */
  double lowest;       /* priority of the last */
  unsigned char warned, unsorted, pattern, any, match;
} record;

static inline int record_idle(const record *rec) { /* but for listeners */
  return list_empty(&rec->waiters) && list_empty(&rec->asked);
}

/* User values of a listener. FN: what is called. GIVEN: what the user gave, if
** that is not the same. SITE: where it was registered. */
enum { LI_FN = 1, LI_EMITTER, LI_RECORD, LI_GIVEN, LI_SITE,
       LI_VALUES = LI_SITE };

typedef struct listener {
  double priority;
  lua_Integer order; /* among those of its priority */
  lua_Integer left;  /* calls left, or -1 */
  record *rec;
  unsigned char removed, hidden, named; /* hidden: of an iterator */
} listener;

/* --- emitter.c; all with the emitter at index 1 --- */
emitter *emitter_check(lua_State *L);
emitter *emitter_check_alive(lua_State *L, const char *what);
/* Event names are any values but nil and NaN. */
void emitter_check_name(lua_State *L, int idx);
/* What is emitted: a name at 2, and no pattern. */
void emitter_check_event(lua_State *L, emitter *e, const char *what);

/* What drain waits for begins, ends. */
void emitter_begin(emitter *e, rt *r);
void emitter_end(emitter *e);

/* --- records.c --- */
/* Push the record of the event at `name`, or nil and return NULL. */
record *emitter_push_record(lua_State *L, int name);
record *emitter_push_new_record(lua_State *L, int name);
/* That of those who listen to anything. */
record *emitter_push_new_any(lua_State *L, emitter *e);
/* The record at ri goes if nobody needs it. E3 */
void emitter_drop_if_idle(lua_State *L, int ei, int ri);
/* The listener at li is registered by the function that called ours. */
void emitter_note_site(lua_State *L, int li);
void emitter_warn_leak(lua_State *L, rt *r, int ri);

/* --- listeners.c --- */
/* Remove the listener at li; 1 if it was there. E3 */
int emitter_remove(lua_State *L, int li);
/* Remove those in the table on top: their scope has ended. E3 */
void emitter_scope_ended(lua_State *L);
extern const luaL_Reg listeners_methods[], listeners_functions[];
void listeners_open(lua_State *L, rt *r);

/* --- matches.c --- */
/* Has the event at `name` a `*` or `**` among its segments? */
int emitter_is_pattern(lua_State *L, emitter *e, int name);
/* Push what the event at `name` concerns, its array tidy: a record or a match,
** or nil and return NULL. */
record *emitter_push_concerned(lua_State *L, emitter *e, int name);
/* E4. The record is at ri. */
void emitter_forget_matches(lua_State *L, int ei, int ri);
/* A new array for the record at ri: in order, without those removed. */
void emitter_tidy(lua_State *L, int ri);
/* The record at ri into the trie, and out of it (E3). */
void emitter_add_pattern(lua_State *L, int name, int ri);
void emitter_drop_pattern(lua_State *L, int ei, int name);

/* --- waiting.c --- */
/* Hand the arguments first..last to those who wait for what is at ri. */
void emitter_wake_waiters(lua_State *L, emitter *e, int ri, int first,
                          int last);
extern const luaL_Reg waiting_methods[];

/* --- emit.c, emit_sync.c --- */
/* Is s the scope of an emit of e? */
int emit_is_of(const scope *s, const emitter *e);
/* Does the call stand inside a listener of emit_sync? Pushes where that was
** defined, and the name of its event. */
int emit_sync_push_listener(lua_State *L);
extern const luaL_Reg emit_methods[], emit_functions[], emit_sync_methods[];

#endif
