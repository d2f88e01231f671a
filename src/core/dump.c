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

#include "core/capi.h"
#include "core/chain.h"
#include "core/park.h"
#include "core/scope.h"
#include "core/see.h"
#include "core/select.h"
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

/* ORDER scope_kind */
static const char *const kinds[] = {
    "run",           "background", "task",   "scope", "timeout",
    "move_on_after", "shield",     "body",   "scope"};

static void set_string(lua_State *L, const char *key, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

static void set_number(lua_State *L, const char *key, double value) {
  lua_pushnumber(L, value);
  lua_setfield(L, -2, key);
}

static void set_deadline(lua_State *L, const walk *w, int64_t when) {
  if (when != INT64_MAX)
    set_number(L, "deadline", (double)(when - w->now) / 1e9);
}

/* --- objects --- */

void dump_push_object(lua_State *L, rt *r, int idx) {
  const char *name;

  idx = lua_absindex(L, idx);
  luaL_checkstack(L, 8, NULL);
  if ((!lua_isuserdata(L, idx) && !lua_istable(L, idx)) ||
      lua_islightuserdata(L, idx) ||
      luaL_getmetafield(L, idx, "__name") == LUA_TNIL) {
    lua_pushnil(L);
    return;
  }
  name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "object";
  if (strncmp(name, "neap.", 5) == 0) name += 5;
  lx_ref(L, r->r_ids);
  lua_pushvalue(L, idx);
  if (lua_rawget(L, -2) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_rawgeti(L, -1, 0); /* the last number given */
    lua_pushinteger(L, lua_tointeger(L, -1) + 1);
    lua_replace(L, -2);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, 0);
    lua_pushvalue(L, idx);
    lua_pushvalue(L, -2);
    lua_rawset(L, -4);
  }
  lua_pushfstring(L, "%s #%d", name, (int)lua_tointeger(L, -1));
  lua_replace(L, -4);
  lua_pop(L, 2);
}

void dump_push_stats(lua_State *L, rt *r, int idx, const list *waiting) {
  idx = lua_absindex(L, idx);
  lua_createtable(L, 0, 6);
  dump_push_object(L, r, idx);
  lua_setfield(L, -2, "id");
  if (waiting != NULL) lx_set(L, "waiting", list_count(waiting));
}

/* Set `object` and `object_name` to the value on top; pops it. A line stands
** for the object in Lua that made it. */
static void set_object(lua_State *L, rt *r) {
  if (lx_test(L, r, -1, CLASS_LINE) != NULL) {
    if (lua_getiuservalue(L, -1, 1) != LUA_TNIL)
      lua_remove(L, -2);
    else
      lua_pop(L, 1);
  }
  if (lx_test(L, r, -1, CLASS_TASK) != NULL)
    lua_pushfstring(L, "task #%d", (int)task_number(lua_touserdata(L, -1)));
  else
    dump_push_object(L, r, -1);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 2);
    return;
  }
  lua_setfield(L, -3, "object_name");
  lua_setfield(L, -2, "object");
}

/* --- entries; each is on top of the stack while it is filled --- */

static void append(lua_State *L, walk *w) {
  lua_rawseti(L, w->list, ++w->entries);
}

static void push_entry(lua_State *L, const char *kind, unsigned depth) {
  lua_createtable(L, 0, 12);
  set_string(L, "kind", kind);
  lx_set(L, "depth", depth);
}

static void set_coroutine(lua_State *L, const neap_co *co) {
  const neap_co *leaf = co;
  int n = 0;

  lua_newtable(L);
  for (; co != NULL; co = co->child) {
    lua_createtable(L, 0, 3);
    set_string(L, "name", co->name != NULL ? co->name : "?");
    if (co->file != NULL) {
      lua_pushfstring(L, "%s:%d", co->file, co->line);
      lua_setfield(L, -2, "at");
    }
    lua_rawseti(L, -2, ++n);
    leaf = co;
  }
  lua_setfield(L, -2, "coroutine");
  if (leaf->wait.who == leaf && leaf->wait.op != NULL)
    set_string(L, "op", leaf->wait.op->name);
}

static void set_wait(lua_State *L, walk *w, task *t) {
  const neap_co *co = capi_awaited(t);

  if (t->at == NULL || t->at->op == NULL) return;
  set_string(L, "op", t->at->op->name);
  set_number(L, "since", (double)park_age_ms(t) / 1e3);
  if (t->at->op == &op_join) lx_set(L, "children", t->current->live);
  if (t->timer != 0) {
    int64_t when = loop_when(&w->r->loop, t->timer);
    if (when != INT64_MAX) set_number(L, "left", (double)(when - w->now) / 1e9);
  }
  if (co != NULL) set_coroutine(L, co);
  if (t->at->op == &op_select) {
    int i, n;
    select_push_places(L, t);
    n = (int)luaL_len(L, -1);
    for (i = 1; i <= n; i++) {
      lua_rawgeti(L, -1, i);
      lua_getfield(L, -1, "object");
      lua_pushnil(L);
      lua_setfield(L, -3, "object");
      set_object(L, w->r);
      lua_pop(L, 1);
    }
    lua_setfield(L, -2, "places");
  } else if (t->at->op != &op_join && chain_push_argument(L, t, 1))
    set_object(L, w->r);
  knots_push_holders(L, t);
  lua_setfield(L, -2, "waits_for");
}

static void set_names(lua_State *L, rt *r, const task *t) {
  /* entry handle */
  lx_ref(L, r->r_names);
  lua_pushvalue(L, -2);
  if (lua_rawget(L, -2) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_pushboolean(L, 0);
  }
  lua_getiuservalue(L, -3, 2);
  lx_push_site(L, -1); /* entry handle names name fn site */
  if (lua_isstring(L, -3))
    lua_pushvalue(L, -3);
  else
    lua_pushvalue(L, -1);
  lua_setfield(L, -7, "name");
  lua_setfield(L, -6, "site");
  lua_pop(L, 3);
  see_push_birth(L, r, -1);
  lua_setfield(L, -3, "spawned");
  lua_setfield(L, -2, "task");
  lx_set(L, "id", task_number(t));
}

static void add_task(lua_State *L, walk *w, task *t, unsigned depth) {
  int64_t deadline = scope_deadline(t->current);

  push_entry(L, "task", depth);
  task_push(L, t);
  set_names(L, w->r, t);
  set_string(L, "state", task_state_name(t));
  set_number(L, "age", (double)task_age_ms(t) / 1e3);
  set_deadline(L, w, deadline);
  if (t->current->cause != NULL)
    set_string(L, "cancelled", scope_source_name(t->current->cause));
  if (t->state == TASK_WAITING) set_wait(L, w, t);
  if (w->trace && t->state < TASK_DONE) {
    chain_push_trace(L, t);
    lua_setfield(L, -2, "traceback");
  }
  append(L, w);
  w->tasks++;
}

static void add_scope(lua_State *L, walk *w, scope *s, unsigned depth) {
  push_entry(L, s->kind == SCOPE_GROUND && s->body != NULL ? "supervisor"
                                                         : kinds[s->kind],
             depth);
  if (s->name != NULL) set_string(L, "name", s->name);
  set_deadline(L, w, s->deadline);
  lx_set(L, "tasks", s->live);
  if (s->max != 0) lx_set(L, "max", s->max);
  if (s->cause != NULL)
    set_string(L, "cancelled", scope_source_name(s->cause));
  append(L, w);
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
  push_entry(L, "more", v->depth + (unsigned)is_shown(v->s));
  lx_set(L, "tasks", (lua_Integer)v->s->live - v->taken);
  append(L, w);
}

static void step(lua_State *L, walk *w) {
  level *v = &w->at[w->n - 1];
  unsigned depth = v->depth + (unsigned)is_shown(v->s);
  task *t;

  if (v->next == NULL) {
    v->next = v->s->children.head.next;
    if (is_shown(v->s)) add_scope(L, w, v->s, v->depth);
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
  add_task(L, w, t, depth);
  push_scopes(L, w, t, depth);
}

static void add_alone(lua_State *L, walk *w) {
  int n = 0;

  LIST_EACH(at, &w->r->loop.alone) {
    const neap_co *co = container_of((neap_wait *)(void *)at, neap_co, joiner);
    if (n++ == ALONE_MAX) {
      push_entry(L, "more", 0);
      append(L, w);
      return;
    }
    push_entry(L, "coroutine", 0);
    set_coroutine(L, co);
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
