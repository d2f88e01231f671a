/*
** lock.c -- lock and semaphore, and the guards that their acquire returns.
**
** K1  While somebody waits nothing is free: a release hands over directly.
** K2  lock.owner is set if and only if the lock is in rt.held.
** K3  A guard releases once, by release() or by <close>, and only what its own
**     task holds: letting go in between (a condition does) is no error.
*/
#include "core/dump.h"
#include "core/fault.h"
#include "core/hook.h"
#include "core/options.h"
#include "core/park.h"
#include "core/see.h"
#include "core/sync.h"
#include "core/task.h"

#define SIZE_LIMIT ((lua_Integer)1 << 53) /* of a semaphore: sums cannot overflow */

typedef struct lock {
  list waiters;
  node held; /* in rt.held */
  task *owner;
  int broken;
} lock;

typedef struct semaphore {
  list waiters;
  lua_Integer value, max; /* value may be negative after a resize */
  lua_Integer capacity;
} semaphore;

typedef struct guard { /* user value 1: the lock or semaphore */
  int is_lock, over;
  const task *by; /* compared, never followed */
} guard;

/* The running task, also from a plain coroutine in it. */
static task *me(lua_State *L) {
  task *t = task_of(L);
  return t != NULL ? t : rt_of(L)->current;
}

static lock *check_lock(lua_State *L, int idx) {
  return lx_check(L, rt_of(L), idx, CLASS_LOCK);
}

static semaphore *check_semaphore(lua_State *L, int idx) {
  return lx_check(L, rt_of(L), idx, CLASS_SEMAPHORE);
}

/* --- lock --- */

static void own(rt *r, lock *k, task *t) {
  k->owner = t;
  if (t->holds < 255) t->holds++;
  list_append(&r->held, &k->held);
}

static void disown(lock *k) {
  if (k->owner->holds < 255) k->owner->holds--;
  node_remove(&k->held);
  k->owner = NULL;
}

static void lock_release(rt *r, lock *k) {
  neap_wait *w;

  disown(k);
  if (list_empty(&k->waiters)) return;
  w = wait_of(list_shift(&k->waiters));
  own(r, k, w->who);
  wait_wake(w, 0);
}

task *sync_owner(lua_State *L, rt *r, int idx) {
  const lock *k = lx_test(L, r, idx, CLASS_LOCK);
  return k != NULL ? k->owner : NULL;
}

void sync_break_locks(lua_State *L, task *t) {
  rt *r = t->owner->r;
  const lock *last = NULL;
  int n = 0;

  LIST_EACH_SAFE(h, &r->held) {
    lock *k = container_of(h, lock, held);
    if (k->owner != t) continue;
    disown(k);
    last = k;
    k->broken = 1;
    sync_wake_all(&k->waiters, NEAP_ECLOSED);
    n++;
  }
  t->holds = 0;
  if (n == 0) return;
  if (n == 1)
    lua_pushliteral(L, "a task ended while it held a lock, which is broken now");
  else
    lua_pushfstring(
        L, "a task ended while it held %d locks, which are broken now", n);
  fault_push(L, "broken", NULL, lua_tostring(L, -1));
  if (unlikely(r->seeing & SEE_DEBUG) && see_push_birth_of(L, r, last)) {
    lua_setfield(L, -2, "traceback"); /* where it was taken */
  }
  hook_report(L, r, "lock", t);
  lua_pop(L, 2);
}

/* A guard of the object at 1, not yet in charge, at index 2: made before the
** wait, so that nothing can fail between the grant and the return. */
static void insert_guard(lua_State *L, int is_lock) {
  guard *g = lx_new(L, rt_of(L), CLASS_GUARD, sizeof *g, 1);

  g->over = 1;
  g->is_lock = is_lock;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  lua_insert(L, 2);
}

static int give_guard(lua_State *L) {
  guard *g = lua_touserdata(L, 2);

  g->over = 0;
  g->by = task_of(L);
  if (unlikely(rt_of(L)->seeing & SEE_DEBUG)) see_born(L, rt_of(L), 1);
  lua_pushvalue(L, 2);
  return 1;
}

static int broken(lua_State *L) {
  return fault_error(L, "broken",
                     "lock:acquire: the task that held the lock ended "
                     "without releasing it");
}

static int k_lock_acquire(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  if (status == NEAP_ECLOSED) return broken(L);
  return give_guard(L);
}

static const neap_op op_lock = {"lock:acquire", park_abort_listed};

static int lock_acquire(lua_State *L, lua_KFunction k) {
  lock *l = check_lock(L, 1);
  task *t = park_enter(L, "lock:acquire");

  if (l->broken) return broken(L);
  if (l->owner == t)
    return fault_error(L, "deadlock",
                       "lock:acquire: the task holds this lock already");
  insert_guard(L, 1);
  if (l->owner == NULL) {
    own(t->owner->r, l, t);
    return park_finish(L, k(L, LUA_OK, 0));
  }
  list_append(&l->waiters, wait_node(&t->wait));
  t->wait.flags = 0;
  return park(L, t, &t->wait, &op_lock, k);
}

static int l_lock_acquire(lua_State *L) {
  lua_settop(L, 1);
  return lock_acquire(L, k_lock_acquire);
}

static int l_lock_try_acquire(lua_State *L) {
  lock *k = check_lock(L, 1);
  task *t = task_of(L);

  lua_settop(L, 1);
  if (t == NULL)
    return fault_error(L, "not_in_task", "lock:try_acquire: not inside a task");
  if (k->broken) return broken(L);
  if (k->owner != NULL) return lua_pushboolean(L, 0), 1;
  insert_guard(L, 1);
  own(t->owner->r, k, t);
  return give_guard(L);
}

static int l_lock_release(lua_State *L) {
  lock *k = check_lock(L, 1);

  if (k->owner == NULL)
    return fault_error(L, "invalid", "lock:release: the lock is not held");
  if (k->owner != me(L))
    return fault_error(L, "invalid",
                       "lock:release: another task holds the lock");
  lock_release(rt_of(L), k);
  return 0;
}

static int l_lock_locked(lua_State *L) {
  lua_pushboolean(L, check_lock(L, 1)->owner != NULL);
  return 1;
}

static int l_lock_stats(lua_State *L) {
  const lock *k = check_lock(L, 1);

  dump_push_stats(L, rt_of(L), 1, &k->waiters);
  lx_set_bool(L, "locked", k->owner != NULL);
  lx_set_bool(L, "broken", k->broken);
  if (k->owner != NULL) {
    task_push(L, k->owner);
    lua_setfield(L, -2, "owner");
  }
  return 1;
}

static int l_lock_new(lua_State *L) {
  lock *k = lx_new(L, rt_of(L), CLASS_LOCK, sizeof *k, 0);
  list_init(&k->waiters);
  return 1;
}

/* --- semaphore --- */

static void semaphore_hand_out(semaphore *s) {
  while (s->value > 0 && !list_empty(&s->waiters)) {
    s->value--;
    wait_wake(wait_of(list_shift(&s->waiters)), 0);
  }
}

static int k_semaphore_acquire(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return give_guard(L);
}

static const neap_op op_semaphore = {"semaphore:acquire", park_abort_listed};

static int semaphore_acquire(lua_State *L, lua_KFunction k) {
  semaphore *s = check_semaphore(L, 1);
  task *t = park_enter(L, "semaphore:acquire");

  insert_guard(L, 0);
  if (s->value > 0) {
    s->value--;
    return park_finish(L, k(L, LUA_OK, 0));
  }
  list_append(&s->waiters, wait_node(&t->wait));
  t->wait.flags = 0;
  return park(L, t, &t->wait, &op_semaphore, k);
}

static int l_semaphore_acquire(lua_State *L) {
  lua_settop(L, 1);
  return semaphore_acquire(L, k_semaphore_acquire);
}

static int l_semaphore_try_acquire(lua_State *L) {
  semaphore *s = check_semaphore(L, 1);

  lua_settop(L, 1);
  if (s->value <= 0) return lua_pushboolean(L, 0), 1;
  insert_guard(L, 0);
  s->value--;
  return give_guard(L);
}

static void semaphore_release(lua_State *L, semaphore *s) {
  if (s->value >= SIZE_LIMIT)
    fault_error(L, "invalid", "semaphore:release: more than 2^53 permits");
  if (s->max >= 0 && s->value >= s->max)
    fault_error(L, "invalid",
                "semaphore:release: released more often than acquired "
                "(max is %I)", (LUAI_UACINT)s->max);
  s->value++;
  semaphore_hand_out(s);
}

static int l_semaphore_release(lua_State *L) {
  semaphore_release(L, check_semaphore(L, 1));
  return 0;
}

static int l_semaphore_value(lua_State *L) {
  lua_pushinteger(L, check_semaphore(L, 1)->value);
  return 1;
}

static int l_semaphore_locked(lua_State *L) {
  lua_pushboolean(L, check_semaphore(L, 1)->value <= 0);
  return 1;
}

static int l_semaphore_resize(lua_State *L) {
  semaphore *s = check_semaphore(L, 1);
  lua_Integer n = luaL_checkinteger(L, 2);

  luaL_argcheck(L, n >= 0 && n <= SIZE_LIMIT, 2,
                "a semaphore has a size from 0 to 2^53");
  s->value += n - s->capacity;
  if (s->max >= 0) s->max = n;
  s->capacity = n;
  semaphore_hand_out(s);
  return 0;
}

static int l_semaphore_stats(lua_State *L) {
  const semaphore *s = check_semaphore(L, 1);

  dump_push_stats(L, rt_of(L), 1, &s->waiters);
  lx_set(L, "value", s->value);
  lx_set(L, "size", s->capacity);
  if (s->max >= 0) lx_set(L, "max", s->max);
  return 1;
}

static int l_semaphore_new(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1), max = -1;
  semaphore *s;

  luaL_argcheck(L, n >= 0 && n <= SIZE_LIMIT, 1,
                "a semaphore has a size from 0 to 2^53");
  if (!lua_isnoneornil(L, 2)) {
    static const char *const names[] = {"max", NULL};
    luaL_checktype(L, 2, LUA_TTABLE);
    options_check(L, 2, "neap.semaphore", names);
    if (lua_getfield(L, 2, "max") != LUA_TNIL) {
      int whole;
      max = lua_tointegerx(L, -1, &whole);
      if (!whole || lua_type(L, -1) != LUA_TNUMBER || max < n)
        return fault_error(L, "invalid",
                           "neap.semaphore: option 'max' must be a whole "
                           "number, not smaller than the initial value");
    }
  }
  s = lx_new(L, rt_of(L), CLASS_SEMAPHORE, sizeof *s, 0);
  list_init(&s->waiters);
  s->value = s->capacity = n;
  s->max = max;
  return 1;
}

/* --- guards, and with() for both --- */

static void guard_end(lua_State *L, int idx) {
  guard *g = lx_check(L, rt_of(L), idx, CLASS_GUARD);

  if (g->over) return;
  g->over = 1;
  lua_getiuservalue(L, idx, 1);
  if (g->is_lock) {
    lock *k = check_lock(L, -1);
    if (k->owner == me(L) && k->owner != NULL)
      lock_release(rt_of(L), k);
    else if (k->owner != NULL && g->by != me(L)) {
      g->over = 0;
      fault_error(L, "invalid", "guard:release: another task holds the lock");
    }
  } else
    semaphore_release(L, check_semaphore(L, -1));
  lua_pop(L, 1);
}

static int l_guard__close(lua_State *L) {
  guard_end(L, 1);
  return 0;
}

/* obj:with(fn, ...): stack 1 guard, 2 message handler, then fn and arguments,
** later results. */
static int k_with_done(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  guard_end(L, 1);
  if (status != LUA_OK && status != LUA_YIELD) {
    fault_again(L, 0);
    return lua_error(L);
  }
  return lua_gettop(L) - 2;
}

static int call_with(lua_State *L) { /* obj guard fn args... guard */
  int status;

  lua_pop(L, 1);
  lua_copy(L, 2, 1);
  lua_pushcfunction(L, fault_handler);
  lua_replace(L, 2);
  status = lua_pcallk(L, lua_gettop(L) - 3, LUA_MULTRET, 2, 0, k_with_done);
  return k_with_done(L, status, 0);
}

static int k_lock_with(lua_State *L, int status, lua_KContext ctx) {
  k_lock_acquire(L, status, ctx);
  return call_with(L);
}

static int l_lock_with(lua_State *L) {
  lx_check_callable(L, 2);
  return lock_acquire(L, k_lock_with);
}

static int k_semaphore_with(lua_State *L, int status, lua_KContext ctx) {
  k_semaphore_acquire(L, status, ctx);
  return call_with(L);
}

static int l_semaphore_with(lua_State *L) {
  lx_check_callable(L, 2);
  return semaphore_acquire(L, k_semaphore_with);
}

static const luaL_Reg lock_methods[] = {
    {"acquire", l_lock_acquire}, {"try_acquire", l_lock_try_acquire},
    {"release", l_lock_release}, {"locked", l_lock_locked},
    {"with", l_lock_with},       {"stats", l_lock_stats},
    {NULL, NULL}};

static const luaL_Reg semaphore_methods[] = {
    {"acquire", l_semaphore_acquire}, {"try_acquire", l_semaphore_try_acquire},
    {"release", l_semaphore_release}, {"locked", l_semaphore_locked},
    {"with", l_semaphore_with},       {"value", l_semaphore_value},
    {"resize", l_semaphore_resize},   {"stats", l_semaphore_stats},
    {NULL, NULL}};

/* Collected while held: leave the list of held locks. */
static int l_lock__gc(lua_State *L) {
  lock *k = lx_test(L, rt_of(L), 1, CLASS_LOCK);
  if (k != NULL && k->owner != NULL) disown(k);
  return 0;
}

static const luaL_Reg lock_metas[] = {{"__gc", l_lock__gc}, {NULL, NULL}};
static const luaL_Reg guard_methods[] = {{"release", l_guard__close},
                                         {NULL, NULL}};
static const luaL_Reg guard_metas[] = {{"__close", l_guard__close},
                                       {NULL, NULL}};

static const luaL_Reg functions[] = {{"lock", l_lock_new},
                                     {"semaphore", l_semaphore_new},
                                     {NULL, NULL}};

void lock_open(lua_State *L, rt *r) {
  lx_class(L, r, CLASS_LOCK, lock_methods, lock_metas, NULL);
  lx_class(L, r, CLASS_SEMAPHORE, semaphore_methods, NULL, NULL);
  lx_class(L, r, CLASS_GUARD, guard_methods, guard_metas, NULL);
  lx_functions(L, r, functions);
}
