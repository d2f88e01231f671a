/*
** ring.h -- the records of what a connection still has to be answered: a
** queue in an array that doubles (conn.h, L1). Inline; for send.c, settle.c.
*/
#ifndef pg_ring_h
#define pg_ring_h

#include "pg/conn.h"

static inline rec *ring_at(const conn *c, unsigned i) {
  return &c->ring[(c->head + i) & (c->cap - 1)];
}

/* Room for n more: 0 or NEAP_ENOMEM. */
int ring_reserve(conn *c, unsigned n);

static inline void ring_push(conn *c, int kind, query *q) {
  rec *r = ring_at(c, c->count++);

  r->kind = (unsigned char)kind;
  r->answered = 0;
  r->q = q;
}

static inline void ring_pop(conn *c) {
  c->head = (c->head + 1) & (c->cap - 1);
  c->count--;
}

#endif
