/*
** dump.c -- a snapshot of the tree of tasks: a flat list in the tree's order,
** each entry with its depth. lua/neap/dump.lua makes text of it.
**
** D1  The collector rests meanwhile: a finalizer is Lua code, and could change
**     the tree. Nothing else here runs any.
** D2  No recursion: a tree may be as deep as it has tasks.
*/
#include "core/dump.h"

#include <stdio.h>
#include <string.h>

#include "core/entry.h"
#include "core/scope.h"
#include "core/task.h"

#define LIMIT 1000    /* entries, unless told otherwise */
#define ALONE_MAX 100 /* C coroutines on their own */

enum { TEXT = 3 }; /* index of the function in the table r_dump */

/* A scope whose children are being listed. */
typedef struct level {
  scope *s;
  node *next;
  unsigned depth, taken;
} level;

typedef struct walk {
  rt *r;
  level *at; /* levels; all of it Lua's memory, at index `memory` */
  size_t n, cap;
  int list, memory;
  lua_Integer entries, limit, tasks;
  unsigned share; /* of one scope */
  int trace;
  int64_t now;
} walk;

static void append(lua_State *L, walk *w) {
  lua_rawseti(L, w->list, ++w->entries);
}

/* --- the walk --- */

static void push_level(lua_State *L, walk *w, scope *s, unsigned depth) {
  if (w->n == w->cap) {
    size_t cap = w->cap ? 2 * w->cap : 64;
    level *more = lua_newuserdatauv(L, cap * sizeof *more, 0);
    if (w->n > 0) memcpy(more, w->at, w->n * sizeof *more);
    lua_replace(L, w->memory);
    w->at = more;
    w->cap = cap;
  }
  w->at[w->n].s = s;
  w->at[w->n].next = NULL; /* its own line comes first */
  w->at[w->n].depth = depth;
  w->at[w->n].taken = 0;
  w->n++;
}

static int is_shown(const scope *s) {
  return s->kind != SCOPE_TASK && s->kind != SCOPE_BODY && s->kind != SCOPE_RUN;
}

/* The scopes of t, so that the outermost is on top. */
static void push_scopes(lua_State *L, walk *w, task *t, unsigned depth) {
  unsigned d = depth + 1;
  scope *s;

  for (s = t->current; s != t->owner; s = s->parent) d += (unsigned)is_shown(s);
  for (s = t->current; s != t->owner; s = s->parent) {
    d -= (unsigned)is_shown(s);
    if (s->kind != SCOPE_BODY) push_level(L, w, s, d);
  }
}

static void add_more(lua_State *L, walk *w, const level *v) {
  entry_push_more(L, v->depth + (unsigned)is_shown(v->s),
                  (lua_Integer)v->s->live - v->taken);
  append(L, w);
}

static void step(lua_State *L, walk *w) {
  level *v = &w->at[w->n - 1];
  unsigned depth = v->depth + (unsigned)is_shown(v->s);
  task *t;

  if (v->next == NULL) {
    v->next = v->s->children.head.next;
    if (!is_shown(v->s)) return;
    entry_push_scope(L, v->s, v->depth, w->now);
    append(L, w);
    return;
  }
  if (v->next == &v->s->children.head) {
    w->n--;
    return;
  }
  if (v->taken >= w->share) {
    add_more(L, w, v);
    w->n--;
    return;
  }
  t = container_of(v->next, task, sibling);
  v->next = v->next->next;
  v->taken++;
  if (v->s->kind == SCOPE_RUN && w->r->main_task != NULL &&
      t != w->r->main_task) { /* run's own task does nothing but await main */
    w->tasks++;
    return;
  }
  entry_push_task(L, t, depth, w->now, w->trace);
  append(L, w);
  w->tasks++;
  push_scopes(L, w, t, depth);
}

static void add_alone(lua_State *L, walk *w) {
  int n = 0;

  LIST_EACH(at, &w->r->loop.alone) {
    const neap_co *co = container_of((neap_wait *)(void *)at, neap_co, joiner);
    if (n++ == ALONE_MAX) {
      entry_push_more(L, 0, -1);
      append(L, w);
      return;
    }
    entry_push_coroutine(L, co);
    append(L, w);
  }
}

/* limit, traceback, rt -> snapshot */
static int take(lua_State *L) {
  walk w;
  rt *r = lua_touserdata(L, 3);

  memset(&w, 0, sizeof w);
  w.r = r;
  w.limit = lua_tointeger(L, 1);
  w.trace = lua_toboolean(L, 2);
  w.share = r->live <= w.limit ? UINT32_MAX : (unsigned)(w.limit / 4 + 1);
  w.now = loop_now(&r->loop);
  lua_settop(L, 3);
  lua_newtable(L); /* 4: the result */
  lua_newtable(L);
  w.list = 5;
  lua_pushnil(L);
  w.memory = 6;
  luaL_checkstack(L, 40, NULL);
  if (r->ground.r != NULL && !list_empty(&r->ground.children))
    push_level(L, &w, &r->ground, 0);
  if (r->root.r != NULL) push_level(L, &w, &r->root, 0);
  while (w.n > 0 && w.entries < w.limit) step(L, &w);
  add_alone(L, &w);
  lua_settop(L, 5);
  lua_setfield(L, 4, "entries");
  lx_set(L, "tasks", r->live);
  lx_set(L, "left_out", r->live > w.tasks ? r->live - w.tasks : 0);
  knots_push(L, r);
  lua_setfield(L, 4, "deadlocks");
  return 1;
}

static void push_snapshot(lua_State *L, rt *r, lua_Integer limit, int trace) {
  int was, status;

  luaL_checkstack(L, 10, NULL);
  lua_pushcfunction(L, take);
  lua_pushinteger(L, limit);
  lua_pushboolean(L, trace);
  lua_pushlightuserdata(L, r);
  was = lua_gc(L, LUA_GCISRUNNING); /* D1 */
  if (was > 0) lua_gc(L, LUA_GCSTOP);
  status = lua_pcall(L, 3, 1, 0);
  if (was > 0) lua_gc(L, LUA_GCRESTART);
  if (status != LUA_OK) lua_error(L);
}

/* core.snapshot([limit [, traceback]]) */
static int l_snapshot(lua_State *L) {
  lua_Integer limit = luaL_optinteger(L, 1, LIMIT);

  luaL_argcheck(L, limit >= 1, 1, "a number of entries from 1 on expected");
  push_snapshot(L, rt_of(L), limit,
                lua_isnoneornil(L, 2) || lua_toboolean(L, 2));
  return 1;
}

/* core.task_id(task): its number in a dump, or nil when it has ended. */
static int l_task_id(lua_State *L) {
  unsigned id = task_number(task_check(L, 1));

  if (id == 0) return luaL_pushfail(L), 1;
  lua_pushinteger(L, id);
  return 1;
}

/* core.object_name(x): "queue #3". */
static int l_object_name(lua_State *L) {
  luaL_checkany(L, 1);
  dump_push_object(L, rt_of(L), 1);
  return 1;
}

/* --- as text --- */

static int call_text(lua_State *L) { /* rt */
  rt *r = lua_touserdata(L, 1);

  lx_ref(L, r->r_dump);
  lua_rawgeti(L, -1, TEXT);
  lua_call(L, 0, 1);
  return 1;
}

void dump_push(lua_State *L, rt *r) {
  luaL_checkstack(L, 6, NULL);
  lua_pushcfunction(L, call_text);
  lua_pushlightuserdata(L, r);
  lua_call(L, 1, 1);
}

void dump_print(lua_State *L, rt *r) {
  size_t len = 0;
  const char *text;

  r->dump_asked = 0;
  if (!lua_checkstack(L, 6)) return;
  lua_pushcfunction(L, call_text);
  lua_pushlightuserdata(L, r);
  lua_pcall(L, 1, 1, 0); /* the text, or why there is none */
  text = lua_tolstring(L, -1, &len);
  fputs("neap: what runs now:\n", stderr);
  if (text != NULL) fwrite(text, 1, len, stderr);
  if (len == 0 || text[len - 1] != '\n') fputc('\n', stderr);
  fflush(stderr);
  lua_pop(L, 1);
}

static int l_dump(lua_State *L) {
  dump_push(L, rt_of(L));
  return 1;
}

/* core.set_dumper(fn): fn() makes a snapshot into text. */
static int l_set_dumper(lua_State *L) {
  lx_check_callable(L, 1);
  lx_ref(L, rt_of(L)->r_dump);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, TEXT);
  return 0;
}

static const luaL_Reg functions[] = {{"dump", l_dump},
                                     {"snapshot", l_snapshot},
                                     {"task_id", l_task_id},
                                     {"object_name", l_object_name},
                                     {"set_dumper", l_set_dumper},
                                     {NULL, NULL}};

void stats_open(lua_State *L, rt *r); /* stats.c */

void dump_open(lua_State *L, rt *r) {
  lx_functions(L, r, functions);
  stats_open(L, r);
}
