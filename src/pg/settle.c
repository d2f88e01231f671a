/*
** settle.c -- what comes back on a connection: results are kept until the Sync
** of their segment, then every query of it is judged and settled. See conn.h.
*/
#include <stdlib.h>
#include <string.h>

#include "pg/catalog.h"
#include "pg/notes.h"
#include "pg/ring.h"

#define ATTEMPTS_MAX 3

static void discount(conn *c, query *q) {
  c->work_ns -= q->cost;
  c->slow -= (q->bound & BOUND_SLOW) != 0;
  c->heavy -= (q->bound & BOUND_HEAVY) != 0;
  c->unknown -= (q->bound & BOUND_UNKNOWN) != 0;
  c->depth--;
}

static int failed(const PGresult *r) {
  return r != NULL && PQresultStatus(r) == PGRES_FATAL_ERROR;
}

static const char *code_of(const PGresult *r) {
  const char *code = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
  return code ? code : "";
}

/* A result of q's segment that tells of a failure before q itself ran. */
static void blame(query *q, PGresult *r) {
  if (failed(r) && !failed(q->res)) {
    PQclear(q->res);
    q->res = r;
  } else
    PQclear(r);
}

static void take_exec(conn *c, query *q, PGresult *r) {
  ExecStatusType s = PQresultStatus(r);

  (void)c;
  if (q->res != NULL && failed(q->res)) {
    PQclear(r);
  } else if (s == PGRES_FATAL_ERROR) {
    PQclear(q->res);
    q->res = r;
    q->failed_set = q->done_sets;
  } else if (q->args.sets > 1 && s != PGRES_PIPELINE_ABORTED) {
    const char *n = PQcmdTuples(r);
    if (*n != '\0') q->affected += strtoll(n, NULL, 10);
    PQclear(q->res);
    q->res = r;
  } else {
    PQclear(q->res);
    q->res = r;
  }
}

static void take_prepare(conn *c, query *q, PGresult *r) {
  prepared *p = q->prep;
  int ok = PQresultStatus(r) == PGRES_COMMAND_OK;

  if (p != NULL) p->state = ok ? PREP_READY : PREP_FAILED;
  if (!ok && p != NULL && stmt_on(p->of, c->slot) == p) {
    /* Out of the cache at once; freed when its queries are settled. */
    p->of->on[c->slot] = NULL;
    node_remove(&p->link);
    c->nprepared--;
  }
  blame(q, r);
}

/* Is r the server's farewell? Then the connection ends here. */
static int is_farewell(conn *c, const PGresult *r) {
  const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED);

  if (!failed(r)) return 0;
  if (severity == NULL) /* made by libpq itself: the socket is gone */
    return PQstatus(c->pg) == CONNECTION_BAD;
  return strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0;
}

static void farewell(conn *c, PGresult *r) {
  const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
  char code[6], copy[256];

  strncpy(code, code_of(r), sizeof code - 1);
  code[5] = '\0';
  strncpy(copy, text ? text : PQresultErrorMessage(r), sizeof copy - 1);
  copy[sizeof copy - 1] = '\0';
  PQclear(r);
  conn_lost(c, "pg", code[0] ? code : NULL, copy);
}

static void copy_refused(conn *c, PGresult *r) {
  query *q = lane_head(c);

  PQclear(r);
  if (q != NULL) q->rc = RC_COPY; /* kept by conn_lost */
  conn_lost(c, "pg", NULL, "a COPY was started in a query");
}

static void settle_segment(conn *c);

/* One result. 0: stop reading for now. */
static int take(conn *c, PGresult *r) {
  rec *h = ring_at(c, 0);
  query *q = h->q;

  if (r == NULL) {
    if (h->kind != REC_SYNC && h->answered) {
      int last = h->kind == REC_DESCRIBE ||
                 (h->kind == REC_EXEC && ++q->done_sets >= q->args.sets);
      ring_pop(c);
      if (last) list_append(&c->segment, &q->link);
      c->stray = 0;
      return 1;
    }
    if (PQstatus(c->pg) == CONNECTION_BAD || ++c->stray > 2) {
      conn_lost(c, "io", NULL, PQerrorMessage(c->pg));
      return 0;
    }
    return 1; /* ends the extra result in front of a Sync */
  }
  if (is_farewell(c, r)) {
    farewell(c, r);
    return 0;
  }
  switch (PQresultStatus(r)) {
  case PGRES_PIPELINE_SYNC:
    PQclear(r);
    if (h->kind != REC_SYNC) {
      conn_lost(c, "io", NULL, "the dialogue with the server is out of step");
      return 0;
    }
    ring_pop(c);
    settle_segment(c);
    return c->state == CONN_OPEN;
  case PGRES_COPY_IN:
  case PGRES_COPY_OUT:
  case PGRES_COPY_BOTH:
    copy_refused(c, r);
    return 0;
  default:
    break;
  }
  h->answered = 1;
  switch (h->kind) {
  case REC_SYNC: /* a deferred constraint, at the implicit commit */
    h->answered = 0;
    PQclear(c->late);
    c->late = r;
    break;
  case REC_PRELUDE:
    blame(q, r);
    break;
  case REC_PREPARE:
    take_prepare(c, q, r);
    break;
  case REC_DESCRIBE:
    if (failed(q->res))
      PQclear(r);
    else {
      PQclear(q->res);
      q->res = r;
    }
    break;
  default:
    take_exec(c, q, r);
  }
  return 1;
}

/* What to do with an error that says: the prepared plan no longer fits. */
static int is_stale(conn *c, query *q) {
  const char *code = code_of(q->res);
  const char *routine = PQresultErrorField(q->res, PG_DIAG_SOURCE_FUNCTION);
  const char *text = PQresultErrorField(q->res, PG_DIAG_MESSAGE_PRIMARY);

  if (q->stmt == NULL || q->form != FORM_NAMED) return 0;
  if (strcmp(code, "0A000") == 0 && routine != NULL &&
      strcmp(routine, "RevalidateCachedQuery") == 0) {
    stmt_forget(q->stmt);
    return 1;
  }
  if (strcmp(code, "26000") == 0 && q->unprepared)
    return 1; /* sent behind a preparation that failed */
  if (strcmp(code, "26000") == 0) { /* the server has lost all of them */
    LIST_EACH_SAFE(n, &c->prepared) {
      prepared *p = container_of(n, prepared, link);
      p->state = PREP_FAILED;
      lane_forget_prepared(c, p);
    }
    return 1;
  }
  if (strcmp(code, "42P05") == 0) { /* somebody else's names: take others */
    c->pool->prefix[0] = c->pool->prefix[0] == 'z' ? 'a' : 'z';
    c->pool->serial += 4096;
    return 1;
  }
  if (strcmp(code, "XX000") == 0 && text != NULL &&
      strstr(text, "cache lookup failed for type") != NULL) {
    type_map_stale(&c->pool->types);
    stmt_forget(q->stmt);
    return 1;
  }
  if (strcmp(code, "42804") == 0 && q->stmt->nparams > 0 &&
      !(q->flags & QF_AGAIN)) { /* a composite may have other attributes now */
    type_map_stale(&c->pool->types);
    stmt_forget(q->stmt);
    return 1;
  }
  if (strcmp(code, "42704") == 0 || strcmp(code, "42883") == 0) {
    type_map_stale(&c->pool->types);
    stmt_forget(q->stmt); /* a type or function is gone; no second try */
  }
  return 0;
}

/* After DDL every plan may be out of date: cheaper to ask again than to run
** into errors inside of transactions. */
static void forget_all(pool *p) {
  type_map_stale(&p->types);
  LIST_EACH(n, &p->stmts) {
    stmt *s = container_of(n, stmt, link);
    if (s->described) stmt_forget(s);
  }
}

static void saw_success(conn *c, query *q) {
  unsigned flags = q->stmt ? q->stmt->info.flags : 0;

  if (flags & SQL_SESSION) c->dirty = 1;
  if (flags & SQL_DDL) c->ddl = 1;
  else if (!(c->ddl && (q->flags & QF_COMMIT))) return;
  forget_all(c->pool);
  if (q->flags & QF_COMMIT) c->ddl = 0;
}

/* Was the statement that has just been answered a transaction of its own? */
static int is_autocommit(const conn *c) {
  return c->lease == NULL || (!c->lease->in_tx && c->count == 0 &&
                              PQtransactionStatus(c->pg) == PQTRANS_IDLE);
}

/* The outcome of q, or -1: send it once more, it never took effect. */
static int judge(conn *c, query *q, unsigned together) {
  int err = failed(q->res), alone = together == 1 && q->next == NULL &&
                                    !(q->flags & QF_MEMBER);
  const char *code = err ? code_of(q->res) : "";

  if (q->res == NULL) return RC_NOMEM;
  if (q->phase == PHASE_DESCRIBE &&
      PQresultStatus(q->res) == PGRES_COMMAND_OK)
    return stmt_learn(q->stmt, q->res) < 0 ? RC_NOMEM : RC_AGAIN;
  if (q->phase == PHASE_TYPES && PQresultStatus(q->res) == PGRES_TUPLES_OK)
    return catalog_learn(&c->pool->types, q->res) < 0 ? RC_NOMEM : RC_AGAIN;
  if (!err && PQresultStatus(q->res) != PGRES_PIPELINE_ABORTED)
    saw_success(c, q);
  if (q->flags & (QF_UNWANTED | QF_INTERNAL)) return RC_OK;
  if (PQresultStatus(q->res) == PGRES_PIPELINE_ABORTED && together > 1 &&
      q->next == NULL && !(q->flags & QF_MEMBER)) {
    q->flags |= QF_ALONE; /* failed with another one's segment */
    return -1;
  }
  if (err && strcmp(code, "57014") == 0 && c->cancelling >= CANCEL_SENT &&
      q->next == NULL && !(q->flags & QF_MEMBER) &&
      q->attempts < ATTEMPTS_MAX && c->use == USE_SHARED) {
    c->pool->stats.collateral++; /* the cancel was meant for another */
    q->flags |= QF_ALONE;
    return -1;
  }
  if (err && strcmp(code, "25006") == 0) health_read_only(c);
  if (err && is_stale(c, q)) {
    if (!alone || !is_autocommit(c)) return RC_STALE;
    return q->flags & QF_AGAIN ? RC_STALE : RC_AGAIN; /* healed once already */
  }
  return RC_OK;
}

/* It was answered for good. */
static void tally(conn *c, query *q, int64_t ns) {
  stmt *s = q->stmt;
  int bad = q->res == NULL || PQresultStatus(q->res) == PGRES_FATAL_ERROR ||
            PQresultStatus(q->res) == PGRES_PIPELINE_ABORTED;

  c->pool->stats.queries++;
  c->pool->stats.failed += (uint64_t)bad;
  if (s == NULL) return;
  s->calls++;
  s->errors += (uint64_t)bad;
  s->rows += q->res ? (uint64_t)PQntuples(q->res) : 0;
  s->total_ns += ns;
  if (ns > s->max_ns) s->max_ns = ns;
}

static void settle(conn *c, query *q, unsigned together, int64_t ns) {
  int rc;

  discount(c, q);
  if (q->stmt != NULL && q->phase == PHASE_EXECUTE && !failed(q->res))
    stmt_took(q->stmt, ns / (q->args.sets > 1 ? q->args.sets : 1));
  rc = judge(c, q, together);
  if (rc == RC_AGAIN && q->phase == PHASE_EXECUTE) c->pool->stats.healed++;
  if (rc >= 0 && rc != RC_AGAIN && !(q->flags & QF_INTERNAL)) tally(c, q, ns);
  if (rc >= 0)
    query_finish(q, rc);
  else {
    PQclear(q->res);
    q->res = NULL;
    q->attempts++;
    c->pool->stats.retries++;
    pool_again(q);
  }
}

/* The Sync has come: everything of its segment is final. */
static void settle_segment(conn *c) {
  int64_t now = pool_now(), from = c->head_since;
  unsigned n = 0;
  list done;

  list_init(&done);
  for (node *x; (x = list_shift(&c->segment)) != NULL; n++)
    list_append(&done, x);
  if (c->late != NULL) {
    query *q = list_empty(&done) ? NULL
                                 : container_of(list_first(&done), query, link);
    if (n > 1 && q != NULL && q->next == NULL) {
      /* Strangers that shared a segment: which one it was is not known, and
      ** none took effect. */
      LIST_EACH(x, &done) {
        query *m = container_of(x, query, link);
        m->flags |= QF_ALONE;
        PQclear(m->res);
        m->res = PQmakeEmptyPGresult(NULL, PGRES_PIPELINE_ABORTED);
      }
      PQclear(c->late);
    } else if (q != NULL) {
      q->flags |= QF_LATE;
      PQclear(q->res);
      q->res = c->late;
    } else
      PQclear(c->late);
    c->late = NULL;
  }
  if (n > 0) {
    query *q = container_of(list_first(&done), query, link);
    if (q->sent_at > from) from = q->sent_at;
  }
  c->head_since = now;
  /* First of all: from here on the connection may end under our hands. */
  LIST_EACH(x, &done) lane_release_prepared(c, container_of(x, query, link));
  for (node *x; (x = list_shift(&done)) != NULL;)
    settle(c, container_of(x, query, link), n, (now - from) / n);
}

void lane_drain(conn *c) {
  unsigned before;

  if (c->draining || c->state != CONN_OPEN) return;
  before = c->depth;
  c->draining = 1;
  conn_ref(c);
  while (c->state == CONN_OPEN && c->count > 0 && !PQisBusy(c->pg))
    if (!take(c, PQgetResult(c->pg))) break;
  c->draining = 0;
  if (c->state == CONN_OPEN) notes_take(c); /* read with what was drained */
  if (c->state == CONN_OPEN && c->depth < before) {
    conn_recount(c);
    conn_event(c);
    pool_settled(c);
  }
  conn_unref(c);
}
