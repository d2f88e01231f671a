/*
** dump.c -- what runs and what it waits for, as text and as counters.
*/
#include <uv.h>

#include "core/dump.h"
#include "core/park.h"
#include "core/task.h"

#define DEPTH_MAX 64

static void add_task(lua_State *L, luaL_Buffer *b, rt *r, task *t, int depth);

static void add_scope(lua_State *L, luaL_Buffer *b, rt *r, scope *s,
                      int depth) {
  LIST_EACH(n, &s->children)
    add_task(L, b, r, container_of(n, task, sibling), depth);
}

static void add_inner(lua_State *L, luaL_Buffer *b, rt *r, task *t, scope *s,
                      int depth) {
  if (s == t->owner) return;
  add_inner(L, b, r, t, s->parent, depth); /* the outermost first */
  add_scope(L, b, r, s, depth);
}

static void indent(luaL_Buffer *b, int depth) {
  while (depth-- > 0) luaL_addlstring(b, "  ", 2);
}

static void add_task(lua_State *L, luaL_Buffer *b, rt *r, task *t, int depth) {
  int64_t deadline = INT64_MAX;
  const scope *s;
  char line[160];

  if (depth > DEPTH_MAX) return;
  indent(b, depth);
  task_push(L, t); /* above the buffer's own slot */
  if (lua_isuserdata(L, -1)) {
    lx_ref(L, r->r_names);
    lua_pushvalue(L, -2);
    if (lua_rawget(L, -2) == LUA_TNIL) {
      lua_pop(L, 1);
      lua_getiuservalue(L, -2, 2);
      lx_push_site(L, -1);
      lua_remove(L, -2);
    }
    lua_remove(L, -2);
    lua_remove(L, -2);
  } else
    lua_pop(L, 1), lua_pushliteral(L, "?");
  luaL_addvalue(b);
  snprintf(line, sizeof line, " #%u %s", t->anchor, task_state_name(t));
  luaL_addstring(b, line);
  if (t->at != NULL && t->at->op != NULL) {
    snprintf(line, sizeof line, " in %s for %.3f s", t->at->op->name,
             (double)park_age_ms(t) / 1e3);
    luaL_addstring(b, line);
  }
  for (s = t->current; s != NULL; s = s->parent) {
    if (s->deadline < deadline) deadline = s->deadline;
    if (s->kind == SCOPE_SHIELD) break;
  }
  if (deadline != INT64_MAX) {
    snprintf(line, sizeof line, ", deadline in %.3f s",
             (double)(deadline - loop_now(&r->loop)) / 1e9);
    luaL_addstring(b, line);
  }
  if (t->current->cause != NULL) luaL_addstring(b, ", cancelled");
  luaL_addchar(b, '\n');
  add_inner(L, b, r, t, t->current, depth + 1);
}

void dump_push(lua_State *L, rt *r) {
  luaL_Buffer b;

  luaL_checkstack(L, 3 * DEPTH_MAX, NULL);
  luaL_buffinit(L, &b);
  if (r->root.r != NULL) add_scope(L, &b, r, &r->root, 0);
  if (r->ground.r != NULL && !list_empty(&r->ground.children)) {
    luaL_addstring(&b, "background\n");
    add_scope(L, &b, r, &r->ground, 1);
  }
  luaL_pushresult(&b);
}

static int l_dump(lua_State *L) {
  dump_push(L, rt_of(L));
  return 1;
}

static void set(lua_State *L, const char *key, lua_Integer n) {
  lua_pushinteger(L, n);
  lua_setfield(L, -2, key);
}

static int l_stats(lua_State *L) {
  rt *r = rt_of(L);

  lua_createtable(L, 0, 9);
  set(L, "tasks", r->live);
  set(L, "spawned", r->spawned);
  set(L, "failed", r->failed);
  set(L, "timers", (lua_Integer)r->loop.deadlines.n);
  set(L, "handles", r->loop.handles);
  set(L, "pending", r->loop.counted);
  set(L, "switches", (lua_Integer)r->loop.switches);
  set(L, "polls", (lua_Integer)r->loop.polls);
  set(L, "idle_coroutines", r->idle_n);
  return 1;
}

static const luaL_Reg functions[] = {{"dump", l_dump},
                                     {"stats", l_stats},
                                     {NULL, NULL}};

void dump_open(lua_State *L, rt *r) { lx_functions(L, r, functions); }
