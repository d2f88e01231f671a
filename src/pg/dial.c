/*
** dial.c -- connecting, as a C coroutine: resolve the names, try one address
** after the other, each with its share of the time, drive PQconnectPoll.
** libpq is given literal addresses only, so that it never blocks on a name.
*/
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "pg/notice.h"

/* A lookup cannot always be stopped; what nobody waits for frees itself. */
typedef struct lookup {
  neap_resolve resolve;
  conn *conn; /* NULL: abandoned; no ref, it abandons before it goes */
  struct addrinfo *found;
  int finished;
} lookup;

static int abort_wait(neap_wait *w) {
  (void)w;
  return 0; /* the frame cleans up after itself, whatever woke it */
}

static const neap_op op_dial = {"pg.connect", abort_wait};

static conn *conn_of(neap_co *co) { return container_of(co, conn, dial.co); }

static const dsn_target *target(const conn *c) {
  return &c->pool->dsn.targets[c->dial.target];
}

static void place(const conn *c, char *out, size_t size) {
  const dsn_target *t = target(c);
  const char *host = t->host ? t->host : t->addr ? t->addr : "local socket";

  if (host[0] == '/' || t->port == NULL)
    snprintf(out, size, "%s", host);
  else
    snprintf(out, size, "%s:%s", host, t->port);
}

static void note(conn *c, const char *kind, const char *code,
                 const char *format, const char *what) {
  char where[160], text[512];

  place(c, where, sizeof where);
  snprintf(text, sizeof text, format, where, what);
  conn_error_set(&c->error, kind, code, text);
}

/* Waiting for socket or time. */

static void on_socket(neap_watch *w, int status, int events, void *arg) {
  conn *c = arg;

  (void)w;
  (void)events;
  (void)status; /* PQconnectPoll sees errors for itself */
  neap_wake(&c->dial.co.wait, 0);
}

static void on_dial_time(neap_timer *t) {
  neap_wake(&container_of(t, conn, dial.timer)->dial.co.wait, NEAP_ETIMEDOUT);
}

static int start_time(conn *c) {
  dialler *d = &c->dial;
  pool *p = c->pool;
  int64_t now = neap_->now(p->loop), left = d->deadline - now, tries;

  if (left <= 0) return NEAP_ETIMEDOUT;
  tries = p->dsn.ntargets - d->target + (d->naddr - d->addr - 1);
  if (tries > 1) left /= tries;
  d->timer.fire = on_dial_time;
  d->timer.flags = 0;
  return neap_->timer_start(p->loop, &d->timer, now + left);
}

static void stop_waiting(conn *c) {
  if (c->watch != NULL) neap_->watch_close(c->watch);
  c->watch = NULL;
}

#ifdef NEAP_HOSTILE
/* A hostile build (core/hostile.h): the smallest buffers that the system has,
** so that what is written and read comes in pieces. */
static void narrow(int fd) {
  int least = 1;

  if (getenv("NEAP_HOSTILE_SEED") == NULL) return;
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof least);
}
#else
#define narrow(fd) ((void)(fd))
#endif

/* A fresh watch each time: libpq may have closed its socket and opened
** another one with the same number. */
static int wait_socket(conn *c) {
  int rc = 0, fd = PQsocket(c->pg);

  if (fd < 0) return 0;
  narrow(fd);
  c->watch = neap_->watch_open(c->pool->loop, fd, on_socket, c, &rc);
  if (c->watch == NULL) return rc;
  c->events = c->dial.events;
  rc = neap_->watch_set(c->watch, c->events, c->counted ? NEAP_COUNTED : 0);
  if (rc < 0) return rc;
  return neap_co_park(&c->dial.co, &op_dial);
}

/* Names. */

static void on_resolved(neap_resolve *r, int rc, struct addrinfo *found) {
  lookup *k = container_of(r, lookup, resolve);
  conn *c = k->conn;

  if (c == NULL) {
    if (rc == 0) neap_->resolve_free(found);
    base_free(k);
    return;
  }
  k->finished = 1;
  k->found = rc == 0 ? found : NULL;
  neap_wake(&c->dial.co.wait, rc);
}

static int start_lookup(conn *c) {
  const dsn_target *t = target(c);
  lookup *k = base_alloc(sizeof *k);
  int rc;

  if (k == NULL) return NEAP_ENOMEM;
  k->resolve.done = on_resolved;
  rc = neap_->resolve_start(c->pool->loop, &k->resolve, t->host, NULL);
  if (rc < 0) {
    base_free(k);
    return rc;
  }
  k->conn = c;
  c->dial.lookup = k;
  return neap_co_park(&c->dial.co, &op_dial);
}

void conn_leave_lookup(conn *c) {
  lookup *k = c->dial.lookup;

  c->dial.lookup = NULL;
  if (k == NULL) return;
  k->conn = NULL;
  if (k->finished) {
    if (k->found != NULL) neap_->resolve_free(k->found);
    base_free(k);
  } else
    neap_->resolve_cancel(&k->resolve);
}

/* The wait is over. If the lookup is not, it is left to itself. */
static int end_lookup(conn *c, int rc) {
  dialler *d = &c->dial;
  lookup *k = d->lookup;
  struct addrinfo *a;
  int n = 0;

  if (k == NULL) return rc;
  if (!k->finished) { /* time or cancel came first */
    conn_leave_lookup(c);
    return rc;
  }
  d->lookup = NULL;
  if (rc == 0) {
    for (a = k->found; a != NULL; a = a->ai_next) n++;
    base_free(d->addrs);
    d->addrs = base_alloc((size_t)(n + 1) * sizeof *d->addrs);
    d->naddr = 0;
    if (d->addrs == NULL) rc = NEAP_ENOMEM;
    for (a = k->found; rc == 0 && a != NULL; a = a->ai_next)
      if (getnameinfo(a->ai_addr, a->ai_addrlen, d->addrs[d->naddr],
                      sizeof *d->addrs, NULL, 0, NI_NUMERICHOST) == 0)
        d->naddr++;
    neap_->resolve_free(k->found);
  }
  base_free(k);
  return rc;
}

/* One attempt. */

enum { PARAMS_MAX = 64 };

static void add(const char **keys, const char **values, int *n, const char *k,
                const char *v) {
  if (v == NULL || *n >= PARAMS_MAX - 1) return;
  keys[*n] = k;
  values[(*n)++] = v;
}

/* Text results are only readable in known styles. */
static void session_options(const pool *p, char *out, size_t size) {
  const char *own = dsn_get(&p->dsn, "options");

  snprintf(out, size, "-c DateStyle=ISO -c IntervalStyle=postgres%s%s%s%s",
           p->cfg.timezone[0] ? " -c TimeZone=" : "", p->cfg.timezone,
           own ? " " : "", own ? own : "");
}

static int begin(conn *c) {
  const char *keys[PARAMS_MAX], *values[PARAMS_MAX];
  pool *p = c->pool;
  dialler *d = &c->dial;
  const dsn_target *t = target(c);
  char options[512];
  int n = 0, i;

  for (i = 0; i < p->dsn.n; i++) {
    const char *k = p->dsn.keys[i];
    if (strcmp(k, "options") == 0 || strcmp(k, "connect_timeout") == 0)
      continue;
    if (strcmp(k, "target_session_attrs") == 0 && p->dsn.standby_first)
      continue;
    add(keys, values, &n, k, p->dsn.values[i]);
  }
  if (p->dsn.standby_first)
    add(keys, values, &n, "target_session_attrs",
        d->pass == 0 ? "standby" : "any");
  add(keys, values, &n, "host", t->host);
  add(keys, values, &n, "hostaddr", t->resolve ? d->addrs[d->addr] : t->addr);
  add(keys, values, &n, "port", t->port);
  add(keys, values, &n, "client_encoding", "UTF8");
  if (dsn_get(&p->dsn, "gssencmode") == NULL)
    add(keys, values, &n, "gssencmode", "disable"); /* walks ticket caches */
  if (dsn_get(&p->dsn, "fallback_application_name") == NULL)
    add(keys, values, &n, "fallback_application_name", "neap");
  if (p->cfg.prepare_mode == PREPARE_NAMED) { /* poolers refuse options */
    session_options(p, options, sizeof options);
    add(keys, values, &n, "options", options);
  } else
    add(keys, values, &n, "options", dsn_get(&p->dsn, "options"));
  keys[n] = values[n] = NULL;
  c->pg = PQconnectStartParams(keys, values, 0);
  if (c->pg == NULL) return NEAP_ENOMEM;
  PQsetErrorVerbosity(c->pg, PQERRORS_VERBOSE); /* has the SQLSTATE */
  PQsetNoticeReceiver(c->pg, notice_on, c);
  d->events = NEAP_WRITABLE;
  return PQstatus(c->pg) == CONNECTION_BAD ? NEAP_ECLOSED : 0;
}

/* libpq tells no errno: find whose text its message ends with. */
static const char *errno_name(const char *text) {
  static const int codes[] = {ECONNREFUSED, ENOENT, EACCES, ETIMEDOUT,
    EHOSTUNREACH, ENETUNREACH, ECONNRESET, EPIPE, EADDRNOTAVAIL, ENOTSOCK,
    ECONNABORTED, EHOSTDOWN, ENETDOWN, EMFILE, ENFILE, ENOTDIR, EINVAL};
  size_t i;

  for (i = 0; i < countof(codes); i++)
    if (strstr(text, strerror(codes[i])) != NULL)
      return neap_->error_name(-codes[i]);
  if (strstr(text, "closed the connection") != NULL) return "ECONNRESET";
  return NULL;
}

/* "...: FATAL:  28P01: password authentication failed ..." The word before
** may be translated; the shape of what follows is not. */
static const char *sqlstate_in(const char *text) {
  const char *p = text;

  while ((p = strstr(p, ":  ")) != NULL) {
    p += 3;
    if (strspn(p, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 &&
        strncmp(p + 5, ": ", 2) == 0)
      return p;
  }
  return NULL;
}

/* What libpq says behind the place, which our own message names. */
static const char *reason(const char *text) {
  const char *from = strstr(text, "failed: ");
  return from ? from + 8 : text;
}

/* A reset under TLS is a reset. */
static int is_tls(const char *text) {
  static const char *const words[] = {"certificate", "private key", "SSL",
                                      "channel binding"};
  size_t i;

  if (strstr(text, "SSL SYSCALL") != NULL) return 0;
  for (i = 0; i < countof(words); i++)
    if (strstr(text, words[i]) != NULL) return 1;
  return 0;
}

static void end_attempt(conn *c) {
  PQfinish(c->pg);
  c->pg = NULL;
}

/* Keep what libpq says and give up the attempt. */
static void refused(conn *c) {
  const char *text = PQerrorMessage(c->pg);
  const char *state = sqlstate_in(text), *code;
  char what[320], sqlstate[6];

  if (state != NULL) {
    snprintf(sqlstate, sizeof sqlstate, "%.5s", state);
    snprintf(what, sizeof what, "%s", state + 7);
    what[strcspn(what, "\n")] = '\0';
    note(c, "pg", sqlstate, "could not connect to %s: %s", what);
  } else if (PQconnectionNeedsPassword(c->pg)) {
    note(c, "pg", "28P01", "could not connect to %s: %s",
         "the server asks for a password and none was given");
  } else if (is_tls(text)) {
    note(c, "io", "TLS", "could not connect to %s: %s", reason(text));
  } else if ((code = errno_name(text)) != NULL) {
    note(c, "io", code, "could not connect to %s: %s",
         strcmp(code, "ECONNRESET") == 0
             ? "the server closed the connection"
             : reason(text));
  } else
    note(c, "io", NULL, "could not connect to %s: %s", reason(text));
  end_attempt(c);
}

static int next_pass(conn *c) {
  return c->pool->dsn.standby_first && c->dial.pass++ == 0;
}

static int co_dial(neap_co *co) {
  conn *c = conn_of(co);
  dialler *d = &c->dial;
  PostgresPollingStatusType step;

  CO_BEGIN(co);
  do {
    for (d->target = 0; d->target < c->pool->dsn.ntargets; d->target++) {
      d->naddr = 1;
      d->addr = 0;
      if (target(c)->resolve) {
        if (start_time(c) < 0) goto late;
        CO_AWAIT(co, start_lookup(c));
        neap_->timer_stop(co->loop, &d->timer);
        co->rc = end_lookup(c, co->rc);
        if (c->doomed) goto doomed;
        if (co->rc == NEAP_ETIMEDOUT) goto late;
        if (co->rc < 0) {
          note(c, "io", neap_->error_name(co->rc), "cannot resolve %s: %s",
               neap_->error_text(co->rc));
          continue;
        }
      }
      for (d->addr = 0; d->addr < d->naddr; d->addr++) {
        if (start_time(c) < 0) goto late;
        co->rc = begin(c);
        while (co->rc == 0) {
          CO_AWAIT(co, wait_socket(c));
          stop_waiting(c);
          if (c->doomed) goto doomed;
          if (co->rc < 0) break;
          step = PQconnectPoll(c->pg);
          if (step == PGRES_POLLING_OK) {
            neap_->timer_stop(co->loop, &d->timer);
            CO_RETURN(co, 0);
          }
          if (step == PGRES_POLLING_FAILED) co->rc = NEAP_ECLOSED;
          d->events =
            step == PGRES_POLLING_READING ? NEAP_READABLE : NEAP_WRITABLE;
        }
        neap_->timer_stop(co->loop, &d->timer);
        if (co->rc == NEAP_ETIMEDOUT) {
          note(c, "timeout", NULL, "could not connect to %s: %s",
               "no answer within connect_timeout");
          end_attempt(c);
        } else if (co->rc != NEAP_ECLOSED) { /* memory, descriptors */
          note(c, "io", neap_->error_name(co->rc),
               "could not connect to %s: %s", neap_->error_text(co->rc));
          end_attempt(c);
        } else
          refused(c);
      }
    }
  } while (next_pass(c));
  CO_RETURN(co, NEAP_ECLOSED);

late:
  if (c->error.kind[0] == '\0') {
    d->target = d->target < c->pool->dsn.ntargets ? d->target : 0;
    note(c, "timeout", NULL, "could not connect to %s: %s",
         "no answer within connect_timeout");
  }
  CO_RETURN(co, NEAP_ECLOSED);

doomed:
  neap_->timer_stop(co->loop, &d->timer);
  if (c->pg != NULL) PQfinish(c->pg);
  c->pg = NULL;
  conn_error_set(&c->error, "io", NULL, "the pool was closed");
  CO_END(co, NEAP_ECANCELED);
}

static void on_dialled(neap_co *co) {
  conn *c = conn_of(co);
  int rc = co->rc;

  if (rc == 0 && (rc = conn_adopt(c)) < 0) {
    conn_error_set(&c->error, "io", neap_->error_name(rc),
                   neap_->error_text(rc));
    if (c->watch != NULL) neap_->watch_close(c->watch);
    c->watch = NULL;
    PQfinish(c->pg);
    c->pg = NULL;
    c->state = CONN_DIALING;
  }
  pool_dialled(c, rc);
  conn_unref(c);
}

void conn_open(conn *c) {
  dialler *d = &c->dial;

  neap_->co_init(c->pool->loop, &d->co, co_dial, "pg connect");
  d->co.housekeeping = 1;
  d->co.done = on_dialled;
  d->deadline = neap_->now(c->pool->loop) + c->pool->cfg.connect_ns;
  conn_ref(c);
  neap_->co_start(&d->co);
}
