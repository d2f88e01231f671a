/*
** list.h -- an intrusive doubly linked list with a sentinel, inline.
**
** L1  A node that is in no list has both pointers NULL.
*/
#ifndef base_list_h
#define base_list_h

#include "base/base.h"

typedef struct node {
  struct node *prev, *next;
} node;

typedef struct list {
  node head;
} list;

static inline void list_init(list *l) { l->head.prev = l->head.next = &l->head; }
static inline int list_empty(const list *l) { return l->head.next == &l->head; }
static inline int node_linked(const node *n) { return n->next != NULL; }

static inline void list_insert_before(node *at, node *n) {
  n->prev = at->prev;
  n->next = at;
  at->prev->next = n;
  at->prev = n;
}

static inline void list_append(list *l, node *n) {
  list_insert_before(&l->head, n);
}

static inline void list_prepend(list *l, node *n) {
  list_insert_before(l->head.next, n);
}

static inline void node_remove(node *n) {
  if (n->next == NULL) return;
  n->prev->next = n->next;
  n->next->prev = n->prev;
  n->prev = n->next = NULL;
}

static inline node *list_first(const list *l) {
  return list_empty(l) ? NULL : l->head.next;
}

static inline node *list_shift(list *l) {
  node *n = list_first(l);
  if (n != NULL) node_remove(n);
  return n;
}

static inline int list_count(const list *l) {
  const node *n;
  int count = 0;

  for (n = l->head.next; n != &l->head; n = n->next) count++;
  return count;
}

#define LIST_EACH(n, l)                                                       \
  for (node *n = (l)->head.next; n != &(l)->head; n = n->next)

/* Safe against removal of n itself. */
#define LIST_EACH_SAFE(n, l)                                                  \
  for (node *n = (l)->head.next, *n##_next = n->next; n != &(l)->head;        \
       n = n##_next, n##_next = n->next)

#endif
