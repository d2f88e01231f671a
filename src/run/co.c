/*
** co.c -- drives C coroutines. When a frame ends, its parent is entered in
** the same loop: no recursion, however deep the awaits are nested.
**
**   IDLE -> RUNNING     co_enter, co_call, co_run
**   RUNNING -> PARKED   an await that is pending
**   PARKED -> QUEUED    co_wake, co_cancel
**   QUEUED -> RUNNING   co_run
**   RUNNING -> DONE     the step returned a result
*/
#include "run/co.h"

#include <string.h>

/*
** C1  cancelled is 0, 1 (asked for, not yet delivered) or 2 (delivered).
** C2  One that nobody awaits (co_start) stands in loop.alone by its joiner,
**     until it has ended.
*/

void co_init(neap_loop *l, neap_co *co, int (*step)(neap_co *),
             const char *name) {
  memset(co, 0, sizeof *co);
  co->kind = READY_CO;
  co->state = CO_IDLE;
  co->loop = l;
  co->step = step;
  co->name = name;
}

static ready *as_ready(neap_co *co) { return (ready *)(void *)co; }

static node *alone(neap_co *co) { return (node *)(void *)&co->joiner; }

void co_start(neap_co *co) {
  list_append(&co->loop->alone, alone(co));
  co->state = CO_QUEUED;
  ready_push(co->loop, as_ready(co));
}

/* Step co; climb into its parents as they become able to go on. */
static int drive(neap_co *co, neap_co *root) {
  for (;;) {
    neap_co *up;
    int rc;

    co->state = CO_RUNNING;
    rc = likely(co->loop->step_co == NULL) ? co->step(co)
                                           : co->loop->step_co(co);
    if (rc == NEAP_PENDING) {
      if (co->state == CO_RUNNING) co->state = CO_PARKED;
      return rc;
    }
    co->state = CO_DONE;
    co->rc = rc;
    up = co->parent;
    if (co == root || up == NULL) return rc;
    co->parent = NULL;
    up->child = NULL;
    up->rc = rc;
    if (co->done != NULL) co->done(co);
    co = up;
  }
}

static void finish(neap_co *co) {
  node_remove(alone(co));
  wait_wake(&co->joiner, co->rc);
  if (co->done != NULL) co->done(co); /* may free the frame */
}

void co_run(neap_co *co) {
  neap_co *root = co;
  while (root->parent != NULL) root = root->parent;
  if (drive(co, root) != NEAP_PENDING) finish(root);
}

int co_enter(neap_co *co) { return drive(co, co); }

int co_call(neap_co *co, neap_co *child) {
  int rc;

  child->parent = co;
  co->child = child;
  child->cancelled = co->cancelled; /* one that is pending reaches the leaf */
  child->housekeeping = co->housekeeping;
  rc = drive(child, child);
  if (rc == NEAP_PENDING) return rc;
  co->child = NULL;
  child->parent = NULL;
  if (child->done != NULL) child->done(child);
  return rc;
}

static void delivered(neap_co *co) {
  for (; co != NULL; co = co->parent) co->cancelled = 2;
}

int co_park(neap_co *co, const neap_op *op) {
  co->wait.op = op;
  co->wait.who = NULL;
  if (co->cancelled == 1) {
    delivered(co);
    if (op->abort != NULL && op->abort(&co->wait) == 0) return NEAP_ECANCELED;
  }
  co->wait.who = co;
  co->state = CO_PARKED;
  if (co->wait.flags & NEAP_COUNTED) co->loop->counted++;
  return NEAP_PENDING;
}

static void unpark(neap_co *co, int rc) {
  co->wait.who = NULL;
  if (co->wait.flags & NEAP_COUNTED) co->loop->counted--;
  co->rc = rc;
  co->state = CO_QUEUED;
  ready_push(co->loop, as_ready(co));
}

void co_wake(neap_co *co, int rc) { unpark(co, rc); }

void co_cancel(neap_co *co) {
  if (co->state == CO_DONE || co->cancelled) return;
  for (;; co = co->child) {
    co->cancelled = 1;
    if (co->child == NULL) break;
  }
  if (co->wait.who != co) return; /* running or queued: at its next await */
  delivered(co);
  if (co->wait.op->abort == NULL || co->wait.op->abort(&co->wait) != 0) return;
  if (co->wait.who == co) unpark(co, NEAP_ECANCELED);
}

/* Sleeping: the timer lives beside the wait, in a small record of its own. */
typedef struct nap {
  neap_timer timer;
  neap_co *co;
} nap;

static void on_nap(neap_timer *t) {
  nap *n = container_of(t, nap, timer);
  neap_co *co = n->co;

  co->wait.next = NULL;
  base_free(n);
  wait_wake(&co->wait, 0);
}

static int abort_nap(neap_wait *w) {
  nap *n = (nap *)(void *)w->next; /* the field is ours while we park */

  w->next = NULL;
  timer_stop(n->co->loop, &n->timer);
  base_free(n);
  return 0;
}

static const neap_op op_nap = {"sleep", abort_nap};

int co_sleep(neap_co *co, int64_t ns) {
  nap *n = base_alloc(sizeof *n);

  if (n == NULL) return NEAP_ENOMEM;
  n->co = co;
  n->timer.fire = on_nap;
  n->timer.flags = co->housekeeping ? 0 : NEAP_COUNTED;
  if (timer_start(co->loop, &n->timer, loop_now(co->loop) + ns) < 0) {
    base_free(n);
    return NEAP_ENOMEM;
  }
  co->wait.next = (neap_wait *)(void *)n;
  return co_park(co, &op_nap);
}
