/*
** emitter.c -- emitters made, drained and ended; see emitter.h.
*/
#include "core/emitter.h"

#include <math.h>
#include <string.h>

#include "core/fault.h"
#include "core/options.h"
#include "core/park.h"
#include "core/sync.h"

/*
** A1  rt.emitter is an emitter that has not been finalized, or NULL: so what has
**     its address is an emitter.
*/
emitter *emitter_check(lua_State *L) {
  rt *r = rt_of(L);
  emitter *e = lua_touserdata(L, 1);

  if (likely(e == r->emitter && e != NULL)) return e;
  e = lx_check(L, r, 1, CLASS_EMITTER);
  if (!e->finalized) r->emitter = e;
  return e;
}

static int l_emitter__gc(lua_State *L) {
  emitter *e = emitter_check(L);

  e->finalized = 1; /* though it may be seen again */
  rt_of(L)->emitter = NULL;
  return 0;
}

emitter *emitter_check_alive(lua_State *L, const char *what) {
  emitter *e = emitter_check(L);
  if (unlikely(e->closed))
    fault_error(L, "closed", "%s: the emitter is closed", what);
  return e;
}

void emitter_check_name(lua_State *L, int idx) {
  int type = lua_type(L, idx);

  if (likely(type == LUA_TSTRING)) return;
  luaL_argcheck(L, type > LUA_TNIL, idx, "an event needs a name");
  luaL_argcheck(L, type != LUA_TNUMBER || !isnan(lua_tonumber(L, idx)), idx,
                "NaN cannot name an event");
}

void emitter_check_event(lua_State *L, emitter *e, const char *what) {
  emitter_check_name(L, 2);
  if (unlikely(e->wildcard && emitter_is_pattern(L, e, 2)))
    fault_error(L, "invalid", "%s: the name of an event cannot be a pattern, "
                              "got '%s'", what, lua_tostring(L, 2));
}

/* --- making --- */

static void check_delimiter(lua_State *L) {
  size_t n;
  const char *p;

  if (lua_getfield(L, 1, "delimiter") == LUA_TNIL) return;
  p = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &n) : NULL;
  if (p == NULL || n == 0 || memchr(p, '*', n) != NULL)
    fault_error(L, "invalid", "neap.emitter: option 'delimiter' must be a "
                              "string that is not empty and has no '*'");
}

static int wildcard_option(lua_State *L) {
  int v;

  if (lua_getfield(L, 1, "wildcard") != LUA_TNIL && !lua_isboolean(L, -1))
    fault_error(L, "invalid", "neap.emitter: option 'wildcard' must be a "
                              "boolean, got a %s", luaL_typename(L, -1));
  v = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return v;
}

/* A whole number from `least` on, or math.huge, which is 0. */
static unsigned whole(lua_State *L, const char *name, double least,
                      unsigned absent) {
  double v;

  if (lua_getfield(L, 1, name) == LUA_TNIL) return lua_pop(L, 1), absent;
  lua_pop(L, 1);
  v = options_number(L, 1, "neap.emitter", name, least);
  if (v < least || v != floor(v))
    fault_error(L, "invalid", "neap.emitter: option '%s' must be a whole "
                              "number from %d on, or math.huge", name,
                (int)least);
  return v > 1e9 ? 0 : (unsigned)v;
}

static int l_emitter_new(lua_State *L) {
  static const char *const names[] = {"max_listeners", "errors",  "wildcard",
                                      "delimiter", "concurrency", "backlog",
                                      "overflow", NULL};
  static const char *const modes[] = {"raise", "collect", "report", NULL};
  static const char *const overflows[] = {"error", "drop_oldest", NULL};
  emitter *e, given = {.max_listeners = 10, .errors = ERRORS_RAISE};
  unsigned backlog = 16384;
  int drop = 0;

  lua_settop(L, 1);
  if (!lua_isnil(L, 1)) {
    luaL_checktype(L, 1, LUA_TTABLE);
    options_check(L, 1, "neap.emitter", names);
    given.max_listeners = whole(L, "max_listeners", 0, 10);
    given.errors = (unsigned char)options_choice(L, 1, "neap.emitter", "errors",
                                                 modes, ERRORS_RAISE);
    given.wildcard = wildcard_option(L) != 0;
    given.cap = whole(L, "concurrency", 1, 0);
    backlog = whole(L, "backlog", 1, backlog);
    drop = options_choice(L, 1, "neap.emitter", "overflow", overflows, 0);
    check_delimiter(L);
  } else
    lua_pushnil(L);
  if (lua_isnil(L, 2)) { /* the delimiter */
    lua_pushliteral(L, ".");
    lua_replace(L, 2);
  }
  e = lx_new(L, rt_of(L), CLASS_EMITTER, sizeof *e, EM_VALUES); /* 3 */
  *e = given;
  list_init(&e->drainers);
  lua_newtable(L);
  lua_setiuservalue(L, 3, EM_EVENTS);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, 3, EM_DELIMITER);
  lua_createtable(L, 0, 4);
  if (backlog != 0)
    lua_pushinteger(L, backlog);
  else
    lua_pushnumber(L, HUGE_VAL);
  lua_setfield(L, -2, "backlog");
  lua_pushboolean(L, drop);
  lua_setfield(L, -2, "drop_oldest");
  lua_setiuservalue(L, 3, EM_LUA);
  lx_ref(L, rt_of(L)->r_emitters);
  lua_pushvalue(L, 3);
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
  lua_settop(L, 3);
  return 1;
}

/* core.emitter_state(emitter): the table of lua/neap/emitter.lua. */
static int l_state(lua_State *L) {
  emitter_check(L);
  lua_getiuservalue(L, 1, EM_LUA);
  return 1;
}

/* --- draining --- */

/* What an earlier run has given up is not waited for. */
static void of_this_run(emitter *e, const rt *r) {
  if (e->run == r->runs) return;
  e->run = r->runs;
  e->busy = 0;
}

void emitter_begin(emitter *e, rt *r) {
  of_this_run(e, r);
  e->busy++;
}

void emitter_end(emitter *e) {
  if (e->busy > 0 && --e->busy == 0) sync_wake_all(&e->drainers, 0);
}

/* core.emitter_begin(emitter), core.emitter_end(emitter): emit_soon. */
static int l_begin(lua_State *L) { /* -> number of the run */
  rt *r = rt_of(L);
  emitter_begin(emitter_check(L), r);
  lua_pushinteger(L, r->runs);
  return 1;
}

static int l_end(lua_State *L) {
  emitter_end(emitter_check(L));
  return 0;
}

/* Does t stand inside an emit of e? */
static int is_inside(const task *t, const emitter *e) {
  const scope *s;

  for (s = t->current; s != NULL; s = s->parent)
    if (emit_is_of(s, e)) return 1;
  return 0;
}

static const neap_op op_drain = {"emitter:drain", park_abort_listed};

static int k_drain(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  lua_pushboolean(L, status != NEAP_ETIMEDOUT);
  return 1;
}

static int l_emitter_drain(lua_State *L) {
  static const char *const names[] = {"timeout", NULL};
  emitter *e = emitter_check(L);
  double s = HUGE_VAL;
  neap_loop *l;
  task *t;

  lua_settop(L, 2);
  if (!lua_isnil(L, 2)) {
    luaL_checktype(L, 2, LUA_TTABLE);
    options_check(L, 2, "emitter:drain", names);
    s = options_number(L, 2, "emitter:drain", "timeout", HUGE_VAL);
  }
  t = park_enter(L, "emitter:drain");
  if (is_inside(t, e))
    return fault_error(L, "deadlock", "emitter:drain: a listener of this "
                                      "emitter would wait for its own end");
  of_this_run(e, t->owner->r);
  if (e->busy == 0) return lua_pushboolean(L, 1), park_finish(L, 1);
  l = &t->owner->r->loop;
  if (s < 9e9 &&
      loop_sleep(l, &t->timer, loop_after(l, (int64_t)ceil(s * 1e9))) < 0)
    return luaL_error(L, "not enough memory");
  list_append(&e->drainers, wait_node(&t->wait));
  t->wait.flags = 0;
  return park(L, t, &t->wait, &op_drain, k_drain);
}

/* --- the end --- */

static int l_emitter_close(lua_State *L) {
  emitter *e = emitter_check(L);

  lua_settop(L, 1);
  lua_newtable(L); /* 2 */
  e->closed = 1;
  lua_getiuservalue(L, 1, EM_EVENTS); /* 3 */
  lua_pushnil(L);
  while (lua_next(L, 3)) {
    record *rec = lua_touserdata(L, -1);
    sync_wake_all(&rec->asked, NEAP_ECLOSED);
    sync_wake_all(&rec->waiters, NEAP_ECLOSED);
    lua_pop(L, 1);
  }
  lua_settop(L, 2);
  lua_setiuservalue(L, 1, EM_EVENTS);
  lua_pushnil(L);
  lua_setiuservalue(L, 1, EM_ANY);
  lua_pushnil(L);
  lua_setiuservalue(L, 1, EM_CACHE);
  lua_pushnil(L);
  lua_setiuservalue(L, 1, EM_TRIE);
  lua_pushnil(L);
  lua_setiuservalue(L, 1, EM_HOT);
  e->hot = NULL;
  e->sole = 0;
  e->records = e->live = e->patterns = e->cached = e->any = 0;
  return 0;
}

static const luaL_Reg methods[] = {{"drain", l_emitter_drain},
                                   {"close", l_emitter_close},
                                   {NULL, NULL}};

static const luaL_Reg metas[] = {{"__gc", l_emitter__gc}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"emitter", l_emitter_new},
                                     {"emitter_state", l_state},
                                     {"emitter_begin", l_begin},
                                     {"emitter_end", l_end},
                                     {NULL, NULL}};

void emitter_open(lua_State *L, rt *r);

/* The core's table is on top of the stack. */
void emitter_open(lua_State *L, rt *r) {
  int i;

  lx_class(L, r, CLASS_EMITTER, methods, metas, NULL);
  lx_ref(L, r->r_class[CLASS_EMITTER]);
  lua_getfield(L, -1, "__index");
  lx_functions(L, r, listeners_methods);
  lx_functions(L, r, waiting_methods);
  lx_functions(L, r, emit_methods);
  lx_functions(L, r, emit_sync_methods);
  lua_pop(L, 2);
  listeners_open(L, r);
  lx_functions(L, r, functions);
  lx_functions(L, r, listeners_functions);
  lx_functions(L, r, emit_functions);
  lx_ref(L, r->r_spares); /* places: to fill them cannot fail */
  for (i = 1; i <= SPARE_LAST; i++) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, i);
  }
  lua_pop(L, 1);
}
