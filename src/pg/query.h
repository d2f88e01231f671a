/*
** query.h -- one request: a statement with its parameters, on its way through
** pool, lane and server, and the task that waits for it. No Lua here.
**
** Q1  A query is held by its waiter and by the lane or queue it is in, one
**     ref each; the last ref gives it back to the pool's free list.
** Q2  It is in at most one list: pool->queue, conn->pending, conn->segment,
**     stmt->followers (by link).
** Q3  state is Q_DONE if and only if rc and res are final. Nothing but the
**     waiter touches it afterwards.
*/
#ifndef pg_query_h
#define pg_query_h

#include "neap.h"
#include "pg/args.h"

typedef struct pool pool;
typedef struct query query;

enum query_state { Q_NEW, Q_FOLLOWING, Q_QUEUED, Q_PENDING, Q_SENT, Q_DONE };

/* What is asked of the server. */
enum query_phase {
  PHASE_DESCRIBE, /* parse it and say what it takes and gives */
  PHASE_TYPES,    /* ask what its types are; stmt may be NULL */
  PHASE_EXECUTE
};

/* How it is executed. */
enum query_form {
  FORM_NAMED,   /* prepared on the connection, under a name */
  FORM_UNNAMED, /* parsed, bound and executed in one segment */
  FORM_TEXT     /* the same without knowing types: all in text */
};

/* query.flags */
#define QF_READONLY 1u  /* may share a segment, may be run again */
#define QF_ALONE 2u     /* no longer shares one */
#define QF_GENERIC 4u   /* plan_cache_mode = force_generic_plan */
#define QF_COMMIT 8u    /* its loss means commit_unknown */
#define QF_END 16u      /* commit, rollback: not to be cancelled */
#define QF_UNWANTED 32u /* nobody waits any more: cancel it on the server */
#define QF_WAITED 64u   /* the waiter's ref is held */
#define QF_MEMBER 128u  /* of a batch, behind its leader */
#define QF_AGAIN 256u   /* a stale plan was healed once already */
#define QF_INTERNAL 512u /* the pool's own; `settled` is called */
#define QF_LATE 1024u   /* the error came at the commit */
#define QF_FOLLOWED 4096u /* waited for such a one, in vain: asks by itself */
#define QF_ECHOED 8192u /* was told of to the echo function */
#define QF_LEADER 2048u /* others wait for its description of the statement */

/* query.bound: how it counts in its lane's load, by the statement's history. */
enum query_bound { BOUND_SLOW = 1, BOUND_HEAVY = 2, BOUND_UNKNOWN = 4 };

/* query.rc when done: 0 is "res says it" (also an error of the server). */
enum query_rc {
  RC_OK = 0,
  RC_AGAIN = 1001, /* describe and encode it anew, then send again */
  RC_SETUP,        /* a fresh connection is there: run on_connect on it */
  RC_STALE,        /* its plan is stale and it must not be repeated here */
  RC_LOST,         /* the connection broke */
  RC_TIMEOUT,      /* timeout or command_timeout */
  RC_POOL_TIMEOUT, /* no connection in time */
  RC_CLOSED,       /* the pool was closed */
  RC_CONNECT,      /* no connection can be made: pool->connect_error */
  RC_OVERLOADED,   /* too many wait, or too long */
  RC_COPY,         /* it turned out to be a COPY */
  RC_NOMEM
};

struct query {
  node link;      /* Q2 */
  neap_op op;     /* what its wait is called */
  neap_wait wait; /* the task */
  neap_timer timer;
  pool *pool;
  conn *conn;     /* where it was sent; one ref */
  stmt *stmt;     /* one ref */
  query *next;    /* batch: the next statement of the same segment */
  query *behind;  /* answered, but with types that this one asks for */
  lua_KFunction after; /* what goes on with `behind` then */
  prepared *prep; /* while in flight */
  PGresult *res;
  struct notice *notices; /* notice.h */
  void (*settled)(query *q); /* QF_INTERNAL */
  void *owner;               /* QF_INTERNAL: whose */
  int rc;
  unsigned refs, flags;
  unsigned char state, phase, form, attempts, bound;
  unsigned char mode, shape; /* l_query.c: what the caller wants back */
  unsigned char unprepared; /* asked for, or its preparation failed */
  /* Of the task that waits, for l_query.c: stack indices of the SQL and of a
  ** metatable (or 0), the call as the user wrote it, what sends it (again). */
  int base, nargs, entity, scratch, nth;
  const char *what;
  int (*go)(lua_State *L, query *q);
  int failed_set; /* of the first error, counted from 0 */
  int done_sets;
  int64_t affected;
  int64_t deadline; /* of the driver's own limit; INT64_MAX: none */
  int64_t acquire_by;
  int64_t asked_at; /* real time, if somebody is told of it */
  int64_t begun, sent_at, cost; /* cost: what the lane's estimate counts it as */
  uint64_t seq;          /* order of arrival at the pool */
  args args;
};

/* From the pool's free list: one ref, the waiter's. NULL: no memory. */
query *query_new(pool *p);
void query_unref(query *q);
void query_free_all(pool *p); /* the pool ends, nobody waits any more */
void query_set_stmt(query *q, stmt *s);

/* The end of it: result, outcome, wake. Drops the lane's ref. */
void query_finish(query *q, int rc);
/* The description is under way in somebody else's query: wait for that. Takes
** the lane's ref of q. */
void query_follow(query *q);
void query_stop_leading(query *q); /* those who follow try for themselves */
/* The waiter leaves (cancelled, out of time). */
void query_detach(query *q);

/* Start the timer for the earliest of its limits in this state: 0, or
** NEAP_ENOMEM and it waits without. */
int query_arm(query *q);

/* Name what the task waits in; it can be cancelled, or (commit) cannot. */
void query_name(query *q, const char *what);
extern const neap_op commit_op;

#endif
