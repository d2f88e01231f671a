/*
** heap.c -- see heap.h.
*/
#include "base/heap.h"

#include <errno.h>

#define CAP_MIN 64
#define CAP_MAX ((size_t)1 << 30) /* an id has 31 bits for the number */

static int before(const heap_item *a, const heap_item *b) {
  return a->key != b->key ? a->key < b->key
                          : (int32_t)(a->order - b->order) < 0;
}

static void place(heap *h, size_t i, heap_item it) {
  h->items[i] = it;
  h->at[it.id >> 1] = (unsigned)i;
}

static void sift_up(heap *h, size_t i, heap_item it) {
  while (i > 0) {
    size_t up = (i - 1) / 4;
    if (!before(&it, &h->items[up])) break;
    place(h, i, h->items[up]);
    i = up;
  }
  place(h, i, it);
}

static void sift_down(heap *h, size_t i, heap_item it) {
  for (;;) {
    size_t c = i * 4 + 1, best, end;
    if (c >= h->n) break;
    end = c + 4 < h->n ? c + 4 : h->n;
    for (best = c++; c < end; c++)
      if (before(&h->items[c], &h->items[best])) best = c;
    if (!before(&h->items[best], &it)) break;
    place(h, i, h->items[best]);
    i = best;
  }
  place(h, i, it);
}

/* One array more or less changes nothing while cap stays. */
static int grow(heap *h) {
  size_t cap = h->cap ? h->cap * 2 : CAP_MIN;
  void *more;

  if (cap > CAP_MAX) return -ENOMEM;
  if ((more = base_realloc(h->items, cap * sizeof *h->items)) == NULL)
    return -ENOMEM;
  h->items = more;
  if ((more = base_realloc(h->at, cap * sizeof *h->at)) == NULL)
    return -ENOMEM;
  h->at = more;
  if ((more = base_realloc(h->owner, cap * sizeof *h->owner)) == NULL)
    return -ENOMEM;
  h->owner = more;
  h->cap = cap;
  return 0;
}

static unsigned take_number(heap *h) {
  unsigned number;

  if (h->unused == 0) return h->fresh++;
  number = h->unused - 1;
  h->unused = h->at[number];
  return number;
}

int heap_insert(heap *h, int64_t key, unsigned tag, unsigned *pos) {
  unsigned number;
  heap_item it;
  int rc;

  if (h->n == h->cap && (rc = grow(h)) < 0) return rc;
  number = take_number(h);
  h->owner[number] = pos;
  *pos = number + 1;
  it.key = key;
  it.order = h->order++;
  it.id = number << 1 | (tag & 1u);
  sift_up(h, h->n++, it);
  return 0;
}

void heap_remove(heap *h, unsigned *pos) {
  unsigned number;
  size_t i;
  heap_item last;

  if (*pos == 0) return;
  number = *pos - 1;
  *pos = 0;
  i = h->at[number];
  h->at[number] = h->unused;
  h->unused = number + 1;
  last = h->items[--h->n];
  if (i == h->n) return; /* it was the last one */
  if (i > 0 && before(&last, &h->items[(i - 1) / 4]))
    sift_up(h, i, last);
  else
    sift_down(h, i, last);
}

void heap_fini(heap *h) {
  base_free(h->items);
  base_free(h->at);
  base_free(h->owner);
  *h = (heap){0};
}
