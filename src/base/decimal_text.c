/*
** decimal_text.c -- numbers to text and back; see decimal.h. Independent of
** the locale.
*/
#include "base/decimal.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_EXPONENT 1000000 /* beyond any value that fits */

static int is_digit(char c) { return c >= '0' && c <= '9'; }

static int same_word(const char *s, size_t len, const char *word) {
  size_t i;

  for (i = 0; i < len; i++)
    if (word[i] == '\0' || (s[i] | 0x20) != word[i]) return 0;
  return word[len] == '\0';
}

static int parse_word(decimal *r, const char *s, size_t len, int negative) {
  r->n = r->weight = r->scale = 0;
  if (same_word(s, len, "nan")) {
    r->kind = DECIMAL_NAN;
    return negative ? -EINVAL : 0;
  }
  if (!same_word(s, len, "infinity") && !same_word(s, len, "inf"))
    return -EINVAL;
  r->kind = negative ? DECIMAL_NEG_INF : DECIMAL_INF;
  return 0;
}

/* The exponent after an "e"; all of s must be one. */
static int parse_exponent(const char *s, const char *end, int *exponent) {
  int negative = 0, e = 0;

  if (s < end && (*s == '+' || *s == '-')) negative = *s++ == '-';
  if (s == end) return -EINVAL;
  for (; s < end && is_digit(*s); s++)
    if (e < MAX_EXPONENT) e = e * 10 + (*s - '0');
  *exponent = negative ? -e : e;
  return s == end ? 0 : -EINVAL;
}

size_t decimal_parse_room(size_t len) { return len / 4 + 3; }

/* Place the decimal digits from s on, of which the first has the decimal
** exponent `first`, into base-10000 digits. */
static void place(decimal *r, const char *s, const char *end, int64_t first) {
  static const uint16_t unit[4] = {1000, 100, 10, 1};
  int64_t weight = first >= 0 ? first / 4 : -((3 - first) / 4);
  int at = (int)((weight + 1) * 4 - (first + 1)); /* 0 to 3 */

  r->weight = (int)weight;
  r->n = 0;
  for (; s < end; s++) {
    if (*s == '.') continue;
    if (r->n == 0 || at == 4) {
      if (at == 4) at = 0;
      r->digit[r->n++] = 0;
    }
    r->digit[r->n - 1] =
        (uint16_t)(r->digit[r->n - 1] + (*s - '0') * unit[at++]);
  }
}

int decimal_parse(decimal *r, const char *s, size_t len) {
  const char *end = s + len, *p, *point = NULL, *lead = NULL;
  int negative = 0, exponent = 0, rc;
  int64_t whole = 0, fraction = 0, zeros = 0, scale;

  if (s < end && (*s == '-' || *s == '+')) negative = *s++ == '-';
  if (s < end && !is_digit(*s) && *s != '.')
    return parse_word(r, s, (size_t)(end - s), negative);
  for (p = s; p < end; p++) {
    if (*p == '.' && point == NULL) {
      point = p;
    } else if (is_digit(*p)) {
      if (point == NULL) whole++;
      else fraction++;
      if (lead == NULL && *p != '0') lead = p;
      if (lead == NULL) zeros++;
    } else {
      break;
    }
  }
  if (whole + fraction == 0) return -EINVAL;
  if (p < end) {
    if (*p != 'e' && *p != 'E') return -EINVAL;
    if ((rc = parse_exponent(p + 1, end, &exponent)) < 0) return rc;
  }
  scale = fraction - exponent;
  r->kind = negative ? DECIMAL_NEG : DECIMAL_POS;
  r->scale = scale < 0 ? 0 : scale > INT32_MAX ? INT32_MAX : (int32_t)scale;
  if (lead == NULL) {
    r->n = r->weight = 0;
  } else {
    int64_t first = whole - 1 - zeros + exponent;
    if (first >= (DECIMAL_MAX_WEIGHT + 1) * 4) return -ERANGE;
    if (first < -DECIMAL_MAX_SCALE) return -ERANGE;
    place(r, lead, p, first);
  }
  decimal_trim(r);
  return r->scale > DECIMAL_MAX_SCALE ? -ERANGE : 0;
}

size_t decimal_text_room(const decimal *a) {
  if (!decimal_finite(a)) return 9; /* "-Infinity" */
  return 3 + (a->weight < 0 ? 1 : (size_t)(a->weight + 1) * 4) +
         (size_t)a->scale + 4;
}

static char *four(char *p, int d) {
  p[0] = (char)('0' + d / 1000);
  p[1] = (char)('0' + d / 100 % 10);
  p[2] = (char)('0' + d / 10 % 10);
  p[3] = (char)('0' + d % 10);
  return p + 4;
}

size_t decimal_text(const decimal *a, char *out) {
  static const char *const words[] = {"", "", "NaN", "Infinity", "-Infinity"};
  char *p = out, *end;
  int w;

  if (!decimal_finite(a)) {
    size_t len = strlen(words[a->kind]);
    memcpy(out, words[a->kind], len);
    return len;
  }
  if (a->kind == DECIMAL_NEG) *p++ = '-';
  if (a->n == 0 || a->weight < 0) {
    *p++ = '0';
  } else {
    char *first = p;
    for (w = a->weight; w >= 0; w--)
      p = four(p, a->weight - w < a->n ? a->digit[a->weight - w] : 0);
    for (; *first == '0'; p--)
      memmove(first, first + 1, (size_t)(p - first - 1));
  }
  if (a->scale == 0) return (size_t)(p - out);
  *p++ = '.';
  for (end = p + a->scale, w = -1; p < end; w--) {
    int i = a->weight - w;
    p = four(p, a->n == 0 || i < 0 || i >= a->n ? 0 : a->digit[i]);
  }
  return (size_t)(end - out);
}

size_t decimal_short_text(const decimal *a, char out[128]) {
  char *p = out;
  int i;

  if (a->kind == DECIMAL_NEG) *p++ = '-';
  *p++ = '0';
  *p++ = '.';
  *p++ = '0';
  for (i = 0; i < a->n && i < 24; i++) p = four(p, a->digit[i]);
  if (a->n > 24) *p++ = '1'; /* the rest is not zero (D1) */
  *p++ = 'e';
  return (size_t)(p - out) + int_text(p, (a->weight + 1) * 4 + 1);
}

size_t int_text(char out[24], int64_t v) {
  char digits[24], *p = digits + sizeof digits;
  uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
  size_t len;

  do *--p = (char)('0' + u % 10);
  while ((u /= 10) > 0);
  if (v < 0) *--p = '-';
  len = (size_t)(digits + sizeof digits - p);
  memcpy(out, p, len);
  return len;
}

/* printf writes the point of the locale, which may be several bytes long. */
static size_t plain_point(char *s, size_t len) {
  size_t i, n = 0;

  for (i = 0; i < len; i++) {
    char c = s[i];
    if (is_digit(c) || c == '-' || c == '+' || c == 'e')
      s[n++] = c;
    else if (n > 0 && s[n - 1] != '.')
      s[n++] = '.';
  }
  return n;
}

/* A number with few digits after the point, as most are. v = t / 10^k is one
** rounding of two exact numbers, so "t with k decimals" reads back as v, and
** no shorter text did. 0 when it is not that simple. */
static size_t few_decimals(char out[32], double v) {
  double unit = 10;
  int k;

  if (!(fabs(v) < 1e7 && fabs(v) >= 1e-4)) return 0;
  for (k = 1; k <= 8; k++, unit *= 10) {
    double t = nearbyint(v * unit);
    uint64_t digits;
    size_t len;
    int i;
    if (t / unit != v) continue;
    digits = (uint64_t)fabs(t);
    out[0] = '-';
    len = (size_t)(v < 0) +
          int_text(out + (v < 0), (int64_t)(digits / (uint64_t)unit));
    out[len] = '.';
    for (i = k; i > 0; i--, digits /= 10)
      out[len + (size_t)i] = (char)('0' + digits % 10);
    return len + 1 + (size_t)k;
  }
  return 0;
}

size_t float_text(char out[32], double v) {
  int precision, len = 0;
  size_t n;

  if (isnan(v)) return (size_t)(memcpy(out, "NaN", 3), 3);
  if (isinf(v)) {
    n = v < 0 ? 9 : 8;
    memcpy(out, v < 0 ? "-Infinity" : "Infinity", n);
    return n;
  }
  if (v == floor(v) && fabs(v) < 1e15 && (v != 0 || !signbit(v)))
    return int_text(out, (int64_t)v);
  if ((n = few_decimals(out, v)) > 0) return n;
  for (precision = 15; precision <= 17; precision++) {
    len = snprintf(out, 32, "%.*g", precision, v);
    if (strtod(out, NULL) == v) break;
  }
  return plain_point(out, (size_t)len);
}
