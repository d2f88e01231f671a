/*
** run.c -- turning the loop: from the first task to the last, deadlock, and
** giving up what is left. The order of a shutdown is policy and stands in
** lua/neap/run.lua, which runs inside the root task.
*/
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/chain.h"
#include "core/dump.h"
#include "core/fault.h"
#include "core/guest.h"
#include "core/hook.h"
#include "core/hostile.h"
#include "core/park.h"
#include "core/scope.h"
#include "core/see.h"
#include "core/signals.h"
#include "core/task.h"
#include "core/thread.h"

enum { STUCK_NO, STUCK_ONCE, STUCK_FOR_GOOD };

/* --- the loop --- */

static int l_safe_dump(lua_State *L) {
  rt *r = lua_touserdata(L, 1);

  lx_ref(L, r->r_dump);
  dump_push(L, r);
  lua_rawseti(L, 2, 1);
  lua_pushliteral(L, "deadlock: nothing can wake the tasks that wait");
  lua_rawseti(L, 2, 2);
  if (r->main_task != NULL) {
    scope *s = scope_of_task(r->main_task);
    lua_rawgeti(L, 2, 2);
    if (s != NULL) scope_keep_reason(L, s, -1);
  }
  return 0;
}

static const neap_op op_ground;

/* Nobody can ever be woken. Returns 0 when the loop must be given up. */
static int stuck(lua_State *L, rt *r) {
  if (r->shutting != SHUT_NO) { /* waiting for background tasks: enough */
    if (r->ground.waiting) {
      r->ground.waiting = 0;
      wait_wake(&r->ground.body->wait, NEAP_ETIMEDOUT);
      return 1;
    }
    return 0;
  }
  if (r->stuck != STUCK_NO || r->main_task == NULL) return 0;
  r->stuck = STUCK_ONCE;
  lua_pushcfunction(L, l_safe_dump);
  lua_pushlightuserdata(L, r);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
  return task_cancel(r->main_task, SRC_EXPLICIT) == 1;
}

static void give_up(lua_State *L, rt *r, const task *root) {
  unsigned i;

  for (i = 1; i <= r->slot_n; i++) { /* say which, before they go */
    task *t;
    lx_ref(L, r->r_anchor);
    lua_rawgeti(L, -1, i);
    t = lx_test(L, r, -1, CLASS_TASK);
    if (t != NULL && t->L != NULL && t != root &&
        (t != r->main_task || r->stuck == STUCK_NO)) { /* else in the dump */
      lua_getfield(L, -1, "name");
      lua_pushfstring(L, "the task %s was given up%s%s",
                      lua_tostring(L, -1), t->at && t->at->op ? " in " : "",
                      t->at && t->at->op ? t->at->op->name : "");
      fault_push(L, "closed", NULL, lua_tostring(L, -1));
      if (t->state == TASK_WAITING) {
        chain_push_trace(L, t);
        lua_setfield(L, -2, "traceback");
      }
      hook_report(L, r, "shutdown", t);
      lua_pop(L, 3);
    }
    lua_pop(L, 2);
  }
  task_abandon_all(L, r);
}

static int l_give_up(lua_State *L) {
  give_up(L, lua_touserdata(L, 1), lua_touserdata(L, 2));
  return 0;
}

static void turn_until_done(lua_State *L, rt *r, task *root) {
  neap_loop *l = &r->loop;

  while (root->state < TASK_DONE && !l->stop && !r->paused) {
    if (unlikely(r->dump_asked)) dump_print(L, r);
    if (r->guest != NULL) guest_turn(L, r);
    loop_drain(l);
    if (root->state >= TASK_DONE || l->stop || r->paused) break;
    if (r->guest != NULL) guest_turn(L, r);
    if (likely(r->seeing == 0) ? loop_poll(l) : see_poll(r)) continue;
    if (!stuck(L, r)) {
      r->stuck = STUCK_FOR_GOOD;
      break;
    }
  }
}

static void forget_signals(rt *r) {
  r->stuck = STUCK_NO;
  r->signal_got = r->signal_seen = r->signal_n = 0;
}

/* core.loop_begin(fn, ...): fn as the root task; its handle. Nothing runs. */
static int l_loop_begin(lua_State *L) {
  rt *r = rt_of(L);

  lx_check_callable(L, 1);
  if (r->running || task_of(L) != NULL)
    return luaL_error(L, "neap.run: already running: just call the function");
  forget_signals(r);
  r->shutting = SHUT_NO;
  r->main_task = NULL;
  r->loop.stop = 0;
  memset(&r->root, 0, sizeof r->root);
  memset(&r->ground, 0, sizeof r->ground);
  scope_init(&r->root, r, NULL, NULL, SCOPE_RUN);
  scope_init(&r->ground, r, NULL, NULL, SCOPE_GROUND);
  task_spawn(L, r, &r->root, lua_gettop(L) - 1);
  r->running = 1;
  r->runs++;
  return 1;
}

/* core.loop_turn(root): until it has ended, has called core.pause(), or must be
** given up. Returns whether it has only paused. */
static int l_loop_turn(lua_State *L) {
  rt *r = rt_of(L);
  task *root = task_check(L, 1);

  r->from = L;
  r->paused = 0;
  turn_until_done(L, r, root);
  lua_pushboolean(L, r->paused);
  r->paused = 0;
  return 1;
}

/* core.pause(): leave the loop when this turn is over; all stays as it is. */
static int l_pause(lua_State *L) {
  rt_of(L)->paused = 1;
  return 0;
}

/* core.forget_signals(): what has come, and a deadlock, were for another. */
static int l_forget_signals(lua_State *L) {
  forget_signals(rt_of(L));
  return 0;
}

/* core.loop_end(root): what is left is given up. Returns the outcome as status
** string and values: "done", ... | "failed", err | "gone". */
static int l_loop_end(lua_State *L) {
  rt *r = rt_of(L);
  task *root = task_check(L, 1);
  int status;

  r->from = L;
  if (r->guest != NULL) guest_last_turn(L, r);
  r->shutting = SHUT_CLOSED;
  if (r->live > 0) {
    lua_pushcfunction(L, l_give_up);
    lua_pushlightuserdata(L, r);
    lua_pushlightuserdata(L, root);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
  }
  r->main_task = NULL;
  scope_forget(L, &r->root);
  scope_forget(L, &r->ground);
  signals_stop(r);
  if (r->guest != NULL) guest_stop(r);
  loop_use_virtual(&r->loop, 0);
  r->loop.stop = 0;
  r->loop.shuffle = 0;
  r->running = 0;
  while (r->loop.head != NULL) loop_drain(&r->loop); /* C coroutines */
  status = root->state;
  lua_settop(L, 1);
  if (status == TASK_DONE && r->stuck != STUCK_FOR_GOOD) {
    lua_pushliteral(L, "done");
    return 1 + task_push_results(L, 1);
  }
  if (status == TASK_FAILED) {
    lua_pushliteral(L, "failed");
    lua_getiuservalue(L, 1, 1);
    return 2;
  }
  lua_pushliteral(L, "gone");
  return 1;
}

/* --- what run.lua needs inside the root task --- */

static const neap_op op_ground = {"waiting for background tasks", NULL};

static int k_ground(lua_State *L, int status, lua_KContext ctx) {
  rt *r = rt_of(L);

  (void)ctx;
  (void)status;
  timer_stop(&r->loop, &r->ground.timer);
  lua_pushboolean(L, r->ground.live == 0);
  return 1;
}

static void on_grace(neap_timer *tm) {
  scope *g = container_of(tm, scope, timer);

  if (!g->waiting) return;
  g->waiting = 0;
  wait_wake(&g->body->wait, NEAP_ETIMEDOUT);
}

/* core.wait_background(seconds): true when none is left. The limit does not
** count: with nobody able to wake them there is nothing to wait for. */
static int l_wait_background(lua_State *L) {
  int64_t ns = lx_seconds(L, 1, NULL);
  rt *r = rt_of(L);
  task *t = park_enter(L, "neap.run");

  r->shutting = SHUT_GRACE;
  if (r->ground.live == 0) return lua_pushboolean(L, 1), 1;
  r->ground.body = t;
  r->ground.waiting = 1;
  r->ground.timer.fire = on_grace;
  r->ground.timer.flags = 0;
  if (timer_start(&r->loop, &r->ground.timer, loop_after(&r->loop, ns)) < 0)
    return luaL_error(L, "not enough memory");
  t->wait.flags = 0;
  return park(L, t, &t->wait, &op_ground, k_ground);
}

static int l_cancel_background(lua_State *L) {
  rt *r = rt_of(L);

  r->ground.body = NULL; /* the chain of the root task does not meet it */
  scope_cancel(&r->ground, SRC_SHUTDOWN);
  return 0;
}

static int l_close_background(lua_State *L) {
  rt_of(L)->shutting = SHUT_CLOSED;
  return 0;
}

/* core.spawn_main(fn, ...): main stands beside the root task, so that its
** failure is its own. */
static int l_spawn_main(lua_State *L) {
  rt *r = rt_of(L);

  r->main_task = task_spawn(L, r, &r->root, lua_gettop(L) - 1);
  if (r->signal_got) task_cancel(r->main_task, SRC_SIGNAL);
  return 1;
}

/* core.spawn_beside(fn, ...): as main, beside the root task. */
static int l_spawn_beside(lua_State *L) {
  rt *r = rt_of(L);

  task_spawn(L, r, &r->root, lua_gettop(L) - 1);
  return 1;
}

static int l_main_ended(lua_State *L) {
  rt_of(L)->main_task = NULL;
  return 0;
}

/* core.configure(what, value) */
static int l_configure(lua_State *L) {
  static const char *const names[] = {"virtual", "shuffle", "signals",
                                      "on_error", NULL};
  rt *r = rt_of(L);

  switch (luaL_checkoption(L, 1, NULL, names)) {
  case 0: loop_use_virtual(&r->loop, lua_toboolean(L, 2)); break;
  case 1: {
    lua_Integer seed = luaL_optinteger(L, 2, 0);
    r->loop.shuffle = seed ? (uint64_t)seed * 0x9E3779B97F4A7C15u | 1u : 0;
    hostile_begin(r);
    break;
  }
  case 2:
    if (lua_toboolean(L, 2)) signals_start(r); else signals_stop(r);
    break;
  default:
    lx_ref(L, r->r_hook);
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, 1);
  }
  return 0;
}

/* core.verdict(): signal or nil, deadlock text or nil. */
static int l_verdict(lua_State *L) {
  rt *r = rt_of(L);

  if (r->signal_got)
    lua_pushinteger(L, r->signal_got);
  else
    lua_pushnil(L);
  if (r->stuck != STUCK_NO) {
    lx_ref(L, r->r_dump);
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
    if (lua_isnil(L, -1)) lua_pop(L, 1), lua_pushliteral(L, "");
  } else
    lua_pushnil(L);
  return 2;
}

/* All of C's files, as exit() does. One that a thread of ours waits to read
** from is locked until it has read, and so would we be. */
static void flush_files(const rt *r) {
  if (!thread_busy(r)) {
    fflush(NULL);
    return;
  }
  fflush(stdout);
  fflush(stderr);
}

/* core.die_by(signum): end the process the way the shell expects. */
static int l_die_by(lua_State *L) {
  int signum = (int)luaL_checkinteger(L, 1);

  flush_files(rt_of(L));
  signal(signum, SIG_DFL);
  raise(signum);
  return luaL_error(L, "neap.run: signal %d did not end the process", signum);
}

/* core.report(what, err [, task]): to on_error. */
static int l_report(lua_State *L) {
  const char *what = luaL_checkstring(L, 1);

  luaL_checkany(L, 2);
  lua_settop(L, 3);
  if (!lua_isnil(L, 3)) task_check(L, 3);
  hook_report_of(L, rt_of(L), what, 2, lua_isnil(L, 3) ? 0 : 3);
  return 0;
}

/* core.site(fn): where it stands, as in a task's name. */
static int l_site(lua_State *L) {
  luaL_checkany(L, 1);
  lx_push_site(L, 1);
  return 1;
}

static int l_running(lua_State *L) {
  lua_pushboolean(L, rt_of(L)->running);
  return 1;
}

static const luaL_Reg functions[] = {
    {"loop_begin", l_loop_begin},
    {"loop_turn", l_loop_turn},
    {"loop_end", l_loop_end},
    {"pause", l_pause},
    {"forget_signals", l_forget_signals},
    {"wait_background", l_wait_background},
    {"cancel_background", l_cancel_background},
    {"close_background", l_close_background},
    {"spawn_main", l_spawn_main},
    {"spawn_beside", l_spawn_beside},
    {"site", l_site},
    {"main_ended", l_main_ended},
    {"configure", l_configure},
    {"verdict", l_verdict},
    {"die_by", l_die_by},
    {"report", l_report},
    {"running", l_running},
    {NULL, NULL}};

void run_open(lua_State *L, rt *r);

void run_open(lua_State *L, rt *r) {
  signals_open(r);
  lx_functions(L, r, functions);
}
