/*
** heap.c -- tests of base/heap.c, the last of them against a model: a plain
** array that is searched, under the same random operations.
*/
#include "base/heap.h"

#include <string.h>

#include "check.h"

enum { SLOTS = 300, STEPS = 60000 };

/* H1, and no child before its parent. */
static int sound(const heap *h) {
  for (size_t i = 0; i < h->n; i++) {
    const heap_item *it = &h->items[i], *up;
    if (*heap_pos(h, it) != (it->id >> 1) + 1 || h->at[it->id >> 1] != i)
      return 0;
    if (i == 0) continue;
    up = &h->items[(i - 1) / 4];
    if (it->key < up->key) return 0;
    if (it->key == up->key && (int32_t)(it->order - up->order) < 0) return 0;
  }
  return 1;
}

static void starts_empty(void) {
  heap h = {0};
  unsigned nowhere = 0;

  CHECK(heap_first(&h) == NULL);
  heap_remove(&h, &nowhere);
  CHECK(h.n == 0 && nowhere == 0);
  heap_fini(&h);
}

static void gives_smallest_first(void) {
  static const int64_t keys[] = {5, -3, INT64_MAX, 0, 7, INT64_MIN, 2};
  static const int64_t sorted[] = {INT64_MIN, -3, 0, 2, 5, 7, INT64_MAX};
  unsigned pos[countof(keys)] = {0};
  heap h = {0};

  for (size_t i = 0; i < countof(keys); i++)
    CHECK(heap_insert(&h, keys[i], 0, &pos[i]) == 0);
  CHECK(sound(&h));
  for (size_t i = 0; i < countof(sorted); i++) {
    CHECK_OR_RETURN(heap_first(&h) != NULL);
    CHECK(heap_first(&h)->key == sorted[i]);
    heap_remove(&h, heap_pos(&h, heap_first(&h)));
  }
  CHECK(h.n == 0);
  heap_fini(&h);
}

static void keeps_arrival_order(void) {
  enum { N = 500 };
  static unsigned pos[N];
  heap h = {0};

  memset(pos, 0, sizeof pos);
  for (int i = 0; i < N; i++)
    CHECK(heap_insert(&h, i % 3, 0, &pos[i]) == 0);
  for (int key = 0; key < 3; key++)
    for (int i = key; i < N; i += 3) {
      CHECK_OR_RETURN(heap_pos(&h, heap_first(&h)) == &pos[i]);
      heap_remove(&h, &pos[i]);
      CHECK(pos[i] == 0);
    }
  CHECK(h.n == 0);
  heap_fini(&h);
}

static void carries_tags(void) {
  unsigned a = 0, b = 0;
  heap h = {0};

  CHECK(heap_insert(&h, 1, 1, &a) == 0);
  CHECK(heap_insert(&h, 1, 0, &b) == 0);
  CHECK(heap_tag(heap_first(&h)) == 1 && heap_pos(&h, heap_first(&h)) == &a);
  heap_remove(&h, &a);
  CHECK(heap_tag(heap_first(&h)) == 0 && heap_pos(&h, heap_first(&h)) == &b);
  heap_fini(&h);
}

typedef struct model {
  int64_t key[SLOTS];
  unsigned long came[SLOTS]; /* 0: not in */
  unsigned pos[SLOTS];
} model;

static int model_first(const model *m) {
  int best = -1;

  for (int i = 0; i < SLOTS; i++) {
    if (m->came[i] == 0) continue;
    if (best < 0 || m->key[i] < m->key[best] ||
        (m->key[i] == m->key[best] && m->came[i] < m->came[best]))
      best = i;
  }
  return best;
}

static void agrees_with_a_model(void) {
  static model m;
  unsigned seed = 20240607;
  unsigned long came = 0;
  size_t n = 0;
  heap h = {.order = UINT32_MAX - STEPS / 4}; /* it wraps around */

  memset(&m, 0, sizeof m);
  for (int step = 0; step < STEPS; step++) {
    int i = (int)(check_random(&seed) % SLOTS);
    if (m.came[i]) { /* anywhere in the heap */
      heap_remove(&h, &m.pos[i]);
      m.came[i] = 0;
      n--;
    } else {
      m.key[i] = (int64_t)(check_random(&seed) % 50) - 25; /* many equal */
      m.came[i] = ++came;
      CHECK(heap_insert(&h, m.key[i], 0, &m.pos[i]) == 0);
      n++;
    }
    if (step % 5 == 0 && n > 0) {
      int first = model_first(&m);
      CHECK_OR_RETURN(heap_pos(&h, heap_first(&h)) == &m.pos[first]);
      heap_remove(&h, &m.pos[first]);
      m.came[first] = 0;
      n--;
    }
    CHECK_OR_RETURN(h.n == n);
    if (step % 64 == 0) CHECK_OR_RETURN(sound(&h));
  }
  heap_fini(&h);
}

int main(void) {
  RUN(starts_empty, "heap: an empty heap has no first, removing is nothing");
  RUN(gives_smallest_first, "heap: the smallest key leaves first");
  RUN(keeps_arrival_order, "heap: equal keys leave in the order they came");
  RUN(carries_tags, "heap: an item keeps its tag bit");
  RUN(agrees_with_a_model, "heap: 60000 random operations agree with a model");
  return check_end();
}
