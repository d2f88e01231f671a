/*
** value_interval.c -- text of intervals and back; see value_time.h. Months,
** days and microseconds stay apart, as the server keeps them.
*/
#include <string.h>

#include "base/base.h"
#include "base/decimal.h"
#include "pg/value_scan.h"
#include "pg/value_time.h"

static const interval infinite = {INT64_MAX, INT32_MAX, INT32_MAX};
static const interval neg_infinite = {INT64_MIN, INT32_MIN, INT32_MIN};

static int same(const interval *a, const interval *b) {
  return a->us == b->us && a->days == b->days && a->months == b->months;
}

int interval_finite(const interval *v) {
  return !same(v, &infinite) && !same(v, &neg_infinite);
}

void interval_infinities(interval *up, interval *down) {
  *up = infinite;
  *down = neg_infinite;
}

int interval_compare(const interval *a, const interval *b) {
  int64_t rest_a = a->us % US_DAY, rest_b = b->us % US_DAY;
  int64_t days_a = a->months * INT64_C(30) + a->days + a->us / US_DAY;
  int64_t days_b = b->months * INT64_C(30) + b->days + b->us / US_DAY;

  if (rest_a < 0) rest_a += US_DAY, days_a--;
  if (rest_b < 0) rest_b += US_DAY, days_b--;
  if (days_a != days_b) return days_a < days_b ? -1 : 1;
  return (rest_a > rest_b) - (rest_a < rest_b);
}

/* Sums in 64 bits; months and days are narrowed at the end. */
typedef struct parts {
  int64_t months, days, us;
} parts;

/* *sum += v * unit; 0 when that does not fit. */
static int grow(int64_t *sum, int64_t v, int64_t unit) {
  int64_t product;

  return !__builtin_mul_overflow(v, unit, &product) &&
         !__builtin_add_overflow(*sum, product, sum);
}

static int scan_sign(scan *s) {
  if (scan_char(s, '-')) return -1;
  scan_char(s, '+');
  return 1;
}

typedef struct unit {
  const char *name;
  size_t field;
  int64_t size;
} unit;

#define MONTHS offsetof(parts, months)
#define DAYS offsetof(parts, days)
#define US offsetof(parts, us)

static int add_unit(parts *sum, const unit *u, int64_t v) {
  return grow((int64_t *)(void *)((char *)sum + u->field), v, u->size);
}

/* "P1Y2M3DT4H5M6.7S", each number with its own sign. */
static int parse_iso(scan *s, parts *sum) {
  static const unit dates[] = {{"y", MONTHS, 12}, {"m", MONTHS, 1},
                               {"w", DAYS, 7},    {"d", DAYS, 1}};
  static const unit times[] = {{"h", US, 3600 * US_SECOND},
                               {"m", US, 60 * US_SECOND},
                               {"s", US, US_SECOND}};
  int in_time = 0, items = 0;

  while (s->p < s->end) {
    int64_t v, usec = 0;
    int sign, fraction, i, found = 0;

    if (!in_time && (scan_char(s, 'T') || scan_char(s, 't'))) {
      in_time = 1;
      items = 0; /* a T with nothing after it is wrong */
      continue;
    }
    sign = scan_sign(s);
    if (!scan_digits(s, 1, 18, &v)) return 0;
    fraction = scan_char(s, '.');
    if (fraction && !scan_fraction(s, &usec)) return 0;
    for (i = 0; i < (in_time ? 3 : 4) && !found; i++) {
      const unit *u = in_time ? &times[i] : &dates[i];
      if (!scan_word(s, u->name)) continue;
      if (fraction && u->size != US_SECOND) return 0;
      if (!add_unit(sum, u, sign * v)) return 0;
      found = 1;
    }
    if (!found || !grow(&sum->us, sign * usec, 1)) return 0;
    items++;
  }
  return items > 0;
}

/* "[-]HH:MM[:SS[.ffffff]]" with the hours already taken. */
static int parse_clock(scan *s, parts *sum, int sign, int64_t hours) {
  int64_t min, sec = 0, usec = 0;

  if (!scan_digits(s, 2, 2, &min)) return 0;
  if (scan_char(s, ':')) {
    if (!scan_digits(s, 2, 2, &sec)) return 0;
    if (scan_char(s, '.') && !scan_fraction(s, &usec)) return 0;
  }
  return min <= 59 && sec <= 59 &&
         grow(&sum->us, sign * hours, 3600 * US_SECOND) &&
         grow(&sum->us, sign * (min * 60 + sec), US_SECOND) &&
         grow(&sum->us, sign * usec, 1);
}

static const unit *scan_unit(scan *s) {
  static const unit units[] = {/* longer names before their beginnings */
                               {"years", MONTHS, 12},
                               {"year", MONTHS, 12},
                               {"months", MONTHS, 1},
                               {"month", MONTHS, 1},
                               {"mons", MONTHS, 1},
                               {"mon", MONTHS, 1},
                               {"weeks", DAYS, 7},
                               {"week", DAYS, 7},
                               {"days", DAYS, 1},
                               {"day", DAYS, 1},
                               {"hours", US, 3600 * US_SECOND},
                               {"hour", US, 3600 * US_SECOND},
                               {"minutes", US, 60 * US_SECOND},
                               {"minute", US, 60 * US_SECOND},
                               {"mins", US, 60 * US_SECOND},
                               {"min", US, 60 * US_SECOND},
                               {"seconds", US, US_SECOND},
                               {"second", US, US_SECOND},
                               {"secs", US, US_SECOND},
                               {"sec", US, US_SECOND}};
  size_t i;

  for (i = 0; i < countof(units); i++)
    if (scan_word(s, units[i].name)) return &units[i];
  return NULL;
}

/* "1 year 2 mons -3 days +04:05:06.7", also "@ 1 hour ago". */
static int parse_words(scan *s, parts *sum) {
  int items = 0;

  if (scan_char(s, '@') && !scan_char(s, ' ')) return 0;
  while (s->p < s->end) {
    const unit *u;
    int64_t v, usec = 0;
    int sign, fraction;

    if (items > 0 && !scan_char(s, ' ')) return 0;
    if (items > 0 && scan_whole(s, "ago")) {
      parts past = {0, 0, 0};
      if (!grow(&past.months, sum->months, -1) ||
          !grow(&past.days, sum->days, -1) || !grow(&past.us, sum->us, -1))
        return 0;
      *sum = past;
      return 1;
    }
    sign = scan_sign(s);
    if (!scan_digits(s, 1, 18, &v)) return 0;
    items++;
    if (scan_char(s, ':')) {
      if (!parse_clock(s, sum, sign, v)) return 0;
      continue;
    }
    fraction = scan_char(s, '.');
    if (fraction && !scan_fraction(s, &usec)) return 0;
    scan_char(s, ' ');
    if ((u = scan_unit(s)) == NULL) return 0;
    if (fraction && u->size != US_SECOND) return 0;
    if (!add_unit(sum, u, sign * v) || !grow(&sum->us, sign * usec, 1))
      return 0;
  }
  return items > 0;
}

static int narrow(interval *v, const parts *sum) {
  if (sum->months != (int32_t)sum->months || sum->days != (int32_t)sum->days)
    return -1;
  v->months = (int32_t)sum->months;
  v->days = (int32_t)sum->days;
  v->us = sum->us;
  return interval_finite(v) ? 0 : -1;
}

int interval_join(interval *v, const int64_t part[INTERVAL_PARTS]) {
  parts sum = {0, 0, 0};

  if (!grow(&sum.months, part[0], 12) || !grow(&sum.months, part[1], 1) ||
      !grow(&sum.days, part[2], 7) || !grow(&sum.days, part[3], 1) ||
      !grow(&sum.us, part[4], 3600 * US_SECOND) ||
      !grow(&sum.us, part[5], 60 * US_SECOND) ||
      !grow(&sum.us, part[6], US_SECOND) || !grow(&sum.us, part[7], 1))
    return -1;
  return narrow(v, &sum);
}

int interval_parse(interval *v, const char *text, size_t len) {
  scan s = {text, text + len};
  parts sum = {0, 0, 0};
  int iso;

  if (scan_whole(&s, "infinity")) return *v = infinite, 0;
  if (scan_whole(&s, "-infinity")) return *v = neg_infinite, 0;
  iso = scan_char(&s, 'P') || scan_char(&s, 'p');
  if (!(iso ? parse_iso(&s, &sum) : parse_words(&s, &sum))) return -1;
  return narrow(v, &sum);
}

static char *put_item(char *p, int64_t v, char letter) {
  if (v == 0) return p;
  p += int_text(p, v);
  *p++ = letter;
  return p;
}

size_t interval_text(const interval *v, char *out) {
  char *p = out;
  int sec = (int)(v->us % (60 * US_SECOND) / US_SECOND), place;
  int usec = (int)(v->us % US_SECOND);

  if (!interval_finite(v)) {
    size_t len = v->months < 0 ? 9 : 8;
    memcpy(out, v->months < 0 ? "-infinity" : "infinity", len);
    return len;
  }
  *p++ = 'P';
  p = put_item(p, v->months / 12, 'Y');
  p = put_item(p, v->months % 12, 'M');
  p = put_item(p, v->days, 'D');
  if (v->us == 0) {
    if (p == out + 1) memcpy(p, "T0S", 3), p += 3;
    return (size_t)(p - out);
  }
  *p++ = 'T';
  p = put_item(p, v->us / (3600 * US_SECOND), 'H');
  p = put_item(p, v->us % (3600 * US_SECOND) / (60 * US_SECOND), 'M');
  if (sec == 0 && usec == 0) return (size_t)(p - out);
  if (usec < 0 && sec == 0) *p++ = '-';
  p += int_text(p, sec);
  if (usec != 0) {
    if (usec < 0) usec = -usec;
    *p++ = '.';
    for (place = 100000; usec > 0; usec %= place, place /= 10)
      *p++ = (char)('0' + usec / place);
  }
  *p++ = 'S';
  return (size_t)(p - out);
}
