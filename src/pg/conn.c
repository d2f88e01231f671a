/*
** conn.c -- see conn.h: birth, readiness, and the end of a connection.
*/
#include "pg/conn.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pg/copy.h"
#include "pg/notes.h"

#define CONSUME_MAX 8 /* reads for one result before others get a turn */

conn *conn_new(pool *p, int slot) {
  conn *c = base_alloc(sizeof *c);

  if (c == NULL) return NULL;
  c->refs = 1;
  c->pool = p;
  c->slot = slot;
  c->state = CONN_DIALING;
  c->fresh = p->cfg.has_on_connect != 0;
  list_init(&c->pending);
  list_init(&c->segment);
  list_init(&c->prepared);
  list_init(&c->drop);
  list_append(&p->all, &c->every);
  list_append(p->module, &c->module);
  neap_->body_pin(&p->body);
  return c;
}

void conn_ref(conn *c) { c->refs++; }

void conn_unref(conn *c) {
  pool *p = c->pool;

  if (--c->refs > 0) return;
  node_remove(&c->link);
  node_remove(&c->every);
  node_remove(&c->module);
  base_free(c->ring);
  base_free(c->dial.addrs);
  buf_fini(&c->prelude);
  buf_fini(&c->copy_sql);
  base_free(c);
  neap_->body_unpin(&p->body);
}

void conn_error_set(conn_error *e, const char *kind, const char *code,
                    const char *text) {
  size_t n;

  snprintf(e->kind, sizeof e->kind, "%s", kind);
  snprintf(e->code, sizeof e->code, "%s", code ? code : "");
  snprintf(e->text, sizeof e->text, "%s", text ? text : "");
  n = strcspn(e->text, "\n"); /* one line */
  while (n > 0 && e->text[n - 1] == ' ') n--;
  e->text[n] = '\0';
  if (n == 0)
    snprintf(e->text, sizeof e->text, "the connection was lost");
}

/* Readiness. */

void conn_count(conn *c, int on) {
  if (c->counted == on) return;
  c->counted = (unsigned char)on;
  if (c->watch != NULL)
    neap_->watch_set(c->watch, c->events, on ? NEAP_COUNTED : 0);
}

void conn_recount(conn *c) {
  conn_count(c, c->depth > 0 || c->copy_wait != NULL ||
                  !list_empty(&c->pending));
}

static void consume(conn *c) {
  int i;

  for (i = 0; i < CONSUME_MAX && c->state == CONN_OPEN; i++) {
    unsigned before = c->count;
    int ok = PQconsumeInput(c->pg);
    lane_drain(c);
    if (c->state != CONN_OPEN) return;
    if (!ok) {
      conn_lost(c, "io", NULL, PQerrorMessage(c->pg));
      return;
    }
    notes_take(c);
    if (c->state != CONN_OPEN) return;
    /* Once more at once only in the middle of a long result, or when TLS may
    ** have decrypted more than it has handed out. */
    if (c->count == 0) break;
    if (c->count < before ? !PQsslInUse(c->pg) : !PQisBusy(c->pg)) break;
  }
}

/* An error on the socket, and with it the loop has stopped watching: read what
** is still there, then it is over. */
static void read_last(conn *c) {
  char byte;

  while (c->state == CONN_OPEN &&
         recv(PQsocket(c->pg), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
    consume(c);
  if (c->state == CONN_OPEN)
    conn_lost(c, "io", "ECONNRESET", "the server closed the connection");
}

static void on_ready(neap_watch *w, int status, int events, void *arg) {
  conn *c = arg;

  (void)w;
  conn_ref(c);
  if (c->copying > COPY_QUEUED) {
    copy_on_ready(c, status, events);
    conn_unref(c);
    return;
  }
  if (status < 0) read_last(c);
  if ((events & NEAP_WRITABLE) && c->state == CONN_OPEN) lane_flush(c);
  if ((events & NEAP_READABLE) && c->state == CONN_OPEN) consume(c);
  if (c->state == CONN_OPEN && c->blocked) lane_flush(c);
  conn_unref(c);
}

int conn_adopt(conn *c) {
  int rc = 0;

  if (PQsetnonblocking(c->pg, 1) != 0 || !PQenterPipelineMode(c->pg))
    return NEAP_EINVAL;
  PQsetErrorVerbosity(c->pg, PQERRORS_DEFAULT);
  c->watch = neap_->watch_open(c->pool->loop, PQsocket(c->pg), on_ready, c,
                               &rc);
  if (c->watch == NULL) return rc;
  c->events = NEAP_READABLE; /* while idle too: the server may close it */
  c->counted = 0;
  if ((rc = neap_->watch_set(c->watch, c->events, 0)) < 0) return rc;
  c->state = CONN_OPEN;
  return 0;
}

int conn_alive(conn *c) {
  char byte;
  ssize_t n = recv(PQsocket(c->pg), &byte, 1, MSG_PEEK | MSG_DONTWAIT);

  if (n == 0) return 0;
  if (n > 0) { /* a notice, a parameter, or the farewell */
    consume(c);
    return c->state == CONN_OPEN;
  }
  return errno == EAGAIN || errno == EINTR;
}

/* Sending, as far as the lane takes it. */

int conn_ready(const conn *c) {
  return c->state == CONN_OPEN && !c->blocked && !c->copying &&
         c->cancelling == CANCEL_NONE;
}

void conn_submit(conn *c, query *q) {
  if (c->state != CONN_OPEN) {
    if (q->conn != c) {
      conn_ref(c);
      if (q->conn != NULL) conn_unref(q->conn);
      q->conn = c;
    }
    query_finish(q, RC_LOST);
  } else if (conn_ready(c) && list_empty(&c->pending)) {
    if (lane_send(c, q) < 0) query_finish(q, RC_NOMEM);
  } else {
    if (q->conn != c) {
      conn_ref(c);
      if (q->conn != NULL) conn_unref(q->conn);
      q->conn = c;
    }
    q->state = Q_PENDING;
    list_append(&c->pending, &q->link);
    conn_recount(c);
    query_arm(q);
    conn_count(c, 1);
  }
}

int conn_prelude(conn *c, const char *sql) {
  buf_append(&c->prelude, sql, strlen(sql) + 1);
  if (!c->prelude.failed) return 0;
  c->prelude.failed = 0;
  return NEAP_ENOMEM;
}

int conn_drop_prelude(conn *c, const char *sql) {
  size_t n = strlen(sql) + 1;

  if (c->prelude.len < n ||
      memcmp(c->prelude.data + c->prelude.len - n, sql, n) != 0 ||
      (c->prelude.len > n && c->prelude.data[c->prelude.len - n - 1] != '\0'))
    return 0;
  c->prelude.len -= n;
  return 1;
}

void conn_feed(conn *c) {
  conn_ref(c);
  while (conn_ready(c)) {
    node *n = list_shift(&c->pending);
    if (n == NULL) break;
    if (lane_send(c, container_of(n, query, link)) < 0)
      query_finish(container_of(n, query, link), RC_NOMEM);
  }
  conn_unref(c);
}

void conn_event(conn *c) {
  neap_wake(&c->cancel.co.wait, 0);
  neap_wake(&c->clean.co.wait, 0);
  copy_on_quiet(c);
}

static void on_service(query *q) {
  conn *c = q->owner;

  c->service = NULL;
  if (q->rc == RC_OK && q->res != NULL)
    conn_error_set(&c->service_error, "pg",
                   PQresultErrorField(q->res, PG_DIAG_SQLSTATE),
                   PQresultErrorField(q->res, PG_DIAG_MESSAGE_PRIMARY));
  c->service_done = q->rc == RC_OK && q->res != NULL &&
                            PQresultStatus(q->res) != PGRES_FATAL_ERROR
                        ? 1
                        : -1;
  conn_event(c);
  conn_unref(c);
}

int conn_service(conn *c, const char *sql) {
  query *q = query_new(c->pool);

  if (q == NULL) return NEAP_ENOMEM;
  buf_append(&q->args.bytes, sql, strlen(sql) + 1);
  if (q->args.bytes.failed) {
    query_unref(q);
    return NEAP_ENOMEM;
  }
  q->flags = QF_INTERNAL;
  q->phase = PHASE_EXECUTE;
  q->form = FORM_TEXT;
  q->args.sets = 1;
  q->settled = on_service;
  q->owner = c;
  conn_ref(c);
  c->service = q;
  c->service_done = 0;
  if (lane_send(c, q) < 0) { /* past the lock of a lane that is cancelling */
    query_finish(q, RC_NOMEM);
    return 0;
  }
  return 0;
}

/* The end. */

static void free_prepared(conn *c) {
  for (node *n; (n = list_first(&c->prepared)) != NULL;)
    stmt_leave(container_of(n, prepared, link), c->slot);
  for (node *n; (n = list_first(&c->drop)) != NULL;)
    stmt_leave(container_of(n, prepared, link), c->slot);
  c->nprepared = 0;
}

/* Close the PGconn. In a forked child the socket is the parent's too: then
** the server must not be told that the session ends. */
static void finish_pg(conn *c) {
  if (c->watch != NULL) neap_->watch_close(c->watch);
  c->watch = NULL;
  if (c->pg != NULL) {
    if (c->pool->pid != (int)getpid() && PQsocket(c->pg) >= 0)
      close(PQsocket(c->pg));
    PQfinish(c->pg);
  }
  c->pg = NULL;
}

static void gather_one(conn *c, list *to, query *q) {
  for (; q != NULL; q = q->next) {
    lane_release_prepared(c, q);
    if (!node_linked(&q->link)) list_append(to, &q->link);
  }
}

/* Everybody who had something on this lane, in order. */
static void gather(conn *c, list *to) {
  for (node *n; (n = list_shift(&c->segment)) != NULL;) {
    lane_release_prepared(c, container_of(n, query, link));
    list_append(to, n);
  }
  for (; c->count > 0; c->count--) {
    rec *r = &c->ring[c->head];
    c->head = (c->head + 1) & (c->cap - 1);
    if (r->q != NULL) gather_one(c, to, r->q);
  }
}

static void settle_lost(conn *c, list *lost, list *unsent) {
  for (node *n; (n = list_shift(lost)) != NULL;) {
    query *q = container_of(n, query, link);
    int again = (q->flags & QF_READONLY) && q->next == NULL &&
                c->use == USE_SHARED && q->attempts < 2 &&
                c->pool->state != POOL_CLOSED && q->rc != RC_COPY;
    if (again && !(q->flags & QF_UNWANTED)) {
      PQclear(q->res);
      q->res = NULL;
      q->attempts++;
      pool_again(q);
    } else {
      /* A server's error for this very statement stays with it. */
      query_finish(q, q->rc == RC_COPY ? RC_COPY
                      : c->pool->state == POOL_CLOSED ? RC_CLOSED : RC_LOST);
    }
  }
  for (node *n; (n = list_shift(unsent)) != NULL;) {
    query *q = container_of(n, query, link);
    if (c->use == USE_SHARED && c->pool->state != POOL_CLOSED)
      pool_again(q);
    else
      query_finish(q, c->pool->state == POOL_CLOSED ? RC_CLOSED : RC_LOST);
  }
}

static void end(conn *c) {
  list lost, unsent;
  lease *l = c->lease;

  conn_ref(c);
  list_init(&lost);
  list_init(&unsent);
  c->state = CONN_DEAD;
  node_remove(&c->link);
  copy_on_end(c);
  gather(c, &lost);
  for (node *n; (n = list_shift(&c->pending)) != NULL;)
    list_append(&unsent, n);
  PQclear(c->late);
  c->late = NULL;
  free_prepared(c);
  finish_pg(c);
  neap_->timer_stop(c->pool->loop, &c->cancel.grace);
  neap_->timer_stop(c->pool->loop, &c->clean.limit);
  if (c->cancel.victim != NULL) query_unref(c->cancel.victim);
  c->cancel.victim = NULL;
  if (l != NULL) {
    l->conn = NULL;
    l->lost = 1;
    l->error = c->error;
    neap_wake(&l->note_wait, RC_LOST);
    c->lease = NULL;
  }
  settle_lost(c, &lost, &unsent);
  conn_event(c);
  pool_gone(c);
  conn_unref(c);
}

void conn_close(conn *c, int reason, const char *why) {
  if (c->state != CONN_OPEN) return;
  c->pool->stats.closes++;
  c->pool->stats.closed[reason]++;
  conn_error_set(&c->error, "io", NULL, why);
  end(c);
}

void conn_lost(conn *c, const char *kind, const char *code, const char *text) {
  pool *p = c->pool;

  if (c->state != CONN_OPEN) return;
  p->stats.lost++;
  p->stats.closed[CLOSE_LOST]++;
  conn_error_set(&c->error, kind, code, text);
  neap_->body_pin(&p->body);
  end(c);
  health_lost(p);
  neap_->body_unpin(&p->body);
}

void conn_obliterate(conn *c) {
  if (c->state == CONN_OPEN) end(c);
  finish_pg(c);
  neap_->timer_stop(c->pool->loop, &c->dial.timer);
  neap_->timer_stop(c->pool->loop, &c->cancel.grace);
  neap_->timer_stop(c->pool->loop, &c->clean.limit);
  conn_leave_lookup(c);
  conn_leave_cancel(c);
  c->refs = 1;
  conn_unref(c);
}
