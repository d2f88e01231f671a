/*
** value_time.h -- the calendar and the clock: dates, times, intervals, their
** text. Plain C, proleptic Gregorian, PostgreSQL's epoch and ranges. Text is
** what the server writes with DateStyle ISO, or ISO 8601.
*/
#ifndef pg_value_time_h
#define pg_value_time_h

#include <stddef.h>
#include <stdint.h>

#define DATE_INFINITY INT32_MAX /* days; the server's markers */
#define DATE_NEG_INFINITY INT32_MIN
#define MOMENT_INFINITY INT64_MAX /* microseconds */
#define MOMENT_NEG_INFINITY INT64_MIN

#define US_SECOND INT64_C(1000000)
#define US_DAY (INT64_C(86400) * US_SECOND)
#define UNIX_EPOCH_US (INT64_C(946684800) * US_SECOND) /* 2000-01-01 */

typedef struct civil {
  int year; /* as the server's extract(): -1 is 1 BC, 0 does not occur */
  int month, day, hour, min, sec, usec;
} civil;

typedef struct timetz {
  int64_t us;     /* of the local day */
  int32_t offset; /* seconds east of UTC */
} timetz;

typedef struct interval {
  int64_t us;
  int32_t days, months;
} interval;

int interval_finite(const interval *v);
void interval_infinities(interval *up, interval *down);
/* As the server: a month counts as 30 days, a day as 24 hours. */
int interval_compare(const interval *a, const interval *b);
/* Years, months, weeks, days, hours, minutes, seconds, microseconds; -1 when
** the sum does not fit. ORDER interval_join */
#define INTERVAL_PARTS 8
int interval_join(interval *v, const int64_t part[INTERVAL_PARTS]);

/* Days since 2000-01-01 of year, month, day; 0, or -1 when there is no such
** day or the server could not hold it. */
int date_join(int32_t *days, int64_t year, int64_t month, int64_t day);
void date_split(int32_t days, civil *c); /* sets year, month, day */

/* Microseconds since 2000-01-01, no zone. 24:00:00 is the next midnight. */
int moment_join(int64_t *us, int32_t days, int64_t time_us);
void moment_split(int64_t us, civil *c);
int moment_valid(int64_t us); /* within the server's range, or infinite */
int date_valid(int32_t days); /* likewise */

/* Time of day: hour 0 to 24, and 24:00:00 at most. */
int time_join(int64_t *us, int64_t hour, int64_t min, int64_t sec,
              int64_t usec);

/* Parsers take all of the text or answer -1. moment: zoned demands an offset
** and takes it off; without it none is allowed. */
int date_parse(int32_t *days, const char *s, size_t len);
int time_parse(int64_t *us, const char *s, size_t len);
int timetz_parse(timetz *t, const char *s, size_t len);
int moment_parse(int64_t *us, const char *s, size_t len, int zoned);
int interval_parse(interval *v, const char *s, size_t len);

/* Writers return the length; out has TIME_TEXT bytes, no NUL is written. */
#define TIME_TEXT 96
size_t date_text(int32_t days, char *out);
size_t time_text(int64_t us, char *out);
size_t timetz_text(const timetz *t, char *out);
size_t moment_text(int64_t us, int zoned, char *out);
size_t interval_text(const interval *v, char *out); /* P1Y2M3DT4H5M6.7S */

#endif
