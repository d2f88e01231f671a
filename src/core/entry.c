/*
** entry.c -- see entry.h.
*/
#include "core/entry.h"

#include <string.h>

#include "core/capi.h"
#include "core/chain.h"
#include "core/dump.h"
#include "core/park.h"
#include "core/scope.h"
#include "core/see.h"
#include "core/select.h"
#include "core/task.h"

/* ORDER scope_kind */
static const char *const kinds[] = {
    "run",           "background", "task",   "scope", "timeout",
    "move_on_after", "shield",     "body",   "scope", "emit"};

static void set_string(lua_State *L, const char *key, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

static void set_number(lua_State *L, const char *key, double value) {
  lua_pushnumber(L, value);
  lua_setfield(L, -2, key);
}

static void set_deadline(lua_State *L, int64_t when, int64_t now) {
  if (when != INT64_MAX)
    set_number(L, "deadline", (double)(when - now) / 1e9);
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

static void set_wait(lua_State *L, rt *r, task *t, int64_t now) {
  const neap_co *co = capi_awaited(t);

  if (t->at == NULL || t->at->op == NULL) return;
  set_string(L, "op", t->at->op->name);
  set_number(L, "since", (double)park_age_ms(t) / 1e3);
  if (t->at->op == &op_join) lx_set(L, "children", t->current->live);
  if (t->timer != 0) {
    int64_t when = loop_when(&r->loop, t->timer);
    if (when != INT64_MAX) set_number(L, "left", (double)(when - now) / 1e9);
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
      set_object(L, r);
      lua_pop(L, 1);
    }
    lua_setfield(L, -2, "places");
  } else if (t->at->op != &op_join && chain_push_argument(L, t, 1))
    set_object(L, r);
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

void entry_push_task(lua_State *L, task *t, unsigned depth, int64_t now,
                     int trace) {
  rt *r = t->owner->r;

  push_entry(L, "task", depth);
  task_push(L, t);
  set_names(L, r, t);
  set_string(L, "state", task_state_name(t));
  set_number(L, "age", (double)task_age_ms(t) / 1e3);
  set_deadline(L, scope_deadline(t->current), now);
  if (t->current->cause != NULL)
    set_string(L, "cancelled", scope_source_name(t->current->cause));
  if (t->state == TASK_WAITING) set_wait(L, r, t, now);
  if (trace && t->state < TASK_DONE) {
    chain_push_trace(L, t);
    lua_setfield(L, -2, "traceback");
  }
}

void entry_push_scope(lua_State *L, const scope *s, unsigned depth,
                      int64_t now) {
  push_entry(L, s->kind == SCOPE_GROUND && s->body != NULL ? "supervisor"
                                                         : kinds[s->kind],
             depth);
  if (s->name != NULL) set_string(L, "name", s->name);
  set_deadline(L, s->deadline, now);
  lx_set(L, "tasks", s->live);
  if (s->max != 0) lx_set(L, "max", s->max);
  if (s->cause != NULL)
    set_string(L, "cancelled", scope_source_name(s->cause));
}

void entry_push_coroutine(lua_State *L, const neap_co *co) {
  push_entry(L, "coroutine", 0);
  set_coroutine(L, co);
}

void entry_push_more(lua_State *L, unsigned depth, lua_Integer tasks) {
  push_entry(L, "more", depth);
  if (tasks >= 0) lx_set(L, "tasks", tasks);
}
