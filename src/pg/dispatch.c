/*
** dispatch.c -- which statement goes to which connection, and when another
** connection is made (postgres.md 4.1.2). Claims of whole connections are
** served here too, so that nobody overtakes.
*/
#include "pg/pool.h"

#define OPEN_THRESHOLD 2      /* a lane of this depth is not "nearly free" */
#define UNKNOWN_NS 5000000    /* patience with a statement without history */

/* Dialling. */

void pool_count_dials(pool *p) {
  int on = pool_waiting(p) > 0 || p->strict || !list_empty(&p->drainers);

  if (p->dialling == 0) return;
  LIST_EACH(n, &p->all) {
    conn *c = container_of(n, conn, every);
    if (c->state == CONN_DIALING) conn_count(c, on);
  }
}

static int free_slot(pool *p) {
  int i;

  for (i = 0; i < pool_capacity(p); i++)
    if (!p->slots[i]) return i;
  return -1;
}

static int may_dial(const pool *p) {
  return p->state != POOL_CLOSED && p->size < pool_capacity(p) &&
         p->dialling < p->cfg.warmup_parallel &&
         neap_->now(p->loop) >= p->dial_after;
}

static int dial(pool *p) {
  int slot = free_slot(p);
  conn *c = slot < 0 ? NULL : conn_new(p, slot);

  if (c == NULL) {
    pool_no_dial(p);
    return NEAP_ENOMEM;
  }
  p->slots[slot] = 1;
  p->size++;
  p->dialling++;
  conn_open(c);
  return 0;
}

static void dial_for(pool *p, unsigned wanted) {
  while ((unsigned)(p->dialling + p->pinging) < wanted && may_dial(p))
    if (dial(p) < 0) break;
  if (p->size < pool_capacity(p) && pool_waiting(p) > 0 &&
      neap_->now(p->loop) < p->dial_after &&
      neap_->timer_start(p->loop, &p->redial, p->dial_after) < 0)
    pool_no_dial(p);
}

/* Fewer than are to be there, or to be at rest? */
static int wants_more(const pool *p) {
  int idle = p->dialling;

  if (p->size < p->cfg.min) return 1;
  if (p->cfg.min_idle == 0 || p->size >= p->cfg.max) return 0;
  LIST_EACH(n, (list *)&p->idle) idle++;
  return idle < p->cfg.min_idle;
}

void pool_fill(pool *p) {
  if (p->state != POOL_OPEN) return;
  while (wants_more(p) && may_dial(p))
    if (dial(p) < 0) break;
  pool_count_dials(p);
}

/* Choosing a lane (postgres.md 4.1.2). */

/* Take the connection that was idle last, if it is still good. */
conn *pool_take_idle(pool *p) {
  node *n;

  while ((n = list_first(&p->idle)) != NULL) {
    conn *c = container_of(n, conn, link);
    int fit;
    if (p->pinging > 0 && (unsigned)p->pinging >= pool_waiting(p)) return NULL;
    conn_ref(c);
    fit = health_fit(c);
    if (fit) node_remove(&c->link);
    conn_unref(c);
    if (fit) return c;
  }
  return NULL;
}

static int takes_more(const conn *c) {
  return conn_ready(c) && !c->reserved && !c->doomed && list_empty(&c->pending);
}

/* A lane that will be free in a moment. */
static conn *nearly_free(pool *p) {
  if (p->cfg.max_pipeline < OPEN_THRESHOLD) return NULL;
  LIST_EACH(n, &p->busy) {
    conn *c = container_of(n, conn, link);
    if (c->depth < OPEN_THRESHOLD && c->slow == 0 && takes_more(c)) return c;
  }
  return NULL;
}

/* The lane with the least to do; never behind something long. */
static conn *least_busy(pool *p) {
  conn *best = NULL;
  int64_t now = 0;

  if (p->cfg.max_pipeline < 2) return NULL;
  LIST_EACH(n, &p->busy) {
    conn *c = container_of(n, conn, link);
    if (c->depth >= (unsigned)p->cfg.max_pipeline || c->heavy > 0 ||
        !takes_more(c))
      continue;
    if (best != NULL && c->work_ns >= best->work_ns) continue;
    if (c->unknown > 0) {
      if (now == 0) now = pool_now();
      if (now - c->head_since > UNKNOWN_NS) continue;
    }
    best = c;
  }
  return best;
}

void pool_lease_to(conn *c, lease *l) {
  c->use = USE_LEASED;
  c->lease = l;
  c->reserved = 0;
  list_append(&c->pool->leased, &c->link);
  if (l != NULL) {
    l->conn = c;
    l->lost = 0;
  }
}

/* Hand q to c, which is in no list (idle before) or in pool->busy. The ref of
** the queue goes with it. */
static void give(pool *p, conn *c, query *q) {
  if (q->state == Q_QUEUED)
    shed_served(p, &p->stats.queue_wait, neap_->now(p->loop) - q->begun);
  if (c->use == USE_IDLE) {
    c->use = USE_SHARED;
    list_prepend(&p->busy, &c->link);
  }
  conn_submit(c, q);
}

/* q gets a connection on which on_connect has not run yet: its task does. */
static void give_fresh(conn *c, query *q) {
  c->use = USE_LEASED;
  c->in_setup = 1;
  list_append(&c->pool->leased, &c->link);
  conn_ref(c);
  if (q->conn != NULL) conn_unref(q->conn);
  q->conn = c;
}

static void grant(conn *c, lease *l) {
  pool *p = c->pool;

  p->stats.granted++;
  shed_served(p, &p->stats.acquire_wait, neap_->now(p->loop) - l->begun);
  pool_lease_to(c, l);
  neap_->timer_stop(c->pool->loop, &l->timer);
  l->rc = RC_OK;
  neap_wake(&l->wait, RC_OK);
}

lease *pool_first_claim(const pool *p) {
  node *n = list_first((list *)&p->claims);
  return n ? container_of(n, lease, link) : NULL;
}

query *pool_first_query(const pool *p) {
  node *n = list_first((list *)&p->queue);
  return n ? container_of(n, query, link) : NULL;
}

void pool_unqueue(pool *p, query *q) {
  node_remove(&q->link);
  p->nqueue--;
}

void pool_leave(pool *p, lease *l) {
  node_remove(&l->link);
  p->nclaims--;
}

/* Idle connections to those who wait longest. */
static void serve_idle(pool *p) {
  while (pool_waiting(p) > 0) {
    lease *l = pool_first_claim(p);
    query *q = pool_first_query(p);
    conn *c = pool_take_idle(p);
    if (c == NULL) return;
    if (l != NULL && (q == NULL || l->seq < q->seq)) {
      pool_leave(p, l);
      grant(c, l);
    } else if (c->fresh) {
      pool_unqueue(p, q);
      give_fresh(c, q);
      query_finish(q, RC_SETUP);
    } else {
      pool_unqueue(p, q);
      give(p, c, q);
    }
  }
}

/* Statements to lanes that others use. The first ones, for whom connections
** are being made, wait for those. */
static void serve_shared(pool *p) {
  int i = 0;

  LIST_EACH_SAFE(n, &p->queue) {
    query *q = container_of(n, query, link);
    conn *c = nearly_free(p);
    if (c == NULL && i >= p->dialling) {
      c = least_busy(p);
      if (c == NULL) break;
    }
    if (c != NULL) {
      pool_unqueue(p, q);
      give(p, c, q);
    } else
      i++;
  }
}

/* Claims would starve on lanes that are never empty: close some to others. */
static void reserve_lanes(pool *p) {
  int wanted = (int)p->nclaims - p->dialling, have = 0;

  if (wanted <= 0 && p->reserved == 0) return;
  LIST_EACH(n, &p->busy) {
    conn *c = container_of(n, conn, link);
    if (!c->reserved) continue;
    if (++have > wanted) c->reserved = 0, have--;
  }
  while (have < wanted) {
    conn *best = NULL;
    LIST_EACH(n, &p->busy) {
      conn *c = container_of(n, conn, link);
      if (!c->reserved && (best == NULL || c->work_ns < best->work_ns))
        best = c;
    }
    if (best == NULL) break;
    best->reserved = 1;
    have++;
  }
  p->reserved = have;
}

void pool_pump(pool *p) {
  p->pump_again = 1;
  if (p->pumping) return; /* it goes round once more */
  p->pumping = 1;
  neap_->body_pin(&p->body);
  while (p->pump_again && p->state != POOL_CLOSED) {
    p->pump_again = 0;
    if (p->cfg.shed_ns > 0) shed_late(p);
    if (pool_waiting(p) > 0) {
      serve_idle(p);
      dial_for(p, pool_waiting(p));
    }
    reserve_lanes(p);
    if (p->nqueue > 0) serve_shared(p);
    pool_count_dials(p);
  }
  if (pool_waiting(p) == 0) neap_->timer_stop(p->loop, &p->redial);
  if (p->cfg.min_idle > 0) pool_fill(p);
  p->pumping = 0;
  neap_->body_unpin(&p->body);
}

/* The lane for a statement that has just come, or NULL: it has to wait, like
** those before it, or for a connection that is being made. */
static conn *choose(pool *p) {
  conn *c = NULL;

  if (pool_waiting(p) == 0 && (c = pool_take_idle(p)) != NULL) return c;
  if (p->nqueue > 0) return NULL;
  if ((c = nearly_free(p)) != NULL) return c;
  if (may_dial(p) || pool_waiting(p) < (unsigned)p->dialling) return NULL;
  return least_busy(p);
}

int pool_submit(pool *p, query *q) {
  conn *c;

  if (p->state == POOL_CLOSED) return RC_CLOSED;
  q->seq = ++p->seq;
  c = choose(p);
  if (c != NULL && c->fresh) {
    give_fresh(c, q);
    return RC_SETUP;
  }
  q->refs++;
  if (c != NULL) {
    give(p, c, q);
    return RC_OK;
  }
  if (shed_admit(p) != RC_OK) {
    query_unref(q);
    return RC_OVERLOADED;
  }
  q->state = Q_QUEUED;
  list_append(&p->queue, &q->link);
  p->nqueue++;
  if (query_arm(q) < 0) {
    pool_unqueue(p, q);
    q->state = Q_NEW;
    query_unref(q);
    return RC_NOMEM;
  }
  pool_pump(p);
  return RC_OK;
}

void pool_again(query *q) {
  pool *p = q->pool;

  q->state = Q_QUEUED;
  list_prepend(&p->queue, &q->link);
  p->nqueue++;
  query_arm(q);
  pool_pump(p);
}

void pool_withdraw(query *q) {
  pool *p = q->pool;

  pool_unqueue(p, q);
  if (pool_waiting(p) == 0) neap_->timer_stop(p->loop, &p->redial);
}

