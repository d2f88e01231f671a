/*
** slow.c -- see slow.h.
**
** W1  The thread touches nothing of Lua. It reads `step` and `since`, and when
**     a step has gone on for half of the limit it sends a signal to the thread
**     that runs Lua; and once more when it has gone on for STILL limits.
** W2  The handler sets a hook on the running coroutine, as lua.c does for
**     Ctrl-C. The hook takes the stack at the next instruction, call or return
**     (that of a C function that took the time), and puts back what hook there
**     was before.
** W3  `step` is odd while a step runs. A step inside of another (emit) counts
**     as one of its own; its time is not that of the outer one.
*/
#include "core/slow.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/fault.h"
#include "core/hook.h"
#include "core/task.h"

#define NOTICE SIGURG   /* ignored by default: a stray one does no harm */
#define LOOKS 5         /* of the thread, within the limit */
#define LOOK_MIN_NS 1000000
#define STILL 10

#if defined(__linux__) && defined(__GLIBC__) /* has pthread_sigqueue */
#define HAVE_NOTICE 1
#else
#define HAVE_NOTICE 0 /* then reports come without the stack */
#endif

typedef struct slow slow;
struct slow {
  rt *r;
  int64_t limit, inner; /* inner: ns of the steps inside of the running one */
  unsigned depth;
  _Atomic uint64_t step; /* W3 */
  _Atomic int64_t since;
  uv_thread_t thread;
  uv_mutex_t mutex;
  uv_cond_t cond;
  int stop; /* under the mutex */
  int on;
  pid_t pid;
  pthread_t lua;
  struct sigaction was;
  /* From here on Lua's thread alone: its handler, its hook, its steps. */
  volatile uint64_t asked; /* about which step */
  lua_State *volatile hooked;
  lua_Hook hook; /* what `hooked` had before */
  int mask, count;
  char *stack;
  uint64_t taken; /* in which step the stack was */
};

/* --- reports --- */

/* Seconds, handle, slow, stack or nil, 1 if it still runs */
static int l_report(lua_State *L) {
  slow *w = lua_touserdata(L, 3);
  char text[120];

  lua_getfield(L, 2, "name");
  snprintf(text, sizeof text, lua_toboolean(L, 5)
               ? "has run for %.3f s without waiting, and still does"
               : "ran for %.3f s without waiting",
           lua_tonumber(L, 1));
  lua_pushfstring(L, "task %s %s: nobody else could run meanwhile",
                  lua_tostring(L, -1), text);
  fault_push(L, "slow", NULL, lua_tostring(L, -1));
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "seconds");
  lua_pushvalue(L, 4);
  lua_setfield(L, -2, "traceback");
  hook_report_of(L, w->r, "slow", -1, 2);
  return 0;
}

static void report(lua_State *L, slow *w, int handle, int64_t ns, int runs) {
  lua_pushcfunction(L, l_report);
  lua_pushnumber(L, (lua_Number)ns / 1e9);
  lua_pushvalue(L, handle);
  lua_pushlightuserdata(L, w);
  lua_pushvalue(L, -5); /* the stack */
  lua_pushboolean(L, runs);
  if (lua_pcall(L, 5, 0, 0) != LUA_OK) lua_pop(L, 1);
}

static void drop_stack(slow *w) {
  base_free(w->stack);
  w->stack = NULL;
}

/* --- in the coroutine that does not wait --- */

#if HAVE_NOTICE

enum { HOOKS = LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT };

static void put_back(lua_State *L, slow *w) {
  if (w->hooked == L)
    lua_sethook(L, w->hook, w->mask, w->count);
  else
    lua_sethook(L, NULL, 0, 0);
  w->hooked = NULL;
}

static int l_take(lua_State *L) { /* slow, task's own coroutine */
  slow *w = lua_touserdata(L, 1);
  lua_State *own = lua_touserdata(L, 2);
  const char *s;
  size_t len;

  luaL_traceback(L, L, NULL, 1);
  if (own != L) {
    lua_pushfstring(L, "%s\nin a coroutine of the task:",
                    lua_tostring(L, -1));
    luaL_traceback(L, own, lua_tostring(L, -1), 0);
  }
  s = lua_tolstring(L, -1, &len);
  drop_stack(w);
  if ((w->stack = base_alloc(len + 1)) == NULL) return 0;
  memcpy(w->stack, s, len);
  w->taken = atomic_load(&w->step);
  return 0;
}

static int l_tell(lua_State *L) { /* slow, task */
  slow *w = lua_touserdata(L, 1);
  int64_t ns = (int64_t)uv_hrtime() - atomic_load(&w->since);

  task_push(L, lua_touserdata(L, 2));
  lua_pushstring(L, w->stack);
  report(L, w, 3, ns, 1);
  return 0;
}

static void on_hook(lua_State *L, lua_Debug *ar) {
  task *t = task_of(L);
  slow *w = t != NULL ? t->owner->r->slow : NULL;

  (void)ar;
  if (w == NULL) {
    lua_sethook(L, NULL, 0, 0);
    return;
  }
  put_back(L, w);
  if (w->asked != atomic_load(&w->step)) return; /* left from another step */
  if (!lua_checkstack(L, 6)) return;
  lua_pushcfunction(L, l_take);
  lua_pushlightuserdata(L, w);
  lua_pushlightuserdata(L, w->r->slots[t->anchor].L);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
  if ((int64_t)uv_hrtime() - atomic_load(&w->since) < STILL * w->limit) return;
  lua_pushcfunction(L, l_tell);
  lua_pushlightuserdata(L, w);
  lua_pushlightuserdata(L, t);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
}

/* --- the signal --- */

static void on_raw(int signum, siginfo_t *info, void *context) {
  slow *w = info->si_value.sival_ptr;
  lua_State *L;

  (void)context;
  (void)signum;
  if (info->si_code != SI_QUEUE || info->si_pid != getpid() || w == NULL ||
      !w->on || !pthread_equal(pthread_self(), w->lua))
    return;
  L = w->r->inner;
  if (w->r->current == NULL || L == NULL || lua_gethook(L) == on_hook) return;
  w->asked = atomic_load(&w->step);
  w->hook = lua_gethook(L);
  w->mask = lua_gethookmask(L);
  w->count = lua_gethookcount(L);
  w->hooked = L;
  lua_sethook(L, on_hook, HOOKS, 1);
}

static void hear(slow *w) {
  struct sigaction sa;

  memset(&sa, 0, sizeof sa);
  sa.sa_sigaction = on_raw;
  sa.sa_flags = SA_SIGINFO | SA_RESTART;
  sigemptyset(&sa.sa_mask);
  sigaction(NOTICE, &sa, &w->was);
}

static void hear_no_more(slow *w) { sigaction(NOTICE, &w->was, NULL); }

static void ask(slow *w) {
  union sigval v;

  v.sival_ptr = w;
  pthread_sigqueue(w->lua, NOTICE, v);
}

#else

static void hear(slow *w) { (void)w; }
static void hear_no_more(slow *w) { (void)w; }
static void ask(slow *w) { (void)w; }

#endif

/* --- the thread --- */

static void look(slow *w, uint64_t *asked, uint64_t *again) {
  uint64_t step = atomic_load(&w->step);
  int64_t ns = (int64_t)uv_hrtime() - atomic_load(&w->since);

  if (!(step & 1) || step != atomic_load(&w->step)) return;
  if (*asked != step && ns >= w->limit / 2) {
    *asked = step;
    ask(w);
  } else if (*again != step && ns >= STILL * w->limit) {
    *again = step;
    ask(w);
  }
}

static void watch(void *arg) {
  slow *w = arg;
  uint64_t asked = 0, again = 0, pause = (uint64_t)w->limit / LOOKS;

  if (pause < LOOK_MIN_NS) pause = LOOK_MIN_NS;
  uv_mutex_lock(&w->mutex);
  while (!w->stop) {
    uv_cond_timedwait(&w->cond, &w->mutex, pause);
    if (!w->stop) look(w, &asked, &again);
  }
  uv_mutex_unlock(&w->mutex);
}

/* A thread to which no signal of the process goes. */
static int start_thread(slow *w) {
  sigset_t all, was;
  int rc;

  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &was);
  rc = uv_thread_create(&w->thread, watch, w);
  pthread_sigmask(SIG_SETMASK, &was, NULL);
  return rc;
}

int slow_start(rt *r, int64_t ns) {
  slow *w = r->slow;
  int rc;

  if (w == NULL) { /* kept: a signal may be on its way when it is stopped */
    if ((w = base_alloc(sizeof *w)) == NULL) return UV_ENOMEM;
    if ((rc = uv_mutex_init(&w->mutex)) < 0) {
      base_free(w);
      return rc;
    }
    if ((rc = uv_cond_init(&w->cond)) < 0) {
      uv_mutex_destroy(&w->mutex);
      base_free(w);
      return rc;
    }
    w->r = r;
    r->slow = w;
  }
  slow_stop(r);
  w->limit = ns;
  w->stop = 0;
  w->depth = 0;
  w->inner = 0;
  w->pid = getpid();
  w->lua = pthread_self();
  if ((rc = start_thread(w)) < 0) return rc;
  w->on = 1;
  hear(w);
  return 0;
}

void slow_stop(rt *r) {
  slow *w = r->slow;

  if (w == NULL || !w->on) return;
  if (w->pid == getpid()) { /* a fork has no such thread */
    uv_mutex_lock(&w->mutex);
    w->stop = 1;
    uv_cond_signal(&w->cond);
    uv_mutex_unlock(&w->mutex);
    uv_thread_join(&w->thread);
  }
  hear_no_more(w);
  w->on = 0;
  drop_stack(w);
}

void slow_fini(rt *r) {
  slow *w = r->slow;

  if (w == NULL) return;
  slow_stop(r);
  if (w->pid == getpid()) {
    uv_cond_destroy(&w->cond);
    uv_mutex_destroy(&w->mutex);
  }
  base_free(w);
  r->slow = NULL;
}

/* --- steps --- */

slow_frame slow_begin(rt *r) {
  slow *w = r->slow;
  slow_frame f;

  f.began = (int64_t)uv_hrtime();
  f.inner = w->inner;
  w->inner = 0;
  atomic_store(&w->since, f.began);
  f.first = atomic_fetch_add(&w->step, w->depth++ == 0 ? 1 : 2) + 1;
  return f;
}

/* What has been asked of a coroutine that waits now: it will not answer. */
static void take_back(slow *w, const task *t) {
#if HAVE_NOTICE
  if (w->hooked != NULL && w->hooked == t->L) put_back(w->hooked, w);
#else
  (void)w;
  (void)t;
#endif
}

void slow_end(lua_State *L, rt *r, task *t, int handle, slow_frame f) {
  slow *w = r->slow;
  int64_t now = (int64_t)uv_hrtime(), whole = now - f.began;
  int64_t own = whole - w->inner;

  w->inner = f.inner + whole;
  atomic_store(&w->since, now);
  atomic_fetch_add(&w->step, --w->depth == 0 ? 1 : 2);
  if (unlikely(w->hooked != NULL)) take_back(w, t);
  if (likely(own < w->limit && w->stack == NULL)) return;
  if (own >= w->limit) {
    if (w->stack != NULL && w->taken >= f.first)
      lua_pushstring(L, w->stack);
    else
      lua_pushliteral(L, "(no stack: it was in a C function that did not "
                         "return to Lua)");
    report(L, w, handle, own, 0);
    lua_pop(L, 1);
  }
  if (w->depth == 0 || w->taken >= f.first) drop_stack(w);
}
