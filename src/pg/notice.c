/*
** notice.c -- see notice.h. A function that raises a notice for each of a
** million rows must not fill memory: so many are kept, the others counted.
*/
#include "pg/notice.h"

#include <string.h>

#define KEPT_MAX 100

static const int codes[NOTICE_FIELDS] = {
  PG_DIAG_SEVERITY_NONLOCALIZED, PG_DIAG_SQLSTATE, PG_DIAG_MESSAGE_PRIMARY,
  PG_DIAG_MESSAGE_DETAIL, PG_DIAG_MESSAGE_HINT, PG_DIAG_CONTEXT};

static notice *copy_of(const PGresult *r) {
  const char *from[NOTICE_FIELDS];
  size_t size = 0;
  notice *n;
  char *to;
  int i;

  for (i = 0; i < NOTICE_FIELDS; i++) {
    from[i] = PQresultErrorField(r, codes[i]);
    if (from[i] != NULL) size += strlen(from[i]) + 1;
  }
  if ((n = base_alloc(sizeof *n + size)) == NULL) return NULL;
  for (i = 0, to = n->text; i < NOTICE_FIELDS; i++) {
    if (from[i] == NULL) continue;
    n->field[i] = strcpy(to, from[i]);
    to += strlen(to) + 1;
  }
  return n;
}

void notice_on(void *arg, const PGresult *r) {
  conn *c = arg;
  query *q = c->state == CONN_OPEN ? lane_head(c) : NULL;
  notice **tail, *last = NULL;
  unsigned kept = 0;

  if (q == NULL || !(c->pool->cfg.told & TOLD_NOTICES)) return;
  for (tail = &q->notices; *tail != NULL; tail = &last->next, kept++)
    last = *tail;
  if (kept >= KEPT_MAX || (*tail = copy_of(r)) == NULL)
    if (last != NULL) last->dropped++;
}

void notice_clear(query *q) {
  for (notice *n; (n = q->notices) != NULL;) {
    q->notices = n->next;
    base_free(n);
  }
}
