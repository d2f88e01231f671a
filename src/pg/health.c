/*
** health.c -- is a connection still good, is the server still the one to talk
** to? What was idle for long is asked before it is lent; when several break at
** once, or a server that wrote may only read, all of them are replaced.
*/
#include <string.h>

#include "pg/pool.h"

#define PEEK_NS INT64_C(1000000000)   /* idle for less: taken as it is */
#define WINDOW_NS INT64_C(1000000000) /* so many losses within this ... */

/* Ask the server, behind the back of those who wait: clean.c. */
static void ping(conn *c) {
  pool *p = c->pool;

  node_remove(&c->link);
  list_append(&p->leased, &c->link);
  c->pinging = 1;
  p->pinging++;
  p->stats.pings++;
  conn_clean(c);
}

int health_fit(conn *c) {
  pool *p = c->pool;
  int64_t idle = neap_->now(p->loop) - c->idle_since;

  if (idle > PEEK_NS && !conn_alive(c))
    conn_lost(c, "io", "ECONNRESET", "the server closed the connection");
  if (c->state != CONN_OPEN || c->use != USE_IDLE) return 0;
  if (p->cfg.ping_ns == 0 || idle < p->cfg.ping_ns) return 1;
  if (c->vouched && idle < PEEK_NS) {
    c->vouched = 0;
    return 1;
  }
  ping(c);
  return 0;
}

static void failover(pool *p, int64_t now) {
  if (p->failover_at != 0 && now - p->failover_at < WINDOW_NS) return;
  p->failover_at = now;
  p->stats.failovers++;
  pool_expire(p);
}

/* Three in a second are no accident: what is left is of the same server. */
void health_lost(pool *p) {
  int64_t now = pool_now(), oldest;

  p->losses[p->loss++ % countof(p->losses)] = now;
  oldest = p->losses[p->loss % countof(p->losses)];
  if (p->state == POOL_OPEN && oldest != 0 && now - oldest < WINDOW_NS)
    failover(p, now);
}

static int is_on(const conn *c, const char *name) {
  const char *v = PQparameterStatus(c->pg, name);
  return v != NULL && strcmp(v, "on") == 0;
}

/* A transaction that was declared read-only gets 25006 as well: only a server
** that says so of itself has changed its part. */
void health_read_only(conn *c) {
  pool *p = c->pool;

  if (p->state != POOL_OPEN || c->doomed) return;
  if (is_on(c, "in_hot_standby") || is_on(c, "default_transaction_read_only"))
    failover(p, pool_now());
}
