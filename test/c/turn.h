/*
** turn.h -- what a C test of the run room needs in the core's place: waking,
** and turning the loop until nobody can be woken any more.
*/
#ifndef test_turn_h
#define test_turn_h

#include "run/co.h"
#include "run/loop.h"

/* The core wakes tasks and frames; here there are frames only. */
void wait_wake(neap_wait *w, int rc) {
  neap_co *co = w->who;
  if (co != NULL) co_wake(co, rc);
}

static inline void turn(neap_loop *l) {
  do loop_drain(l);
  while (loop_poll(l));
}

#endif
