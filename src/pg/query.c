/*
** query.c -- see query.h.
*/
#include "pg/query.h"

#include <string.h>

#include "pg/notice.h"

#define CHUNK 32 /* queries allocated at once */

/* Queries live in chunks that only the pool frees: a task that was given up
** may never let go of its query. */
struct query_chunk {
  struct query_chunk *next;
  query all[CHUNK];
};

static int refill(pool *p) {
  struct query_chunk *k = base_alloc(sizeof *k);
  int i;

  if (k == NULL) return NEAP_ENOMEM;
  k->next = p->chunks;
  p->chunks = k;
  for (i = CHUNK - 1; i >= 0; i--) {
    k->all[i].next = p->free;
    p->free = &k->all[i];
  }
  return 0;
}

static void on_limit(neap_timer *t);

query *query_new(pool *p) {
  query *q;
  args a;

  if (p->free == NULL && refill(p) < 0) return NULL;
  q = p->free;
  p->free = q->next;
  a = q->args; /* its buffers are used again */
  memset(q, 0, sizeof *q);
  q->args = a;
  args_reset(&q->args);
  q->pool = p;
  q->refs = 1;
  p->live++;
  q->flags = QF_WAITED;
  q->deadline = q->acquire_by = INT64_MAX;
  q->timer.fire = on_limit;
  q->timer.flags = NEAP_COUNTED;
  return q;
}

static void clear(query *q) {
  notice_clear(q);
  PQclear(q->res);
  q->res = NULL;
  stmt_unref(q->stmt);
  q->stmt = NULL;
  if (q->conn != NULL) conn_unref(q->conn);
  q->conn = NULL;
}

void query_unref(query *q) {
  pool *p = q->pool;

  if (--q->refs > 0) return;
  query_stop_leading(q);
  neap_->timer_stop(p->loop, &q->timer);
  clear(q);
  args_shrink(&q->args);
  q->next = p->free; /* wait.flags stays: the core reads it after abort() */
  p->free = q;
  if (--p->live == 0) pool_rest(p);
}

void query_free_all(pool *p) {
  struct query_chunk *k;
  int i;

  while ((k = p->chunks) != NULL) {
    p->chunks = k->next;
    for (i = 0; i < CHUNK; i++) {
      neap_->timer_stop(p->loop, &k->all[i].timer);
      clear(&k->all[i]);
      args_fini(&k->all[i].args);
    }
    base_free(k);
  }
  p->free = p->guard = NULL;
  p->live = 0;
}

void query_set_stmt(query *q, stmt *s) {
  if (s != NULL) stmt_ref(s);
  stmt_unref(q->stmt);
  q->stmt = s;
}

/* Those who wait for q's description try for themselves, or find it there. */
void query_stop_leading(query *q) {
  if (!(q->flags & QF_LEADER)) return;
  q->flags &= ~QF_LEADER;
  q->stmt->describing = 0;
  for (node *n; (n = list_shift(&q->stmt->followers)) != NULL;)
    query_finish(container_of(n, query, link), RC_AGAIN);
}

static void leave_followers(query *q) {
  if (q->state == Q_FOLLOWING) q->pool->nfollow--;
}

void query_follow(query *q) {
  q->pool->nfollow++;
  q->state = Q_FOLLOWING;
  q->flags |= QF_FOLLOWED;
  list_append(&q->stmt->followers, &q->link);
  query_arm(q);
}

void query_finish(query *q, int rc) {
  neap_->timer_stop(q->pool->loop, &q->timer);
  leave_followers(q);
  q->state = Q_DONE;
  q->rc = rc;
  if (q->flags & QF_INTERNAL) {
    if (q->settled != NULL) q->settled(q);
  } else
    neap_wake(&q->wait, rc);
  query_stop_leading(q); /* after the leader itself */
  query_unref(q);
}

/* Out of whatever holds it, or cancelled there. */
static void withdraw(query *q) {
  switch (q->state) {
  case Q_QUEUED:
    pool_withdraw(q);
    query_stop_leading(q);
    query_unref(q);
    break;
  case Q_FOLLOWING:
  case Q_PENDING:
    leave_followers(q);
    node_remove(&q->link);
    if (q->state == Q_PENDING) conn_recount(q->conn);
    query_stop_leading(q);
    query_unref(q);
    break;
  case Q_SENT:
    q->flags |= QF_UNWANTED;
    conn_cancel(q->conn, q);
    break;
  default:
    break;
  }
  q->flags |= QF_UNWANTED;
}

/* What q was asked for is answered and nobody's any more. */
static void query_detach_behind(query *q) {
  query *m = q->behind, *next;

  for (q->behind = NULL; m != NULL; m = next) {
    next = m->next;
    m->flags &= ~QF_WAITED;
    query_unref(m);
  }
}

void query_detach(query *q) {
  query *next;

  neap_->timer_stop(q->pool->loop, &q->timer);
  for (; q != NULL; q = next) {
    next = q->next;
    if (!(q->flags & QF_MEMBER)) withdraw(q);
    q->flags &= ~QF_WAITED;
    q->flags |= QF_UNWANTED;
    query_detach_behind(q);
    query_unref(q);
  }
}

int query_arm(query *q) {
  int64_t when = q->deadline;

  if (q->state <= Q_QUEUED && q->acquire_by < when) when = q->acquire_by;
  if (when != INT64_MAX)
    return neap_->timer_start(q->pool->loop, &q->timer, when);
  neap_->timer_stop(q->pool->loop, &q->timer);
  return 0;
}

/* The waiter is told at once; what was sent is cancelled behind its back. */
static void on_limit(neap_timer *t) {
  query *q = container_of(t, query, timer);
  int64_t now = neap_->now(q->pool->loop);
  int rc = q->deadline <= now ? RC_TIMEOUT : RC_POOL_TIMEOUT;

  q->refs++;
  q->pool->stats.timeouts++;
  if (q->flags & QF_END) /* the outcome would be unknown: end the session */
    conn_lost(q->conn, "timeout", NULL, "no answer within the time limit");
  else {
    query *m;
    withdraw(q);
    for (m = q; m != NULL; m = m->next) m->flags |= QF_UNWANTED;
    neap_wake(&q->wait, rc);
  }
  query_unref(q);
}

static int abort_query(neap_wait *w) {
  query_detach(container_of(w, query, wait));
  return 0;
}

void query_name(query *q, const char *what) {
  q->what = q->op.name = what;
  q->op.abort = abort_query;
  q->wait.op = &q->op;
}

const neap_op commit_op = {"tx:commit", NULL};
