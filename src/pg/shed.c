/*
** shed.c -- a pool that cannot keep up refuses some, early, so that the others
** are served in time: no more than max_waiting in line; and with a
** queue_target, when even the shortest wait of an interval was above it, those
** who have waited twice as long leave (CoDel). How long the waits were.
*/
#include "pg/pool.h"

int shed_admit(pool *p) {
  unsigned waiting = pool_waiting(p) + p->nfollow;

  if (p->cfg.max_waiting == 0 || waiting < (unsigned)p->cfg.max_waiting)
    return RC_OK;
  p->stats.shed++;
  return RC_OVERLOADED;
}

/* ORDER WAIT_BUCKETS, l_stats.c */
static int bucket_of(int64_t ns) {
  int64_t limit = 1000000;
  int i;

  for (i = 0; i < WAIT_BUCKETS - 1 && ns > limit; i++) limit *= 10;
  return i;
}

void shed_served(pool *p, wait_stats *s, int64_t ns) {
  s->n++;
  s->bucket[bucket_of(ns)]++;
  s->total_ns += ns;
  if (ns > s->max_ns) s->max_ns = ns;
  if (ns < p->shed_least) p->shed_least = ns;
}

static void start_interval(pool *p, int64_t now) {
  p->shed_least = INT64_MAX;
  p->shed_until = now + p->cfg.shed_interval_ns;
}

static void drop_late(pool *p, int64_t before) {
  query *q;
  lease *l;

  while ((q = pool_first_query(p)) != NULL && q->begun < before) {
    pool_unqueue(p, q);
    p->stats.shed++;
    query_finish(q, RC_OVERLOADED);
  }
  while ((l = pool_first_claim(p)) != NULL && l->begun < before) {
    p->stats.shed++;
    pool_fail_claim(p, l, RC_OVERLOADED);
  }
}

void shed_late(pool *p) {
  int64_t now = neap_->now(p->loop);

  if (pool_waiting(p) == 0) {
    p->shed_until = 0;
    p->shedding = 0;
    return;
  }
  if (p->shed_until == 0) start_interval(p, now);
  if (now >= p->shed_until) {
    p->shedding = p->shed_least > p->cfg.shed_ns;
    start_interval(p, now);
  }
  if (p->shedding) drop_late(p, now - 2 * p->cfg.shed_ns);
}
