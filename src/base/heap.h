/*
** heap.h -- a 4-ary min-heap of deadlines. Equal keys leave in the order in
** which they came. Four children a node: half the levels of a binary heap and
** siblings on one cache line (LaMarca and Ladner 1996).
*/
#ifndef base_heap_h
#define base_heap_h

#include "base/base.h"

/*
** H1  items[i].pos points to a place that holds i + 1; 0 means "not in".
** H2  The place belongs to whoever inserted it and stays until removal.
*/
typedef struct heap_item {
  int64_t key;
  uint64_t order; /* insertion order, times two, plus the caller's tag bit */
  unsigned *pos;
} heap_item;

typedef struct heap {
  heap_item *items;
  size_t n, cap;
  uint64_t order;
} heap;

void heap_fini(heap *h);

/* 0, or -ENOMEM and nothing changed. *pos must be 0. tag is 0 or 1. */
int heap_insert(heap *h, int64_t key, unsigned tag, unsigned *pos);
void heap_remove(heap *h, unsigned *pos); /* nothing if *pos is 0 */

static inline const heap_item *heap_first(const heap *h) {
  return h->n ? &h->items[0] : NULL;
}
static inline unsigned heap_tag(const heap_item *it) {
  return (unsigned)(it->order & 1u);
}

#endif
