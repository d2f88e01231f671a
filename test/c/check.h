/*
** check.h -- what a C test needs: named cases, checks in them, a count. The
** output is TAP. A program is one main() that calls RUN for each case.
**
**   static void empties(void) { CHECK(1 + 1 == 2); }
**   int main(void) { RUN(empties, "a sum is a sum"); return check_end(); }
*/
#ifndef test_check_h
#define test_check_h

#include <stdio.h>
#include <stdlib.h>

static struct {
  int cases, failed; /* cases so far; those of them that failed */
  int bad;           /* failed checks of the running case */
} check_;

#define CHECK(e) check_that((e) != 0, __FILE__, __LINE__, #e)

/* After this nothing of the case makes sense: leave it. */
#define CHECK_OR_RETURN(e)                                                    \
  do {                                                                        \
    if (!CHECK(e)) return;                                                    \
  } while (0)

#define RUN(fn, sentence) check_run(fn, sentence)

static inline int check_that(int ok, const char *file, int line,
                             const char *text) {
  if (!ok && check_.bad++ < 10)
    printf("# %s:%d: not so: %s\n", file, line, text);
  return ok;
}

/* The case that was running is over; tell how it went. */
static inline void check_case(const char *sentence) {
  check_.cases++;
  if (check_.bad) check_.failed++;
  printf("%s %d - %s\n", check_.bad ? "not ok" : "ok", check_.cases, sentence);
  fflush(stdout);
  check_.bad = 0;
}

static inline void check_run(void (*fn)(void), const char *sentence) {
  fn();
  check_case(sentence);
}

static inline int check_end(void) {
  printf("1..%d\n", check_.cases);
  return check_.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Numbers that are the same everywhere: xorshift, not rand(). */
static inline unsigned check_random(unsigned *seed) {
  unsigned x = *seed ? *seed : 2463534242u;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return *seed = x;
}

#endif
