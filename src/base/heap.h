/*
** heap.h -- a 4-ary min-heap of deadlines. Equal keys leave in the order in
** which they came. Four children a node: half the levels of a binary heap and
** siblings on one cache line (LaMarca and Ladner 1996).
*/
#ifndef base_heap_h
#define base_heap_h

#include "base/base.h"

/*
** H1  *pos holds a number plus 1, the same from insertion to removal; 0 means
**     "not in". at[number] is the index of its item, owner[number] is pos.
** H2  The place belongs to whoever inserted it and stays until removal.
** H3  A number that is not in use holds in at[] the next such number plus 1.
**
** Moving an item writes to at[], four bytes close to others, and not to its
** owner, which lies anywhere: with 10^5 sleepers each such write is a miss.
*/
typedef struct heap_item {
  int64_t key;
  uint32_t order; /* of insertion; wraps around, compared by difference */
  uint32_t id;    /* number, times two, plus the caller's tag bit */
} heap_item;

typedef struct heap {
  heap_item *items;
  unsigned *at;
  unsigned **owner;
  size_t n, cap;
  uint32_t order, fresh; /* numbers used so far */
  uint32_t unused;       /* H3: the first, plus 1 */
} heap;

void heap_fini(heap *h);

/* 0, or -ENOMEM and nothing changed. *pos must be 0. tag is 0 or 1. */
int heap_insert(heap *h, int64_t key, unsigned tag, unsigned *pos);
void heap_remove(heap *h, unsigned *pos); /* nothing if *pos is 0 */

static inline const heap_item *heap_first(const heap *h) {
  return h->n ? &h->items[0] : NULL;
}
static inline unsigned heap_tag(const heap_item *it) { return it->id & 1u; }
static inline unsigned *heap_pos(const heap *h, const heap_item *it) {
  return h->owner[it->id >> 1];
}
/* The key under which *pos, not 0, stands in the heap. */
static inline int64_t heap_key(const heap *h, unsigned pos) {
  return h->items[h->at[pos - 1]].key;
}

#endif
