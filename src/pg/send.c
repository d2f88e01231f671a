/*
** send.c -- what goes out on a connection: statements encoded into segments,
** prepared where needed, accounted for. What comes back is settle.c's.
*/
#include <string.h>

#include "pg/catalog.h"
#include "pg/pool.h"
#include "pg/ring.h"

#define SLOW_NS 5000000   /* a lane with such a statement is not shared */
#define HEAVY_NS 20000000 /* nothing is ever queued behind such a one */
#define GUESS_NS 1000000  /* what a statement without history counts as */
#define SHARE_MAX 16      /* read-only statements in one segment */

/* The ring. */

int ring_reserve(conn *c, unsigned n) {
  unsigned cap = c->cap ? c->cap : 32, i;
  rec *ring;

  while (cap < c->count + n) cap *= 2;
  if (cap == c->cap) return 0;
  if ((ring = base_alloc(cap * sizeof *ring)) == NULL) return NEAP_ENOMEM;
  for (i = 0; i < c->count; i++) ring[i] = *ring_at(c, i);
  base_free(c->ring);
  c->ring = ring;
  c->cap = cap;
  c->head = 0;
  return 0;
}

query *lane_head(const conn *c) { return c->count ? ring_at(c, 0)->q : NULL; }

int lane_holds(const conn *c, const query *q) {
  return q != NULL && q->state == Q_SENT && q->conn == c;
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
  if (p->state == PREP_FAILED) q->unprepared = 1; /* its own error, next time */
  if (p->state == PREP_FAILED && p->in_flight == 0) stmt_leave(p, c->slot);
}

/* Make room in the cache: the least recently used one that is not in use. */
static void evict(conn *c) {
  LIST_EACH(n, &c->prepared) {
    prepared *p = container_of(n, prepared, link);
    if (p->in_flight == 0) {
      c->pool->stats.evictions++;
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
  ring_push(c, REC_EXEC, q);
  if (q->form == FORM_NAMED)
    return PQsendQueryPrepared(c->pg, q->prep->name, n, p->values, p->lengths,
                               p->formats, binary);
  return PQsendQueryParams(c->pg, q->stmt->sql, n,
                           q->form == FORM_UNNAMED ? q->stmt->params : NULL,
                           p->values, p->lengths, p->formats, binary);
}

static int send_text(conn *c, int kind, query *q, const char *sql) {
  ring_push(c, kind, q);
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
      ring_push(c, REC_PREPARE, q);
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
    ring_push(c, REC_PREPARE, q);
    if (!PQsendPrepare(c->pg, name, q->stmt->sql, 0, NULL)) return 0;
  }
  ring_push(c, REC_DESCRIBE, q);
  return PQsendDescribePrepared(c->pg, name);
}

/* The text is in the buffer. In a transaction the setting would outlast the
** query, so it is left alone there. */
static int send_types(conn *c, query *q) {
  if (c->lease == NULL && !send_text(c, REC_PRELUDE, q, catalog_prelude))
    return 0;
  return send_text(c, REC_EXEC, q, q->args.bytes.data);
}

static int end_segment(conn *c) {
  c->open = 0;
  ring_push(c, REC_SYNC, NULL);
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
  int64_t ewma = q->stmt && q->phase == PHASE_EXECUTE ? q->stmt->ewma : 1;

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
  if (ring_reserve(c, n) < 0) return NEAP_ENOMEM;
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
    c->uses += m->phase == PHASE_EXECUTE && !(m->flags & QF_INTERNAL);
  }
  if (ok && c->prelude.len > 0) ok = send_prelude(c, q);
  if (ok && (q->flags & QF_GENERIC))
    ok = send_text(c, REC_PRELUDE, q, force_generic);
  if (ok && q->phase == PHASE_DESCRIBE) ok = send_describe(c, q);
  else if (ok && q->phase == PHASE_TYPES) ok = send_types(c, q);
  else
    for (m = q; ok && m != NULL; m = m->next) ok = send_execute(c, m);
  if (ok && share && ++c->open < SHARE_MAX)
    start_closer(c);
  else if (ok)
    ok = end_segment(c);
  if (!ok) {
    ring_push(c, REC_EXEC, q); /* so that it is found in the ring */
    conn_lost(c, "io", NULL, PQerrorMessage(c->pg));
    return 0;
  }
  query_arm(q);
  conn_count(c, 1);
  if (!c->open || c->blocked) lane_flush(c);
  return 0;
}

void lane_flush(conn *c) {
  int rc = PQflush(c->pg), events = NEAP_READABLE, was_blocked = c->blocked;

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
  /* libpq reads the socket while it cannot write, in this call or in those
  ** that queued the statement: nothing may be left to announce what it read. */
  lane_drain(c);
  if (was_blocked && !c->blocked && c->state == CONN_OPEN) {
    conn_feed(c);
    if (c->state == CONN_OPEN) pool_settled(c);
  }
}
