/*
** clean.c -- a lane that was given back: wait until it is quiet, roll back
** what is open, undo what the owner did to the session, forget names the
** server need not keep; then it is the pool's again. In doubt it is closed.
*/
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "pg/copy.h"

#define LIMIT_NS INT64_C(5000000000)
#define PING_NS INT64_C(2000000000)
#define CLEAN 2 /* result of the coroutine; 1 is NEAP_PENDING */

static const char *const reset[] = {
  "close all", "unlisten *", "select pg_advisory_unlock_all()", "reset all",
  "discard temp"
};

static const neap_op op_clean = {"pg lane", NULL};

static int wait_lane(neap_co *co) { return neap_co_park(co, &op_clean); }

static int is_quiet(const conn *c) {
  return c->count == 0 && c->cancelling == CANCEL_NONE && !c->closing_segment &&
         !c->copying && list_empty(&c->pending);
}

static int is_named(const conn *c) {
  return c->pool->cfg.prepare_mode == PREPARE_NAMED;
}

static int is_idle(const conn *c) {
  return PQtransactionStatus(c->pg) == PQTRANS_IDLE;
}

static void on_limit(neap_timer *t) {
  conn *c = container_of(t, conn, clean.limit);

  conn_cancel_blindly(c);
  conn_lost(c, "timeout", NULL, "the connection could not be cleaned in time");
}

/* The next name that the server may forget, out of the list. */
static prepared *next_drop(conn *c) {
  for (node *n; (n = list_first(&c->drop)) != NULL;) {
    prepared *p = container_of(n, prepared, link);
    if (p->state == PREP_READY && p->in_flight == 0) return p;
    if (p->in_flight > 0) return NULL;
    stmt_leave(p, c->slot);
  }
  return NULL;
}

static int deallocate(conn *c, prepared *p) {
  char sql[64];

  snprintf(sql, sizeof sql, "deallocate %s", p->name);
  stmt_leave(p, c->slot);
  return conn_service(c, sql);
}

/* Text must be readable and times must have their zone. Named statements get
** this by startup options; poolers refuse those, but keep track of what is
** set. Only what differs is: NULL, nothing. Each is tried once. */
static const char *next_style(conn *c, char *sql, size_t size) {
  static const char *const names[] = {"DateStyle", "IntervalStyle", "TimeZone"};
  const pool *p = c->pool;
  const char *want[] = {"ISO", "postgres", p->cfg.timezone};

  while (!is_named(c) && c->styled < countof(names)) {
    int i = c->styled++;
    const char *is = PQparameterStatus(c->pg, names[i]);
    if (want[i][0] == '\0' ||
        (is != NULL && strncasecmp(is, want[i], strlen(want[i])) == 0 &&
         (i == 0 || is[strlen(want[i])] == '\0')))
      continue;
    snprintf(sql, size, "set %s = '%s'", names[i], want[i]);
    return sql;
  }
  return NULL;
}

static int style(conn *c) {
  char sql[96];

  if (next_style(c, sql, sizeof sql) == NULL) return 0;
  return conn_service(c, sql) < 0 ? NEAP_ENOMEM : 1;
}

static int co_clean(neap_co *co) {
  conn *c = container_of(co, conn, clean.co);
  prepared *p;

  CO_BEGIN(co);
  while (c->state == CONN_OPEN && !is_quiet(c)) CO_AWAIT(co, wait_lane(co));
  if (c->state != CONN_OPEN) CO_RETURN(co, 0);
  if (!is_idle(c)) {
    if (conn_service(c, "rollback") < 0) goto doubt;
    while (c->state == CONN_OPEN && c->service) CO_AWAIT(co, wait_lane(co));
    if (c->state != CONN_OPEN) CO_RETURN(co, 0);
    if (!is_idle(c)) goto doubt;
  }
  if (c->dirty) {
    for (c->clean.step = 0; c->clean.step < (int)countof(reset);
         c->clean.step++) {
      if (conn_service(c, reset[c->clean.step]) < 0) goto doubt;
      while (c->state == CONN_OPEN && c->service) CO_AWAIT(co, wait_lane(co));
      if (c->state != CONN_OPEN) CO_RETURN(co, 0);
      if (c->service_done < 0) goto doubt;
    }
    c->dirty = c->styled = 0;
    c->pool->stats.resets++;
    c->fresh = c->pool->cfg.has_on_connect != 0; /* its work is undone too */
  }
  while ((c->clean.step = style(c)) != 0) {
    if (c->clean.step < 0) goto doubt;
    while (c->state == CONN_OPEN && c->service) CO_AWAIT(co, wait_lane(co));
    if (c->state != CONN_OPEN) CO_RETURN(co, 0);
    if (c->service_done < 0) {
      pool_unusable(c, &c->service_error);
      CO_RETURN(co, 0);
    }
  }
  if (c->pinging) {
    if (conn_service(c, "") < 0) goto doubt;
    while (c->state == CONN_OPEN && c->service) CO_AWAIT(co, wait_lane(co));
    if (c->state != CONN_OPEN) CO_RETURN(co, 0);
  }
  while ((p = next_drop(c)) != NULL) {
    if (deallocate(c, p) < 0) goto doubt;
    while (c->state == CONN_OPEN && c->service) CO_AWAIT(co, wait_lane(co));
    if (c->state != CONN_OPEN) CO_RETURN(co, 0);
  }
  if (!is_idle(c)) goto doubt;
  CO_RETURN(co, CLEAN);

doubt:
  conn_lost(c, "io", NULL, "the connection could not be cleaned");
  CO_END(co, 0);
}

static void on_cleaned(neap_co *co) {
  conn *c = container_of(co, conn, clean.co);

  neap_->timer_stop(co->loop, &c->clean.limit);
  if (co->rc == CLEAN && c->state == CONN_OPEN) pool_free(c);
  conn_unref(c);
}

void conn_clean(conn *c) {
  buf_reset(&c->prelude); /* a BEGIN that was never sent */
  c->use = USE_CLEANING;
  if (c->copying) copy_abandon(c);
  if (c->state != CONN_OPEN) return;
  if (is_quiet(c) && is_idle(c) && !c->dirty && !c->pinging &&
      list_empty(&c->drop) && (c->styled || is_named(c))) {
    pool_free(c);
    return;
  }
  neap_->co_init(c->pool->loop, &c->clean.co, co_clean, "pg clean");
  c->clean.co.housekeeping = 1;
  c->clean.co.done = on_cleaned;
  c->clean.limit.fire = on_limit;
  neap_->timer_start(c->pool->loop, &c->clean.limit,
                     neap_->now(c->pool->loop) +
                       (c->pinging ? PING_NS : LIMIT_NS));
  conn_ref(c);
  neap_->co_start(&c->clean.co);
}
