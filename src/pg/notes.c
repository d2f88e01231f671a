/*
** notes.c -- see notes.h.
*/
#include "pg/notes.h"

static void keep(lease *l, PGnotify *n) {
  note *x = base_alloc(sizeof *x);

  if (x == NULL) { /* a lost message would go unnoticed */
    PQfreemem(n);
    conn_lost(l->conn, "io", "ENOMEM", "no memory for a notification");
    return;
  }
  x->is = n;
  list_append(&l->notes, &x->link);
}

void notes_take(conn *c) {
  PGnotify *n;
  lease *l = c->lease;

  while (c->state == CONN_OPEN && (n = PQnotifies(c->pg)) != NULL) {
    if (l != NULL && l->listening)
      keep(l, n);
    else
      PQfreemem(n);
  }
  if (l != NULL && !list_empty(&l->notes)) neap_wake(&l->note_wait, 0);
}

note *notes_shift(lease *l) {
  node *n = list_shift(&l->notes);
  return n ? container_of(n, note, link) : NULL;
}

void notes_free(note *n) {
  PQfreemem(n->is);
  base_free(n);
}

void notes_clear(lease *l) {
  for (note *n; (n = notes_shift(l)) != NULL;) notes_free(n);
}
