/*
** value_time.c -- see value_time.h. Dates, times of day and moments; the
** intervals are in value_interval.c.
*/
#include "pg/value_time.h"

#include <string.h>

#include "base/base.h"
#include "base/decimal.h"
#include "pg/value_scan.h"

/* The server's limits: 4714-11-24 BC to 5874897-12-31; moments end with the
** year 294276. */
#define FIRST_DAY (-2451545)
#define LAST_DAY 2145031948
#define FIRST_MOMENT INT64_C(-211813488000000000)
#define END_MOMENT INT64_C(9223371331200000000)

#define MAX_OFFSET (16 * 3600 - 1) /* seconds either way */

/* Days from 0000-03-01 to 2000-01-01, counting from a March so that the leap
** day ends the year; the Gregorian calendar repeats every 146097 days. */
#define DAYS_TO_2000 730425

static int64_t floor_div(int64_t a, int64_t b) {
  return a / b - (a % b < 0);
}

int date_valid(int32_t days) {
  return days == DATE_INFINITY || days == DATE_NEG_INFINITY ||
         (days >= FIRST_DAY && days <= LAST_DAY);
}

int moment_valid(int64_t us) {
  return us == MOMENT_INFINITY || us == MOMENT_NEG_INFINITY ||
         (us >= FIRST_MOMENT && us < END_MOMENT);
}

int date_join(int32_t *days, int64_t year, int64_t month, int64_t day) {
  static const char length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int64_t y = year < 0 ? year + 1 : year, era, d, march;
  int leap;

  if (year == 0 || year < -4714 || year > 5874897) return -1;
  if (month < 1 || month > 12 || day < 1) return -1;
  leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
  if (day > length[month - 1] + (month == 2 && leap)) return -1;
  march = (month + 9) % 12;
  if (month <= 2) y--;
  era = floor_div(y, 400);
  y -= era * 400;
  d = era * 146097 + y * 365 + y / 4 - y / 100 + (153 * march + 2) / 5 + day -
      1 - DAYS_TO_2000;
  if (d < FIRST_DAY || d > LAST_DAY) return -1;
  *days = (int32_t)d;
  return 0;
}

void date_split(int32_t days, civil *c) {
  int64_t d = (int64_t)days + DAYS_TO_2000, era = floor_div(d, 146097), y;
  int64_t march;

  d -= era * 146097; /* day of the era */
  y = (d - d / 1460 + d / 36524 - d / 146096) / 365;
  d -= y * 365 + y / 4 - y / 100; /* day of the year */
  march = (5 * d + 2) / 153;
  c->day = (int)(d - (153 * march + 2) / 5 + 1);
  c->month = (int)(march < 10 ? march + 3 : march - 9);
  y += era * 400 + (c->month <= 2);
  c->year = (int)(y > 0 ? y : y - 1);
}

int time_join(int64_t *us, int64_t hour, int64_t min, int64_t sec,
              int64_t usec) {
  if (hour < 0 || hour > 24 || min < 0 || min > 59 || sec < 0 || sec > 59 ||
      usec < 0 || usec >= US_SECOND)
    return -1;
  *us = ((hour * 60 + min) * 60 + sec) * US_SECOND + usec;
  return *us > US_DAY ? -1 : 0;
}

int moment_join(int64_t *us, int32_t days, int64_t time_us) {
  if (days < FIRST_DAY || days > FIRST_DAY + 109203528) return -1;
  *us = days * US_DAY + time_us; /* cannot overflow: below 294277 years */
  return *us < FIRST_MOMENT || *us >= END_MOMENT ? -1 : 0;
}

void moment_split(int64_t us, civil *c) {
  int64_t days = floor_div(us, US_DAY), rest = us - days * US_DAY;

  date_split((int32_t)days, c);
  c->usec = (int)(rest % US_SECOND);
  rest /= US_SECOND;
  c->hour = (int)(rest / 3600);
  c->min = (int)(rest / 60 % 60);
  c->sec = (int)(rest % 60);
}

/* Scanning. */

/* "YYYY-MM-DD"; the sign of BC comes at the end of the whole. */
static int scan_date(scan *s, int64_t v[3]) {
  return scan_digits(s, 4, 7, &v[0]) && scan_char(s, '-') &&
         scan_digits(s, 2, 2, &v[1]) && scan_char(s, '-') &&
         scan_digits(s, 2, 2, &v[2]);
}

/* "HH:MM[:SS[.ffffff]]" */
static int scan_time(scan *s, int64_t *us) {
  int64_t hour, min, sec = 0, usec = 0;

  if (!scan_digits(s, 2, 2, &hour) || !scan_char(s, ':') ||
      !scan_digits(s, 2, 2, &min))
    return 0;
  if (scan_char(s, ':')) {
    if (!scan_digits(s, 2, 2, &sec)) return 0;
    if (scan_char(s, '.') && !scan_fraction(s, &usec)) return 0;
  }
  if (usec == US_SECOND) { /* 59.9999999 was rounded */
    if (time_join(us, hour, min, sec, 0) < 0) return 0;
    *us += US_SECOND;
    return *us <= US_DAY;
  }
  return time_join(us, hour, min, sec, usec) == 0;
}

/* "Z", "+HH", "+HHMM", "+HH:MM", "+HH:MM:SS" */
static int scan_offset(scan *s, int32_t *offset) {
  int64_t h, m = 0, sec = 0, sign;

  if (scan_char(s, 'Z') || scan_char(s, 'z')) return *offset = 0, 1;
  if (scan_char(s, '+')) sign = 1;
  else if (scan_char(s, '-')) sign = -1;
  else return 0;
  if (!scan_digits(s, 2, 2, &h)) return 0;
  if (scan_char(s, ':')) {
    if (!scan_digits(s, 2, 2, &m)) return 0;
    if (scan_char(s, ':') && !scan_digits(s, 2, 2, &sec)) return 0;
  } else {
    scan_digits(s, 2, 2, &m);
  }
  if (m > 59 || sec > 59 || h * 3600 + m * 60 + sec > MAX_OFFSET) return 0;
  *offset = (int32_t)(sign * (h * 3600 + m * 60 + sec));
  return 1;
}

static int scan_bc(scan *s) {
  return scan_word(s, " bc") || scan_word(s, " ad");
}

/* The end of a date or moment, perhaps after BC. */
static int scan_era(scan *s, int64_t *year) {
  int bc = (size_t)(s->end - s->p) == 3 && (s->p[1] | 0x20) == 'b';

  if (scan_bc(s) && bc) *year = -*year;
  return s->p == s->end;
}

int date_parse(int32_t *days, const char *text, size_t len) {
  scan s = {text, text + len};
  int64_t v[3];

  if (scan_whole(&s, "infinity")) return *days = DATE_INFINITY, 0;
  if (scan_whole(&s, "-infinity")) return *days = DATE_NEG_INFINITY, 0;
  if (!scan_date(&s, v) || !scan_era(&s, &v[0])) return -1;
  return date_join(days, v[0], v[1], v[2]);
}

int time_parse(int64_t *us, const char *text, size_t len) {
  scan s = {text, text + len};

  return scan_time(&s, us) && s.p == s.end ? 0 : -1;
}

int timetz_parse(timetz *t, const char *text, size_t len) {
  scan s = {text, text + len};

  if (!scan_time(&s, &t->us) || !scan_offset(&s, &t->offset)) return -1;
  return s.p == s.end ? 0 : -1;
}

int moment_parse(int64_t *us, const char *text, size_t len, int zoned) {
  scan s = {text, text + len};
  int64_t v[3], time_us = 0;
  int32_t days, offset = 0;

  if (scan_whole(&s, "infinity")) return *us = MOMENT_INFINITY, 0;
  if (scan_whole(&s, "-infinity")) return *us = MOMENT_NEG_INFINITY, 0;
  if (!scan_date(&s, v)) return -1;
  if (scan_char(&s, 'T') || scan_char(&s, 't') ||
      (s.p + 1 < s.end && s.p[1] >= '0' && s.p[1] <= '9' &&
       scan_char(&s, ' '))) {
    if (!scan_time(&s, &time_us)) return -1;
  }
  if (zoned && !scan_offset(&s, &offset)) return -1;
  if (!scan_era(&s, &v[0]) || date_join(&days, v[0], v[1], v[2]) < 0)
    return -1;
  return moment_join(us, days, time_us - offset * US_SECOND);
}

/* Writing. */

static char *put(char *p, const char *s) {
  size_t n = strlen(s);

  memcpy(p, s, n);
  return p + n;
}

static char *two(char *p, int v) {
  p[0] = (char)('0' + v / 10);
  p[1] = (char)('0' + v % 10);
  return p + 2;
}

static char *put_fraction(char *p, int usec) {
  int unit;

  if (usec == 0) return p;
  *p++ = '.';
  for (unit = 100000; usec > 0; usec %= unit, unit /= 10)
    *p++ = (char)('0' + usec / unit);
  return p;
}

static char *put_date(char *p, const civil *c) {
  int year = c->year < 0 ? -c->year : c->year, unit = 1000;

  while (year / unit >= 10) unit *= 10;
  for (; unit > 0; unit /= 10) *p++ = (char)('0' + year / unit % 10);
  *p++ = '-';
  p = two(p, c->month);
  *p++ = '-';
  return two(p, c->day);
}

static char *put_time(char *p, int hour, int min, int sec, int usec) {
  p = two(p, hour);
  *p++ = ':';
  p = two(p, min);
  *p++ = ':';
  p = two(p, sec);
  return put_fraction(p, usec);
}

size_t date_text(int32_t days, char *out) {
  char *p = out;
  civil c;

  if (days == DATE_INFINITY) return (size_t)(put(p, "infinity") - out);
  if (days == DATE_NEG_INFINITY) return (size_t)(put(p, "-infinity") - out);
  date_split(days, &c);
  p = put_date(p, &c);
  if (c.year < 0) p = put(p, " BC");
  return (size_t)(p - out);
}

size_t time_text(int64_t us, char *out) {
  int64_t sec = us / US_SECOND;

  return (size_t)(put_time(out, (int)(sec / 3600), (int)(sec / 60 % 60),
                           (int)(sec % 60), (int)(us % US_SECOND)) -
                  out);
}

size_t timetz_text(const timetz *t, char *out) {
  char *p = out + time_text(t->us, out);
  int offset = t->offset < 0 ? -t->offset : t->offset;

  if (offset == 0) return (size_t)(put(p, "Z") - out);
  *p++ = t->offset < 0 ? '-' : '+';
  p = two(p, offset / 3600);
  *p++ = ':';
  p = two(p, offset / 60 % 60);
  if (offset % 60 != 0) {
    *p++ = ':';
    p = two(p, offset % 60);
  }
  return (size_t)(p - out);
}

size_t moment_text(int64_t us, int zoned, char *out) {
  char *p = out;
  civil c;

  if (us == MOMENT_INFINITY) return (size_t)(put(p, "infinity") - out);
  if (us == MOMENT_NEG_INFINITY) return (size_t)(put(p, "-infinity") - out);
  moment_split(us, &c);
  p = put_date(p, &c);
  *p++ = 'T';
  p = put_time(p, c.hour, c.min, c.sec, c.usec);
  if (zoned) *p++ = 'Z';
  if (c.year < 0) p = put(p, " BC");
  return (size_t)(p - out);
}
