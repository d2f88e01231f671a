/*
** lane.c -- what goes out on a connection and what comes back: sending
** segments, reading results, settling queries at their Sync. See conn.h.
*/
#include <stdlib.h>
#include <string.h>

#include "pg/pool.h"

#define SLOW_NS 5000000   /* a lane with such a statement is not shared */
#define HEAVY_NS 20000000 /* nothing is ever queued behind such a one */
#define GUESS_NS 1000000  /* what a statement without history counts as */
#define SHARE_MAX 16      /* read-only statements in one segment */
#define ATTEMPTS_MAX 3

enum { BOUND_SLOW = 1, BOUND_HEAVY = 2, BOUND_UNKNOWN = 4 };

/* The ring (L1). */

static int reserve(conn *c, unsigned n) {
  unsigned cap = c->cap ? c->cap : 32, i;
  rec *ring;

  while (cap < c->count + n) cap *= 2;
  if (cap == c->cap) return 0;
  if ((ring = base_alloc(cap * sizeof *ring)) == NULL) return NEAP_ENOMEM;
  for (i = 0; i < c->count; i++)
    ring[i] = c->ring[(c->head + i) & (c->cap - 1)];
  base_free(c->ring);
  c->ring = ring;
  c->cap = cap;
  c->head = 0;
  return 0;
}

static rec *at(const conn *c, unsigned i) {
  return &c->ring[(c->head + i) & (c->cap - 1)];
}

static void push(conn *c, int kind, query *q) {
  rec *r = at(c, c->count++);

  r->kind = (unsigned char)kind;
  r->answered = 0;
  r->q = q;
}

static void pop(conn *c) {
  c->head = (c->head + 1) & (c->cap - 1);
  c->count--;
}

query *lane_head(const conn *c) { return c->count ? at(c, 0)->q : NULL; }

int lane_holds(const conn *c, const query *q) {
  return q->state == Q_SENT && q->conn == c;
}

/* Prepared entries. */

/* Nobody may use p again. Its name is given back to the server when the lane
** is quiet (clean.c), if the server knows it. */
void lane_forget_prepared(conn *c, prepared *p) {
  stmt *s = p->of;

  if (c->slot < s->slots && s->on[c->slot] == p) s->on[c->slot] = NULL;
  node_remove(&p->link);
  if (p->state == PREP_FAILED && p->in_flight == 0)
    stmt_leave(p, c->slot);
  else
    list_append(&c->drop, &p->link);
  c->nprepared--;
}

void lane_release_prepared(conn *c, query *q) {
  prepared *p = q->prep;

  q->prep = NULL;
  if (p == NULL) return;
  p->in_flight--;
  if (p->state == PREP_FAILED && p->in_flight == 0) stmt_leave(p, c->slot);
}

/* Make room in the cache: the least recently used one that is not in use. */
static void evict(conn *c) {
  LIST_EACH(n, &c->prepared) {
    prepared *p = container_of(n, prepared, link);
    if (p->in_flight == 0) {
      lane_forget_prepared(c, p);
      return;
    }
  }
}

/* The entry for q's statement; *fresh if it has to be prepared first. */
static prepared *prepare(conn *c, query *q, int *fresh) {
  pool *p = c->pool;
  prepared *e = stmt_on(q->stmt, c->slot);

  *fresh = 0;
  if (e != NULL &&
      (e->generation != q->stmt->generation || e->state == PREP_FAILED)) {
    lane_forget_prepared(c, e);
    e = NULL;
  }
  if (e != NULL) {
    p->stats.hits++;
    node_remove(&e->link);
  } else {
    p->stats.misses++;
    if (c->nprepared >= (unsigned)p->cfg.statement_cache) evict(c);
    e = stmt_enter(q->stmt, c->slot, p->prefix, ++p->serial);
    if (e == NULL) return NULL;
    c->nprepared++;
    *fresh = 1;
  }
  list_append(&c->prepared, &e->link);
  e->in_flight++;
  q->prep = e;
  return e;
}

/* Sending. Each returns 1, or 0 when libpq refused: the connection is lost. */

static int pointers(pool *p, int n) {
  const char **values;
  int *lengths, *formats;

  if (n <= p->nvalues) return 1;
  n += 16;
  values = base_realloc(p->values, (size_t)n * sizeof *values);
  if (values != NULL) p->values = values;
  lengths = base_realloc(p->lengths, (size_t)n * sizeof *lengths);
  if (lengths != NULL) p->lengths = lengths;
  formats = base_realloc(p->formats, (size_t)n * sizeof *formats);
  if (formats != NULL) p->formats = formats;
  if (values == NULL || lengths == NULL || formats == NULL) return 0;
  p->nvalues = n;
  return 1;
}

static int send_set(conn *c, query *q, int set) {
  pool *p = c->pool;
  args *a = &q->args;
  int i, n = a->sets ? a->n / a->sets : 0;
  const cell *cells = a->cells + (size_t)set * (size_t)n;
  int binary = q->form != FORM_TEXT && q->stmt->binary;

  if (!pointers(p, n)) return 0;
  for (i = 0; i < n; i++) {
    p->values[i] = cells[i].len < 0 ? NULL : a->bytes.data + cells[i].at;
    p->lengths[i] = cells[i].len < 0 ? 0 : cells[i].len;
    p->formats[i] = cells[i].format;
  }
  push(c, REC_EXEC, q);
  if (q->form == FORM_NAMED)
    return PQsendQueryPrepared(c->pg, q->prep->name, n, p->values, p->lengths,
                               p->formats, binary);
  return PQsendQueryParams(c->pg, q->stmt->sql, n,
                           q->form == FORM_UNNAMED ? q->stmt->params : NULL,
                           p->values, p->lengths, p->formats, binary);
}

static int send_text(conn *c, int kind, query *q, const char *sql) {
  push(c, kind, q);
  return PQsendQueryParams(c->pg, sql, 0, NULL, NULL, NULL, NULL, 0);
}

/* BEGIN and the like: in the segment of q, so that q is skipped if one of
** them fails. */
static int send_prelude(conn *c, query *q) {
  size_t i;

  for (i = 0; i < c->prelude.len; i += strlen(c->prelude.data + i) + 1)
    if (!send_text(c, REC_PRELUDE, q, c->prelude.data + i)) return 0;
  buf_reset(&c->prelude);
  return 1;
}

static int send_execute(conn *c, query *q) {
  int i, fresh;

  if (q->stmt == NULL) /* the pool's own: its text is in the buffer */
    return send_text(c, REC_EXEC, q, q->args.bytes.data);
  if (q->form == FORM_NAMED) {
    prepared *p = prepare(c, q, &fresh);
    if (p == NULL) return 0;
    if (fresh) {
      push(c, REC_PREPARE, q);
      if (!PQsendPrepare(c->pg, p->name, q->stmt->sql, q->stmt->nparams,
                         q->stmt->params))
        return 0;
    }
  }
  for (i = 0; i < q->args.sets; i++)
    if (!send_set(c, q, i)) return 0;
  return 1;
}

static int send_describe(conn *c, query *q) {
  const char *name = "";
  int fresh = 1;

  if (q->form == FORM_NAMED) {
    prepared *p = prepare(c, q, &fresh);
    if (p == NULL) return 0;
    name = p->name;
  }
  if (fresh) {
    push(c, REC_PREPARE, q);
    if (!PQsendPrepare(c->pg, name, q->stmt->sql, 0, NULL)) return 0;
  }
  push(c, REC_DESCRIBE, q);
  return PQsendDescribePrepared(c->pg, name);
}

static int end_segment(conn *c) {
  c->open = 0;
  push(c, REC_SYNC, NULL);
  if (c->pool->send_sync != NULL) return c->pool->send_sync(c->pg);
  return PQpipelineSync(c->pg);
}

/* The closer runs behind the tasks that were ready with the one that opened
** the segment, so that all of them can join it. */
static int co_close_segment(neap_co *co) {
  conn *c = container_of(co, conn, closer);

  CO_BEGIN(co);
  c->closing_segment = 0;
  if (c->state == CONN_OPEN && c->open > 0) {
    if (!end_segment(c))
      conn_lost(c, "io", NULL, PQerrorMessage(c->pg));
    else
      lane_flush(c);
  }
  CO_END(co, 0);
}

static void on_closed_segment(neap_co *co) {
  conn_unref(container_of(co, conn, closer));
}

static void start_closer(conn *c) {
  if (c->closing_segment) return;
  c->closing_segment = 1;
  conn_ref(c);
  neap_->co_init(c->pool->loop, &c->closer, co_close_segment, "pg segment");
  c->closer.done = on_closed_segment;
  neap_->co_start(&c->closer);
}

static int may_share(const conn *c, const query *q) {
  return (q->flags & QF_READONLY) &&
         !(q->flags & (QF_ALONE | QF_GENERIC | QF_INTERNAL)) &&
         q->next == NULL && q->phase == PHASE_EXECUTE &&
         c->use == USE_SHARED && c->prelude.len == 0 &&
         c->pool->cfg.max_pipeline > 1;
}

/* Count q into the lane's load. */
static void account(conn *c, query *q, int64_t now) {
  int64_t ewma = q->stmt ? q->stmt->ewma : 1;

  q->bound = 0;
  if (ewma == 0) q->bound |= BOUND_UNKNOWN | BOUND_SLOW;
  if (ewma >= SLOW_NS) q->bound |= BOUND_SLOW;
  if (ewma > HEAVY_NS) q->bound |= BOUND_HEAVY;
  q->cost = (ewma ? ewma : GUESS_NS) * (q->args.sets > 1 ? q->args.sets : 1);
  c->work_ns += q->cost;
  c->slow += (q->bound & BOUND_SLOW) != 0;
  c->heavy += (q->bound & BOUND_HEAVY) != 0;
  c->unknown += (q->bound & BOUND_UNKNOWN) != 0;
  if (c->depth++ == 0) c->head_since = now;
  q->sent_at = now;
}

static void discount(conn *c, query *q) {
  c->work_ns -= q->cost;
  c->slow -= (q->bound & BOUND_SLOW) != 0;
  c->heavy -= (q->bound & BOUND_HEAVY) != 0;
  c->unknown -= (q->bound & BOUND_UNKNOWN) != 0;
  c->depth--;
}

static const char force_generic[] =
  "select set_config('plan_cache_mode', 'force_generic_plan', true)";

/*
** Send q and what hangs on it as one segment. The lane's ref of q becomes the
** ring's. 0, or NEAP_ENOMEM: nothing was sent. A connection that fails here
** is lost, and q has been settled with it.
*/
int lane_send(conn *c, query *q) {
  int64_t now = pool_now();
  unsigned n = 6;
  int ok = 1, share = may_share(c, q);
  query *m;
  size_t i;

  for (m = q; m != NULL; m = m->next) n += (unsigned)m->args.sets + 2;
  for (i = 0; i < c->prelude.len; i++) n += c->prelude.data[i] == '\0';
  if (reserve(c, n) < 0) return NEAP_ENOMEM;
  if (c->open > 0 && !share) ok = end_segment(c);
  for (m = q; m != NULL; m = m->next) {
    if (m != q) m->refs++;
    if (m->conn != c) {
      conn_ref(c);
      if (m->conn != NULL) conn_unref(m->conn);
      m->conn = c;
    }
    m->state = Q_SENT;
    m->done_sets = m->failed_set = m->rc = 0;
    m->affected = 0;
    account(c, m, now);
  }
  c->uses++;
  if (ok && c->prelude.len > 0) ok = send_prelude(c, q);
  if (ok && (q->flags & QF_GENERIC))
    ok = send_text(c, REC_PRELUDE, q, force_generic);
  if (ok && q->phase == PHASE_DESCRIBE) ok = send_describe(c, q);
  else
    for (m = q; ok && m != NULL; m = m->next) ok = send_execute(c, m);
  if (ok && share && ++c->open < SHARE_MAX)
    start_closer(c);
  else if (ok)
    ok = end_segment(c);
  if (!ok) {
    push(c, REC_EXEC, q); /* so that it is found in the ring */
    conn_lost(c, "io", NULL, PQerrorMessage(c->pg));
    return 0;
  }
  query_arm(q);
  conn_count(c, 1);
  if (!c->open || c->blocked) lane_flush(c);
  return 0;
}

void lane_flush(conn *c) {
  int rc = PQflush(c->pg), events = NEAP_READABLE;

  if (rc < 0) {
    lane_drain(c); /* the server may have said why */
    conn_lost(c, "io", NULL, c->pg ? PQerrorMessage(c->pg) : "");
    return;
  }
  if (rc > 0) events |= NEAP_WRITABLE;
  c->blocked = rc > 0;
  if (events != c->events && c->watch != NULL) {
    c->events = events;
    neap_->watch_set(c->watch, events, c->counted ? NEAP_COUNTED : 0);
  }
  /* libpq reads the socket while it cannot write: nothing may be left to
  ** announce what it has read already. */
  if (rc > 0) lane_drain(c);
}

/* Receiving. */

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
  rec *h = at(c, 0);
  query *q = h->q;

  if (r == NULL) {
    if (h->kind != REC_SYNC && h->answered) {
      int last = h->kind == REC_DESCRIBE ||
                 (h->kind == REC_EXEC && ++q->done_sets >= q->args.sets);
      pop(c);
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
    pop(c);
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
    stmt_forget(q->stmt);
    return 1;
  }
  if (strcmp(code, "42704") == 0 || strcmp(code, "42883") == 0)
    stmt_forget(q->stmt); /* a type or function is gone; no second try */
  return 0;
}

/* After DDL every plan may be out of date: cheaper to ask again than to run
** into errors inside of transactions. */
static void forget_all(pool *p) {
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

/* The outcome of q, or -1: send it once more, it never took effect. */
static int judge(conn *c, query *q, unsigned together) {
  int err = failed(q->res), alone = together == 1 && q->next == NULL &&
                                    !(q->flags & QF_MEMBER);
  const char *code = err ? code_of(q->res) : "";

  if (q->res == NULL) return RC_NOMEM;
  if (q->phase == PHASE_DESCRIBE &&
      PQresultStatus(q->res) == PGRES_COMMAND_OK)
    return stmt_learn(q->stmt, q->res) < 0 ? RC_NOMEM : RC_AGAIN;
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
  if (err && is_stale(c, q)) {
    if (alone && !(q->flags & QF_AGAIN) && c->lease == NULL) return RC_AGAIN;
    if (c->lease != NULL || !alone) return RC_STALE;
  }
  return RC_OK;
}

static void settle(conn *c, query *q, unsigned together, int64_t ns) {
  int rc;

  discount(c, q);
  c->pool->stats.queries++;
  if (q->stmt != NULL && q->phase == PHASE_EXECUTE && !failed(q->res))
    stmt_took(q->stmt, ns / (q->args.sets > 1 ? q->args.sets : 1));
  rc = judge(c, q, together);
  if (rc == RC_AGAIN && q->phase == PHASE_EXECUTE) c->pool->stats.healed++;
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
  if (c->state == CONN_OPEN && c->depth < before) {
    if (c->depth == 0) conn_count(c, 0);
    conn_event(c);
    pool_settled(c);
  }
  conn_unref(c);
}
