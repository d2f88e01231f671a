/*
** notice.h -- what the server says besides its answers: kept with the query it
** belongs to, for on_notice. No Lua here.
*/
#ifndef pg_notice_h
#define pg_notice_h

#include "pg/pool.h"

enum notice_field { NOTICE_SEVERITY, NOTICE_CODE, NOTICE_MESSAGE,
                    NOTICE_DETAIL, NOTICE_HINT, NOTICE_WHERE, NOTICE_FIELDS };

typedef struct notice {
  struct notice *next;
  unsigned dropped; /* behind this one, for there were too many */
  const char *field[NOTICE_FIELDS]; /* NULL: it has none */
  char text[];
} notice;

void notice_on(void *conn, const PGresult *r); /* libpq's receiver */
void notice_clear(query *q);

#endif
