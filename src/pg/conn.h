/*
** conn.h -- one connection, a lane: a FIFO of what the server still has to
** answer. Always in pipeline mode. No Lua here.
**
**             conn_open              conn_adopt
**   (new) ---------------> DIALING -------------> OPEN
**                             |                    |
**                             |  conn_fail         |  conn_close, conn_lost
**                             +-------> DEAD <-----+
**
**   USE_IDLE      nothing in flight, in pool->idle
**   USE_SHARED    statements of many tasks in flight, in pool->busy
**   USE_LEASED    one owner; in pool->leased
**   USE_CLEANING  given back, not yet clean (clean.c); in pool->leased
**
** L1  The ring holds one record for each answer that is still to come, in
**     order; a segment's last record is REC_SYNC.
** L2  A query whose last record was answered stands in `segment` until the
**     Sync: only then it is settled (a deferred constraint may still fail).
** L3  Nothing is sent while `blocked` (the socket is full), `cancelling` or
**     `copying`.
** L4  `refs`: the pool's list, every query sent on it, every coroutine and
**     request of it that runs. Memory outlives the PGconn.
*/
#ifndef pg_conn_h
#define pg_conn_h

#include "pg/dsn.h"
#include "pg/query.h"

enum conn_state { CONN_DIALING, CONN_OPEN, CONN_DEAD };
enum conn_use { USE_NONE, USE_IDLE, USE_SHARED, USE_LEASED, USE_CLEANING };
enum rec_kind { REC_PRELUDE, REC_PREPARE, REC_DESCRIBE, REC_EXEC, REC_SYNC };
enum copy_phase { COPY_NONE, COPY_QUEUED, COPY_BEGIN, COPY_IN, COPY_OUT, COPY_END,
                  COPY_DROP };
enum cancelling { CANCEL_NONE, CANCEL_ARMED, CANCEL_SENT, CANCEL_FENCE };

typedef struct rec {
  unsigned char kind, answered;
  query *q; /* NULL for REC_SYNC */
} rec;

/* The connect error, or why the connection was lost. */
typedef struct conn_error {
  char kind[12]; /* "io", "pg", "timeout"; empty: none */
  char code[16];
  char text[320];
} conn_error;

/* Frames of the coroutines of one connection. */
typedef struct dialler {
  neap_co co;
  neap_timer timer;
  struct lookup *lookup; /* under way */
  int target, pass, last_pass;
  int naddr, addr;
  char (*addrs)[64];
  int64_t deadline;
  int events; /* what the socket is waited for */
} dialler;

typedef struct canceller {
  neap_co co;
  neap_timer grace;
  int rounds; /* of the timer, since the request was sent */
  query *victim;
  struct cancel_job *job; /* under way on the thread pool */
} canceller;

typedef struct cleaner {
  neap_co co;
  neap_timer limit;
  int step;
} cleaner;

struct conn {
  node link;     /* pool->idle, busy, leased or dialling */
  node every;    /* pool->all */
  node module;   /* module's list, from birth to death: see mod.c */
  unsigned refs; /* L4 */
  pool *pool;
  int slot; /* index for stmt->on */
  PGconn *pg;
  neap_watch *watch;
  int events;
  unsigned char state, use, cancelling;
  unsigned char blocked, draining, fresh, doomed, reserved, counted, dirty;
  unsigned char ddl, wanted, closing_segment, in_setup;
  unsigned char stale;   /* dialled before the pool was told to expire */
  unsigned char pinging; /* clean.c asks the server whether it is there */
  unsigned char vouched; /* it has just said so */
  unsigned char styled;  /* times its session has been put right */
  struct lease *lease;
  rec *ring; /* L1: cap is a power of two */
  unsigned head, count, cap;
  unsigned stray; /* NULLs in a row that ended nothing */
  list pending;   /* bound to this lane, not sent */
  list segment;   /* L2 */
  PGresult *late; /* error at the Sync itself */
  list prepared;
  unsigned nprepared;
  list drop; /* entries whose server side is to be deallocated */
  unsigned depth, open; /* queries in flight; those of the open segment */
  unsigned slow, heavy, unknown; /* of those in flight, by their history */
  int64_t work_ns, head_since;
  int64_t born, idle_since, retire_at;
  uint64_t uses;
  /* copy.h; copy_lent: its owner has the turn, not the driver */
  unsigned char copying, copy_refused, copy_unwanted, copy_lent;
  neap_wait *copy_wait;
  buf copy_sql;
  buf prelude; /* BEGIN, SAVEPOINT ...: sent with the next statement */
  conn_error error;
  query *service; /* fence, rollback, reset; sent by the coroutines */
  int service_done;
  conn_error service_error;
  dialler dial;
  canceller cancel;
  cleaner clean;
  neap_co closer; /* ends an open segment */
};

conn *conn_new(pool *p, int slot);
/* The Lua state ends and nothing runs any more: free c, frames and all. */
void conn_obliterate(conn *c);
void conn_ref(conn *c);
void conn_unref(conn *c);

/* dial.c: connect in the background; the pool hears of the end. */
void conn_open(conn *c);

/* The dial succeeded: pipeline mode, the permanent watch. 0 or a code. */
int conn_adopt(conn *c);

/* May q be sent on it now? */
int conn_ready(const conn *c);
/* Send q, or keep it until the lane is ready. Takes the lane's ref of q. */
void conn_submit(conn *c, query *q);
/* Statements that wait for the next one, to be sent in its segment: add one,
** 0 or NEAP_ENOMEM; take it back if it is the last and still there, 1 or 0. */
int conn_prelude(conn *c, const char *sql);
int conn_drop_prelude(conn *c, const char *sql);
/* Send what is pending, as far as the lane is ready. */
void conn_feed(conn *c);

/* Close in good order (nothing in flight) or not (in flight: lost). */
void conn_close(conn *c, int reason, const char *why);
/* The connection is broken or in doubt: settle everybody, end it. */
void conn_lost(conn *c, const char *kind, const char *code, const char *text);

/* cancel.c: q is sent, or with NULL a COPY is under way, and nobody wants it:
** cancel it on the server. */
void conn_cancel(conn *c, query *q);
/* Cancel whatever runs, for a connection that is about to be closed. */
void conn_cancel_blindly(conn *c);
void conn_leave_cancel(conn *c); /* its request on the thread pool goes on */
void conn_leave_lookup(conn *c); /* dial.c, likewise */
/* clean.c: the lane was given back; it is the pool's again when clean. */
void conn_clean(conn *c);
/* Something happened on the lane: its coroutines look again. */
void conn_event(conn *c);
/* Run `sql` for the lane's own coroutine; service_done tells. 0 or a code. */
int conn_service(conn *c, const char *sql);

/* Is a socket that was idle still good? Looks without waiting. */
int conn_alive(conn *c);
/* Count its socket as pending I/O, or no longer. */
void conn_count(conn *c, int on);
/* Count it while somebody waits: for an answer, or in a COPY. */
void conn_recount(conn *c);

void conn_error_set(conn_error *e, const char *kind, const char *code,
                    const char *text);

/* send.c, settle.c */
void lane_drain(conn *c);
int lane_send(conn *c, query *q);
void lane_flush(conn *c);
query *lane_head(const conn *c);
int lane_holds(const conn *c, const query *q);
void lane_forget_prepared(conn *c, prepared *p);
void lane_release_prepared(conn *c, query *q);

#endif
