/*
** base.h -- the few things every room needs and C lacks.
*/
#ifndef base_base_h
#define base_base_h

#include <stddef.h>
#include <stdint.h>

#define countof(a) (sizeof(a) / sizeof *(a))
#define container_of(p, type, member)                                         \
  ((type *)(void *)((char *)(p)-offsetof(type, member)))

#if defined(__GNUC__)
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define BASE_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define BASE_NORETURN __attribute__((noreturn))
#define prefetch(p) __builtin_prefetch(p)
#else
#define likely(x) (x)
#define unlikely(x) (x)
#define BASE_PRINTF(f, a)
#define BASE_NORETURN
#define prefetch(p) ((void)(p))
#endif
#define CACHE_LINE 64

/*
** All of neap's own allocations go through these three, so that a test can
** make the n-th fail (test/c/oom.c). They are malloc, realloc and free.
*/
void *base_alloc(size_t size); /* zeroed */
void *base_realloc(void *p, size_t size);
void base_free(void *p);

/*
** Hostile builds only, where a test host finds them by name in the module:
** fail every allocation from the n-th on, 0 turns that off (returns what was
** left of the last countdown: 1 when it had run out); the number of blocks
** that are not freed yet.
*/
#ifdef NEAP_HOSTILE
#define BASE_HOSTILE __attribute__((visibility("default")))
BASE_HOSTILE unsigned long base_fail_from(unsigned long n);
BASE_HOSTILE long base_live(void);
#endif

#endif
