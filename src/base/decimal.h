/*
** decimal.h -- exact decimal numbers, as PostgreSQL's numeric has them:
** base-10000 digits, a scale that is kept, NaN and both infinities. Plain C;
** the caller owns all memory, and asks for the room first.
**
** D1  digit[0] and digit[n-1] are not zero; zero has n == 0, weight 0, and is
**     DECIMAL_POS. Every function takes and leaves values of this form.
** D2  value = sum of digit[i] * 10000^(weight - i).
** D3  No digit after the point lies beyond scale.
*/
#ifndef base_decimal_h
#define base_decimal_h

#include "base/base.h"

#define DECIMAL_MAX_WEIGHT 32767 /* 131072 digits before the point */
#define DECIMAL_MAX_SCALE 16383

/* Metatable of the Lua class whose userdata is one decimal. */
#define DECIMAL_CLASS "neap.numeric"

enum decimal_kind {
  DECIMAL_POS,
  DECIMAL_NEG,
  DECIMAL_NAN,
  DECIMAL_INF,
  DECIMAL_NEG_INF
};

typedef struct decimal {
  int32_t n;      /* digits stored */
  int32_t weight; /* of digit[0] */
  int32_t scale;  /* decimal digits shown after the point */
  int32_t kind;   /* enum decimal_kind */
  uint16_t digit[];
} decimal;

/* Bytes of a decimal with room for n digits. */
static inline size_t decimal_size(size_t n) {
  return sizeof(decimal) + n * sizeof(uint16_t);
}

static inline int decimal_finite(const decimal *d) {
  return d->kind <= DECIMAL_NEG;
}

/*
** The results r need room for as many digits as the matching _room function
** says. Codes: -EINVAL not a number, -ERANGE beyond what PostgreSQL can hold,
** -EDOM division by zero, -ENOMEM.
*/
size_t decimal_parse_room(size_t len);
int decimal_parse(decimal *r, const char *s, size_t len);
#define DECIMAL_INT_ROOM 5
void decimal_from_int(decimal *r, int64_t v);
int decimal_to_int(const decimal *a, int64_t *v); /* -EINVAL: a fraction */

/* Text as the server prints it; out has decimal_text_room() bytes, no NUL. */
size_t decimal_text_room(const decimal *a);
size_t decimal_text(const decimal *a, char *out);

/* A text for strtod and its kind: at most 96 significant digits, a trace of
** the rest, and an exponent. Finite values only; the length, no NUL. */
size_t decimal_short_text(const decimal *a, char out[128]);

/* NaN equals itself and is greater than all else, as the server sorts. */
int decimal_compare(const decimal *a, const decimal *b);

size_t decimal_add_room(const decimal *a, const decimal *b);
int decimal_add(decimal *r, const decimal *a, const decimal *b);
int decimal_sub(decimal *r, const decimal *a, const decimal *b);
size_t decimal_mul_room(const decimal *a, const decimal *b);
int decimal_mul(decimal *r, const decimal *a, const decimal *b);

/* Quotient with exactly `scale` digits after the point (0 to
** DECIMAL_MAX_SCALE), half rounded away from zero. */
size_t decimal_div_room(const decimal *a, const decimal *b, int scale);
int decimal_div(decimal *r, const decimal *a, const decimal *b, int scale);

/* Rounds in place, half away from zero; may also lengthen the scale. */
void decimal_round(decimal *r, int scale);
void decimal_negate(decimal *r);

/* Restores D1 after the digits were written. */
void decimal_trim(decimal *r);
/* The least scale that shows every digit. */
int decimal_min_scale(const decimal *a);

/* Numbers as text, without a NUL, whatever the locale; the length. A float is
** given by the shortest text that reads back as the same float, or as NaN,
** Infinity, -Infinity. */
size_t int_text(char out[24], int64_t v);
size_t float_text(char out[32], double v);

#endif
