/*
** base.c -- allocation with a switch that makes it fail, for the tests.
*/
#include "base/base.h"

#include <stdlib.h>

#ifdef NEAP_HOSTILE
/* The only mutable statics of base, and not in what is installed. */
static unsigned long countdown;
static long live;

unsigned long base_fail_from(unsigned long n) {
  unsigned long left = countdown;
  countdown = n;
  return left;
}
long base_live(void) { return live; }

static int refused(void) {
  if (countdown == 0) return 0;
  if (countdown == 1) return 1;
  countdown--;
  return 0;
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
