/*
** value_scan.h -- reading a short text from left to right. Each function
** takes what it names and answers 1, or takes nothing and answers 0.
*/
#ifndef pg_value_scan_h
#define pg_value_scan_h

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct scan {
  const char *p, *end; /* [borrow] */
} scan;

static inline int scan_char(scan *s, char c) {
  if (s->p == s->end || *s->p != c) return 0;
  s->p++;
  return 1;
}

static inline int scan_is_digit(const scan *s) {
  return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

/* word in lower case; the text in any. */
static inline int scan_word(scan *s, const char *word) {
  size_t i, n = strlen(word);

  if ((size_t)(s->end - s->p) < n) return 0;
  for (i = 0; i < n; i++) {
    char c = s->p[i];
    if (c >= 'A' && c <= 'Z') c = (char)(c | 0x20);
    if (c != word[i]) return 0;
  }
  s->p += n;
  return 1;
}

/* The word and nothing after it. */
static inline int scan_whole(scan *s, const char *word) {
  return (size_t)(s->end - s->p) == strlen(word) && scan_word(s, word);
}

/* From `least` to `most` digits (at most 18). */
static inline int scan_digits(scan *s, int least, int most, int64_t *v) {
  const char *start = s->p;
  int n = 0;

  for (*v = 0; n < most && scan_is_digit(s); n++)
    *v = *v * 10 + (*s->p++ - '0');
  if (n >= least) return 1;
  s->p = start;
  return 0;
}

/* Digits after a point, in millionths, rounded; may give 1000000. */
static inline int scan_fraction(scan *s, int64_t *usec) {
  int64_t unit = 100000;

  if (!scan_is_digit(s)) return 0;
  for (*usec = 0; scan_is_digit(s); unit /= 10) {
    int digit = *s->p++ - '0';
    if (unit > 0) *usec += digit * unit;
    else if (unit == 0 && digit >= 5) *usec += 1, unit = -10;
    else unit = -10; /* beyond the seventh: does not count */
  }
  return 1;
}

#endif
