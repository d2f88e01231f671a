/*
** copy.h -- COPY on one connection: out of pipeline mode and back, data in
** either direction with back-pressure, and the way out when nobody wants it
** any more. No Lua here.
**
**             copy_start          the lane is quiet           the server agrees
**   (NONE) ----------> QUEUED ----------------> BEGIN ----------> IN or OUT
**      ^                                                              |
**      +--------- pipeline mode again --------- END, DROP <-----------+
**
** Y1  While c->copying the lane takes no statement (conn_ready).
** Y2  One waiter at most, the lease's wait, in c->copy_wait while parked.
** Y3  The socket is read only while somebody waits for data: what a slow
**     reader leaves stays with the server.
*/
#ifndef pg_copy_h
#define pg_copy_h

#include "pg/pool.h"

/* Begin; sql is a COPY statement. 0: NEAP_PENDING, wait for it. Else an RC_
** code and nothing was begun. Afterwards copy_state tells what came of it. */
int copy_start(conn *c, const char *sql, size_t len);

/* Data for the server. 0, NEAP_PENDING (taken, wait before the next), or
** RC_LOST. */
int copy_put(conn *c, const char *data, size_t len);
/* All data was given: wait for the outcome in lease->copied. */
int copy_finish(conn *c);

/* The next message: its length (free it with PQfreemem), NEAP_PENDING (wait
** and ask again), 0 at the end (wait for the outcome), or RC_LOST. */
int copy_get(conn *c, char **data);

/* Park the lease's wait; wake comes with 0 or RC_LOST. */
int copy_park(lua_State *L, lease *l, const char *name, lua_KFunction k);
/* Nobody wants the rest. Ends by itself; never raises. */
void copy_abandon(conn *c);

/* From the connection. */
void copy_on_ready(conn *c, int status, int events);
void copy_on_quiet(conn *c); /* what was in flight is settled */
void copy_on_end(conn *c);   /* the connection is dead */
int copy_is_unwanted(const conn *c); /* to be cancelled on the server */

#endif
