/*
** copy.c -- see copy.h.
*/
#include "pg/copy.h"

#include <string.h>
#include <sys/socket.h>

static int lost(conn *c) {
  conn_lost(c, "io", NULL, c->pg ? PQerrorMessage(c->pg) : "");
  return RC_LOST;
}

/* The waiter. */

static void wake(conn *c, int rc) {
  neap_wait *w = c->copy_wait;

  if (w == NULL) return;
  c->copy_wait = NULL;
  conn_recount(c);
  neap_wake(w, rc);
}

/* Y3 */
static void set_events(conn *c) {
  int events = NEAP_READABLE;

  if (c->copying == COPY_OUT && c->copy_wait == NULL) events = 0;
  if (c->copying == COPY_IN && c->copy_refused) events = 0;
  if (c->blocked) events |= NEAP_WRITABLE;
  if (events == c->events) return;
  c->events = events;
  neap_->watch_set(c->watch, events, c->counted ? NEAP_COUNTED : 0);
}

static int flush(conn *c) {
  int rc = PQflush(c->pg);

  if (rc < 0) return lost(c);
  c->blocked = rc > 0;
  set_events(c);
  return 0;
}

static int abort_copy(neap_wait *w) {
  lease *l = container_of(w, lease, wait);

  if (l->conn == NULL) return 0;
  l->conn->copy_wait = NULL;
  conn_recount(l->conn);
  copy_abandon(l->conn);
  return 0;
}

int copy_park(lua_State *L, lease *l, const char *name, lua_KFunction k) {
  conn *c = l->conn;

  l->copy_op.name = name;
  l->copy_op.abort = abort_copy;
  l->wait.op = &l->copy_op;
  c->copy_wait = &l->wait;
  conn_count(c, 1);
  set_events(c);
  return neap_park(L, &l->wait, k);
}

/* Begin. */

/* What waits for the next statement goes in front of this one. */
static int take_prelude(conn *c, buf *sql) {
  size_t i = 0;

  while (i < c->prelude.len) {
    size_t n = strlen(c->prelude.data + i);
    buf_append(sql, c->prelude.data + i, n);
    buf_byte(sql, ';');
    i += n + 1;
  }
  buf_append(sql, c->copy_sql.data, c->copy_sql.len);
  buf_byte(sql, '\0');
  return sql->failed ? NEAP_ENOMEM : 0;
}

static void begin(conn *c) {
  buf sql = {0};
  int ok = take_prelude(c, &sql) == 0;

  if (ok) {
    buf_reset(&c->prelude);
    c->copying = COPY_BEGIN;
    c->uses++;
    ok = PQexitPipelineMode(c->pg) && PQsendQuery(c->pg, sql.data);
  }
  buf_fini(&sql);
  if (ok)
    flush(c);
  else
    lost(c);
}

int copy_start(conn *c, const char *sql, size_t len) {
  int rc;

  if (c->copying) return RC_CLOSED;
  buf_reset(&c->copy_sql);
  buf_append(&c->copy_sql, sql, len);
  if (c->copy_sql.failed) return RC_NOMEM;
  PQclear(c->lease->copied);
  c->lease->copied = NULL;
  c->copy_refused = c->copy_unwanted = c->copy_lent = 0;
  c->copying = COPY_QUEUED;
  conn_ref(c);
  copy_on_quiet(c);
  rc = c->state == CONN_OPEN ? NEAP_PENDING : RC_LOST;
  conn_unref(c);
  return rc;
}

void copy_on_quiet(conn *c) {
  if (c->copying == COPY_QUEUED && c->count == 0 && !c->blocked &&
      c->cancelling == CANCEL_NONE && c->state == CONN_OPEN)
    begin(c);
}

/* The end: every result was read. */
static void leave(conn *c) {
  c->copying = COPY_NONE;
  c->copy_unwanted = 0;
  if (!PQenterPipelineMode(c->pg)) {
    lost(c);
    return;
  }
  set_events(c);
  wake(c, 0);
  c->pool->stats.queries++;
  conn_feed(c);
  if (c->state == CONN_OPEN) conn_event(c);
}

static int is_farewell(conn *c, const PGresult *r) {
  const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED);

  if (severity == NULL) return PQstatus(c->pg) == CONNECTION_BAD;
  return strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0;
}

/* The last result counts, but for an error, which is never followed by
** anything that matters. */
static void keep(conn *c, PGresult *r) {
  lease *l = c->lease;

  if (l == NULL || (l->copied != NULL &&
                    PQresultStatus(l->copied) == PGRES_FATAL_ERROR)) {
    PQclear(r);
    return;
  }
  PQclear(l->copied);
  l->copied = r;
}

static void end_in(conn *c, const char *why);
static void drop(conn *c);

/* The server is ready for data, or has some. */
static void begun(conn *c, int phase) {
  c->copying = (unsigned char)phase;
  if (!c->copy_unwanted)
    wake(c, 0);
  else if (phase == COPY_IN)
    end_in(c, "the client gave up");
  else
    c->copying = COPY_DROP;
  if (c->state == CONN_OPEN) set_events(c);
}

static void take_results(conn *c) {
  while (c->state == CONN_OPEN && !PQisBusy(c->pg)) {
    PGresult *r = PQgetResult(c->pg);
    if (r == NULL) {
      leave(c);
      return;
    }
    switch (PQresultStatus(r)) {
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
      if (c->copying == COPY_BEGIN) {
        begun(c, PQresultStatus(r) == PGRES_COPY_IN ? COPY_IN : COPY_OUT);
        PQclear(r);
        if (c->copying == COPY_END) continue;
        if (c->copying == COPY_DROP) drop(c);
        return;
      }
      PQclear(r);
      conn_lost(c, "io", NULL, "the dialogue with the server is out of step");
      return;
    case PGRES_FATAL_ERROR:
      if (is_farewell(c, r)) {
        const char *code = PQresultErrorField(r, PG_DIAG_SQLSTATE);
        const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
        conn_ref(c);
        conn_lost(c, "pg", code, text ? text : PQresultErrorMessage(r));
        PQclear(r);
        conn_unref(c);
        return;
      }
      keep(c, r);
      break;
    default:
      keep(c, r);
    }
  }
}

/* Data in. */

int copy_put(conn *c, const char *data, size_t len) {
  int rc = PQputCopyData(c->pg, data, (int)len);

  if (rc <= 0 || flush(c) != 0) return rc > 0 ? RC_LOST : lost(c);
  return c->blocked ? NEAP_PENDING : 0;
}

static void end_in(conn *c, const char *why) {
  c->copying = COPY_END;
  if (PQputCopyEnd(c->pg, why) <= 0)
    lost(c);
  else
    flush(c);
}

int copy_finish(conn *c) {
  int rc;

  conn_ref(c);
  end_in(c, NULL);
  if (c->state == CONN_OPEN) take_results(c); /* libpq may have read it */
  rc = c->state == CONN_OPEN ? 0 : RC_LOST;
  conn_unref(c);
  return rc;
}

/* Has the server said something while it should listen? It reads and drops
** what still comes, so the sooner we know the better. Behind TLS nothing can
** be seen before the end. */
static void listen_in(conn *c) {
  char byte = 0;
  ssize_t n = 1;

  if (!PQsslInUse(c->pg))
    n = recv(PQsocket(c->pg), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n > 0 && byte == 'E') {
    c->copy_refused = 1;
    set_events(c);
  } else if (!PQconsumeInput(c->pg))
    lost(c);
}

/* Data out. */

int copy_get(conn *c, char **data) {
  int n = PQgetCopyData(c->pg, data, 1);

  if (n > 0) return n;
  if (n == 0) return NEAP_PENDING;
  c->copying = COPY_END;
  conn_ref(c);
  take_results(c); /* -2, an error, comes as a result too */
  if (c->state == CONN_OPEN) set_events(c);
  n = c->state == CONN_OPEN ? 0 : RC_LOST;
  conn_unref(c);
  return n;
}

static void drop(conn *c) {
  char *data;
  int n;

  while ((n = PQgetCopyData(c->pg, &data, 1)) > 0) PQfreemem(data);
  if (n == 0) return;
  c->copying = COPY_END;
  take_results(c);
}

/* Readiness. */

static void step(conn *c) {
  switch (c->copying) {
  case COPY_IN:
    if (!c->blocked || c->copy_refused) wake(c, 0);
    break;
  case COPY_OUT:
    wake(c, 0);
    set_events(c);
    break;
  case COPY_DROP:
    drop(c);
    break;
  default:
    take_results(c);
  }
}

/* Read. With an error on the socket the loop has stopped watching it: read all
** that is still there. 0: nothing more will come. */
static int consume(conn *c, int status) {
  int ok = PQconsumeInput(c->pg);
  char byte;

  if (status >= 0) return ok;
  while (ok && recv(PQsocket(c->pg), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
    ok = PQconsumeInput(c->pg);
  return 0;
}

void copy_on_ready(conn *c, int status, int events) {
  if ((events & NEAP_WRITABLE) && flush(c) != 0) return;
  if (c->copying == COPY_IN) {
    if (events & NEAP_READABLE) listen_in(c);
  } else if ((events & NEAP_READABLE) || status < 0) {
    int ok = consume(c, status);
    if (!ok && c->copying == COPY_OUT) { /* first what has come */
      c->copying = COPY_DROP;
      c->copy_unwanted = 0;
      drop(c);
    } else if (!ok)
      take_results(c);
    if (!ok && c->state == CONN_OPEN && status >= 0) lost(c);
  }
  if (status < 0)
    conn_lost(c, "io", "ECONNRESET", "the server closed the connection");
  if (c->state == CONN_OPEN) step(c);
}

/* Giving up. */

int copy_is_unwanted(const conn *c) {
  return c->copy_unwanted && c->copying > COPY_QUEUED;
}

void copy_abandon(conn *c) {
  c->copy_lent = 0; /* who comes next waits until it is over */
  switch (c->copying) {
  case COPY_QUEUED:
    c->copying = COPY_NONE;
    wake(c, 0); /* another task than the one that gives up */
    conn_feed(c);
    return;
  case COPY_IN:
    conn_ref(c);
    end_in(c, "the client gave up");
    if (c->state == CONN_OPEN) take_results(c);
    conn_unref(c);
    return;
  case COPY_OUT:
    c->copying = COPY_DROP;
    break;
  case COPY_BEGIN:
  case COPY_END:
    break;
  default:
    return;
  }
  conn_ref(c);
  if (c->copying == COPY_DROP) drop(c); /* what libpq has already */
  if (c->state == CONN_OPEN && c->copying) {
    c->copy_unwanted = 1;
    set_events(c);
    conn_cancel(c, NULL);
  }
  conn_unref(c);
}

void copy_on_end(conn *c) {
  c->copying = COPY_NONE;
  c->copy_unwanted = 0;
  wake(c, RC_LOST);
}
