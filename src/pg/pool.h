/*
** pool.h -- connections and who gets them: slots, FIFO of those who wait,
** dispatch of single statements over shared lanes, housekeeping. No Lua.
**
** P1  A slot is taken before the connection is dialled and given back when
**     the connection is dead, whatever the reason.
** P2  `queue` holds statements for any lane, `claims` those who want one for
**     themselves; seq orders them together.
** P3  No connection is idle while somebody waits.
*/
#ifndef pg_pool_h
#define pg_pool_h

#include "pg/conn.h"

enum pool_state { POOL_OPEN, POOL_DRAINING, POOL_CLOSED };
enum prepare_mode { PREPARE_NAMED, PREPARE_UNNAMED, PREPARE_OFF };

/* An exclusive connection in somebody's hands, or a claim to one. */
typedef struct lease {
  neap_body body;
  node link; /* pool->claims while it waits */
  neap_wait wait;
  neap_timer timer;
  neap_op op; /* what its wait is called */
  pool *pool; /* [pin] */
  conn *conn; /* NULL: not yet, given back, or lost */
  uint64_t seq;
  int64_t limit_ns; /* as asked for */
  int64_t begun;    /* to wait */
  int rc;
  unsigned char lost, in_tx, failed, listening;
  unsigned savepoints;
  neap_op copy_op;  /* copy.h: what its wait is called */
  PGresult *copied; /* how the last COPY ended */
  list notes;       /* notes.h: kept while `listening` */
  neap_wait note_wait;
  conn_error error;
} lease;

#define TOLD_ECHO 1 /* pool_config.told */
#define TOLD_TRACE 2
#define TOLD_NOTICES 4
enum reset_policy { RESET_AUTO, RESET_ALWAYS, RESET_NEVER, RESET_OWN };

typedef struct pool_config {
  int min, max, overflow, max_pipeline, statement_cache, prepare_mode;
  int min_idle, max_waiting, warmup_parallel, reset;
  int64_t acquire_ns, connect_ns, lifetime_ns, idle_ns, command_ns, commit_ns;
  int64_t ping_ns, shed_ns, shed_interval_ns;
  int64_t max_uses;
  int has_on_connect, told;
  char timezone[48];
} pool_config;

/* ORDER CLOSE_REASONS, l_stats.c */
enum close_reason { CLOSE_LIFETIME, CLOSE_USES, CLOSE_IDLE, CLOSE_SURPLUS,
                    CLOSE_EXPIRED, CLOSE_POOL, CLOSE_HOOK, CLOSE_DOUBT,
                    CLOSE_LOST, CLOSE_REASONS };

/* How long they waited: up to 1 ms, 10 ms, 100 ms, 1 s, 10 s, longer. */
enum { WAIT_BUCKETS = 6 };
typedef struct wait_stats {
  uint64_t n, bucket[WAIT_BUCKETS];
  int64_t total_ns, max_ns;
} wait_stats;

/* acquires = granted + refused + abandoned + nclaims.
** queries = succeeded + failed. connects = size - dialling + every closed. */
typedef struct pool_stats {
  uint64_t queries, failed, acquires, granted, refused, abandoned, timeouts,
    shed, cancels, collateral, connects, connect_failures, closes, lost, hits,
    misses, evictions, retries, healed, rows, resets, pings, failovers;
  uint64_t closed[CLOSE_REASONS];
  wait_stats acquire_wait, queue_wait;
} pool_stats;

struct pool {
  neap_body body;
  neap_loop *loop;
  list *module; /* every conn of the Lua state; see mod.c */
  pool_config cfg;
  dsn dsn;
  unsigned char state, strict, pumping, pump_again;
  int size, dialling; /* slots taken; of these, being connected */
  int pinging;        /* idle ones that are asked whether they are alive */
  int jobs; /* cancel requests on the thread pool */
  int reserved;
  unsigned char *slots; /* taken or not, cfg.max + cfg.overflow of them */
  list all, idle, busy, leased;
  list queue, claims; /* P2 */
  unsigned nqueue, nclaims;
  unsigned nfollow; /* those who wait for another's description */
  unsigned live;    /* queries in anybody's hands */
  uint64_t seq;
  list stmts;
  type_map types;
  unsigned nstmts;
  query *free; /* by next */
  struct query_chunk *chunks;
  query *guard;   /* being decoded; left behind when that raised */
  args scratch;   /* being encoded */
  const char **values; /* for libpq: nvalues of each */
  int *lengths, *formats;
  int nvalues;
  char prefix[12]; /* of statement names */
  unsigned serial;
  conn_error connect_error; /* of the last dial that failed */
  int64_t dial_after; /* back-off */
  unsigned dial_failures;
  neap_timer keeper; /* housekeeping */
  neap_timer redial;
  int64_t shed_least, shed_until; /* shed.c: of this interval */
  int shedding;
  int64_t losses[3], failover_at; /* health.c: the last ones */
  unsigned loss;
  list drainers; /* neap_wait: those who wait until all is quiet */
  pool_stats stats;
  int pid;
  int (*send_sync)(PGconn *); /* libpq 17, or NULL */
};

pool *pool_new(neap_loop *loop, list *module); /* one pin */
int pool_start(pool *p); /* cfg and dsn are set: 0 or a code */
/* No more than this many connections now; starts what is missing. */
void pool_fill(pool *p);

/* A statement for any lane. RC_OK: under way or queued. RC_SETUP: q->conn is
** a fresh connection, leased to the caller, who runs on_connect on it. Else
** an error, and q was not taken. */
int pool_submit(pool *p, query *q);
/* Out of the queue it is in, before it was sent. */
void pool_withdraw(query *q);

/* 0: granted at once. NEAP_PENDING: l->wait is woken. Else an RC_ code. */
int pool_claim(pool *p, lease *l, int64_t limit_ns); /* 0: without a limit */
void pool_unclaim(lease *l);
lease *lease_new(pool *p);
void lease_release(lease *l); /* never waits; the lane is cleaned behind it */
/* ... and closed */
void lease_destroy(lease *l, int reason, const char *why);

/* From the connections. */
void pool_dialled(conn *c, int rc);
void pool_no_dial(pool *p); /* there is no memory to try */
void pool_free(conn *c);   /* clean and idle: hand it on */
void pool_settled(conn *c); /* something was answered; may take more */
void pool_gone(conn *c);   /* dead: its slot is free */
void pool_again(query *q); /* send it on some other lane */
void pool_unusable(conn *c, const conn_error *e); /* could not be set up */
int64_t pool_now(void);    /* real time: virtual clocks do not reach servers */

void pool_drain(pool *p); /* no new ones; drainers are woken when quiet */
int pool_quiet(const pool *p);
void pool_rest(pool *p); /* if it is quiet: wake the drainers */
void pool_refuse(pool *p); /* those who wait are told that it is closed */
void pool_close(pool *p, const char *why); /* everything ends now */
void pool_expire(pool *p); /* connections made before now are not reused */

/* shed.c: may one more wait? RC_OK or RC_OVERLOADED. */
int shed_admit(pool *p);
/* One got what it waited for, after ns. */
void shed_served(pool *p, wait_stats *s, int64_t ns);
/* Those who have waited too long in a pool that does not keep up are told. */
void shed_late(pool *p);

/* health.c: an idle connection is fit to be handed out; if not it is asked in
** the background and comes back by pool_free. */
int health_fit(conn *c);
/* A connection broke, or a server refused to write: a failover? */
void health_lost(pool *p);
void health_read_only(conn *c);

/* Between pool.c and dispatch.c. */

static inline int pool_capacity(const pool *p) {
  return p->cfg.max + p->cfg.overflow;
}

static inline unsigned pool_waiting(const pool *p) {
  return p->nqueue + p->nclaims;
}

void pool_pump(pool *p);        /* serve those who wait, dial for the rest */
void pool_count_dials(pool *p); /* somebody waits for them, or no longer */
conn *pool_take_idle(pool *p);  /* the one used last, if it is still good */
void pool_lease_to(conn *c, lease *l);
query *pool_first_query(const pool *p);
lease *pool_first_claim(const pool *p);
void pool_unqueue(pool *p, query *q);
void pool_leave(pool *p, lease *l); /* out of the claims */
void pool_fail_claim(pool *p, lease *l, int rc);

#endif
