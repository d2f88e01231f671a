/*
** heap.c -- see heap.h.
*/
#include "base/heap.h"

#include <errno.h>

static int before(const heap_item *a, const heap_item *b) {
  return a->key != b->key ? a->key < b->key : a->order < b->order;
}

static void place(heap *h, size_t i, heap_item it) {
  h->items[i] = it;
  *it.pos = (unsigned)(i + 1);
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

int heap_insert(heap *h, int64_t key, unsigned tag, unsigned *pos) {
  heap_item it;

  if (h->n == h->cap) {
    size_t cap = h->cap ? h->cap * 2 : 64;
    heap_item *items = base_realloc(h->items, cap * sizeof *items);
    if (items == NULL) return -ENOMEM;
    h->items = items;
    h->cap = cap;
  }
  it.key = key;
  it.order = (h->order += 2) | (tag & 1u);
  it.pos = pos;
  sift_up(h, h->n++, it);
  return 0;
}

void heap_remove(heap *h, unsigned *pos) {
  size_t i;
  heap_item last;

  if (*pos == 0) return;
  i = *pos - 1;
  *pos = 0;
  last = h->items[--h->n];
  if (i == h->n) return; /* it was the last one */
  if (i > 0 && before(&last, &h->items[(i - 1) / 4]))
    sift_up(h, i, last);
  else
    sift_down(h, i, last);
}

void heap_fini(heap *h) {
  base_free(h->items);
  h->items = NULL;
  h->n = h->cap = 0;
}
