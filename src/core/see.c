/*
** see.c -- see see.h. The places of the scheduler that are watched, and who
** hears of them: the user's hooks, and debug mode's births and swallowed
** cancellations.
*/
#include "core/see.h"

#include <string.h>
#include <unistd.h>

#include "core/fault.h"
#include "core/hook.h"
#include "core/park.h"
#include "core/scope.h"
#include "core/slow.h"
#include "core/task.h"
#include "core/trace.h"

/* Places in the table r_see. ORDER HOOKS: names in l_see_hook */
enum { HOOK_SPAWN = 1, HOOK_STEP, HOOK_WAIT, HOOK_DONE };

#define HOOKED_INSIDE 1u /* in rt.hooked: one of them runs */

/* --- births --- */

static int l_born(lua_State *L) { /* value, table */
  luaL_traceback(L, L, NULL, 1);
  lua_pushvalue(L, 1);
  lua_insert(L, -2);
  lua_rawset(L, 2);
  return 0;
}

void see_born(lua_State *L, rt *r, int idx) {
  idx = lua_absindex(L, idx);
  if (!lua_checkstack(L, 4)) return;
  lua_pushcfunction(L, l_born);
  lua_pushvalue(L, idx);
  lx_ref(L, r->r_born);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1); /* no memory: no site */
}

int see_push_birth(lua_State *L, rt *r, int idx) {
  idx = lua_absindex(L, idx);
  lx_ref(L, r->r_born);
  lua_pushvalue(L, idx);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  return !lua_isnil(L, -1);
}

int see_push_birth_of(lua_State *L, rt *r, const void *p) {
  luaL_checkstack(L, 6, NULL);
  lx_ref(L, r->r_born);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    if (lua_touserdata(L, -2) == p) {
      lua_replace(L, -3);
      lua_pop(L, 1);
      return 1;
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return 0;
}

static int l_leaked_report(lua_State *L) { /* rt, what, traceback or nil */
  rt *r = lua_touserdata(L, 1);
  const char *what = lua_touserdata(L, 2);

  lua_pushfstring(L, "%s was collected without having been closed", what);
  fault_push(L, "invalid", NULL, lua_tostring(L, -1));
  lua_pushvalue(L, 3);
  lua_setfield(L, -2, "traceback");
  hook_report(L, r, "leak", NULL);
  return 0;
}

void see_leaked(lua_State *L, rt *r, int idx, const char *what) {
  idx = lua_absindex(L, idx);
  if (!lua_checkstack(L, 8)) return;
  lua_pushcfunction(L, l_leaked_report);
  lua_pushlightuserdata(L, r);
  lua_pushlightuserdata(L, (void *)(uintptr_t)what);
  see_push_birth(L, r, idx);
  if (lua_pcall(L, 3, 0, 0) != LUA_OK) lua_pop(L, 1);
}

/* --- the user's hooks --- */

static int l_call_hook(lua_State *L) { /* place, table, handle, word or NULL */
  const char *word = lua_touserdata(L, 4);

  lua_settop(L, 3);
  lua_rawgeti(L, 2, lua_tointeger(L, 1));
  lua_replace(L, 2);
  if (word != NULL) lua_pushstring(L, word);
  lua_call(L, lua_gettop(L) - 2, 0);
  return 0;
}

/* Call the hook at `place` with the handle at idx and a word. What a hook does
** itself is not watched. */
static void call_hook(lua_State *L, rt *r, int place, int idx,
                      const char *word) {
  if (!(r->hooked & 1u << place) || r->hooked & HOOKED_INSIDE) return;
  if (!lua_checkstack(L, 8)) return;
  idx = lua_absindex(L, idx);
  r->hooked |= HOOKED_INSIDE;
  lua_pushcfunction(L, l_call_hook);
  lua_pushinteger(L, place);
  lx_ref(L, r->r_see);
  lua_pushvalue(L, idx);
  lua_pushlightuserdata(L, (void *)(uintptr_t)word);
  if (lua_pcall(L, 4, 0, 0) != LUA_OK) {
    hook_report(L, r, "listener", NULL);
    lua_pop(L, 1);
  }
  r->hooked &= (unsigned char)~HOOKED_INSIDE;
}

/* see_hook(name, fn or nil) */
static int l_see_hook(lua_State *L) {
  static const char *const names[] = {"on_spawn", "on_step", "on_wait",
                                      "on_done", NULL}; /* ORDER HOOKS */
  rt *r = rt_of(L);
  int place = luaL_checkoption(L, 1, NULL, names) + HOOK_SPAWN;

  lua_settop(L, 2);
  lx_ref(L, r->r_see);
  lua_pushvalue(L, 2);
  lua_rawseti(L, 3, place);
  r->hooked &= (unsigned char)~(1u << place);
  if (!lua_isnil(L, 2)) r->hooked |= (unsigned char)(1u << place);
  r->seeing &= (unsigned char)~SEE_HOOKS;
  if (r->hooked & ~HOOKED_INSIDE) r->seeing |= SEE_HOOKS;
  return 0;
}

/* --- cancellations that are swallowed --- */

/* Keep where t is told, if its end, not that of a scope inside of it, is what
** the cancellation asks for. */
static int l_raised(lua_State *L) { /* task, table */
  lua_Debug ar;
  int level, found = 0;

  task_push(L, lua_touserdata(L, 1)); /* 3 */
  lua_createtable(L, 2, 0);           /* 4 */
  for (level = 1; !found && lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    found = ar.currentline > 0;
  }
  if (found)
    lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
  else
    lua_pushliteral(L, "?");
  lua_rawseti(L, 4, 1);
  luaL_traceback(L, L, NULL, 1);
  lua_rawseti(L, 4, 2);
  lua_rawset(L, 2);
  return 0;
}

void see_raised(lua_State *L, rt *r, task *t) {
  const scope *s;

  for (s = t->current; s != t->owner; s = s->parent)
    if (s == t->current->cause && s->kind != SCOPE_TASK) return;
  if (!lua_checkstack(L, 4)) return;
  lua_pushcfunction(L, l_raised);
  lua_pushlightuserdata(L, t);
  lx_ref(L, r->r_raised);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
}

/* was_heard(): the running task did not swallow its cancellation: it failed,
** and that is kept for somebody. */
static int l_was_heard(lua_State *L) {
  rt *r = rt_of(L);
  task *t = task_of(L);

  if (!(r->seeing & SEE_DEBUG) || t == NULL) return 0;
  lx_ref(L, r->r_raised);
  task_push(L, t);
  lua_pushnil(L);
  lua_rawset(L, -3);
  return 0;
}

static int l_swallowed(lua_State *L) { /* handle, rt */
  rt *r = lua_touserdata(L, 2);

  lx_ref(L, r->r_raised);
  lua_pushvalue(L, 1);
  if (lua_rawget(L, 3) != LUA_TTABLE) return 0; /* 4 */
  lua_getfield(L, 1, "name");
  lua_rawgeti(L, 4, 1);
  lua_pushfstring(L, "task %s finished normally after it had swallowed its "
                     "cancellation at %s",
                  lua_tostring(L, 5), lua_tostring(L, 6));
  fault_push(L, "invalid", NULL, lua_tostring(L, -1));
  lua_rawgeti(L, 4, 2);
  lua_setfield(L, -2, "traceback");
  hook_report_of(L, r, "swallowed", -1, 1);
  return 0;
}

static void check_swallowed(lua_State *L, rt *r, int handle) {
  lua_pushcfunction(L, l_swallowed);
  lua_pushvalue(L, handle);
  lua_pushlightuserdata(L, r);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
}

/* --- the trace file --- */

static int l_trace_failed(lua_State *L) { /* rt, errno */
  lua_pushfstring(L, "neap.run: the trace file cannot be written, and ends "
                     "here: %s", strerror((int)lua_tointeger(L, 2)));
  fault_push(L, "io", NULL, lua_tostring(L, -1));
  hook_report(L, lua_touserdata(L, 1), "background", NULL);
  return 0;
}

static void report_trace(lua_State *L, rt *r, int error) {
  if (error == 0) return;
  lua_pushcfunction(L, l_trace_failed);
  lua_pushlightuserdata(L, r);
  lua_pushinteger(L, error);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
}

/* see_trace(path): true, or nil and why not. see_trace(nil): the end. */
static int l_see_trace(lua_State *L) {
  rt *r = rt_of(L);
  const char *path = luaL_optstring(L, 1, NULL);
  int rc;

  if (r->trace != NULL) {
    r->seeing &= (unsigned char)~SEE_TRACE;
    report_trace(L, r, trace_close(r));
  }
  if (path == NULL) return 0;
  if ((rc = trace_open(r, path)) != 0) {
    luaL_pushfail(L);
    lua_pushstring(L, strerror(rc));
    return 2;
  }
  r->seeing |= SEE_TRACE;
  lua_pushboolean(L, 1);
  return 1;
}

/* --- the watched places --- */

void see_spawned(lua_State *L, rt *r, task *t) {
  if (r->seeing & SEE_DEBUG) see_born(L, r, -1);
  if (r->seeing & SEE_TRACE) trace_spawned(r, t);
  if (r->seeing & SEE_HOOKS) call_hook(L, r, HOOK_SPAWN, -1, NULL);
}

/* How the step has ended. The task may have ended with it. */
static void after_step(lua_State *L, rt *r, task *t, int handle) {
  int ended = t->state >= TASK_DONE;

  if (r->seeing & SEE_DEBUG && t->state == TASK_DONE)
    check_swallowed(L, r, handle);
  if (!(r->seeing & SEE_HOOKS)) return;
  if (ended)
    call_hook(L, r, HOOK_DONE, handle, task_state_name(t));
  else
    call_hook(L, r, HOOK_WAIT, handle,
              t->at != NULL && t->at->op != NULL ? t->at->op->name : NULL);
}

void see_step(rt *r, task *t, lua_State *from,
              void (*step)(rt *r, task *t, lua_State *from)) {
  unsigned seeing = r->seeing; /* trace and slow do not change within a run */
  int top = lua_gettop(from);
  trace_frame traced = {0, {0, 0}};
  slow_frame timed = {0, 0, 0};

  if (t->flags & T_ABANDONED) return;
  if (!lua_checkstack(from, 20)) { /* no memory to see it with */
    step(r, t, from);
    return;
  }
  task_push(from, t); /* it may end: the handle keeps the record */
  if (r->seeing & SEE_HOOKS) call_hook(from, r, HOOK_STEP, top + 1, NULL);
  if (seeing & SEE_TRACE) traced = trace_step_begin(from, r, t, top + 1);
  if (seeing & SEE_SLOW) timed = slow_begin(r);
  step(r, t, from);
  if (seeing & SEE_SLOW) slow_end(from, r, t, top + 1, timed);
  if (seeing & SEE_TRACE) {
    trace_step_end(from, r, t, top + 1, traced);
    report_trace(from, r, trace_failure(r));
  }
  after_step(from, r, t, top + 1);
  lua_settop(from, top);
}

void see_buried(lua_State *L, rt *r, task *t) {
  if (!lua_checkstack(L, 12)) return;
  task_push(L, t);
  if (r->trace != NULL) trace_buried(L, r, t, lua_gettop(L));
  if (r->seeing & SEE_HOOKS)
    call_hook(L, r, HOOK_DONE, -1, task_state_name(t));
  lua_pop(L, 1);
}

void see_cancelled(scope *s) {
  if (s->r->trace != NULL) trace_cancelled(s);
}

int see_poll(rt *r) {
  int rc;

  if (r->trace == NULL) return loop_poll(&r->loop);
  trace_poll_begin(r);
  rc = loop_poll(&r->loop);
  trace_poll_end(r);
  return rc;
}

void see_fini(rt *r) {
  if (r->trace != NULL) trace_close(r);
  slow_fini(r);
}

static void watch(rt *r, unsigned what, int on) {
  r->seeing &= (unsigned char)~what;
  if (on) r->seeing |= (unsigned char)what;
}

/* see_debug(on) */
static int l_see_debug(lua_State *L) {
  watch(rt_of(L), SEE_DEBUG, lua_toboolean(L, 1));
  return 0;
}

/* see_slow(ms): watch for steps of more than this; nil: no more. */
static int l_see_slow(lua_State *L) {
  rt *r = rt_of(L);
  lua_Number ms = luaL_optnumber(L, 1, 0);
  int rc;

  slow_stop(r);
  watch(r, SEE_SLOW, 0);
  if (ms <= 0) return 0;
  rc = slow_start(r, ms < 1e9 ? (int64_t)(ms * 1e6) + 1 : 1000000000000000);
  if (rc < 0)
    return luaL_error(L, "neap.run: option 'slow_ms': cannot start a thread: "
                         "%s", uv_strerror(rc));
  watch(r, SEE_SLOW, 1);
  return 0;
}

/* is_terminal(file) */
static int l_is_terminal(lua_State *L) {
  const luaL_Stream *f = luaL_checkudata(L, 1, LUA_FILEHANDLE);

  lua_pushboolean(L, f->closef != NULL && isatty(fileno(f->f)));
  return 1;
}

/* born(object): in debug mode, remember where it was made. */
static int l_born_here(lua_State *L) {
  rt *r = rt_of(L);

  luaL_checkany(L, 1);
  if (r->seeing & SEE_DEBUG) see_born(L, r, 1);
  return 0;
}

/* leaked(object, what): in debug mode, report it. */
static int l_leaked(lua_State *L) {
  rt *r = rt_of(L);
  const char *what = luaL_checkstring(L, 2);

  if (r->seeing & SEE_DEBUG) see_leaked(L, r, 1, what);
  return 0;
}

/* born_at(object): the traceback, or nil. */
static int l_born_at(lua_State *L) {
  luaL_checkany(L, 1);
  see_push_birth(L, rt_of(L), 1);
  return 1;
}

static const luaL_Reg functions[] = {{"see_hook", l_see_hook},
                                     {"see_debug", l_see_debug},
                                     {"see_slow", l_see_slow},
                                     {"is_terminal", l_is_terminal},
                                     {"see_trace", l_see_trace},
                                     {"born", l_born_here},
                                     {"leaked", l_leaked},
                                     {"was_heard", l_was_heard},
                                     {"born_at", l_born_at},
                                     {NULL, NULL}};

void see_open(lua_State *L, rt *r) { lx_functions(L, r, functions); }
