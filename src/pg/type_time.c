/*
** type_time.c -- date, time, timetz, timestamp, timestamptz, interval: wire
** forms. The Lua classes are in value_moment.c, the calendar in value_time.c.
*/
#include <lauxlib.h>

#include "pg/type.h"

int moment_from_text(int class, const char *s, size_t len, moment *m) {
  switch (class) {
  case PG_DATE: return date_parse(&m->days, s, len);
  case PG_TIME: return time_parse(&m->us, s, len);
  case PG_TIMETZ: return timetz_parse(&m->tz, s, len);
  case PG_TIMESTAMP: return moment_parse(&m->us, s, len, 0);
  case PG_TIMESTAMPTZ: return moment_parse(&m->us, s, len, 1);
  default: return interval_parse(&m->span, s, len);
  }
}

static void push_text(lua_State *L, const pg_type *type, int class,
                      const char *p, size_t len) {
  moment m;

  if (moment_from_text(class, p, len, &m) < 0) pg_garbage(L, type, len, 1);
  moment_push(L, class, &m);
}

/* The value at idx as a moment of the class: userdata, or a table of fields. */
static const char *take(lua_State *L, int idx, int class, moment *m,
                        const char *what) {
  const moment *have;

  if (lua_type(L, idx) == LUA_TSTRING) return pg_as_text;
  if (lua_istable(L, idx)) return moment_from_fields(L, idx, class, m);
  if ((have = pg_class_test(L, idx, class)) == NULL)
    return pg_expected(L, idx, what);
  switch (class) { /* the userdata may be smaller than the union */
  case PG_DATE: m->days = have->days; break;
  case PG_TIMETZ: m->tz = have->tz; break;
  case PG_INTERVAL: m->span = have->span; break;
  default: m->us = have->us;
  }
  return NULL;
}

/* date: days since 2000-01-01 */

void date_from_binary(lua_State *L, const pg_type *type, const char *p,
                      size_t len) {
  moment m;

  if (len != 4) pg_garbage(L, type, len, 0);
  m.days = (int32_t)read_u32(p);
  if (!date_valid(m.days)) pg_garbage(L, type, len, 0);
  moment_push(L, PG_DATE, &m);
}

void date_from_text(lua_State *L, const pg_type *type, const char *p,
                    size_t len) {
  push_text(L, type, PG_DATE, p, len);
}

const char *date_to_binary(lua_State *L, const pg_type *type, int idx,
                           buf *out) {
  moment m;
  const char *no = take(L, idx, PG_DATE, &m, "a date");

  (void)type;
  if (no == NULL) buf_u32(out, (uint32_t)m.days);
  return no;
}

/* time: microseconds of the day, 24:00:00 included */

static int time_valid(int64_t us) { return us >= 0 && us <= US_DAY; }

void time_from_binary(lua_State *L, const pg_type *type, const char *p,
                      size_t len) {
  moment m;

  if (len != 8) pg_garbage(L, type, len, 0);
  m.us = (int64_t)read_u64(p);
  if (!time_valid(m.us)) pg_garbage(L, type, len, 0);
  moment_push(L, PG_TIME, &m);
}

void time_from_text(lua_State *L, const pg_type *type, const char *p,
                    size_t len) {
  push_text(L, type, PG_TIME, p, len);
}

const char *time_to_binary(lua_State *L, const pg_type *type, int idx,
                           buf *out) {
  moment m;
  const char *no = take(L, idx, PG_TIME, &m, "a time");

  (void)type;
  if (no == NULL) buf_u64(out, (uint64_t)m.us);
  return no;
}

/* timetz: the same, and seconds west of UTC */

void timetz_from_binary(lua_State *L, const pg_type *type, const char *p,
                        size_t len) {
  int32_t west;
  moment m;

  if (len != 12) pg_garbage(L, type, len, 0);
  m.tz.us = (int64_t)read_u64(p);
  west = (int32_t)read_u32(p + 8);
  if (!time_valid(m.tz.us) || west <= -16 * 3600 || west >= 16 * 3600)
    pg_garbage(L, type, len, 0);
  m.tz.offset = -west;
  moment_push(L, PG_TIMETZ, &m);
}

void timetz_from_text(lua_State *L, const pg_type *type, const char *p,
                      size_t len) {
  push_text(L, type, PG_TIMETZ, p, len);
}

const char *timetz_to_binary(lua_State *L, const pg_type *type, int idx,
                             buf *out) {
  moment m;
  const char *no = take(L, idx, PG_TIMETZ, &m, "a timetz");

  (void)type;
  if (no != NULL) return no;
  buf_u64(out, (uint64_t)m.tz.us);
  buf_u32(out, (uint32_t)-m.tz.offset);
  return NULL;
}

/* timestamp, timestamptz: microseconds since 2000-01-01 */

static void push_moment(lua_State *L, const pg_type *type, int class,
                        const char *p, size_t len) {
  moment m;

  if (len != 8) pg_garbage(L, type, len, 0);
  m.us = (int64_t)read_u64(p);
  if (!moment_valid(m.us)) pg_garbage(L, type, len, 0);
  moment_push(L, class, &m);
}

void timestamp_from_binary(lua_State *L, const pg_type *type, const char *p,
                           size_t len) {
  push_moment(L, type, PG_TIMESTAMP, p, len);
}

void timestamp_from_text(lua_State *L, const pg_type *type, const char *p,
                         size_t len) {
  push_text(L, type, PG_TIMESTAMP, p, len);
}

const char *timestamp_to_binary(lua_State *L, const pg_type *type, int idx,
                                buf *out) {
  moment m;
  const char *no = take(L, idx, PG_TIMESTAMP, &m, "a timestamp");

  (void)type;
  if (no == NULL) buf_u64(out, (uint64_t)m.us);
  return no;
}

void timestamptz_from_binary(lua_State *L, const pg_type *type, const char *p,
                             size_t len) {
  push_moment(L, type, PG_TIMESTAMPTZ, p, len);
}

void timestamptz_from_text(lua_State *L, const pg_type *type, const char *p,
                           size_t len) {
  push_text(L, type, PG_TIMESTAMPTZ, p, len);
}

const char *timestamptz_to_binary(lua_State *L, const pg_type *type, int idx,
                                  buf *out) {
  moment m;
  const char *no = take(L, idx, PG_TIMESTAMPTZ, &m,
                        lua_type(L, idx) == LUA_TNUMBER
                            ? "a timestamptz (pg.unix makes one of seconds)"
                            : "a timestamptz");
  (void)type;
  if (no == NULL) buf_u64(out, (uint64_t)m.us);
  return no;
}

/* interval: microseconds, days, months */

void interval_from_binary(lua_State *L, const pg_type *type, const char *p,
                          size_t len) {
  moment m;

  if (len != 16) pg_garbage(L, type, len, 0);
  m.span.us = (int64_t)read_u64(p);
  m.span.days = (int32_t)read_u32(p + 8);
  m.span.months = (int32_t)read_u32(p + 12);
  moment_push(L, PG_INTERVAL, &m);
}

void interval_from_text(lua_State *L, const pg_type *type, const char *p,
                        size_t len) {
  push_text(L, type, PG_INTERVAL, p, len);
}

const char *interval_to_binary(lua_State *L, const pg_type *type, int idx,
                               buf *out) {
  moment m;
  const char *no = take(L, idx, PG_INTERVAL, &m,
                        lua_type(L, idx) == LUA_TNUMBER
                            ? "an interval (pg.seconds makes one of seconds)"
                            : "an interval");
  (void)type;
  if (no != NULL) return no;
  buf_u64(out, (uint64_t)m.span.us);
  buf_u32(out, (uint32_t)m.span.days);
  buf_u32(out, (uint32_t)m.span.months);
  return NULL;
}
