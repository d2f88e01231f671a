/*
** pool.c -- see pool.h: leases, what the connections report, housekeeping,
** birth and end. Who gets which connection is dispatch.c.
*/
#include "pg/notes.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BACKOFF_MIN_NS INT64_C(50000000)
#define BACKOFF_MAX_NS INT64_C(2000000000)

int64_t pool_now(void) {
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Leases. */

static void lease_fini(neap_body *b) {
  lease *l = container_of(b, lease, body);

  PQclear(l->copied);
  notes_clear(l);
  neap_->body_unpin(&l->pool->body);
}

static void on_claim_time(neap_timer *t) {
  lease *l = container_of(t, lease, timer);

  pool_leave(l->pool, l);
  l->pool->stats.timeouts++;
  l->pool->stats.refused++;
  l->rc = RC_POOL_TIMEOUT;
  neap_wake(&l->wait, RC_POOL_TIMEOUT);
  pool_pump(l->pool);
}

static int abort_claim(neap_wait *w) {
  pool_unclaim(container_of(w, lease, wait));
  return 0;
}

lease *lease_new(pool *p) {
  lease *l = neap_->body_new(sizeof *l, lease_fini);

  if (l == NULL) return NULL;
  l->pool = p;
  list_init(&l->notes);
  l->timer.fire = on_claim_time;
  l->timer.flags = NEAP_COUNTED;
  l->op.name = "db:acquire";
  l->op.abort = abort_claim;
  l->wait.op = &l->op;
  neap_->body_pin(&p->body);
  return l;
}

int pool_claim(pool *p, lease *l, int64_t limit_ns) {
  conn *c;

  if (p->state == POOL_CLOSED) return RC_CLOSED;
  p->stats.acquires++;
  if (pool_waiting(p) == 0 && (c = pool_take_idle(p)) != NULL) {
    p->stats.granted++;
    pool_lease_to(c, l);
    if (p->cfg.min_idle > 0) pool_fill(p);
    return RC_OK;
  }
  if (shed_admit(p) != RC_OK) {
    p->stats.refused++;
    return RC_OVERLOADED;
  }
  l->begun = neap_->now(p->loop);
  l->seq = ++p->seq;
  list_append(&p->claims, &l->link);
  p->nclaims++;
  l->limit_ns = limit_ns;
  l->rc = NEAP_PENDING;
  if (limit_ns > 0 &&
      neap_->timer_start(p->loop, &l->timer, neap_->now(p->loop) + limit_ns) <
          0) {
    pool_leave(p, l);
    p->stats.refused++;
    return RC_NOMEM;
  }
  pool_pump(p);
  return l->rc; /* of somebody who did not wait long, or pending */
}

void pool_unclaim(lease *l) {
  neap_->timer_stop(l->pool->loop, &l->timer);
  if (!node_linked(&l->link)) return;
  pool_leave(l->pool, l);
  l->pool->stats.abandoned++;
  pool_pump(l->pool);
}

void pool_rest(pool *p) {
  if (!pool_quiet(p)) return;
  for (node *n; (n = list_shift(&p->drainers)) != NULL;)
    neap_wake((neap_wait *)(void *)n, 0);
}

void lease_release(lease *l) {
  conn *c = l->conn;

  l->conn = NULL;
  l->in_tx = l->failed = 0;
  if (c == NULL) return;
  c->lease = NULL;
  if (l->pool->cfg.reset == RESET_ALWAYS) c->dirty = 1;
  if (l->pool->cfg.reset == RESET_NEVER) c->dirty = 0;
  conn_clean(c);
}

void lease_destroy(lease *l, int reason, const char *why) {
  conn *c = l->conn;

  if (c == NULL) return;
  conn_cancel_blindly(c);
  conn_close(c, reason, why);
}

/* From the connections. */

static const char over[] = "its time was over";

/* Why c is not to be used again, or -1. */
static int retired(const pool *p, const conn *c) {
  if (c->doomed) return CLOSE_EXPIRED;
  if (p->size > p->cfg.max && pool_waiting(p) == 0) return CLOSE_SURPLUS;
  if (p->size > p->cfg.max) return -1;
  if (p->cfg.max_uses > 0 && c->uses >= (uint64_t)p->cfg.max_uses)
    return CLOSE_USES;
  if (c->retire_at != 0 && neap_->now(p->loop) >= c->retire_at)
    return CLOSE_LIFETIME;
  return -1;
}

static void end_ping(conn *c) {
  c->pool->pinging -= c->pinging;
  c->vouched = c->pinging;
  c->pinging = 0;
}

void pool_free(conn *c) {
  pool *p = c->pool;
  int reason;

  node_remove(&c->link);
  c->reserved = c->in_setup = 0;
  if (PQtransactionStatus(c->pg) != PQTRANS_IDLE) {
    conn_lost(c, "io", NULL, "a statement left a transaction open");
    return;
  }
  if ((reason = retired(p, c)) >= 0) {
    conn_close(c, reason, over);
    return;
  }
  c->use = USE_IDLE;
  c->idle_since = neap_->now(p->loop);
  end_ping(c);
  list_prepend(&p->idle, &c->link);
  pool_pump(p);
  pool_rest(p);
}

void pool_settled(conn *c) {
  pool *p = c->pool;

  if (c->use == USE_SHARED && c->depth == 0 && c->count == 0 &&
      c->cancelling == CANCEL_NONE && list_empty(&c->pending)) {
    if (!list_empty(&c->drop)) {
      node_remove(&c->link);
      list_append(&p->leased, &c->link);
      conn_clean(c);
    } else
      pool_free(c);
  } else if (pool_waiting(p) > 0)
    pool_pump(p);
}

void pool_gone(conn *c) {
  pool *p = c->pool;

  node_remove(&c->link);
  node_remove(&c->every);
  end_ping(c);
  p->slots[c->slot] = 0;
  p->size--;
  neap_->body_pin(&p->body);
  conn_unref(c);
  pool_fill(p);
  pool_pump(p);
  pool_rest(p);
  neap_->body_unpin(&p->body);
}

/* What is no use trying again: tell those who wait. */
static int is_final(const conn_error *e) {
  return strcmp(e->code, "28P01") == 0 || strcmp(e->code, "28000") == 0 ||
         strcmp(e->code, "3D000") == 0 || strcmp(e->code, "TLS") == 0;
}

void pool_fail_claim(pool *p, lease *l, int rc) {
  pool_leave(p, l);
  p->stats.refused++;
  neap_->timer_stop(p->loop, &l->timer);
  l->rc = rc;
  neap_wake(&l->wait, rc);
}

static void fail_waiters(pool *p, int rc) {
  query *q;
  lease *l;

  while ((q = pool_first_query(p)) != NULL) {
    pool_unqueue(p, q);
    query_finish(q, rc);
  }
  while ((l = pool_first_claim(p)) != NULL) pool_fail_claim(p, l, rc);
}

static void back_off(pool *p) {
  int64_t wait = BACKOFF_MIN_NS << (p->dial_failures < 6 ? p->dial_failures : 6);

  if (wait > BACKOFF_MAX_NS) wait = BACKOFF_MAX_NS;
  p->dial_failures++;
  p->dial_after = neap_->now(p->loop) + wait;
}

void pool_no_dial(pool *p) {
  conn_error_set(&p->connect_error, "io", "ENOMEM", "not enough memory");
  p->stats.connect_failures++;
  back_off(p);
  if (p->strict || p->size == 0) fail_waiters(p, RC_CONNECT);
}

/* It was connected and its session could not be made what it must be. */
void pool_unusable(conn *c, const conn_error *e) {
  pool *p = c->pool;

  p->connect_error = *e;
  back_off(p);
  neap_->body_pin(&p->body);
  if (p->state == POOL_OPEN) fail_waiters(p, RC_CONNECT);
  conn_close(c, CLOSE_HOOK, e->text);
  neap_->body_unpin(&p->body);
}

void pool_dialled(conn *c, int rc) {
  pool *p = c->pool;

  p->dialling--;
  conn_count(c, 0);
  if (rc < 0) {
    c->state = CONN_DEAD;
    p->stats.connect_failures++;
    p->connect_error = c->error;
    if (rc != NEAP_ECANCELED) back_off(p);
    if (p->state == POOL_OPEN && (p->strict || is_final(&c->error)))
      fail_waiters(p, RC_CONNECT);
    pool_gone(c);
    return;
  }
  p->stats.connects++;
  p->dial_failures = 0;
  p->dial_after = 0;
  if (p->state == POOL_CLOSED || c->doomed || c->stale) {
    conn_close(c, c->stale ? CLOSE_EXPIRED : CLOSE_POOL, "the pool was closed");
    return;
  }
  c->born = neap_->now(p->loop);
  if (p->cfg.lifetime_ns > 0) /* a quarter earlier or not: not all at once */
    c->retire_at = c->born + p->cfg.lifetime_ns -
                   p->cfg.lifetime_ns / 4 * (int64_t)(p->stats.connects % 8) / 8;
  list_append(&p->leased, &c->link);
  conn_clean(c); /* puts the session right, and frees it */
}

/* Housekeeping. */

static int64_t keeper_period(const pool *p) {
  int64_t t = INT64_C(30000000000);

  if (p->cfg.idle_ns > 0 && p->cfg.idle_ns / 4 < t) t = p->cfg.idle_ns / 4;
  if (p->cfg.lifetime_ns > 0 && p->cfg.lifetime_ns / 4 < t)
    t = p->cfg.lifetime_ns / 4;
  return t < INT64_C(10000000) ? INT64_C(10000000) : t;
}

static void on_keeper(neap_timer *t) {
  pool *p = container_of(t, pool, keeper);
  int64_t now = neap_->now(p->loop);
  int idle = 0;

  neap_->body_pin(&p->body);
  LIST_EACH(n, &p->idle) idle++;
  LIST_EACH_SAFE(n, &p->idle) {
    conn *c = container_of(n, conn, link);
    int old = p->cfg.idle_ns > 0 && p->size > p->cfg.min &&
              idle > p->cfg.min_idle && now - c->idle_since >= p->cfg.idle_ns;
    int aged = c->retire_at != 0 && now >= c->retire_at;
    if (!old && !aged) continue;
    conn_close(c, aged ? CLOSE_LIFETIME : CLOSE_IDLE, over);
    idle--;
  }
  pool_fill(p);
  if (p->state == POOL_OPEN)
    neap_->timer_start(p->loop, &p->keeper, now + keeper_period(p));
  neap_->body_unpin(&p->body);
}

static void on_redial(neap_timer *t) {
  pool *p = container_of(t, pool, redial);

  pool_fill(p);
  pool_pump(p);
}

/* Birth and end. */

static void pool_fini(neap_body *b) {
  pool *p = container_of(b, pool, body);

  query_free_all(p);
  for (node *n; (n = list_shift(&p->stmts)) != NULL;)
    stmt_unref(container_of(n, stmt, link));
  args_fini(&p->scratch);
  type_map_fini(&p->types);
  base_free(p->values);
  base_free(p->lengths);
  base_free(p->formats);
  base_free(p->slots);
  dsn_fini(&p->dsn);
}

pool *pool_new(neap_loop *loop, list *module) {
  pool *p = neap_->body_new(sizeof *p, pool_fini);

  if (p == NULL) return NULL;
  p->loop = loop;
  p->module = module;
  list_init(&p->all);
  list_init(&p->idle);
  list_init(&p->busy);
  list_init(&p->leased);
  list_init(&p->queue);
  list_init(&p->claims);
  list_init(&p->stmts);
  type_map_init(&p->types);
  list_init(&p->drainers);
  p->keeper.fire = on_keeper;
  p->redial.fire = on_redial;
  p->redial.flags = NEAP_COUNTED; /* it runs only while somebody waits */
  p->pid = (int)getpid();
  return p;
}

/* What libpq 17 has and 15 has not. */
static void find_newer(pool *p) {
  void *lib = dlopen("libpq.so.5", RTLD_LAZY | RTLD_NOLOAD);

  if (lib == NULL) return;
  *(void **)&p->send_sync = dlsym(lib, "PQsendPipelineSync");
  dlclose(lib);
}

int pool_start(pool *p) {
  unsigned seed = (unsigned)pool_now() ^ (unsigned)p->pid << 16;

  p->slots = base_alloc((size_t)pool_capacity(p) + 1);
  if (p->slots == NULL) return NEAP_ENOMEM;
  snprintf(p->prefix, sizeof p->prefix, "%08x", seed * 2654435761u);
  find_newer(p);
  return neap_->timer_start(p->loop, &p->keeper,
                            neap_->now(p->loop) + keeper_period(p));
}

int pool_quiet(const pool *p) {
  return list_empty((list *)&p->busy) && list_empty((list *)&p->leased) &&
         p->nclaims == 0 && p->live == 0 && p->jobs == 0 &&
         (p->state != POOL_CLOSED || p->dialling == 0);
}

void pool_drain(pool *p) {
  if (p->state == POOL_OPEN) p->state = POOL_DRAINING;
  pool_count_dials(p);
}

void pool_refuse(pool *p) { fail_waiters(p, RC_CLOSED); }

void pool_close(pool *p, const char *why) {
  if (p->state == POOL_CLOSED) return;
  p->state = POOL_CLOSED;
  neap_->body_pin(&p->body);
  fail_waiters(p, RC_CLOSED);
  neap_->timer_stop(p->loop, &p->keeper);
  neap_->timer_stop(p->loop, &p->redial);
  for (;;) { /* from the start each time: closing one may close others */
    conn *open = NULL;
    LIST_EACH(n, &p->all) {
      conn *c = container_of(n, conn, every);
      if (c->state == CONN_OPEN) {
        open = c;
        break;
      }
    }
    if (open == NULL) break;
    conn_cancel_blindly(open);
    conn_close(open, CLOSE_POOL, why);
  }
  LIST_EACH_SAFE(n, &p->all) {
    conn *c = container_of(n, conn, every);
    c->doomed = 1;
    neap_->co_cancel(&c->dial.co);
  }
  pool_rest(p);
  neap_->body_unpin(&p->body);
}

void pool_expire(pool *p) {
  LIST_EACH(n, &p->all) {
    conn *c = container_of(n, conn, every);
    if (c->state == CONN_DIALING)
      c->stale = 1; /* perhaps to the server that is no more */
    else
      c->doomed = 1;
  }
  for (;;) {
    conn *old = NULL;
    LIST_EACH(n, &p->idle) {
      conn *c = container_of(n, conn, link);
      if (c->doomed) old = c;
    }
    if (old == NULL) return;
    conn_close(old, CLOSE_EXPIRED, "expired");
  }
}
