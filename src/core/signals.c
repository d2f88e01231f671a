/*
** signals.c -- SIGINT and SIGTERM during a run: the first cancels main, the
** second gives up what is left. SIGUSR1 prints what runs. All are also heard
** in a loop that never waits: by a hook that the handler sets, as lua.c does
** it for Ctrl-C.
*/
#include "core/signals.h"

#include <errno.h>
#include <pthread.h>

#include "core/dump.h"
#include "core/fault.h"
#include "core/scope.h"
#include "core/task.h"

/*
** G1  `slot` is the one piece of static state (DESIGN decision 5): the run
**     that handles signals, or NULL. A second state in the process that runs
**     meanwhile handles none.
** G2  libuv's handler is called by ours, and does the regular part: it wakes
**     the loop, which calls on_signal().
** G3  A pattern that matches for hours, a finalizer that never ends or any
**     other C code answers neither by the loop nor by the hook. The fourth
**     signal without an answer does what it would do without us.
*/
static rt *volatile signal_slot;

#define PATIENCE_NS 200000000 /* without a look at the loop */
#define COUNT 10000           /* instructions between two looks */
#define RAISES 10             /* so often a pcall in a loop may catch it */
#define DEPTH_MAX 200         /* coroutines within coroutines: Lua's limit */
#define DEAF_MAX 3            /* G3 */
#define DEAF_NS 500000000     /* between the first of them and the last */

static const int numbers[SIGNALS] = {SIGINT, SIGTERM, SIGUSR1};

/* The regular part, on the loop. */
static void on_signal(uv_signal_t *h, int signum) {
  rt *r = h->data;

  r->signal_deaf = 0;
  if (r->signal_got != 0 && r->signal_seen != 0) {
    r->loop.stop = 1;
    return;
  }
  r->signal_got = (unsigned char)signum;
  r->signal_seen = 1;
  if (r->main_task != NULL) task_cancel(r->main_task, SRC_SIGNAL);
}

void signals_hook_chain(rt *r, lua_Hook hook, int mask, int count) {
  lua_State *L = r->slots[r->current->anchor].L;
  int depth;

  for (depth = 0; depth < DEPTH_MAX; depth++) {
    lua_sethook(L, hook, mask, count);
    if (L == r->inner || !lua_isthread(L, 1)) return;
    L = lua_tothread(L, 1);
  }
}

static void on_dump_signal(uv_signal_t *h, int signum) {
  (void)h; /* it wakes the loop; run.c looks at dump_asked */
  (void)signum;
}

/* In the coroutine that runs. */
static void dump_here(lua_State *L, lua_Debug *ar) {
  rt *r = signal_slot;

  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  if (r != NULL && r->dump_asked) dump_print(L, r);
}

/* In the coroutine that does not wait. */
static void break_loop(lua_State *L, lua_Debug *ar) {
  task *t = task_of(L);
  rt *r = t != NULL ? t->owner->r : NULL;
  int count = COUNT;

  (void)ar;
  if (r == NULL || r != signal_slot || r->loop.polls != r->signal_polls) {
    lua_sethook(L, NULL, 0, 0); /* it has come back to the loop meanwhile */
    return;
  }
  r->signal_deaf = 0;
  if (r->signal_n < 3 && r->signal_raises < RAISES) {
    if ((int64_t)uv_hrtime() - r->signal_at < PATIENCE_NS) return;
    r->signal_at = (int64_t)uv_hrtime(); /* clean-up gets its time */
  } else
    count = 1; /* what catches it over and over is broken outside of pcall */
  if (r->signal_got == 0) { /* the loop will hear of it later */
    r->signal_got = r->signal_last;
    if (r->main_task != NULL) task_cancel(r->main_task, SRC_SIGNAL);
  }
  if (t->current->cause == NULL && r->signal_n < 2)
    return; /* shielded, or not of main's */
  if (r->signal_raises < RAISES) r->signal_raises++;
  signals_hook_chain(r, break_loop, LUA_MASKCOUNT, count);
  if (t->current->cause != NULL) scope_raise(L, t);
  fault_error(L, "interrupted", "interrupted by signal %d in a loop that "
              "never waits", (int)r->signal_last);
}

static void break_later(rt *r, int signum) {
  r->signal_last = (unsigned char)signum;
  if (r->signal_n < 3) r->signal_n++;
  if (r->current == NULL || r->inner == NULL) return;
  if (r->signal_polls != r->loop.polls) r->signal_raises = 0;
  r->signal_polls = r->loop.polls;
  r->signal_at = (int64_t)uv_hrtime();
  lua_sethook(r->inner, break_loop, LUA_MASKCOUNT, COUNT);
}

/* G3. It waits, blocked, until the handler has returned. */
static void end_if_deaf(rt *r, int signum) {
  int64_t now = (int64_t)uv_hrtime();

  if (r->signal_deaf == 0) r->signal_deaf_at = now;
  if (r->signal_deaf < DEAF_MAX) {
    r->signal_deaf++;
  } else if (now - r->signal_deaf_at >= DEAF_NS) {
    signal(signum, SIG_DFL);
    raise(signum);
  }
}

/* A hook that somebody else has set stays: then it is the loop that prints. */
static void dump_later(rt *r) {
  r->dump_asked = 1;
  if (r->current != NULL && r->inner != NULL && lua_gethook(r->inner) == NULL)
    lua_sethook(r->inner, dump_here, LUA_MASKCOUNT, 1);
}

static void on_raw(int signum, siginfo_t *info, void *context) {
  rt *r = signal_slot;
  int was = errno, i = 0;

  if (r == NULL) return;
  if (!pthread_equal(pthread_self(), r->signal_thread)) {
    pthread_kill(r->signal_thread, signum); /* Lua runs there */
    errno = was;
    return;
  }
  if (signum == SIGUSR1)
    dump_later(r);
  else {
    break_later(r, signum);
    end_if_deaf(r, signum);
  }
  while (numbers[i] != signum) i++;
  if (r->signal_uv[i].sa_flags & SA_SIGINFO)
    r->signal_uv[i].sa_sigaction(signum, info, context);
  else if (r->signal_uv[i].sa_handler != SIG_DFL &&
           r->signal_uv[i].sa_handler != SIG_IGN)
    r->signal_uv[i].sa_handler(signum);
  errno = was;
}

/* What is ignored stays ignored, and who has a use for SIGUSR1 keeps it. */
static int is_ours(int signum, const struct sigaction *was) {
  if (was->sa_flags & SA_SIGINFO) return signum != SIGUSR1;
  if (was->sa_handler == SIG_IGN) return 0;
  return signum != SIGUSR1 || was->sa_handler == SIG_DFL;
}

void signals_start(rt *r) {
  struct sigaction sa;
  int i;

  if (r->signals || signal_slot != NULL) return;
  r->signals = 1;
  r->signal_on = 0;
  r->signal_deaf = 0;
  r->dump_asked = 0;
  r->signal_thread = pthread_self();
  signal_slot = r;
  for (i = 0; i < SIGNALS; i++) {
    sigaction(numbers[i], NULL, &r->signal_was[i]);
    if (!is_ours(numbers[i], &r->signal_was[i])) continue;
    if (uv_signal_start(&r->signal[i],
                        numbers[i] == SIGUSR1 ? on_dump_signal : on_signal,
                        numbers[i]) < 0)
      continue;
    r->signal_on |= (unsigned char)(1u << i);
    sigaction(numbers[i], NULL, &r->signal_uv[i]);
    sa = r->signal_uv[i];
    sa.sa_sigaction = on_raw;
    sa.sa_flags |= SA_SIGINFO;
    sigaction(numbers[i], &sa, NULL);
  }
}

void signals_stop(rt *r) {
  int i;

  if (!r->signals) return;
  r->signals = 0;
  for (i = 0; i < SIGNALS; i++) {
    if (!(r->signal_on & 1u << i)) continue;
    sigaction(numbers[i], &r->signal_uv[i], NULL);
    uv_signal_stop(&r->signal[i]);
    sigaction(numbers[i], &r->signal_was[i], NULL);
  }
  signal_slot = NULL;
}

void signals_open(rt *r) {
  int i;

  for (i = 0; i < SIGNALS; i++) {
    uv_signal_init(&r->loop.uv, &r->signal[i]);
    r->signal[i].data = r;
    uv_unref((uv_handle_t *)&r->signal[i]);
  }
}
