/*
** guest.c -- see guest.h.
**
** G1  The guest is turned before each poll if a task has run since, for that
**     may have changed what it waits for: only a turn tells its descriptor.
** G2  It is turned after a poll that took time, before a task runs, so that
**     its cached clock is right when a task starts a timer of it.
** G3  While it is alive it counts (`alive`): it may wake a task. Its time is
**     real also where ours is virtual, hence a timer of libuv.
*/
#include "core/guest.h"

#include <string.h>

#include "core/fault.h"
#include "core/hook.h"
#include "core/park.h"
#include "run/watch.h"

struct guest {
  neap_watch *watch; /* in a run */
  uv_timer_t timer;
  int fd, turn;      /* turn: registry reference of a function */
  int due, alive;
  uint64_t switches, ms; /* of the last turn */
};

static void on_guest_ready(neap_watch *w, int status, int events, void *arg) {
  (void)w;
  (void)status;
  (void)events;
  ((struct guest *)arg)->due = 1;
}

/* uv_stop: timers are run before uv_run() polls, and a turn that is due must
** not wait for whatever else may end that poll (see loop.c). */
static void on_guest_due(uv_timer_t *t) {
  container_of(t, struct guest, timer)->due = 1;
  uv_stop(t->loop);
}

static void set_alive(rt *r, int alive) {
  struct guest *g = r->guest;

  r->loop.counted += (unsigned)alive;
  r->loop.counted -= (unsigned)g->alive;
  g->alive = alive;
}

static int watch(rt *r) {
  struct guest *g = r->guest;
  int rc = 0;

  if (g->watch != NULL) return 0;
  g->watch = watch_open(&r->loop, g->fd, on_guest_ready, g, &rc);
  if (g->watch == NULL) return rc;
  return watch_set(g->watch, NEAP_READABLE, 0);
}

/* turn() -> is the guest alive, ms until it wants to be turned or -1 */
static int protected_turn(lua_State *L) {
  rt *r = lua_touserdata(L, 1);
  struct guest *g = r->guest;
  lua_Integer ms;
  int rc, alive;

  if ((rc = watch(r)) < 0)
    return luaL_error(L, "cannot watch the loop inside of ours: %s",
                      uv_strerror(rc));
  lx_ref(L, g->turn);
  lua_call(L, 0, 2);
  alive = lua_toboolean(L, -2);
  ms = lua_tointeger(L, -1);
  set_alive(r, alive);
  uv_timer_stop(&g->timer);
  if (alive && ms >= 0) {
    uv_update_time(&r->loop.uv);
    uv_timer_start(&g->timer, on_guest_due, (uint64_t)ms, 0);
  }
  return 0;
}

void guest_turn(lua_State *L, rt *r) {
  struct guest *g = r->guest;
  uint64_t ms = uv_hrtime() / 1000000;

  if (g->turn == LUA_NOREF) return; /* memory ran out in core.guest */
  if (!g->due && g->switches == r->loop.switches && g->ms == ms) return;
  g->due = 0;
  lua_pushcfunction(L, protected_turn);
  lua_pushlightuserdata(L, r);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
    hook_report(L, r, "background", NULL);
    lua_pop(L, 1);
  }
  g->switches = r->loop.switches;
  g->ms = ms;
}

void guest_last_turn(lua_State *L, rt *r) {
  r->guest->due = 1;
  guest_turn(L, r);
}

void guest_stop(rt *r) {
  struct guest *g = r->guest;

  set_alive(r, 0);
  uv_timer_stop(&g->timer);
  if (g->watch != NULL) watch_close(g->watch);
  g->watch = NULL;
  g->due = 1; /* the next run begins with a turn */
}

/* core.guest(fd, turn): from now on, in this run and in those that follow. One
** at a time. */
static int l_guest(lua_State *L) {
  rt *r = rt_of(L);
  lua_Integer fd = luaL_checkinteger(L, 1);
  struct guest *g;

  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  if ((g = r->guest) == NULL) {
    if ((g = base_alloc(sizeof *g)) == NULL)
      return luaL_error(L, "not enough memory");
    uv_timer_init(&r->loop.uv, &g->timer);
    g->turn = LUA_NOREF;
    r->guest = g;
  }
  guest_stop(r);
  luaL_unref(L, LUA_REGISTRYINDEX, g->turn);
  g->turn = LUA_NOREF;
  g->fd = (int)fd;
  g->turn = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

/* core.enter(what): raises if this call may not wait here, or if the task is
** cancelled. For functions that start something before they wait. */
static int l_enter(lua_State *L) {
  park_enter(L, luaL_checkstring(L, 1));
  return 0;
}

/* core.error_text("ECONNREFUSED"): "connection refused", or nil. */
static int l_error_text(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);

#define LOOK_AT(NAME, text)                                                   \
  if (strcmp(name, #NAME) == 0) {                                             \
    lua_pushliteral(L, text);                                                 \
    return 1;                                                                 \
  }
  UV_ERRNO_MAP(LOOK_AT)
#undef LOOK_AT
  return luaL_pushfail(L), 1;
}

static const luaL_Reg functions[] = {{"guest", l_guest},
                                     {"enter", l_enter},
                                     {"error_text", l_error_text},
                                     {NULL, NULL}};

void guest_open(lua_State *L, rt *r) { lx_functions(L, r, functions); }

void guest_fini(rt *r) {
  base_free(r->guest);
  r->guest = NULL;
}
