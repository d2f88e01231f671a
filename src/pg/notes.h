/*
** notes.h -- what NOTIFY sends to a connection: kept for the lease that asked
** for it, until somebody takes it. No Lua here.
*/
#ifndef pg_notes_h
#define pg_notes_h

#include "pg/pool.h"

typedef struct note {
  node link; /* lease->notes */
  PGnotify *is;
} note;

/* All that libpq has read; the one who waits for it is woken. */
void notes_take(conn *c);
note *notes_shift(lease *l); /* or NULL; give it to notes_free */
void notes_free(note *n);
void notes_clear(lease *l);

#endif
