/*
** cancel.c -- cancelling a statement that is running on the server, and the
** fence behind it. PQcancel blocks and is aimed at the backend, whatever it
** runs: so it is called on the thread pool, only while the statement that
** nobody wants is at the head of its lane, and the lane is used again only
** after an empty statement has come back behind it.
*/
#include <string.h>

#include "pg/copy.h"

#define ROUND_NS INT64_C(1000000000)
#define ROUNDS 5 /* until the connection is given up */

typedef struct cancel_job {
  neap_work work;
  PGcancel *handle;
  pool *pool; /* [pin] */
  conn *conn; /* NULL: left to itself */
} cancel_job;

static void run_cancel(neap_work *w) { /* on another thread */
  char text[256];

  PQcancel(container_of(w, cancel_job, work)->handle, text, sizeof text);
}

static void on_cancelled(neap_work *w, int rc) {
  cancel_job *j = container_of(w, cancel_job, work);
  conn *c = j->conn;
  pool *p = j->pool;

  (void)rc;
  PQfreeCancel(j->handle);
  base_free(j);
  p->jobs--;
  if (c != NULL) {
    c->cancel.job = NULL;
    conn_event(c);
  }
  pool_rest(p);
  neap_->body_unpin(&p->body);
}

/* 0, or a code and nothing was started. */
static int start_job(conn *c, int blindly) {
  cancel_job *j = base_alloc(sizeof *j);
  int rc;

  if (j == NULL) return NEAP_ENOMEM;
  j->work.run = run_cancel;
  j->work.done = on_cancelled;
  if ((j->handle = PQgetCancel(c->pg)) == NULL) {
    base_free(j);
    return NEAP_ENOMEM;
  }
  if ((rc = neap_->work_start(c->pool->loop, &j->work)) < 0) {
    PQfreeCancel(j->handle);
    base_free(j);
    return rc;
  }
  j->pool = c->pool;
  j->pool->jobs++;
  neap_->body_pin(&j->pool->body);
  if (!blindly) {
    j->conn = c;
    c->cancel.job = j;
  }
  c->pool->stats.cancels++;
  return 0;
}

void conn_leave_cancel(conn *c) {
  if (c->cancel.job == NULL) return;
  c->cancel.job->conn = NULL;
  neap_->work_cancel(&c->cancel.job->work);
  c->cancel.job = NULL;
}

void conn_cancel_blindly(conn *c) {
  if (c->state == CONN_OPEN && (c->count > 0 || c->copying > COPY_QUEUED))
    start_job(c, 1);
}

static const neap_op op_lane = {"pg lane", NULL};

/* The first statement in flight that nobody wants. */
static query *find_victim(const conn *c) {
  unsigned i;

  for (i = 0; i < c->count; i++) {
    query *q = c->ring[(c->head + i) & (c->cap - 1)].q;
    if (q != NULL && (q->flags & QF_UNWANTED)) return q;
  }
  return NULL;
}

static int next_victim(conn *c) {
  if (c->cancel.victim != NULL) query_unref(c->cancel.victim);
  c->cancel.victim = c->state == CONN_OPEN ? find_victim(c) : NULL;
  if (c->cancel.victim != NULL) c->cancel.victim->refs++;
  return c->cancel.victim != NULL;
}

static void start_round(conn *c) {
  neap_->timer_start(c->pool->loop, &c->cancel.grace,
                     neap_->now(c->pool->loop) + ROUND_NS);
}

/* A request that overtook its statement on the way cancelled nothing: ask
** again. */
static void on_grace(neap_timer *t) {
  conn *c = container_of(t, conn, cancel.grace);

  if (++c->cancel.rounds < ROUNDS) {
    if (c->cancelling == CANCEL_SENT && c->cancel.job == NULL) start_job(c, 0);
    start_round(c);
    return;
  }
  conn_lost(c, "timeout", NULL,
            "the server did not answer a cancel request in time");
}

/* Is it the turn of one that nobody wants? */
static int at_head(const conn *c) {
  const query *q = lane_head(c);
  return q != NULL && (q->flags & QF_UNWANTED);
}

/* Until the lane has taken a step. */
static int wait_lane(neap_co *co) { return neap_co_park(co, &op_lane); }

static int co_cancel(neap_co *co) {
  conn *c = container_of(co, conn, cancel.co);

  CO_BEGIN(co);
  while (next_victim(c) || copy_is_unwanted(c)) {
    c->cancelling = CANCEL_ARMED;
    while (lane_holds(c, c->cancel.victim) && !at_head(c))
      CO_AWAIT(co, wait_lane(co));
    if (!lane_holds(c, c->cancel.victim) && !copy_is_unwanted(c))
      continue; /* over before its turn */
    c->cancelling = CANCEL_SENT;
    c->cancel.rounds = 0;
    start_round(c);
    if (start_job(c, 0) < 0) {
      conn_lost(c, "io", NULL, "no cancel request could be sent");
      break;
    }
    while (c->state == CONN_OPEN &&
           (c->cancel.job != NULL || lane_holds(c, c->cancel.victim) ||
            c->copying > COPY_QUEUED))
      CO_AWAIT(co, wait_lane(co));
    if (c->state != CONN_OPEN) break;
    /* The signal may still be on its way inside of the backend. */
    c->cancelling = CANCEL_FENCE;
    if (conn_service(c, "") < 0) {
      conn_lost(c, "io", NULL, "no fence could be sent");
      break;
    }
    while (c->state == CONN_OPEN && c->service != NULL)
      CO_AWAIT(co, wait_lane(co));
    neap_->timer_stop(co->loop, &c->cancel.grace);
  }
  CO_END(co, 0);
}

static void on_cancel_done(neap_co *co) {
  conn *c = container_of(co, conn, cancel.co);

  if (c->cancel.victim != NULL) query_unref(c->cancel.victim);
  c->cancel.victim = NULL;
  c->cancelling = CANCEL_NONE;
  neap_->timer_stop(co->loop, &c->cancel.grace);
  if (c->state == CONN_OPEN) {
    conn_feed(c);
    conn_event(c);
    if (c->state == CONN_OPEN) pool_settled(c);
  } else
    conn_leave_cancel(c);
  conn_unref(c);
}

void conn_cancel(conn *c, query *q) {
  (void)q; /* it carries QF_UNWANTED; the coroutine finds it */
  if (c->state != CONN_OPEN || c->cancelling != CANCEL_NONE) return;
  c->cancelling = CANCEL_ARMED;
  neap_->co_init(c->pool->loop, &c->cancel.co, co_cancel, "pg cancel");
  c->cancel.co.housekeeping = 1;
  c->cancel.co.done = on_cancel_done;
  c->cancel.grace.fire = on_grace;
  conn_ref(c);
  neap_->co_start(&c->cancel.co);
}
