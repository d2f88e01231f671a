/*
** body.c -- see body.h.
*/
#include "run/body.h"

#include "base/base.h"

void *body_new(size_t size, void (*fini)(neap_body *)) {
  neap_body *b = base_alloc(size);

  if (b == NULL) return NULL;
  b->pins = 1;
  b->fini = fini;
  return b;
}

void body_pin(neap_body *b) { b->pins++; }

void body_unpin(neap_body *b) {
  if (--b->pins > 0) return;
  if (b->fini != NULL) b->fini(b);
  base_free(b);
}
