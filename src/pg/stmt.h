/*
** stmt.h -- statements: one for each SQL text of a pool, with its parameter
** types, columns and how long it takes; and, for each connection that has it
** prepared, an entry with the server's name for it.
**
** S1  `described` means that params and cols hold what the server said in
**     generation `generation`; an entry of another generation is stale.
** S2  stmt->on[slot] is the entry of the connection in that slot, or NULL.
** S3  takes, the columns' types and `binary` hold what the map of types said
**     in its generation `typed`; 0: they have to be asked for.
** S4  An entry is READY only once the server has confirmed its preparation.
*/
#ifndef pg_stmt_h
#define pg_stmt_h

#include <libpq-fe.h>

#include "base/list.h"
#include "pg/sql.h"
#include "pg/type_map.h"

typedef struct stmt stmt;
typedef struct conn conn;

typedef struct column {
  pg_oid oid;
  const pg_type *type; /* NULL: not built in */
  pg_decode decode;    /* for the statement's format */
} column;

struct stmt {
  node link;     /* pool->stmts, least recently used first */
  unsigned refs; /* the registry, entries, queries */
  unsigned generation;
  unsigned typed;                 /* S3 */
  unsigned char described, binary, registered, describing;
  unsigned char records; /* a column has anonymous records */
  sql_info info;
  int nparams, ncols;
  pg_oid *params;
  const pg_type **takes; /* of each parameter; NULL: not known, text */
  column *cols;
  char *names; /* of the columns, each ended by NUL */
  int64_t ewma; /* ns; 0: no history */
  uint64_t calls, errors, rows; /* for db:statements */
  int64_t total_ns, max_ns;
  list followers; /* queries that wait for somebody else's description */
  struct prepared **on; /* S2 */
  int slots;
  size_t len;
  char sql[]; /* NUL behind len */
};

enum prepared_state { PREP_SENT, PREP_READY, PREP_FAILED };

typedef struct prepared {
  node link; /* conn->prepared, least recently used first */
  stmt *of;
  unsigned generation, in_flight;
  unsigned char state;
  char name[32];
} prepared;

stmt *stmt_new(const char *sql, size_t len); /* one ref; NULL: no memory */
void stmt_ref(stmt *s);
void stmt_unref(stmt *s);

/* Another text that takes and gives what s does (DECLARE and FETCH of its
** cursor), not to be kept: one ref; NULL: no memory. s is described. */
stmt *stmt_alias(const stmt *s, const char *sql, size_t len);

/* Take what Describe said, all but the types. 0 or -ENOMEM (then the statement
** is as before). */
int stmt_learn(stmt *s, const PGresult *r);
/* The types of a described statement (S3). 1: they are there. 0: more has to be
** known, see type_map_find. -ENOMEM. */
int stmt_resolve(stmt *s, type_map *m, buf *missing);
/* Does the shape of r differ from what the statement was told to expect? */
int stmt_differs(const stmt *s, const PGresult *r);
/* What is known of it is no longer true. */
void stmt_forget(stmt *s);
void stmt_took(stmt *s, int64_t ns);

/* The entry for a connection's slot, or NULL. */
prepared *stmt_on(const stmt *s, int slot);
/* A new entry, in its slot; the caller puts it into the connection's list. */
prepared *stmt_enter(stmt *s, int slot, const char *prefix, unsigned serial);
/* Out of slot and list; frees it and its ref to the statement. */
void stmt_leave(prepared *p, int slot);

#endif
