/*
** signals.c -- SIGINT and SIGTERM during a run. The first cancels main, the
** second gives up what is left. Both also break a loop that never waits: a
** hook, set from the handler as lua.c does it for Ctrl-C, raises.
*/
#include "core/signals.h"

#include <errno.h>
#include <pthread.h>

#include "core/fault.h"
#include "core/scope.h"
#include "core/task.h"

/*
** G1  `slot` is the one piece of static state (DESIGN decision 5): the run
**     that handles signals, or NULL. A second state in the process that runs
**     meanwhile handles none.
** G2  libuv's handler is called by ours, and does the regular part: it wakes
**     the loop, which calls on_signal().
*/
static rt *volatile signal_slot;

#define PATIENCE_NS 200000000 /* without a look at the loop */
#define COUNT 10000           /* instructions between two looks */
#define RAISES 10             /* so often a pcall in a loop may catch it */
#define DEPTH_MAX 200         /* coroutines within coroutines: Lua's limit */

static const int numbers[SIGNALS] = {SIGINT, SIGTERM};

/* The regular part, on the loop. */
static void on_signal(uv_signal_t *h, int signum) {
  rt *r = h->data;

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

static void on_raw(int signum, siginfo_t *info, void *context) {
  rt *r = signal_slot;
  int was = errno, i = signum == SIGTERM;

  if (r == NULL) return;
  if (!pthread_equal(pthread_self(), r->signal_thread)) {
    pthread_kill(r->signal_thread, signum); /* Lua runs there */
    errno = was;
    return;
  }
  r->signal_last = (unsigned char)signum;
  if (r->signal_n < 3) r->signal_n++;
  if (r->current != NULL && r->inner != NULL) {
    if (r->signal_polls != r->loop.polls) r->signal_raises = 0;
    r->signal_polls = r->loop.polls;
    r->signal_at = (int64_t)uv_hrtime();
    lua_sethook(r->inner, break_loop, LUA_MASKCOUNT, COUNT);
  }
  if (r->signal_uv[i].sa_flags & SA_SIGINFO)
    r->signal_uv[i].sa_sigaction(signum, info, context);
  else if (r->signal_uv[i].sa_handler != SIG_DFL &&
           r->signal_uv[i].sa_handler != SIG_IGN)
    r->signal_uv[i].sa_handler(signum);
  errno = was;
}

void signals_start(rt *r) {
  struct sigaction sa;
  int i;

  if (r->signals || signal_slot != NULL) return;
  r->signals = 1;
  r->signal_thread = pthread_self();
  signal_slot = r;
  for (i = 0; i < SIGNALS; i++) {
    sigaction(numbers[i], NULL, &r->signal_was[i]);
    if (r->signal_was[i].sa_handler == SIG_IGN) continue; /* stays ignored */
    if (uv_signal_start(&r->signal[i], on_signal, numbers[i]) < 0) continue;
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
    if (r->signal_was[i].sa_handler == SIG_IGN) continue;
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
