/*
** base.c -- allocation with a switch that makes it fail, for the tests.
*/
#include "base/base.h"

#include <stdlib.h>

#ifdef NEAP_HOSTILE
#include <stdatomic.h>

/* The only mutable statics of base, and not in what is installed. */
static atomic_ulong countdown;
static atomic_long live;

unsigned long base_fail_from(unsigned long n) {
  unsigned long left = countdown;
  countdown = n;
  return left;
}
long base_live(void) { return live; }

static int refused(void) {
  unsigned long left = countdown;

  while (left > 1) /* threads of the pool allocate too */
    if (atomic_compare_exchange_weak(&countdown, &left, left - 1)) return 0;
  return left == 1;
}
static void *counted(void *fresh) {
  if (fresh != NULL) live++;
  return fresh;
}
static void uncount(const void *p) {
  if (p != NULL) live--;
}
#else
#define refused() 0
#define counted(p) (p)
#define uncount(p) ((void)0)
#endif

void *base_alloc(size_t size) {
  if (refused()) return NULL;
  return counted(calloc(1, size));
}

void *base_realloc(void *p, size_t size) {
  if (refused()) return NULL;
  return p ? realloc(p, size) : counted(realloc(NULL, size));
}

void base_free(void *p) {
  uncount(p);
  free(p);
}
