/*
** store.h -- what a queue holds: first in first out, last in first out, or the
** smallest first. Knows no waiters; queue.c does.
*/
#ifndef core_store_h
#define core_store_h

#include "core/rt.h"

enum store_order { STORE_FIFO, STORE_LIFO, STORE_SMALLEST };

/*
** The items are in a table, user value 1 of the queue; user value 3 is the
** function that compares, nil for `<`.
**
** I1  FIFO and LIFO: a ring of `size` places, n of them used from `head` on.
** I2  SMALLEST: a binary heap; item i at 2i-1, at 2i when it came. Of equal
**     items the one that came first is the smaller.
** I3  A comparison may raise. Nothing has been changed then.
*/
typedef struct store {
  unsigned head, n, size;
  unsigned changes; /* to notice a comparison that uses the queue */
  lua_Integer came;
  unsigned char order;
} store;

/* The queue is at index `qi`. put: the value at `item`; take: pushes one of at
** least one. Both may raise when the order is SMALLEST. */
void store_put(lua_State *L, store *s, int qi, int item);
void store_take(lua_State *L, store *s, int qi);
void store_clear(lua_State *L, store *s, int qi);

#endif
