/*
** list.c -- tests of base/list.h.
*/
#include "base/list.h"

#include "check.h"

typedef struct thing {
  int id;
  node node;
} thing;

static int id_of(node *n) {
  return n == NULL ? -1 : container_of(n, thing, node)->id;
}

/* The ids in the list, in order, as one number: 1,2,3 is 123. */
static int reads(const list *l) {
  int sum = 0;

  LIST_EACH(n, l) sum = sum * 10 + id_of(n);
  return sum;
}

static void starts_empty(void) {
  list l;

  list_init(&l);
  CHECK(list_empty(&l));
  CHECK(list_first(&l) == NULL);
  CHECK(list_shift(&l) == NULL);
  CHECK(reads(&l) == 0);
}

static void keeps_order(void) {
  list l;
  thing t[5] = {{.id = 1}, {.id = 2}, {.id = 3}, {.id = 4}, {.id = 5}};

  list_init(&l);
  list_append(&l, &t[1].node);
  list_append(&l, &t[2].node);
  list_prepend(&l, &t[0].node);
  list_append(&l, &t[4].node);
  list_insert_before(&t[4].node, &t[3].node);
  CHECK(reads(&l) == 12345);
  CHECK(id_of(list_first(&l)) == 1);
  CHECK(id_of(list_shift(&l)) == 1);
  CHECK(!node_linked(&t[0].node));
  CHECK(reads(&l) == 2345);
}

static void removes_anywhere(void) {
  list l;
  thing t[4] = {{.id = 1}, {.id = 2}, {.id = 3}, {.id = 4}};

  list_init(&l);
  for (int i = 0; i < 4; i++) list_append(&l, &t[i].node);
  node_remove(&t[1].node);
  CHECK(reads(&l) == 134);
  CHECK(t[1].node.prev == NULL && t[1].node.next == NULL); /* L1 */
  node_remove(&t[1].node);                                 /* once more */
  CHECK(reads(&l) == 134);
  node_remove(&t[0].node);
  node_remove(&t[3].node);
  CHECK(reads(&l) == 3);
  node_remove(&t[2].node);
  CHECK(list_empty(&l));
  list_append(&l, &t[2].node);
  CHECK(reads(&l) == 3);
}

static void walks_while_removing(void) {
  list l;
  thing t[6];
  int met = 0;

  list_init(&l);
  for (int i = 0; i < 6; i++) {
    t[i] = (thing){.id = i + 1};
    list_append(&l, &t[i].node);
  }
  LIST_EACH_SAFE(n, &l) {
    met++;
    if (id_of(n) % 2 == 0) node_remove(n);
  }
  CHECK(met == 6);
  CHECK(reads(&l) == 135);
}

int main(void) {
  RUN(starts_empty, "list: a fresh list is empty");
  RUN(keeps_order, "list: append, prepend and insert keep the order");
  RUN(removes_anywhere, "list: a node leaves from anywhere, and twice is once");
  RUN(walks_while_removing, "list: a node may be removed during a safe walk");
  return check_end();
}
