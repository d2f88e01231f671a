/*
** testkit.h -- what neap.test needs of the core: to know when all others are
** blocked, real time beside a virtual clock, and each wait of a task.
*/
#ifndef core_testkit_h
#define core_testkit_h

#include <signal.h>
#include <time.h>

#include "core/rt.h"

/*
** One for each runtime, made at first use; rt.kit.
**
** K1  idle and check run if and only if `settlers` is not empty.
** K2  loop.run_task is ours if and only if `probes` is not empty.
*/
typedef struct testkit {
  rt *r;
  int ref;           /* user value 1: a table, see sweep.c and overrun.c */
  uv_timer_t limit;  /* real time, whatever clock the run has */
  neap_wait *waiter; /* who is in join with a limit, and for which task */
  task *joined;
  uv_idle_t idle;    /* settle: do not block, and look after the poll */
  uv_check_t check;
  list settlers;
  list probes;
  void (*run_task)(neap_loop *loop, ready *item);

  timer_t alarm; /* overrun.c */
  struct sigaction alarm_was;
  volatile sig_atomic_t alarmed; /* the timer is set, the handler is ours */
  int raised;                    /* how often the alarm broke a loop */
  uint64_t seen;                 /* loop.switches at the last alarm */
  double seconds;
} testkit;

testkit *testkit_of(lua_State *L, rt *r);

/* Push the kit's table. */
void testkit_push_table(lua_State *L, const testkit *k);

void overrun_stop(testkit *k);

/* A task whose `probed` is set is at a checkpoint. */
void testkit_entered(lua_State *L, task *t, const char *what);

/* Functions for the table on top. */
void sweep_open(lua_State *L, rt *r);
void overrun_open(lua_State *L, rt *r);

void testkit_open(lua_State *L, rt *r);

#endif
