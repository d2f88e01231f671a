/*
** sweep.c -- probes: they count the checkpoints of a task and of what it owns,
** and cancel it at the n-th of them.
**
** P1  A task with `probed` reports its checkpoints (park_enter). The flag is
**     set before each step of a task inside a probe's root, and dropped when
**     it reports and there is no probe left.
** P2  `armed` is the task that has entered the n-th checkpoint and has not
**     got beyond it. The kit's table keeps its handle: it may end meanwhile.
*/
#include <string.h>

#include "core/lx.h"
#include "core/scope.h"
#include "core/task.h"
#include "core/testkit.h"

/* ORDER WHEN */
enum when { WHEN_BEFORE, WHEN_WAITING, WHEN_GRANTED };

typedef struct probe {
  node link; /* in testkit.probes */
  testkit *k;
  task *root;          /* user value 1 */
  lua_Integer entries; /* checkpoints, those of its children among them */
  lua_Integer waits;   /* how often the root itself was suspended */
  lua_Integer n;       /* cancel at this one, or 0 */
  enum when when;
  task *armed;
  int fired;
} probe;

#define CLASS "neap.test.probe"

static probe *probe_of(node *n) { return container_of(n, probe, link); }

static int inside(const task *t, const task *root) {
  for (; t != NULL && t != root; t = t->owner->body)
    if (t->owner->kind == SCOPE_GROUND) return 0; /* nobody's */
  return t != NULL;
}

static void fire(probe *p) {
  p->fired = task_cancel(p->root, SRC_EXPLICIT) == 1;
  p->armed = NULL;
}

/* table[p] = {handle of the armed task, "neap.sleep at x.lua:3"} */
static void remember(lua_State *L, probe *p, task *t, const char *what) {
  lua_Debug ar;
  int level, found = 0;

  luaL_checkstack(L, 6, NULL);
  testkit_push_table(L, p->k);
  lua_rawgetp(L, -1, p);
  task_push(L, t);
  lua_rawseti(L, -2, 1);
  for (level = 1; !found && lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    found = ar.currentline > 0;
  }
  if (found)
    lua_pushfstring(L, "%s at %s:%d", what, ar.short_src, ar.currentline);
  else
    lua_pushstring(L, what);
  lua_rawseti(L, -2, 2);
  lua_pop(L, 2);
}

static void entered(lua_State *L, probe *p, task *t, const char *what) {
  if (!inside(t, p->root)) return;
  p->entries++;
  if (p->armed == t) p->armed = NULL; /* it did not have to wait */
  if (p->entries != p->n) return;
  remember(L, p, t, what);
  p->armed = t;
  if (p->when == WHEN_BEFORE) fire(p);
}

void testkit_entered(lua_State *L, task *t, const char *what) {
  testkit *k = t->owner->r->kit;

  if (list_empty(&k->probes)) {
    t->probed = 0;
    return;
  }
  LIST_EACH(n, &k->probes) entered(L, probe_of(n), t, what);
}

/* --- before and after each step of a task --- */

static void before_step(probe *p, task *t) {
  if (!inside(t, p->root)) return;
  t->probed = 1;
  if (t == p->root && t->state != TASK_NEW) p->waits++;
  if (t == p->armed && p->when == WHEN_GRANTED) fire(p);
}

/* A wait of the armed task can be cancelled, a turn in the queue cannot. */
static void after_step(probe *p) {
  if (p->armed == NULL) return;
  if (p->armed->state >= TASK_DONE)
    p->armed = NULL;
  else if (p->when == WHEN_WAITING) {
    if (p->armed->at != NULL)
      fire(p);
    else
      p->armed = NULL;
  }
}

static void run_probed(neap_loop *l, ready *item) {
  testkit *k = rt_of_loop(l)->kit;

  LIST_EACH(n, &k->probes) before_step(probe_of(n), (task *)(void *)item);
  k->run_task(l, item); /* the task may be gone now */
  LIST_EACH(n, &k->probes) after_step(probe_of(n));
}

/* --- from Lua --- */

/* testkit.probe(task [, n, when]) */
static int l_probe(lua_State *L) {
  static const char *const names[] = {"before", "waiting", "granted", NULL};
  rt *r = rt_of(L);
  task *t = task_check(L, 1);
  lua_Integer n = luaL_optinteger(L, 2, 0);
  enum when when = (enum when)luaL_checkoption(L, 3, "waiting", names);
  testkit *k = testkit_of(L, r);
  probe *p;

  luaL_argcheck(L, t->state < TASK_DONE, 1, "the task has ended");
  if (n > 0) {
    scope *s = scope_of_task(t); /* to cancel it cannot fail then */
    if (s == NULL) return luaL_error(L, "not enough memory");
    lua_pushliteral(L, "test.cancel_sweep");
    scope_keep_reason(L, s, -1);
    lua_pop(L, 1);
  }
  p = lua_newuserdatauv(L, sizeof *p, 1);
  memset(p, 0, sizeof *p);
  p->k = k;
  p->root = t;
  p->n = n;
  p->when = when;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  luaL_setmetatable(L, CLASS);
  testkit_push_table(L, k);
  lua_createtable(L, 2, 0);
  lua_pushboolean(L, 0); /* its places exist: filling them cannot fail */
  lua_rawseti(L, -2, 1);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, 2);
  lua_rawsetp(L, -2, p);
  lua_pop(L, 1);
  if (list_empty(&k->probes)) {
    k->run_task = r->loop.run_task;
    r->loop.run_task = run_probed;
  }
  list_append(&k->probes, &p->link);
  if (t->state == TASK_RUNNING) t->probed = 1;
  return 1;
}

static void unlink_probe(probe *p) {
  testkit *k = p->k;

  if (!node_linked(&p->link)) return;
  node_remove(&p->link);
  if (list_empty(&k->probes)) k->r->loop.run_task = k->run_task;
}

/* testkit.probe_end(probe): checkpoints, suspensions of the root, whether it
** was cancelled, and where. */
static int l_probe_end(lua_State *L) {
  probe *p = luaL_checkudata(L, 1, CLASS);

  unlink_probe(p);
  lua_settop(L, 1);
  lua_pushinteger(L, p->entries);
  lua_pushinteger(L, p->waits);
  lua_pushboolean(L, p->fired);
  testkit_push_table(L, p->k);
  if (lua_rawgetp(L, -1, p) == LUA_TTABLE)
    lua_rawgeti(L, -1, 2);
  else
    lua_pushnil(L);
  lua_replace(L, -3);
  lua_pop(L, 1);
  testkit_push_table(L, p->k);
  lua_pushnil(L);
  lua_rawsetp(L, -2, p);
  lua_pop(L, 1);
  return 4;
}

static int l_probe__gc(lua_State *L) {
  unlink_probe(lua_touserdata(L, 1));
  return 0;
}

static const luaL_Reg functions[] = {{"probe", l_probe},
                                     {"probe_end", l_probe_end},
                                     {NULL, NULL}};

void sweep_open(lua_State *L, rt *r) {
  lx_functions(L, r, functions);
  luaL_newmetatable(L, CLASS);
  lua_pushcfunction(L, l_probe__gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
