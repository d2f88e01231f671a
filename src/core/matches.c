/*
** matches.c -- who hears of an event: the listeners to its name, those to a
** pattern that fits, and those to anything, merged into one list in order.
** Without the last two kinds a record is its own list, and nothing is looked
** up here.
**
** The trie of patterns is made of tables: a segment leads to the next node, 1
** to the record of the pattern that ends there, 2 says that the node is one
** of `**`.
*/
#include <stdlib.h>
#include <string.h>

#include "core/emitter.h"
#include "core/fault.h"

enum { NODE_RECORD = 1, NODE_ANY = 2 };
enum { CACHE_MAX = 1024, SEGMENTS_MAX = 64 };

/* --- segments --- */

typedef struct segments {
  const char *at, *end, *delimiter; /* at: NULL after the last */
  size_t step;
} segments;

static void segments_start(lua_State *L, segments *s, int ei, int name) {
  size_t n;

  s->at = lua_tolstring(L, name, &n);
  s->end = s->at + n;
  lua_getiuservalue(L, ei, EM_DELIMITER);
  s->delimiter = lua_tolstring(L, -1, &s->step); /* the emitter keeps it */
  lua_pop(L, 1);
}

static const char *segments_next(segments *s, size_t *n) {
  const char *from = s->at, *to;

  if (from == NULL) return NULL;
  to = memmem(from, (size_t)(s->end - from), s->delimiter, s->step);
  s->at = to ? to + s->step : NULL;
  *n = (size_t)((to ? to : s->end) - from);
  return from;
}

static int is_star(const char *p, size_t n) {
  return (n == 1 && p[0] == '*') || (n == 2 && p[0] == '*' && p[1] == '*');
}

int emitter_is_pattern(lua_State *L, emitter *e, int name) {
  segments s;
  const char *p;
  size_t n;

  if (!e->wildcard || lua_type(L, name) != LUA_TSTRING) return 0;
  p = lua_tolstring(L, name, &n);
  if (memchr(p, '*', n) == NULL) return 0;
  segments_start(L, &s, 1, name);
  while ((p = segments_next(&s, &n)) != NULL)
    if (is_star(p, n)) return 1;
  return 0;
}

/* --- the trie --- */

void emitter_add_pattern(lua_State *L, int name, int ri) {
  int top = lua_gettop(L), count = 0;
  segments s;
  const char *p;
  size_t n;

  segments_start(L, &s, 1, name);
  while (segments_next(&s, &n) != NULL)
    if (++count > SEGMENTS_MAX)
      fault_error(L, "invalid", "a pattern has at most %d segments",
                  SEGMENTS_MAX);
  if (lua_getiuservalue(L, 1, EM_TRIE) == LUA_TNIL) {
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, EM_TRIE);
    lua_replace(L, -2);
  }
  segments_start(L, &s, 1, name);
  while ((p = segments_next(&s, &n)) != NULL) { /* top + 1: the node */
    lua_pushlstring(L, p, n);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, top + 1) == LUA_TNIL) {
      lua_pop(L, 1);
      lua_newtable(L);
      if (n == 2 && is_star(p, n)) {
        lua_pushboolean(L, 1);
        lua_rawseti(L, -2, NODE_ANY);
      }
      lua_pushvalue(L, -2);
      lua_pushvalue(L, -2);
      lua_rawset(L, top + 1);
    }
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
  }
  lua_pushvalue(L, ri);
  lua_rawseti(L, top + 1, NODE_RECORD);
  lua_settop(L, top);
}

/* Is there nothing in the node on top but its mark? */
static int node_is_empty(lua_State *L) {
  int found = 0;

  lua_pushnil(L);
  while (!found && lua_next(L, -2)) {
    found = lua_type(L, -2) == LUA_TSTRING || lua_type(L, -1) == LUA_TUSERDATA;
    lua_pop(L, 1);
  }
  if (found) lua_pop(L, 1);
  return !found;
}

/* The way down stands on the stack: node, segment, node ... */
void emitter_drop_pattern(lua_State *L, int ei, int name) {
  int top = lua_gettop(L);
  segments s;
  const char *p;
  size_t n;

  if (!lua_checkstack(L, 2 * SEGMENTS_MAX + 8)) return; /* a node too many */
  lua_getiuservalue(L, ei, EM_TRIE);
  segments_start(L, &s, ei, name);
  while (lua_istable(L, -1) && (p = segments_next(&s, &n)) != NULL) {
    lua_pushlstring(L, p, n);
    lua_pushvalue(L, -1);
    lua_rawget(L, -3);
  }
  if (lua_istable(L, -1)) {
    lua_pushnil(L);
    lua_rawseti(L, -2, NODE_RECORD);
    while (lua_gettop(L) > top + 1 && node_is_empty(L)) {
      lua_pop(L, 1);
      lua_pushnil(L);
      lua_rawset(L, -3); /* of the segment */
    }
  }
  lua_settop(L, top);
}

/* Two sets of nodes, as lists at `cur` and `next`; what is in next is marked
** in the set at `seen`. */
typedef struct front {
  int seen, cur, next;
  lua_Integer ncur, nnext;
} front;

/* Put the node on top into next, and those that `**` leads to from there, for
** it may stand for nothing. Pops it. */
static void reach(lua_State *L, front *f) {
  while (lua_istable(L, -1)) {
    lua_pushvalue(L, -1);
    if (lua_rawget(L, f->seen) != LUA_TNIL) {
      lua_pop(L, 1);
      break;
    }
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_pushboolean(L, 1);
    lua_rawset(L, f->seen);
    lua_pushvalue(L, -1);
    lua_rawseti(L, f->next, ++f->nnext);
    lua_pushliteral(L, "**");
    lua_rawget(L, -2);
    lua_replace(L, -2);
  }
  lua_pop(L, 1);
}

static void advance(lua_State *L, front *f) {
  lua_pushvalue(L, f->next);
  lua_replace(L, f->cur);
  f->ncur = f->nnext;
  f->nnext = 0;
  lua_newtable(L);
  lua_replace(L, f->next);
  lua_newtable(L);
  lua_replace(L, f->seen);
}

static void step(lua_State *L, front *f, const char *p, size_t n) {
  lua_Integer i;

  advance(L, f);
  for (i = 1; i <= f->ncur; i++) {
    int at = lua_gettop(L) + 1;
    lua_rawgeti(L, f->cur, i);
    lua_pushlstring(L, p, n);
    lua_rawget(L, at);
    reach(L, f);
    lua_pushliteral(L, "*");
    lua_rawget(L, at);
    reach(L, f);
    lua_rawgeti(L, at, NODE_ANY);
    if (lua_toboolean(L, -1)) {
      lua_pushvalue(L, at);
      reach(L, f);
    }
    lua_settop(L, at - 1);
  }
}

/* Append the records of the patterns that fit the name to the list at `to`. */
static lua_Integer append_patterns(lua_State *L, int name, int to,
                                   lua_Integer have) {
  int top = lua_gettop(L);
  front f = {top + 1, top + 2, top + 3, 0, 0};
  segments s;
  const char *p;
  lua_Integer i;
  size_t n;

  lua_newtable(L);
  lua_newtable(L);
  lua_newtable(L);
  lua_getiuservalue(L, 1, EM_TRIE);
  reach(L, &f);
  segments_start(L, &s, 1, name);
  while ((p = segments_next(&s, &n)) != NULL && f.nnext > 0) step(L, &f, p, n);
  for (i = 1; i <= f.nnext; i++) {
    lua_rawgeti(L, f.next, i);
    if (lua_rawgeti(L, -1, NODE_RECORD) == LUA_TUSERDATA)
      lua_rawseti(L, to, ++have);
    lua_settop(L, f.next);
  }
  lua_settop(L, top);
  return have;
}

/* --- lists in order --- */

typedef struct key {
  double priority;
  lua_Integer order;
  unsigned at; /* in the list that is sorted */
  unsigned char any;
} key;

static int compare(const void *pa, const void *pb) {
  const key *a = pa, *b = pb;

  if (a->any != b->any) return a->any - b->any;
  if (a->priority != b->priority) return a->priority > b->priority ? -1 : 1;
  return a->order < b->order ? -1 : 1;
}

static unsigned count_listed(lua_State *L, int from) {
  lua_Integer r, records = (lua_Integer)lua_rawlen(L, from);
  unsigned total = 0;

  for (r = 1; r <= records; r++) {
    const record *rec;
    lua_rawgeti(L, from, r);
    rec = lua_touserdata(L, -1);
    total += rec->n - rec->dead;
    lua_pop(L, 1);
  }
  return total;
}

/* Copy the listeners of the records in the list at `from` to the table at `to`,
** which has room for them. */
static unsigned copy_listed(lua_State *L, int from, int to, key *keys) {
  lua_Integer r, records = (lua_Integer)lua_rawlen(L, from);
  int top = lua_gettop(L);
  unsigned n = 0, i;

  for (r = 1; r <= records; r++) {
    const record *rec;
    lua_rawgeti(L, from, r);
    rec = lua_touserdata(L, -1);
    lua_getiuservalue(L, -1, REC_ARRAY); /* top + 2 */
    for (i = 1; i <= rec->n; i++) {
      const listener *l;
      lua_rawgeti(L, top + 2, i);
      l = lua_touserdata(L, -1);
      if (l->removed) {
        lua_pop(L, 1);
        continue;
      }
      keys[n] = (key){l->priority, l->order, n + 1, rec->any};
      lua_rawseti(L, to, ++n);
    }
    lua_settop(L, top);
  }
  return n;
}

/* Push a new array of the listeners of the records in the list at `from`, those
** left out that are removed. After the last allocation, which may run
** finalizers, nothing is in the way of using what was found. */
static unsigned push_sorted(lua_State *L, int from) {
  int top = lua_gettop(L);
  unsigned total, n, i;
  key *keys;

  luaL_checkstack(L, 10, NULL);
  do {
    lua_settop(L, top);
    total = count_listed(L, from);
    keys = lua_newuserdatauv(L, (total + 1) * sizeof *keys, 0);
    lua_createtable(L, (int)total, 0); /* top + 2 */
    lua_createtable(L, (int)total, 0); /* top + 3 */
  } while (count_listed(L, from) > total);
  n = copy_listed(L, from, top + 2, keys);
  qsort(keys, n, sizeof *keys, compare);
  for (i = 0; i < n; i++) {
    lua_rawgeti(L, top + 2, keys[i].at);
    lua_rawseti(L, top + 3, i + 1);
  }
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
  return n;
}

void emitter_tidy(lua_State *L, int ri) {
  record *rec = lua_touserdata(L, ri);
  unsigned n;

  lua_createtable(L, 1, 0);
  lua_pushvalue(L, ri);
  lua_rawseti(L, -2, 1);
  n = push_sorted(L, lua_gettop(L));
  if (n > 0) {
    lua_rawgeti(L, -1, n);
    rec->lowest = ((listener *)lua_touserdata(L, -1))->priority;
    lua_pop(L, 1);
  }
  lua_setiuservalue(L, ri, REC_ARRAY);
  lua_pop(L, 1);
  rec->n = n;
  rec->dead = 0;
  rec->unsorted = 0;
}

/* --- matches --- */

void emitter_forget_matches(lua_State *L, int ei, int ri) {
  emitter *e = lua_touserdata(L, ei);
  const record *rec = lua_touserdata(L, ri);

  e->version++;
  e->hot = NULL;
  if (e->sole) { /* who is removed lets go of the function */
    lua_pushnil(L);
    lua_setiuservalue(L, ei, EM_HOT);
    e->sole = 0;
  }
  if (e->cached == 0) return;
  if (rec->pattern || rec->any) {
    lua_pushnil(L);
    lua_setiuservalue(L, ei, EM_CACHE);
    e->cached = 0;
    return;
  }
  lua_getiuservalue(L, ei, EM_CACHE);
  lua_getiuservalue(L, ri, REC_NAME);
  lua_pushvalue(L, -1);
  if (lua_rawget(L, -3) != LUA_TNIL) e->cached--;
  lua_pop(L, 1);
  lua_pushnil(L);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

static record *push_new_match(lua_State *L, emitter *e, int name) {
  record *rec = lua_newuserdatauv(L, sizeof *rec, REC_VALUES);
  int mi = lua_gettop(L);
  unsigned version = e->version;
  lua_Integer n = 0;

  memset(rec, 0, sizeof *rec);
  list_init(&rec->waiters);
  list_init(&rec->asked);
  rec->match = 1;
  lua_newtable(L); /* mi + 1: its records */
  if (emitter_push_record(L, name) != NULL)
    lua_rawseti(L, mi + 1, ++n);
  lua_settop(L, mi + 1);
  if (e->patterns > 0 && lua_type(L, name) == LUA_TSTRING)
    n = append_patterns(L, name, mi + 1, n);
  if (e->any) {
    lua_getiuservalue(L, 1, EM_ANY);
    lua_rawseti(L, mi + 1, ++n);
  }
  if (n == 0) return lua_settop(L, mi - 1), lua_pushnil(L), NULL;
  rec->n = push_sorted(L, mi + 1);
  lua_setiuservalue(L, mi, REC_ARRAY);
  lua_setiuservalue(L, mi, REC_NAME);
  if (e->cached >= CACHE_MAX || e->cached == 0) {
    lua_newtable(L);
    lua_setiuservalue(L, 1, EM_CACHE);
    e->cached = 0;
  }
  lua_getiuservalue(L, 1, EM_CACHE);
  lua_pushvalue(L, name);
  lua_pushvalue(L, mi);
  lua_rawset(L, -3);
  e->cached++;
  if (e->version != version) { /* a finalizer has changed something */
    lua_pushvalue(L, name);
    lua_pushnil(L);
    lua_rawset(L, -3);
    e->cached--;
  }
  lua_pop(L, 1);
  return rec;
}

/* The record is on top. */
static void make_hot(lua_State *L, emitter *e, record *rec) {
  lua_getiuservalue(L, -1, REC_NAME);
  e->hot_name = lua_topointer(L, -1);
  lua_pop(L, 1);
  lua_getiuservalue(L, -1, REC_ARRAY);
  e->sole = 0;
  if (rec->n == 1) {
    const listener *l;
    lua_rawgeti(L, -1, 1);
    l = lua_touserdata(L, -1);
    e->sole = !l->removed && l->left <= 0 && !l->named && !l->hidden;
    if (e->sole) {
      lua_getiuservalue(L, -1, LI_FN);
      lua_replace(L, -3);
    }
    lua_pop(L, 1);
  }
  lua_setiuservalue(L, 1, EM_HOT);
  e->hot = rec;
}

record *emitter_push_concerned(lua_State *L, emitter *e, int name) {
  record *rec;

  if (likely(e->patterns == 0 && !e->any)) {
    rec = emitter_push_record(L, name);
    if (rec != NULL && unlikely(rec->unsorted || rec->dead > rec->n / 2 + 16))
      emitter_tidy(L, lua_gettop(L));
    if (rec != NULL && lua_type(L, name) == LUA_TSTRING) make_hot(L, e, rec);
    return rec;
  }
  if (e->cached > 0) {
    lua_getiuservalue(L, 1, EM_CACHE);
    lua_pushvalue(L, name);
    lua_rawget(L, -2);
    lua_replace(L, -2);
    if ((rec = lua_touserdata(L, -1)) != NULL) return rec;
    lua_pop(L, 1);
  }
  return push_new_match(L, e, name);
}
