/*
** overrun.c -- a test's body in a loop that never waits: no timer of the loop
** is heard then. A signal sets a hook on the running coroutine, as lua.c does
** for Ctrl-C, and the hook raises.
*/
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/dump.h"
#include "core/fault.h"
#include "core/signals.h"
#include "core/task.h"
#include "core/testkit.h"

#define TICK_NS 50000000 /* between two looks, once the time is up */
#define PATIENCE 10      /* so often pcall may catch it; then all raises */

/* Where the kit has no alarm, a loop that never waits runs for ever. */
#if defined(SIGEV_THREAD_ID) && defined(SYS_gettid)
#define HAVE_ALARM 1
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif
#else
#define HAVE_ALARM 0
#endif

#if HAVE_ALARM

enum { HOOKS = LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT };

static void break_loop(lua_State *L, lua_Debug *ar) {
  task *t = task_of(L);
  testkit *k = t != NULL ? t->owner->r->kit : NULL;
  char message[120];

  (void)ar;
  if (k == NULL || !k->alarmed || k->raised < PATIENCE)
    lua_sethook(L, NULL, 0, 0);
  if (k == NULL || !k->alarmed) return; /* left over from another body */
  if (k->raised++ == 0) {
    testkit_push_table(L, k);
    dump_push(L, k->r);
    lua_setfield(L, -2, "dump");
    lua_pop(L, 1);
  }
  snprintf(message, sizeof message,
           "still running after %.14g s, in a loop that never waits",
           k->seconds);
  fault_error(L, "timeout", "%s", message);
}

/* No switch since the last look: it does not come back. */
static void on_alarm(int signum, siginfo_t *info, void *context) {
  testkit *k = info->si_value.sival_ptr;
  rt *r;

  (void)signum;
  (void)context;
  if (info->si_code != SI_TIMER || k == NULL || !k->alarmed) return;
  r = k->r;
  if (r->current == NULL || r->inner == NULL || r->loop.switches != k->seen)
    k->seen = r->loop.switches;
  else {
    lua_sethook(r->inner, break_loop, HOOKS, 1);
    if (k->raised >= PATIENCE) signals_hook_chain(r, break_loop, HOOKS, 1);
  }
}

void overrun_stop(testkit *k) {
  if (!k->alarmed) return;
  k->alarmed = 0;
  timer_delete(k->alarm); /* a signal that was due has come when it returns */
  sigaction(SIGALRM, &k->alarm_was, NULL);
}

/* 0 or an errno. */
static int arm(testkit *k, int64_t ns) {
  struct sigaction sa;
  struct sigevent ev;
  struct itimerspec when;

  memset(&sa, 0, sizeof sa);
  sa.sa_sigaction = on_alarm;
  sa.sa_flags = SA_SIGINFO | SA_RESTART;
  sigemptyset(&sa.sa_mask);
  memset(&ev, 0, sizeof ev);
  ev.sigev_notify = SIGEV_THREAD_ID;
  ev.sigev_signo = SIGALRM;
  ev.sigev_value.sival_ptr = k;
  ev.sigev_notify_thread_id = (int)syscall(SYS_gettid);
  if (timer_create(CLOCK_MONOTONIC, &ev, &k->alarm) < 0) return errno;
  sigaction(SIGALRM, &sa, &k->alarm_was);
  k->alarmed = 1;
  k->seen = UINT64_MAX;
  when.it_value.tv_sec = ns / 1000000000;
  when.it_value.tv_nsec = ns % 1000000000;
  when.it_interval.tv_sec = 0;
  when.it_interval.tv_nsec = TICK_NS;
  timer_settime(k->alarm, 0, &when, NULL);
  return 0;
}

#else

void overrun_stop(testkit *k) { (void)k; }

#endif

/* testkit.alarm(seconds): from then on a loop that never waits is broken.
** testkit.alarm(): no more; returns the tree as it was at the first break. */
static int l_alarm(lua_State *L) {
  testkit *k = testkit_of(L, rt_of(L));

  lua_settop(L, 1);
  overrun_stop(k);
#if HAVE_ALARM
  if (!lua_isnil(L, 1)) {
    int64_t ns = lx_seconds(L, 1, &k->seconds);
    int rc;
    if (ns == INT64_MAX) return 0;
    k->raised = 0;
    rc = arm(k, ns > 0 ? ns : 1);
    if (rc != 0) return luaL_error(L, "testkit.alarm: %s", strerror(rc));
    return 0;
  }
#endif
  testkit_push_table(L, k);
  lua_getfield(L, 2, "dump");
  lua_pushnil(L);
  lua_setfield(L, 2, "dump");
  return 1;
}

static const luaL_Reg functions[] = {{"alarm", l_alarm}, {NULL, NULL}};

void overrun_open(lua_State *L, rt *r) { lx_functions(L, r, functions); }
