/*
** decimal.c -- see decimal.h. Schoolbook arithmetic on base-10000 digits;
** division is Knuth's algorithm D.
*/
#include "base/decimal.h"

#include <errno.h>
#include <string.h>

#define BASE 10000

static const int pow10_of[4] = {1, 10, 100, 1000};

static int lowest(const decimal *a) { return a->weight - a->n + 1; }

static int special(decimal *r, int kind) {
  r->n = r->weight = r->scale = 0;
  r->kind = kind;
  return 0;
}

/* The digit of weight w, also outside of what is stored. */
static int digit_at(const decimal *a, int w) {
  int i = a->weight - w;

  return i < 0 || i >= a->n ? 0 : a->digit[i];
}

void decimal_trim(decimal *r) {
  int lead = 0;

  while (lead < r->n && r->digit[lead] == 0) lead++;
  if (lead > 0) {
    r->n -= lead;
    r->weight -= lead;
    memmove(r->digit, r->digit + lead, (size_t)r->n * sizeof *r->digit);
  }
  while (r->n > 0 && r->digit[r->n - 1] == 0) r->n--;
  if (r->n == 0) {
    r->weight = 0;
    if (r->kind == DECIMAL_NEG) r->kind = DECIMAL_POS;
  }
}

int decimal_min_scale(const decimal *a) {
  int scale, last;

  if (a->n == 0 || lowest(a) >= 0) return 0;
  scale = -lowest(a) * 4;
  for (last = a->digit[a->n - 1]; last % 10 == 0; last /= 10) scale--;
  return scale;
}

static int checked(decimal *r) {
  decimal_trim(r);
  if (r->weight > DECIMAL_MAX_WEIGHT || r->scale > DECIMAL_MAX_SCALE)
    return -ERANGE;
  return 0;
}

void decimal_from_int(decimal *r, int64_t v) {
  uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
  int i;

  r->kind = v < 0 ? DECIMAL_NEG : DECIMAL_POS;
  r->n = DECIMAL_INT_ROOM;
  r->weight = DECIMAL_INT_ROOM - 1;
  r->scale = 0;
  for (i = DECIMAL_INT_ROOM; i-- > 0; u /= BASE)
    r->digit[i] = (uint16_t)(u % BASE);
  decimal_trim(r);
}

int decimal_to_int(const decimal *a, int64_t *v) {
  uint64_t u = 0;
  int w;

  if (!decimal_finite(a) || (a->n > 0 && lowest(a) < 0)) return -EINVAL;
  if (a->weight > 4) return -ERANGE; /* 10000^5 > 2^64 */
  for (w = a->n > 0 ? a->weight : -1; w >= 0; w--) {
    uint64_t d = (uint64_t)digit_at(a, w);
    if (u > (UINT64_MAX - d) / BASE) return -ERANGE;
    u = u * BASE + d;
  }
  if (a->kind == DECIMAL_POS) {
    if (u > INT64_MAX) return -ERANGE;
    *v = (int64_t)u;
  } else {
    if (u > (uint64_t)INT64_MAX + 1) return -ERANGE;
    *v = (int64_t)(0 - u);
  }
  return 0;
}

static int compare_abs(const decimal *a, const decimal *b) {
  int i, n = a->n < b->n ? a->n : b->n;

  if (a->n == 0 || b->n == 0) return (a->n > 0) - (b->n > 0);
  if (a->weight != b->weight) return a->weight < b->weight ? -1 : 1;
  for (i = 0; i < n; i++)
    if (a->digit[i] != b->digit[i]) return a->digit[i] < b->digit[i] ? -1 : 1;
  return (a->n > b->n) - (a->n < b->n);
}

int decimal_compare(const decimal *a, const decimal *b) {
  static const signed char rank[] = {2, 1, 4, 3, 0}; /* ORDER decimal_kind */

  if (a->kind == b->kind) {
    if (a->kind == DECIMAL_POS) return compare_abs(a, b);
    return a->kind == DECIMAL_NEG ? compare_abs(b, a) : 0;
  }
  return rank[a->kind] < rank[b->kind] ? -1 : 1; /* zero is always POS */
}

size_t decimal_add_room(const decimal *a, const decimal *b) {
  int top = a->weight > b->weight ? a->weight : b->weight;
  int low = lowest(a) < lowest(b) ? lowest(a) : lowest(b);

  if (!decimal_finite(a) || !decimal_finite(b)) return 0;
  return (size_t)(top - low) + 3;
}

/* r = a + b, or a - b where `a` is not the smaller; signs do not count. */
static void combine(decimal *r, const decimal *a, const decimal *b, int minus) {
  int top = (a->weight > b->weight ? a->weight : b->weight) + 1;
  int low = lowest(a) < lowest(b) ? lowest(a) : lowest(b);
  int w, carry = 0;

  for (w = low; w <= top; w++) {
    int d = digit_at(a, w) + carry;
    d += minus ? -digit_at(b, w) : digit_at(b, w);
    carry = d < 0 ? -1 : d >= BASE;
    r->digit[top - w] = (uint16_t)(d - carry * BASE);
  }
  r->weight = top;
  r->n = top - low + 1;
}

static int add(decimal *r, const decimal *a, const decimal *b, int b_kind) {
  if (a->kind == DECIMAL_NAN || b_kind == DECIMAL_NAN)
    return special(r, DECIMAL_NAN);
  if (a->kind > DECIMAL_NEG && b_kind > DECIMAL_NEG && a->kind != b_kind)
    return special(r, DECIMAL_NAN); /* infinity minus infinity */
  if (a->kind > DECIMAL_NEG) return special(r, a->kind);
  if (b_kind > DECIMAL_NEG) return special(r, b_kind);
  r->scale = a->scale > b->scale ? a->scale : b->scale;
  r->kind = a->kind;
  if (a->kind == b_kind)
    combine(r, a, b, 0);
  else if (compare_abs(a, b) >= 0)
    combine(r, a, b, 1);
  else {
    combine(r, b, a, 1);
    r->kind = b_kind;
  }
  return checked(r);
}

static int negated(int kind) {
  static const signed char opposite[] = {/* ORDER decimal_kind */
                                         DECIMAL_NEG, DECIMAL_POS, DECIMAL_NAN,
                                         DECIMAL_NEG_INF, DECIMAL_INF};
  return opposite[kind];
}

int decimal_add(decimal *r, const decimal *a, const decimal *b) {
  return add(r, a, b, b->kind);
}

int decimal_sub(decimal *r, const decimal *a, const decimal *b) {
  return add(r, a, b, negated(b->kind));
}

void decimal_negate(decimal *r) {
  if (r->n > 0 || !decimal_finite(r)) r->kind = negated(r->kind);
}

static int sign(const decimal *a) {
  if (a->kind == DECIMAL_INF) return 1;
  if (a->kind == DECIMAL_NEG_INF) return -1;
  return a->n == 0 ? 0 : a->kind == DECIMAL_NEG ? -1 : 1;
}

size_t decimal_mul_room(const decimal *a, const decimal *b) {
  return (size_t)a->n + (size_t)b->n;
}

int decimal_mul(decimal *r, const decimal *a, const decimal *b) {
  int i, j;

  if (a->kind == DECIMAL_NAN || b->kind == DECIMAL_NAN)
    return special(r, DECIMAL_NAN);
  if (!decimal_finite(a) || !decimal_finite(b)) {
    int s = sign(a) * sign(b);
    return special(r, s == 0 ? DECIMAL_NAN
                             : s > 0 ? DECIMAL_INF : DECIMAL_NEG_INF);
  }
  r->n = a->n + b->n;
  r->weight = a->weight + b->weight + 1;
  r->scale = a->scale + b->scale;
  r->kind = a->kind == b->kind ? DECIMAL_POS : DECIMAL_NEG;
  memset(r->digit, 0, (size_t)r->n * sizeof *r->digit);
  for (i = a->n; i-- > 0;) {
    int carry = 0;
    for (j = b->n; j-- > 0;) {
      int t = r->digit[i + j + 1] + a->digit[i] * b->digit[j] + carry;
      r->digit[i + j + 1] = (uint16_t)(t % BASE);
      carry = t / BASE;
    }
    r->digit[i] = (uint16_t)carry;
  }
  return checked(r);
}

void decimal_round(decimal *r, int scale) {
  int keep, i, rest, unit, carry;

  if (!decimal_finite(r)) return;
  r->scale = scale;
  if (r->n == 0 || scale >= decimal_min_scale(r)) return;
  keep = (r->weight + 1) * 4 + scale; /* decimal digits from digit[0] on */
  if (keep < 0) {
    r->n = 0;
    decimal_trim(r);
    return;
  }
  i = keep / 4; /* the digit that holds the first dropped decimal */
  unit = pow10_of[3 - keep % 4] * 10;
  rest = r->digit[i] % unit; /* D3: i < n, for something is dropped */
  carry = rest >= unit / 2;
  r->digit[i] = (uint16_t)(r->digit[i] - rest);
  r->n = i + 1;
  if (carry && unit < BASE) {
    r->digit[i] = (uint16_t)(r->digit[i] + unit);
    carry = r->digit[i] >= BASE;
    if (carry) r->digit[i] = 0;
  }
  while (carry && i-- > 0) {
    carry = r->digit[i] == BASE - 1;
    r->digit[i] = (uint16_t)(carry ? 0 : r->digit[i] + 1);
  }
  if (carry) { /* all nines: the rest is zeros */
    r->digit[0] = 1;
    r->weight++;
    r->n = 1;
  }
  decimal_trim(r);
}

/* u[0..m] and v[0..n-1], most significant first, u has one spare leading
** zero digit; q gets m - n + 1 digits. n >= 1, m >= n, v[0] > 0. */
static void long_division(uint16_t *q, uint16_t *u, int m, uint16_t *v, int n) {
  int i, j, factor = BASE / (v[0] + 1), carry;

  for (carry = 0, i = m; i >= 0; i--) {
    carry += u[i] * factor;
    u[i] = (uint16_t)(carry % BASE);
    carry /= BASE;
  }
  for (carry = 0, i = n; i-- > 0; carry /= BASE) {
    carry += v[i] * factor;
    v[i] = (uint16_t)(carry % BASE);
  }
  for (j = 0; j <= m - n; j++) {
    int top = u[j] * BASE + u[j + 1], guess = top / v[0], over = top % v[0];
    int borrow = 0;

    while (guess >= BASE ||
           (n > 1 && guess * v[1] > over * BASE + u[j + 2])) {
      guess--;
      over += v[0];
      if (over >= BASE) break;
    }
    for (i = n; i-- > 0;) {
      int t = u[j + i + 1] - guess * v[i] + borrow;
      int low = t % BASE;
      borrow = t / BASE;
      if (low < 0) low += BASE, borrow--;
      u[j + i + 1] = (uint16_t)low;
    }
    borrow += u[j];
    if (borrow < 0) { /* the guess was one too large */
      guess--;
      for (carry = 0, i = n; i-- > 0; carry /= BASE) {
        carry += u[j + i + 1] + v[i];
        u[j + i + 1] = (uint16_t)(carry % BASE);
      }
    }
    u[j] = 0;
    q[j] = (uint16_t)guess;
  }
}

/* Quotient digits after the point: one decimal more than asked, to round. */
static int guard_digits(int scale) { return (scale + 1 + 3) / 4; }

static int dividend_length(const decimal *a, const decimal *b, int scale) {
  return a->n + lowest(a) - lowest(b) + guard_digits(scale);
}

size_t decimal_div_room(const decimal *a, const decimal *b, int scale) {
  int n = dividend_length(a, b, scale) - b->n + 1;

  return n > 1 ? (size_t)n : 1;
}

int decimal_div(decimal *r, const decimal *a, const decimal *b, int scale) {
  int m, s = sign(b), take;
  uint16_t *work;

  if (a->kind == DECIMAL_NAN || b->kind == DECIMAL_NAN)
    return special(r, DECIMAL_NAN);
  if (s == 0) return -EDOM;
  if (!decimal_finite(a)) {
    if (!decimal_finite(b)) return special(r, DECIMAL_NAN);
    return special(r, sign(a) * s > 0 ? DECIMAL_INF : DECIMAL_NEG_INF);
  }
  special(r, DECIMAL_POS);
  r->scale = scale;
  if (!decimal_finite(b) || a->n == 0) return 0;
  m = dividend_length(a, b, scale);
  if (m < b->n) return 0; /* below half of the last place */
  work = base_alloc(((size_t)m + 2 + (size_t)b->n) * sizeof *work);
  if (work == NULL) return -ENOMEM;
  take = a->n < m ? a->n : m;
  memcpy(work + 1, a->digit, (size_t)take * sizeof *work);
  memcpy(work + m + 2, b->digit, (size_t)b->n * sizeof *work);
  long_division(r->digit, work, m, work + m + 2, b->n);
  base_free(work);
  r->n = m - b->n + 1;
  r->weight = r->n - 1 - guard_digits(scale);
  r->kind = a->kind == b->kind ? DECIMAL_POS : DECIMAL_NEG;
  decimal_trim(r);
  decimal_round(r, scale);
  return checked(r);
}
